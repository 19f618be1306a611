//! What evaluation can reach outside itself: files, the environment, the clock, the store.
//!
//! Everything goes through one trait, so that purity rules, read-only mode, tracked inputs and tests are
//! implementations of it and not conditions in builtins.

use std::collections::BTreeSet;

use rx_store::derivation::Derivation;
use rx_store::path::StorePath;

use crate::error::Result;

/// What kind of file a name stands for; symbolic links are not followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A regular file that may be executed.
    Executable,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket, pipe …
    Unknown,
}

impl FileKind {
    /// What `builtins.readDir` says.
    pub const fn name(self) -> &'static str {
        match self {
            FileKind::Regular | FileKind::Executable => "regular",
            FileKind::Directory => "directory",
            FileKind::Symlink => "symlink",
            FileKind::Unknown => "unknown",
        }
    }
}

/// The outside. Paths are absolute and canonical; errors are in the words that the user reads.
pub trait EvalIo: Send + Sync {
    /// The contents of a file; links are followed.
    fn read_file(&self, path: &[u8]) -> Result<Vec<u8>>;
    /// The names in a directory with their kinds, sorted by name.
    fn read_dir(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, FileKind)>>;
    /// What a name stands for, or nothing when there is no such file; links are not followed at the end.
    fn kind(&self, path: &[u8]) -> Result<Option<FileKind>>;
    /// The same path with all symbolic links followed, also the last.
    fn resolve(&self, path: &[u8]) -> Result<Vec<u8>>;
    /// Where a symbolic link points.
    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>>;
    /// A variable of the environment (empty in pure evaluation).
    fn env(&self, name: &[u8]) -> Option<Vec<u8>>;
    /// Copies a file or directory to the store (or only finds out where it would be) and gives the store path.
    fn add_to_store(&self, path: &[u8]) -> Result<Vec<u8>>;
    /// Seconds since 1970.
    fn now(&self) -> i64;

    // ---- derivations --------------------------------------------------------------------------------

    /// Puts a derivation into the store, unless evaluation is read-only.
    fn write_derivation(
        &self,
        derivation: &Derivation,
        path: &StorePath,
        aterm: &[u8],
    ) -> Result<()>;
    /// A derivation that is in the store, or was written before by this evaluation.
    fn read_derivation(&self, path: &StorePath) -> Result<Derivation>;
    /// The path with everything that it refers to.
    fn closure(&self, path: &StorePath) -> Result<BTreeSet<StorePath>>;
    /// Tells the user something that is no error.
    fn warn(&self, message: &str);
}
