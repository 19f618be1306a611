//! Checking a store, and rebuilding a lost database from what is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustc_hash::{FxHashMap, FxHashSet};

use super::LocalStore;
use crate::content_address::{ContentAddress, Method};
use crate::derivation::Derivation;
use crate::hash::{Algorithm, Format, Hash, Hasher};
use crate::lock::{LockKind, lock, open_lock_file};
use crate::nar::{self, read_directory};
use crate::path::StorePath;
use crate::progress::{self, Level};
use crate::rewriting::hash_modulo;
use crate::store::api::Store;
use crate::store::error::StoreError;
use crate::store::info::PathInfo;
use crate::store::references::{ReferenceScanner, Tee};

/// What rebuilding a database found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// Objects that had a row and keep it.
    pub kept: usize,
    /// Objects that got a row.
    pub restored: BTreeSet<StorePath>,
    /// Rows without contents, or with other contents than they say, that were removed.
    pub removed: BTreeSet<StorePath>,
    /// Names on disk that nothing vouches for: they get no row, and a collection will remove them.
    pub unknown: BTreeSet<Vec<u8>>,
}

fn complain(message: impl std::fmt::Display) {
    progress::log(Level::Error, message);
}

impl LocalStore {
    /// Names of objects in the store directory.
    fn names_on_disk(&self) -> Result<FxHashSet<StorePath>, StoreError> {
        Ok(read_directory(self.store_fd())
            .map_err(|e| StoreError::file("reading directory", &self.config.real_store_dir, e))?
            .iter()
            .filter_map(|(name, _)| StorePath::parse(name.as_bytes()).ok())
            .collect())
    }

    pub(super) fn verify_store(
        &self,
        check_contents: bool,
        repair: bool,
    ) -> Result<bool, StoreError> {
        progress::info("reading the Nix store...");
        self.register_pending()?;
        let lock_path = self.config.state_dir.join("gc.lock");
        let failed = |e| StoreError::file("locking", &lock_path, e);
        let gc_lock = open_lock_file(&lock_path).map_err(failed)?;
        lock(&gc_lock, LockKind::Read).map_err(failed)?;

        let mut errors = false;
        for line in self.with_db(|db| db.integrity())? {
            complain(format!("database: {line}"));
            errors = true;
        }
        let on_disk = self.names_on_disk()?;
        progress::info("checking path existence...");
        for text in self.with_db(|db| db.all_path_texts())? {
            if self.config.dir.parse(&text).is_err() {
                // Rows like this come from other store directories or from damage.
                progress::info(format!(
                    "path '{text}' is not in the Nix store, removing from database..."
                ));
                if self.with_db(|db| db.forget_text(&text)).is_err() {
                    complain(format!(
                        "path '{text}' cannot be removed: it has valid referrers"
                    ));
                    errors = true;
                }
            }
        }
        let valid = self.verify_existence(&on_disk, repair, &mut errors)?;
        if check_contents {
            progress::info("checking link hashes...");
            self.verify_links(repair, &mut errors)?;
            progress::info("checking store hashes...");
            self.verify_contents(&valid, repair, &mut errors)?;
        }
        drop(gc_lock);
        Ok(errors)
    }

    fn verify_existence(
        &self,
        on_disk: &FxHashSet<StorePath>,
        repair: bool,
        errors: &mut bool,
    ) -> Result<Vec<StorePath>, StoreError> {
        let all = self.with_db(|db| db.all_paths())?;
        let lost: BTreeSet<StorePath> = all
            .iter()
            .filter(|path| !on_disk.contains(*path))
            .cloned()
            .collect();
        if lost.is_empty() {
            return Ok(all);
        }
        // A lost object can be forgotten when all that refers to it is lost, too. Referrers first.
        let order = crate::store::closure::topological_paths(self, &lost)?;
        let mut kept = FxHashSet::default();
        for path in order {
            crate::interrupt::check()?;
            let shown = self.shown(&path);
            let needed = self
                .query_referrers(&path)?
                .iter()
                .any(|r| *r != path && (!lost.contains(r) || kept.contains(r)));
            if !needed {
                progress::info(format!(
                    "path '{shown}' disappeared, removing from database..."
                ));
                self.with_db(|db| db.forget(&path))?;
                self.forget_cached(&path);
                continue;
            }
            complain(format!(
                "path '{shown}' disappeared, but it still has valid referrers!"
            ));
            kept.insert(path.clone());
            *errors |= !self.try_repair(&path, repair);
        }
        Ok(all
            .into_iter()
            .filter(|path| on_disk.contains(path))
            .collect())
    }

