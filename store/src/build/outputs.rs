//! From what a builder has left to registered outputs.
//!
//! ```text
//! each output: exists, plausible owner -> canonical metadata -> one pass: archive hash + references
//! all:         order by references among themselves
//! each:        content address, final path, hash parts replaced if the build ran under others
//! all:         checks; the caller registers them at once
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::BuildMode;
use super::backend::Backend;
use super::checks::check_outputs;
use super::copy::{copy_tree, move_into_place};
use super::error::{BuildError, FailureKind};
use super::hooks;
use super::job::{KnownOutputs, PathStatus};
use super::options::Options;
use crate::canonical::{CanonicalOptions, InodesSeen, canonicalise};
use crate::content_address::{ContentAddress, Method, References, output_path_name};
use crate::derivation::{BasicDerivation, Output};
use crate::hash::{Algorithm, Hash};
use crate::lock::PathLocks;
use crate::nar;
use crate::parallel_hash::ParallelHasher;
use crate::path::StorePath;
use crate::remove::remove_tree;
use crate::rewriting::{Rewrites, hash_modulo};
use crate::settings::Settings;
use crate::store::PathInfo;
use crate::store::references::{ReferenceScanner, Tee};

/// A build whose builder has succeeded.
pub struct FinishedBuild<'a> {
    /// The store.
    pub store: &'a dyn Backend,
    /// The user's settings.
    pub settings: &'a Settings,
    /// The derivation.
    pub derivation_path: &'a StorePath,
    /// What was built.
    pub derivation: &'a BasicDerivation,
    /// Its options.
    pub options: &'a Options,
    /// Why it was built.
    pub mode: BuildMode,
    /// The outputs as far as they were known before.
    pub known: &'a KnownOutputs,
    /// The paths that the builder was told.
    pub scratch: &'a BTreeMap<String, StorePath>,
    /// Where those are on the host.
    pub scratch_dir: &'a Path,
    /// What may be referred to.
    pub inputs: &'a BTreeSet<StorePath>,
    /// Users that outputs must belong to.
    pub owners: Option<Range<u32>>,
    /// Whether processes outside of the sandbox could have got hold of the files.
    pub exposed: bool,
    /// The build directory, for the diff hook.
    pub build_dir: &'a Path,
}

/// An output after the first look.
struct Looked {
    actual: PathBuf,
    nar_hash: Hash,
    nar_size: u64,
    references: BTreeSet<StorePath>,
    regular: bool,
    executable: bool,
}

/// A directory of ours within the store's file system, removed in the end.
struct PrivateDir(PathBuf);

impl Drop for PrivateDir {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.0) {
            crate::progress::warn(format!("cannot remove '{}': {error}", self.0.display()));
        }
    }
}

/// Work on one set of outputs.
struct Registration<'a> {
    build: &'a FinishedBuild<'a>,
    seen: InodesSeen,
    /// Hash parts of scratch paths and those of the final paths.
    rewrites: Rewrites,
    /// Copies live here until they are moved.
    private: Option<PrivateDir>,
    copies: usize,
    locks: Vec<PathLocks>,
}

/// Outputs in their final places.
pub struct Finished {
    /// The final paths by output.
    pub paths: BTreeMap<String, StorePath>,
    /// What remains to be registered.
    pub unregistered: Vec<PathInfo>,
}

/// Checks the outputs and moves them into place.
pub fn finish_outputs(build: &FinishedBuild<'_>) -> Result<Finished, BuildError> {
    let mut registration = Registration {
        build,
        seen: InodesSeen::default(),
        rewrites: Rewrites::new(),
        private: None,
        copies: 0,
        locks: Vec::new(),
    };
    registration.run()
}

