//! Delaying nodes whose variables stand in an object and not on the stack.

use crate::code::{Code, Expr, Place, ThunkCode, ThunkSite, Var};
use crate::heap::{self, Heap, Word};
use crate::value::{Attrs, Function, ListBuilder, Thunk, Value};

/// Where the variables of a unit are, when it is not running.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    /// The address of the captured words.
    pub captures: usize,
    /// The address of the frame.
    pub frame: usize,
}

impl Places {
    fn word(self, var: Var) -> &'static Word {
        match var.place() {
            Place::Local(slot) => heap::word(self.frame + 8 * slot as usize),
            Place::Capture(n) => heap::word(self.captures + 8 * n as usize),
        }
    }

    fn var(self, var: Var) -> Value {
        Value::from_word(heap::load(self.word(var))).peel()
    }

    /// Sets a word of the frame.
    pub(crate) fn set(self, slot: u32, value: Value) {
        heap::store(self.word(Var::local(slot)), value.word());
    }

    /// The value of a lazy node, with nothing evaluated.
    pub(crate) fn delay(self, heap: &mut Heap, code: Code) -> Value {
        match code.expr() {
            Expr::Const(value) => value,
            Expr::Shared(word) => Value::from_word(heap::load(word)).peel(),
            Expr::Local(used) => self.var(Var::local(used.word)),
            Expr::Capture(used) => self.var(Var::capture(used.word)),
            Expr::Thunk(site) => self.thunk(heap, site),
            Expr::Selection(site) => match site.code {
                ThunkCode::Eval { body, .. } => self
                    .peek(body, site)
                    .unwrap_or_else(|| self.thunk(heap, site)),
                _ => self.thunk(heap, site),
            },
            Expr::Closure(site) => {
                let (value, words) = Function::lambda(heap, site.code, site.captures.len());
                self.capture(words, site.captures);
                value
            }
            Expr::List(site) => {
                let mut list = ListBuilder::new(heap, site.elements.len());
                for &element in site.elements {
                    let element = self.delay(heap, element);
                    list.push(element);
                }
                list.finish()
            }
            Expr::Attrs(site) => {
                let (layout, values) = site.attributes.get();
                let (value, words) = Attrs::with_layout(heap, layout);
                for (word, &code) in words.iter().zip(values) {
                    heap::store(word, self.delay(heap, code).word());
                }
                value
            }
            // The compiler puts only lazy nodes where values are delayed.
            _ => Value::NULL,
        }
    }

    fn thunk(self, heap: &mut Heap, site: &'static ThunkSite) -> Value {
        let (value, words) = Thunk::suspend(heap, &site.code, site.captures.len());
        self.capture(words, site.captures);
        value
    }

    fn capture(self, words: &[Word], captures: &[Var]) {
        for (word, &var) in words.iter().zip(captures) {
            heap::store(word, self.var(var).word());
        }
    }

    /// The selected value, when everything on the way to it is finished.
    fn peek(self, body: Code, site: &'static ThunkSite) -> Option<Value> {
        match body.expr() {
            Expr::Capture(used) => Some(self.var(*site.captures.get(used.word as usize)?)),
            Expr::Select(select) => {
                let base = self.peek(select.base, site)?.as_attrs()?;
                let word = base.word_cached(select.name, &select.cache)?;
                Some(Value::from_word(heap::load(word)).peel())
            }
            _ => None,
        }
    }
}
