//! Files and directories that are only there while something is being made, also when the maker is killed.
//!
//! A [`Scratch`] directory is locked while it is in use. Who makes one removes those of the same kind that nobody has
//! locked: what a killed process left stays until the next one comes along. [`replace_file`] writes
//! beside a file under one name that belongs to it, so there is never more than one such file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::lock::{LockKind, lock, try_lock};
use crate::remove::remove_tree;

/// A directory that goes when this goes.
#[derive(Debug)]
pub struct Scratch {
    directory: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes a directory among the temporary ones; `kind` is how its name begins.
    pub fn new(kind: &str) -> io::Result<Scratch> {
        let place = std::env::temp_dir();
        remove_dead(&place, kind);
        loop {
            let directory = tempfile::Builder::new().prefix(kind).tempdir_in(&place)?;
            // Somebody may take it for a dead one before it is locked, and even before it is opened.
            let file = match open_directory(directory.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            if try_lock(&file, LockKind::Write)? && is_at(&file, directory.path()) {
                return Ok(Scratch {
                    directory,
                    _lock: file,
                });
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Removes directories of a kind that this user has left. What cannot be removed stays.
fn remove_dead(place: &Path, kind: &str) {
    let user = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(kind)
            && entry
                .metadata()
                .is_ok_and(|meta| meta.is_dir() && meta.uid() == user);
        if is_ours
            && let Ok(file) = open_directory(&entry.path())
            && try_lock(&file, LockKind::Write).unwrap_or(false)
        {
            let _ = remove_tree(&entry.path());
        }
    }
}

fn open_directory(path: &Path) -> io::Result<File> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Whether a path still names an open file.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(own), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

/// Writes a file so that it is the old one or this one whatever happens. Writers come one after the other.
pub fn replace_file(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let new: PathBuf = path.with_file_name(name);
    loop {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(mode)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&new)?;
        lock(&file, LockKind::Write)?;
        // Who had it before may have put it in its place.
        if !is_at(&file, &new) {
            continue;
        }
        let written = (|| {
            file.set_len(0)?;
            file.write_all(contents)?;
            file.set_permissions(PermissionsExt::from_mode(mode))?;
            fs::rename(&new, path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        return written;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_goes_when_the_next_one_comes() {
        let place = tempfile::tempdir().unwrap();
        let kind = "rx-test-scratch-";
        let path = |name: &str| place.path().join(format!("{kind}{name}"));
        fs::create_dir_all(path("dead").join("tree")).unwrap();
        fs::create_dir(path("alive")).unwrap();
        fs::write(path("file"), "").unwrap();
        let held = open_directory(&path("alive")).unwrap();
        assert!(try_lock(&held, LockKind::Write).unwrap());
        remove_dead(place.path(), kind);
        assert!(!path("dead").exists() && path("alive").exists() && path("file").exists());
        let scratch = Scratch::new(kind).unwrap();
        let there = scratch.path().to_owned();
        remove_dead(&std::env::temp_dir(), kind);
        assert!(there.is_dir());
        drop(scratch);
        assert!(!there.exists());
    }

    #[test]
    fn many_make_directories_at_once_and_none_takes_that_of_another() {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let scratch = Scratch::new("rx-test-crowd-").unwrap();
                        fs::write(scratch.path().join("mine"), "").unwrap();
                    }
                });
            }
        });
    }

    #[test]
    fn a_file_is_replaced_by_one_writer_after_the_other() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("list");
        fs::write(
            place.path().join(".list.new"),
            "left by a killed process, and longer",
        )
        .unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    for _ in 0..20 {
                        replace_file(file, &[b'a' + n; 9], 0o644).unwrap();
                    }
                });
            }
        });
        let text = fs::read(&file).unwrap();
        assert_eq!(text.len(), 9);
        assert!(text.iter().all(|byte| *byte == text[0]));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o644);
    }
}
