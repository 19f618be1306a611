//! The sink that builds the compact syntax.
//!
//! It keeps one stack of small items: finished expressions and the raw material of unfinished ones (names, operators, string
//! pieces, bindings). A node takes what lies above its mark and leaves one item. Because the items carry all that is
//! needed, the builder is a function of the events alone, and can be driven by a tree as well.
//!
//! After a mistake the items may not fit their node; then something harmless is built, since the result is thrown away.

mod literals;
mod names;
mod sets;
mod strings;

use crate::ast::{
    Ast, AttrName, AttrPath, DocComment, Expr, ExprId, Exprs, Formal, Lambda, LambdaId, Part,
    Parts, Text,
};
use crate::diagnostic::Diagnostic;
use crate::grammar::Sink;
use crate::options::ParseOptions;
use crate::symbol::{Symbol, known};
use crate::syntax_kind::SyntaxKind as K;
use names::NameCache;

/// Sources from this size on have large arenas.
const LARGE: usize = 1 << 20;

/// Something on the stack.
#[derive(Debug, Clone, Copy)]
enum Item {
    Expr(ExprId),
    /// An identifier, or an attribute name known now.
    Name {
        symbol: Symbol,
        offset: u32,
    },
    /// An attribute name to compute.
    Dynamic {
        expr: ExprId,
        offset: u32,
    },
    /// A piece of a string or path.
    Text {
        text: Text,
        offset: u32,
    },
    /// An interpolation.
    Part {
        expr: ExprId,
        offset: u32,
    },
    /// Raw text of an indented string; an escape is not part of the indentation.
    Indented {
        start: u32,
        end: u32,
        escape: bool,
    },
    Operator {
        kind: K,
        offset: u32,
    },
    /// `name = value;`
    Bind {
        name: Symbol,
        offset: u32,
        value: ExprId,
    },
    /// `path = value;`
    BindPath {
        path: u32,
        offset: u32,
        value: ExprId,
    },
    /// `inherit name;`
    Inherit {
        name: Symbol,
        offset: u32,
    },
    /// `inherit (…)`; the names follow.
    Source(ExprId),
    InheritFrom {
        name: Symbol,
        offset: u32,
    },
    Formal {
        name: Symbol,
        offset: u32,
        default: Option<u32>,
    },
    /// There is a set pattern.
    Pattern,
    Ellipsis,
    Rec,
}

#[derive(Clone, Copy)]
pub(crate) struct Mark {
    items: u32,
    start: u32,
}

/// A semantic error and the offset where C++ Nix would come upon it.
pub(crate) type Found = (u32, Diagnostic);

pub(crate) struct Compact<'a> {
    source: &'a [u8],
    options: &'a ParseOptions<'a>,
    ast: Ast,
    items: Vec<Item>,
    /// Attribute paths of bindings of sets that are not finished.
    paths: Vec<(u32, u32)>,
    path_names: Vec<AttrName>,
    names: NameCache,
    errors: Vec<Found>,
    /// The end of the last token.
    end: u32,
    /// Expressions that stand for missing ones.
    missing: Vec<ExprId>,
}

impl<'a> Compact<'a> {
    pub(crate) fn new(source: &'a [u8], options: &'a ParseOptions<'a>) -> Self {
        // Room that is not used costs nothing in large pieces of memory, and to move what has no room is dear.
        let (len, rare) = match source.len() {
            len @ LARGE.. => (2 * len, len / 64),
            len => (len, 0),
        };
        let nodes = len / 12 + 16;
        Compact {
            source,
            options,
            ast: Ast {
                exprs: options.room(nodes),
                offsets: options.room(nodes),
                text: options.room(len / 4),
                lists: options.room(len / 24),
                parts: options.room(rare),
                path_ranges: options.room(len / 48),
                path_names: options.room(len / 32),
                sets: options.room(rare),
                bindings: options.room(len / 32),
                lambdas: options.room(rare),
                formals: options.room(len / 96),
                ..Ast::default()
            },
            items: Vec::with_capacity(256),
            paths: Vec::new(),
            path_names: Vec::new(),
            names: NameCache::new(source.len()),
            errors: Vec::new(),
            end: 0,
            missing: Vec::new(),
        }
    }

