//! Values behind the tag *other*: doubles, wide integers, paths.
//!
//! ```text
//! [kind][payload]
//! kind 1: the bits of a double      kind 2: an integer      kind 3: the length of a path, then its bytes
//! ```

use super::{Tag, Value, View};
use crate::heap::{self, Heap};

const FLOAT: u64 = 1;
const INT: u64 = 2;
const PATH: u64 = 3;

fn object(heap: &mut Heap, kind: u64, payload: u64) -> Value {
    let object = heap.alloc(2);
    heap::store(&object[0], kind);
    heap::store(&object[1], payload);
    Value::tagged(heap::address_of(object), Tag::Other)
}

pub(super) fn int(heap: &mut Heap, n: i64) -> Value {
    object(heap, INT, n as u64)
}

pub(super) fn float(heap: &mut Heap, f: f64) -> Value {
    object(heap, FLOAT, f.to_bits())
}

fn kind(value: Value) -> u64 {
    if value.is_absent() {
        0
    } else {
        heap::load(heap::word(value.address()))
    }
}

fn payload(value: Value) -> u64 {
    heap::load(heap::word(value.address() + 8))
}

pub(super) fn as_int(value: Value) -> Option<i64> {
    (kind(value) == INT).then(|| payload(value) as i64)
}

pub(super) fn as_float(value: Value) -> Option<f64> {
    (kind(value) == FLOAT).then(|| f64::from_bits(payload(value)))
}

pub(super) fn as_path(value: Value) -> Option<PathValue> {
    (kind(value) == PATH).then(|| PathValue(value.address()))
}

pub(super) fn view(value: Value) -> View {
    match kind(value) {
        FLOAT => View::Float(f64::from_bits(payload(value))),
        INT => View::Int(payload(value) as i64),
        PATH => View::Path(PathValue(value.address())),
        // An empty slot is no value of the language; whoever looks at one sees null.
        _ => View::Null,
    }
}

/// An absolute path in canonical form (no `.`, `..`, empty component or slash at the end).
#[derive(Clone, Copy, Debug)]
pub struct PathValue(usize);

impl PathValue {
    /// A path with these bytes, which must be canonical.
    pub fn new(heap: &mut Heap, path: &[u8]) -> Value {
        let object = heap.alloc(2 + path.len().div_ceil(8));
        heap::store(&object[0], PATH);
        heap::store(&object[1], path.len() as u64);
        heap::fresh_bytes(&object[2..], path.len())[..path.len()].copy_from_slice(path);
        Value::tagged(heap::address_of(object), Tag::Other)
    }

    /// The bytes of the path.
    pub fn as_bytes(self) -> &'static [u8] {
        heap::bytes(self.0 + 16, heap::load(heap::word(self.0 + 8)) as usize)
    }
}
