//! Sets that hold some of the attributes of another set.

use rx_lang::symbol::Symbol;
use smallvec::SmallVec;

use super::layout::Positions;
use super::{Attrs, Entries, Keys, Layout};
use crate::heap::{self, Heap};
use crate::source::Pos;
use crate::value::Value;

/// Up to this many attributes, the layout of a part is remembered by the layout of the whole and a bit per name.
const REMEMBERED: usize = 128;
/// Positions are looked up attribute by attribute only for results as small as this, out of flat sets.
const POSITIONS: usize = 16;

impl Entries {
    /// The layout of the attributes at `kept`, which is in order.
    fn part(&self, heap: &mut Heap, kept: &[u32]) -> &'static Layout {
        if self.len() > REMEMBERED {
            return self.new_part(kept);
        }
        let mask = kept.iter().fold(0u128, |mask, &i| mask | 1 << i);
        let key = (heap::address_of(self.layout), mask);
        if let Some(known) = heap.shapes.parts.get(&key) {
            return known;
        }
        let new = self.new_part(kept);
        heap.shapes.parts.insert(key, new);
        new
    }

    fn new_part(&self, kept: &[u32]) -> &'static Layout {
        let names = self.names();
        let names = kept
            .iter()
            .map(|&i| names[i as usize])
            .collect::<SmallVec<[Symbol; 32]>>();
        let keys = Keys::of(&names);
        if !self.layout.has_positions() {
            return keys.plain();
        }
        Layout::new(keys, Positions::PartOf(self.layout))
    }

    /// The set of the attributes at `kept`, which is in order.
    pub(crate) fn subset(&self, heap: &mut Heap, kept: &[u32]) -> Value {
        let layout = if kept.len() == self.len() {
            self.layout
        } else {
            self.part(heap, kept)
        };
        let (value, words) = Attrs::with_layout(heap, layout);
        for (word, &i) in words.iter().zip(kept) {
            heap::store(word, heap::load(&self.words[i as usize]));
        }
        value
    }
}

impl Attrs {
    /// The attributes of `right` whose names are in `left` too; the smaller set is walked.
    pub(crate) fn intersect(heap: &mut Heap, left: Attrs, right: Attrs) -> Value {
        if left.size() >= right.size() {
            let entries = right.entries(heap);
            let kept = (0u32..)
                .zip(entries.names())
                .filter(|&(_, &name)| left.word(name).is_some())
                .map(|(i, _)| i)
                .collect::<SmallVec<[u32; 32]>>();
            return entries.subset(heap, &kept);
        }
        let entries = left.entries(heap);
        let mut kept = SmallVec::<[u32; 32]>::new();
        let mut found = SmallVec::<[u64; 32]>::new();
        for (i, &name) in (0u32..).zip(entries.names()) {
            if let Some(word) = right.word(name) {
                kept.push(i);
                found.push(heap::load(word));
            }
        }
        let keys = if kept.len() == entries.len() {
            entries.layout.keys
        } else {
            entries.part(heap, &kept).keys
        };
        let layout = match right.layout() {
            Some(layout) if layout.has_positions() && kept.len() <= POSITIONS => {
                let positions = keys
                    .names()
                    .iter()
                    .map(|&name| right.pos(name))
                    .collect::<SmallVec<[Pos; POSITIONS]>>();
                heap.shapes.layout(keys, &positions)
            }
            _ => keys.plain(),
        };
        let (value, words) = Attrs::with_layout(heap, layout);
        for (word, &found) in words.iter().zip(&found) {
            heap::store(word, found);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::attrs::{AttrsBuilder, Duplicates};
    use proptest::prelude::*;
    use rx_lang::symbol;
    use std::collections::BTreeSet;

    fn set(heap: &mut Heap, names: &BTreeSet<u8>, add: i64) -> Attrs {
        let mut builder = AttrsBuilder::new(names.len());
        for &name in names {
            let symbol = symbol::intern(format!("i{name}").as_bytes());
            builder.push(symbol, Value::small_int(i64::from(name) + add));
        }
        builder.finish(heap, Duplicates::Last).as_attrs().unwrap()
    }

    proptest! {
        #[test]
        fn an_intersection_has_the_common_names_with_the_values_of_the_right(
            a in prop::collection::btree_set(0u8..200, 0..150),
            b in prop::collection::btree_set(0u8..200, 0..150),
        ) {
            let mut heap = Heap::default();
            let (left, right) = (set(&mut heap, &a, 0), set(&mut heap, &b, 1000));
            let got = Attrs::intersect(&mut heap, left, right).as_attrs().unwrap();
            let got = got.entries(&mut heap).iter().map(|(_, v)| v.as_int().unwrap()).collect::<BTreeSet<_>>();
            let want = a.intersection(&b).map(|&n| i64::from(n) + 1000).collect::<BTreeSet<_>>();
            prop_assert_eq!(got, want);
        }
    }
}
