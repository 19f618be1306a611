//! Removing file trees that somebody else may be changing meanwhile.
//!
//! Only names relative to descriptors are used and no symbolic link is followed, so whoever renames a parent in
//! the middle of the walk cannot make it delete elsewhere. It needs three descriptors whatever the depth: the way up is
//! `..`, and it is checked to lead where we came from. A directory is closed after it is removed: the file system gives
//! its blocks back then, and not while it keeps the parent locked, so that several threads can delete beside each other.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self as rfs, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::nar::read_directory;

/// Removes the file, link or directory tree `name` in an open directory. Returns the bytes freed: sizes of files with
/// at most two links, since one more is usually the link that deduplication keeps.
///
/// What is not there counts as removed.
pub fn remove_tree_at(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<u64> {
    let mut freed = 0;
    let stat = match rfs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(0),
        Err(e) => return Err(e.into()),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        freed += freed_by(&stat);
        return unlink(parent, name, AtFlags::empty()).map(|()| freed);
    }
    let mut here = open_directory(parent, name)?;
    let mut level = Level::enter(here.as_fd(), name.to_owned(), &mut freed)?;
    let mut above: Vec<Level> = Vec::new();
    loop {
        if let Some(child) = level.directories.pop() {
            match open_directory(here.as_fd(), &child) {
                Ok(fd) => {
                    let entered = Level::enter(fd.as_fd(), child, &mut freed)?;
                    above.push(std::mem::replace(&mut level, entered));
                    here = fd;
                }
                // Somebody replaced or removed it; the next look at this directory tells.
                Err(e)
                    if matches!(
                        e.raw_os_error(),
                        Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)
                    ) => {}
                Err(e) => return Err(e),
            }
            continue;
        }
        let Some(up) = above.pop() else {
            let removed = unlink(parent, name, AtFlags::REMOVEDIR);
            drop(here);
            return removed.map(|()| freed);
        };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let parent_fd = rfs::openat(here.as_fd(), c"..", flags, Mode::empty())?;
        let stat = rfs::fstat(&parent_fd)?;
        if (stat.st_dev, stat.st_ino) != up.identity {
            return Err(io::Error::other(
                "directory was moved while it was being removed",
            ));
        }
        let left = std::mem::replace(&mut here, parent_fd);
        let removed = unlink(here.as_fd(), &level.name, AtFlags::REMOVEDIR);
        drop(left);
        match removed {
            Ok(()) => level = up,
            Err(e) if e.raw_os_error() == Some(libc::ENOTEMPTY) => {
                // Something was put in behind our back: look again, at most as often as somebody does that.
                let name = level.name.clone();
                level = up;
                level.retries += 1;
                if level.retries > 1000 {
                    return Err(e);
                }
                level.directories.push(name);
            }
            Err(e) => return Err(e),
        }
    }
}

/// Removes the tree at `path`; see [`remove_tree_at`].
pub fn remove_tree(path: &Path) -> io::Result<u64> {
    use std::os::unix::ffi::OsStrExt;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let fd = match rfs::openat(rfs::CWD, parent, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(0),
        Err(e) => return Err(e.into()),
    };
    remove_tree_at(fd.as_fd(), &CString::new(name.as_bytes())?)
}

struct Level {
    name: CString,
    identity: (u64, u64),
    directories: Vec<CString>,
    retries: u32,
}

