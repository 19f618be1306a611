//! Canonical metadata: what makes two store objects with equal contents equal files.
//!
//! Modes are 0444 or 0555, the time is one second after the epoch, the owner is whoever owns the store, and
//! there are neither extended attributes nor access lists. The walk uses descriptors only and follows no link.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashSet;
use rustix::fs::{self as rfs, AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;
use thiserror::Error;

use crate::nar::{STORE_TIME, read_directory};

/// Why a tree could not be made canonical.
#[derive(Debug, Error)]
pub enum CanonicalError {
    /// A system call failed.
    #[error("{action} '{path}': {error}")]
    File {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A fifo, socket or device.
    #[error("file '{0}' has an unsupported type")]
    UnsupportedType(String),
    /// A file that the builder did not own: a hard link to something of somebody else.
    #[error("invalid ownership on file '{0}'")]
    Ownership(String),
}

/// Files that were made canonical, by device and inode: hard links within one build are met twice.
pub type InodesSeen = FxHashSet<(u64, u64)>;

/// How a tree is made canonical.
#[derive(Clone, Debug, Default)]
pub struct CanonicalOptions {
    /// Files must belong to one of these users, and are given to us.
    pub uid_range: Option<std::ops::RangeInclusive<u32>>,
    /// Extended attributes that are left alone.
    pub ignored_acls: Vec<String>,
}

struct Walk<'a> {
    options: &'a CanonicalOptions,
    seen: &'a mut InodesSeen,
    path: PathBuf,
}

/// Makes the file, link or tree at `path` canonical.
pub fn canonicalise(
    path: &Path,
    options: &CanonicalOptions,
    seen: &mut InodesSeen,
) -> Result<(), CanonicalError> {
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| CanonicalError::UnsupportedType(path.display().to_string()))?;
    let mut walk = Walk {
        options,
        seen,
        path: path.to_owned(),
    };
    let mut levels: Vec<(OwnedFd, std::vec::IntoIter<(CString, FileType)>)> = Vec::new();
    if let Some(level) = walk.object(rfs::CWD, &name)? {
        levels.push(level);
    }
    while let Some((fd, entries)) = levels.last_mut() {
        let Some((name, _)) = entries.next() else {
            // Contents may have changed the directory's time, so it comes last.
            walk.finish_directory(fd.as_fd())?;
            levels.pop();
            if !levels.is_empty() {
                walk.path.pop();
            }
            continue;
        };
        walk.path.push(std::ffi::OsStr::from_bytes(name.as_bytes()));
        match walk.object(fd.as_fd(), &name)? {
            Some(level) => levels.push(level),
            None => {
                walk.path.pop();
            }
        }
    }
    Ok(())
}

type Level = (OwnedFd, std::vec::IntoIter<(CString, FileType)>);

impl Walk<'_> {
    fn error(&self, action: &'static str, error: Errno) -> CanonicalError {
        CanonicalError::File {
            action,
            path: self.path.display().to_string(),
            error: error.into(),
        }
    }

    /// Makes one file or link canonical; opens a directory, whose own turn comes after its contents.
    fn object(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
    ) -> Result<Option<Level>, CanonicalError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rfs::openat(parent, name, flags, Mode::empty())
            .map_err(|e| self.error("opening", e))?;
        let stat = rfs::fstat(&handle).map_err(|e| self.error("getting status of", e))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !matches!(
            kind,
            FileType::RegularFile | FileType::Directory | FileType::Symlink
        ) {
            return Err(CanonicalError::UnsupportedType(
                self.path.display().to_string(),
            ));
        }
        if let Some(range) = &self.options.uid_range
            && !range.contains(&stat.st_uid)
        {
            let known = self.seen.contains(&(stat.st_dev, stat.st_ino));
            if kind == FileType::Directory || !known {
                return Err(CanonicalError::Ownership(self.path.display().to_string()));
            }
            return Ok(None);
        }
        self.seen.insert((stat.st_dev, stat.st_ino));
        // A descriptor opened with O_PATH is the file itself; /proc leads to it whatever its name is by now.
        let through = format!("/proc/self/fd/{}", handle.as_raw_fd());
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            self.take_ownership(&handle)?;
        }
        match kind {
            FileType::Symlink => {
                if stat.st_mtime != 1 || stat.st_mtime_nsec != 0 {
                    // Links cannot be reached through /proc; the name is looked up again without following it.
                    rfs::utimensat(parent, name, &STORE_TIME, AtFlags::SYMLINK_NOFOLLOW)
                        .map_err(|e| self.error("changing modification time of", e))?;
                }
                Ok(None)
            }
            FileType::Directory => {
                // Whatever it was, we must be able to list and change it.
                if stat.st_mode & 0o700 != 0o700 {
                    rfs::chmod(through.as_str(), Mode::from_raw_mode(0o700))
                        .map_err(|e| self.error("changing mode of", e))?;
                }
                let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
                let fd = rfs::open(through.as_str(), flags, Mode::empty())
                    .map_err(|e| self.error("opening directory", e))?;
                self.strip_attributes(&through)?;
                let entries =
                    read_directory(fd.as_fd()).map_err(|e| self.error("reading directory", e))?;
                Ok(Some((fd, entries.into_iter())))
            }
            _ => {
                self.strip_attributes(&through)?;
                self.set_mode_and_time(&through, &stat)?;
                Ok(None)
            }
        }
    }

    fn set_mode_and_time(&self, through: &str, stat: &Stat) -> Result<(), CanonicalError> {
        let mode = stat.st_mode & 0o7777;
        if mode != 0o444 && mode != 0o555 {
            let mode = if stat.st_mode & 0o100 != 0 {
                0o555
            } else {
                0o444
            };
            rfs::chmod(through, Mode::from_raw_mode(mode))
                .map_err(|e| self.error("changing mode of", e))?;
        }
        if stat.st_mtime != 1 || stat.st_mtime_nsec != 0 {
            rfs::utimensat(rfs::CWD, through, &STORE_TIME, AtFlags::empty())
                .map_err(|e| self.error("changing modification time of", e))?;
        }
        Ok(())
    }

    fn finish_directory(&self, fd: BorrowedFd<'_>) -> Result<(), CanonicalError> {
        rfs::fchmod(fd, Mode::from_raw_mode(0o555))
            .map_err(|e| self.error("changing mode of", e))?;
        rfs::futimens(fd, &STORE_TIME).map_err(|e| self.error("changing modification time of", e))
    }

    fn take_ownership(&self, handle: &OwnedFd) -> Result<(), CanonicalError> {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        rfs::chownat(
            handle,
            c"",
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
            AtFlags::EMPTY_PATH,
        )
        .map_err(|e| self.error("changing owner of", e))
    }

    fn strip_attributes(&self, through: &str) -> Result<(), CanonicalError> {
        let size = match rfs::listxattr_query(through) {
            Ok(0) | Err(Errno::NOTSUP | Errno::NODATA) => return Ok(()),
            Ok(size) => size,
            Err(e) => return Err(self.error("querying extended attributes of", e)),
        };
        let mut names = vec![0u8; size];
        let size = rfs::listxattr(through, &mut names[..])
            .map_err(|e| self.error("querying extended attributes of", e))?;
        for name in names[..size].split(|&c| c == 0).filter(|n| !n.is_empty()) {
            if self
                .options
                .ignored_acls
                .iter()
                .any(|ignored| ignored.as_bytes() == name)
            {
                continue;
            }
            match rfs::removexattr(through, name) {
                Ok(()) | Err(Errno::NODATA) => {}
                Err(e) => return Err(self.error("removing extended attribute from", e)),
            }
        }
        Ok(())
    }
}

