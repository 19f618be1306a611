//! The store on this machine's disk.
//!
//! ```text
//! store dir   <digest>-<name>   objects         state dir   db/db.sqlite, schema, big-lock, reserved
//!             <path>.lock       locks                       gc.lock, gc-socket/socket, temproots/<pid>
//!             .links/<hash>     deduplication               gcroots/, profiles/
//!             tmp-<pid>-<n>/    additions   log dir     drvs/<xx>/<rest>.drv.bz2
//! ```
//!
//! Invariant: whatever has a row in the database has complete contents on disk, and everything it refers to has a row.
//! So contents are put in place first and registered last, and rows are deleted before contents.
//!
//! | file | what |
//! |---|---|
//! | `config` | where the store is and how it behaves |
//! | `db` | the database |
//! | `layout` | directories, reserved space, schema: what is there before the database |
//! | `graph` | closures and orders over references |
//! | `add` | adding objects |
//! | `spool` | archives of unknown size on their way into the store |
//! | `temp_roots` | objects that running processes need |
//! | `roots` | finding roots, making them |
//! | `gc` | collecting garbage |
//! | `optimise` | linking identical files |
//! | `verify` | checking, and rebuilding a lost database |
//! | `salvage` | what can still be read of a damaged one |
//! | `logs` | build logs |

mod add;
mod config;
#[cfg(test)]
mod crash_tests;
pub mod db;
mod gc;
mod graph;
mod layout;
mod logs;
mod optimise;
mod roots;
mod salvage;
mod spool;
mod temp_roots;
#[cfg(test)]
mod tests;
mod usage;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use rustc_hash::{FxHashMap, FxHashSet};

use super::api::{
    AddFlags, Addition, BuildMode, Builder, Contents, GcOptions, GcResults, Roots, Store,
};
use super::closure::ClosureOptions;
use super::derived::DerivedPath;
use super::error::StoreError;
use super::info::PathInfo;
use super::realisation::{DrvOutput, Realisation};
use super::signature::Signature;
use crate::derivation::{Derivation, DerivationError, HashModulo};
use crate::lock::{LockKind, lock, open_lock_file};
use crate::nar;
use crate::path::{StoreDir, StorePath};

pub use config::LocalConfig;
pub use db::SCHEMA;
use db::{Database, Mode};
pub use usage::{RootUsage, Usage};
pub use verify::FsckReport;

/// A store on this machine's disk.
pub struct LocalStore {
    config: LocalConfig,
    db: Mutex<Database>,
    /// Objects whose contents are in place and that wait to be registered together.
    pending: Mutex<Pending>,
    infos: RwLock<FxHashMap<StorePath, Arc<PathInfo>>>,
    modulos: RwLock<FxHashMap<StorePath, HashModulo>>,
    temp_roots: temp_roots::TempRoots,
    builder: OnceLock<Arc<dyn Builder>>,
    /// Paths whose locks this process's builder holds, so adding them must not lock.
    locks_held: RwLock<FxHashSet<StorePath>>,
    /// Held shared as long as the store is open.
    _big_lock: Option<File>,
    store_fd: OwnedFd,
    syncs: Syncs,
    temp_counter: AtomicU64,
    gc_clock: Mutex<gc::AutoGc>,
}

#[derive(Default)]
struct Pending {
    infos: Vec<PathInfo>,
    /// Outputs of those that are derivations, in the same order as `infos`.
    outputs: FxHashMap<StorePath, Vec<(String, StorePath)>>,
    paths: FxHashSet<StorePath>,
}

/// Objects that are registered together at most.
const BATCH: usize = 500;

/// Group commit: threads that want contents on disk share the system call.
#[derive(Default)]
struct Syncs {
    requested: AtomicU64,
    done: Mutex<u64>,
}

