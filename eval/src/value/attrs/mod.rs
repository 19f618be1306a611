//! Attribute sets: a layout (names and positions, shared) and a row of words.
//!
//! ```text
//! [address of the layout][words in the order of the names …]         a flat set
//! [1 | layers << 1 | size << 16][flat set or 0][layers, newest first …]  a layered set
//! [address of the layout | 2] …                                          see `asked`
//! ```
//!
//! A literal has its layout from compile time, so making a set is writing its words. The names of a layout
//! are in alphabetical order: nothing that walks a set has to sort. `a // b` of small sets goes through
//! a cache of transitions from pairs of layouts; a few names over a large set make a layer, so that
//! overlaying k names over n costs O(k log n) and not O(n).

mod asked;
mod build;
mod keys;
mod layout;
mod subset;
mod update;

pub use build::{AttrsBuilder, Duplicates};
pub use keys::Keys;
pub use layout::Layout;
pub(crate) use update::ShapeCache;

use std::sync::atomic::{AtomicU64, Ordering};

use rx_lang::symbol::Symbol;
use smallvec::SmallVec;

use super::{Tag, Value};
use crate::heap::{self, Heap, Word};
use crate::source::Pos;

/// An attribute set of the language.
#[derive(Clone, Copy, Debug)]
pub struct Attrs(usize);

/// A flat view of a set: names in alphabetical order, values beside them.
#[derive(Clone, Copy, Debug)]
pub struct Entries {
    layout: &'static Layout,
    words: &'static [Word],
}

/// Remembers at which index a place in the code last found its name.
#[derive(Debug, Default)]
pub struct SelectCache(AtomicU64);

impl Attrs {
    #[inline(always)]
    pub(super) fn at(address: usize) -> Attrs {
        Attrs(address)
    }

    /// A flat set whose words are still to be set.
    #[inline(always)]
    pub(crate) fn with_layout(
        heap: &mut Heap,
        layout: &'static Layout,
    ) -> (Value, &'static [Word]) {
        let object = heap.alloc(1 + layout.len());
        heap.made.sets += 1;
        heap.made.attributes += layout.len() as u64;
        heap::store(&object[0], heap::address_of(layout) as u64);
        (
            Value::tagged(heap::address_of(object), Tag::Attrs),
            &object[1..],
        )
    }

    /// The empty set.
    pub fn empty(heap: &mut Heap) -> Value {
        Attrs::with_layout(heap, Layout::empty()).0
    }

