//! Normalising what a builder has left: modes 0444 and 0555, one second after the epoch, our user.
//!
//! Works beneath an open directory only. Whatever the builder hid in the tree (devices, links to
//! files of others) is found here, before anything is read.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    self, AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid,
};

/// Why a tree cannot be an output.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// A device, socket or pipe.
    #[error("file '{}' has an unsupported type", .0.display())]
    UnsupportedType(PathBuf),
    /// A file that is not the builder's: a hard link to somebody else's.
    #[error("invalid ownership on file '{}'", .0.display())]
    ForeignFile(PathBuf),
    /// The system refuses.
    #[error("normalising '{}': {}", .0.display(), .1)]
    Io(PathBuf, io::Error),
}

/// Inodes that were normalised, shared between the outputs of one build (hard links between them).
pub type SeenInodes = BTreeSet<(u64, u64)>;

/// Normalises a tree. With `owners`, everything must belong to one of these users.
pub fn canonicalise(
    path: &Path,
    owners: Option<std::ops::Range<u32>>,
    seen: &mut SeenInodes,
) -> Result<(), CanonicalError> {
    let failed = |error: rustix::io::Errno| CanonicalError::Io(path.to_owned(), error.into());
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(failed(rustix::io::Errno::INVAL));
    };
    let parent = fs::open(
        parent,
        OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(failed)?;
    let name = CString::new(name.as_bytes()).map_err(|_| failed(rustix::io::Errno::INVAL))?;
    let mut walk = Walk {
        owners,
        seen,
        path: path.parent().unwrap_or(Path::new("/")).to_owned(),
    };
    walk.run(parent, name)
}

struct Walk<'a> {
    owners: Option<std::ops::Range<u32>>,
    seen: &'a mut SeenInodes,
    path: PathBuf,
}

/// A directory on the way down, with what is left to do in it.
struct Level {
    directory: OwnedFd,
    waiting: Vec<CString>,
}

impl Walk<'_> {
    fn run(&mut self, parent: OwnedFd, name: CString) -> Result<(), CanonicalError> {
        let mut levels = vec![Level {
            directory: parent,
            waiting: vec![name],
        }];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.waiting.pop() else {
                levels.pop();
                self.path.pop();
                continue;
            };
            self.path.push(OsStr::from_bytes(name.as_bytes()));
            match self.one(level.directory.as_fd(), &name)? {
                Some(below) => levels.push(below),
                None => {
                    self.path.pop();
                }
            }
        }
        Ok(())
    }

    fn io(&self, error: impl Into<io::Error>) -> CanonicalError {
        CanonicalError::Io(self.path.clone(), error.into())
    }

    /// Normalises one file; a directory is handed back for its entries.
    fn one(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> Result<Option<Level>, CanonicalError> {
        let status =
            fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| self.io(e))?;
        let kind = FileType::from_raw_mode(status.st_mode);
        if !matches!(
            kind,
            FileType::RegularFile | FileType::Directory | FileType::Symlink
        ) {
            return Err(CanonicalError::UnsupportedType(self.path.clone()));
        }
        if let Some(owners) = &self.owners
            && !owners.contains(&status.st_uid)
        {
            let inode = (status.st_dev, status.st_ino);
            if kind == FileType::Directory || !self.seen.contains(&inode) {
                return Err(CanonicalError::ForeignFile(self.path.clone()));
            }
            return Ok(None);
        }
        if status.st_nlink > 1 {
            self.seen.insert((status.st_dev, status.st_ino));
        }
        self.set_metadata(parent, name, kind, &status)?;
        if kind != FileType::Directory {
            return Ok(None);
        }
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory =
            fs::openat(parent, name, flags, Mode::empty()).map_err(|e| self.io(e))?;
        let mut waiting = Vec::new();
        for entry in fs::Dir::read_from(&directory).map_err(|e| self.io(e))? {
            let entry = entry.map_err(|e| self.io(e))?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                waiting.push(entry.file_name().to_owned());
            }
        }
        Ok(Some(Level { directory, waiting }))
    }

    fn set_metadata(
        &self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        kind: FileType,
        status: &Stat,
    ) -> Result<(), CanonicalError> {
        let own = rustix::process::geteuid().as_raw();
        if status.st_uid != own {
            // Changing the owner also takes setuid bits away, so it comes first.
            fs::chownat(
                parent,
                name,
                Some(Uid::from_raw(own)),
                Some(Gid::from_raw(rustix::process::getegid().as_raw())),
                AtFlags::SYMLINK_NOFOLLOW,
            )
            .map_err(|e| self.io(e))?;
        }
        if kind != FileType::Symlink {
            let mode = status.st_mode & 0o7777;
            let executable = kind == FileType::Directory || mode & 0o100 != 0;
            let wanted = if executable { 0o555 } else { 0o444 };
            if mode != wanted || status.st_uid != own {
                fs::chmodat(
                    parent,
                    name,
                    Mode::from_raw_mode(wanted),
                    AtFlags::empty(),
                )
                .map_err(|e| self.io(e))?;
            }
        }
        if status.st_mtime != 1 || status.st_mtime_nsec != 0 {
            set_time(parent, name).map_err(|e| self.io(e))?;
        }
        Ok(())
    }
}