impl Level {
    /// Removes everything but directories, and notes those.
    fn enter(fd: BorrowedFd<'_>, name: CString, freed: &mut u64) -> io::Result<Self> {
        let stat = rfs::fstat(fd)?;
        if stat.st_mode & 0o700 != 0o700 {
            // Without write permission nothing can be removed from it; root does not care and may be refused.
            let _ = rfs::fchmod(fd, Mode::from_raw_mode(stat.st_mode & 0o7777 | 0o700));
        }
        let mut directories = Vec::new();
        for (entry, kind) in read_directory(fd)? {
            let stat = if kind == FileType::Directory {
                None
            } else {
                match rfs::statat(fd, &entry, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => Some(stat),
                    Err(Errno::NOENT) => continue,
                    Err(e) => return Err(e.into()),
                }
            };
            match stat {
                Some(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {
                    *freed += freed_by(&stat);
                    unlink(fd, &entry, AtFlags::empty())?;
                }
                _ => directories.push(entry),
            }
        }
        Ok(Level {
            name,
            identity: (stat.st_dev, stat.st_ino),
            directories,
            retries: 0,
        })
    }
}

fn freed_by(stat: &Stat) -> u64 {
    if stat.st_nlink <= 2 {
        stat.st_size as u64
    } else {
        0
    }
}

fn unlink(fd: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> io::Result<()> {
    match rfs::unlinkat(fd, name, flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn open_directory(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rfs::openat(parent, name, flags | OFlags::RDONLY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            // Not readable: give ourselves permission through a handle on the directory itself, not through its name.
            let handle = rfs::openat(parent, name, flags | OFlags::PATH, Mode::empty())?;
            use std::os::fd::AsRawFd;
            let through = format!("/proc/self/fd/{}", handle.as_raw_fd());
            rfs::chmod(through.as_str(), Mode::from_raw_mode(0o700))?;
            Ok(rfs::openat(
                parent,
                name,
                flags | OFlags::RDONLY,
                Mode::empty(),
            )?)
        }
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn trees_with_locked_directories_and_links_go_and_link_targets_stay() {
        let temp = tempfile::tempdir().unwrap();
        let outside = temp.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("keep"), "x").unwrap();
        let tree = temp.path().join("tree");
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::write(tree.join("a/b/file"), "12345").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("a/link")).unwrap();
        fs::set_permissions(tree.join("a/b"), fs::Permissions::from_mode(0)).unwrap();
        assert!(remove_tree(&tree).unwrap() >= 5);
        assert!(!tree.exists());
        assert!(outside.join("keep").exists());
        assert_eq!(remove_tree(&tree).unwrap(), 0);
    }

    #[test]
    fn directories_that_become_links_meanwhile_lead_nowhere() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let temp = tempfile::tempdir().unwrap();
        let outside = temp.path().join("outside");
        fs::create_dir_all(outside.join("d")).unwrap();
        for number in 0..20 {
            fs::write(outside.join("d").join(number.to_string()), "x").unwrap();
        }
        let tree = temp.path().join("tree");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (tree, outside, over) = (&tree, &outside, &over);
            // Somebody who may write there changes directories for links all the time.
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let (here, aside) = (tree.join("a"), tree.join("aside"));
                    let _ = fs::rename(&here, &aside);
                    let _ = std::os::unix::fs::symlink(outside, &here);
                    let _ = fs::remove_file(&here);
                    let _ = fs::rename(&aside, &here);
                }
            });
            for _ in 0..25 {
                for directory in ["a/d", "b/d"] {
                    let directory = tree.join(directory);
                    let _ = fs::create_dir_all(&directory);
                    for number in 0..20 {
                        let _ = fs::write(directory.join(number.to_string()), "x");
                    }
                }
                // Whether it gets to an end does not matter here.
                let _ = remove_tree(tree);
                // Writing through such a link may add there, but nothing may be lost.
                assert!((0..20).all(|number| outside.join("d").join(number.to_string()).exists()));
            }
            over.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_tree_deeper_than_paths_may_be_long_goes() {
        let temp = tempfile::tempdir().unwrap();
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        let mut fd = rfs::openat(rfs::CWD, temp.path(), flags, Mode::empty()).unwrap();
        for _ in 0..3000 {
            rfs::mkdirat(&fd, c"deep", Mode::from_raw_mode(0o777)).unwrap();
            fd = rfs::openat(&fd, c"deep", flags, Mode::empty()).unwrap();
        }
        remove_tree(&temp.path().join("deep")).unwrap();
        assert!(!temp.path().join("deep").exists());
    }
}
