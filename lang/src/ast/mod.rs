//! The compact syntax: what evaluation reads.
//!
//! One arena per file. Nodes are 16-byte `Copy` values addressed by [`ExprId`]; whatever has a variable length (arguments,
//! string parts, attribute paths, bindings, formals, text) lies in side tables and is addressed by ranges.
//! Parentheses are gone, strings are unescaped and stripped of indentation, attribute paths of bindings are merged into
//! nested sets, names are [`Symbol`](crate::Symbol)s. Positions are byte offsets into the source, one per node.
//!
//! A parent comes after its children in the arena, except that [`Expr::Attrs`] made from nested attribute paths may refer to a
//! set with a larger number.

mod nodes;

pub use nodes::{
    AttrName, AttrPath, AttrSet, AttrSetId, Binding, BindingValue, DocComment, DynamicBinding,
    Expr, ExprId, Exprs, Formal, Lambda, LambdaId, Part, Parts, Text,
};

use crate::diagnostic::Diagnostic;

/// The syntax of one file.
#[derive(Debug, Default)]
pub struct Ast {
    pub(crate) root: ExprId,
    pub(crate) exprs: Vec<Expr>,
    pub(crate) offsets: Vec<u32>,
    pub(crate) lists: Vec<ExprId>,
    pub(crate) parts: Vec<Part>,
    pub(crate) path_ranges: Vec<(u32, u32)>,
    pub(crate) path_names: Vec<AttrName>,
    pub(crate) sets: Vec<AttrSet>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) dynamics: Vec<DynamicBinding>,
    pub(crate) lambdas: Vec<Lambda>,
    pub(crate) formals: Vec<Formal>,
    pub(crate) text: Vec<u8>,
    pub(crate) docs: Vec<(u32, DocComment)>,
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Ast {
    /// The expression of the whole file.
    #[inline]
    pub fn root(&self) -> ExprId {
        self.root
    }

    /// A node.
    #[inline]
    pub fn expr(&self, id: ExprId) -> Expr {
        self.exprs[id.0 as usize]
    }

    /// How many nodes there are; ids are below this number.
    pub fn len(&self) -> usize {
        self.exprs.len()
    }

    /// Whether there is no node at all (never so after parsing).
    pub fn is_empty(&self) -> bool {
        self.exprs.is_empty()
    }

    /// The byte offset to report for a node: the operator for a binary operation, otherwise where the expression begins
    /// (for calls and selections that includes an opening parenthesis of the function or the base).
    #[inline]
    pub fn offset(&self, id: ExprId) -> u32 {
        self.offsets[id.0 as usize]
    }

    /// The offset that C++ Nix would name for a node in a message; it has none for literals, and takes the first
    /// element's for a list and the operand's for `!` and `?`.
    pub fn reported_offset(&self, mut id: ExprId) -> Option<u32> {
        loop {
            match self.expr(id) {
                Expr::Int(_) | Expr::Float(_) | Expr::Str(_) | Expr::Path(_) | Expr::Let { .. } => {
                    return None;
                }
                Expr::Not(operand) => id = operand,
                Expr::HasAttr { base, .. } => id = base,
                Expr::List(elements) => id = *self.list(elements).first()?,
                Expr::Attrs(set) => return self.set(set).offset,
                _ => return Some(self.offset(id)),
            }
        }
    }

    /// A list of expressions: list elements, call arguments.
    #[inline]
    pub fn list(&self, range: Exprs) -> &[ExprId] {
        &self.lists[range.start as usize..][..range.len as usize]
    }

    /// The parts of an interpolated string or path.
    #[inline]
    pub fn parts(&self, range: Parts) -> &[Part] {
        &self.parts[range.start as usize..][..range.len as usize]
    }

    /// The names of an attribute path; there is always at least one.
    #[inline]
    pub fn attr_path(&self, path: AttrPath) -> &[AttrName] {
        let (start, len) = self.path_ranges[path.0 as usize];
        &self.path_names[start as usize..][..len as usize]
    }

    /// An attribute set or the bindings of a `let`.
    #[inline]
    pub fn set(&self, id: AttrSetId) -> &AttrSet {
        &self.sets[id.0 as usize]
    }

    /// The static bindings of a set, sorted by symbol, without duplicates.
    #[inline]
    pub fn bindings(&self, set: &AttrSet) -> &[Binding] {
        &self.bindings[set.bindings.0 as usize..][..set.bindings.1 as usize]
    }

    /// The bindings of a set whose name is computed, in source order.
    #[inline]
    pub fn dynamics(&self, set: &AttrSet) -> &[DynamicBinding] {
        &self.dynamics[set.dynamics.0 as usize..][..set.dynamics.1 as usize]
    }

    /// The sources of `inherit (source) …` of a set, to which [`BindingValue::InheritFrom`] counts.
    #[inline]
    pub fn inherit_sources(&self, set: &AttrSet) -> &[ExprId] {
        self.list(set.sources)
    }

    /// A function.
    #[inline]
    pub fn lambda(&self, id: LambdaId) -> &Lambda {
        &self.lambdas[id.0 as usize]
    }

    /// The formals of a function that takes a set pattern, sorted by symbol, without duplicates.
    #[inline]
    pub fn formals(&self, lambda: &Lambda) -> Option<&[Formal]> {
        let (start, len) = lambda.formals?;
        Some(&self.formals[start as usize..][..len as usize])
    }

    /// The bytes of a string or path.
    #[inline]
    pub fn text(&self, text: Text) -> &[u8] {
        &self.text[text.start as usize..][..text.len as usize]
    }

    /// The doc comment that stands before the token at this offset.
    pub fn doc_comment_before(&self, offset: u32) -> Option<DocComment> {
        let index = self.docs.binary_search_by_key(&offset, |doc| doc.0).ok()?;
        Some(self.docs[index].1)
    }

    /// What was found worth a warning while parsing.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }
}
