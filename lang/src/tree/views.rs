//! Typed nodes: the tree by the names of the language.
//!
//! A view is a node whose kind is known. Its parts are optional, since a tree with mistakes lacks some.
//!
//! ```
//! use rx_lang::tree::views::{Expr, View};
//! use rx_lang::tree::Tree;
//!
//! let tree = Tree::parse(b"x: x.y or 1", &Default::default())?;
//! let Some(Expr::Lambda(lambda)) = tree.file().expr() else { panic!() };
//! assert_eq!(lambda.parameter().unwrap().text(), "x");
//! let Some(Expr::Select(select)) = lambda.body() else { panic!() };
//! assert_eq!(select.default().unwrap().syntax().text(), "1");
//! # Ok::<(), rx_lang::ParseFailure>(())
//! ```

use super::{SyntaxNode, SyntaxToken};
use crate::syntax_kind::SyntaxKind as K;

/// A node whose kind is known.
pub trait View: Sized {
    /// The view of a node, if the node is of its kind.
    fn cast(node: SyntaxNode) -> Option<Self>;

    /// The node.
    fn syntax(&self) -> &SyntaxNode;
}

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident = $kind:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Hash)]
            pub struct $name(SyntaxNode);

            impl View for $name {
                fn cast(node: SyntaxNode) -> Option<Self> {
                    (node.kind() == K::$kind).then(|| $name(node))
                }

                fn syntax(&self) -> &SyntaxNode {
                    &self.0
                }
            }
        )*
    };
}

views! {
    /// A whole file.
    File = Root,
    /// A variable, or `__curPos`.
    Variable = Variable,
    /// A number, a URI or a search path.
    Literal = Literal,
    /// `"…"` as a value.
    StringExpr = String,
    /// `''…''`.
    IndentedString = IndentedString,
    /// `${…}` in a string or path.
    Interpolation = Interpolation,
    /// A path.
    PathExpr = PathExpr,
    /// `( … )`.
    Paren = Paren,
    /// `[ … ]`.
    List = List,
    /// `{ … }` or `rec { … }`.
    AttrSet = AttrSet,
    /// `let … in …`.
    LetIn = LetIn,
    /// `let { … }`.
    LegacyLet = LegacyLet,
    /// `parameter: body`.
    Lambda = Lambda,
    /// A set pattern.
    Pattern = Pattern,
    /// A formal of a set pattern.
    Formal = Formal,
    /// `with …; …`.
    With = WithExpr,
    /// `assert …; …`.
    Assert = AssertExpr,
    /// `if … then … else …`.
    If = IfExpr,
    /// `base.path`, with or without a default.
    Select = Select,
    /// `base ? path`.
    HasAttr = HasAttr,
    /// A function and its arguments.
    Apply = Apply,
    /// A binary operation.
    Binary = Binary,
    /// `!a` or `-a`.
    Unary = Unary,
    /// `a |> f` or `f <| a`.
    Pipe = Pipe,
    /// Names between dots.
    AttrPath = AttrPath,
    /// `"…"` as a name.
    StringName = StringName,
    /// `${…}` as a name.
    DynamicName = DynamicName,
    /// `path = value;`.
    Binding = Binding,
    /// `inherit …;`.
    Inherit = InheritBinding,
    /// `( … )` in an `inherit`.
    InheritSource = InheritSource,
    /// What could not be understood.
    Mistake = Error,
}

macro_rules! expressions {
    ($($name:ident($view:ident)),* $(,)?) => {
        /// Any expression.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Expr {
            $(
                #[doc = concat!("See [`", stringify!($view), "`](struct@", stringify!($view), ").")]
                $name($view),
            )*
        }

        impl View for Expr {
            fn cast(node: SyntaxNode) -> Option<Self> {
                $(
                    if let Some(view) = $view::cast(node.clone()) {
                        return Some(Expr::$name(view));
                    }
                )*
                None
            }

            fn syntax(&self) -> &SyntaxNode {
                match self {
                    $(Expr::$name(view) => view.syntax(),)*
                }
            }
        }
    };
}

expressions! {
    Variable(Variable),
    Literal(Literal),
    String(StringExpr),
    IndentedString(IndentedString),
    Path(PathExpr),
    Paren(Paren),
    List(List),
    AttrSet(AttrSet),
    LetIn(LetIn),
    LegacyLet(LegacyLet),
    Lambda(Lambda),
    With(With),
    Assert(Assert),
    If(If),
    Select(Select),
    HasAttr(HasAttr),
    Apply(Apply),
    Binary(Binary),
    Unary(Unary),
    Pipe(Pipe),
    Mistake(Mistake),
}

