//! Compiled code: what the interpreter walks.
//!
//! Code is a permanent tree of sites; a node is a word that says what kind of site it refers to, and small nodes are that
//! word alone. All names are resolved: a variable is a word of the frame
//! (arguments, formals, `let` bindings of the function or thunk that is running), a captured word of it, or a
//! constant. A *unit* of code (a lambda's body, a thunk's body, a file) has its own frame; what it uses of
//! the units around it is captured, that is, copied when the closure or thunk is made.

pub mod debug;
mod node;

pub use node::{Code, Expr, Place, Use, Var};

use std::sync::OnceLock;

use rx_lang::symbol::Symbol;

use crate::source::Pos;
use crate::value::Value;
use crate::value::attrs::{Layout, SelectCache};
use crate::vm::NativeThunk;

/// A place where a lambda is made.
#[derive(Debug)]
pub struct ClosureSite {
    /// The lambda.
    pub code: &'static LambdaCode,
    /// What it captures, in terms of the unit around it.
    pub captures: &'static [Var],
}

/// A place where a thunk is made.
#[derive(Debug)]
pub struct ThunkSite {
    /// What it does.
    pub code: ThunkCode,
    /// What it captures, in terms of the unit around it.
    pub captures: &'static [Var],
}

/// A list literal.
#[derive(Debug)]
pub struct ListSite {
    /// Lazy nodes of the elements.
    pub elements: &'static [Code],
}

/// What a thunk does when it is forced. The address of this stands in suspended thunks.
#[derive(Debug)]
pub enum ThunkCode {
    /// Evaluates code in a fresh frame.
    Eval {
        /// The code.
        body: Code,
        /// Words of the frame.
        frame: u32,
    },
    /// Calls its first captured word with the others.
    Apply {
        /// How many arguments.
        arguments: u32,
    },
    /// Runs a function of rx on its captured words.
    Native {
        /// The function.
        run: NativeThunk,
        /// How many captured words.
        captures: u32,
    },
}

impl ThunkCode {
    /// Whether it makes a lambda or stands for what is in scope everywhere, so that its value needs no copy.
    pub(crate) fn is_alias(&self) -> bool {
        match self {
            ThunkCode::Eval { body, .. } => {
                matches!(body.expr(), Expr::Shared(_) | Expr::Closure(_))
            }
            _ => false,
        }
    }
}

/// A lambda.
#[derive(Debug)]
pub struct LambdaCode {
    /// How many arguments it takes; `a: b: c` is one lambda of two.
    pub arity: u32,
    /// Words of its frame; the arguments are the first.
    pub frame: u32,
    /// How many words it captures.
    pub captures: u32,
    /// Its body.
    pub body: Code,
    /// The set pattern of its last argument, if that has one.
    pub formals: Option<&'static Formals>,
    /// The name that it is bound to.
    pub name: Option<Symbol>,
    /// The names of its arguments; a set pattern may have none.
    pub arguments: &'static [Option<Symbol>],
    /// Where it stands.
    pub pos: Pos,
    /// Where its documentation stands, with the position past it.
    pub doc: Option<(Pos, Pos)>,
    /// What its second and later arguments would be functions of: `b: c` and `c` of `a: b: c`.
    pub inner: &'static [InnerLambda],
}

/// A lambda that is the body of another and has become a part of it.
#[derive(Clone, Copy, Debug)]
pub struct InnerLambda {
    /// Where it stands.
    pub pos: Pos,
    /// Where its documentation stands, with the position past it.
    pub doc: Option<(Pos, Pos)>,
}

impl LambdaCode {
    /// Where the function stands that is left after some arguments.
    pub fn pos_after(&self, arguments: usize) -> Pos {
        self.rest(arguments).map_or(self.pos, |inner| inner.pos)
    }

    /// Where the documentation stands of the function that is left after some arguments.
    pub fn doc_after(&self, arguments: usize) -> Option<(Pos, Pos)> {
        self.rest(arguments).map_or(self.doc, |inner| inner.doc)
    }

