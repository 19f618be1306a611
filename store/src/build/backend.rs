//! What building needs of a store: a few questions, and registering what was built.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::cache::Fetched;
use crate::derivation::Derivation;
use crate::lock::PathLocks;
use crate::path::{StoreDir, StorePath};
use crate::store::PathInfo;

/// A failure of the store, told to the user as it is.
pub type BackendError = Box<dyn std::error::Error + Send + Sync>;

/// The store that outputs are built into.
pub trait Backend: Send + Sync {
    /// The logical store directory.
    fn dir(&self) -> &StoreDir;

    /// Where the store directory physically is.
    fn real_dir(&self) -> &Path;

    /// Locks, build users, the database.
    fn state_dir(&self) -> &Path;

    /// Build logs.
    fn log_dir(&self) -> &Path;

    /// Whether a path is registered.
    fn is_valid(&self, path: &StorePath) -> Result<bool, BackendError>;

    /// What is known of a valid path.
    fn info(&self, path: &StorePath) -> Result<Arc<PathInfo>, BackendError>;

    /// Paths with all they refer to.
    fn closure(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, BackendError>;

    /// Reads a valid derivation; nothing if there is none.
    fn derivation(&self, path: &StorePath) -> Result<Option<Derivation>, BackendError>;

    /// Takes a path with all it refers to from the store that derivations come from; false if it is not there.
    fn bring(&self, path: &StorePath) -> Result<bool, BackendError> {
        let _ = path;
        Ok(false)
    }

    /// Writes a derivation and gives its path.
    fn write_derivation(&self, derivation: &Derivation) -> Result<StorePath, BackendError>;

    /// Registers paths that are in place, all or none; they are signed and count as built here.
    fn register(&self, paths: &[PathInfo]) -> Result<(), BackendError>;

    /// Keeps a path from being collected while this process lives.
    fn add_temporary_root(&self, path: &StorePath) -> Result<(), BackendError>;

    /// Links files of a path with identical ones, if the user wants that.
    fn optimise(&self, path: &StorePath) -> Result<(), BackendError>;

    /// To what an output of a content-addressed derivation was built.
    fn realisation(
        &self,
        derivation: &StorePath,
        output: &str,
    ) -> Result<Option<StorePath>, BackendError>;

    /// Records to what an output was built.
    fn register_realisation(
        &self,
        derivation: &StorePath,
        output: &str,
        path: &StorePath,
    ) -> Result<(), BackendError>;

    /// Whether the contents of a valid path still have their hash.
    fn contents_are_good(&self, path: &StorePath) -> Result<bool, BackendError>;

    /// Whether there are caches that could be asked.
    fn has_caches(&self) -> bool {
        true
    }

    /// What a path refers to, if a cache has it.
    fn find_substitute(
        &self,
        path: &StorePath,
    ) -> Result<Option<BTreeSet<StorePath>>, BackendError>;

    /// Fetches a path whose references are valid. `repair` replaces contents that are there.
    fn substitute(&self, path: &StorePath, repair: bool) -> Result<Fetched, BackendError>;

    /// What an output was built to, according to a cache.
    fn find_realisation(
        &self,
        derivation: &StorePath,
        output: &str,
    ) -> Result<Option<StorePath>, BackendError>;

    /// Registers paths that are in place, soon or at the next [`Backend::flush`]; until then they
    /// are valid for this process only, and the locks keep others waiting.
    fn register_later(&self, paths: Vec<PathInfo>, locks: PathLocks) -> Result<(), BackendError> {
        self.register(&paths)?;
        drop(locks);
        Ok(())
    }

    /// Registers everything that waits for it.
    fn flush(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Whether it is time to look if the disk is full.
    fn collection_is_due(&self) -> bool {
        false
    }

    /// Collects garbage if the disk has less space than the user wants.
    fn collect_garbage(&self) {}

    /// Whether something has waited to be registered for long enough.
    fn flush_is_due(&self) -> bool {
        false
    }
}