impl LocalStore {
    /// Opens the store, and makes it if there is none.
    pub fn open(config: LocalConfig) -> Result<Self, StoreError> {
        let db_dir = config.state_dir.join("db");
        let mut big_lock = None;
        if !config.read_only {
            layout::prepare_directories(&config, &db_dir)?;
        }
        if !config.allow_symlinks {
            layout::refuse_symlinks(&config.real_store_dir)?;
        }
        let schema_file = db_dir.join("schema");
        if !config.read_only {
            layout::reserve_space(&db_dir.join("reserved"), config.reserved_space);
            let path = db_dir.join("big-lock");
            let file = open_lock_file(&path).map_err(|e| match e.kind() {
                std::io::ErrorKind::PermissionDenied => StoreError::NotOurs {
                    path: path.display().to_string(),
                    error: e,
                },
                _ => StoreError::file("opening lock file", &path, e),
            })?;
            lock(&file, LockKind::Read).map_err(|e| StoreError::file("locking", &path, e))?;
            big_lock = Some(file);
        }
        let schema = layout::read_schema(&schema_file)?;
        let mode = match schema {
            None if config.read_only => {
                return Err(StoreError::ReadOnly(
                    "database does not exist, and cannot be created in read-only mode",
                ));
            }
            None => Mode::Create,
            Some(found) if found != db::SCHEMA => {
                return Err(StoreError::Schema {
                    found,
                    supported: db::SCHEMA,
                });
            }
            Some(_) if config.read_only => Mode::Immutable,
            Some(_) => Mode::ReadWrite,
        };
        let db_file = db_dir.join("db.sqlite");
        let open = |mode| {
            let fsync = config.fsync_metadata;
            Database::open(&db_file, &config.dir, mode, fsync, config.use_wal)
        };
        let mut db = open(mode);
        // Even reading takes some pages beside the database; collecting garbage must not fail for these.
        while db.as_ref().is_err_and(StoreError::is_full)
            && layout::release_some(&db_dir.join("reserved"), config.reserved_space)
        {
            db = open(mode);
        }
        // Nothing was set aside: without others it takes no room. Who is at work already has what they share.
        if mode == Mode::ReadWrite && db.as_ref().is_err_and(StoreError::is_full) {
            db = open(Mode::Alone);
        }
        let db = match db {
            Err(error) if error.is_full() => {
                let error = std::io::Error::from_raw_os_error(libc::ENOSPC);
                return Err(StoreError::file("opening database", &db_file, error));
            }
            other => other?,
        };
        if mode == Mode::Create {
            layout::write_synced(&schema_file, db::SCHEMA.to_string().as_bytes())?;
        }
        if config.ca_derivations && mode != Mode::Immutable {
            db.enable_realisations()?;
        }
        let store_fd = File::open(&config.real_store_dir)
            .map_err(|e| StoreError::file("opening directory", &config.real_store_dir, e))?;
        let store = LocalStore {
            db: Mutex::new(db),
            pending: Mutex::default(),
            infos: RwLock::default(),
            modulos: RwLock::default(),
            temp_roots: temp_roots::TempRoots::new(&config),
            builder: OnceLock::new(),
            locks_held: RwLock::default(),
            _big_lock: big_lock,
            store_fd: store_fd.into(),
            syncs: Syncs::default(),
            temp_counter: AtomicU64::new(0),
            gc_clock: Mutex::default(),
            config,
        };
        if !store.config.read_only {
            store.finish_collection();
        }
        Ok(store)
    }

    /// Where the store is and how it behaves.
    pub fn config(&self) -> &LocalConfig {
        &self.config
    }

    /// Sets who builds and fetches for this store; only the first call counts.
    pub fn set_builder(&self, builder: Arc<dyn Builder>) {
        let _ = self.builder.set(builder);
    }