    /// The syntax and the semantic errors.
    pub(crate) fn finish(mut self) -> (Ast, Vec<Found>) {
        if let Some(&Item::Expr(root)) = self.items.first() {
            self.ast.root = root;
        }
        (self.ast, self.errors)
    }

    #[inline(always)]
    fn add(&mut self, expr: Expr, offset: u32) -> ExprId {
        let id = ExprId(self.ast.exprs.len() as u32);
        self.ast.exprs.push(expr);
        self.ast.offsets.push(offset);
        id
    }

    #[inline(always)]
    fn push(&mut self, expr: Expr, offset: u32) {
        let id = self.add(expr, offset);
        self.items.push(Item::Expr(id));
    }

    /// An expression on the stack; something harmless if another thing lies there.
    #[inline(always)]
    fn expr_at(&mut self, index: usize) -> ExprId {
        match self.items.get(index) {
            Some(&Item::Expr(id)) => id,
            _ => self.add(Expr::CurPos, 0),
        }
    }

    /// Replaces all items from `index` on by one expression.
    #[inline(always)]
    fn replace(&mut self, index: u32, expr: Expr, offset: u32) {
        self.items.truncate(index as usize);
        self.push(expr, offset);
    }

    fn error(&mut self, at: u32, diagnostic: Diagnostic) {
        if self.errors.len() < crate::diagnostic::MOST {
            self.errors.push((at, diagnostic));
        }
    }

    #[inline(always)]
    fn intern(&mut self, start: u32, end: u32) -> Symbol {
        self.names.intern(self.source, start, end)
    }

    #[inline(always)]
    fn variable(&mut self, mark: Mark) {
        if let Some(&Item::Name { symbol, .. }) = self.items.get(mark.items as usize) {
            let expr = if symbol == known::CUR_POS {
                Expr::CurPos
            } else {
                Expr::Var(symbol)
            };
            self.replace(mark.items, expr, mark.start);
        }
    }

    #[inline(always)]
    fn apply(&mut self, mark: Mark) {
        let first = mark.items as usize;
        let func = self.expr_at(first);
        let start = self.ast.lists.len() as u32;
        // `(f a) b` is one call of two arguments, when the arguments lie together; `(f a) or` are two calls.
        let (func, args_start) = match self.ast.expr(func) {
            Expr::Call { func, args }
                if args.start + args.len == start && !self.is_or(first + 1) =>
            {
                (func, args.start)
            }
            _ => (func, start),
        };
        for index in first + 1..self.items.len() {
            if let Item::Expr(id) = self.items[index] {
                self.ast.lists.push(id);
            }
        }
        let args = Exprs {
            start: args_start,
            len: self.ast.lists.len() as u32 - args_start,
        };
        self.replace(mark.items, Expr::Call { func, args }, mark.start);
    }

    /// Whether an item is the name `or`, which is an argument only where it follows what it is applied to at once.
    fn is_or(&self, index: usize) -> bool {
        matches!(self.items.get(index), Some(&Item::Expr(id)) if self.ast.expr(id) == Expr::Var(known::OR))
    }

    #[inline(always)]
    fn list(&mut self, mark: Mark) {
        let start = self.ast.lists.len() as u32;
        for index in mark.items as usize..self.items.len() {
            if let Item::Expr(id) = self.items[index] {
                self.ast.lists.push(id);
            }
        }
        let range = Exprs {
            start,
            len: self.ast.lists.len() as u32 - start,
        };
        self.replace(mark.items, Expr::List(range), mark.start);
    }

