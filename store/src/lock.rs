//! Locks between processes, compatible with the reference's.
//!
//! All are `flock` locks on files. The lock of a path is the file `<path>.lock` beside it; who deletes such a file
//! first writes a byte into it, so that others who waited for it see that they hold a dead file and start again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::interrupt;

/// How a file is locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockKind {
    /// Together with other readers.
    Read,
    /// Alone.
    Write,
    /// Not any more.
    None,
}

fn operation(kind: LockKind, wait: bool) -> FlockOperation {
    match (kind, wait) {
        (LockKind::Read, true) => FlockOperation::LockShared,
        (LockKind::Read, false) => FlockOperation::NonBlockingLockShared,
        (LockKind::Write, true) => FlockOperation::LockExclusive,
        (LockKind::Write, false) => FlockOperation::NonBlockingLockExclusive,
        (LockKind::None, true) => FlockOperation::Unlock,
        (LockKind::None, false) => FlockOperation::NonBlockingUnlock,
    }
}

/// Opens a lock file, and makes it if it is missing.
pub fn open_lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Tries to lock; false when somebody else holds a lock that is in the way.
pub fn try_lock(file: &File, kind: LockKind) -> io::Result<bool> {
    loop {
        match flock(file, operation(kind, false)) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Locks, waiting as long as it takes or until the user interrupts.
pub fn lock(file: &File, kind: LockKind) -> io::Result<()> {
    // A blocking flock would not notice an interrupt that another thread handles, so waiting is polling, at first
    // quickly and then more slowly.
    let mut pause = Duration::from_micros(200);
    while !try_lock(file, kind)? {
        if interrupt::is_set() {
            return Err(io::Error::new(
                io::ErrorKind::Interrupted,
                interrupt::Interrupted,
            ));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
    Ok(())
}

/// Locks of store paths, held until dropped.
#[derive(Debug, Default)]
pub struct PathLocks {
    held: Vec<(File, PathBuf)>,
    delete: bool,
}

impl PathLocks {
    /// Locks all paths, waiting for those that are locked. `on_wait` is called before the first wait.
    pub fn acquire(
        paths: impl IntoIterator<Item = PathBuf>,
        on_wait: &mut dyn FnMut(&Path),
    ) -> io::Result<Self> {
        let mut locks = PathLocks::default();
        locks.take(paths, Some(on_wait))?;
        Ok(locks)
    }

    /// Locks all paths, or none when one is locked already.
    pub fn try_acquire(paths: impl IntoIterator<Item = PathBuf>) -> io::Result<Option<Self>> {
        let mut locks = PathLocks::default();
        Ok(locks.take(paths, None)?.then_some(locks))
    }

    fn take(
        &mut self,
        paths: impl IntoIterator<Item = PathBuf>,
        mut wait: Option<&mut dyn FnMut(&Path)>,
    ) -> io::Result<bool> {
        // One order for everybody, so that two processes cannot wait for each other.
        let mut paths: Vec<PathBuf> = paths.into_iter().collect();
        paths.sort();
        paths.dedup();
        for path in paths {
            let mut name = path.clone().into_os_string();
            name.push(".lock");
            let lock_path = PathBuf::from(name);
            loop {
                let file = open_lock_file(&lock_path)?;
                if !try_lock(&file, LockKind::Write)? {
                    let Some(wait) = wait.as_mut() else {
                        self.release();
                        return Ok(false);
                    };
                    wait(&path);
                    lock(&file, LockKind::Write)?;
                }
                let found = file.metadata()?;
                if found.len() > 0 {
                    let is_there = lock_path.symlink_metadata().is_ok_and(|named| {
                        (named.dev(), named.ino()) == (found.dev(), found.ino())
                    });
                    if !is_there {
                        // Somebody deleted the file while we waited for it.
                        continue;
                    }
                    // Somebody wanted to delete it and could not, or a fault of the disk has brought it back.
                    file.set_len(0)?;
                }
                self.held.push((file, lock_path));
                break;
            }
        }
        Ok(true)
    }

    /// Whether the lock files are removed on release: right when the paths are done for good.
    pub fn set_deletion(&mut self, delete: bool) {
        self.delete = delete;
    }

    /// Releases all locks.
    pub fn release(&mut self) {
        for (mut file, path) in self.held.drain(..) {
            if self.delete {
                // Removing the file is a courtesy; nobody depends on it.
                let _ = std::fs::remove_file(&path);
                let _ = file.write_all(b"d");
            }
        }
    }
}

impl Drop for PathLocks {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_locked_by_one_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x");
        let mut first = PathLocks::acquire([path.clone()], &mut |_| {}).unwrap();
        assert!(PathLocks::try_acquire([path.clone()]).unwrap().is_none());
        first.set_deletion(true);
        drop(first);
        assert!(!temp.path().join("x.lock").exists());
        assert!(PathLocks::try_acquire([path]).unwrap().is_some());
    }

    #[test]
    fn a_waiter_gets_the_lock_even_when_its_file_was_deleted() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x");
        let mut first = PathLocks::acquire([path.clone()], &mut |_| {}).unwrap();
        first.set_deletion(true);
        let other = path.clone();
        let waiter = std::thread::spawn(move || {
            PathLocks::acquire([other], &mut |_| {}).map(|locks| locks.held.len())
        });
        std::thread::sleep(Duration::from_millis(20));
        drop(first);
        for _ in 0..6000 {
            if waiter.is_finished() {
                return assert_eq!(waiter.join().unwrap().unwrap(), 1);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it waits for ever");
    }

    #[test]
    fn a_lock_file_that_was_to_be_deleted_and_is_still_there_is_in_nobodys_way() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x");
        let file = temp.path().join("x.lock");
        std::fs::write(&file, "d").unwrap();
        let locks = PathLocks::acquire([path.clone()], &mut |_| {}).unwrap();
        assert!(PathLocks::try_acquire([path]).unwrap().is_none());
        drop(locks);
        assert_eq!(file.metadata().unwrap().len(), 0);
    }
}
