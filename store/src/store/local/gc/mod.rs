//! Collecting garbage.
//!
//! ```text
//! lock gc.lock ─► serve new roots ─► find roots ─► mark in the graph ─► delete in batches: rows, then contents
//! ```
//!
//! Liveness is decided on a graph of integers. New temporary roots arrive through a socket while we delete: they are
//! looked at before every batch, and who asks for an object of the running batch waits for its end.
//! It can be stopped at any moment: what lost its row but not its contents is garbage for the next collection.
//!
//! | file | what |
//! |---|---|
//! | `server` | who tells about new roots meanwhile |
//! | `marking` | what is alive |
//! | `delete` | rows, contents, what lies in the store without a row, links that nothing shares any more |
//! | `full` | a disk without any room |
//! | `auto` | collections that begin by themselves |

mod auto;
mod delete;
mod full;
mod marking;
mod server;

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::ops::ControlFlow;

use rustc_hash::FxHashSet;

pub(super) use self::auto::AutoGc;
pub(super) use self::marking::Marking;
use self::server::RootServer;
use super::LocalStore;
use crate::lock::{LockKind, lock, open_lock_file, try_lock};
use crate::nar::read_directory;
use crate::path::StorePath;
use crate::progress;
use crate::store::api::{GcAction, GcOptions, GcResults, Roots, Store};
use crate::store::error::StoreError;

/// Objects whose rows are deleted in one transaction: at first, and when the disk has proved to have room. Rows stand in
/// no order in the indexes, so small transactions write the same pages again and again.
const BATCH: (usize, usize) = (256, 8192);

/// A collection at work.
struct Collection<'a> {
    store: &'a LocalStore,
    options: &'a GcOptions,
    server: RootServer,
    results: GcResults,
    /// Objects without contents whose rows could not be deleted yet.
    owed: Vec<StorePath>,
    /// Whether all has been freed that needs no room.
    relieved: bool,
}

/// A name in the store directory that no row vouches for, and what path it is if it is one.
type Stray = (CString, Option<StorePath>);

impl LocalStore {
    /// Collects garbage.
    pub(super) fn collect(&self, options: &GcOptions) -> Result<GcResults, StoreError> {
        let deletes = matches!(
            options.action,
            GcAction::DeleteDead | GcAction::DeleteSpecific
        );
        if options.action == GcAction::DeleteSpecific && options.paths.is_empty() {
            return Ok(GcResults::default());
        }
        self.register_pending()?;
        if deletes {
            let _ = fs::remove_file(self.config.state_dir.join("db/reserved"));
        }
        let lock_path = self.config.state_dir.join("gc.lock");
        let failed = |e| StoreError::file("locking", &lock_path, e);
        let gc_lock = open_lock_file(&lock_path).map_err(failed)?;
        if !try_lock(&gc_lock, LockKind::Write).map_err(failed)? {
            progress::info("waiting for the big garbage collector lock...");
            lock(&gc_lock, LockKind::Write).map_err(failed)?;
        }
        test_sync("_NIX_TEST_GC_SYNC_1");
        let mut collection = Collection {
            store: self,
            options,
            server: RootServer::start(self)?,
            results: GcResults::default(),
            owed: Vec::new(),
            relieved: false,
        };

        progress::info("finding garbage collector roots...");
        let roots = if options.ignore_liveness {
            Roots::new()
        } else {
            self.lasting_roots(true)?
        };
        let mut temp_roots = Roots::new();
        self.find_temp_roots(&mut temp_roots, true)?;
        collection.server.note_roots(temp_roots.keys());
        test_sync("_NIX_TEST_GC_SYNC_2");

        if options.paths.is_empty() {
            let mut all: Vec<&StorePath> = roots.keys().collect();
            all.extend(temp_roots.keys());
            collection.whole(&all)?;
        } else {
            let mut rooted: FxHashSet<StorePath> = roots.into_keys().collect();
            rooted.extend(temp_roots.into_keys());
            collection.specific(&rooted)?;
        }
        collection.pay()?;
        if deletes {
            self.delete_unused_links()?;
        }
        let Collection {
            server, results, ..
        } = collection;
        drop(server);
        self.infos.write().clear();
        Ok(results)
    }
}

