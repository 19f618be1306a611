//! Archives: tar (plain, or compressed in any usual way) and zip, unpacked without trusting them.
//!
//! ```text
//! bytes ─► filters (gzip, xz, bzip2, zstd, lzma, lzip) ─► tar ┐
//!                                                     └─► zip ┴─► TreeWriter ─► directory
//! ```
//!
//! All files are made relative to directory descriptors below the destination and never through a
//! symbolic link, so no entry can touch anything outside whatever it is called. Owners, times and
//! modes are dropped, except that what its owner may execute stays executable.

mod filter;
mod tar;
#[cfg(test)]
mod tests;
mod writer;
mod zip;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub use filter::decompress;
pub use writer::TreeWriter;

/// An archive that cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Neither tar nor zip.
    #[error("Failed to open archive (Unrecognized archive format)")]
    Unrecognized,
    /// There is nothing in it.
    #[error("Failed to open archive (the archive is empty)")]
    Empty,
    /// It ends too early or its bytes make no sense.
    #[error("Failed to open archive ({0})")]
    Damaged(String),
    /// Reading the archive failed; a download's own error is inside.
    #[error("cannot read archive: {0}")]
    Read(#[source] io::Error),
    /// A file could not be written.
    #[error("cannot unpack '{path}': {source}")]
    Write {
        /// The entry.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A device, a FIFO or a socket.
    #[error("file '{path}' in tarball has unsupported file type {kind}")]
    UnsupportedType {
        /// The entry.
        path: String,
        /// File type bits of its mode.
        kind: u32,
    },
    /// A name that no archive needs.
    #[error("archive member '{path}' has an unacceptable name: {why}")]
    BadName {
        /// The entry.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A member in the way of another.
    #[error("archive member '{path}' cannot be unpacked because {why}")]
    Conflict {
        /// The entry.
        path: String,
        /// What is in the way.
        why: String,
    },
    /// More than the limits allow.
    #[error("archive is too large: it has more than {0}")]
    TooLarge(String),
}

/// How much an archive may become.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes in all files together.
    pub bytes: u64,
    /// Members.
    pub entries: u64,
    /// Directories inside each other.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: 1 << 40,
            entries: 20_000_000,
            depth: 1000,
        }
    }
}

/// What an archive turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The newest modification time of a member.
    pub last_modified: u64,
    /// The directory that was unpacked into.
    pub directory: PathBuf,
    /// Its only entry, if that is a directory.
    pub single: Option<PathBuf>,
}

impl Unpacked {
    /// The tree that people mean: without the one top-level directory that most archives have.
    pub fn tree(&self) -> &Path {
        self.single.as_deref().unwrap_or(&self.directory)
    }
}

/// Unpacks an archive into an existing, empty directory.
pub fn unpack(
    archive: impl Read,
    directory: &Path,
    limits: &Limits,
) -> Result<Unpacked, UnpackError> {
    let mut writer = TreeWriter::open(directory, *limits)?;
    let mut input = filter::open(Box::new(archive))?;
    let magic = input.peek(4)?;
    let last_modified = if magic.starts_with(b"PK\x03\x04") || magic.starts_with(b"PK\x05\x06") {
        // The directory of a zip file is at its end.
        let mut spooled = tempfile::tempfile().map_err(UnpackError::Read)?;
        copy_bounded(&mut input, &mut spooled, limits.bytes)?;
        zip::unpack(spooled, &mut writer)?
    } else {
        tar::unpack(&mut input, &mut writer)?
    };
    Ok(Unpacked {
        last_modified,
        single: single_directory(directory)?,
        directory: directory.to_owned(),
    })
}

fn copy_bounded(from: &mut dyn Read, to: &mut dyn Write, limit: u64) -> Result<(), UnpackError> {
    let copied =
        io::copy(&mut from.take(limit.saturating_add(1)), to).map_err(UnpackError::Read)?;
    if copied > limit {
        Err(UnpackError::TooLarge(format!("{limit} bytes")))
    } else {
        Ok(())
    }
}

fn single_directory(directory: &Path) -> Result<Option<PathBuf>, UnpackError> {
    let mut entries = std::fs::read_dir(directory).map_err(UnpackError::Read)?;
    let (Some(first), None) = (entries.next(), entries.next()) else {
        return Ok(None);
    };
    let first = first.map_err(UnpackError::Read)?;
    let is_directory = first.file_type().map_err(UnpackError::Read)?.is_dir();
    Ok(is_directory.then(|| first.path()))
}

/// The components of a member's name, without empty ones and `.`.
fn components(name: &[u8]) -> Result<Vec<&[u8]>, UnpackError> {
    let bad = |why| UnpackError::BadName {
        path: String::from_utf8_lossy(name).into_owned(),
        why,
    };
    let mut out = Vec::new();
    for part in name.split(|&c| c == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(bad("it contains '..'")),
            _ if part.contains(&0) => return Err(bad("it contains a NUL byte")),
            _ if part.len() > 255 => return Err(bad("a part of it is longer than 255 bytes")),
            _ => out.push(part),
        }
    }
    Ok(out)
}
