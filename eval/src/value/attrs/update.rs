//! `a // b`, and the caches that make it a copy of words.

use rustc_hash::{FxHashMap, FxHashSet};
use rx_lang::symbol::Symbol;
use smallvec::SmallVec;

use super::layout::Positions;
use super::{Attrs, Entries, Keys, Layout, keys};
use crate::heap::{self, Heap};
use crate::source::Pos;
use crate::value::{Tag, Value};

/// Up to this many words in all, the way from two layouts to their union is remembered.
const CACHED: usize = 128;
/// Up to this many words in all, it is remembered when it is gone a second time.
const CACHED_LATER: usize = 8192;
/// Neighbouring layers stay apart when one is this many times larger than the other.
const GROWTH: usize = 4;
/// A set has at most this many layers: a name that it lacks is looked for in all of them.
const MOST_LAYERS: usize = 8;

/// How the words of `a // b` come from those of `a` and `b`.
#[derive(Clone, Copy, Debug)]
struct Transition {
    layout: &'static Layout,
    union: &'static Union,
}

/// What `a // b` does with lists of names.
#[derive(Debug)]
struct Union {
    keys: &'static Keys,
    plan: Plan,
}

/// For each word of the result its index in `a`'s words followed by `b`'s.
#[derive(Debug)]
enum Plan {
    /// Of sets with few names, which are most.
    Small(Box<[u8]>),
    Large(Box<[u32]>),
}

impl Plan {
    fn new(plan: &[u32]) -> Plan {
        match plan.iter().map(|&from| u8::try_from(from)).collect() {
            Ok(small) => Plan::Small(small),
            Err(_) => Plan::Large(plan.into()),
        }
    }
}

/// What one evaluator thread has learned about layouts.
#[derive(Debug, Default)]
pub(crate) struct ShapeCache {
    transitions: FxHashMap<(usize, usize), Transition>,
    /// The same for lists of names, which many layouts share.
    unions: FxHashMap<(u32, u32), &'static Union>,
    /// Pairs of larger layouts that have been united once.
    seen: FxHashSet<(usize, usize)>,
    layouts: FxHashMap<(u32, Box<[Pos]>), &'static Layout>,
    /// Layouts of parts of sets: the layout of the whole, with a bit for each name that the part has.
    pub(super) parts: FxHashMap<(usize, u128), &'static Layout>,
}

impl ShapeCache {
    /// The layout with these names and positions.
    pub(super) fn layout(&mut self, keys: &'static Keys, positions: &[Pos]) -> &'static Layout {
        if positions.len() > 16 {
            return Layout::with_positions(keys, positions);
        }
        self.layouts
            .entry((keys.id, positions.into()))
            .or_insert_with(|| Layout::with_positions(keys, positions))
    }

    fn transition(&mut self, a: &'static Layout, b: &'static Layout) -> Transition {
        let key = (heap::address_of(a), heap::address_of(b));
        *self.transitions.entry(key).or_insert_with(|| {
            let union = self
                .unions
                .entry((a.keys_id, b.keys_id))
                .or_insert_with(|| Box::leak(Box::new(Union::new(a.keys, b.keys))));
            Transition {
                layout: united(union.keys, a, b),
                union,
            }
        })
    }
}

impl ShapeCache {
    /// The way for layouts that are too large to be remembered at once.
    fn large_transition(&mut self, a: &'static Layout, b: &'static Layout) -> Option<Transition> {
        let key = (heap::address_of(a), heap::address_of(b));
        if let Some(&known) = self.transitions.get(&key) {
            return Some(known);
        }
        let again = a.len() + b.len() <= CACHED_LATER && !self.seen.insert(key);
        again.then(|| self.transition(a, b))
    }
}

/// Walks the names of both in order; equal names come from `b`.
fn merge(a: &[Symbol], b: &[Symbol], mut each: impl FnMut(Symbol, usize)) {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        match keys::compare(a[i], b[j]) {
            std::cmp::Ordering::Less => {
                each(a[i], i);
                i += 1;
            }
            order => {
                each(b[j], a.len() + j);
                j += 1;
                i += usize::from(order.is_eq());
            }
        }
    }
    (i..a.len()).for_each(|i| each(a[i], i));
    (j..b.len()).for_each(|j| each(b[j], a.len() + j));
}

