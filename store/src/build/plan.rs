//! What realising would take: what is to be built, what is to be fetched, and what nobody has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::local::{Source, home_of};
use super::options::Options;
use crate::path::StorePath;
use crate::settings::Settings;
use crate::store::drv_hash::drv_output;
use crate::store::{
    DerivedPath, LocalStore, Missing, OutputsSpec, SingleDerivedPath, Store, StoreError,
};

/// Finds out what realising would take, asking caches about a whole level of the graph at once.
pub(super) struct Plan<'a> {
    store: &'a LocalStore,
    settings: &'a Settings,
    source: &'a dyn Source,
    eval_store: Option<Arc<dyn Store>>,
    missing: Missing,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        store: &'a LocalStore,
        settings: &'a Settings,
        source: &'a dyn Source,
        eval_store: Option<Arc<dyn Store>>,
    ) -> Self {
        Self {
            store,
            settings,
            source,
            eval_store,
            missing: Missing::default(),
        }
    }

    pub(super) fn run(mut self, paths: &[DerivedPath]) -> Result<Missing, StoreError> {
        let mut derivations: Vec<(StorePath, OutputsSpec)> = Vec::new();
        let mut opaque = BTreeSet::new();
        for path in paths {
            match path {
                DerivedPath::Opaque(path) => {
                    opaque.insert(path.clone());
                }
                DerivedPath::Built { drv, outputs } => match &**drv {
                    SingleDerivedPath::Opaque(path) => {
                        derivations.push((path.clone(), outputs.clone()));
                    }
                    // What an output that is a derivation needs is known when it is built.
                    nested => {
                        let first = nested.outputs().into_iter().map(str::to_owned).take(1);
                        let first = OutputsSpec::Names(first.collect());
                        derivations.push((nested.base().clone(), first));
                    }
                },
            }
        }
        let mut asked: BTreeSet<(StorePath, OutputsSpec)> = BTreeSet::new();
        while !derivations.is_empty() {
            derivations.retain(|wanted| asked.insert(wanted.clone()));
            let level = std::mem::take(&mut derivations);
            self.level(level, &mut derivations, &mut opaque)?;
        }
        self.fetches(opaque)?;
        Ok(self.missing)
    }

    /// One level of derivations: those that must be built give the next.
    fn level(
        &mut self,
        level: Vec<(StorePath, OutputsSpec)>,
        next: &mut Vec<(StorePath, OutputsSpec)>,
        opaque: &mut BTreeSet<StorePath>,
    ) -> Result<(), StoreError> {
        let mut undecided = Vec::new();
        let mut questions = BTreeSet::new();
        for (path, wanted) in level {
            crate::interrupt::check()?;
            let Some(home) = home_of(self.store, self.eval_store.as_ref(), &path)? else {
                self.missing.unknown.insert(path);
                continue;
            };
            let derivation = home.read_derivation(&path)?;
            let outputs = home.query_derivation_outputs(&path)?;
            let allowed = self.settings.always_allow_substitutes
                || Options::of(&derivation, self.store.dir())
                    .map_or(true, |options| options.allow_substitutes);
            let allowed = allowed && self.settings.substitute;
            let mut invalid = BTreeSet::new();
            let mut all_known = true;
            for (name, output) in outputs {
                if !wanted.contains(&name) {
                    continue;
                }
                let output = match output {
                    // A cache may know what this store does not.
                    None if allowed && self.source.has_caches() => self
                        .source
                        .realisation(&drv_output(home, &path, &name)?)
                        .map(|found| found.out_path),
                    output => output,
                };
                match output {
                    None => all_known = false,
                    Some(output) if !self.store.is_valid(&output)? => {
                        invalid.insert(output);
                    }
                    Some(_) => {}
                }
            }
            if all_known && invalid.is_empty() {
                continue;
            }
            let ask = all_known && allowed;
            if ask {
                questions.extend(invalid.iter().cloned());
            }
            undecided.push((path, derivation, invalid, ask));
        }
        let available = if questions.is_empty() {
            BTreeMap::new()
        } else {
            self.source.query(&questions)
        };
        for (path, derivation, invalid, ask) in undecided {
            if ask && invalid.iter().all(|output| available.contains_key(output)) {
                opaque.extend(invalid);
                continue;
            }
            if self.missing.build.insert(path) {
                for (input, outputs) in &derivation.input_derivations {
                    let mut names = outputs.outputs.clone();
                    // Which derivation an output is, and what that needs, is known when it is built.
                    names.extend(outputs.dynamic.keys().cloned());
                    next.push((input.clone(), OutputsSpec::Names(names)));
                }
                for source in &derivation.input_sources {
                    if home_of(self.store, self.eval_store.as_ref(), source)?.is_none() {
                        opaque.insert(source.clone());
                    }
                }
            }
        }
        Ok(())
    }

    /// Paths to fetch, with what they refer to.
    fn fetches(&mut self, paths: BTreeSet<StorePath>) -> Result<(), StoreError> {
        let mut asked = BTreeSet::new();
        let mut level = paths;
        while !level.is_empty() {
            crate::interrupt::check()?;
            let mut wanted = BTreeSet::new();
            for path in level {
                if asked.insert(path.clone()) && !self.store.is_valid(&path)? {
                    wanted.insert(path);
                }
            }
            let found = if self.settings.substitute {
                self.source.query(&wanted)
            } else {
                BTreeMap::new()
            };
            level = BTreeSet::new();
            for path in wanted {
                match found.get(&path) {
                    Some(known) => {
                        self.missing.download_size += known.download_size;
                        self.missing.nar_size += known.nar_size;
                        level.extend(known.references.iter().cloned());
                        self.missing.substitute.insert(path);
                    }
                    None => {
                        self.missing.unknown.insert(path);
                    }
                }
            }
        }
        Ok(())
    }
}
