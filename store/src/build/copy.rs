//! Copying a tree to fresh inodes with the metadata of store objects.
//!
//! What a builder may still have open, or has mapped, stays behind with the old inodes. The copy can
//! replace texts (hash parts) on the way.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};

use crate::canonical::move_canonical;
use crate::nar::STORE_TIME;
use crate::rewriting::{Rewrites, RewritingWriter};

/// Copies `from` to `to`, which must not exist.
pub fn copy_tree(from: &Path, to: &Path, rewrites: &Rewrites) -> io::Result<()> {
    let mut copy = Copy {
        rewrites,
        path: from.to_owned(),
    };
    copy.run(from, to).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("copying '{}': {error}", copy.path.display()),
        )
    })
}

struct Copy<'a> {
    rewrites: &'a Rewrites,
    /// Where we are, for messages.
    path: PathBuf,
}

struct Level {
    source: OwnedFd,
    target: OwnedFd,
    waiting: Vec<CString>,
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::RDONLY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Copy<'_> {
    fn run(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (source, source_name) = parent_and_name(from)?;
        let (target, target_name) = parent_and_name(to)?;
        let mut levels: Vec<Level> = Vec::new();
        levels.extend(self.one(&source, &source_name, &target, &target_name)?);
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.waiting.pop() else {
                self.path.pop();
                if let Some(done) = levels.pop() {
                    fs::fchmod(&done.target, Mode::from_raw_mode(0o555))?;
                    fs::futimens(&done.target, &STORE_TIME)?;
                }
                continue;
            };
            self.path.push(OsStr::from_bytes(name.as_bytes()));
            let new_name = self.rewritten(name.as_bytes())?;
            match self.one(&level.source, &name, &level.target, &new_name)? {
                Some(below) => levels.push(below),
                None => {
                    self.path.pop();
                }
            }
        }
        Ok(())
    }

    fn rewritten(&self, text: &[u8]) -> io::Result<CString> {
        let mut text = text.to_vec();
        self.rewrites.apply(&mut text);
        Ok(CString::new(text)?)
    }

    fn one(
        &self,
        source: &OwnedFd,
        name: &CString,
        target: &OwnedFd,
        new_name: &CString,
    ) -> io::Result<Option<Level>> {
        let status = fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => {
                let open = fs::openat(source, name, DIRECTORY, Mode::empty())?;
                fs::mkdirat(target, new_name, Mode::from_raw_mode(0o700))?;
                let made = fs::openat(target, new_name, DIRECTORY, Mode::empty())?;
                let mut waiting = Vec::new();
                for entry in fs::Dir::read_from(&open)? {
                    let entry = entry?;
                    if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                        waiting.push(entry.file_name().to_owned());
                    }
                }
                Ok(Some(Level {
                    source: open,
                    target: made,
                    waiting,
                }))
            }
            FileType::Symlink => {
                let link = fs::readlinkat(source, name, Vec::new())?;
                let link = self.rewritten(link.as_bytes())?;
                fs::symlinkat(&link, target, new_name)?;
                fs::utimensat(target, new_name, &STORE_TIME, AtFlags::SYMLINK_NOFOLLOW)?;
                Ok(None)
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let input = fs::openat(source, name, flags, Mode::empty())?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let output = fs::openat(target, new_name, flags, Mode::from_raw_mode(0o600))?;
                self.contents(input, &output)?;
                let executable = status.st_mode & 0o100 != 0;
                let mode = if executable { 0o555 } else { 0o444 };
                fs::fchmod(&output, Mode::from_raw_mode(mode))?;
                fs::futimens(&output, &STORE_TIME)?;
                Ok(None)
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "has an unsupported type",
            )),
        }
    }

    fn contents(&self, input: OwnedFd, output: &OwnedFd) -> io::Result<()> {
        let mut input = File::from(input);
        if self.rewrites.is_empty() {
            // Sharing blocks makes the copy free where the file system can.
            if fs::ioctl_ficlone(output.as_fd(), &input).is_ok() {
                return Ok(());
            }
            io::copy(&mut input, &mut File::from(output.try_clone()?))?;
            return Ok(());
        }
        let file = File::from(output.try_clone()?);
        let mut writer = RewritingWriter::new(self.rewrites.clone(), file);
        let mut buffer = vec![0u8; 1 << 16];
        loop {
            let count = input.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            writer.write_all(&buffer[..count])?;
        }
        writer.finish()?;
        Ok(())
    }
}

/// Moves a normalised tree to where it will be registered, on the same file system.
pub fn move_into_place(from: &Path, to: &Path) -> io::Result<()> {
    Ok(move_canonical(fs::CWD, from, to)?)
}

fn parent_and_name(path: &Path) -> io::Result<(OwnedFd, CString)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = fs::open(
        parent,
        OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    Ok((parent, CString::new(name.as_bytes())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn a_copy_has_new_inodes_store_metadata_and_replaced_texts() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        std::fs::create_dir_all(from.join("sub")).unwrap();
        std::fs::write(from.join("sub/file"), "say aaaa").unwrap();
        std::fs::set_permissions(from.join("sub/file"), PermissionsExt::from_mode(0o700)).unwrap();
        symlink("to-aaaa", from.join("link")).unwrap();
        let to = dir.path().join("to");
        let mut rewrites = Rewrites::new();
        rewrites.insert(*b"aaaa", *b"bbbb");
        copy_tree(&from, &to, &rewrites).unwrap();
        assert_eq!(std::fs::read(to.join("sub/file")).unwrap(), b"say bbbb");
        assert_eq!(
            std::fs::read_link(to.join("link")).unwrap(),
            Path::new("to-bbbb")
        );
        let status = std::fs::metadata(to.join("sub/file")).unwrap();
        assert_eq!((status.mode() & 0o7777, status.mtime()), (0o555, 1));
        assert_eq!(std::fs::metadata(&to).unwrap().mode() & 0o7777, 0o555);
        for path in [&to, &to.join("sub")] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
    }
}
