//! The machine itself.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::{EvalIo, EvalStore, FileKind, outside};
use crate::error::{Error, Result};

/// Files, environment and clock of this machine, with a store.
pub struct SystemIo {
    store: Box<dyn EvalStore>,
}

impl SystemIo {
    /// The machine with this store.
    pub fn new(store: Box<dyn EvalStore>) -> SystemIo {
        SystemIo { store }
    }
}

fn os(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

#[cold]
fn failed(what: &str, path: &[u8], error: std::io::Error) -> Box<Error> {
    let reason = error.to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default();
    outside(format_args!(
        "{what} '{}': {reason}",
        String::from_utf8_lossy(path)
    ))
}

impl From<std::fs::FileType> for FileKind {
    fn from(kind: std::fs::FileType) -> Self {
        if kind.is_file() {
            FileKind::Regular
        } else if kind.is_dir() {
            FileKind::Directory
        } else if kind.is_symlink() {
            FileKind::Symlink
        } else {
            FileKind::Unknown
        }
    }
}

impl EvalIo for SystemIo {
    fn read_file(&self, path: &[u8]) -> Result<Vec<u8>> {
        std::fs::read(os(path)).map_err(|e| failed("opening file", path, e))
    }

    fn read_dir(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, FileKind)>> {
        let fail = |e| failed("reading directory", path, e);
        let mut all = Vec::new();
        for entry in std::fs::read_dir(os(path)).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let kind = entry.file_type().map_err(fail)?;
            all.push((entry.file_name().into_vec(), kind.into()));
        }
        all.sort_unstable_by(|a: &(Vec<u8>, FileKind), b| a.0.cmp(&b.0));
        Ok(all)
    }

    fn kind(&self, path: &[u8]) -> Result<Option<FileKind>> {
        match os(path).symlink_metadata() {
            Ok(meta) => Ok(Some(meta.file_type().into())),
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(failed("getting status of", path, e)),
        }
    }

    fn resolve(&self, path: &[u8]) -> Result<Vec<u8>> {
        Ok(std::fs::canonicalize(os(path))
            .map_or_else(|_| path.to_vec(), |p| p.into_os_string().into_vec()))
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        std::fs::read_link(os(path))
            .map(|p| p.into_os_string().into_vec())
            .map_err(|e| failed("reading symbolic link", path, e))
    }

    fn env(&self, name: &[u8]) -> Option<Vec<u8>> {
        std::env::var_os(OsStr::from_bytes(name)).map(OsStringExt::into_vec)
    }

    fn now(&self) -> i64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_secs() as i64)
    }

    fn store(&self) -> &dyn EvalStore {
        &*self.store
    }
}
