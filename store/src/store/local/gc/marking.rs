//! Which objects are alive: a walk over the graph of references, in numbers.

use rustc_hash::FxHashMap;

use super::super::LocalStore;
use super::super::db::Graph;
use crate::path::StorePath;
use crate::store::error::StoreError;

/// The graph with marks.
pub(in super::super) struct Marking {
    pub(in super::super) graph: Graph,
    pub(in super::super) alive: Vec<bool>,
    /// Further edges, from `keep-outputs` and `keep-derivations`.
    pub(in super::super) extra: FxHashMap<u32, Vec<u32>>,
}

impl Marking {
    pub(super) fn mark(&mut self, path: &StorePath) {
        let Some(&start) = self.graph.nodes.get(path) else {
            return;
        };
        let mut todo = vec![start];
        while let Some(node) = todo.pop() {
            if std::mem::replace(&mut self.alive[node as usize], true) {
                continue;
            }
            todo.extend_from_slice(self.graph.neighbours(node));
            todo.extend(self.extra.get(&node).into_iter().flatten());
        }
    }

    /// Dead nodes, each before what it refers to.
    pub(super) fn dead_in_order(&self) -> Vec<u32> {
        let count = self.graph.paths.len();
        let mut visited = vec![false; count];
        let mut order = Vec::new();
        let mut stack: Vec<(u32, usize)> = Vec::new();
        for start in 0..count as u32 {
            if self.alive[start as usize] || visited[start as usize] {
                continue;
            }
            visited[start as usize] = true;
            stack.push((start, 0));
            while let Some((node, at)) = stack.last_mut() {
                let next = self.graph.neighbours(*node).get(*at).copied();
                *at += 1;
                match next {
                    Some(next) if self.alive[next as usize] || visited[next as usize] => {}
                    Some(next) => {
                        visited[next as usize] = true;
                        stack.push((next, 0));
                    }
                    None => {
                        order.push(*node);
                        stack.pop();
                    }
                }
            }
        }
        order.reverse();
        order
    }
}
impl LocalStore {
    pub(in super::super) fn marking(&self, keep: bool) -> Result<Marking, StoreError> {
        let (graph, edges) = self.with_db(|db| {
            let wanted = keep && (self.config.keep_outputs || self.config.keep_derivations);
            Ok((
                db.graph(false)?,
                if wanted {
                    Some(db.derivation_edges()?)
                } else {
                    None
                },
            ))
        })?;
        let mut extra: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        if let Some((outputs, derivers)) = edges {
            let mut add = |from: &StorePath, to: &StorePath| {
                if let (Some(&from), Some(&to)) = (graph.nodes.get(from), graph.nodes.get(to)) {
                    extra.entry(from).or_default().push(to);
                }
            };
            if self.config.keep_outputs {
                for (drv, output) in &outputs {
                    add(drv, output);
                }
            }
            if self.config.keep_derivations {
                for (output, drv) in &derivers {
                    add(output, drv);
                }
            }
        }
        let alive = vec![false; graph.paths.len()];
        Ok(Marking {
            graph,
            alive,
            extra,
        })
    }
}