/// Renames a canonical object within its file system. It stays canonical, though the system changes the time of a
/// directory that moves, and demands that its owner may write to it.
pub(crate) fn move_canonical(
    directory: BorrowedFd<'_>,
    name: &Path,
    to: &Path,
) -> rustix::io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rfs::openat(directory, name, flags | OFlags::PATH, Mode::empty())?;
    let stat = rfs::fstat(&handle)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return rfs::renameat(directory, name, rfs::CWD, to);
    }
    let flags = flags | OFlags::DIRECTORY | OFlags::RDONLY;
    let moved = rfs::openat(directory, name, flags, Mode::empty())?;
    rfs::fchmod(&moved, Mode::from_raw_mode(0o755))?;
    rfs::renameat(directory, name, rfs::CWD, to)?;
    crate::crash::point("add:renamed");
    rfs::fchmod(&moved, Mode::from_raw_mode(0o555))?;
    rfs::futimens(&moved, &STORE_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn modes_and_times_are_those_of_store_objects_afterwards() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("x");
        fs::create_dir_all(root.join("d")).unwrap();
        fs::write(root.join("d/plain"), "1").unwrap();
        fs::write(root.join("run"), "2").unwrap();
        fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::set_permissions(root.join("d"), fs::Permissions::from_mode(0o2500)).unwrap();
        std::os::unix::fs::symlink("/nowhere", root.join("link")).unwrap();
        canonicalise(
            &root,
            &CanonicalOptions::default(),
            &mut InodesSeen::default(),
        )
        .unwrap();
        for (name, mode) in [
            ("", 0o555),
            ("d", 0o555),
            ("d/plain", 0o444),
            ("run", 0o555),
        ] {
            let stat = fs::symlink_metadata(root.join(name)).unwrap();
            assert_eq!((stat.mode() & 0o7777, stat.mtime()), (mode, 1), "{name}");
        }
        assert_eq!(fs::symlink_metadata(root.join("link")).unwrap().mtime(), 1);
        crate::remove::remove_tree(&root).unwrap();
    }

    #[test]
    fn extended_attributes_do_not_arrive() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("x");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("file"), "1").unwrap();
        for path in [&root, &root.join("file")] {
            if rfs::setxattr(path, "user.left", b"over", rfs::XattrFlags::CREATE).is_err() {
                return println!("no extended attributes here: not tried");
            }
        }
        canonicalise(
            &root,
            &CanonicalOptions::default(),
            &mut InodesSeen::default(),
        )
        .unwrap();
        for path in [&root, &root.join("file")] {
            let mut names = [0; 4096];
            let size = rfs::listxattr(path, &mut names[..]).unwrap();
            let names = String::from_utf8_lossy(&names[..size]);
            assert!(!names.contains("user."), "{names}");
        }
        crate::remove::remove_tree(&root).unwrap();
    }

    #[test]
    fn fifos_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let fifo = temp.path().join("x");
        rfs::mknodat(
            rfs::CWD,
            &fifo,
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let result = canonicalise(
            &fifo,
            &CanonicalOptions::default(),
            &mut InodesSeen::default(),
        );
        assert!(matches!(result, Err(CanonicalError::UnsupportedType(_))));
    }

    #[test]
    fn files_of_other_users_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("x");
        fs::write(&file, "x").unwrap();
        let options = CanonicalOptions {
            uid_range: Some(4_000_000_000..=4_000_000_001),
            ..Default::default()
        };
        let result = canonicalise(&file, &options, &mut InodesSeen::default());
        assert!(matches!(result, Err(CanonicalError::Ownership(_))));
    }
}