    /// The attribute path made of the names from `index` on.
    #[inline(always)]
    fn attr_path(&mut self, index: usize) -> AttrPath {
        let start = self.ast.path_names.len() as u32;
        for item in &self.items[index.min(self.items.len())..] {
            match *item {
                Item::Name { symbol, .. } => self.ast.path_names.push(AttrName::Static(symbol)),
                Item::Dynamic { expr, .. } => self.ast.path_names.push(AttrName::Dynamic(expr)),
                _ => break,
            }
        }
        let path = AttrPath(self.ast.path_ranges.len() as u32);
        self.ast
            .path_ranges
            .push((start, self.ast.path_names.len() as u32 - start));
        path
    }

    #[inline(always)]
    fn select(&mut self, mark: Mark) {
        let index = mark.items as usize;
        let base = self.expr_at(index);
        let path = self.attr_path(index + 1);
        let expr = match self.items.last() {
            Some(&Item::Expr(default)) if self.items.len() > index + 1 => Expr::SelectOr {
                base,
                path,
                default,
            },
            _ => Expr::Select { base, path },
        };
        self.replace(mark.items, expr, mark.start);
    }

    #[inline(always)]
    fn binary(&mut self, mark: Mark) {
        let index = mark.items as usize;
        let left = self.expr_at(index);
        let right = self.expr_at(index + 2);
        let Some(&Item::Operator { kind, offset }) = self.items.get(index + 1) else {
            return self.replace(mark.items, Expr::CurPos, mark.start);
        };
        let expr = match kind {
            K::EqualEqual => Expr::Eq(left, right),
            K::NotEqual => Expr::NotEq(left, right),
            K::AndAnd => Expr::And(left, right),
            K::OrOr => Expr::Or(left, right),
            K::Arrow => Expr::Impl(left, right),
            K::Update => Expr::Update(left, right),
            K::Concat => Expr::Concat(left, right),
            K::Plus => Expr::Add {
                left,
                right,
                start: mark.start,
            },
            K::Minus => Expr::Sub(left, right),
            K::Star => Expr::Mul(left, right),
            K::Slash => Expr::Div(left, right),
            K::Less => Expr::Less(left, right),
            K::Greater => Expr::Less(right, left),
            K::LessEqual => Expr::Not(self.add(Expr::Less(right, left), offset)),
            K::GreaterEqual => Expr::Not(self.add(Expr::Less(left, right), offset)),
            _ => Expr::CurPos,
        };
        self.replace(mark.items, expr, offset);
    }

    #[inline(always)]
    fn unary(&mut self, mark: Mark) {
        let operand = self.expr_at(mark.items as usize + 1);
        let negation = matches!(
            self.items.get(mark.items as usize),
            Some(Item::Operator { kind: K::Minus, .. })
        );
        let expr = if negation {
            Expr::Neg(operand)
        } else {
            Expr::Not(operand)
        };
        self.replace(mark.items, expr, mark.start);
    }

    /// A pipe is a call; the argument is on the left of `|>`, on the right of `<|`.
    fn pipe(&mut self, mark: Mark) {
        let index = mark.items as usize;
        let (left, right) = (self.expr_at(index), self.expr_at(index + 2));
        let Some(&Item::Operator { kind, offset }) = self.items.get(index + 1) else {
            return self.replace(mark.items, Expr::CurPos, mark.start);
        };
        let (func, argument) = if kind == K::PipeInto {
            (right, left)
        } else {
            (left, right)
        };
        let args = Exprs {
            start: self.ast.lists.len() as u32,
            len: 1,
        };
        self.ast.lists.push(argument);
        self.replace(mark.items, Expr::Call { func, args }, offset);
    }

    fn if_expr(&mut self, mark: Mark) {
        let index = mark.items as usize;
        let expr = Expr::If {
            condition: self.expr_at(index),
            yes: self.expr_at(index + 1),
            no: self.expr_at(index + 2),
        };
        self.replace(mark.items, expr, mark.start);
    }

    #[inline(always)]
    fn formal(&mut self, mark: Mark) {
        let index = mark.items as usize;
        if let Some(&Item::Name { symbol, offset }) = self.items.get(index) {
            let default = match self.items.get(index + 1) {
                Some(Item::Expr(id)) => Some(id.0),
                _ => None,
            };
            self.items.truncate(index);
            self.items.push(Item::Formal {
                name: symbol,
                offset,
                default,
            });
        }
    }

