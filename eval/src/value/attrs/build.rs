//! Building sets whose names are only known at run time.

use rx_lang::symbol::Symbol;
use smallvec::SmallVec;

use super::{Attrs, Keys, keys};
use crate::error::Result;
use crate::heap::{self, Heap};
use crate::source::Pos;
use crate::value::Value;

/// Which of several attributes of the same name stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duplicates {
    /// The one that was added first.
    First,
    /// The one that was added last.
    Last,
}

/// A set under construction.
#[derive(Debug, Default)]
pub struct AttrsBuilder {
    entries: SmallVec<[(Symbol, Pos, Value); 8]>,
}

impl AttrsBuilder {
    /// Room for about `capacity` attributes.
    pub fn new(capacity: usize) -> AttrsBuilder {
        AttrsBuilder {
            entries: SmallVec::with_capacity(capacity),
        }
    }

    /// Adds an attribute without a position.
    pub fn push(&mut self, name: Symbol, value: Value) {
        self.push_at(name, Pos::NONE, value);
    }

    /// Adds an attribute.
    pub fn push_at(&mut self, name: Symbol, pos: Pos, value: Value) {
        self.entries.push((name, pos, value));
    }

    /// How many attributes have been added.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none has been added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts the attributes in order and leaves one of each name.
    pub(crate) fn resolve(&mut self, duplicates: Duplicates) {
        let entries = &mut self.entries;
        let sorted = entries
            .windows(2)
            .all(|w| keys::compare(w[0].0, w[1].0).is_lt());
        if !sorted {
            if duplicates == Duplicates::Last {
                entries.reverse();
            }
            entries.sort_by(|a, b| keys::compare(a.0, b.0));
            entries.dedup_by(|later, earlier| later.0 == earlier.0);
        }
    }

    /// Replaces each value by what `each` makes of it, with a position.
    pub(crate) fn try_map(
        &mut self,
        mut each: impl FnMut(Value) -> Result<(Pos, Value)>,
    ) -> Result<()> {
        for entry in &mut self.entries {
            (entry.1, entry.2) = each(entry.2)?;
        }
        Ok(())
    }

    /// The set.
    pub fn finish(mut self, heap: &mut Heap, duplicates: Duplicates) -> Value {
        self.resolve(duplicates);
        let entries = &self.entries;
        let names = entries
            .iter()
            .map(|e| e.0)
            .collect::<SmallVec<[Symbol; 16]>>();
        let keys = Keys::of(&names);
        let layout = if entries.iter().all(|e| e.1.is_none()) {
            keys.plain()
        } else {
            let positions = entries.iter().map(|e| e.1).collect::<SmallVec<[Pos; 16]>>();
            heap.shapes.layout(keys, &positions)
        };
        let (value, words) = Attrs::with_layout(heap, layout);
        for (word, entry) in words.iter().zip(entries) {
            heap::store(word, entry.2.word());
        }
        value
    }
}
