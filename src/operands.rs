//! What commands on store objects work on: what the command line names, what became of it, and closures.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::BufRead;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::{Arc, OnceLock};

use rx_store::path::StorePath;
use rx_store::store::closure::{ClosureOptions, topological_paths};
use rx_store::store::known_output::known_output;
use rx_store::store::{BuildMode, DerivedPath, OutputsSpec, Realisation, SingleDerivedPath, Store};

use crate::cli::{EvalOptions, Invocation};
use crate::eval_session::with_session;
use crate::installables::{Installable, SourceOptions};
use crate::realise::plain_failure;
use crate::store_session::{open_store, path_with_outputs};
use crate::ui::{Failure, UsageError};

/// Where names on the command line come from.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct NameArgs {
    /// Files and expressions.
    #[command(flatten)]
    pub source: SourceOptions,
    /// How they are evaluated.
    #[command(flatten)]
    pub options: EvalOptions,
}

/// What the names on a command line stand for.
pub struct Named {
    /// The store that the command works on.
    pub store: Arc<dyn Store>,
    /// The store that derivations were written to.
    pub eval_store: Arc<dyn Store>,
    /// In the order of the command line.
    pub things: Vec<Installable>,
}

/// Outputs by name, or a path under no name; nothing where it is not known.
pub type Outputs = BTreeMap<String, Option<StorePath>>;

impl NameArgs {
    /// Finds what the names stand for in the store that the settings name, or in a given one.
    pub fn find(
        &self,
        invocation: &Invocation,
        store: Option<Arc<dyn Store>>,
        names: &[OsString],
    ) -> Result<Named, Failure> {
        if let Some(named) = self.find_paths(invocation, store.as_ref(), names)? {
            return Ok(named);
        }
        let invocation = self.source.adapt(invocation)?;
        let named = with_session(&invocation, &self.options, false, |session| {
            let eval_store = session.store()?;
            let store = match store {
                Some(store) => store,
                None if self.options.eval_store.is_none() => Arc::clone(&eval_store),
                None => open_store(&invocation)?,
            };
            let things = self.source.resolve(session, names)?;
            Ok(Named {
                store,
                eval_store,
                things,
            })
        })?;
        named.eval_store.flush()?;
        Ok(named)
    }

    /// The same without an evaluation, when all names are store paths.
    fn find_paths(
        &self,
        invocation: &Invocation,
        store: Option<&Arc<dyn Store>>,
        names: &[OsString],
    ) -> Result<Option<Named>, Failure> {
        if self.source.file.is_some() || self.source.expr.is_some() || names.is_empty() {
            return Ok(None);
        }
        let store = match store {
            Some(store) => Arc::clone(store),
            None => open_store(invocation)?,
        };
        let mut things = Vec::new();
        for name in names {
            // Without a slash it is a flake.
            if !name.as_bytes().contains(&b'/') {
                return Ok(None);
            }
            let Ok(path) = path_with_outputs(&*store, name, '^') else {
                return Ok(None);
            };
            things.push(Installable {
                what: name.to_string_lossy().into_owned(),
                path,
                value: None,
                origin: None,
                outputs: None,
            });
        }
        Ok(Some(Named {
            eval_store: Arc::clone(&store),
            store,
            things,
        }))
    }

    /// The one store path that a name stands for.
    pub fn find_one(
        &self,
        invocation: &Invocation,
        name: &OsString,
        wish: Wish,
    ) -> Result<(Arc<dyn Store>, StorePath), Failure> {
        let named = self.find(invocation, None, std::slice::from_ref(name))?;
        let paths = match wish {
            Wish::Derivations => named.derivations()?,
            Wish::Known => named.paths(false)?,
            Wish::Built => named.paths(true)?,
        };
        let mut paths = paths.into_iter();
        match (paths.next(), paths.next()) {
            (Some(path), None) => Ok((named.store, path)),
            _ => Err(UsageError::new(format!(
                "argument '{}' should evaluate to one store path",
                name.display()
            ))
            .into()),
        }
    }
}

/// What is wanted of things that are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Their derivations.
    Derivations,
    /// Their outputs, built or not.
    Known,
    /// Their outputs, built if they are not.
    Built,
}

impl Named {
    /// The things as paths that can be realised.
    pub fn derived(&self) -> Vec<DerivedPath> {
        self.things.iter().map(|thing| thing.path.clone()).collect()
    }

    /// Tells the builder where derivations are that were evaluated into another store.
    pub fn prepare(&self) {
        if Arc::ptr_eq(&self.store, &self.eval_store) {
            return;
        }
        if let Some(builder) = self.store.builder() {
            builder.set_eval_store(Arc::clone(&self.eval_store));
        }
    }