    /// The value that this is a view of.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value::tagged(self.0, Tag::Attrs)
    }

    /// Whether two sets are the same object.
    pub fn same(self, other: Attrs) -> bool {
        self.0 == other.0
    }

    #[inline(always)]
    fn header(self) -> u64 {
        heap::word(self.0).load(Ordering::Acquire)
    }

    #[inline(always)]
    fn layout(self) -> Option<&'static Layout> {
        let header = self.header();
        (header & 1 == 0).then(|| heap::permanent((header & !asked::BITS) as usize))
    }

    /// The word of the attribute at this index of the layout.
    #[inline(always)]
    fn word_at(self, index: usize) -> &'static Word {
        if self.header() & asked::ASKED == 0 {
            heap::word(self.0 + 8 + 8 * index)
        } else {
            asked::word(self, index)
        }
    }

    /// The word that holds the attribute.
    #[inline]
    pub(crate) fn word(self, name: Symbol) -> Option<&'static Word> {
        match self.layout() {
            Some(layout) => layout.keys.find(name).map(|i| self.word_at(i)),
            None => self.layers_word(name),
        }
    }

    fn layers_word(self, name: Symbol) -> Option<&'static Word> {
        match self.flattened() {
            Some(flat) => flat.word(name),
            None => self.layers().find_map(|layer| layer.word(name)),
        }
    }

    /// As [`Attrs::word`], looking first where the name was the last time.
    #[inline(always)]
    pub(crate) fn word_cached(self, name: Symbol, cache: &SelectCache) -> Option<&'static Word> {
        let Some(layout) = self.layout() else {
            return self.layers_word(name);
        };
        let cached = cache.0.load(Ordering::Relaxed);
        if cached >> 32 == u64::from(layout.keys_id) {
            return Some(self.word_at(cached as u32 as usize));
        }
        let index = layout.keys.find(name)?;
        cache.0.store(
            u64::from(layout.keys_id) << 32 | index as u64,
            Ordering::Relaxed,
        );
        Some(self.word_at(index))
    }

    /// The attribute's value, possibly a thunk.
    #[inline]
    pub fn get(self, name: Symbol) -> Option<Value> {
        self.word(name)
            .map(|w| Value::from_word(heap::load(w)).peel())
    }

    /// Where the attribute was defined.
    pub fn pos(self, name: Symbol) -> Pos {
        match self.layout() {
            Some(layout) => layout.keys.find(name).map_or(Pos::NONE, |i| layout.pos(i)),
            None => self
                .layers()
                .find(|layer| layer.word(name).is_some())
                .map_or(Pos::NONE, |layer| layer.pos(name)),
        }
    }

    /// Whether there are no attributes.
    pub fn is_empty(self) -> bool {
        self.layout().is_some_and(|layout| layout.len() == 0)
    }

    /// Whether the set is a large one that was made by overlaying others.
    pub(crate) fn is_layered(self) -> bool {
        self.layout().is_none()
    }

    /// At least how many attributes there could be: exact for flat sets, too many for layered ones.
    fn size(self) -> usize {
        self.layout()
            .map_or_else(|| (self.header() >> 16) as usize, Layout::len)
    }

    fn flattened(self) -> Option<Attrs> {
        let flat = heap::word(self.0 + 8).load(Ordering::Acquire);
        (flat != 0).then(|| Attrs(Value::from_word(flat).address()))
    }

    /// The layers of a layered set, newest first; a flat set is its own only layer.
    fn layers(self) -> impl Iterator<Item = Attrs> {
        let header = self.header();
        let layered = header & 1 == 1;
        let count = if layered {
            (header >> 1 & 0x7fff) as usize
        } else {
            0
        };
        let words = if layered {
            heap::words(self.0 + 16, count)
        } else {
            &[]
        };
        let single = (!layered).then_some(self);
        single.into_iter().chain(
            words
                .iter()
                .map(|w| Attrs(Value::from_word(heap::load(w)).address())),
        )
    }

    /// The names in alphabetical order, without the values.
    pub(crate) fn names(self, heap: &mut Heap) -> &'static [Symbol] {
        match self.layout() {
            Some(layout) => layout.keys.names(),
            None => update::flatten(heap, self).names(heap),
        }
    }

    /// The attributes in alphabetical order.
    #[inline]
    pub fn entries(self, heap: &mut Heap) -> Entries {
        let header = self.header();
        if header & 1 == 1 {
            return update::flatten(heap, self).entries(heap);
        }
        let layout: &'static Layout = heap::permanent((header & !asked::BITS) as usize);
        if header & asked::ASKED != 0 {
            return asked::entries(heap, self, layout);
        }
        Entries {
            layout,
            words: heap::words(self.0 + 8, layout.len()),
        }
    }
}

impl Entries {
    /// How many attributes there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The names, in alphabetical order of their bytes.
    pub fn names(&self) -> &'static [Symbol] {
        self.layout.keys.names()
    }

    /// The value at `index`, possibly a thunk.
    #[inline]
    pub fn value(&self, index: usize) -> Value {
        Value::from_word(heap::load(&self.words[index])).peel()
    }

    /// What stands at `index`, a thunk even when it is finished: that says who shares it.
    pub(crate) fn slot(&self, index: usize) -> Value {
        Value::from_word(heap::load(&self.words[index]))
    }

    /// All slots in order; see [`Entries::slot`].
    pub(crate) fn slots(&self) -> impl ExactSizeIterator<Item = Value> + use<> {
        self.words.iter().map(|w| Value::from_word(heap::load(w)))
    }

    /// Where the attribute at `index` was defined.
    pub fn pos(&self, index: usize) -> Pos {
        self.layout.pos(index)
    }

    /// Names and values in alphabetical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Symbol, Value)> + use<> {
        self.names()
            .iter()
            .zip(self.words)
            .map(|(&name, w)| (name, Value::from_word(heap::load(w)).peel()))
    }

    /// Where the name stands.
    #[inline]
    pub fn find(&self, name: Symbol) -> Option<usize> {
        self.layout.keys.find(name)
    }

    /// The indices in the order of the symbols, that is, in which the names were met first: the order in which the
    /// reference compares and forces attributes.
    pub(crate) fn by_symbol(&self) -> SmallVec<[u32; 32]> {
        let names = self.names();
        let mut order = (0..names.len() as u32).collect::<SmallVec<[u32; 32]>>();
        order.sort_unstable_by_key(|&i| names[i as usize]);
        order
    }

    /// Names, places and values in the order of the symbols.
    pub fn as_met(self) -> impl Iterator<Item = (Symbol, Pos, Value)> {
        self.by_symbol().into_iter().map(move |i| {
            let i = i as usize;
            (self.names()[i], self.pos(i), self.value(i))
        })
    }

    /// The identity of the list of names.
    pub(crate) fn keys_id(&self) -> u32 {
        self.layout.keys_id
    }
}
