//! Why space is used: what each root of the garbage collector keeps, and what going without it would free.
//!
//! ```text
//! object ─► nobody      garbage
//!        ─► one root    freed when that root goes
//!        ─► several     stays when one of them goes
//! ```
//!
//! An object changes its state at most twice, so marking everything from all roots takes no longer than
//! collecting garbage does.

use std::collections::VecDeque;

use super::LocalStore;
use super::gc::Marking;
use crate::path::StorePath;
use crate::store::error::StoreError;

/// A root and what it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootUsage {
    /// The link, process or file that keeps it.
    pub source: Vec<u8>,
    /// What is kept.
    pub path: StorePath,
    /// Objects that are kept.
    pub closure_paths: u64,
    /// Their size.
    pub closure_size: u64,
    /// Objects that no other root keeps.
    pub own_paths: u64,
    /// Their size: what would be freed without this root.
    pub own_size: u64,
}

/// How the space of a store is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All roots.
    pub roots: Vec<RootUsage>,
    /// All objects with their sizes, and whether a root keeps them.
    pub objects: Vec<(StorePath, u64, bool)>,
}

/// Who keeps an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeper {
    Nobody,
    One(u32),
    Several,
}

impl LocalStore {
    /// Looks at all roots and objects.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        self.register_pending()?;
        let marking = self.marking(true)?;
        let mut sizes = vec![0; marking.graph.paths.len()];
        for (path, size) in self.with_db(|db| db.sizes())? {
            if let Some(&node) = marking.graph.nodes.get(&path) {
                sizes[node as usize] = size;
            }
        }
        let mut usage = Usage::default();
        let mut starts = Vec::new();
        for (path, sources) in self.all_roots(false)? {
            let Some(&node) = marking.graph.nodes.get(&path) else {
                continue;
            };
            for source in sources {
                starts.push(node);
                usage.roots.push(RootUsage {
                    source,
                    path: path.clone(),
                    closure_paths: 0,
                    closure_size: 0,
                    own_paths: 0,
                    own_size: 0,
                });
            }
        }
        let keepers = marking.keepers(&starts);
        for (node, keeper) in keepers.iter().enumerate() {
            if let Keeper::One(root) = keeper
                && let Some(root) = usage.roots.get_mut(*root as usize)
            {
                root.own_paths += 1;
                root.own_size += sizes[node];
            }
        }
        let mut seen = vec![u32::MAX; sizes.len()];
        for (number, (root, &start)) in usage.roots.iter_mut().zip(&starts).enumerate() {
            crate::interrupt::check()?;
            let mut todo = vec![start];
            while let Some(node) = todo.pop() {
                if std::mem::replace(&mut seen[node as usize], number as u32) == number as u32 {
                    continue;
                }
                root.closure_paths += 1;
                root.closure_size += sizes[node as usize];
                todo.extend(marking.reached(node));
            }
        }
        let kept = keepers.iter().map(|keeper| *keeper != Keeper::Nobody);
        usage.objects = marking
            .graph
            .paths
            .iter()
            .zip(&sizes)
            .zip(kept)
            .map(|((path, &size), kept)| (path.clone(), size, kept))
            .collect();
        Ok(usage)
    }

    /// The shortest ways by which roots keep an object: from the root to the object.
    pub fn ways_from_roots(
        &self,
        object: &StorePath,
    ) -> Result<Vec<(Vec<u8>, Vec<StorePath>)>, StoreError> {
        self.register_pending()?;
        let marking = self.marking(true)?;
        let graph = &marking.graph;
        let Some(&target) = graph.nodes.get(object) else {
            return Ok(Vec::new());
        };
        // Backwards from the object: each node learns its next step towards it.
        let mut referrers: Vec<Vec<u32>> = vec![Vec::new(); graph.paths.len()];
        for node in 0..graph.paths.len() as u32 {
            for to in marking.reached(node) {
                referrers[to as usize].push(node);
            }
        }
        let mut step = vec![u32::MAX; graph.paths.len()];
        step[target as usize] = target;
        let mut todo = VecDeque::from([target]);
        while let Some(node) = todo.pop_front() {
            for &from in &referrers[node as usize] {
                if step[from as usize] == u32::MAX {
                    step[from as usize] = node;
                    todo.push_back(from);
                }
            }
        }
        let mut ways = Vec::new();
        for (path, sources) in self.all_roots(false)? {
            let Some(&start) = graph.nodes.get(&path) else {
                continue;
            };
            if step[start as usize] == u32::MAX {
                continue;
            }
            let mut way = vec![path.clone()];
            let mut node = start;
            while node != target {
                node = step[node as usize];
                way.push(graph.paths[node as usize].clone());
            }
            ways.extend(sources.into_iter().map(|source| (source, way.clone())));
        }
        Ok(ways)
    }
}

impl Marking {
    /// What a node keeps: what it refers to, and what settings add.
    fn reached(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        let extra = self.extra.get(&node).into_iter().flatten();
        self.graph.neighbours(node).iter().chain(extra).copied()
    }

    fn keepers(&self, starts: &[u32]) -> Vec<Keeper> {
        let mut keepers = vec![Keeper::Nobody; self.graph.paths.len()];
        for (root, &start) in starts.iter().enumerate() {
            let mut todo = vec![(start, Keeper::One(root as u32))];
            while let Some((node, keeper)) = todo.pop() {
                let known = &mut keepers[node as usize];
                let now = match (*known, keeper) {
                    (Keeper::Nobody, new) => new,
                    (Keeper::One(a), Keeper::One(b)) if a == b => Keeper::One(a),
                    _ => Keeper::Several,
                };
                if now != *known {
                    *known = now;
                    todo.extend(self.reached(node).map(|next| (next, now)));
                }
            }
        }
        keepers
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::{AddFlags, LocalConfig, Store};

    #[test]
    fn what_one_root_alone_keeps_is_what_its_removal_frees() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(LocalConfig::at_root(dir.path())).unwrap();
        let add = |name: &str, references: &[&StorePath]| {
            let references: BTreeSet<StorePath> = references.iter().copied().cloned().collect();
            let text = format!("{name}{references:?}");
            store
                .add_text(name, text.as_bytes(), &references, AddFlags::default())
                .unwrap()
        };
        let shared = add("shared", &[]);
        let alone = add("alone", &[]);
        let first = add("first", &[&shared, &alone]);
        let second = add("second", &[&shared]);
        add("garbage", &[]);
        for (name, path) in [("one", &first), ("two", &second)] {
            store
                .add_permanent_root(path, &dir.path().join(name))
                .unwrap();
        }
        // What a store adds, it keeps itself until it is closed.
        drop(store);
        let store = LocalStore::open(LocalConfig::at_root(dir.path())).unwrap();
        let usage = store.usage().unwrap();
        let root = |name: &str| {
            let mut roots = usage.roots.iter();
            roots
                .find(|root| root.source.ends_with(name.as_bytes()))
                .unwrap()
        };
        assert_eq!((root("one").closure_paths, root("one").own_paths), (3, 2));
        assert_eq!((root("two").closure_paths, root("two").own_paths), (2, 1));
        let dead: Vec<&str> = usage
            .objects
            .iter()
            .filter(|(_, _, kept)| !kept)
            .map(|(path, _, _)| path.name())
            .collect();
        assert_eq!(dead, ["garbage"]);
        let ways = store.ways_from_roots(&alone).unwrap();
        assert_eq!(ways.len(), 1);
        assert_eq!(ways[0].1, [first, alone]);
    }
}
