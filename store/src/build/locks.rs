//! Locks on store paths that hold between processes: `<path>.lock`, as the reference has them.
//!
//! A lock file that its last holder has removed contains one byte, so that whoever had it open
//! already knows to look for a new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// Locks on some paths, until dropped.
#[derive(Debug, Default)]
pub struct PathLocks {
    held: Vec<(File, PathBuf)>,
    delete: bool,
}

impl PathLocks {
    /// Locks all of the paths if none is locked by somebody else.
    pub fn try_lock(paths: impl IntoIterator<Item = PathBuf>) -> io::Result<Option<Self>> {
        let mut locks = Self::default();
        let mut paths: Vec<PathBuf> = paths.into_iter().collect();
        // One order for everybody, so that two processes cannot hold half each.
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            match try_lock_one(&path)? {
                Some(held) => locks.held.push(held),
                None => return Ok(None),
            }
        }
        Ok(Some(locks))
    }

    /// Removes the lock files in the end: the paths are valid now, nobody will lock them again.
    pub fn remove_files(&mut self) {
        self.delete = true;
    }
}

impl Drop for PathLocks {
    fn drop(&mut self) {
        if self.delete {
            for (file, path) in &mut self.held {
                // The order matters: first no newcomer finds it, then those who wait learn of it.
                let _ = fs::remove_file(path);
                let _ = file.write_all(b"d");
            }
        }
    }
}

fn try_lock_one(path: &Path) -> io::Result<Option<(File, PathBuf)>> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("opening lock file '{}': {error}", lock_path.display()),
                )
            })?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if file.metadata()?.len() == 0 {
            return Ok(Some((file, lock_path)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_locked_once_and_stale_files_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut first = PathLocks::try_lock([path.clone()]).unwrap().unwrap();
        assert!(PathLocks::try_lock([path.clone()]).unwrap().is_none());
        first.remove_files();
        drop(first);
        assert!(!dir.path().join("x.lock").exists());
        let again = PathLocks::try_lock([path.clone()]).unwrap().unwrap();
        drop(again);
        assert!(dir.path().join("x.lock").exists());
        assert!(PathLocks::try_lock([path]).unwrap().is_some());
    }
}