    /// The outputs of each thing, as far as they are known.
    pub fn outputs(&self) -> Result<Vec<(DerivedPath, Outputs)>, Failure> {
        self.things
            .iter()
            .map(|thing| Ok((thing.path.clone(), self.outputs_of(thing)?)))
            .collect()
    }

    fn outputs_of(&self, thing: &Installable) -> Result<Outputs, Failure> {
        let (drv, wanted) = match &thing.path {
            DerivedPath::Opaque(path) => {
                return Ok(Outputs::from([(String::new(), Some(path.clone()))]));
            }
            DerivedPath::Built { drv, outputs } => (drv, outputs),
        };
        let evaluated = thing.value.is_some();
        let derivations = if evaluated {
            &self.eval_store
        } else {
            &self.store
        };
        let Some(drv) = &derivations.known_path(drv)? else {
            // Which outputs there are is known when the derivation is built.
            let names = match wanted {
                OutputsSpec::All => BTreeSet::from(["*".to_owned()]),
                OutputsSpec::Names(names) => names.clone(),
            };
            return Ok(names.into_iter().map(|name| (name, None)).collect());
        };
        let mut outputs = derivations.query_derivation_outputs(drv)?;
        if evaluated
            && outputs.values().any(Option::is_none)
            && !Arc::ptr_eq(&self.store, &self.eval_store)
        {
            for (name, path) in outputs.iter_mut().filter(|(_, path)| path.is_none()) {
                *path = known_output(&*self.eval_store, &*self.store, drv, name)?
                    .map(|known| known.out_path);
            }
        }
        outputs.retain(|name, _| wanted.contains(name));
        Ok(outputs)
    }

    /// The outputs of each thing, with what a build has just told of them.
    pub fn outputs_after(
        &self,
        made: &[BTreeMap<String, StorePath>],
    ) -> Result<Vec<(DerivedPath, Outputs)>, Failure> {
        let mut all = self.outputs()?;
        for ((_, outputs), made) in all.iter_mut().zip(made) {
            if outputs.contains_key("*") {
                *outputs = Outputs::new();
                outputs.extend(
                    made.iter()
                        .map(|(name, path)| (name.clone(), Some(path.clone()))),
                );
            }
            for (name, path) in outputs.iter_mut().filter(|(_, path)| path.is_none()) {
                *path = made.get(name).cloned();
            }
        }
        Ok(all)
    }

    /// All store paths, which are built first if `built` says so.
    pub fn paths(&self, built: bool) -> Result<BTreeSet<StorePath>, Failure> {
        if built {
            self.prepare();
            let missing: Vec<DerivedPath> = self
                .things
                .iter()
                .filter(|thing| !self.is_there(thing))
                .map(|thing| thing.path.clone())
                .collect();
            if !missing.is_empty() {
                self.store
                    .build_paths(&missing, BuildMode::Normal)
                    .map_err(plain_failure)?;
            }
        }
        let mut paths = BTreeSet::new();
        for (derived, outputs) in self.outputs()? {
            for (name, path) in outputs {
                match (path, &derived) {
                    (Some(path), _) => {
                        paths.insert(path);
                    }
                    (None, DerivedPath::Built { drv, .. }) => {
                        return Err(Failure::message(format!(
                            "cannot operate on output '{name}' of the unbuilt derivation '{}'",
                            self.store.dir().display(drv.base())
                        )));
                    }
                    (None, DerivedPath::Opaque(_)) => {}
                }
            }
        }
        Ok(paths)
    }

    /// What outputs were built to, where only building tells.
    pub fn realisations(&self) -> Result<Vec<Realisation>, Failure> {
        let mut found = Vec::new();
        for (derived, outputs) in self.outputs()? {
            let DerivedPath::Built { drv, .. } = derived else {
                continue;
            };
            let Some(drv) = &self.eval_store.known_path(&drv)? else {
                continue;
            };
            for name in outputs.keys() {
                found.extend(known_output(&*self.eval_store, &*self.store, drv, name)?);
            }
        }
        Ok(found)
    }

    /// Whether nothing of the thing has to be built. What cannot be told has to be.
    fn is_there(&self, thing: &Installable) -> bool {
        self.outputs_of(thing).is_ok_and(|outputs| {
            outputs.values().all(|path| {
                path.as_ref()
                    .is_some_and(|path| self.store.is_valid(path).unwrap_or(false))
            })
        })
    }

    /// The derivations of the things; of a path that is none the one that built it.
    pub fn derivations(&self) -> Result<BTreeSet<StorePath>, Failure> {
        self.things
            .iter()
            .map(|thing| match &thing.path {
                DerivedPath::Built { drv, .. } => self.known_derivation(drv),
                DerivedPath::Opaque(path) if path.is_derivation() => Ok(path.clone()),
                DerivedPath::Opaque(path) => self.deriver_of(path),
            })
            .collect()
    }