impl Registration<'_> {
    fn show(&self, path: &StorePath) -> String {
        self.build.store.dir().display(path).to_string()
    }

    fn real(&self, path: &StorePath) -> PathBuf {
        self.build.store.real_dir().join(path.base_name())
    }

    fn run(&mut self) -> Result<Finished, BuildError> {
        let build = self.build;
        let mut finals = BTreeMap::new();
        let mut looked = BTreeMap::new();
        for name in build.derivation.outputs.keys() {
            let known = build.known.get(name).and_then(Option::as_ref);
            match known {
                Some(known)
                    if build.mode != BuildMode::Check && known.status == PathStatus::Valid =>
                {
                    self.finish(name, &known.path);
                    finals.insert(name.clone(), known.path.clone());
                }
                _ => {
                    looked.insert(name.clone(), self.look_at(name)?);
                }
            }
        }
        let mut infos = BTreeMap::new();
        for name in self.order(&looked)? {
            if let Some(output) = looked.remove(&name) {
                let (info, actual) = self.settle(&name, output)?;
                self.place(&info, &actual)?;
                if build.mode != BuildMode::Check {
                    self.finish(&name, &info.path);
                    // Content that is right but was not asked for is kept: the next attempt, with
                    // the hash corrected, need not make it again.
                    if info.content_address.is_some() {
                        build.store.register(std::slice::from_ref(&info))?;
                    }
                }
                infos.insert(name, info);
            }
        }
        check_outputs(
            build.store,
            build.derivation_path,
            build.derivation,
            &build.options.checks,
            &infos,
        )?;
        let unregistered = infos
            .values()
            .filter(|info| info.content_address.is_none() && build.mode != BuildMode::Check)
            .cloned()
            .collect();
        finals.extend(infos.into_iter().map(|(name, info)| (name, info.path)));
        Ok(Finished {
            paths: finals,
            unregistered,
        })
    }

    /// From now on, references to the scratch path mean the final one.
    fn finish(&mut self, name: &str, path: &StorePath) {
        if let Some(scratch) = self.build.scratch.get(name)
            && scratch != path
        {
            self.rewrites.insert(
                *scratch.hash_part().as_bytes(),
                *path.hash_part().as_bytes(),
            );
        }
    }

    /// Normalises an output, then hashes and scans it in one pass.
    fn look_at(&mut self, name: &str) -> Result<Looked, BuildError> {
        let build = self.build;
        let scratch = build
            .scratch
            .get(name)
            .ok_or_else(|| BuildError::misc(format!("no path was chosen for output '{name}'")))?;
        let actual = build.scratch_dir.join(scratch.base_name());
        let status = match rustix::fs::lstat(&actual) {
            Ok(status) => status,
            Err(rustix::io::Errno::NOENT) => {
                return Err(BuildError::rejected(format!(
                    "builder for '{}' failed to produce output path for output '{name}' at '{}'",
                    self.show(build.derivation_path),
                    actual.display()
                )));
            }
            Err(error) => {
                return Err(BuildError::misc(format!("'{}': {error}", actual.display())));
            }
        };
        let kind = rustix::fs::FileType::from_raw_mode(status.st_mode);
        let link = kind == rustix::fs::FileType::Symlink;
        let foreign = build
            .owners
            .as_ref()
            .is_some_and(|owners| !owners.contains(&status.st_uid));
        if (!link && status.st_mode & 0o022 != 0) || foreign {
            return Err(BuildError::rejected(format!(
                "suspicious ownership or permission on '{}' for output '{name}'; rejecting this build output",
                actual.display()
            )));
        }
        let options = CanonicalOptions {
            uid_range: build
                .owners
                .as_ref()
                .map(|owners| owners.start..=owners.end.saturating_sub(1)),
            ignored_acls: build.settings.ignored_acls.iter().cloned().collect(),
        };
        canonicalise(&actual, &options, &mut self.seen)
            .map_err(|error| BuildError::rejected(error.to_string()))?;
        // Whatever the builder may have given away, we go on with inodes that are ours alone.
        let actual = if build.exposed {
            let fresh = self.fresh_place()?;
            copy_tree(&actual, &fresh, &Rewrites::new()).map_err(BuildError::misc)?;
            fresh
        } else {
            actual
        };
        let discard = build
            .options
            .discard_references
            .get(name)
            .copied()
            .unwrap_or(false);
        let wanted: Vec<&StorePath> = if discard {
            Vec::new()
        } else {
            build.inputs.iter().chain(build.scratch.values()).collect()
        };
        let (nar_hash, nar_size, references) = hash_and_scan(&actual, &wanted)?;
        Ok(Looked {
            actual,
            nar_hash,
            nar_size,
            references,
            regular: kind == rustix::fs::FileType::RegularFile,
            executable: status.st_mode & 0o100 != 0,
        })
    }

    /// The outputs so that each comes after those it refers to.
    fn order(&self, looked: &BTreeMap<String, Looked>) -> Result<Vec<String>, BuildError> {
        let by_path: BTreeMap<&StorePath, &String> = self
            .build
            .scratch
            .iter()
            .filter(|(name, _)| looked.contains_key(*name))
            .map(|(name, path)| (path, name))
            .collect();
        let needs = |name: &String| -> Vec<&String> {
            looked
                .get(name)
                .into_iter()
                .flat_map(|output| &output.references)
                .filter_map(|path| by_path.get(path).copied())
                .filter(|other| *other != name)
                .collect()
        };
        let mut done: Vec<String> = Vec::new();
        let mut left: Vec<&String> = looked.keys().collect();
        while !left.is_empty() {
            let before = left.len();
            left.retain(|name| {
                let ready = needs(name).into_iter().all(|need| done.contains(need));
                if ready {
                    done.push((*name).clone());
                }
                !ready
            });
            if left.len() == before {
                // Everything left is in a cycle or needs one: follow references until one repeats.
                let mut way = vec![left[0]];
                while let Some(next) = way
                    .last()
                    .and_then(|name| needs(name).into_iter().find(|need| left.contains(need)))
                {
                    if way.contains(&next) {
                        let parent = way.last().map_or("", |name| name.as_str());
                        return Err(BuildError::rejected(format!(
                            "cycle detected in build of '{}' in the references of output '{next}' from output '{parent}'",
                            self.show(self.build.derivation_path)
                        )));
                    }
                    way.push(next);
                }
                return Err(BuildError::rejected(format!(
                    "cycle detected in build of '{}' in the references of its outputs",
                    self.show(self.build.derivation_path)
                )));
            }
        }
        Ok(done)
    }

    /// What is registered of an output, and where its final contents are now.
    fn settle(&mut self, name: &str, looked: Looked) -> Result<(PathInfo, PathBuf), BuildError> {
        let declared = self
            .build
            .derivation
            .outputs
            .get(name)
            .ok_or_else(|| BuildError::misc(format!("unknown output '{name}'")))?;
        let (mut info, actual) = match declared {
            Output::InputAddressed(path) => self.input_addressed(name, looked, path)?,
            Output::Fixed(address) => {
                self.content_addressed(name, looked, address.method, address.hash.algorithm())?
            }
            Output::Floating { method, algorithm } | Output::Impure { method, algorithm } => {
                self.content_addressed(name, looked, *method, *algorithm)?
            }
            Output::Deferred => {
                return Err(BuildError::misc(format!(
                    "output '{name}' of '{}' depends on paths that are not known",
                    self.show(self.build.derivation_path)
                )));
            }
        };
        info.deriver = Some(self.build.derivation_path.clone());
        info.ultimate = true;
        Ok((info, actual))
    }

    fn input_addressed(
        &mut self,
        name: &str,
        looked: Looked,
        path: &StorePath,
    ) -> Result<(PathInfo, PathBuf), BuildError> {
        self.finish(name, path);
        let references = self.final_references(&looked.references, None).0;
        let (actual, nar_hash, nar_size) = if self.rewrites.is_empty() {
            (looked.actual, looked.nar_hash, looked.nar_size)
        } else {
            let actual = self.rewrite(&looked.actual, &self.rewrites.clone())?;
            let (hash, size, _) = hash_and_scan(&actual, &[])?;
            (actual, hash, size)
        };
        let info = PathInfo {
            references,
            ..PathInfo::new(path.clone(), nar_hash, nar_size)
        };
        Ok((info, actual))
    }

    fn content_addressed(
        &mut self,
        name: &str,
        looked: Looked,
        method: Method,
        algorithm: Algorithm,
    ) -> Result<(PathInfo, PathBuf), BuildError> {
        let build = self.build;
        let scratch = build.scratch[name].clone();
        let flat = matches!(method, Method::Flat | Method::Text);
        if flat && (!looked.regular || looked.executable) {
            return Err(BuildError::rejected(format!(
                "output path '{}' should be a non-executable regular file since recursive hashing is not enabled (one of outputHashMode={{flat,text}} is true)",
                looked.actual.display()
            )));
        }
        let mut actual = looked.actual;
        let mut changed = false;
        if !self.rewrites.is_empty() {
            actual = self.rewrite(&actual, &self.rewrites.clone())?;
            changed = true;
        }
        let own = scratch.hash_part();
        let hash = hash_modulo(&actual, method, algorithm, Some(&scratch))
            .map_err(|error| BuildError::rejected(error.to_string()))?;
        let (others, own_reference) = self.final_references(&looked.references, Some(&scratch));
        let references = References {
            others,
            self_reference: own_reference,
        };
        let address = ContentAddress { method, hash };
        let path = build
            .store
            .dir()
            .make_content_path(
                &output_path_name(&build.derivation.name, name),
                &address,
                &references,
            )
            .map_err(|error| BuildError::rejected(error.to_string()))?;
        if own_reference && path != scratch {
            let mut rewrites = Rewrites::new();
            rewrites.insert(*own.as_bytes(), *path.hash_part().as_bytes());
            actual = self.rewrite(&actual, &rewrites)?;
            changed = true;
        }
        let (nar_hash, nar_size) = if changed {
            let (hash, size, _) = hash_and_scan(&actual, &[])?;
            (hash, size)
        } else {
            (looked.nar_hash, looked.nar_size)
        };
        self.lock_new_path(name, &path, &actual, &address)?;
        let mut all = references.others;
        if own_reference {
            all.insert(path.clone());
        }
        let info = PathInfo {
            references: all,
            content_address: Some(address),
            ..PathInfo::new(path, nar_hash, nar_size)
        };
        Ok((info, actual))
    }

    /// References with scratch paths replaced; those to `own` are told apart.
    fn final_references(
        &self,
        found: &BTreeSet<StorePath>,
        own: Option<&StorePath>,
    ) -> (BTreeSet<StorePath>, bool) {
        let mut others = BTreeSet::new();
        let mut self_reference = false;
        for path in found {
            if Some(path) == own {
                self_reference = true;
                continue;
            }
            let replaced = self
                .rewrites
                .get(path.hash_part().as_bytes())
                .and_then(|hash| {
                    let text = [hash, b"-", path.name().as_bytes()].concat();
                    StorePath::parse(text).ok()
                });
            others.insert(replaced.unwrap_or_else(|| path.clone()));
        }
        (others, self_reference)
    }

    /// A content-addressed path that was not known before is locked before it is put in place.
    fn lock_new_path(
        &mut self,
        name: &str,
        path: &StorePath,
        actual: &Path,
        got: &ContentAddress,
    ) -> Result<(), BuildError> {
        let build = self.build;
        let expected = build.known.get(name).and_then(Option::as_ref);
        if expected.is_some_and(|known| known.path == *path) {
            return Ok(());
        }
        let fixed = match build.derivation.outputs.get(name) {
            Some(Output::Fixed(wanted)) => Some(wanted),
            _ => None,
        };
        loop {
            match PathLocks::try_acquire([self.real(path)]).map_err(BuildError::misc)? {
                Some(mut locks) => {
                    locks.set_deletion(true);
                    self.locks.push(locks);
                    return Ok(());
                }
                // Whoever holds it may wait for us, and this output is wrong anyway.
                None if fixed.is_some() => {
                    remove_tree(actual).map_err(BuildError::misc)?;
                    return Err(BuildError::new(
                        FailureKind::HashMismatch,
                        format!(
                            "hash mismatch in fixed-output derivation '{}':\n  specified: {}\n     got:    {}",
                            self.show(build.derivation_path),
                            fixed.map_or_else(String::new, |wanted| wanted.hash.sri()),
                            got.hash.sri()
                        ),
                    ));
                }
                None => {
                    crate::interrupt::check().map_err(|_| BuildError::cancelled())?;
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
            }
        }
    }

    fn fresh_place(&mut self) -> Result<PathBuf, BuildError> {
        let directory = match &self.private {
            Some(directory) => directory.0.clone(),
            None => {
                let directory = tempfile::Builder::new()
                    .prefix("tmp-")
                    .tempdir_in(self.build.store.real_dir())
                    .map_err(BuildError::misc)?
                    .keep();
                self.private = Some(PrivateDir(directory.clone()));
                directory
            }
        };
        self.copies += 1;
        Ok(directory.join(self.copies.to_string()))
    }

    fn rewrite(&mut self, actual: &Path, rewrites: &Rewrites) -> Result<PathBuf, BuildError> {
        let fresh = self.fresh_place()?;
        copy_tree(actual, &fresh, rewrites).map_err(BuildError::misc)?;
        remove_tree(actual).map_err(BuildError::misc)?;
        Ok(fresh)
    }

    /// Moves an output to its final place, or compares it with what is there.
    fn place(&mut self, info: &PathInfo, actual: &Path) -> Result<(), BuildError> {
        let destination = self.real(&info.path);
        match self.build.mode {
            BuildMode::Check => return self.compare(info, actual),
            BuildMode::Repair => {
                if destination != actual {
                    replace(actual, &destination).map_err(BuildError::misc)?;
                }
            }
            BuildMode::Normal => {
                if destination == actual {
                } else if self.build.store.is_valid(&info.path)? {
                    // The same content was made by something else before.
                    remove_tree(actual).map_err(BuildError::misc)?;
                } else {
                    remove_tree(&destination).map_err(BuildError::misc)?;
                    move_into_place(actual, &destination).map_err(|error| {
                        BuildError::misc(format!(
                            "moving '{}' to '{}': {error}",
                            actual.display(),
                            destination.display()
                        ))
                    })?;
                }
            }
        }
        Ok(self.build.store.optimise(&info.path)?)
    }

    /// A repeated build must give the same.
    fn compare(&self, info: &PathInfo, actual: &Path) -> Result<(), BuildError> {
        let build = self.build;
        if !build.store.is_valid(&info.path)? {
            return Ok(());
        }
        let mut old = (*build.store.info(&info.path)?).clone();
        if old.nar_hash == info.nar_hash {
            if !old.ultimate {
                old.ultimate = true;
                build.store.register(&[old])?;
            }
            return Ok(());
        }
        let derivation = self.show(build.derivation_path);
        let first = self.real(&info.path);
        let hook = build
            .settings
            .run_diff_hook
            .then_some(build.settings.diff_hook.as_ref())
            .flatten();
        if hook.is_none() && !build.settings.keep_failed {
            return Err(BuildError::new(
                FailureKind::NotDeterministic,
                format!(
                    "derivation '{derivation}' may not be deterministic: output \"{}\" differs",
                    first.display()
                ),
            ));
        }
        let mut second = first.clone().into_os_string();
        second.push(".check");
        let second = PathBuf::from(second);
        remove_tree(&second).map_err(BuildError::misc)?;
        move_into_place(actual, &second).map_err(BuildError::misc)?;
        if let Some(hook) = hook {
            hooks::run_diff_hook(
                hook,
                build.owners.as_ref().map(|owners| owners.start),
                &first,
                &second,
                &derivation,
                build.build_dir,
            );
        }
        Err(BuildError::new(
            FailureKind::NotDeterministic,
            format!(
                "derivation '{derivation}' may not be deterministic: output \"{}\" differs from \"{}\"",
                first.display(),
                second.display()
            ),
        ))
    }
}