    #[inline(always)]
    fn lambda(&mut self, mark: Mark) {
        let index = mark.items as usize;
        let last = self.items.len().max(1) - 1;
        let body = self.expr_at(last);
        let mut lambda = Lambda {
            arg: None,
            ellipsis: false,
            body,
            name: None,
            doc: None,
            formals: None,
        };
        let mut arg_offset = mark.start;
        let first_formal = self.ast.formals.len();
        let mut pattern = false;
        for item in &self.items[index.min(last)..last] {
            match *item {
                Item::Name { symbol, offset } => {
                    lambda.arg = Some(symbol);
                    arg_offset = offset;
                }
                Item::Formal {
                    name,
                    offset,
                    default,
                } => {
                    self.ast.formals.push(Formal {
                        name,
                        offset,
                        default: default.map(ExprId),
                    });
                }
                Item::Ellipsis => lambda.ellipsis = true,
                Item::Pattern => pattern = true,
                _ => {}
            }
        }
        if pattern {
            lambda.formals = Some((
                first_formal as u32,
                (self.ast.formals.len() - first_formal) as u32,
            ));
            self.check_formals(first_formal, lambda.arg, mark.start, arg_offset);
        }
        let id = LambdaId(self.ast.lambdas.len() as u32);
        self.ast.lambdas.push(lambda);
        self.replace(mark.items, Expr::Lambda(id), mark.start);
        if !self.ast.docs.is_empty()
            && let Some(doc) = self.ast.doc_comment_before(mark.start)
        {
            self.document(id, doc);
        }
    }

    /// Sorts the formals; no name may come twice.
    fn check_formals(&mut self, first: usize, arg: Option<Symbol>, start: u32, arg_offset: u32) {
        let formals = &mut self.ast.formals[first..];
        formals.sort_unstable_by_key(|formal| (formal.name, formal.offset));
        let twice = formals
            .windows(2)
            .filter(|pair| pair[0].name == pair[1].name)
            .map(|pair| (pair[0], pair[1]))
            .min_by_key(|(_, second)| second.offset);
        let end = self.end;
        if let Some((before, second)) = twice {
            let found = duplicate_formal(second.name, second.offset, before.offset);
            self.error(end, found);
        } else if let Some(same) =
            arg.and_then(|arg| formals.iter().find(|formal| formal.name == arg))
        {
            let mut found = duplicate_formal(same.name, start, same.offset);
            if arg_offset != start {
                found = found.with_label(
                    arg_offset..arg_offset + same.name.name().len() as u32,
                    "the whole argument has the name of a part",
                );
            }
            self.error(end, found);
        }
    }
}

fn duplicate_formal(name: Symbol, offset: u32, before: u32) -> Diagnostic {
    let len = name.name().len() as u32;
    Diagnostic::error(
        offset..offset + len,
        format!("duplicate formal function argument '{name}'"),
    )
    .with_label(before..before + len, "first here")
}

