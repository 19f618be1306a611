//! What code carries for the debugger: which names are in scope at a place, and what is being done there.
//!
//! Compiled with [`debugger`](crate::EvalSettings::debugger), every construct that binds names makes a *scope object* when
//! it is entered, and code that can fail is wrapped in a [`DebugSite`] that knows the innermost one:
//!
//! ```text
//! a list: [the object of the scope around, or null][the values of the names, in the order of the level …]
//! ```
//!
//! So a thunk captures one word for all that can be seen from it. Code compiled otherwise has nothing of this.

use rx_lang::symbol::Symbol;

use super::{Code, Var};
use crate::heap::Word;
use crate::source::Pos;

/// The names that one construct binds.
#[derive(Debug)]
pub struct Level {
    /// What binds them.
    pub kind: LevelKind,
    /// The names.
    pub names: &'static [Symbol],
    /// The construct around.
    pub outer: Option<&'static Level>,
}

/// What binds names.
#[derive(Debug)]
pub enum LevelKind {
    /// A function, `let`, or recursive set.
    Names,
    /// `with`: the object has one value, the set.
    With,
    /// Who had the text evaluated. The values are here, not in an object.
    Given(&'static [&'static Word]),
}

/// Where a scope object is made and filled.
#[derive(Debug)]
pub struct ScopeSite {
    /// The word of the frame that refers to the object.
    pub slot: u32,
    /// The object of the scope around.
    pub outer: Option<Var>,
    /// The words of the frame with the values.
    pub values: &'static [u32],
}

/// Code that the debugger watches.
#[derive(Debug)]
pub struct DebugSite {
    /// The code.
    pub inner: Code,
    /// What it does.
    pub what: Doing,
    /// Where it stands.
    pub pos: Pos,
    /// The names in scope.
    pub level: Option<&'static Level>,
    /// The object with their values.
    pub scope: Option<Var>,
}

/// What watched code does, as far as backtraces tell it.
#[derive(Clone, Copy, Debug)]
pub enum Doing {
    /// Something that backtraces do not tell; only the names in scope matter.
    Little,
    /// The evaluation of a file with this path.
    File(&'static [u8]),
    /// A call.
    Call,
    /// A function, as messages name it.
    Body(Option<Symbol>),
    /// The body of `let`.
    Let,
    /// The selection of a path of attributes.
    Select,
}