impl Union {
    fn new(a: &'static Keys, b: &'static Keys) -> Union {
        let mut names = Vec::with_capacity(a.names().len() + b.names().len());
        let mut plan = Vec::with_capacity(names.capacity());
        merge(a.names(), b.names(), |name, from| {
            names.push(name);
            plan.push(from as u32);
        });
        // A union that has just the names of one side keeps that side's list of names.
        let keys = if names.len() == a.names().len() {
            a
        } else if names.len() == b.names().len() {
            b
        } else {
            Keys::of(&names)
        };
        Union {
            keys,
            plan: Plan::new(&plan),
        }
    }
}

/// The layout of `a // b`.
fn united(keys: &'static Keys, a: &'static Layout, b: &'static Layout) -> &'static Layout {
    if a.has_positions() || b.has_positions() {
        Layout::new(keys, Positions::United(a, b))
    } else {
        keys.plain()
    }
}

impl Attrs {
    /// `a // b`
    pub fn update(heap: &mut Heap, a: Attrs, b: Attrs) -> Value {
        if b.is_empty() {
            return a.value();
        }
        if a.is_empty() {
            return b.value();
        }
        if let (Some(la), Some(lb)) = (a.layout(), b.layout())
            && la.len() + lb.len() <= CACHED
        {
            let transition = heap.shapes.transition(la, lb);
            let (a, b) = (a.entries(heap), b.entries(heap));
            return join(heap, transition.layout, &transition.union.plan, a, b);
        }
        let mut layers = b
            .layers()
            .chain(a.layers())
            .collect::<SmallVec<[Attrs; 8]>>();
        compact(heap, &mut layers);
        if layers.len() == 1 {
            return layers[0].value();
        }
        Attrs::layered(heap, &layers)
    }

    /// A set of layers, newest first.
    pub(super) fn layered(heap: &mut Heap, layers: &[Attrs]) -> Value {
        let object = heap.alloc(2 + layers.len());
        let size = layers.iter().map(|l| l.size()).sum::<usize>();
        heap::store(
            &object[0],
            1 | (layers.len() as u64) << 1 | (size as u64) << 16,
        );
        for (word, layer) in object[2..].iter().zip(layers) {
            heap::store(word, layer.value().word());
        }
        Value::tagged(heap::address_of(object), Tag::Attrs)
    }
}

/// Whether joining the layer would make many attributes that nobody has asked for.
fn is_waiting(layer: Attrs) -> bool {
    layer.is_asked() && layer.size() > CACHED
}

/// Joins neighbours of about the same size, and the smallest ones when there are too many layers.
///
/// A set that is much smaller or much larger than its neighbour stays a layer of its own: joining them would copy the
/// large one for the sake of the small one.
fn compact(heap: &mut Heap, layers: &mut SmallVec<[Attrs; 8]>) {
    let similar = |a: usize, b: usize| a * GROWTH > b && b * GROWTH > a;
    while layers.len() > 1 {
        let sizes = layers
            .iter()
            .map(|l| l.size())
            .collect::<SmallVec<[usize; 16]>>();
        let newer = sizes
            .windows(2)
            .zip(layers.windows(2))
            .position(|(sizes, pair)| {
                similar(sizes[0], sizes[1]) && !pair.iter().any(|layer| is_waiting(*layer))
            })
            .or_else(|| {
                let smallest = |&i: &usize| sizes[i] + sizes[i + 1];
                (sizes.len() > MOST_LAYERS)
                    .then(|| (0..sizes.len() - 1).min_by_key(smallest))
                    .flatten()
            });
        let Some(newer) = newer else { return };
        layers[newer] = join_uncached(heap, layers[newer + 1], layers[newer]);
        layers.remove(newer + 1);
    }
}

fn join(heap: &mut Heap, layout: &'static Layout, plan: &Plan, a: Entries, b: Entries) -> Value {
    let (value, words) = Attrs::with_layout(heap, layout);
    heap.made.updated += words.len() as u64;
    match plan {
        Plan::Small(plan) => fill(words, plan.iter().map(|&from| usize::from(from)), a, b),
        Plan::Large(plan) => fill(words, plan.iter().map(|&from| from as usize), a, b),
    }
    value
}

#[inline(always)]
fn fill(words: &[heap::Word], plan: impl Iterator<Item = usize>, a: Entries, b: Entries) {
    let split = a.len();
    for (word, from) in words.iter().zip(plan) {
        let source = if from < split {
            &a.words[from]
        } else {
            &b.words[from - split]
        };
        heap::store(word, heap::load(source));
    }
}

fn join_uncached(heap: &mut Heap, older: Attrs, newer: Attrs) -> Attrs {
    let (a, b) = (older.entries(heap), newer.entries(heap));
    if let Some(transition) = heap.shapes.large_transition(a.layout, b.layout) {
        let plan = &transition.union.plan;
        return Attrs(join(heap, transition.layout, plan, a, b).address());
    }
    let union = Union::new(a.layout.keys, b.layout.keys);
    let layout = united(union.keys, a.layout, b.layout);
    Attrs(join(heap, layout, &union.plan, a, b).address())
}

/// The flat set with the same attributes; a layered set remembers it.
#[cold]
pub(super) fn flatten(heap: &mut Heap, set: Attrs) -> Attrs {
    if let Some(flat) = set.flattened() {
        return flat;
    }
    let layers = set.layers().collect::<SmallVec<[Attrs; 8]>>();
    let Some((&newest, older)) = layers.split_first() else {
        return set;
    };
    let flat = older
        .iter()
        .fold(newest, |newer, &older| join_uncached(heap, older, newer));
    heap::word(set.0 + 8).store(flat.value().word(), std::sync::atomic::Ordering::Release);
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::attrs::{AttrsBuilder, Duplicates};
    use proptest::prelude::*;
    use rx_lang::symbol;
    use std::collections::BTreeMap;

    fn set(heap: &mut Heap, names: &[(u16, i64)]) -> Attrs {
        let mut builder = AttrsBuilder::new(names.len());
        for &(name, value) in names {
            builder.push(
                symbol::intern(format!("n{name}").as_bytes()),
                Value::small_int(value),
            );
        }
        builder.finish(heap, Duplicates::Last).as_attrs().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_chain_of_updates_holds_what_a_map_would(
            sets in prop::collection::vec(prop::collection::vec((0u16..600, 0i64..1000), 0..300), 1..12)
        ) {
            let mut heap = Heap::default();
            let mut model = BTreeMap::new();
            let mut chain = set(&mut heap, &[]);
            for names in &sets {
                let right = set(&mut heap, names);
                chain = Attrs::update(&mut heap, chain, right).as_attrs().unwrap();
                model.extend(names.iter().map(|&(n, v)| (format!("n{n}").into_bytes(), v)));
                for n in 0u16..600 {
                    let name = format!("n{n}").into_bytes();
                    let got = chain.get(symbol::intern(&name)).and_then(Value::as_int);
                    prop_assert_eq!(got, model.get(&name).copied());
                }
            }
            let entries = chain.entries(&mut heap);
            let got = entries.iter().map(|(n, v)| (symbol::name(n).to_vec(), v.as_int().unwrap())).collect::<Vec<_>>();
            prop_assert_eq!(got, model.into_iter().collect::<Vec<_>>());
        }
    }
}