/// Exchanges a path for a repaired one with as little time between as possible.
fn replace(new: &Path, destination: &Path) -> io::Result<()> {
    let mut aside = destination.as_os_str().to_owned();
    aside.push(format!(".old-{}", std::process::id()));
    let aside = PathBuf::from(aside);
    let existed = destination.symlink_metadata().is_ok();
    if existed {
        remove_tree(&aside)?;
        move_into_place(destination, &aside)?;
    }
    if let Err(error) = move_into_place(new, destination) {
        if existed {
            move_into_place(&aside, destination)?;
        }
        return Err(error);
    }
    if existed {
        remove_tree(&aside)?;
    }
    Ok(())
}

fn hash_and_scan(
    path: &Path,
    wanted: &[&StorePath],
) -> Result<(Hash, u64, BTreeSet<StorePath>), BuildError> {
    let sink = Tee(
        ParallelHasher::new(Algorithm::Sha256),
        ReferenceScanner::new(wanted.iter().copied()),
    );
    let Tee(hasher, scanner) =
        nar::dump(path, sink).map_err(|error| BuildError::rejected(error.to_string()))?;
    let hasher = hasher.finish().map_err(BuildError::misc)?;
    let size = hasher.bytes();
    Ok((hasher.finish(), size, scanner.found()))
}