    /// A derivation, which is built first if it is itself an output.
    fn known_derivation(&self, drv: &SingleDerivedPath) -> Result<StorePath, Failure> {
        if let Some(path) = self.eval_store.known_path(drv)?
            && self.eval_store.is_valid(&path)?
        {
            return Ok(path);
        }
        if let SingleDerivedPath::Opaque(path) = drv {
            return Ok(path.clone());
        }
        self.prepare();
        self.store
            .build_paths(&[drv.clone().into()], BuildMode::Normal)
            .map_err(plain_failure)?;
        self.store.known_path(drv)?.ok_or_else(|| {
            Failure::message(format!(
                "failed to obtain derivation of '{}'",
                drv.print(self.store.dir(), '^')
            ))
        })
    }

    fn deriver_of(&self, path: &StorePath) -> Result<StorePath, Failure> {
        if let Some(deriver) = &self.store.path_info(path)?.deriver
            && self.store.is_valid(deriver)?
        {
            return Ok(deriver.clone());
        }
        let derivers = self.store.query_valid_derivers(path)?;
        derivers.into_iter().next().ok_or_else(|| {
            Failure::message(format!(
                "'{}' does not have a known deriver",
                self.store.dir().display(path)
            ))
        })
    }
}

/// Names on the command line of a command that works on any number of things.
#[derive(clap::Args, Debug, Default)]
pub struct Operands {
    /// Where they come from.
    #[command(flatten)]
    pub names: NameArgs,
    /// Read further names from standard input, one a line.
    #[arg(long)]
    pub stdin: bool,
    /// Store paths, links to them, attributes of a file or expression; perhaps with outputs (WHAT^OUTPUT).
    #[arg(value_name = "WHAT")]
    pub what: Vec<OsString>,
}

impl Operands {
    /// The names, with those from standard input.
    pub fn all(&self) -> Result<Vec<OsString>, Failure> {
        let mut all = self.what.clone();
        if self.stdin {
            all.extend(from_stdin()?);
        }
        Ok(all)
    }

    /// What they stand for. Nothing on standard input stands for nothing, and not for a default.
    pub fn find(
        &self,
        invocation: &Invocation,
        store: Option<Arc<dyn Store>>,
    ) -> Result<Named, Failure> {
        let names = self.all()?;
        if names.is_empty() && self.stdin {
            let store = match store {
                Some(store) => store,
                None => open_store(invocation)?,
            };
            return Ok(Named {
                eval_store: Arc::clone(&store),
                store,
                things: Vec::new(),
            });
        }
        self.names.find(invocation, store, &names)
    }
}

/// The names on standard input, which is read once: a run may begin anew.
fn from_stdin() -> Result<Vec<OsString>, Failure> {
    static READ: OnceLock<Vec<OsString>> = OnceLock::new();
    if let Some(names) = READ.get() {
        return Ok(names.clone());
    }
    let mut names = Vec::new();
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line?;
        if !line.trim_ascii().is_empty() {
            names.push(OsString::from_vec(line.trim_ascii().to_vec()));
        }
    }
    Ok(READ.get_or_init(|| names).clone())
}

/// Names on the command line of a command that works on store paths, their closures, or all of the store.
#[derive(clap::Args, Debug, Default)]
pub struct PathArgs {
    /// Work on all paths of the store.
    #[arg(long)]
    pub all: bool,
    /// Also work on everything that the paths need.
    #[arg(short, long)]
    pub recursive: bool,
    /// Work on derivations, not on their outputs.
    #[arg(long)]
    pub derivation: bool,
    /// What is named.
    #[command(flatten)]
    pub operands: Operands,
}

impl PathArgs {
    /// The paths that are meant, each after what it refers to; outputs are built first if `built` says so.
    pub fn find(
        &self,
        invocation: &Invocation,
        built: bool,
    ) -> Result<(Arc<dyn Store>, Vec<StorePath>), Failure> {
        self.find_in(invocation, None, built)
    }

    /// The same in a given store.
    pub fn find_in(
        &self,
        invocation: &Invocation,
        store: Option<Arc<dyn Store>>,
        built: bool,
    ) -> Result<(Arc<dyn Store>, Vec<StorePath>), Failure> {
        let (store, mut paths) = if self.all {
            if !self.operands.what.is_empty() {
                return Err(UsageError::new("'--all' does not expect arguments").into());
            }
            let store = match store {
                Some(store) => store,
                None => open_store(invocation)?,
            };
            let paths = store.all_valid_paths()?;
            (store, paths)
        } else {
            let named = self.operands.find(invocation, store)?;
            let paths = if self.derivation {
                named.derivations()?
            } else {
                named.paths(built)?
            };
            (named.store, paths)
        };
        if self.recursive && !self.all {
            paths = store.closure(&paths, ClosureOptions::default())?;
        }
        let mut order = topological_paths(&*store, &paths)?;
        order.reverse();
        Ok((store, order))
    }
}