    /// The directory with the objects, open.
    pub fn store_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.store_fd.as_fd()
    }

    /// Tells that the caller holds the lock of a path, so that adding it does not wait for itself.
    pub fn note_lock_held(&self, path: &StorePath, held: bool) {
        let mut locks = self.locks_held.write();
        if held {
            locks.insert(path.clone());
        } else {
            locks.remove(path);
        }
    }

    fn shown(&self, path: &StorePath) -> String {
        self.config.dir.display(path).to_string()
    }

    /// Where an object is on disk.
    pub fn physical(&self, path: &StorePath) -> PathBuf {
        self.config.real_path(path)
    }

    /// Runs `f` on the database after what is pending is registered.
    fn with_db<R>(
        &self,
        f: impl FnOnce(&mut Database) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        self.register_pending()?;
        f(&mut self.db.lock())
    }

    fn register_pending(&self) -> Result<(), StoreError> {
        let mut pending = self.pending.lock();
        if pending.infos.is_empty() {
            return Ok(());
        }
        self.sync_contents()?;
        let Pending { infos, outputs, .. } = &mut *pending;
        let result = self.db.lock().register(infos, &mut |path| {
            Ok(outputs.get(path).cloned().unwrap_or_default())
        });
        // On failure they stay unregistered: their contents are garbage that the next addition replaces.
        *pending = Pending::default();
        result
    }

    /// Puts what was written to the store so far on disk, before a row says that it is there.
    pub fn sync_contents(&self) -> Result<(), StoreError> {
        if !self.config.sync_contents {
            return Ok(());
        }
        let ticket = self.syncs.requested.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.syncs.done.lock();
        if *done >= ticket {
            return Ok(());
        }
        let covered = self.syncs.requested.load(Ordering::SeqCst);
        rustix::fs::syncfs(&self.store_fd)
            .map_err(|e| StoreError::file("syncing", &self.config.real_store_dir, e))?;
        *done = covered;
        Ok(())
    }

    /// Whether the database has a row, whatever this process remembers.
    fn is_valid_uncached(&self, path: &StorePath) -> Result<bool, StoreError> {
        if self.pending.lock().paths.contains(path) {
            return Ok(true);
        }
        self.db.lock().is_valid(path)
    }

    fn forget_cached(&self, path: &StorePath) {
        self.infos.write().remove(path);
    }

    /// Outputs of a `.drv` file in place, after checking that they are right.
    fn checked_outputs(&self, path: &StorePath) -> Result<Vec<(String, StorePath)>, StoreError> {
        let derivation = self.read_derivation(path)?;
        self.check_derivation(path, &derivation)?;
        self.known_outputs(&derivation)
    }

    fn known_outputs(
        &self,
        derivation: &Derivation,
    ) -> Result<Vec<(String, StorePath)>, StoreError> {
        Ok(derivation
            .output_paths(&self.config.dir)?
            .into_iter()
            .filter_map(|(name, path)| Some((name.to_owned(), path?)))
            .collect())
    }

    fn check_derivation(
        &self,
        path: &StorePath,
        derivation: &Derivation,
    ) -> Result<(), StoreError> {
        let mut failure = None;
        let result = derivation.check_invariants::<DerivationError>(
            &self.config.dir,
            &mut |input| match self.derivation_modulo(input) {
                Ok(modulo) => Ok(modulo),
                Err(error) => {
                    failure = Some(error);
                    Err(DerivationError::NoOutputs)
                }
            },
        );
        if let Some(failure) = failure {
            return Err(failure);
        }
        result.map_err(|error| StoreError::CheckDerivation {
            path: self.shown(path),
            error,
        })
    }

    /// Registers objects whose contents are in place, all or none.
    fn register(&self, infos: &[PathInfo]) -> Result<(), StoreError> {
        for info in infos {
            if info.content_address.is_some() && !info.is_content_addressed(&self.config.dir)? {
                return Err(StoreError::FalseAddress(self.shown(&info.path)));
            }
        }
        if infos.len() > 1 {
            let by_path: FxHashMap<&StorePath, &PathInfo> =
                infos.iter().map(|info| (&info.path, info)).collect();
            let paths = infos.iter().map(|info| info.path.clone()).collect();
            super::closure::topological_order(&paths, |path| {
                Ok(by_path
                    .get(path)
                    .map(|info| info.references.clone())
                    .unwrap_or_default())
            })
            .map_err(|error| match error {
                StoreError::Cycle { path, parent } => StoreError::Cycle {
                    path: format!("{}/{path}", self.config.dir),
                    parent: format!("{}/{parent}", self.config.dir),
                },
                other => other,
            })?;
        }
        let mut outputs: FxHashMap<StorePath, Vec<(String, StorePath)>> = FxHashMap::default();
        for info in infos.iter().filter(|info| info.path.is_derivation()) {
            outputs.insert(info.path.clone(), self.checked_outputs(&info.path)?);
        }
        self.register_pending()?;
        self.sync_contents()?;
        self.db.lock().register(infos, &mut |path| {
            Ok(outputs.get(path).cloned().unwrap_or_default())
        })?;
        let mut cache = self.infos.write();
        for info in infos {
            cache.remove(&info.path);
        }
        Ok(())
    }
}

