//! Values: one tagged 64-bit word each.
//!
//! ```text
//! tag (low three bits)     rest of the word
//! 000  other               address of a boxed float, a boxed integer or a path
//! 001  integer             61 bits, signed; wider integers are boxed
//! 010  thunk               address of a thunk, finished or not
//! 011  attribute set       address
//! 100  list                address
//! 101  string              address
//! 110  function            address of a lambda, a builtin or a partial application
//! 111  immediate           null, false, true
//! ```
//!
//! A type test reads no memory, a value is `Copy`, and `Result<Value, Box<Error>>` travels in two registers.
//! The layouts of the objects stand in the modules of their kinds.

pub mod attrs;
pub mod boxed;
pub mod context;
pub mod function;
pub mod list;
pub(crate) mod protocol;
pub mod string;
pub mod thunk;

use std::borrow::Cow;

use crate::heap::Heap;

pub use attrs::{Attrs, AttrsBuilder};
pub use boxed::PathValue;
pub use context::{Context, ContextElement};
pub use function::Function;
pub use list::{List, ListBuilder};
pub use string::Str;
pub use thunk::Thunk;

const TAG_BITS: u32 = 3;
const TAG_MASK: u64 = 7;

/// What the low three bits of a word say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(crate) enum Tag {
    Other = 0,
    Int = 1,
    Thunk = 2,
    Attrs = 3,
    List = 4,
    Str = 5,
    Function = 6,
    Immediate = 7,
}

/// A value of the language, possibly a thunk.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Value(u64);

/// A value with its kind made explicit, for `match`.
#[derive(Clone, Copy, Debug)]
pub enum View {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A 64-bit integer
    Int(i64),
    /// A double
    Float(f64),
    /// A string with its context
    Str(Str),
    /// An absolute path
    Path(PathValue),
    /// A list
    List(List),
    /// An attribute set
    Attrs(Attrs),
    /// A lambda, a builtin or a partial application
    Function(Function),
    /// Something that must be forced first
    Thunk(Thunk),
}

impl Value {
    /// `null`
    pub const NULL: Value = Value::immediate(0);
    /// `false`
    pub const FALSE: Value = Value::immediate(1);
    /// `true`
    pub const TRUE: Value = Value::immediate(2);
    /// No value of the language: an empty slot.
    pub(crate) const ABSENT: Value = Value(0);

    const fn immediate(n: u64) -> Value {
        Value(n << TAG_BITS | Tag::Immediate as u64)
    }

    #[inline(always)]
    pub(crate) const fn from_word(word: u64) -> Value {
        Value(word)
    }

    #[inline(always)]
    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub(crate) const fn tagged(address: usize, tag: Tag) -> Value {
        Value(address as u64 | tag as u64)
    }

    #[inline(always)]
    pub(crate) const fn has_tag(self, tag: Tag) -> bool {
        self.0 & TAG_MASK == tag as u64
    }

    /// The address of the object, for every tag but `Int` and `Immediate`.
    #[inline(always)]
    pub(crate) const fn address(self) -> usize {
        (self.0 & !TAG_MASK) as usize
    }

    /// A truth value.
    #[inline(always)]
    pub const fn bool(b: bool) -> Value {
        if b { Value::TRUE } else { Value::FALSE }
    }

    /// An integer; those of more than 61 bits are boxed.
    #[inline(always)]
    pub fn int(heap: &mut Heap, n: i64) -> Value {
        let word = (n << TAG_BITS) as u64;
        if (word as i64) >> TAG_BITS == n {
            Value(word | Tag::Int as u64)
        } else {
            boxed::int(heap, n)
        }
    }

    /// An integer that is known to be small (a length, an index).
    #[inline(always)]
    pub const fn small_int(n: i64) -> Value {
        Value((n << TAG_BITS) as u64 | Tag::Int as u64)
    }

    /// A double.
    pub fn float(heap: &mut Heap, f: f64) -> Value {
        boxed::float(heap, f)
    }

    /// Whether this is a thunk (which may be finished).
    #[inline(always)]
    pub const fn is_thunk(self) -> bool {
        self.has_tag(Tag::Thunk)
    }

    /// Whether this slot is empty.
    #[inline(always)]
    pub(crate) const fn is_absent(self) -> bool {
        self.0 == 0
    }

    /// The integer, if it is one.
    #[inline(always)]
    pub fn as_int(self) -> Option<i64> {
        if self.has_tag(Tag::Int) {
            Some(self.0 as i64 >> TAG_BITS)
        } else if self.has_tag(Tag::Other) {
            boxed::as_int(self)
        } else {
            None
        }
    }

