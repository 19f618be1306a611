//! Compiled code: what the interpreter walks.
//!
//! Code is a permanent tree of sites; a node is a word that says what kind of site it refers to, and small nodes are that
//! word alone. All names are resolved: a variable is a word of the frame
//! (arguments, formals, `let` bindings of the function or thunk that is running), a captured word of it, or a
//! constant. A *unit* of code (a lambda's body, a thunk's body, a file) has its own frame; what it uses of
//! the units around it is captured, that is, copied when the closure or thunk is made.

use std::num::NonZeroU64;
use std::sync::OnceLock;

use rx_lang::symbol::Symbol;

use crate::heap::{self, Word};
use crate::source::Pos;
use crate::value::Value;
use crate::value::attrs::{Layout, SelectCache};
use crate::vm::NativeThunk;

/// A node, alive as long as the process: what kind it is and where the rest stands, in one word.
///
/// ```text
/// [kind: 8 bits][the number, position or value itself, or the address of the site: 56 bits]
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code(NonZeroU64);

const KIND_SHIFT: u32 = 56;
const PAYLOAD: u64 = (1 << KIND_SHIFT) - 1;

/// What the low bits of a node can hold.
trait Payload: Copy {
    fn pack(self) -> u64;
    fn unpack(bits: u64) -> Self;
}

impl Payload for u32 {
    fn pack(self) -> u64 {
        u64::from(self)
    }

    #[inline(always)]
    fn unpack(bits: u64) -> Self {
        bits as u32
    }
}

impl Payload for Pos {
    fn pack(self) -> u64 {
        u64::from(self.0)
    }

    #[inline(always)]
    fn unpack(bits: u64) -> Self {
        Pos(bits as u32)
    }
}

impl Payload for Value {
    fn pack(self) -> u64 {
        self.word()
    }

    #[inline(always)]
    fn unpack(bits: u64) -> Self {
        Value::from_word(bits)
    }
}

impl<T: Sync> Payload for &'static T {
    fn pack(self) -> u64 {
        heap::address_of(self) as u64
    }

    #[inline(always)]
    fn unpack(bits: u64) -> Self {
        heap::permanent(bits as usize)
    }
}

