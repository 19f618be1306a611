//! Lists: words in a row.
//!
//! ```text
//! [length << 1][elements …]                    a list with its elements
//! [length << 1 | 1][address of the first]      a part of another list (`tail` shares)
//! ```

use super::{Tag, Value};
use crate::heap::{self, Heap, Word};

/// A list of the language.
#[derive(Clone, Copy, Debug)]
pub struct List(usize);

impl List {
    #[inline(always)]
    pub(super) fn at(address: usize) -> List {
        List(address)
    }

    /// A list with these elements.
    pub fn new(heap: &mut Heap, elements: &[Value]) -> Value {
        let mut builder = ListBuilder::new(heap, elements.len());
        for &element in elements {
            builder.push(element);
        }
        builder.finish()
    }

    /// The elements from `start` on, `len` of them, sharing memory; both must be within the list.
    pub fn slice(self, heap: &mut Heap, start: usize, len: usize) -> Value {
        debug_assert!(start + len <= self.len());
        let object = heap.alloc(2);
        heap::store(&object[0], (len as u64) << 1 | 1);
        heap::store(&object[1], (self.first() + 8 * start) as u64);
        Value::tagged(heap::address_of(object), Tag::List)
    }

    /// The value that this is a view of.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value::tagged(self.0, Tag::List)
    }

    #[inline(always)]
    fn first(self) -> usize {
        let header = heap::load(heap::word(self.0));
        if header & 1 == 0 {
            self.0 + 8
        } else {
            heap::load(heap::word(self.0 + 8)) as usize
        }
    }

    /// Number of elements.
    #[inline(always)]
    pub fn len(self) -> usize {
        (heap::load(heap::word(self.0)) >> 1) as usize
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline(always)]
    pub(crate) fn words(self) -> &'static [Word] {
        heap::words(self.first(), self.len())
    }

    /// The element at `index`, if there is one.
    #[inline(always)]
    pub fn get(self, index: usize) -> Option<Value> {
        self.words()
            .get(index)
            .map(|w| Value::from_word(heap::load(w)).peel())
    }

    /// The elements in order (each possibly a thunk).
    #[inline]
    pub fn iter(self) -> impl ExactSizeIterator<Item = Value> + DoubleEndedIterator + Clone {
        self.words()
            .iter()
            .map(|w| Value::from_word(heap::load(w)).peel())
    }

    /// What stands in the list, thunks even when they are finished: that says who shares them.
    pub(crate) fn slots(self) -> impl ExactSizeIterator<Item = Value> {
        self.words().iter().map(|w| Value::from_word(heap::load(w)))
    }

    /// Whether two lists are the same object.
    pub fn same(self, other: List) -> bool {
        self.0 == other.0
    }
}

/// A list under construction.
#[derive(Debug)]
pub struct ListBuilder {
    object: &'static [Word],
    len: usize,
}

impl ListBuilder {
    /// Room for exactly `len` elements.
    pub fn new(heap: &mut Heap, len: usize) -> ListBuilder {
        let object = heap.alloc(1 + len);
        heap.made.lists += 1;
        heap.made.list_elements += len as u64;
        heap::store(&object[0], (len as u64) << 1);
        ListBuilder { object, len: 0 }
    }

    /// Adds an element; there must be room.
    #[inline(always)]
    pub fn push(&mut self, element: Value) {
        self.len += 1;
        heap::store(&self.object[self.len], element.word());
    }

    /// The list; all elements must have been added.
    pub fn finish(self) -> Value {
        debug_assert_eq!(self.len + 1, self.object.len());
        Value::tagged(heap::address_of(self.object), Tag::List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_the_elements_of_their_list() {
        let mut heap = Heap::default();
        let elements = (0..10).map(Value::small_int).collect::<Vec<_>>();
        let list = List::new(&mut heap, &elements).as_list().unwrap();
        let tail = list
            .slice(&mut heap, 1, 9)
            .as_list()
            .unwrap()
            .slice(&mut heap, 1, 3)
            .as_list()
            .unwrap();
        assert_eq!(
            tail.iter().map(|v| v.as_int().unwrap()).collect::<Vec<_>>(),
            [2, 3, 4]
        );
        assert_eq!(tail.get(3), None);
        assert_eq!(list.len(), 10);
    }
}
