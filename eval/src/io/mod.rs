//! What evaluation can reach outside itself: files, the environment, the clock, the store.
//!
//! Everything goes through two traits, so that purity rules, read-only mode, tracked inputs and tests are
//! implementations of them and not conditions in builtins:
//!
//! - [`EvalIo`]: files, environment, clock. [`SystemIo`] is the machine itself, [`RestrictedIo`] a part of it.
//! - [`EvalStore`]: what evaluation adds to the store and wants from it. [`ComputedStore`] only computes
//!   paths; [`BackedStore`] has a real store behind it, which is written unless evaluation is read-only.

mod backed;
mod computed;
mod internal;
mod listing;
mod resolve;
mod restricted;
mod store;
mod system;

pub use backed::{BackedStore, OpenStore};
pub use computed::ComputedStore;
pub(crate) use internal::LIBRARY;
pub use internal::library as library_files;
pub use listing::Listing;
pub use resolve::{resolve_expr_path, resolve_links};
pub use restricted::{RestrictedIo, Restriction};
pub(crate) use store::object_name;
pub use store::{EvalStore, KeepEntry, Realised, TreeSource};
pub use system::SystemIo;

use std::sync::Arc;

use rx_store::path::StorePath;

use crate::error::{Error, ErrorKind, Result};
use crate::track::InputKind;

/// What kind of file a name stands for; symbolic links are not followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// A regular file.
    Regular,
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
            FileKind::Regular => "regular",
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
    fn read_dir(&self, path: &[u8]) -> Result<Arc<Listing>>;
    /// What a name stands for, or nothing when there is no such file; links are not followed at the end.
    fn kind(&self, path: &[u8]) -> Result<Option<FileKind>>;
    /// The same path with all symbolic links followed, also the last. What does not exist stays as it is.
    fn resolve(&self, path: &[u8]) -> Result<Vec<u8>>;
    /// Where a symbolic link points.
    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>>;
    /// A variable of the environment (nothing in pure evaluation).
    fn env(&self, name: &[u8]) -> Option<Vec<u8>>;
    /// Seconds since 1970.
    fn now(&self) -> i64;
    /// Forgets what was seen of the disk, before something that is to see its state of then.
    fn forget_files(&self) {}
    /// Tells the user something that is no error.
    fn warn(&self, message: &str) {
        rx_store::progress::warn(message);
    }
    /// The store.
    fn store(&self) -> &dyn EvalStore;
    /// Whether a path may be read; an error in the user's words if not.
    fn check_access(&self, path: &[u8]) -> Result<()> {
        let _ = path;
        Ok(())
    }
    /// Whether a URI may be fetched; an error in the user's words if not.
    fn check_uri(&self, uri: &str) -> Result<()> {
        let _ = uri;
        Ok(())
    }
    /// Lets a path be read from now on although evaluation is restricted: something the evaluation itself
    /// put there, or was told to use.
    fn allow(&self, path: &[u8]) {
        let _ = path;
    }
    /// Tells that something was used that was looked at before and remembered.
    fn used(&self, kind: InputKind, path: &[u8]) {
        let _ = (kind, path);
    }
    /// Copies a file or directory to the store, or only finds out where it would be.
    fn add_tree(&self, source: &mut TreeSource<'_>) -> Result<StorePath> {
        self.store().add_tree(source)
    }
}

/// Whether a path names a part of rx.
pub(crate) fn is_internal(path: &[u8]) -> bool {
    internal::text(path).is_some()
}

/// An error about the outside.
#[cold]
pub(crate) fn outside(error: impl std::fmt::Display) -> Box<Error> {
    Error::new(ErrorKind::Outside, error.to_string())
}
