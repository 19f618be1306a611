//! Functions: lambdas with what they capture, builtins, and partial applications of either.
//!
//! ```text
//! [address of the code | 0][captured words …]         a lambda
//! [address of the builtin | 1]                        a builtin
//! [number of arguments << 3 | 2][function][arguments …]   a partial application
//! ```

use std::borrow::Cow;

use super::{Tag, Value};
use crate::builtins::Builtin;
use crate::code::LambdaCode;
use crate::heap::{self, Heap, Word};

const LAMBDA: u64 = 0;
const BUILTIN: u64 = 1;

/// A function of the language.
#[derive(Clone, Copy, Debug)]
pub struct Function(usize);

/// Which kind of function it is.
#[derive(Clone, Copy, Debug)]
pub enum FunctionView {
    /// Written in the language; with the address of its captured words.
    Lambda(&'static LambdaCode, usize),
    /// Built in.
    Builtin(&'static Builtin),
    /// Applied to some arguments, but not to all.
    Partial(Partial),
}

/// A function that still lacks arguments.
#[derive(Clone, Copy, Debug)]
pub struct Partial(usize);

impl Function {
    #[inline(always)]
    pub(super) fn at(address: usize) -> Function {
        Function(address)
    }

    /// A lambda whose captured words are still to be set.
    #[inline(always)]
    pub(crate) fn lambda(
        heap: &mut Heap,
        code: &'static LambdaCode,
        captures: usize,
    ) -> (Value, &'static [Word]) {
        let object = heap.alloc(1 + captures);
        heap::store(&object[0], heap::address_of(code) as u64 | LAMBDA);
        (
            Value::tagged(heap::address_of(object), Tag::Function),
            &object[1..],
        )
    }

    /// A builtin as a value.
    pub fn builtin(heap: &mut Heap, builtin: &'static Builtin) -> Value {
        let object = heap.alloc(1);
        heap::store(&object[0], heap::address_of(builtin) as u64 | BUILTIN);
        Value::tagged(heap::address_of(object), Tag::Function)
    }

    /// `function` (a lambda or builtin) applied to too few arguments.
    pub(crate) fn partial(heap: &mut Heap, function: Function, arguments: &[Value]) -> Value {
        let object = heap.alloc(2 + arguments.len());
        heap::store(&object[0], (arguments.len() as u64) << 3 | 2);
        heap::store(&object[1], function.value().word());
        for (word, argument) in object[2..].iter().zip(arguments) {
            heap::store(word, argument.word());
        }
        Value::tagged(heap::address_of(object), Tag::Function)
    }

    /// The same function as another object.
    ///
    /// Functions are compared by where they are: elements of lists and sets are equal when they are one object. Whatever
    /// computes a function anew (`set.f`, a call) gives another object, also if it is an old function.
    pub(crate) fn copy(self, heap: &mut Heap) -> Value {
        let words = match self.view() {
            FunctionView::Lambda(code, _) => 1 + code.captures as usize,
            FunctionView::Builtin(_) => 1,
            FunctionView::Partial(partial) => 2 + partial.len(),
        };
        let object = heap.alloc(words);
        for (to, from) in object.iter().zip(heap::words(self.0, words)) {
            heap::store(to, heap::load(from));
        }
        Value::tagged(heap::address_of(object), Tag::Function)
    }

    /// The value that this is a view of.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value::tagged(self.0, Tag::Function)
    }

    /// Which kind of function it is.
    #[inline(always)]
    pub fn view(self) -> FunctionView {
        let header = heap::load(heap::word(self.0));
        match header & 7 {
            LAMBDA => FunctionView::Lambda(heap::permanent(header as usize), self.0 + 8),
            BUILTIN => FunctionView::Builtin(heap::permanent((header & !7) as usize)),
            _ => FunctionView::Partial(Partial(self.0)),
        }
    }

    /// How error messages name it.
    pub fn type_phrase(self) -> Cow<'static, str> {
        match self.view() {
            FunctionView::Lambda(..) => "a function".into(),
            FunctionView::Builtin(builtin) => {
                format!("the built-in function '{}'", builtin.name).into()
            }
            FunctionView::Partial(partial) => match partial.function().view() {
                FunctionView::Builtin(builtin) => {
                    format!("the partially applied built-in function '{}'", builtin.name).into()
                }
                _ => "a function".into(),
            },
        }
    }
}

impl Partial {
    /// The function under it, which is not a partial application.
    pub fn function(self) -> Function {
        Function(Value::from_word(heap::load(heap::word(self.0 + 8))).address())
    }

    /// How many arguments it has.
    pub fn len(self) -> usize {
        (heap::load(heap::word(self.0)) >> 3) as usize
    }

    /// A partial application has at least one argument.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The arguments that it has.
    pub fn arguments(self) -> impl ExactSizeIterator<Item = Value> {
        heap::words(self.0 + 16, self.len())
            .iter()
            .map(|w| Value::from_word(heap::load(w)))
    }
}
