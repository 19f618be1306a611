//! Texts that are evaluated one after the other and share variables: the REPL.
//!
//! A variable's word is part of the code that uses it, so code keeps the value that the name had when it was compiled,
//! and binding a name again is seen by later texts only.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use rx_lang::symbol::Symbol;

use crate::error::{Error, Result};
use crate::heap::{self, Word};
use crate::source::Origin;
use crate::value::{Attrs, Value};
use crate::vm::Vm;

/// Variables beside the global ones.
#[derive(Debug, Default)]
pub struct Scope {
    names: FxHashMap<Symbol, &'static Word>,
}

impl Scope {
    /// Binds a name for texts to come; the value may be a thunk.
    pub fn bind(&mut self, name: Symbol, value: Value) {
        let word = Box::leak(Box::new(Word::new(value.word())));
        self.names.insert(name, word);
    }

    /// What a name is bound to; it may be a thunk.
    pub fn get(&self, name: Symbol) -> Option<Value> {
        let word = self.names.get(&name)?;
        Some(Value::from_word(heap::load(word)).peel())
    }

    /// The names that are bound, in no order.
    pub fn names(&self) -> impl Iterator<Item = Symbol> + '_ {
        self.names.keys().copied()
    }

    /// Forgets all names.
    pub fn clear(&mut self) {
        self.names.clear();
    }
}

/// What stands behind bindings to make a set of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The last binding has its semicolon.
    Complete,
    /// The last binding lacks its semicolon.
    Semicolon,
}

impl Ending {
    /// The text that has to follow.
    pub const fn text(self) -> &'static [u8] {
        match self {
            Ending::Complete => b"\n}",
            Ending::Semicolon => b"\n;}",
        }
    }
}

impl Vm {
    /// The value of a text that may use the variables of a scope.
    pub fn eval_in(&mut self, scope: &Scope, text: &[u8], base_dir: &[u8]) -> Result {
        let extra = Some(&scope.names);
        let unit = self.compile(Origin::String, text.into(), base_dir, extra)?;
        self.run_unit(unit)
    }

    /// The set of bindings such as `a = 1; inherit b`, with nothing of it evaluated. They see the scope, not each other.
    pub fn eval_bindings(
        &mut self,
        scope: &Scope,
        text: &[u8],
        ending: Ending,
        base_dir: &[u8],
    ) -> Result<Attrs> {
        let source = self
            .ev
            .sources
            .add(Origin::String, Arc::from(text))
            .ok_or_else(|| Error::other("more than 4 GiB of source text"))?;
        let framed = source.framed(b'{', ending.text());
        let unit = self
            .compile_source(&framed, base_dir, Some(&scope.names))
            .map_err(unframed)?;
        let value = self.run_unit(unit)?;
        value
            .as_attrs()
            .ok_or_else(|| Error::other("these are no bindings"))
    }

    /// The names that are in scope everywhere.
    pub fn global_names(&mut self) -> impl Iterator<Item = (Symbol, Value)> + use<> {
        let ev = self.ev;
        let globals = ev.globals.get_or_init(|| crate::builtins::globals(self));
        globals.iter().map(|(&name, &value)| (name, value))
    }
}

/// The parser's findings count from the brace before the text.
#[cold]
fn unframed(mut error: Box<Error>) -> Box<Error> {
    let moved = |range: &mut std::ops::Range<u32>| {
        *range = range.start.saturating_sub(1)..range.end.saturating_sub(1);
    };
    for (_, found) in &mut error.diagnostics {
        moved(&mut found.range);
        found
            .labels
            .iter_mut()
            .for_each(|label| moved(&mut label.range));
        found.at = found.at.map(|at| at.saturating_sub(1));
    }
    error
}