macro_rules! nodes {
    ($($(#[$doc:meta])* $kind:literal $name:ident($content:ty),)*) => {
        /// A node, taken apart for `match`.
        ///
        /// Nodes marked *lazy* can stand where a value may be delayed (arguments, elements, bindings): they make
        /// a value at once without evaluating anything.
        #[derive(Clone, Copy, Debug)]
        pub enum Expr {
            $($(#[$doc])* $name($content),)*
        }

        impl Code {
            /// The node in one word. A constant must be one that [`Code::holds`].
            pub(crate) fn new(expr: Expr) -> Code {
                let (kind, payload) = match expr {
                    $(Expr::$name(content) => ($kind, content.pack()),)*
                };
                debug_assert!(payload <= PAYLOAD);
                // Kinds count from one, so the word is never zero.
                Code(NonZeroU64::MIN.saturating_add((kind << KIND_SHIFT | payload & PAYLOAD) - 1))
            }

            /// What kind of node this is, with its content.
            #[inline(always)]
            pub fn expr(self) -> Expr {
                let payload = self.0.get() & PAYLOAD;
                match self.0.get() >> KIND_SHIFT {
                    $($kind => Expr::$name(Payload::unpack(payload)),)*
                    _ => Expr::Const(Value::NULL),
                }
            }
        }
    };
}

nodes! {
    /// Lazy. A finished value.
    1 Const(Value),
    /// Lazy. A value that may still be a thunk, shared by all who use it.
    2 Shared(&'static Word),
    /// Lazy. A word of the frame.
    3 Local(u32),
    /// Lazy. A captured word.
    4 Capture(u32),
    /// Lazy. A lambda with what it captures.
    5 Closure(&'static ClosureSite),
    /// Lazy. A thunk with what it captures.
    6 Thunk(&'static ThunkSite),
    /// Lazy. `variable.name …`: the value when all on the way to it is finished, otherwise a thunk.
    7 Selection(&'static ThunkSite),
    /// Lazy. A list of lazy nodes.
    8 List(&'static ListSite),
    /// Lazy. A set with constant names, not recursive.
    9 Attrs(&'static AttrsSite),
    /// A set with dynamic names, or recursive.
    10 Scoped(&'static ScopedSite),
    /// A variable of a `with`.
    11 WithVar(&'static WithVar),
    /// `base.name`
    12 Select(&'static Select),
    /// `base.path or default`, or a path with dynamic names
    13 SelectPath(&'static SelectPath),
    /// `base ? path`
    14 HasAttr(&'static HasAttr),
    /// `func args …`
    15 Call(&'static Call),
    /// `let … in body`
    16 Let(&'static Let),
    /// `with scope; body`
    17 With(&'static With),
    /// `if`: the condition and the two branches.
    18 If(&'static If),
    /// `assert`
    19 Assert(&'static Assert),
    /// `!a`
    20 Not(&'static Not),
    /// `a && b`
    21 And(&'static Binary),
    /// `a || b`
    22 Or(&'static Binary),
    /// `a -> b`
    23 Impl(&'static Binary),
    /// `a == b`
    24 Eq(&'static Binary),
    /// `a != b`
    25 NotEq(&'static Binary),
    /// `a < b`
    26 Less(&'static Binary),
    /// `a + b`
    27 Add(&'static Binary),
    /// `a - b`
    28 Sub(&'static Binary),
    /// `a * b`
    29 Mul(&'static Binary),
    /// `a / b`
    30 Div(&'static Binary),
    /// `a // b`
    31 Update(&'static Binary),
    /// `a ++ b`
    32 Concat(&'static Binary),
    /// A string or path with interpolations.
    33 Interp(&'static Interp),
    /// `__curPos`
    34 CurPos(Pos),
    /// Lazy. A large set with constant names, not recursive, whose attributes are made when somebody asks for them.
    35 Delayed(&'static DelayedSite),
}

impl Code {
    /// Whether a set is written here.
    pub(crate) fn is_set_literal(self) -> bool {
        match self.expr() {
            Expr::Const(value) => value.as_attrs().is_some(),
            Expr::Attrs(_) | Expr::Delayed(_) | Expr::Scoped(_) => true,
            _ => false,
        }
    }

    /// Whether a constant, a list, a function, or a set without computed names is written here.
    pub(crate) fn is_literal(self) -> bool {
        match self.expr() {
            Expr::Scoped(site) => site.dynamics.is_empty(),
            Expr::Const(_)
            | Expr::Shared(_)
            | Expr::Attrs(_)
            | Expr::Delayed(_)
            | Expr::List(_)
            | Expr::Closure(_) => true,
            _ => false,
        }
    }

    /// Whether a node can hold this value; others stand in a permanent word ([`Expr::Shared`]).
    pub(crate) fn holds(value: Value) -> bool {
        value.word() <= PAYLOAD
    }
}

/// Where a variable is found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Var(u32);

/// A variable, taken apart for `match`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A word of the frame.
    Local(u32),
    /// A captured word.
    Capture(u32),
}

impl Var {
    const CAPTURED: u32 = 1 << 31;

    /// A word of the frame.
    pub(crate) fn local(slot: u32) -> Var {
        debug_assert!(slot < Self::CAPTURED);
        Var(slot)
    }

    /// A captured word.
    pub(crate) fn capture(n: u32) -> Var {
        Var(n | Self::CAPTURED)
    }

    /// Which of the two it is.
    #[inline(always)]
    pub fn place(self) -> Place {
        if self.0 & Self::CAPTURED == 0 {
            Place::Local(self.0)
        } else {
            Place::Capture(self.0 & !Self::CAPTURED)
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
    /// Whether it stands for a variable or makes a lambda, so that its value is an object of its own.
    pub(crate) fn is_alias(&self) -> bool {
        match self {
            ThunkCode::Eval { body, .. } => {
                matches!(
                    body.expr(),
                    Expr::Capture(_) | Expr::Shared(_) | Expr::Closure(_)
                )
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
