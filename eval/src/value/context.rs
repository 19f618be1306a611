//! String contexts: which store paths a string speaks of.
//!
//! A context is an interned, sorted set of interned elements, so a string needs one word for it, equality
//! is equality of addresses, and the union of the same two contexts (which packages ask for thousands of
//! times) is computed once.

use std::sync::OnceLock;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// One thing that a string's context names.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ContextElement {
    /// A store path as it is (printed `path`).
    Opaque(Box<[u8]>),
    /// A derivation with all its outputs and its closure of sources (printed `=path`).
    DrvDeep(Box<[u8]>),
    /// An output of a derivation (printed `!output!path`); the derivation may itself be an output.
    Built {
        /// The derivation: an opaque path, or an output that is a derivation.
        drv: Box<ContextElement>,
        /// The output's name.
        output: Box<[u8]>,
    },
}

impl ContextElement {
    /// The store path at the root of the element, as a full path name.
    pub fn store_path(&self) -> &[u8] {
        match self {
            ContextElement::Opaque(path) | ContextElement::DrvDeep(path) => path,
            ContextElement::Built { drv, .. } => drv.store_path(),
        }
    }
}

/// A set of context elements, in order, without duplicates.
#[derive(Debug)]
pub struct ContextSet {
    elements: Box<[&'static ContextElement]>,
}

/// An interned [`ContextSet`], or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Context(Option<&'static ContextSet>);

#[derive(Default)]
struct Table {
    elements: FxHashMap<&'static ContextElement, ()>,
    sets: FxHashMap<Vec<usize>, &'static ContextSet>,
    unions: FxHashMap<(usize, usize), &'static ContextSet>,
}

fn table() -> &'static Mutex<Table> {
    static TABLE: OnceLock<Mutex<Table>> = OnceLock::new();
    TABLE.get_or_init(Mutex::default)
}

impl Table {
    fn element(&mut self, element: ContextElement) -> &'static ContextElement {
        if let Some((&known, ())) = self.elements.get_key_value(&element) {
            return known;
        }
        let new: &'static ContextElement = Box::leak(Box::new(element));
        self.elements.insert(new, ());
        new
    }

    fn set(&mut self, mut elements: Vec<&'static ContextElement>) -> &'static ContextSet {
        elements.sort_unstable();
        elements.dedup_by(|a, b| std::ptr::eq(*a, *b));
        let key = elements
            .iter()
            .map(|&e| crate::heap::address_of(e))
            .collect::<Vec<_>>();
        self.sets.entry(key).or_insert_with(|| {
            Box::leak(Box::new(ContextSet {
                elements: elements.into(),
            }))
        })
    }
}

impl Context {
    /// The empty context.
    pub const EMPTY: Context = Context(None);

    /// The context of one element.
    pub fn of(element: ContextElement) -> Context {
        Context::from_elements([element])
    }

    /// The context of these elements, in any order.
    pub fn from_elements(elements: impl IntoIterator<Item = ContextElement>) -> Context {
        let mut table = table().lock();
        let elements = elements
            .into_iter()
            .map(|e| table.element(e))
            .collect::<Vec<_>>();
        if elements.is_empty() {
            Context::EMPTY
        } else {
            Context(Some(table.set(elements)))
        }
    }

    /// Whether there is nothing in it.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.0.is_none()
    }

    /// The elements in order.
    pub fn elements(self) -> &'static [&'static ContextElement] {
        self.0.map_or(&[], |set| &set.elements)
    }

    /// What either holds.
    #[inline]
    pub fn union(self, other: Context) -> Context {
        match (self.0, other.0) {
            (_, None) => self,
            (None, _) => other,
            (Some(a), Some(b)) if std::ptr::eq(a, b) => self,
            (Some(a), Some(b)) => union(a, b),
        }
    }

    #[inline(always)]
    pub(super) fn word(self) -> u64 {
        self.0.map_or(0, |set| crate::heap::address_of(set) as u64)
    }

    #[inline(always)]
    pub(super) fn from_word(word: u64) -> Context {
        if word == 0 {
            Context(None)
        } else {
            Context(Some(crate::heap::permanent(word as usize)))
        }
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        self.word() == other.word()
    }
}

fn union(a: &'static ContextSet, b: &'static ContextSet) -> Context {
    let (pa, pb) = (crate::heap::address_of(a), crate::heap::address_of(b));
    let key = if pa < pb { (pa, pb) } else { (pb, pa) };
    let mut table = table().lock();
    if let Some(&known) = table.unions.get(&key) {
        return Context(Some(known));
    }
    let both = table.set(a.elements.iter().chain(&b.elements).copied().collect());
    table.unions.insert(key, both);
    Context(Some(both))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> ContextElement {
        ContextElement::Opaque(name.as_bytes().into())
    }

    #[test]
    fn equal_contexts_are_the_same_word_however_they_were_made() {
        let ab = Context::from_elements([path("a"), path("b")]);
        let ba = Context::of(path("b")).union(Context::of(path("a")));
        assert_eq!(ab, ba);
        assert_eq!(ab.elements().len(), 2);
        assert_eq!(ab.union(ba), ab);
        assert_eq!(ab.union(Context::EMPTY), ab);
        assert!(Context::from_elements([]).is_empty());
    }
}