/// One second after the epoch: not zero, which some programs take for "no time".
fn set_time(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        },
    };
    fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// Moves a normalised tree to where it will be registered, on the same file system.
pub fn move_into_place(from: &Path, to: &Path) -> io::Result<()> {
    let status = fs::lstat(from)?;
    let directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
    // Moving a directory changes its `..`, for which an ordinary user must be able to write to it.
    let unlock = directory && !rustix::process::geteuid().is_root();
    if unlock {
        fs::chmod(from, Mode::from_raw_mode(0o755))?;
    }
    fs::rename(from, to)?;
    if unlock {
        fs::chmod(to, Mode::from_raw_mode(0o555))?;
        set_time_of(to)?;
    }
    Ok(())
}

fn set_time_of(path: &Path) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    Ok(set_time(fs::CWD, &name)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs as std_fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        std_fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn modes_and_times_become_those_of_store_objects() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        std_fs::create_dir(&out).unwrap();
        std_fs::write(out.join("plain"), "x").unwrap();
        std_fs::write(out.join("tool"), "x").unwrap();
        std_fs::set_permissions(out.join("tool"), PermissionsExt::from_mode(0o4711)).unwrap();
        std_fs::create_dir(out.join("closed")).unwrap();
        std_fs::set_permissions(out.join("closed"), PermissionsExt::from_mode(0)).unwrap();
        symlink("/nowhere", out.join("link")).unwrap();
        canonicalise(&out, None, &mut SeenInodes::new()).unwrap();
        assert_eq!(mode(&out), 0o555);
        assert_eq!(mode(&out.join("plain")), 0o444);
        assert_eq!(mode(&out.join("tool")), 0o555);
        assert_eq!(mode(&out.join("closed")), 0o555);
        for name in ["plain", "link", "closed"] {
            let status = std_fs::symlink_metadata(out.join(name)).unwrap();
            assert_eq!((status.mtime(), status.mtime_nsec()), (1, 0), "{name}");
        }
        let moved = dir.path().join("moved");
        move_into_place(&out, &moved).unwrap();
        assert_eq!(mode(&moved), 0o555);
        std_fs::set_permissions(&moved, PermissionsExt::from_mode(0o755)).unwrap();
    }

    #[test]
    fn devices_and_files_of_others_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        std_fs::create_dir(&out).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(out.join("socket")).unwrap();
        let error = canonicalise(&out, None, &mut SeenInodes::new()).unwrap_err();
        assert!(matches!(error, CanonicalError::UnsupportedType(_)));
        std_fs::set_permissions(&out, PermissionsExt::from_mode(0o755)).unwrap();
        std_fs::remove_file(out.join("socket")).unwrap();
        let error = canonicalise(&out, Some(4_000_000..4_000_001), &mut SeenInodes::new());
        assert!(matches!(error, Err(CanonicalError::ForeignFile(_))));
    }
}
