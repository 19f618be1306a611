//! Makes files below a directory, whatever their names are.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Limits, UnpackError, components};

/// Writes a tree below one directory through descriptors, never through a symbolic link.
pub struct TreeWriter {
    root: OwnedFd,
    /// The directories on the way to the last member: neighbours in an archive share them.
    stack: Vec<(Vec<u8>, OwnedFd)>,
    limits: Limits,
    bytes: u64,
    entries: u64,
    buffer: Vec<u8>,
}

fn show(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn failed(name: &[u8], error: impl Into<io::Error>) -> UnpackError {
    UnpackError::Write {
        path: show(name),
        source: error.into(),
    }
}

fn conflict(name: &[u8], why: &str) -> UnpackError {
    UnpackError::Conflict {
        path: show(name),
        why: why.to_owned(),
    }
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::RDONLY);

impl TreeWriter {
    /// Writes below an existing directory.
    pub fn open(directory: &Path, limits: Limits) -> Result<Self, UnpackError> {
        let root = rustix::fs::open(
            directory,
            OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|e| UnpackError::Write {
            path: directory.display().to_string(),
            source: e.into(),
        })?;
        Ok(TreeWriter {
            root,
            stack: Vec::new(),
            limits,
            bytes: 0,
            entries: 0,
            buffer: vec![0; 128 * 1024],
        })
    }

    fn count_entry(&mut self) -> Result<(), UnpackError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(UnpackError::TooLarge(format!(
                "{} members",
                self.limits.entries
            )));
        }
        if crate::interrupt::is_set() {
            return Err(UnpackError::Read(io::Error::other(
                crate::interrupt::Interrupted,
            )));
        }
        Ok(())
    }

    /// Makes `parts` the current directory, with all that is missing on the way.
    fn enter(&mut self, name: &[u8], parts: &[&[u8]]) -> Result<(), UnpackError> {
        if parts.len() > self.limits.depth {
            return Err(UnpackError::TooLarge(format!(
                "{} directories inside each other",
                self.limits.depth
            )));
        }
        let common = self
            .stack
            .iter()
            .zip(parts)
            .take_while(|((have, _), want)| have.as_slice() == **want)
            .count();
        self.stack.truncate(common);
        for part in &parts[common..] {
            let parent = self.current();
            let opened = match rustix::fs::openat(parent, *part, DIRECTORY, Mode::empty()) {
                Err(Errno::NOENT) => {
                    rustix::fs::mkdirat(parent, *part, Mode::from_raw_mode(0o755))
                        .map_err(|e| failed(name, e))?;
                    rustix::fs::openat(parent, *part, DIRECTORY, Mode::empty())
                }
                other => other,
            };
            let fd = opened.map_err(|e| match e {
                Errno::NOTDIR | Errno::LOOP => {
                    conflict(name, &format!("'{}' is not a directory", show(part)))
                }
                other => failed(name, other),
            })?;
            self.stack.push((part.to_vec(), fd));
        }
        Ok(())
    }

    fn current(&self) -> BorrowedFd<'_> {
        self.stack
            .last()
            .map_or_else(|| self.root.as_fd(), |(_, fd)| fd.as_fd())
    }

    /// Enters the parent of `name` and gives its last part. The root itself has none.
    fn parent_of<'n>(&mut self, name: &'n [u8]) -> Result<&'n [u8], UnpackError> {
        self.count_entry()?;
        let parts = components(name)?;
        let (last, parents) = parts
            .split_last()
            .ok_or_else(|| conflict(name, "it would replace the whole tree"))?;
        self.enter(name, parents)?;
        Ok(last)
    }

    /// Makes room for `last`: of two members with one name the later one counts.
    fn clear(&mut self, name: &[u8], last: &[u8]) -> Result<(), UnpackError> {
        match rustix::fs::statat(self.current(), last, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(failed(name, e)),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                Err(conflict(name, "a directory of that name exists"))
            }
            Ok(_) => rustix::fs::unlinkat(self.current(), last, AtFlags::empty())
                .map_err(|e| failed(name, e)),
        }
    }

    /// Makes a directory; one that exists stays.
    pub fn directory(&mut self, name: &[u8]) -> Result<(), UnpackError> {
        self.count_entry()?;
        let parts = components(name)?;
        self.enter(name, &parts)
    }

    /// Makes a symbolic link. Its target is not looked at: nothing here ever follows it.
    pub fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let last = self.parent_of(name)?;
        if target.is_empty() || target.contains(&0) || target.len() >= 4096 {
            return Err(conflict(name, "its target is not possible"));
        }
        self.clear(name, last)?;
        rustix::fs::symlinkat(target, self.current(), last).map_err(|e| failed(name, e))
    }

    /// Makes a second name for a regular file that was unpacked before.
    pub fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let target_last = self.parent_of(target)?;
        let missing = |_| {
            conflict(
                name,
                &format!("it is a link to '{}', which was not unpacked", show(target)),
            )
        };
        let source = rustix::fs::openat(
            self.current(),
            target_last,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(missing)?;
        let stat = rustix::fs::fstat(&source).map_err(|e| failed(name, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(conflict(
                name,
                &format!(
                    "it is a link to '{}', which is no regular file",
                    show(target)
                ),
            ));
        }
        if components(name)? == components(target)? {
            return Ok(());
        }
        // A copy: two names for one file would confuse whoever changes one of them later.
        let source = rustix::fs::openat(
            self.current(),
            target_last,
            OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|e| failed(name, e))?;
        let executable = stat.st_mode & 0o100 != 0;
        self.file(name, executable, &mut File::from(source))
            .map(drop)
    }

    /// Makes a regular file of everything in `data`; returns its size.
    pub fn file(
        &mut self,
        name: &[u8],
        executable: bool,
        data: &mut dyn Read,
    ) -> Result<u64, UnpackError> {
        let last = self.parent_of(name)?;
        self.clear(name, last)?;
        let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            rustix::fs::openat(self.current(), last, flags, mode).map_err(|e| failed(name, e))?;
        let mut file = File::from(fd);
        let mut size = 0;
        loop {
            let n = match data.read(&mut self.buffer) {
                Ok(0) => return Ok(size),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(super::filter::read_error(e)),
            };
            size += n as u64;
            self.bytes += n as u64;
            if self.bytes > self.limits.bytes {
                return Err(UnpackError::TooLarge(format!(
                    "{} bytes",
                    self.limits.bytes
                )));
            }
            file.write_all(&self.buffer[..n])
                .map_err(|e| failed(name, e))?;
        }
    }
}
