//! Sets whose attributes are made when somebody asks for them.
//!
//! ```text
//! [address of the layout | 2][function][the other set, with the same names][words …]   mapAttrs
//! [address of the layout | 6][address of the site][captured words][frame][words …]     a large literal
//! ```
//!
//! A word is 0 until its attribute has been asked for. Package sets are written and mapped as a whole for the sake of a few
//! attributes: making a thunk for each would be most of the work.

use std::sync::atomic::Ordering;

use super::{Attrs, Entries, Layout};
use crate::code::{DelayedSite, ThunkCode};
use crate::error::{Error, Result};
use crate::heap::{self, Heap, Word};
use crate::interp::Places;
use crate::value::{Tag, Thunk, Value};
use crate::vm::{Captures, Vm};

/// The bit of a header that says that words may be missing.
pub(super) const ASKED: u64 = 2;
/// The bit that tells literals from mapped sets.
const LITERAL: u64 = 4;
/// What is not the address of the layout.
pub(super) const BITS: u64 = 7;
/// The bytes before the words of a mapped set, and before what a literal captures.
const MAPPED_HEAD: usize = 24;
const LITERAL_HEAD: usize = 16;

impl Attrs {
    /// The set with `function name value` for each attribute.
    pub(crate) fn map(heap: &mut Heap, function: Value, set: Attrs) -> Value {
        if set.is_empty() {
            return Attrs::empty(heap);
        }
        let Some(layout) = set.layout() else {
            if let Some(flat) = set.flattened() {
                return Attrs::map(heap, function, flat);
            }
            // Layer by layer: what is covered by a newer layer is not asked for.
            let layers = set.layers().collect::<smallvec::SmallVec<[Attrs; 8]>>();
            let mapped = layers
                .into_iter()
                .map(|layer| Attrs(Attrs::map(heap, function, layer).address()))
                .collect::<smallvec::SmallVec<[Attrs; 8]>>();
            return Attrs::layered(heap, &mapped);
        };
        let layout = layout.keys.plain();
        let object = heap.alloc(MAPPED_HEAD / 8 + layout.len());
        heap::store(&object[0], heap::address_of(layout) as u64 | ASKED);
        heap::store(&object[1], function.word());
        heap::store(&object[2], set.value().word());
        Value::tagged(heap::address_of(object), Tag::Attrs)
    }

    /// The set of a large literal, with what its attributes may refer to.
    pub(crate) fn delayed(
        heap: &mut Heap,
        site: &'static DelayedSite,
        captures: impl Iterator<Item = Value>,
    ) -> Value {
        let head = literal_head(site);
        let (layout, _) = site.attributes.get();
        let object = heap.alloc(head / 8 + layout.len());
        let header = heap::address_of(layout) as u64 | ASKED | LITERAL;
        heap::store(&object[0], header);
        heap::store(&object[1], heap::address_of(site) as u64);
        for (word, captured) in object[LITERAL_HEAD / 8..].iter().zip(captures) {
            heap::store(word, captured.word());
        }
        let set = Attrs(heap::address_of(object));
        let places = places(set, site);
        for &(slot, source) in site.sources {
            let source = places.delay(heap, source);
            places.set(slot, source);
        }
        set.value()
    }

    /// Whether attributes of the set may not have been asked for yet.
    pub(super) fn is_asked(self) -> bool {
        self.header() & (ASKED | 1) == ASKED
    }
}

fn literal_head(site: &DelayedSite) -> usize {
    LITERAL_HEAD + 8 * (site.captures.len() + site.frame as usize)
}

fn places(set: Attrs, site: &DelayedSite) -> Places {
    let captures = set.0 + LITERAL_HEAD;
    Places {
        captures,
        frame: captures + 8 * site.captures.len(),
    }
}

/// The site of a literal; `None` for a mapped set.
fn site(set: Attrs) -> Option<&'static DelayedSite> {
    (set.header() & LITERAL != 0)
        .then(|| heap::permanent(heap::load(heap::word(set.0 + 8)) as usize))
}

/// Where the words begin.
fn words(set: Attrs) -> usize {
    set.0 + site(set).map_or(MAPPED_HEAD, literal_head)
}

/// The word of an attribute, with something in it.
#[cold]
#[inline(never)]
pub(super) fn word(set: Attrs, index: usize) -> &'static Word {
    let word = heap::word(words(set) + 8 * index);
    if word.load(Ordering::Acquire) == 0 {
        heap::aside(|heap| ask(heap, set, index, word));
    }
    word
}

/// Makes what nobody has asked for.
pub(super) fn entries(heap: &mut Heap, set: Attrs, layout: &'static Layout) -> Entries {
    let words = heap::words(words(set), layout.len());
    for (index, word) in words.iter().enumerate() {
        if word.load(Ordering::Acquire) == 0 {
            ask(heap, set, index, word);
        }
    }
    Entries { layout, words }
}

/// Makes an attribute and puts it in its word, unless another thread was faster.
fn ask(heap: &mut Heap, set: Attrs, index: usize, word: &Word) {
    static CALL: ThunkCode = ThunkCode::Native {
        run: call,
        captures: 2,
    };
    let value = if let Some(site) = site(set) {
        places(set, site).delay(heap, site.attributes.get().1[index])
    } else {
        let (thunk, captures) = Thunk::suspend(heap, &CALL, 2);
        heap::store(&captures[0], set.value().word());
        heap::store(&captures[1], Value::small_int(index as i64).word());
        thunk
    };
    let _ = word.compare_exchange(0, value.word(), Ordering::AcqRel, Ordering::Acquire);
}

/// Calls the function of a mapped set for an attribute.
fn call(vm: &mut Vm, captures: Captures) -> Result {
    let lost = || Error::other("an attribute's set is lost");
    let set = captures.get(0).as_attrs().ok_or_else(lost)?;
    let index = captures.get(1).as_int().ok_or_else(lost)? as usize;
    let layout = set.layout().ok_or_else(lost)?;
    let name = *layout.keys.names().get(index).ok_or_else(lost)?;
    let function = Value::from_word(heap::load(heap::word(set.0 + 8)));
    let source = Value::from_word(heap::load(heap::word(set.0 + 16)));
    let source = source.as_attrs().ok_or_else(lost)?;
    let value = Value::from_word(heap::load(source.word_at(index))).peel();
    let name = vm.name(name);
    vm.call(function, &[name, value])
}
