//! The node types of the compact syntax.

use crate::symbol::Symbol;

/// The number of an expression in its [`Ast`](super::Ast).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExprId(pub u32);

/// The number of a set (or the bindings of a `let`) in its [`Ast`](super::Ast).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrSetId(pub u32);

/// The number of a function in its [`Ast`](super::Ast).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LambdaId(pub u32);

/// The number of an attribute path in its [`Ast`](super::Ast).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrPath(pub u32);

macro_rules! range {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name {
            pub(crate) start: u32,
            pub(crate) len: u32,
        }

        impl $name {
            /// How many items the range has.
            #[inline]
            pub const fn len(self) -> usize {
                self.len as usize
            }

            /// Whether the range is empty.
            #[inline]
            pub const fn is_empty(self) -> bool {
                self.len == 0
            }
        }
    };
}

range! {
    /// A range of expressions, see [`Ast::list`](super::Ast::list).
    Exprs
}
range! {
    /// A range of string parts, see [`Ast::parts`](super::Ast::parts).
    Parts
}
impl Exprs {
    /// The range without its first item.
    #[inline]
    pub(crate) fn rest(self) -> Self {
        let one = self.len.min(1);
        Exprs {
            start: self.start + one,
            len: self.len - one,
        }
    }
}

impl Parts {
    /// The range without its first item.
    #[inline]
    pub(crate) fn rest(self) -> Self {
        let one = self.len.min(1);
        Parts {
            start: self.start + one,
            len: self.len - one,
        }
    }
}

range! {
    /// A range of bytes, see [`Ast::text`](super::Ast::text).
    Text
}

/// An expression. 16 bytes.
///
/// The operators `-`, `*`, `/`, `<` and their relatives mean calls of `__sub`, `__mul`, `__div` and `__lessThan`, and a search
/// path means `__findFile __nixPath "…"`: where the program binds one of those names itself, its binding counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expr {
    /// An integer.
    Int(i64),
    /// A floating point number.
    Float(f64),
    /// A string without interpolation, plain or indented, or a URI. Unescaped.
    Str(Text),
    /// A string with interpolation: every part is coerced and the result is a string.
    Interp(Parts),
    /// A path as written: `/…`, `./…`, `a/b`, `~/…`. To be made absolute and canonical by the reader; a trailing slash
    /// occurs only as the first part of a [`Expr::PathInterp`] and is kept there.
    Path(Text),
    /// A path with interpolation; the first part is a [`Expr::Path`], literal pieces are [`Expr::Str`].
    PathInterp(Parts),
    /// `<…>`, without the brackets: `__findFile __nixPath "…"`.
    SearchPath(Text),
    /// A variable.
    Var(Symbol),
    /// `__curPos`.
    CurPos,
    /// `base.path`; also the legacy `let { body = …; }`, which is `rec { … }.body`.
    Select {
        /// What is selected from.
        base: ExprId,
        /// The names.
        path: AttrPath,
    },
    /// `base.path or default`.
    SelectOr {
        /// What is selected from.
        base: ExprId,
        /// The names.
        path: AttrPath,
        /// The value when an attribute is missing.
        default: ExprId,
    },
    /// `base ? path`.
    HasAttr {
        /// What is asked.
        base: ExprId,
        /// The names.
        path: AttrPath,
    },
    /// `func a b …`, all consecutive arguments together; also `a |> func` and `func <| a`. `func` is a call again
    /// only where parentheses or a pipe stood between.
    Call {
        /// The function.
        func: ExprId,
        /// The arguments; at least one.
        args: Exprs,
    },
    /// A function.
    Lambda(LambdaId),
    /// `[ … ]`.
    List(Exprs),
    /// `{ … }` and `rec { … }`.
    Attrs(AttrSetId),
    /// `let … in body`; the set is recursive and has no dynamic bindings.
    Let {
        /// The bindings.
        set: AttrSetId,
        /// The body.
        body: ExprId,
    },
    /// `with scope; body`.
    With {
        /// The set whose attributes come into scope.
        scope: ExprId,
        /// The body.
        body: ExprId,
    },
    /// `assert condition; body`. The message of a failure prints the condition (`print::expr`).
    Assert {
        /// The condition.
        condition: ExprId,
        /// The body.
        body: ExprId,
    },
    /// `if condition then yes else no`.
    If {
        /// The condition.
        condition: ExprId,
        /// The value when it is true.
        yes: ExprId,
        /// The value when it is false.
        no: ExprId,
    },
    /// `!a`; also around [`Expr::Less`] for `<=` and `>=`.
    Not(ExprId),
    /// `-a`, that is `__sub 0 a`.
    Neg(ExprId),
    /// `a && b`.
    And(ExprId, ExprId),
    /// `a || b`.
    Or(ExprId, ExprId),
    /// `a -> b`.
    Impl(ExprId, ExprId),
    /// `a == b`.
    Eq(ExprId, ExprId),
    /// `a != b`.
    NotEq(ExprId, ExprId),
    /// `a // b`.
    Update(ExprId, ExprId),
    /// `a ++ b`.
    Concat(ExprId, ExprId),
    /// `a + b`: numbers, strings or paths.
    Add {
        /// The left operand.
        left: ExprId,
        /// The right operand.
        right: ExprId,
        /// Where the left operand begins.
        start: u32,
    },
    /// `a - b`, that is `__sub a b`.
    Sub(ExprId, ExprId),
    /// `a * b`, that is `__mul a b`.
    Mul(ExprId, ExprId),
    /// `a / b`, that is `__div a b`.
    Div(ExprId, ExprId),
    /// `__lessThan a b`. Written `a < b` or `b > a`; negated by [`Expr::Not`] for `b <= a` and `a >= b`.
    Less(ExprId, ExprId),
}

