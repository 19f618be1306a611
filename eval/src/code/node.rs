//! Nodes: what kind of code stands at a place, in one word.

use std::num::NonZeroU64;

use super::debug::{DebugSite, ScopeSite};
use super::{
    Assert, AttrsSite, Binary, Call, ClosureSite, DelayedSite, HasAttr, If, Interp, Let, ListSite,
    Not, ScopedSite, Select, SelectPath, ThunkSite, With, WithVar,
};
use crate::heap::{self, Word};
use crate::source::Pos;
use crate::value::Value;

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

/// A use of a variable: which word of the frame, or which captured word, and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Use {
    /// The word.
    pub word: u32,
    /// The place, if that is known and among the first 256 MiB of sources.
    pub pos: Pos,
}

impl Use {
    const BITS: u32 = KIND_SHIFT / 2;
    /// The last word that can be used.
    pub(crate) const LAST: u32 = (1 << Self::BITS) - 1;
}

impl Payload for Use {
    fn pack(self) -> u64 {
        debug_assert!(self.word <= Self::LAST);
        let pos = match self.pos.0 {
            pos if pos <= Self::LAST => pos,
            _ => Pos::NONE.0,
        };
        u64::from(pos) << Self::BITS | u64::from(self.word & Self::LAST)
    }

    #[inline(always)]
    fn unpack(bits: u64) -> Self {
        Use {
            word: bits as u32 & Self::LAST,
            pos: Pos((bits >> Self::BITS) as u32),
        }
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
    3 Local(Use),
    /// Lazy. A captured word.
    4 Capture(Use),
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
    /// Code that the debugger watches.
    36 Debug(&'static DebugSite),
    /// Lazy. The object for the debugger of a scope that is entered.
    37 OpenScope(&'static ScopeSite),
    /// Lazy. That object, filled.
    38 FillScope(&'static ScopeSite),
}

impl Code {
    /// The code, without the debugger's watch over it.
    pub(crate) fn unwatched(self) -> Code {
        match self.expr() {
            Expr::Debug(site) => site.inner.unwatched(),
            _ => self,
        }
    }

    /// The code, without where a variable stands: errors name the operator or call that needs its value.
    pub(crate) fn unplaced(self) -> Code {
        let pos = Pos::NONE;
        match self.expr() {
            Expr::Local(used) => Code::new(Expr::Local(Use { pos, ..used })),
            Expr::Capture(used) => Code::new(Expr::Capture(Use { pos, ..used })),
            _ => self,
        }
    }

    /// Where it stands, if it says so: literals do not.
    pub(crate) fn place(self) -> Pos {
        match self.expr() {
            Expr::Local(used) | Expr::Capture(used) => used.pos,
            Expr::WithVar(site) => site.pos,
            Expr::Select(site) => site.pos,
            Expr::SelectPath(site) => site.pos,
            Expr::HasAttr(site) => site.pos,
            Expr::Call(site) => site.pos,
            Expr::Let(site) => site.body.place(),
            Expr::With(site) => site.body.place(),
            Expr::If(site) => site.pos,
            Expr::Assert(site) => site.pos,
            Expr::Not(site) => site.pos,
            Expr::And(site)
            | Expr::Or(site)
            | Expr::Impl(site)
            | Expr::Eq(site)
            | Expr::NotEq(site)
            | Expr::Less(site)
            | Expr::Add(site)
            | Expr::Sub(site)
            | Expr::Mul(site)
            | Expr::Div(site)
            | Expr::Update(site)
            | Expr::Concat(site) => site.pos,
            Expr::Interp(site) => site.pos,
            Expr::Debug(site) => site.pos.or(site.inner.place()),
            _ => Pos::NONE,
        }
    }

    /// Whether a set is written here.
    pub(crate) fn is_set_literal(self) -> bool {
        match self.unwatched().expr() {
            Expr::Const(value) => value.as_attrs().is_some(),
            Expr::Attrs(_) | Expr::Delayed(_) | Expr::Scoped(_) => true,
            _ => false,
        }
    }

    /// Whether a constant, a list, a function, or a set without computed names is written here.
    pub(crate) fn is_literal(self) -> bool {
        match self.unwatched().expr() {
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
