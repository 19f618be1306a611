//! Collecting on a disk without any room, when nothing was set aside either.
//!
//! Even deleting a row writes something first, and for that there is no room. So the contents of dead objects that nothing
//! refers to go before their rows until there is, and a file beside the database says so meanwhile: who opens the store
//! after a crash deletes the rows whose contents are gone.

use std::fs;
use std::path::PathBuf;

use super::super::LocalStore;
use super::super::db::Database;
use super::Collection;
use crate::lock::{LockKind, open_lock_file, try_lock};
use crate::path::StorePath;
use crate::progress;
use crate::store::error::StoreError;

impl Collection<'_> {
    /// Deletes an object whose row cannot be deleted for want of room, unless something refers to it.
    pub(super) fn delete_without_room(&mut self, path: &StorePath) -> Result<(), StoreError> {
        let store = self.store;
        if !std::mem::replace(&mut self.relieved, true) {
            store.delete_unused_links()?;
            let forgotten = {
                let mut db = store.db.lock();
                let _ = db.checkpoint();
                db.invalidate(path)
            };
            if forgotten.is_ok() {
                return self.delete_contents(std::slice::from_ref(path));
            }
        }
        let referrers = store.db.lock().referrers(path)?;
        let is_gone = |by: &StorePath| by == path || self.owed.contains(by);
        if !referrers.iter().all(is_gone) {
            return Ok(());
        }
        if self.owed.is_empty() {
            store.mark_collecting()?;
        }
        self.owed.push(path.clone());
        self.delete_contents(std::slice::from_ref(path))
    }

    /// Deletes the rows of objects whose contents went first.
    pub(super) fn pay(&mut self) -> Result<(), StoreError> {
        if self.owed.is_empty() {
            return Ok(());
        }
        while let Some(path) = self.owed.first() {
            self.store.db.lock().forget(path)?;
            self.owed.remove(0);
        }
        let _ = fs::remove_file(self.store.collecting_file());
        Ok(())
    }
}

impl LocalStore {
    fn collecting_file(&self) -> PathBuf {
        self.config.state_dir.join("db/collecting")
    }

    /// Says that rows without contents are about to come. An empty file needs hardly any room.
    fn mark_collecting(&self) -> Result<(), StoreError> {
        let file = self.collecting_file();
        let mark = || {
            fs::File::create(&file)?.sync_all()?;
            fs::File::open(file.parent().unwrap_or(&file))?.sync_all()
        };
        mark().map_err(|e| StoreError::file("creating", &file, e))
    }

    /// Deletes rows without contents if a collection on a full disk was ended before it could.
    pub(in super::super) fn finish_collection(&self) {
        let file = self.collecting_file();
        if !file.exists() {
            return;
        }
        let Ok(gc_lock) = open_lock_file(&self.config.state_dir.join("gc.lock")) else {
            return;
        };
        // It may still be at work.
        if !try_lock(&gc_lock, LockKind::Write).unwrap_or(false) {
            return;
        }
        match self.forget_lost(&mut self.db.lock()) {
            Ok(()) => drop(fs::remove_file(&file)),
            Err(error) => progress::debug(format!("finishing a collection: {error}")),
        }
    }

    /// Deletes the rows of objects that are not there and that nothing else refers to.
    fn forget_lost(&self, db: &mut Database) -> Result<(), StoreError> {
        let mut lost = db.all_paths()?;
        lost.retain(|path| {
            let there = self.physical(path).symlink_metadata();
            there.is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
        });
        loop {
            let before = lost.len();
            let mut left = Vec::new();
            for path in lost {
                match db.invalidate(&path) {
                    Ok(()) => {}
                    Err(StoreError::InUse { .. }) => left.push(path),
                    Err(error) => return Err(error),
                }
            }
            if left.is_empty() || left.len() == before {
                return Ok(());
            }
            lost = left;
        }
    }
}
