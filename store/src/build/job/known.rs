//! The outputs of a derivation before it is built: their paths, as far as they are known, and what is there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Attempt, BuildError, BuildMode, Job};
use crate::path::StorePath;
use crate::remove::remove_tree;

/// Outputs by name; those whose path only their content will tell have none.
pub type KnownOutputs = BTreeMap<String, Option<KnownOutput>>;

/// An output path that is known before building.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOutput {
    /// The path.
    pub path: StorePath,
    /// What is there.
    pub status: PathStatus,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathStatus {
    /// Nothing valid.
    Absent,
    /// What should be.
    Valid,
    /// It is registered, but its contents have changed.
    Corrupt,
}

impl Job<'_> {
    /// Outputs with their paths and what is there, as far as that is known before building.
    pub(super) fn known_outputs(&self) -> Result<KnownOutputs, BuildError> {
        let request = self.request;
        let mut known = BTreeMap::new();
        for (name, output) in &request.derivation.outputs {
            let path = if request.kind.is_impure() {
                None
            } else {
                let declared = output
                    .path(self.store.dir(), &request.derivation.name, name)
                    .map_err(BuildError::misc)?;
                match declared {
                    Some(path) => Some(path),
                    None => self.store.realisation(&request.derivation_path, name)?,
                }
            };
            let output = match path {
                None => None,
                Some(path) => {
                    let status = if !self.store.is_valid(&path)? {
                        PathStatus::Absent
                    } else if request.mode == BuildMode::Repair
                        && !self.store.contents_are_good(&path)?
                    {
                        PathStatus::Corrupt
                    } else {
                        PathStatus::Valid
                    };
                    Some(KnownOutput { path, status })
                }
            };
            known.insert(name.clone(), output);
        }
        Ok(known)
    }

    /// What is locked while they are built.
    pub(super) fn lock_paths(&self, known: &KnownOutputs) -> Vec<PathBuf> {
        known
            .iter()
            .map(|(name, output)| match output {
                Some(output) => self.real(&output.path),
                None => self.store.real_dir().join(format!(
                    "{}.{name}",
                    self.request.derivation_path.base_name()
                )),
            })
            .collect()
    }

    /// What was built meanwhile and need not be built again; otherwise the way is cleared for the builder.
    pub(super) fn already_there(
        &self,
        known: &KnownOutputs,
    ) -> Result<Option<Attempt>, BuildError> {
        if self.request.mode == BuildMode::Check {
            return Ok(None);
        }
        if let Some(valid) = all_valid(known) {
            return Ok(Some(Attempt::AlreadyValid(valid)));
        }
        for output in known.values().flatten() {
            if output.status == PathStatus::Absent {
                remove_tree(&self.real(&output.path)).map_err(BuildError::misc)?;
            }
        }
        Ok(None)
    }
}

fn all_valid(known: &KnownOutputs) -> Option<BTreeMap<String, StorePath>> {
    known
        .iter()
        .map(|(name, output)| match output {
            Some(output) if output.status == PathStatus::Valid => {
                Some((name.clone(), output.path.clone()))
            }
            _ => None,
        })
        .collect()
}