    fn rest(&self, arguments: usize) -> Option<&InnerLambda> {
        self.inner.get(arguments.checked_sub(1)?)
    }
}

/// A set pattern.
#[derive(Debug)]
pub struct Formals {
    /// The formals, sorted by symbol.
    pub list: &'static [Formal],
    /// Whether it ends in `...`.
    pub ellipsis: bool,
    /// Where the formals stand in the last kinds of sets that came.
    pub plans: [OnceLock<Box<FormalsPlan>>; 4],
    /// For the debugger: a word of the frame, and what makes the object in it that the defaults see.
    pub scope: Option<(u32, Code)>,
    /// What `builtins.functionArgs` says, once asked.
    pub function_args: OnceLock<Value>,
}

/// One formal.
#[derive(Debug)]
pub struct Formal {
    /// Its name.
    pub name: Symbol,
    /// Its word of the frame.
    pub slot: u32,
    /// Lazy node for its default.
    pub default: Option<Code>,
    /// Where it stands.
    pub pos: Pos,
}

/// Where the formals stand in sets with certain names.
#[derive(Clone, Debug)]
pub struct FormalsPlan {
    /// The identity of the list of names.
    pub keys: u32,
    /// For each formal the index of the attribute, or [`FormalsPlan::MISSING`].
    pub indices: Box<[u32]>,
    /// Whether some default is needed.
    pub defaults: bool,
}

impl FormalsPlan {
    /// The set lacks this formal.
    pub const MISSING: u32 = u32::MAX;
}

/// A set literal with constant names.
#[derive(Debug)]
pub struct AttrsSite {
    /// Names, positions and lazy nodes.
    pub attributes: Attributes,
    /// `inherit (source)`: words of the frame that are set first, with lazy nodes.
    pub sources: &'static [(u32, Code)],
}

/// The attributes of a literal. Most literals of a file are never made, so they get a layout when they are.
#[derive(Debug)]
pub struct Attributes {
    /// Names, positions and nodes in the order of the source.
    written: &'static [(Symbol, Pos, Code)],
    made: OnceLock<(&'static Layout, &'static [Code])>,
}

impl Attributes {
    /// Attributes in the order of the source, without duplicates.
    pub(crate) fn new(written: &'static [(Symbol, Pos, Code)]) -> Attributes {
        Attributes {
            written,
            made: OnceLock::new(),
        }
    }

    /// The layout, and the nodes in its order.
    #[inline(always)]
    pub(crate) fn get(&self) -> (&'static Layout, &'static [Code]) {
        match self.made.get() {
            Some(&made) => made,
            None => self.make(),
        }
    }

    #[cold]
    #[inline(never)]
    fn make(&self) -> (&'static Layout, &'static [Code]) {
        *self.made.get_or_init(|| {
            let names = self.written.iter().map(|&(name, pos, _)| (name, pos));
            let (layout, order) = Layout::of_literal(&names.collect::<Vec<_>>());
            let nodes = order.iter().map(|&i| self.written[i as usize].2);
            (layout, Box::leak(nodes.collect()))
        })
    }
}

/// A large set literal: a unit of its own, so that its attributes can be made later.
#[derive(Debug)]
pub struct DelayedSite {
    /// Names, positions and lazy nodes, in terms of the unit.
    pub attributes: Attributes,
    /// `inherit (source)`: words of the unit's frame with lazy nodes.
    pub sources: &'static [(u32, Code)],
    /// What the unit captures, in terms of the unit around it.
    pub captures: &'static [Var],
    /// Words of its frame.
    pub frame: u32,
}

/// A recursive set, or one with dynamic names.
#[derive(Debug)]
pub struct ScopedSite {
    /// Words of the frame with the lazy nodes that they are bound to, made as a group that sees itself.
    pub bindings: &'static [(u32, Code)],
    /// The constant names with positions and lazy nodes (for recursive sets, the frame's words).
    pub attributes: Attributes,
    /// Names that are computed.
    pub dynamics: &'static [Dynamic],
    /// For `rec { __overrides = …; }`: the word of the frame that stands for the set itself.
    pub overrides: Option<u32>,
    /// Where it stands.
    pub pos: Pos,
}

