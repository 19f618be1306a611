//! Closures and orders over references: small ones row by row from the database, large ones in the whole graph at once.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use super::LocalStore;
use super::db;
use crate::path::StorePath;
use crate::store::StoreError;

impl LocalStore {
    /// The closure in rows of the database: small ones by index, large ones over the whole graph.
    pub(super) fn reference_closure(
        &self,
        paths: &BTreeSet<StorePath>,
        reverse: bool,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        self.with_db(|db| {
            let limit = (db.approximate_count()? / 16).max(64) as usize;
            let mut seen: FxHashSet<i64> = FxHashSet::default();
            let mut todo = Vec::new();
            // Nobody refers to what is not there: against references that is an answer, along them an error.
            let mut strangers = BTreeSet::new();
            for path in paths {
                match db.row_of(path) {
                    Ok(row) if seen.insert(row) => todo.push(row),
                    Ok(_) => {}
                    Err(StoreError::InvalidPath(_)) if reverse => {
                        strangers.insert(path.clone());
                    }
                    Err(error) => return Err(error),
                }
            }
            while let Some(row) = todo.pop() {
                if seen.len() > limit {
                    let mut closure = graph_closure(&db.graph(reverse)?, paths)?;
                    closure.append(&mut strangers);
                    return Ok(closure);
                }
                for next in db.reference_ids(row, reverse)? {
                    if seen.insert(next) {
                        todo.push(next);
                    }
                }
            }
            let mut closure: BTreeSet<StorePath> = seen
                .into_iter()
                .map(|row| db.path_of_row(row))
                .collect::<Result<_, _>>()?;
            closure.append(&mut strangers);
            Ok(closure)
        })
    }
}

fn graph_closure(
    graph: &db::Graph,
    paths: &BTreeSet<StorePath>,
) -> Result<BTreeSet<StorePath>, StoreError> {
    let mut seen = vec![false; graph.paths.len()];
    let mut todo = Vec::new();
    for path in paths {
        if let Some(&node) = graph.nodes.get(path)
            && !std::mem::replace(&mut seen[node as usize], true)
        {
            todo.push(node);
        }
    }
    while let Some(node) = todo.pop() {
        for &next in graph.neighbours(node) {
            if !std::mem::replace(&mut seen[next as usize], true) {
                todo.push(next);
            }
        }
    }
    Ok(seen
        .iter()
        .zip(&graph.paths)
        .filter(|(seen, _)| **seen)
        .map(|(_, path)| path.clone())
        .collect())
}

/// Sets from this size on are sorted in the whole graph, which is read at once.
pub(super) const LARGE_SET: usize = 1000;

/// The order of [`crate::store::closure::topological_order`], found with numbers instead of paths.
pub(super) fn sort_in_graph(
    graph: &db::Graph,
    paths: &BTreeSet<StorePath>,
) -> Result<Vec<StorePath>, StoreError> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        Outside,
        New,
        Open,
        Done,
    }
    // Nodes are numbered anew in the order of their paths, which is the order in which neighbours are visited.
    let nodes: Vec<u32> = paths
        .iter()
        .filter_map(|p| graph.nodes.get(p).copied())
        .collect();
    if nodes.len() != paths.len() {
        // Something is not valid any more; then there is nothing to gain.
        return Err(StoreError::Format(
            "a path became invalid while it was sorted",
        ));
    }
    let mut rank = vec![u32::MAX; graph.paths.len()];
    for (n, &node) in nodes.iter().enumerate() {
        rank[node as usize] = n as u32;
    }
    let mut marks = vec![Mark::Outside; graph.paths.len()];
    for &node in &nodes {
        marks[node as usize] = Mark::New;
    }
    let neighbours = |node: u32| {
        let mut next: Vec<u32> = graph
            .neighbours(node)
            .iter()
            .copied()
            .filter(|&n| n != node && rank[n as usize] != u32::MAX)
            .collect();
        next.sort_unstable_by_key(|&n| rank[n as usize]);
        next.into_iter()
    };
    let mut order = Vec::with_capacity(nodes.len());
    let mut stack = Vec::new();
    for &start in &nodes {
        if marks[start as usize] != Mark::New {
            continue;
        }
        marks[start as usize] = Mark::Open;
        stack.push((start, neighbours(start)));
        while let Some((node, rest)) = stack.last_mut() {
            match rest.next() {
                None => {
                    marks[*node as usize] = Mark::Done;
                    order.push(*node);
                    stack.pop();
                }
                Some(next) => match marks[next as usize] {
                    Mark::New => {
                        marks[next as usize] = Mark::Open;
                        let rest = neighbours(next);
                        stack.push((next, rest));
                    }
                    Mark::Open => {
                        return Err(StoreError::Cycle {
                            path: graph.paths[next as usize].to_string(),
                            parent: graph.paths[*node as usize].to_string(),
                        });
                    }
                    Mark::Done | Mark::Outside => {}
                },
            }
        }
    }
    Ok(order
        .into_iter()
        .rev()
        .map(|node| graph.paths[node as usize].clone())
        .collect())
}