    /// The double, if it is one.
    #[inline]
    pub fn as_float(self) -> Option<f64> {
        if self.has_tag(Tag::Other) {
            boxed::as_float(self)
        } else {
            None
        }
    }

    /// The truth value, if it is one.
    #[inline(always)]
    pub const fn as_bool(self) -> Option<bool> {
        match self.0 {
            w if w == Value::TRUE.0 => Some(true),
            w if w == Value::FALSE.0 => Some(false),
            _ => None,
        }
    }

    /// The string, if it is one.
    #[inline(always)]
    pub fn as_str(self) -> Option<Str> {
        self.has_tag(Tag::Str).then(|| Str::at(self.address()))
    }

    /// The path, if it is one.
    #[inline]
    pub fn as_path(self) -> Option<PathValue> {
        if self.has_tag(Tag::Other) {
            boxed::as_path(self)
        } else {
            None
        }
    }

    /// The list, if it is one.
    #[inline(always)]
    pub fn as_list(self) -> Option<List> {
        self.has_tag(Tag::List).then(|| List::at(self.address()))
    }

    /// The attribute set, if it is one.
    #[inline(always)]
    pub fn as_attrs(self) -> Option<Attrs> {
        self.has_tag(Tag::Attrs).then(|| Attrs::at(self.address()))
    }

    /// The function, if it is one.
    #[inline(always)]
    pub fn as_function(self) -> Option<Function> {
        self.has_tag(Tag::Function)
            .then(|| Function::at(self.address()))
    }

    /// The thunk, if it is one.
    #[inline(always)]
    pub fn as_thunk(self) -> Option<Thunk> {
        self.has_tag(Tag::Thunk).then(|| Thunk::at(self.address()))
    }

    /// The thunk as a value.
    pub(crate) fn of_thunk(thunk: Thunk) -> Value {
        Value::tagged(thunk.address(), Tag::Thunk)
    }

    /// The value with its kind made explicit.
    #[inline]
    pub fn view(self) -> View {
        match self.0 & TAG_MASK {
            t if t == Tag::Int as u64 => View::Int(self.0 as i64 >> TAG_BITS),
            t if t == Tag::Thunk as u64 => View::Thunk(Thunk::at(self.address())),
            t if t == Tag::Attrs as u64 => View::Attrs(Attrs::at(self.address())),
            t if t == Tag::List as u64 => View::List(List::at(self.address())),
            t if t == Tag::Str as u64 => View::Str(Str::at(self.address())),
            t if t == Tag::Function as u64 => View::Function(Function::at(self.address())),
            t if t == Tag::Immediate as u64 => match self {
                Value::TRUE => View::Bool(true),
                Value::FALSE => View::Bool(false),
                _ => View::Null,
            },
            _ => boxed::view(self),
        }
    }

    /// The finished value behind a finished thunk; other words as they are.
    #[inline(always)]
    pub fn peel(self) -> Value {
        if self.is_thunk() {
            Thunk::at(self.address()).value().unwrap_or(self)
        } else {
            self
        }
    }

    /// What `builtins.typeOf` says; a thunk must have been forced.
    pub fn type_name(self) -> &'static str {
        match self.view() {
            View::Null => "null",
            View::Bool(_) => "bool",
            View::Int(_) => "int",
            View::Float(_) => "float",
            View::Str(_) => "string",
            View::Path(_) => "path",
            View::List(_) => "list",
            View::Attrs(_) => "set",
            View::Function(_) => "lambda",
            View::Thunk(_) => "thunk",
        }
    }

    /// The type with its article, as error messages name it.
    pub fn type_phrase(self) -> Cow<'static, str> {
        let phrase = match self.view() {
            View::Null => "null",
            View::Bool(_) => "a Boolean",
            View::Int(_) => "an integer",
            View::Float(_) => "a float",
            View::Str(s) if s.context().is_empty() => "a string",
            View::Str(_) => "a string with context",
            View::Path(_) => "a path",
            View::List(_) => "a list",
            View::Attrs(_) => "a set",
            View::Function(f) => return f.type_phrase(),
            View::Thunk(_) => "a thunk",
        };
        phrase.into()
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_absent() {
            return f.write_str("Absent");
        }
        match self.view() {
            View::Null => f.write_str("null"),
            View::Bool(b) => write!(f, "{b}"),
            View::Int(n) => write!(f, "{n}"),
            View::Float(x) => write!(f, "{x}"),
            View::Str(s) => write!(f, "{:?}", String::from_utf8_lossy(s.as_bytes())),
            other => write!(
                f,
                "<{}>",
                match other {
                    View::Path(_) => "path",
                    View::List(_) => "list",
                    View::Attrs(_) => "set",
                    View::Function(_) => "function",
                    _ => "thunk",
                }
            ),
        }
    }
}
