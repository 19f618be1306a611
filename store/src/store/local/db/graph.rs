//! The references of a whole store as a graph of small numbers.

use rustc_hash::FxHashMap;

use super::Database;
use crate::path::StorePath;
use crate::store::error::StoreError;

/// The reference graph in numbers: nodes are the rows of ValidPaths.
pub struct Graph {
    /// Paths of nodes, as base names.
    pub paths: Vec<StorePath>,
    /// Node of a path.
    pub nodes: FxHashMap<StorePath, u32>,
    /// Where each node's neighbours begin in `targets`; one more entry than nodes.
    pub starts: Vec<u32>,
    /// Neighbours, node after node.
    pub targets: Vec<u32>,
}

impl Graph {
    /// Neighbours of a node.
    pub fn neighbours(&self, node: u32) -> &[u32] {
        let (start, end) = (self.starts[node as usize], self.starts[node as usize + 1]);
        &self.targets[start as usize..end as usize]
    }
}

impl Database {
    /// The whole graph of references, or of referrers.
    pub fn graph(&self, reverse: bool) -> Result<Graph, StoreError> {
        let mut paths = Vec::new();
        let mut nodes = FxHashMap::default();
        let mut by_id: FxHashMap<i64, u32> = FxHashMap::default();
        {
            let mut statement = self
                .conn
                .prepare("select id, path from ValidPaths")
                .map_err(|e| self.failed(e))?;
            let mut rows = statement.query([]).map_err(|e| self.failed(e))?;
            while let Some(row) = rows.next().map_err(|e| self.failed(e))? {
                let id: i64 = row.get(0).map_err(|e| self.failed(e))?;
                let text = row.get_ref(1).map_err(|e| self.failed(e))?;
                let Ok(path) = self.dir.parse(text.as_bytes().unwrap_or_default()) else {
                    continue;
                };
                let node = paths.len() as u32;
                by_id.insert(id, node);
                nodes.insert(path.clone(), node);
                paths.push(path);
            }
        }
        let mut edges: Vec<(u32, u32)> = Vec::new();
        {
            let mut statement = self
                .conn
                .prepare("select referrer, reference from Refs")
                .map_err(|e| self.failed(e))?;
            let mut rows = statement.query([]).map_err(|e| self.failed(e))?;
            while let Some(row) = rows.next().map_err(|e| self.failed(e))? {
                let from: i64 = row.get(0).map_err(|e| self.failed(e))?;
                let to: i64 = row.get(1).map_err(|e| self.failed(e))?;
                if let (Some(&from), Some(&to)) = (by_id.get(&from), by_id.get(&to)) {
                    edges.push(if reverse { (to, from) } else { (from, to) });
                }
            }
        }
        edges.sort_unstable();
        let mut starts = vec![0; paths.len() + 1];
        for (from, _) in &edges {
            starts[*from as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let targets = edges.into_iter().map(|(_, to)| to).collect();
        Ok(Graph {
            paths,
            nodes,
            starts,
            targets,
        })
    }
}
