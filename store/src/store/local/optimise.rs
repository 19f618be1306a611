//! Deduplication: files with equal contents and modes become links to one file, `.links/<hash of its archive>`.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustc_hash::FxHashSet;

use super::LocalStore;
use super::gc::render_size;
use crate::hash::{Algorithm, Hasher};
use crate::nar;
use crate::progress;
use crate::store::api::Store;
use crate::store::error::StoreError;

/// What deduplication achieved.
#[derive(Clone, Copy, Debug, Default)]
struct Stats {
    files: u64,
    bytes: u64,
}

/// Inodes that are in `.links` already.
type Inodes = FxHashSet<u64>;

impl LocalStore {
    fn links_dir(&self) -> PathBuf {
        self.config.real_store_dir.join(".links")
    }

    pub(super) fn optimise_store(&self) -> Result<(), StoreError> {
        let links = self.links_dir();
        let mut inodes = Inodes::default();
        for entry in
            fs::read_dir(&links).map_err(|e| StoreError::file("reading directory", &links, e))?
        {
            let entry = entry.map_err(|e| StoreError::file("reading directory", &links, e))?;
            inodes.insert(std::os::unix::fs::DirEntryExt::ino(&entry));
        }
        let mut stats = Stats::default();
        for path in self.all_valid_paths()? {
            crate::interrupt::check()?;
            self.add_temp_root(&path)?;
            // It may have been collected before it became a root.
            if self.is_valid_uncached(&path)? {
                self.optimise_tree(&self.physical(&path), &mut inodes, &mut stats, false)?;
            }
        }
        progress::info(format!(
            "{} freed by hard-linking {} files",
            render_size(stats.bytes as i64),
            stats.files
        ));
        Ok(())
    }

    /// Deduplicates one object that was just added.
    pub(super) fn optimise_path(&self, path: &Path, repair: bool) -> Result<(), StoreError> {
        self.optimise_tree(path, &mut Inodes::default(), &mut Stats::default(), repair)
    }

    /// Deduplicates what an object consists of; for builders, which put outputs in place themselves.
    pub fn optimise_new_path(&self, path: &Path) -> Result<(), StoreError> {
        if self.config.auto_optimise {
            self.optimise_path(path, false)
        } else {
            Ok(())
        }
    }

    fn optimise_tree(
        &self,
        root: &Path,
        inodes: &mut Inodes,
        stats: &mut Stats,
        repair: bool,
    ) -> Result<(), StoreError> {
        let mut todo = vec![root.to_owned()];
        while let Some(path) = todo.pop() {
            crate::interrupt::check()?;
            let stat = fs::symlink_metadata(&path)
                .map_err(|e| StoreError::file("getting status of", &path, e))?;
            if stat.is_dir() {
                let failed = |e| StoreError::file("reading directory", &path, e);
                for entry in fs::read_dir(&path).map_err(failed)? {
                    let entry = entry.map_err(failed)?;
                    if !inodes.contains(&std::os::unix::fs::DirEntryExt::ino(&entry)) {
                        todo.push(entry.path());
                    }
                }
            } else if stat.is_file() || stat.file_type().is_symlink() {
                self.optimise_file(&path, &stat, inodes, stats, repair)?;
            }
        }
        Ok(())
    }

    fn optimise_file(
        &self,
        path: &Path,
        stat: &fs::Metadata,
        inodes: &mut Inodes,
        stats: &mut Stats,
        repair: bool,
    ) -> Result<(), StoreError> {
        if stat.is_file() && stat.mode() & 0o200 != 0 {
            progress::warn(format!(
                "skipping suspicious writable file '{}'",
                path.display()
            ));
            return Ok(());
        }
        if stat.nlink() > 1 && inodes.contains(&stat.ino()) {
            return Ok(());
        }
        let hash = nar::dump(path, Hasher::new(Algorithm::Sha256))?.finish();
        let link = self.links_dir().join(hash.nix32());
        if let Ok(known) = fs::symlink_metadata(&link) {
            let damaged = known.len() != stat.len()
                || (repair && nar::dump(&link, Hasher::new(Algorithm::Sha256))?.finish() != hash);
            if damaged {
                progress::warn(format!("removing corrupted link '{}'", link.display()));
                progress::warn(
                    "There may be more corrupted paths.\nYou should run \
                     `nix-store --verify --check-contents --repair` to fix them all",
                );
                let _ = fs::remove_file(&link);
            }
        }
        match hard_link(path, &link) {
            Ok(()) => {
                inodes.insert(stat.ino());
                return Ok(());
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) if e.raw_os_error() == Some(libc::ENOSPC) => {
                // The directory's index is full; this file just stays as it is.
                progress::info(format!(
                    "cannot link '{}' to '{}': {e}",
                    link.display(),
                    path.display()
                ));
                return Ok(());
            }
            Err(e) if e.raw_os_error() == Some(libc::EMLINK) => return Ok(()),
            Err(e) => return Err(StoreError::file("creating hard link", &link, e)),
        }
        let Ok(known) = fs::symlink_metadata(&link) else {
            return Ok(());
        };
        if known.ino() == stat.ino() {
            return Ok(());
        }
        self.replace_by_link(path, &link, stat, inodes, stats)
    }

    fn replace_by_link(
        &self,
        path: &Path,
        link: &Path,
        stat: &fs::Metadata,
        inodes: &mut Inodes,
        stats: &mut Stats,
    ) -> Result<(), StoreError> {
        use std::sync::atomic::Ordering;
        let parent = path.parent().unwrap_or(path);
        // The store itself is not canonical and stays as it is.
        let inside = parent != self.config.real_store_dir;
        let n = self.temp_counter.fetch_add(1, Ordering::Relaxed);
        let temp = self
            .config
            .real_store_dir
            .join(format!(".tmp-link-{}-{n}", std::process::id()));
        match hard_link(link, &temp) {
            Ok(()) => {}
            Err(e) if matches!(e.raw_os_error(), Some(libc::EMLINK | libc::ENOENT)) => {
                if e.raw_os_error() == Some(libc::EMLINK) && stat.len() > 0 {
                    progress::info(format!("'{}' has maximum number of links", link.display()));
                }
                return Ok(());
            }
            Err(e) => return Err(StoreError::file("creating hard link", &temp, e)),
        }
        let swap = || -> io::Result<()> {
            if inside {
                fs::set_permissions(parent, fs::Permissions::from_mode(0o755))?;
            }
            let renamed = fs::rename(&temp, path);
            if inside {
                let dir = fs::File::open(parent)?;
                rustix::fs::fchmod(&dir, rustix::fs::Mode::from_raw_mode(0o555))?;
                rustix::fs::futimens(&dir, &nar::STORE_TIME)?;
            }
            renamed
        };
        if let Err(e) = swap() {
            let _ = fs::remove_file(&temp);
            if e.raw_os_error() == Some(libc::EMLINK) {
                return Ok(());
            }
            return Err(StoreError::file("renaming to", path, e));
        }
        inodes.insert(stat.ino());
        stats.files += 1;
        stats.bytes += stat.len();
        progress::talkative(format!(
            "linking '{}' to '{}'",
            path.display(),
            link.display()
        ));
        Ok(())
    }
}

/// Links without following a symbolic link.
fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    Ok(linkat(CWD, from, CWD, to, AtFlags::empty())?)
}
