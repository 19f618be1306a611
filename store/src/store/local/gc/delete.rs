//! Deleting: rows first, then contents, in several threads.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::super::LocalStore;
use super::marking::Marking;
use super::{BATCH, Collection, render_size};
use crate::crash;
use crate::lock::{LockKind, try_lock};
use crate::nar::read_directory;
use crate::path::StorePath;
use crate::progress;
use crate::remove::remove_tree_at;
use crate::store::error::StoreError;

/// Threads that delete contents. They wait for the disk nearly all the time (for the inodes of what goes, and where
/// freed blocks are discarded at once, for that), so there are more of them than processors.
const DELETERS: usize = 8;

/// Sizes of objects as archives: never less than what deleting them frees.
type Sizes = FxHashMap<StorePath, u64>;

impl Collection<'_> {
    /// Deletes what is dead in batches, each with the roots that have come meanwhile.
    pub(super) fn delete_dead(&mut self, marking: &mut Marking) -> Result<(), StoreError> {
        let dead = marking.dead_in_order();
        let sizes = if self.options.max_freed == u64::MAX {
            None
        } else {
            let sizes = self.store.db.lock().sizes()?;
            Some(sizes.into_iter().collect::<Sizes>())
        };
        let large = dead.len() > BATCH.0;
        if large {
            self.store.db.lock().expect_much_work(true)?;
        }
        let outcome = self.delete_batches(&dead, marking, sizes.as_ref());
        if large {
            self.store.db.lock().expect_much_work(false)?;
        }
        outcome
    }

    fn delete_batches(
        &mut self,
        mut dead: &[u32],
        marking: &mut Marking,
        sizes: Option<&Sizes>,
    ) -> Result<(), StoreError> {
        let mut size = BATCH.0;
        while !dead.is_empty() {
            crate::interrupt::check()?;
            let (batch, later) = dead.split_at(size.min(dead.len()));
            let doomed = self.server.doom(marking, batch);
            let outcome = self.delete_paths(&doomed, sizes);
            self.server.end_deleting(&self.owed);
            if outcome?.is_break() {
                break;
            }
            dead = later;
            size = (size * 2).min(BATCH.1);
        }
        Ok(())
    }

    /// Deletes rows, then contents, until enough is freed: the rest keeps its rows.
    pub(super) fn delete_paths(
        &mut self,
        mut doomed: &[StorePath],
        sizes: Option<&Sizes>,
    ) -> Result<ControlFlow<()>, StoreError> {
        while !doomed.is_empty() {
            let (part, later) = doomed.split_at(self.safe_count(doomed, sizes));
            self.delete_part(part)?;
            if self.enough().is_break() {
                return Ok(ControlFlow::Break(()));
            }
            doomed = later;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// How many of these can go at once without freeing more than is wanted; at least one.
    fn safe_count(&self, doomed: &[StorePath], sizes: Option<&Sizes>) -> usize {
        if self.options.max_freed == u64::MAX {
            return doomed.len();
        }
        let mut room = self
            .options
            .max_freed
            .saturating_sub(self.results.bytes_freed);
        let fits = |path: &&StorePath| {
            let size = sizes.and_then(|sizes| sizes.get(*path)).copied();
            let left = size
                .filter(|&size| size > 0)
                .and_then(|size| room.checked_sub(size));
            room = left.unwrap_or(0);
            left.is_some()
        };
        doomed.iter().take_while(fits).count().max(1)
    }

    fn enough(&self) -> ControlFlow<()> {
        if self.results.bytes_freed <= self.options.max_freed {
            return ControlFlow::Continue(());
        }
        progress::info(format!(
            "deleted more than {} bytes; stopping",
            self.options.max_freed
        ));
        ControlFlow::Break(())
    }

    fn delete_part(&mut self, part: &[StorePath]) -> Result<(), StoreError> {
        let mut parts = vec![part];
        while let Some(part) = parts.pop() {
            // As soon as there is room again; and it is no failure yet if there is none.
            let _ = self.pay();
            let forgotten = self.store.db.lock().forget_all(part);
            crash::point("gc:rows-deleted");
            match forgotten {
                Ok(()) => {}
                // A referrer may have appeared since the graph was read, then SQLite refuses all, or the disk has
                // no room for so large a transaction: its halves may do, the first of them frees space for the other.
                Err(error) if part.len() > 1 => {
                    if error.is_full() {
                        // That may lack room as well.
                        let _ = self.store.db.lock().checkpoint();
                    }
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push(second);
                    parts.push(first);
                    continue;
                }
                Err(_) => {
                    let forgotten = self.store.db.lock().invalidate(&part[0]);
                    match forgotten {
                        Ok(()) => {}
                        Err(StoreError::InUse { .. }) if self.owed.is_empty() => continue,
                        Err(error) if error.is_full() || !self.owed.is_empty() => {
                            self.delete_without_room(&part[0])?;
                            continue;
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            self.delete_contents(part)?;
        }
        Ok(())
    }

    /// Deletes the contents of what has no rows any more. What is left when that fails has no row and goes the next time.
    pub(super) fn delete_contents(&mut self, part: &[StorePath]) -> Result<(), StoreError> {
        let next = AtomicUsize::new(0);
        let freed = AtomicU64::new(0);
        let failure = Mutex::new(None);
        let store = self.store;
        let work = || {
            while let Some(path) = part.get(next.fetch_add(1, Ordering::Relaxed)) {
                let outcome = crate::interrupt::check()
                    .map_err(StoreError::from)
                    .and_then(|()| store.delete_content(path));
                match outcome {
                    Ok(bytes) => freed.fetch_add(bytes, Ordering::Relaxed),
                    Err(error) => {
                        // The others stop, too.
                        next.store(part.len(), Ordering::Relaxed);
                        failure.lock().get_or_insert(error);
                        return;
                    }
                };
                crash::point("gc:deleted");
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..DELETERS.min(part.len() / 4) {
                // Without more threads this one does it all.
                if std::thread::Builder::new()
                    .spawn_scoped(scope, work)
                    .is_err()
                {
                    break;
                }
            }
            work();
        });
        if let Some(error) = failure.into_inner() {
            return Err(error);
        }
        self.results.bytes_freed += freed.into_inner();
        self.report(part.iter());
        Ok(())
    }

    /// Deletes what has no row, unless somebody is making it.
    pub(super) fn delete_stray(
        &mut self,
        name: &CString,
        path: Option<&StorePath>,
    ) -> Result<ControlFlow<()>, StoreError> {
        crate::interrupt::check()?;
        let Some(path) = path else {
            return self.delete_stray_unless_locked(name);
        };
        // It may have become valid since the graph was read: its maker holds a temporary root, or held one
        // before registering it.
        if !self.server.begin_deleting_unless_root(path) {
            return Ok(ControlFlow::Continue(()));
        }
        let outcome = match self.store.is_valid_uncached(path) {
            Ok(true) => Ok(ControlFlow::Continue(())),
            Ok(false) => self.delete_stray_unless_locked(name),
            Err(error) => Err(error),
        };
        self.server.end_deleting(&self.owed);
        outcome
    }

    fn delete_stray_unless_locked(
        &mut self,
        name: &CString,
    ) -> Result<ControlFlow<()>, StoreError> {
        use rustix::fs::{Mode, OFlags, openat};
        let is_temp = name.as_bytes().starts_with(b"tmp-");
        let place = self.store.place_of(name);
        let _held;
        if is_temp || name.as_bytes().ends_with(b".lock") {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let Ok(fd) = openat(self.store.store_fd(), name, flags, Mode::empty()) else {
                return Ok(ControlFlow::Continue(()));
            };
            let file = File::from(fd);
            if !try_lock(&file, LockKind::Write).unwrap_or(false) {
                return Ok(ControlFlow::Continue(()));
            }
            // Who waits for this lock must see that it is dead.
            if !is_temp && let Ok(mut file) = fs::OpenOptions::new().write(true).open(&place) {
                let _ = file.write_all(b"d");
            }
            _held = file;
        }
        let mut full = self.store.config.dir.as_bytes().to_vec();
        full.push(b'/');
        full.extend_from_slice(name.as_bytes());
        progress::info(format!("deleting '{}'", String::from_utf8_lossy(&full)));
        self.results.bytes_freed += remove_tree_at(self.store.store_fd(), name)
            .map_err(|e| StoreError::file("deleting", &place, e))?;
        self.results.paths.insert(full);
        Ok(self.enough())
    }
}

impl LocalStore {
    /// Where a name of the store directory is on disk.
    fn place_of(&self, name: &CStr) -> PathBuf {
        let name = std::ffi::OsStr::from_bytes(name.to_bytes());
        self.config.real_store_dir.join(name)
    }

    /// Deletes the contents of an object without a row. Returns the bytes freed.
    fn delete_content(&self, path: &StorePath) -> Result<u64, StoreError> {
        self.forget_cached(path);
        progress::info(format!("deleting '{}'", self.shown(path)));
        let name = CString::new(path.to_string()).map_err(|e| StoreError::Io(e.into()))?;
        remove_tree_at(self.store_fd(), &name)
            .map_err(|e| StoreError::file("deleting", &self.physical(path), e))
    }

    /// Deletes files in `.links` that nothing else links to.
    pub(super) fn delete_unused_links(&self) -> Result<(), StoreError> {
        use rustix::fs::{AtFlags, Mode, OFlags, openat, statat, unlinkat};
        progress::info("deleting unused links...");
        let links = self.config.real_store_dir.join(".links");
        let failed = |e: rustix::io::Errno| StoreError::file("reading directory", &links, e);
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let Ok(fd) = openat(self.store_fd(), c".links", flags, Mode::empty()) else {
            return Ok(());
        };
        let (mut shared, mut single) = (0u64, 0u64);
        for (name, _) in read_directory(fd.as_fd()).map_err(failed)? {
            let Ok(stat) = statat(&fd, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if stat.st_nlink == 1 {
                unlinkat(&fd, &name, AtFlags::empty()).map_err(failed)?;
            } else {
                single += stat.st_size as u64;
                shared += (stat.st_nlink - 1) * stat.st_size as u64;
            }
        }
        let overhead = fs::metadata(&links).map_or(0, |m| m.blocks() * 512);
        let saved = shared as i64 - single as i64 - overhead as i64;
        progress::info(format!(
            "note: hard linking is currently saving {}",
            render_size(saved)
        ));
        Ok(())
    }
}
