//! Whether outputs may be as they are: sizes, references, requisites, content addresses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::backend::Backend;
use super::error::{BuildError, FailureKind};
use super::options::{Checks, OutputChecks, Reference};
use crate::derivation::{BasicDerivation, Output};
use crate::path::StorePath;
use crate::store::PathInfo;

/// Checks all outputs of a build.
pub fn check_outputs(
    store: &dyn Backend,
    derivation_path: &StorePath,
    derivation: &BasicDerivation,
    checks: &Checks,
    outputs: &BTreeMap<String, PathInfo>,
) -> Result<(), BuildError> {
    let check = Check {
        store,
        derivation_path,
        outputs,
        by_path: outputs.values().map(|info| (&info.path, info)).collect(),
    };
    for (name, info) in outputs {
        if let Some(declared) = derivation.outputs.get(name) {
            check.content_address(declared, info)?;
        }
        match checks {
            Checks::All(wanted) => check.one(name, info, wanted)?,
            Checks::ByOutput(by_output) => {
                if let Some(wanted) = by_output.get(name) {
                    check.one(name, info, wanted)?;
                }
            }
        }
    }
    Ok(())
}

struct Check<'a> {
    store: &'a dyn Backend,
    derivation_path: &'a StorePath,
    outputs: &'a BTreeMap<String, PathInfo>,
    by_path: BTreeMap<&'a StorePath, &'a PathInfo>,
}

impl Check<'_> {
    fn show(&self, path: &StorePath) -> String {
        self.store.dir().display(path).to_string()
    }

    /// A fixed output has the declared hash and stands alone.
    fn content_address(&self, declared: &Output, info: &PathInfo) -> Result<(), BuildError> {
        let (Output::Fixed(wanted), Some(got)) = (declared, &info.content_address) else {
            return Ok(());
        };
        let derivation = self.show(self.derivation_path);
        if wanted.hash != got.hash {
            return Err(BuildError::new(
                FailureKind::HashMismatch,
                format!(
                    "hash mismatch in fixed-output derivation '{derivation}':\n  specified: {}\n     got:    {}",
                    wanted.hash.sri(),
                    got.hash.sri()
                ),
            ));
        }
        if let Some(first) = info.references.first() {
            return Err(BuildError::new(
                FailureKind::HashMismatch,
                format!(
                    "fixed-output derivations must not reference store paths: '{derivation}' references {} distinct paths, e.g. '{}'",
                    info.references.len(),
                    self.show(first)
                ),
            ));
        }
        Ok(())
    }

    fn one(&self, name: &str, info: &PathInfo, checks: &OutputChecks) -> Result<(), BuildError> {
        if let Some(limit) = checks.max_size
            && info.nar_size > limit
        {
            return Err(BuildError::rejected(format!(
                "path '{}' is too large at {} bytes; limit is {limit} bytes",
                self.show(&info.path),
                info.nar_size
            )));
        }
        if let Some(limit) = checks.max_closure_size {
            let (_, size) = self.closure(&info.path)?;
            if size > limit {
                return Err(BuildError::rejected(format!(
                    "closure of path '{}' is too large at {size} bytes; limit is {limit} bytes",
                    self.show(&info.path)
                )));
            }
        }
        if let Some(allowed) = &checks.allowed_references {
            self.references(name, info, &info.references, allowed, true)?;
        }
        if let Some(allowed) = &checks.allowed_requisites {
            self.references(name, info, &self.requisites(info, checks)?, allowed, true)?;
        }
        if !checks.disallowed_references.is_empty() {
            let disallowed = &checks.disallowed_references;
            self.references(name, info, &info.references, disallowed, false)?;
        }
        if !checks.disallowed_requisites.is_empty() {
            let disallowed = &checks.disallowed_requisites;
            self.references(
                name,
                info,
                &self.requisites(info, checks)?,
                disallowed,
                false,
            )?;
        }
        Ok(())
    }

    fn requisites(
        &self,
        info: &PathInfo,
        checks: &OutputChecks,
    ) -> Result<BTreeSet<StorePath>, BuildError> {
        let (mut paths, _) = self.closure(&info.path)?;
        if checks.ignore_self {
            paths.remove(&info.path);
        }
        Ok(paths)
    }

    /// The closure of an output and its size. Other outputs of the build need not be valid yet.
    fn closure(&self, path: &StorePath) -> Result<(BTreeSet<StorePath>, u64), BuildError> {
        let mut done = BTreeSet::new();
        let mut waiting = VecDeque::from([path.clone()]);
        let mut size = 0u64;
        while let Some(path) = waiting.pop_front() {
            if !done.insert(path.clone()) {
                continue;
            }
            let known;
            let info = match self.by_path.get(&path) {
                Some(info) => *info,
                None => {
                    known = self.store.info(&path)?;
                    &*known
                }
            };
            size = size.saturating_add(info.nar_size);
            waiting.extend(info.references.iter().cloned());
        }
        Ok((done, size))
    }

    fn references(
        &self,
        output: &str,
        info: &PathInfo,
        used: &BTreeSet<StorePath>,
        listed: &BTreeSet<Reference>,
        allowed: bool,
    ) -> Result<(), BuildError> {
        let mut paths = BTreeSet::new();
        for reference in listed {
            match reference {
                Reference::Path(path) => {
                    paths.insert(path);
                }
                Reference::Output(name) => match self.outputs.get(name) {
                    Some(info) => {
                        paths.insert(&info.path);
                    }
                    None => {
                        let valid: Vec<&str> = self.outputs.keys().map(String::as_str).collect();
                        return Err(BuildError::rejected(format!(
                            "derivation '{}' output check for '{output}' contains output name '{name}', \
                             but this is not a valid output of this derivation. (Valid outputs are [{}].)",
                            self.show(self.derivation_path),
                            valid.join(", ")
                        )));
                    }
                },
            }
        }
        let bad: String = used
            .iter()
            .filter(|path| paths.contains(path) != allowed)
            .map(|path| format!("\n  {}", self.show(path)))
            .collect();
        if bad.is_empty() {
            return Ok(());
        }
        Err(BuildError::rejected(format!(
            "output '{}' is not allowed to refer to the following paths:{bad}",
            self.show(&info.path)
        )))
    }
}
