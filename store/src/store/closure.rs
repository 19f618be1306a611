//! Closures and orders of paths.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};

use super::api::Store;
use super::error::StoreError;
use crate::path::StorePath;

/// Which edges a closure follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClosureOptions {
    /// Against references: who needs the paths.
    pub reverse: bool,
    /// Also outputs of derivations.
    pub include_outputs: bool,
    /// Also derivers of objects.
    pub include_derivers: bool,
}

/// The closure by asking the store for one path after the other.
pub fn closure_by_walking<S: Store + ?Sized>(
    store: &S,
    paths: &BTreeSet<StorePath>,
    options: ClosureOptions,
) -> Result<BTreeSet<StorePath>, StoreError> {
    let mut seen: FxHashSet<StorePath> = paths.iter().cloned().collect();
    let mut todo: Vec<StorePath> = paths.iter().cloned().collect();
    let mut next = Vec::new();
    while let Some(path) = todo.pop() {
        crate::interrupt::check()?;
        neighbours(store, &path, options, &mut next)?;
        for path in next.drain(..) {
            if seen.insert(path.clone()) {
                todo.push(path);
            }
        }
    }
    Ok(seen.into_iter().collect())
}

fn neighbours<S: Store + ?Sized>(
    store: &S,
    path: &StorePath,
    options: ClosureOptions,
    out: &mut Vec<StorePath>,
) -> Result<(), StoreError> {
    if options.reverse {
        out.extend(store.query_referrers(path)?);
        if options.include_outputs {
            out.extend(store.query_valid_derivers(path)?);
        }
        if options.include_derivers && path.is_derivation() {
            for output in store
                .query_derivation_outputs(path)?
                .into_values()
                .flatten()
            {
                if store.is_valid(&output)? {
                    out.push(output);
                }
            }
        }
    } else {
        let info = store.path_info(path)?;
        out.extend(info.references.iter().cloned());
        if options.include_outputs && path.is_derivation() {
            for output in store
                .query_derivation_outputs(path)?
                .into_values()
                .flatten()
            {
                if store.is_valid(&output)? {
                    out.push(output);
                }
            }
        }
        if options.include_derivers
            && let Some(deriver) = &info.deriver
            && store.is_valid(deriver)?
        {
            out.push(deriver.clone());
        }
    }
    Ok(())
}

/// Orders paths so that each comes before what it refers to, as the reference does: a depth-first walk in the order of
/// the set, in which a path is put in front once its references are.
///
/// `references` gives what a path refers to; paths outside of the set are ignored.
pub fn topological_order(
    paths: &BTreeSet<StorePath>,
    mut references: impl FnMut(&StorePath) -> Result<BTreeSet<StorePath>, StoreError>,
) -> Result<Vec<StorePath>, StoreError> {
    enum Mark {
        Open,
        Done,
    }
    struct Frame {
        path: StorePath,
        rest: std::collections::btree_set::IntoIter<StorePath>,
    }
    let mut marks: FxHashMap<StorePath, Mark> = FxHashMap::default();
    let mut order = Vec::with_capacity(paths.len());
    let mut stack: Vec<Frame> = Vec::new();
    for start in paths {
        if marks.contains_key(start) {
            continue;
        }
        marks.insert(start.clone(), Mark::Open);
        stack.push(Frame {
            path: start.clone(),
            rest: references(start)?.into_iter(),
        });
        while let Some(frame) = stack.last_mut() {
            let Some(next) = frame.rest.next() else {
                if let Some(frame) = stack.pop() {
                    marks.insert(frame.path.clone(), Mark::Done);
                    order.push(frame.path);
                }
                continue;
            };
            if next == frame.path || !paths.contains(&next) {
                continue;
            }
            match marks.get(&next) {
                Some(Mark::Done) => {}
                Some(Mark::Open) => {
                    return Err(StoreError::Cycle {
                        path: next.to_string(),
                        parent: frame.path.to_string(),
                    });
                }
                None => {
                    marks.insert(next.clone(), Mark::Open);
                    let rest = references(&next)?.into_iter();
                    stack.push(Frame { path: next, rest });
                }
            }
        }
    }
    order.reverse();
    Ok(order)
}

/// Orders valid paths of a store so that each comes before what it refers to.
pub fn topological_paths<S: Store + ?Sized>(
    store: &S,
    paths: &BTreeSet<StorePath>,
) -> Result<Vec<StorePath>, StoreError> {
    store.sort_topologically(paths)
}

/// [`topological_paths`] by asking the store for one path after the other.
pub fn sort_by_walking<S: Store + ?Sized>(
    store: &S,
    paths: &BTreeSet<StorePath>,
) -> Result<Vec<StorePath>, StoreError> {
    topological_order(paths, |path| {
        Ok(store
            .query_path_info(path)?
            .map(|info| info.references.clone())
            .unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(n: u8) -> StorePath {
        StorePath::new([n; 20], b"x").unwrap()
    }

    #[test]
    fn who_refers_comes_before_what_is_referred_to() {
        let paths = BTreeSet::from([path(1), path(2), path(3)]);
        let order = topological_order(&paths, |p| {
            Ok(match p.digest()[0] {
                1 => BTreeSet::from([path(3), path(1)]),
                3 => BTreeSet::from([path(2), path(9)]),
                _ => BTreeSet::new(),
            })
        });
        assert_eq!(order.unwrap(), [path(1), path(3), path(2)]);
    }

    #[test]
    fn a_circle_is_an_error() {
        let paths = BTreeSet::from([path(1), path(2)]);
        let order = topological_order(&paths, |_| Ok(paths.clone()));
        assert!(matches!(order, Err(StoreError::Cycle { .. })));
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_does_not_overflow() {
        let chain: Vec<StorePath> = (0..100_000u32)
            .map(|n| {
                let mut digest = [0; 20];
                digest[16..].copy_from_slice(&n.to_le_bytes());
                StorePath::new(digest, b"x").unwrap()
            })
            .collect();
        let paths: BTreeSet<StorePath> = chain.iter().cloned().collect();
        let order = topological_order(&paths, |p| {
            let n = u32::from_le_bytes([
                p.digest()[16],
                p.digest()[17],
                p.digest()[18],
                p.digest()[19],
            ]);
            Ok(chain.get(n as usize + 1).cloned().into_iter().collect())
        });
        assert_eq!(order.unwrap(), chain);
    }
}