/// All views of one type among the children.
fn children<V: View>(node: &SyntaxNode) -> impl Iterator<Item = V> + use<V> {
    node.children().filter_map(V::cast)
}

fn child<V: View>(node: &SyntaxNode) -> Option<V> {
    children(node).next()
}

fn nth_expr(node: &SyntaxNode, index: usize) -> Option<Expr> {
    children(node).nth(index)
}

/// The first token of a kind among the children.
fn token(node: &SyntaxNode, kind: K) -> Option<SyntaxToken> {
    node.children_with_tokens()
        .filter_map(|element| element.into_token())
        .find(|token| token.kind() == kind)
}

/// The first expression after a token of a kind.
fn expr_after(node: &SyntaxNode, kind: K) -> Option<Expr> {
    let mut elements = node
        .children_with_tokens()
        .skip_while(|element| element.kind() != kind);
    elements.find_map(|element| Expr::cast(element.into_node()?))
}

impl File {
    pub(super) fn new(root: SyntaxNode) -> Self {
        File(root)
    }

    /// The expression of the file.
    pub fn expr(&self) -> Option<Expr> {
        child(&self.0)
    }
}

impl Expr {
    /// The expression without parentheses around it.
    pub fn without_parens(self) -> Option<Expr> {
        let mut expr = self;
        while let Expr::Paren(paren) = expr {
            expr = paren.expr()?;
        }
        Some(expr)
    }
}

impl Variable {
    /// The name.
    pub fn name(&self) -> Option<SyntaxToken> {
        token(&self.0, K::Ident)
    }
}

impl Literal {
    /// The number, URI or search path.
    pub fn token(&self) -> Option<SyntaxToken> {
        self.0.first_token()
    }
}

macro_rules! interpolated {
    ($($name:ident),*) => {
        $(
            impl $name {
                /// The interpolations.
                pub fn interpolations(&self) -> impl Iterator<Item = Interpolation> + use<> {
                    children(&self.0)
                }
            }
        )*
    };
}

interpolated!(StringExpr, IndentedString, PathExpr, StringName);

macro_rules! wraps_expression {
    ($($name:ident),*) => {
        $(
            impl $name {
                /// The expression in it.
                pub fn expr(&self) -> Option<Expr> {
                    child(&self.0)
                }
            }
        )*
    };
}

wraps_expression!(Interpolation, Paren, DynamicName, InheritSource);

impl List {
    /// The elements.
    pub fn elements(&self) -> impl Iterator<Item = Expr> + use<> {
        children(&self.0)
    }
}

/// What has bindings: sets and both forms of `let`.
pub trait HasBindings: View {
    /// `path = value;` in source order.
    fn bindings(&self) -> impl Iterator<Item = Binding> {
        children(self.syntax())
    }

    /// `inherit …;` in source order.
    fn inherits(&self) -> impl Iterator<Item = Inherit> {
        children(self.syntax())
    }
}

impl HasBindings for AttrSet {}
impl HasBindings for LetIn {}
impl HasBindings for LegacyLet {}

impl AttrSet {
    /// The `rec` before it.
    pub fn rec_token(&self) -> Option<SyntaxToken> {
        token(&self.0, K::Rec)
    }
}

impl LetIn {
    /// What follows `in`.
    pub fn body(&self) -> Option<Expr> {
        expr_after(&self.0, K::In)
    }
}

impl Lambda {
    /// The name in `name: body`; a pattern's `@` name is at the [`Pattern`].
    pub fn parameter(&self) -> Option<SyntaxToken> {
        token(&self.0, K::Ident)
    }

    /// The set pattern.
    pub fn pattern(&self) -> Option<Pattern> {
        child(&self.0)
    }

    /// The body.
    pub fn body(&self) -> Option<Expr> {
        expr_after(&self.0, K::Colon)
    }
}

impl Pattern {
    /// The formals, in source order.
    pub fn formals(&self) -> impl Iterator<Item = Formal> + use<> {
        children(&self.0)
    }

    /// The name of the whole argument.
    pub fn name(&self) -> Option<SyntaxToken> {
        token(&self.0, K::Ident)
    }

    /// The `...`.
    pub fn ellipsis(&self) -> Option<SyntaxToken> {
        token(&self.0, K::Ellipsis)
    }
}

