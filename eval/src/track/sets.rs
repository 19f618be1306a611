//! Sets of inputs: sorted numbers, each set kept once and named by a number of its own.

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
    sets: Vec<Box<[u32]>>,
    known: FxHashMap<Box<[u32]>, SetId>,
    unions: FxHashMap<(SetId, SetId), SetId>,
}

impl Default for InputSets {
    fn default() -> Self {
        let empty: Box<[u32]> = Box::default();
        InputSets {
            known: FxHashMap::from_iter([(empty.clone(), SetId::EMPTY)]),
            sets: vec![empty],
            unions: FxHashMap::default(),
        }
    }
}

impl InputSets {
    /// The members in ascending order.
    pub(super) fn get(&self, set: SetId) -> &[u32] {
        &self.sets[set.0 as usize]
    }

    fn intern(&mut self, members: Vec<u32>) -> SetId {
        let members = members.into_boxed_slice();
        if let Some(&known) = self.known.get(&members) {
            return known;
        }
        let id = SetId(self.sets.len() as u32);
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
        let mut members = Vec::with_capacity(self.get(a).len() + self.get(b).len());
        members.extend_from_slice(self.get(a));
        members.extend_from_slice(self.get(b));
        members.sort_unstable();
        members.dedup();
        let union = self.intern(members);
        self.unions.insert(key, union);
        union
    }

    /// The set with more members.
    pub(super) fn with(&mut self, set: SetId, more: &[u32]) -> SetId {
        let mut members = more.to_vec();
        members.sort_unstable();
        members.dedup();
        let more = self.intern(members);
        self.union(set, more)
    }
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
