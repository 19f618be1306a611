//! Strings: bytes with a context.
//!
//! ```text
//! [length << 1 | has context][context, if there is one][bytes …]
//! ```

use super::{Context, Tag, Value};
use crate::heap::{self, Heap};

/// A string of the language.
#[derive(Clone, Copy, Debug)]
pub struct Str(usize);

impl Str {
    #[inline(always)]
    pub(super) fn at(address: usize) -> Str {
        Str(address)
    }

    /// A string without context.
    pub fn new(heap: &mut Heap, bytes: &[u8]) -> Value {
        Str::with_context(heap, bytes, Context::EMPTY)
    }

    /// A string with a context.
    pub fn with_context(heap: &mut Heap, bytes: &[u8], context: Context) -> Value {
        let (value, room) = Str::fresh(heap, bytes.len(), context);
        room.copy_from_slice(bytes);
        value
    }

    /// A string made of parts, allocated once.
    pub fn concat(heap: &mut Heap, parts: &[&[u8]], context: Context) -> Value {
        let (value, mut room) = Str::fresh(heap, parts.iter().map(|p| p.len()).sum(), context);
        for part in parts {
            let (here, rest) = room.split_at_mut(part.len());
            here.copy_from_slice(part);
            room = rest;
        }
        value
    }

    /// A string of `len` bytes that the caller fills before anybody sees the value.
    pub(crate) fn fresh(
        heap: &mut Heap,
        len: usize,
        context: Context,
    ) -> (Value, &'static mut [u8]) {
        let head = if context.is_empty() { 1 } else { 2 };
        let object = heap.alloc(head + len.div_ceil(8));
        heap::store(&object[0], (len as u64) << 1 | u64::from(head == 2));
        if head == 2 {
            heap::store(&object[1], context.word());
        }
        let room = heap::fresh_bytes(&object[head..], len);
        (Value::tagged(heap::address_of(object), Tag::Str), room)
    }

    /// The value that this is a view of.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value::tagged(self.0, Tag::Str)
    }

    #[inline(always)]
    fn header(self) -> u64 {
        heap::load(heap::word(self.0))
    }

    /// Length in bytes.
    #[inline(always)]
    pub fn len(self) -> usize {
        (self.header() >> 1) as usize
    }

    /// Whether there are no bytes.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    #[inline(always)]
    pub fn as_bytes(self) -> &'static [u8] {
        let header = self.header();
        let head = 8 + 8 * (header & 1) as usize;
        heap::bytes(self.0 + head, (header >> 1) as usize)
    }

    /// The context.
    #[inline(always)]
    pub fn context(self) -> Context {
        if self.header() & 1 == 0 {
            Context::EMPTY
        } else {
            Context::from_word(heap::load(heap::word(self.0 + 8)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::ContextElement;

    #[test]
    fn strings_keep_their_bytes_and_context() {
        let mut heap = Heap::default();
        let plain = Str::new(&mut heap, b"a\xffb").as_str().unwrap();
        assert_eq!(plain.as_bytes(), b"a\xffb");
        assert!(plain.context().is_empty());
        let context = Context::of(ContextElement::Opaque(b"/nix/store/x".to_vec().into()));
        let joined = Str::concat(&mut heap, &[b"1234567", b"", b"89"], context)
            .as_str()
            .unwrap();
        assert_eq!(joined.as_bytes(), b"123456789");
        assert_eq!(joined.context(), context);
        assert!(Str::new(&mut heap, b"").as_str().unwrap().is_empty());
    }
}