/// Opens a regular file for reading; anything else is refused before it can block.
pub(super) fn open_regular(path: &Path) -> Result<File, StoreError> {
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|e| StoreError::file("opening file", path, e))?;
    let stat = file
        .metadata()
        .map_err(|e| StoreError::file("getting status of", path, e))?;
    if !stat.is_file() {
        return Err(StoreError::Nar(nar::NarError::UnsupportedType(
            path.display().to_string(),
        )));
    }
    Ok(file)
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        if let Err(error) = self.register_pending() {
            crate::progress::warn(format!(
                "what was added last could not be registered: {error}"
            ));
        }
    }
}

impl Store for LocalStore {
    fn dir(&self) -> &StoreDir {
        &self.config.dir
    }

    fn url(&self) -> String {
        // Without parameters and root: that is how programs that read our output know a local store.
        "local".to_owned()
    }

    fn query_path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError> {
        if let Some(info) = self.infos.read().get(path) {
            return Ok(Some(Arc::clone(info)));
        }
        let Some(info) = self.with_db(|db| db.info(path))? else {
            return Ok(None);
        };
        let info = Arc::new(info);
        self.infos.write().insert(path.clone(), Arc::clone(&info));
        Ok(Some(info))
    }

    fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        if self.infos.read().contains_key(path) {
            return Ok(true);
        }
        self.is_valid_uncached(path)
    }

    fn add_to_store(
        &self,
        what: Addition<'_>,
        contents: Contents<'_>,
    ) -> Result<StorePath, StoreError> {
        self.add(what, contents)
    }

    fn add_nar(
        &self,
        info: &PathInfo,
        nar: &mut dyn BufRead,
        flags: AddFlags,
    ) -> Result<(), StoreError> {
        self.add_archive(info, nar, flags)
    }

    fn nar_from_path(&self, path: &StorePath, mut out: &mut dyn Write) -> Result<(), StoreError> {
        if !self.is_valid(path)? {
            return Err(StoreError::InvalidPath(self.shown(path)));
        }
        nar::dump(&self.physical(path), &mut out)?;
        Ok(())
    }

    fn read_file(&self, path: &StorePath, inside: &[u8]) -> Result<Vec<u8>, StoreError> {
        use std::os::unix::ffi::OsStrExt;
        let mut file = self.physical(path).into_os_string();
        file.push(std::ffi::OsStr::from_bytes(inside));
        let file = PathBuf::from(file);
        fs::read(&file).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound if inside.is_empty() => {
                StoreError::InvalidPath(self.shown(path))
            }
            std::io::ErrorKind::NotFound => StoreError::NoFile(file.display().to_string()),
            _ => StoreError::file("opening file", &file, e),
        })
    }

    fn all_valid_paths(&self) -> Result<BTreeSet<StorePath>, StoreError> {
        Ok(self.with_db(|db| db.all_paths())?.into_iter().collect())
    }

    fn query_referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        self.with_db(|db| db.referrers(path))
    }

    fn closure(
        &self,
        paths: &BTreeSet<StorePath>,
        options: ClosureOptions,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        if options.include_outputs || options.include_derivers {
            return super::closure::closure_by_walking(self, paths, options);
        }
        self.reference_closure(paths, options.reverse)
    }

    fn sort_topologically(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<Vec<StorePath>, StoreError> {
        if paths.len() < graph::LARGE_SET {
            return super::closure::sort_by_walking(self, paths);
        }
        let graph = self.with_db(|db| db.graph(false))?;
        graph::sort_in_graph(&graph, paths)
    }

    fn query_valid_derivers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        self.with_db(|db| db.valid_derivers(path))
    }

    fn query_derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> Result<BTreeMap<String, Option<StorePath>>, StoreError> {
        let mut outputs: BTreeMap<String, Option<StorePath>> = self
            .with_db(|db| db.derivation_outputs(drv))?
            .into_iter()
            .map(|(name, path)| (name, Some(path)))
            .collect();
        if outputs.is_empty() {
            // Nothing is registered for outputs whose paths only a build can tell.
            let derivation = self.read_derivation(drv)?;
            for (name, path) in derivation.output_paths(&self.config.dir)? {
                outputs.insert(name.to_owned(), path);
            }
        }
        if self.config.ca_derivations && outputs.values().any(Option::is_none) {
            for (name, path) in outputs.iter_mut().filter(|(_, path)| path.is_none()) {
                let id = super::drv_hash::drv_output(self, drv, name)?;
                *path = self.query_realisation(&id)?.map(|known| known.out_path);
            }
        }
        Ok(outputs)
    }

    fn query_path_from_hash_part(&self, hash: &[u8]) -> Result<Option<StorePath>, StoreError> {
        match std::str::from_utf8(hash) {
            Ok(text) if text.len() == StorePath::HASH_LEN => {
                self.with_db(|db| db.path_from_hash_part(text))
            }
            _ => Err(StoreError::Format("invalid hash part")),
        }
    }

    fn write_derivation(
        &self,
        derivation: &Derivation,
        flags: AddFlags,
    ) -> Result<StorePath, StoreError> {
        self.add_derivation(derivation, flags)
    }

    fn derivation_modulo(&self, drv: &StorePath) -> Result<HashModulo, StoreError> {
        super::memory::modulo_of(self, drv, |path| self.modulos.read().get(path).copied())
    }

    fn remember_modulo(&self, drv: &StorePath, modulo: HashModulo) {
        self.modulos.write().insert(drv.clone(), modulo);
    }

    fn builder(&self) -> Option<Arc<dyn Builder>> {
        self.builder.get().cloned()
    }

    fn build_paths(&self, paths: &[DerivedPath], mode: BuildMode) -> Result<(), StoreError> {
        // A derivation that is being built must not be collected meanwhile, nor what it needs.
        for path in paths {
            self.add_temp_root(path.base())?;
        }
        match self.builder() {
            Some(builder) => builder.build_paths(paths, mode),
            None => Err(self.unsupported("buildPaths")),
        }
    }

    fn register_valid_paths(&self, infos: &[PathInfo]) -> Result<(), StoreError> {
        self.register(infos)
    }

    fn add_signatures(
        &self,
        path: &StorePath,
        signatures: &BTreeSet<Signature>,
    ) -> Result<(), StoreError> {
        let mut info = (*self.path_info(path)?).clone();
        info.signatures.extend(signatures.iter().cloned());
        self.with_db(|db| db.update(&info))?;
        self.forget_cached(path);
        Ok(())
    }

    fn query_realisation(&self, id: &DrvOutput) -> Result<Option<Realisation>, StoreError> {
        self.with_db(|db| db.realisation(id))
    }

    fn register_realisation(
        &self,
        realisation: &Realisation,
        check_signatures: bool,
    ) -> Result<(), StoreError> {
        if check_signatures
            && self.config.require_signatures
            && !realisation.is_trusted(&self.config.trusted_keys)
        {
            return Err(StoreError::UnsignedRealisation(realisation.id.to_string()));
        }
        self.with_db(|db| db.register_realisation(realisation))
    }

    fn add_temp_root(&self, path: &StorePath) -> Result<(), StoreError> {
        if self.config.read_only {
            return Ok(());
        }
        self.temp_roots.add(&self.config, path)
    }

    fn add_indirect_root(&self, link: &Path) -> Result<(), StoreError> {
        self.make_indirect_root(link)
    }

    fn add_permanent_root(&self, path: &StorePath, link: &Path) -> Result<PathBuf, StoreError> {
        self.make_permanent_root(path, link)
    }

    fn find_roots(&self, censor: bool) -> Result<Roots, StoreError> {
        self.all_roots(censor)
    }

    fn collect_garbage(&self, options: &GcOptions) -> Result<GcResults, StoreError> {
        self.collect(options)
    }

    fn optimise(&self) -> Result<(), StoreError> {
        self.optimise_store()
    }

    fn verify(&self, check_contents: bool, repair: bool) -> Result<bool, StoreError> {
        self.verify_store(check_contents, repair)
    }

    fn build_log(&self, path: &StorePath) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_log(path)
    }

    fn add_build_log(&self, drv: &StorePath, log: &[u8]) -> Result<(), StoreError> {
        self.write_log(drv, log)
    }

    fn real_path(&self, path: &StorePath) -> Option<PathBuf> {
        Some(self.physical(path))
    }

    fn as_local(&self) -> Option<&LocalStore> {
        Some(self)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.register_pending()
    }
}