/// A part of an interpolated string or path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where it begins: the text or the `${`.
    pub offset: u32,
    /// A [`Expr::Str`] for text, any expression for an interpolation.
    pub expr: ExprId,
}

/// One name of an attribute path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttrName {
    /// A name known now: an identifier or a string without interpolation.
    Static(Symbol),
    /// A name to compute: `${e}` or `"…${e}…"`.
    Dynamic(ExprId),
}

/// A set, or the bindings of a `let`. Read with [`Ast::bindings`](super::Ast::bindings),
/// [`Ast::dynamics`](super::Ast::dynamics) and [`Ast::inherit_sources`](super::Ast::inherit_sources).
#[derive(Debug, Clone, Copy, Default)]
pub struct AttrSet {
    /// Whether the bindings see each other. Always so for `let`.
    pub recursive: bool,
    /// Where it begins; `None` for sets that come from nested attribute paths alone.
    pub offset: Option<u32>,
    pub(crate) bindings: (u32, u32),
    pub(crate) dynamics: (u32, u32),
    pub(crate) sources: Exprs,
}

/// A binding with a name known now.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// The name.
    pub name: Symbol,
    /// The position of the attribute: where its attribute path begins, or the name in an `inherit`.
    pub offset: u32,
    /// What it is bound to.
    pub value: BindingValue,
}

/// What a name is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingValue {
    /// `name = value;`
    Plain(ExprId),
    /// `inherit name;`: the variable of that name in the scope around the set.
    Inherit,
    /// `inherit (source) name;`: the attribute `name` of source number n of the set. Sources see what values of the set see.
    InheritFrom(u32),
}

/// A binding with a computed name. In a recursive set both sides see the static bindings.
#[derive(Debug, Clone, Copy)]
pub struct DynamicBinding {
    /// The name.
    pub name: ExprId,
    /// The value.
    pub value: ExprId,
    /// Where the attribute path begins.
    pub offset: u32,
}

/// A function.
#[derive(Debug, Clone, Copy)]
pub struct Lambda {
    /// `arg: …`, or the name for the whole set at `@`.
    pub arg: Option<Symbol>,
    /// Whether a set pattern ends in `...`.
    pub ellipsis: bool,
    /// The body.
    pub body: ExprId,
    /// The name it is bound to, for messages.
    pub name: Option<Symbol>,
    /// The comment that documents it.
    pub doc: Option<DocComment>,
    pub(crate) formals: Option<(u32, u32)>,
}

impl Lambda {
    /// Whether the function takes a set pattern.
    pub fn has_formals(&self) -> bool {
        self.formals.is_some()
    }
}

/// A formal of a set pattern.
#[derive(Debug, Clone, Copy)]
pub struct Formal {
    /// The name.
    pub name: Symbol,
    /// Where it stands.
    pub offset: u32,
    /// The value when the argument lacks it.
    pub default: Option<ExprId>,
}

/// Where a doc comment stands, `/**` and `*/` included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocComment {
    /// First byte.
    pub start: u32,
    /// Past the last byte.
    pub end: u32,
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_node_is_two_words() {
        assert_eq!(size_of::<super::Expr>(), 16);
        assert_eq!(size_of::<super::AttrName>(), 8);
    }
}
