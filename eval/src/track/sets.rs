//! Sets of inputs: sorted numbers, each set kept once and named by a number of its own.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// The number of a set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SetId(pub(crate) u32);

impl SetId {
    /// The set of nothing.
    pub(crate) const EMPTY: SetId = SetId(0);
}

/// All sets that came up, and the unions that were made of them.
#[derive(Debug)]
pub(super) struct InputSets {
    sets: Vec<Arc<[u32]>>,
    known: FxHashMap<Arc<[u32]>, SetId>,
    unions: FxHashMap<(SetId, SetId), SetId>,
    /// Where unions are made: most of them are known.
    scratch: Vec<u32>,
}

impl Default for InputSets {
    fn default() -> Self {
        let empty: Arc<[u32]> = Arc::default();
        InputSets {
            known: FxHashMap::from_iter([(empty.clone(), SetId::EMPTY)]),
            sets: vec![empty],
            unions: FxHashMap::default(),
            scratch: Vec::new(),
        }
    }
}

impl InputSets {
    /// The members in ascending order.
    pub(super) fn get(&self, set: SetId) -> &[u32] {
        &self.sets[set.0 as usize]
    }

    fn intern(&mut self, members: &[u32]) -> SetId {
        if let Some(&known) = self.known.get(members) {
            return known;
        }
        let id = SetId(self.sets.len() as u32);
        let members: Arc<[u32]> = members.into();
        self.sets.push(members.clone());
        self.known.insert(members, id);
        id
    }

    /// The members of both.
    pub(super) fn union(&mut self, a: SetId, b: SetId) -> SetId {
        if a == b || b == SetId::EMPTY {
            return a;
        }
        if a == SetId::EMPTY {
            return b;
        }
        let key = if a.0 < b.0 { (a, b) } else { (b, a) };
        if let Some(&known) = self.unions.get(&key) {
            return known;
        }
        let mut members = std::mem::take(&mut self.scratch);
        merge(self.get(a), self.get(b), &mut members);
        let union = self.intern(&members);
        self.scratch = members;
        self.unions.insert(key, union);
        union
    }

    /// The set with more members.
    pub(super) fn with(&mut self, set: SetId, more: &[u32]) -> SetId {
        let mut members = more.to_vec();
        members.sort_unstable();
        members.dedup();
        let more = self.intern(&members);
        self.union(set, more)
    }
}

/// Fills `out` with the members of two ascending lists, in order and each once.
fn merge(mut a: &[u32], mut b: &[u32], out: &mut Vec<u32>) {
    out.clear();
    out.reserve(a.len() + b.len());
    while let (Some((&x, after_x)), Some((&y, after_y))) = (a.split_first(), b.split_first()) {
        out.push(x.min(y));
        if x <= y {
            a = after_x;
        }
        if y <= x {
            b = after_y;
        }
    }
    out.extend_from_slice(a);
    out.extend_from_slice(b);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_kept_once_whichever_way_it_came_about() {
        let mut sets = InputSets::default();
        let a = sets.with(SetId::EMPTY, &[3, 1, 3]);
        let b = sets.with(SetId::EMPTY, &[2]);
        let both = sets.union(a, b);
        assert_eq!(sets.get(both), [1, 2, 3]);
        assert_eq!(sets.union(b, a), both);
        assert_eq!(sets.with(b, &[3, 1]), both);
        assert_eq!(sets.union(both, a), both);
        assert_eq!(sets.union(SetId::EMPTY, SetId::EMPTY), SetId::EMPTY);
    }
}