impl Formal {
    /// The name.
    pub fn name(&self) -> Option<SyntaxToken> {
        token(&self.0, K::Ident)
    }

    /// The value when the argument lacks it.
    pub fn default(&self) -> Option<Expr> {
        child(&self.0)
    }
}

impl With {
    /// The set.
    pub fn scope(&self) -> Option<Expr> {
        nth_expr(&self.0, 0)
    }

    /// The body.
    pub fn body(&self) -> Option<Expr> {
        expr_after(&self.0, K::Semicolon)
    }
}

impl Assert {
    /// The condition.
    pub fn condition(&self) -> Option<Expr> {
        nth_expr(&self.0, 0)
    }

    /// The body.
    pub fn body(&self) -> Option<Expr> {
        expr_after(&self.0, K::Semicolon)
    }
}

impl If {
    /// The condition.
    pub fn condition(&self) -> Option<Expr> {
        expr_after(&self.0, K::If)
    }

    /// What follows `then`.
    pub fn yes(&self) -> Option<Expr> {
        expr_after(&self.0, K::Then)
    }

    /// What follows `else`.
    pub fn no(&self) -> Option<Expr> {
        expr_after(&self.0, K::Else)
    }
}

impl Select {
    /// What is selected from.
    pub fn base(&self) -> Option<Expr> {
        nth_expr(&self.0, 0)
    }

    /// The names.
    pub fn path(&self) -> Option<AttrPath> {
        child(&self.0)
    }

    /// What follows `or`.
    pub fn default(&self) -> Option<Expr> {
        expr_after(&self.0, K::Or)
    }
}

impl HasAttr {
    /// What is asked.
    pub fn base(&self) -> Option<Expr> {
        nth_expr(&self.0, 0)
    }

    /// The names.
    pub fn path(&self) -> Option<AttrPath> {
        child(&self.0)
    }
}

impl Apply {
    /// The function.
    pub fn function(&self) -> Option<Expr> {
        nth_expr(&self.0, 0)
    }

    /// The arguments.
    pub fn arguments(&self) -> impl Iterator<Item = Expr> + use<> {
        children(&self.0).skip(1)
    }
}

macro_rules! operation {
    ($($name:ident),*) => {
        $(
            impl $name {
                /// The operator.
                pub fn operator(&self) -> Option<SyntaxToken> {
                    let tokens = self.0.children_with_tokens().filter_map(|element| element.into_token());
                    { tokens }.find(|token| !token.kind().is_trivia())
                }
            }
        )*
    };
}

operation!(Binary, Unary, Pipe);

macro_rules! two_sides {
    ($($name:ident),*) => {
        $(
            impl $name {
                /// The left side.
                pub fn left(&self) -> Option<Expr> {
                    nth_expr(&self.0, 0)
                }

                /// The right side.
                pub fn right(&self) -> Option<Expr> {
                    nth_expr(&self.0, 1)
                }
            }
        )*
    };
}

two_sides!(Binary, Pipe);

impl Unary {
    /// The operand.
    pub fn operand(&self) -> Option<Expr> {
        nth_expr(&self.0, 0)
    }
}

/// One name of an attribute path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// An identifier.
    Ident(SyntaxToken),
    /// `"…"`.
    String(StringName),
    /// `${…}`.
    Dynamic(DynamicName),
}

fn names(node: &SyntaxNode) -> impl Iterator<Item = Name> + use<> {
    node.children_with_tokens()
        .filter_map(|element| match element {
            rowan::NodeOrToken::Token(token) => {
                (token.kind() == K::Ident).then_some(Name::Ident(token))
            }
            rowan::NodeOrToken::Node(node) => StringName::cast(node.clone())
                .map(Name::String)
                .or_else(|| DynamicName::cast(node).map(Name::Dynamic)),
        })
}

impl AttrPath {
    /// The names.
    pub fn names(&self) -> impl Iterator<Item = Name> + use<> {
        names(&self.0)
    }
}

impl Binding {
    /// The names before `=`.
    pub fn path(&self) -> Option<AttrPath> {
        child(&self.0)
    }

    /// The value.
    pub fn value(&self) -> Option<Expr> {
        expr_after(&self.0, K::Equal)
    }
}

impl Inherit {
    /// What follows in parentheses.
    pub fn source(&self) -> Option<InheritSource> {
        child(&self.0)
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = Name> + use<> {
        names(&self.0)
    }
}