    /// Repairs if that is wanted and possible; false when the error stays.
    fn try_repair(&self, path: &StorePath, repair: bool) -> bool {
        if !repair {
            return false;
        }
        match self.builder() {
            None => false,
            Some(builder) => match builder.repair_path(path) {
                Ok(()) => true,
                Err(error) => {
                    progress::warn(error);
                    false
                }
            },
        }
    }

    fn verify_links(&self, repair: bool, errors: &mut bool) -> Result<(), StoreError> {
        let links = self.config.real_store_dir.join(".links");
        let Ok(entries) = fs::read_dir(&links) else {
            return Ok(());
        };
        for entry in entries.flatten() {
            crate::interrupt::check()?;
            let hash = nar::dump(&entry.path(), Hasher::new(Algorithm::Sha256))?.finish();
            if hash.nix32().as_bytes() == entry.file_name().as_bytes() {
                continue;
            }
            complain(format!(
                "link '{}' was modified! expected hash {}, got '{}'",
                entry.path().display(),
                entry.file_name().display(),
                hash.nix32()
            ));
            if repair {
                let _ = fs::remove_file(entry.path());
                progress::info(format!("removed link '{}'", entry.path().display()));
            } else {
                *errors = true;
            }
        }
        Ok(())
    }

    fn verify_contents(
        &self,
        valid: &[StorePath],
        repair: bool,
        errors: &mut bool,
    ) -> Result<(), StoreError> {
        let found = AtomicBool::new(false);
        let next = AtomicUsize::new(0);
        let threads = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(8);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(path) = valid.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if crate::interrupt::is_set() {
                            return;
                        }
                        match self.verify_object(path, repair) {
                            Ok(true) => {}
                            Ok(false) => found.store(true, Ordering::Relaxed),
                            Err(error) => {
                                // It may have been collected meanwhile; then nothing is wrong with it.
                                if self.is_valid_uncached(path).unwrap_or(true) {
                                    complain(error);
                                } else {
                                    progress::warn(error);
                                }
                                found.store(true, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
        crate::interrupt::check()?;
        *errors |= found.into_inner();
        Ok(())
    }

    fn verify_object(&self, path: &StorePath, repair: bool) -> Result<bool, StoreError> {
        progress::talkative(format!("checking contents of '{}'", self.shown(path)));
        let info = self.path_info(path)?;
        let hasher = nar::dump(&self.physical(path), Hasher::new(Algorithm::Sha256))?;
        let size = hasher.bytes();
        let found = hasher.finish();
        let unknown = Hash::zero(Algorithm::Sha256);
        if info.nar_hash != unknown && info.nar_hash != found {
            complain(format!(
                "path '{}' was modified! expected hash '{}', got '{}'",
                self.shown(path),
                info.nar_hash.format(Format::Nix32, true),
                found.format(Format::Nix32, true)
            ));
            return Ok(self.try_repair(path, repair));
        }
        if info.nar_hash == unknown || info.nar_size == 0 {
            progress::info(format!(
                "fixing missing hash or size on '{}'",
                self.shown(path)
            ));
            let mut info = (*info).clone();
            info.nar_hash = found;
            info.nar_size = size;
            self.with_db(|db| db.update(&info))?;
            self.forget_cached(path);
        }
        Ok(true)
    }

    /// Rebuilds rows from what is on disk: rows whose contents are gone or differ are removed, and objects that
    /// something vouches for get rows: derivations and content-addressed sources by their own path, and outputs of
    /// those derivations, whose contents are taken as they are.
    /// `claims` are rows of a lost database; those that their contents prove get a row again.
    pub fn fsck(&self, claims: Vec<PathInfo>) -> Result<FsckReport, StoreError> {
        let mut report = FsckReport::default();
        self.register_pending()?;
        let lock_path = self.config.state_dir.join("gc.lock");
        let failed = |e| StoreError::file("locking", &lock_path, e);
        let gc_lock = open_lock_file(&lock_path).map_err(failed)?;
        lock(&gc_lock, LockKind::Write).map_err(failed)?;

        let on_disk = self.names_on_disk()?;
        let known: FxHashSet<StorePath> = self.with_db(|db| db.all_paths())?.into_iter().collect();
        for path in &known {
            let damaged =
                !on_disk.contains(path) || !matches!(self.verify_object(path, false), Ok(true));
            if damaged {
                report.removed.insert(path.clone());
            } else {
                report.kept += 1;
            }
        }
        // What refers to a removed object cannot stay either.
        let removed = std::mem::take(&mut report.removed);
        if !removed.is_empty() {
            let options = crate::store::closure::ClosureOptions {
                reverse: true,
                ..Default::default()
            };
            report.removed = self.closure(&removed, options)?;
            let order = crate::store::closure::topological_paths(self, &report.removed)?;
            self.with_db(|db| db.forget_all(&order))?;
            self.infos.write().clear();
            report.kept = known.len() - report.removed.len();
        }
        let candidates: Vec<&StorePath> = on_disk
            .iter()
            .filter(|path| !known.contains(path) || report.removed.contains(path))
            .filter(|path| !path.name().ends_with(".lock") && !path.name().ends_with(".chroot"))
            .collect();
        let mut infos = self.examine(&candidates, &on_disk)?;
        let mut claims: FxHashMap<StorePath, PathInfo> = claims
            .into_iter()
            .map(|claim| (claim.path.clone(), claim))
            .collect();
        let mut proven = FxHashSet::default();
        for (info, _) in &mut infos {
            if let Some(claim) = claims.remove(&info.path)
                && claim.nar_hash == info.nar_hash
            {
                proven.insert(info.path.clone());
                // A list of references that is empty may be one that could not be read.
                let found = std::mem::take(&mut info.references);
                *info = claim;
                if info.references.is_empty() {
                    info.references = found;
                }
            }
        }
        let kept: FxHashSet<StorePath> = known
            .iter()
            .filter(|path| !report.removed.contains(*path))
            .cloned()
            .collect();
        let accepted = vouched_for(infos, &kept, &proven, &self.known_derivers(&kept));
        for path in candidates {
            if !accepted.contains_key(path) {
                report.unknown.insert(path.to_string().into_bytes());
            }
        }
        let restored: BTreeSet<StorePath> = accepted.keys().cloned().collect();
        let order = crate::store::closure::topological_order(&restored, |path| {
            Ok(accepted
                .get(path)
                .map(|info| info.references.clone())
                .unwrap_or_default())
        })?;
        // References first, so that one bad derivation costs only itself and what needs it.
        for path in order.iter().rev() {
            if let Some(info) = accepted.get(path) {
                match self.register(std::slice::from_ref(info)) {
                    Ok(()) => {
                        report.restored.insert(path.clone());
                    }
                    Err(error) => {
                        progress::warn(error);
                        report.unknown.insert(path.to_string().into_bytes());
                    }
                }
            }
        }
        report
            .removed
            .retain(|path| !report.restored.contains(path));
        Ok(report)
    }

    /// Which derivations with a row build what.
    fn known_derivers(&self, kept: &FxHashSet<StorePath>) -> FxHashMap<StorePath, StorePath> {
        let mut derivers = FxHashMap::default();
        for path in kept.iter().filter(|path| path.is_derivation()) {
            if let Ok(derivation) = self.read_derivation(path) {
                add_derivers(&mut derivers, path, &derivation);
            }
        }
        derivers
    }

    /// Hashes objects and finds what they refer to.
    fn examine(
        &self,
        candidates: &[&StorePath],
        on_disk: &FxHashSet<StorePath>,
    ) -> Result<Vec<(PathInfo, Option<Derivation>)>, StoreError> {
        let mut infos = Vec::new();
        for path in candidates {
            crate::interrupt::check()?;
            let place = self.physical(path);
            let sink = Tee(
                Hasher::new(Algorithm::Sha256),
                ReferenceScanner::new(on_disk),
            );
            let Ok(Tee(hasher, scanner)) = nar::dump(&place, sink) else {
                continue;
            };
            let size = hasher.bytes();
            let mut info = PathInfo::new((*path).clone(), hasher.finish(), size);
            info.references = scanner.found();
            let derivation = path.derivation_name().ok().and_then(|name| {
                let text = fs::read(&place).ok()?;
                Derivation::parse(&self.config.dir, &text, name).ok()
            });
            if let Some(derivation) = &derivation {
                info.references = derivation.references();
            }
            info.content_address = self.find_address(&info, &place);
            infos.push((info, derivation));
        }
        Ok(infos)
    }

    /// The content address from which the object's path follows, if one does.
    fn find_address(&self, info: &PathInfo, place: &Path) -> Option<ContentAddress> {
        let mut addresses = vec![ContentAddress {
            method: Method::NixArchive,
            hash: info.nar_hash,
        }];
        if fs::symlink_metadata(place).is_ok_and(|m| m.is_file())
            && let Ok(file) = super::open_regular(place)
            && let Ok((hash, _)) = Hash::of_reader(Algorithm::Sha256, file)
        {
            addresses.push(ContentAddress {
                method: Method::Text,
                hash,
            });
            addresses.push(ContentAddress {
                method: Method::Flat,
                hash,
            });
        }
        if info.references.contains(&info.path)
            && let Ok(hash) = hash_modulo(
                place,
                Method::NixArchive,
                Algorithm::Sha256,
                Some(&info.path),
            )
        {
            addresses.push(ContentAddress {
                method: Method::NixArchive,
                hash,
            });
        }
        addresses.into_iter().find(|address| {
            let mut claim = info.clone();
            claim.content_address = Some(*address);
            claim
                .is_content_addressed(&self.config.dir)
                .unwrap_or(false)
        })
    }
}

fn add_derivers(
    derivers: &mut FxHashMap<StorePath, StorePath>,
    path: &StorePath,
    derivation: &Derivation,
) {
    for output in derivation.outputs.values() {
        if let crate::derivation::Output::InputAddressed(output) = output {
            derivers.insert(output.clone(), path.clone());
        }
    }
}

/// Objects that vouch for themselves or are outputs of derivations that do, as far as all they refer to is there.
fn vouched_for(
    infos: Vec<(PathInfo, Option<Derivation>)>,
    kept: &FxHashSet<StorePath>,
    proven: &FxHashSet<StorePath>,
    known_derivers: &FxHashMap<StorePath, StorePath>,
) -> BTreeMap<StorePath, PathInfo> {
    let mut derivers = known_derivers.clone();
    for (info, derivation) in &infos {
        if info.content_address.is_none() {
            continue;
        }
        if let Some(derivation) = derivation {
            add_derivers(&mut derivers, &info.path, derivation);
        }
    }
    let mut accepted: BTreeMap<StorePath, PathInfo> = infos
        .into_iter()
        .filter_map(|(mut info, _)| {
            let deriver = derivers.get(&info.path).cloned();
            let vouched =
                proven.contains(&info.path) || info.content_address.is_some() || deriver.is_some();
            info.deriver = info.deriver.or(deriver);
            vouched.then(|| (info.path.clone(), info))
        })
        .collect();
    loop {
        let before = accepted.len();
        let bad: Vec<StorePath> = accepted
            .values()
            .filter(|info| {
                info.references
                    .iter()
                    .any(|r| !accepted.contains_key(r) && !kept.contains(r))
            })
            .map(|info| info.path.clone())
            .collect();
        for path in &bad {
            accepted.remove(path);
        }
        if accepted.len() == before {
            return accepted;
        }
    }
}