impl Sink for Compact<'_> {
    type Mark = Mark;

    #[inline(always)]
    fn mark(&mut self, start: u32) -> Mark {
        Mark {
            items: self.items.len() as u32,
            start,
        }
    }

    #[inline(always)]
    fn token(&mut self, kind: K, start: u32, end: u32) {
        self.end = end;
        match kind {
            K::Ident => {
                let symbol = self.intern(start, end);
                self.items.push(Item::Name {
                    symbol,
                    offset: start,
                });
            }
            K::StringText => self.string_text(start, end),
            K::IndentedText => self.items.push(Item::Indented {
                start,
                end,
                escape: false,
            }),
            K::IndentedEscape => self.items.push(Item::Indented {
                start,
                end,
                escape: true,
            }),
            K::Path | K::HomePath | K::PathText => self.path_text(kind, start, end),
            K::Integer => self.integer(start, end),
            K::Float => self.float(start, end),
            K::Uri => self.uri(start, end),
            K::SearchPath => {
                let text = self.copy_text(start + 1, end - 1);
                self.push(Expr::SearchPath(text), start);
            }
            K::EqualEqual
            | K::NotEqual
            | K::Less
            | K::LessEqual
            | K::Greater
            | K::GreaterEqual
            | K::AndAnd
            | K::OrOr
            | K::Arrow
            | K::Update
            | K::Concat
            | K::Plus
            | K::Minus
            | K::Star
            | K::Slash
            | K::Bang
            | K::PipeInto
            | K::PipeFrom => self.items.push(Item::Operator {
                kind,
                offset: start,
            }),
            K::Ellipsis => self.items.push(Item::Ellipsis),
            K::Rec => self.items.push(Item::Rec),
            _ => {}
        }
    }

    #[inline(always)]
    fn node(&mut self, mark: Mark, kind: K) {
        let index = mark.items as usize;
        match kind {
            K::Variable => self.variable(mark),
            K::Apply => self.apply(mark),
            K::List => self.list(mark),
            K::Select => self.select(mark),
            K::HasAttr => {
                let base = self.expr_at(index);
                let path = self.attr_path(index + 1);
                self.replace(mark.items, Expr::HasAttr { base, path }, mark.start);
            }
            K::Binary => self.binary(mark),
            K::Unary => self.unary(mark),
            K::Pipe => self.pipe(mark),
            K::IfExpr => self.if_expr(mark),
            K::WithExpr => {
                let expr = Expr::With {
                    scope: self.expr_at(index),
                    body: self.expr_at(index + 1),
                };
                self.replace(mark.items, expr, mark.start);
            }
            K::AssertExpr => {
                let expr = Expr::Assert {
                    condition: self.expr_at(index),
                    body: self.expr_at(index + 1),
                };
                self.replace(mark.items, expr, mark.start);
            }
            K::Lambda => self.lambda(mark),
            K::Formal => self.formal(mark),
            K::Pattern => self.items.push(Item::Pattern),
            K::Binding => self.binding(mark),
            K::InheritBinding => self.inherit_binding(mark),
            K::InheritSource => {
                let source = self.expr_at(index);
                self.items.truncate(index);
                self.items.push(Item::Source(source));
            }
            K::AttrSet => self.attr_set(mark),
            K::LegacyLet => self.legacy_let(mark),
            K::LetIn => self.let_in(mark),
            K::String => self.string_node(mark),
            K::IndentedString => self.indented_node(mark),
            K::PathExpr => self.path_node(mark),
            K::Interpolation => {
                let expr = self.expr_at(index);
                self.items.truncate(index);
                self.items.push(Item::Part {
                    expr,
                    offset: mark.start,
                });
            }
            K::StringName => self.string_name(mark),
            K::DynamicName => self.dynamic_name(mark),
            K::Error => self.after_mistake(mark),
            _ => {}
        }
    }

    fn missing_expression(&mut self) {
        let id = self.add(Expr::CurPos, self.end);
        self.missing.push(id);
        self.items.push(Item::Expr(id));
    }

    fn missing_name(&mut self) {
        let offset = self.end;
        self.items.push(Item::Name {
            symbol: known::EMPTY,
            offset,
        });
    }

    fn documents(&mut self, docs: &mut Vec<(u32, DocComment)>) {
        self.ast.docs.append(docs);
    }
}

impl Compact<'_> {
    /// Leaves the last expression of what could not be understood, if there is one.
    fn after_mistake(&mut self, mark: Mark) {
        let index = mark.items as usize;
        let last = self.items[index.min(self.items.len())..]
            .iter()
            .rev()
            .find(|item| matches!(item, Item::Expr(_)))
            .copied();
        self.items.truncate(index);
        self.items.extend(last);
    }

    fn parts_from(&mut self, start: usize) -> Parts {
        Parts {
            start: start as u32,
            len: (self.ast.parts.len() - start) as u32,
        }
    }

    fn push_part(&mut self, offset: u32, expr: ExprId) {
        self.ast.parts.push(Part { offset, expr });
    }
}