/// An attribute with a computed name.
#[derive(Debug)]
pub struct Dynamic {
    /// The name's node.
    pub name: Code,
    /// The lazy node of the value.
    pub value: Code,
    /// Where it stands.
    pub pos: Pos,
}

/// A variable that only a `with` can bind.
#[derive(Debug)]
pub struct WithVar {
    /// Its name.
    pub name: Symbol,
    /// The sets around it, innermost first.
    /// and where those `with`s stand.
    pub scopes: &'static [(Var, Pos, SelectCache)],
    /// Where it stands.
    pub pos: Pos,
}

/// `base.name`
#[derive(Debug)]
pub struct Select {
    /// The set.
    pub base: Code,
    /// The name.
    pub name: Symbol,
    /// Where the name was found the last time.
    pub cache: SelectCache,
    /// Where the expression begins.
    pub pos: Pos,
}

/// One name of an attribute path.
#[derive(Debug)]
pub enum Name {
    /// Known at compile time.
    Static(Symbol, SelectCache),
    /// Computed.
    Dynamic(Code),
}

/// `base.path or default`
#[derive(Debug)]
pub struct SelectPath {
    /// The set.
    pub base: Code,
    /// The names.
    pub path: &'static [Name],
    /// What to give when an attribute is missing.
    pub default: Option<Code>,
    /// Where the expression begins.
    pub pos: Pos,
}

/// `base ? path`
#[derive(Debug)]
pub struct HasAttr {
    /// The set.
    pub base: Code,
    /// The names.
    pub path: &'static [Name],
    /// Where the expression begins.
    pub pos: Pos,
}

/// A call.
#[derive(Debug)]
pub struct Call {
    /// The function.
    pub function: Code,
    /// Lazy nodes of the arguments.
    pub arguments: &'static [Code],
    /// Where it stands.
    pub pos: Pos,
}

/// `let … in body`
#[derive(Debug)]
pub struct Let {
    /// Words of the frame with the lazy nodes that they are bound to, made as a group that sees itself.
    pub bindings: &'static [(u32, Code)],
    /// The body.
    pub body: Code,
}

/// `with scope; body`
#[derive(Debug)]
pub struct With {
    /// The word of the frame that holds the set.
    pub slot: u32,
    /// Lazy node of the set.
    pub scope: Code,
    /// The body.
    pub body: Code,
}

/// `!operand`
#[derive(Debug)]
pub struct Not {
    /// The operand.
    pub operand: Code,
    /// Where it stands.
    pub pos: Pos,
}

/// `if condition then yes else no`
#[derive(Debug)]
pub struct If {
    /// The condition.
    pub condition: Code,
    /// The branch for true.
    pub yes: Code,
    /// The branch for false.
    pub no: Code,
    /// Where it stands.
    pub pos: Pos,
}

/// `assert condition; body`
#[derive(Debug)]
pub struct Assert {
    /// The condition.
    pub condition: Code,
    /// The body.
    pub body: Code,
    /// The condition as the reference prints it.
    pub text: Box<[u8]>,
    /// The two sides, when the condition is an equality: a failure says what they were.
    pub sides: Option<(Code, Code)>,
    /// Where it stands.
    pub pos: Pos,
}

/// An operator with two operands.
#[derive(Debug)]
pub struct Binary {
    /// The left one.
    pub left: Code,
    /// The right one.
    pub right: Code,
    /// Where the operator stands.
    pub pos: Pos,
}

/// A string or path with interpolations.
#[derive(Debug)]
pub struct Interp {
    /// The parts with their positions.
    pub parts: &'static [(Pos, Code)],
    /// Whether a path comes out.
    pub path: bool,
    /// Where it stands.
    pub pos: Pos,
}
