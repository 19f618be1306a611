//! The paths that a builder is told to write to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{BuildError, Job, KnownOutputs, PathStatus, Workspace};
use crate::content_address::output_path_name;
use crate::derivation::output_placeholder;
use crate::hash::{Algorithm, Hash};
use crate::path::StorePath;
use crate::remove::remove_tree;

/// Paths that the builder is told, and what follows from them.
pub(super) struct Scratch {
    /// By output.
    pub(super) paths: BTreeMap<String, StorePath>,
    /// Placeholders and hash parts that are replaced in what the builder is told.
    pub(super) rewrites: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Stand-ins for valid paths, removed in the end.
    pub(super) redirected: Vec<StorePath>,
}

impl Job<'_> {
    /// Where the scratch paths are on the host.
    pub(super) fn scratch_dir(&self, workspace: &Workspace) -> PathBuf {
        match &workspace.chroot {
            Some(chroot) => chroot.join("store"),
            None => self.store.real_dir().to_owned(),
        }
    }

    /// A builder without a root of its own cannot write to paths that are valid, so it gets others.
    pub(super) fn choose_scratch_paths(
        &self,
        known: &KnownOutputs,
        isolated: bool,
    ) -> Result<Scratch, BuildError> {
        let mut scratch = Scratch {
            paths: BTreeMap::new(),
            rewrites: BTreeMap::new(),
            redirected: Vec::new(),
        };
        for (name, output) in known {
            let path = match output {
                None => self.fallback_path(
                    &format!(
                        "rewrite:{}:name:{name}",
                        self.request.derivation_path.base_name()
                    ),
                    &output_path_name(&self.request.derivation.name, name),
                )?,
                Some(output) if isolated || output.status == PathStatus::Absent => {
                    output.path.clone()
                }
                Some(output) => {
                    let path = self.fallback_path(
                        &format!(
                            "rewrite:{}:{}",
                            self.request.derivation_path.base_name(),
                            output.path.base_name()
                        ),
                        output.path.name(),
                    )?;
                    scratch.rewrites.insert(
                        output.path.hash_part().as_bytes().to_vec(),
                        path.hash_part().as_bytes().to_vec(),
                    );
                    scratch.redirected.push(path.clone());
                    path
                }
            };
            if !isolated {
                let stale = output.as_ref().is_none_or(|output| output.path != path);
                if stale {
                    remove_tree(&self.real(&path)).map_err(BuildError::misc)?;
                }
            }
            scratch.rewrites.insert(
                output_placeholder(name).into_bytes(),
                self.store.dir().print(&path),
            );
            scratch.paths.insert(name.clone(), path);
        }
        Ok(scratch)
    }

    /// A path that no derivation and no content has.
    pub(super) fn fallback_path(&self, kind: &str, name: &str) -> Result<StorePath, BuildError> {
        let zero = Hash::zero(Algorithm::Sha256);
        self.store
            .dir()
            .make_store_path(kind.as_bytes(), &zero, name)
            .map_err(BuildError::misc)
    }
}
