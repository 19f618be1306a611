//! What building needs of a store: a few questions, and registering what was built.

use std::collections::BTreeSet;
use std::path::Path;

use crate::content_address::ContentAddress;
use crate::derivation::Derivation;
use crate::hash::Hash;
use crate::path::{StoreDir, StorePath};

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
    fn info(&self, path: &StorePath) -> Result<BuiltPath, BackendError>;

    /// Paths with all they refer to.
    fn closure(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, BackendError>;

    /// Reads a valid derivation.
    fn derivation(&self, path: &StorePath) -> Result<Derivation, BackendError>;

    /// Writes a derivation and gives its path.
    fn write_derivation(&self, derivation: &Derivation) -> Result<StorePath, BackendError>;

    /// Registers paths that are in place, all or none; they are signed and count as built here.
    fn register(&self, paths: &[BuiltPath]) -> Result<(), BackendError>;

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

    /// Fetches a path with all it refers to from a cache. `repair` replaces contents that are there;
    /// `content` lets a path of that content under another name do.
    fn substitute(
        &self,
        path: &StorePath,
        repair: bool,
        content: Option<&ContentAddress>,
    ) -> Result<Substituted, BackendError>;

    /// Fetches what an output was built to, according to a cache.
    fn substitute_realisation(
        &self,
        derivation: &StorePath,
        output: &str,
    ) -> Result<Option<StorePath>, BackendError>;
}

/// How fetching a path from a cache went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Substituted {
    /// It is valid now.
    Yes,
    /// No cache has it.
    NotFound,
}

/// A path with what is registered of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltPath {
    /// The path.
    pub path: StorePath,
    /// Hash of its archive.
    pub nar_hash: Hash,
    /// Size of its archive.
    pub nar_size: u64,
    /// What it refers to, itself included if it does.
    pub references: BTreeSet<StorePath>,
    /// The derivation it was built from.
    pub deriver: Option<StorePath>,
    /// From what its name follows, if from its contents.
    pub content_address: Option<ContentAddress>,
    /// Whether it was built here.
    pub ultimate: bool,
}
