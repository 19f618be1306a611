//! Compiled code: what the interpreter walks.
//!
//! Code is a permanent tree of small nodes. All names are resolved: a variable is a word of the frame
//! (arguments, formals, `let` bindings of the function or thunk that is running), a captured word of it, or a
//! constant. A *unit* of code (a lambda's body, a thunk's body, a file) has its own frame; what it uses of
//! the units around it is captured, that is, copied when the closure or thunk is made.

use std::sync::OnceLock;

use rx_lang::symbol::Symbol;

use crate::heap::Word;
use crate::source::Pos;
use crate::value::Value;
use crate::value::attrs::{Layout, SelectCache};
use crate::vm::NativeThunk;

/// A node, alive as long as the process.
pub type Code = &'static Expr;

/// Where a variable is found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Var {
    /// A word of the frame.
    Local(u32),
    /// A captured word.
    Capture(u32),
}

/// A node.
///
/// Nodes marked *lazy* can stand where a value may be delayed (arguments, elements, bindings): they make
/// a value at once without evaluating anything.
#[derive(Debug)]
pub enum Expr {
    /// Lazy. A finished value.
    Const(Value),
    /// Lazy. A value that may still be a thunk, shared by all who use it.
    Shared(&'static Word),
    /// Lazy. A word of the frame.
    Local(u32),
    /// Lazy. A captured word.
    Capture(u32),
    /// Lazy. A lambda with what it captures.
    Closure(&'static ClosureSite),
    /// Lazy. A thunk with what it captures.
    Thunk(&'static ThunkSite),
    /// Lazy. A list of lazy nodes.
    List(&'static [Code]),
    /// Lazy. A set with constant names, not recursive.
    Attrs(&'static AttrsSite),
    /// A set with dynamic names, or recursive.
    Scoped(&'static ScopedSite),
    /// A variable of a `with`.
    WithVar(&'static WithVar),
    /// `base.name`
    Select(&'static Select),
    /// `base.path or default`, or a path with dynamic names
    SelectPath(&'static SelectPath),
    /// `base ? path`
    HasAttr(&'static HasAttr),
    /// `func args …`
    Call(&'static Call),
    /// `let … in body`
    Let(&'static Let),
    /// `with scope; body`: the word of the frame, the lazy scope, the body.
    With(u32, Code, Code),
    /// `if`: the condition and the two branches.
    If(&'static If),
    /// `assert`
    Assert(&'static Assert),
    /// `!a`
    Not(Code, Pos),
    /// `a && b`
    And(&'static Binary),
    /// `a || b`
    Or(&'static Binary),
    /// `a -> b`
    Impl(&'static Binary),
    /// `a == b`
    Eq(&'static Binary),
    /// `a != b`
    NotEq(&'static Binary),
    /// `a < b`
    Less(&'static Binary),
    /// `a + b`
    Add(&'static Binary),
    /// `a - b`
    Sub(&'static Binary),
    /// `a * b`
    Mul(&'static Binary),
    /// `a / b`
    Div(&'static Binary),
    /// `a // b`
    Update(&'static Binary),
    /// `a ++ b`
    Concat(&'static Binary),
    /// A string or path with interpolations.
    Interp(&'static Interp),
    /// `__curPos`
    CurPos(Pos),
}

impl Expr {
    /// Whether a set is written here.
    pub(crate) fn is_set_literal(&self) -> bool {
        match self {
            Expr::Const(value) => value.as_attrs().is_some(),
            Expr::Attrs(_) | Expr::Scoped(_) => true,
            _ => false,
        }
    }

    /// Whether a list, a function, or a set without computed names is written here.
    pub(crate) fn is_literal(&self) -> bool {
        match self {
            Expr::Scoped(site) => site.dynamics.is_empty(),
            Expr::Const(_) | Expr::Attrs(_) | Expr::List(_) | Expr::Closure(_) => true,
            _ => false,
        }
    }
}

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
    /// `var.name`: when the variable is a finished set that has the attribute, no thunk is needed.
    pub peek: Option<Peek>,
}

/// A selection that can often be done at once.
#[derive(Debug)]
pub struct Peek {
    /// The variable, in terms of the unit around the thunk.
    pub base: Var,
    /// The attributes, each with where it was found the last time.
    pub names: &'static [(Symbol, SelectCache)],
}

/// What a thunk does when it is forced.
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

/// A lambda.
#[derive(Debug)]
pub struct LambdaCode {
    /// How many arguments it takes; `a: b: c` is one lambda of two.
    pub arity: u32,
    /// Words of its frame; the arguments are the first.
    pub frame: u32,
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
    pub plans: [OnceLock<FormalsPlan>; 4],
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
    /// Its layout.
    pub layout: &'static Layout,
    /// Lazy nodes in the order of the layout.
    pub values: &'static [Code],
    /// `inherit (source)`: words of the frame that are set first, with lazy nodes.
    pub sources: &'static [(u32, Code)],
}

/// A recursive set, or one with dynamic names.
#[derive(Debug)]
pub struct ScopedSite {
    /// Words of the frame with the lazy nodes that they are bound to, made as a group that sees itself.
    pub bindings: &'static [(u32, Code)],
    /// The layout of the constant names.
    pub layout: &'static Layout,
    /// For each word of the layout a lazy node (for recursive sets, the frame's word).
    pub values: &'static [Code],
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
    pub scopes: &'static [(Var, SelectCache)],
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
