//! The Nix archive (NAR): a file tree as a stream of bytes, one stream per tree and one tree per stream.
//!
//! ```text
//! nar     = "nix-archive-1" object
//! object  = "(" "type" ( "regular" ["executable" ""] "contents" bytes
//!                      | "symlink" "target" bytes
//!                      | "directory" ("entry" "(" "name" bytes "node" object ")")* ) ")"
//! ```
//!
//! Every word and every `bytes` is its length as 64-bit little-endian, the bytes, and zeros up to a multiple of 8.
//! Names ascend strictly; they are not empty, `.` or `..` and hold neither `/` nor NUL; at most 64 levels.
//!
//! | file | what |
//! |---|---|
//! | `write` | [`Writer`]: events to bytes |
//! | `read` | [`Reader`]: bytes to events, strict and without recursion |
//! | `dump` | a tree of the file system to bytes |
//! | `restore` | bytes to a tree of the file system |
//! | `tree` | trees in memory |
//! | `listing` | what is where in an archive: `.ls` files, `nar ls`, `nar cat` |

mod dump;
mod listing;
mod read;
mod restore;
mod tree;
mod write;

use std::io;

use thiserror::Error;

pub(crate) use dump::read_directory;
pub use dump::{FileKind, Filter, dump, dump_case_hacked, dump_filtered};
pub use listing::{Listing, ListingKind, Lookup};
pub use read::{Event, Reader};
pub(crate) use restore::STORE_TIME;
pub use restore::{RestoreOptions, restore, restore_at, restore_events};
pub use tree::{Tree, TreeParseError};
pub use write::{Sink, Writer};

/// The first word.
pub const MAGIC: &[u8] = b"nix-archive-1";

/// Levels that an archive may have, the root included.
pub const MAX_DEPTH: usize = 64;

/// The longest name of an entry.
pub const MAX_NAME: usize = 255;

/// The longest target of a symbolic link.
pub const MAX_TARGET: usize = 4095;

/// What keeps names apart that differ only in case, where a file system takes them for one: this and a number.
pub const CASE_HACK_SUFFIX: &[u8] = b"~nix~case~hack~";

/// Why an archive could not be written or read.
#[derive(Debug, Error)]
pub enum NarError {
    /// The source or destination failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A file of the tree failed.
    #[error("{action} \"{path}\": {error}")]
    File {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: String,
        /// What went wrong.
        error: io::Error,
    },
    /// The first word is not [`MAGIC`].
    #[error("bad archive: input doesn't look like a Nix archive")]
    NoMagic,
    /// Another word stands at this place.
    #[error("bad archive: expected tag '{expected}', got '{found}'")]
    Tag {
        /// What the grammar wants.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A type that does not exist.
    #[error("bad archive: unknown file type '{0}'")]
    UnknownType(String),
    /// A word is longer than it may be.
    #[error("string is too long")]
    TooLong,
    /// Padding is not zero.
    #[error("non-zero padding")]
    Padding,
    /// The stream ends early.
    #[error("unexpected end-of-file")]
    Eof,
    /// `executable` is followed by something.
    #[error("bad archive: executable marker has non-empty value")]
    ExecutableMarker,
    /// A name that could lead out of the directory.
    #[error("bad archive: NAR contains invalid file name '{0}'")]
    BadName(String),
    /// Names descend or repeat.
    #[error("bad archive: NAR directory is not sorted")]
    NotSorted,
    /// An empty target, or one with NUL.
    #[error("bad archive: NAR contains invalid symlink target")]
    BadTarget,
    /// More than [`MAX_DEPTH`] levels.
    #[error("bad archive: NAR directory nesting exceeds maximum depth of {MAX_DEPTH}")]
    TooDeep,
    /// Neither file, directory nor link.
    #[error("file '{0}' has an unsupported type")]
    UnsupportedType(String),
    /// Two names are one once suffixes are removed.
    #[error("file name collision between '{0}' and '{1}'")]
    Collision(String, String),
    /// A name with the suffix stands in the archive itself.
    #[error(
        "bad archive: NAR contains file name '{0}' that collides with case-hacked file name '{1}'"
    )]
    HackedCollision(String, String),
    /// A file gave more or fewer bytes than its size said.
    #[error("file '{0}' changed while it was read")]
    Changed(String),
    /// A filter gave up; whoever made it knows why.
    #[error("the filter failed")]
    Filter,
    /// A writer was called against the grammar.
    #[error("archive events out of order")]
    Order,
}

impl NarError {
    pub(crate) fn file(
        action: &'static str,
        path: &std::path::Path,
        error: impl Into<io::Error>,
    ) -> Self {
        NarError::File {
            action,
            path: path.display().to_string(),
            error: error.into(),
        }
    }
}

/// Checks an entry's name.
pub fn check_entry_name(name: &[u8]) -> Result<(), NarError> {
    let bad = matches!(name, b"" | b"." | b"..") || memchr::memchr2(b'/', 0, name).is_some();
    if bad || name.len() > MAX_NAME {
        return Err(NarError::BadName(
            String::from_utf8_lossy(name).into_owned(),
        ));
    }
    Ok(())
}

/// Zeros that follow `len` bytes.
pub(crate) const fn padding(len: u64) -> usize {
    ((8 - len % 8) % 8) as usize
}