impl Collection<'_> {
    fn whole(&mut self, roots: &[&StorePath]) -> Result<(), StoreError> {
        if self.options.max_freed == 0 {
            return Ok(());
        }
        progress::info(match self.options.action {
            GcAction::DeleteDead => "deleting garbage...",
            _ => "determining live/dead paths...",
        });
        let mut marking = self.store.marking(true)?;
        for root in roots {
            marking.mark(root);
        }
        let (strays, present) = self.look_into_store(&marking)?;
        match self.options.action {
            GcAction::ReturnLive => {
                let nodes = 0..marking.graph.paths.len();
                let alive = nodes.filter(|&node| marking.alive[node] && present[node]);
                self.report(alive.map(|node| &marking.graph.paths[node]));
                self.report_strays(&strays, true);
                Ok(())
            }
            GcAction::ReturnDead => {
                let dead = marking.dead_in_order().into_iter();
                self.report(dead.map(|node| &marking.graph.paths[node as usize]));
                self.report_strays(&strays, false);
                Ok(())
            }
            GcAction::DeleteDead | GcAction::DeleteSpecific => {
                // Strays first: they are certainly garbage, and a full disk is relieved before the database is touched.
                for (name, path) in &strays {
                    if self.delete_stray(name, path.as_ref())?.is_break() {
                        return Ok(());
                    }
                }
                self.delete_dead(&mut marking)
            }
        }
    }

    /// What lies in the store directory: names that have no row, and which nodes are there.
    fn look_into_store(&self, marking: &Marking) -> Result<(Vec<Stray>, Vec<bool>), StoreError> {
        let entries = read_directory(self.store.store_fd()).map_err(|e| {
            StoreError::file("reading directory", &self.store.config.real_store_dir, e)
        })?;
        let mut strays = Vec::new();
        let mut present = vec![false; marking.graph.paths.len()];
        for (name, _) in entries {
            match StorePath::parse(name.as_bytes()) {
                Ok(path) => match marking.graph.nodes.get(&path) {
                    Some(&node) => present[node as usize] = true,
                    None => strays.push((name, Some(path))),
                },
                Err(_) if name.as_bytes() == b".links" => {}
                Err(_) => strays.push((name, None)),
            }
        }
        Ok((strays, present))
    }

    fn report<'p>(&mut self, paths: impl Iterator<Item = &'p StorePath>) {
        let dir = &self.store.config.dir;
        self.results.paths.extend(paths.map(|path| dir.print(path)));
    }

    /// Reports the paths without rows that temporary roots keep, or the others.
    fn report_strays(&mut self, strays: &[Stray], kept: bool) {
        let paths = strays.iter().filter_map(|(_, path)| path.as_ref());
        let paths: Vec<&StorePath> = paths
            .filter(|path| self.server.is_root(path) == kept)
            .collect();
        self.report(paths.into_iter());
    }

    /// Deletes the given paths, or those of them that are dead.
    fn specific(&mut self, rooted: &FxHashSet<StorePath>) -> Result<(), StoreError> {
        let mut dead = BTreeSet::new();
        let mut alive = BTreeSet::new();
        for path in &self.options.paths {
            match self.needed_by(path, rooted)? {
                Some(all) => dead.extend(all),
                None if self.options.action == GcAction::DeleteSpecific => {
                    return Err(StoreError::Alive(self.store.shown(path)));
                }
                None => {
                    alive.insert(path.clone());
                }
            }
        }
        match self.options.action {
            GcAction::ReturnLive => self.report(alive.iter()),
            GcAction::ReturnDead => self.report(dead.iter()),
            GcAction::DeleteDead | GcAction::DeleteSpecific => {
                let order = crate::store::closure::topological_paths(self.store, &dead)?;
                self.server.begin_deleting(&order);
                let outcome = self.delete_paths(&order, None);
                self.server.end_deleting(&self.owed);
                let _: ControlFlow<()> = outcome?;
            }
        }
        Ok(())
    }

    /// The path and everything that needs it, if all of that is to go, too, and nothing of it is a root.
    fn needed_by(
        &self,
        path: &StorePath,
        rooted: &FxHashSet<StorePath>,
    ) -> Result<Option<BTreeSet<StorePath>>, StoreError> {
        let mut seen = BTreeSet::from([path.clone()]);
        let mut todo = vec![path.clone()];
        while let Some(here) = todo.pop() {
            crate::interrupt::check()?;
            let is_root = rooted.contains(&here) || self.server.is_root(&here);
            if is_root || !self.options.paths.contains(&here) {
                return Ok(None);
            }
            if self.store.is_valid_uncached(&here)? {
                for referrer in self.store.query_referrers(&here)? {
                    if seen.insert(referrer.clone()) {
                        todo.push(referrer);
                    }
                }
            }
        }
        Ok(Some(seen))
    }
}

/// Waits until a test lets us go on: the variable names a fifo.
fn test_sync(variable: &str) {
    if let Some(file) = std::env::var_os(variable) {
        let _ = fs::read(file);
    }
}

/// A number of bytes for people: `12.3 MiB`.
pub(super) fn render_size(bytes: i64) -> String {
    const UNITS: [&str; 9] = ["K", "M", "G", "T", "P", "E", "Z", "Y", "?"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}iB", UNITS[unit])
}
