//! The directories of a running build, which belong to us alone.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Gid, Mode, OFlags, Uid};

use super::environment::BuildEnvironment;
use super::error::BuildError;
use super::sandbox::BuildUser;
use crate::progress;
use crate::remove::remove_tree;

/// What a running build has made on the host, removed in the end.
pub(super) struct Workspace {
    /// Ours alone; the build directory is in it if the builder is isolated.
    pub(super) top: PathBuf,
    /// The build directory.
    pub(super) build: PathBuf,
    /// Root, store and `/tmp` of an isolated builder.
    pub(super) chroot: Option<PathBuf>,
    /// Whether it stays, for the user to look at.
    pub(super) keep: bool,
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let remove = |path: &Path| {
            if let Err(error) = remove_tree(path) {
                progress::warn(format!("cannot remove '{}': {error}", path.display()));
            }
        };
        if let Some(chroot) = &self.chroot {
            remove(chroot);
        }
        if !self.keep {
            remove(&self.top);
        }
    }
}

/// A directory that only we may enter, under a name that nobody has.
pub(super) fn make_private_dir(parent: &Path) -> Result<PathBuf, BuildError> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("nix-{}-{number}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(BuildError::misc(format!(
                    "creating directory '{}': {error}",
                    path.display()
                )));
            }
        }
    }
}

pub(super) fn refuse_world_writable(path: &Path) -> Result<(), BuildError> {
    for path in path.ancestors() {
        let status = rustix::fs::lstat(path).map_err(BuildError::misc)?;
        let link =
            rustix::fs::FileType::from_raw_mode(status.st_mode) == rustix::fs::FileType::Symlink;
        if link || status.st_mode & 0o002 != 0 {
            return Err(BuildError::misc(format!(
                "Path '{}' is world-writable or a symlink. That's not allowed for security.",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Writes the files that the builder finds; the directory is still empty and ours.
pub(super) fn write_files(
    directory: &Path,
    environment: &BuildEnvironment,
    user: Option<&BuildUser>,
) -> Result<(), BuildError> {
    if environment.files.is_empty() {
        return Ok(());
    }
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory_fd =
        rustix::fs::open(directory, flags, Mode::empty()).map_err(BuildError::misc)?;
    for (name, content) in &environment.files {
        let failed = |error: io::Error| {
            BuildError::misc(format!(
                "creating file '{}': {error}",
                directory.join(OsStr::from_bytes(name)).display()
            ))
        };
        if name.contains(&b'/') || matches!(name.as_slice(), b"" | b"." | b"..") {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(
            &directory_fd,
            name.as_slice(),
            flags,
            Mode::from_raw_mode(0o644),
        )
        .map_err(|error| failed(error.into()))?;
        let mut file = fs::File::from(file);
        io::Write::write_all(&mut file, content).map_err(failed)?;
        if let Some(user) = user {
            rustix::fs::fchown(
                &file,
                Some(Uid::from_raw(user.uid)),
                Some(Gid::from_raw(user.gid)),
            )
            .map_err(|error| failed(error.into()))?;
        }
    }
    Ok(())
}
