//! Expressions as text, in the form that `nix-instantiate --parse` prints.
//!
//! The form is fully parenthesised and sorted, and has to be the same byte for byte: programs compare it, and failed assertions
//! show their condition in it. Printing needs no native stack, however deep an expression is.

mod literal;
mod paths;

pub use literal::{float, identifier, string};
pub use paths::Paths;

use crate::ast::{
    Ast, AttrName, AttrPath, AttrSet, AttrSetId, BindingValue, Expr, ExprId, LambdaId,
};
use crate::symbol::{Symbol, known};

/// The printed form of a whole file, without a line end.
pub fn parse_form(ast: &Ast, paths: &Paths<'_>) -> Vec<u8> {
    expr(ast, ast.root(), paths)
}

/// The printed form of one expression.
pub fn expr(ast: &Ast, id: ExprId, paths: &Paths<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if id == ast.root() {
        out.reserve(ast.len() * 12);
    }
    Printer {
        ast,
        paths,
        out: &mut out,
        steps: vec![Step::Expr(id)],
    }
    .run();
    out
}

/// The printed form of an attribute path, as messages show it.
pub fn attr_path(ast: &Ast, path: AttrPath, paths: &Paths<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut printer = Printer {
        ast,
        paths,
        out: &mut out,
        steps: Vec::new(),
    };
    printer.attr_path(path);
    printer.run();
    out
}

/// Appends one name of an attribute path.
pub(crate) fn attr_name(ast: &Ast, name: AttrName, out: &mut Vec<u8>) {
    let mut printer = Printer {
        ast,
        paths: &Paths::AsWritten,
        out,
        steps: Vec::new(),
    };
    printer.name(name);
    printer.run();
}

/// What is still to be printed; the last step is the next.
enum Step {
    Expr(ExprId),
    /// Function and arguments without the parentheses.
    Call(ExprId),
    /// A space, then an argument.
    Argument(ExprId),
    /// A plus, then a part of a string.
    Part(ExprId),
    /// An element of a list, in parentheses.
    Element(ExprId),
    /// `name = value; `
    Binding(Symbol, ExprId),
    Symbol(Symbol),
    Text(&'static str),
}

struct Printer<'a, 'p> {
    ast: &'a Ast,
    paths: &'a Paths<'p>,
    out: &'a mut Vec<u8>,
    steps: Vec<Step>,
}

impl Printer<'_, '_> {
    fn run(&mut self) {
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Expr(id) => self.expr(id),
                Step::Call(id) => self.call(id),
                Step::Argument(id) => {
                    self.text(" ");
                    self.expr(id);
                }
                Step::Part(id) => {
                    self.text(" + ");
                    self.expr(id);
                }
                Step::Element(id) => {
                    self.text("(");
                    self.steps.push(Step::Text(") "));
                    self.expr(id);
                }
                Step::Binding(name, value) => {
                    identifier(name.name(), self.out);
                    self.text(" = ");
                    self.steps.push(Step::Text("; "));
                    self.expr(value);
                }
                Step::Symbol(symbol) => identifier(symbol.name(), self.out),
                Step::Text(text) => self.out.extend_from_slice(text.as_bytes()),
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Plans steps in the order in which they are to be printed.
    fn plan<const N: usize>(&mut self, steps: [Step; N]) {
        self.steps.extend(steps.into_iter().rev());
    }

    fn expr(&mut self, id: ExprId) {
        match self.ast.expr(id) {
            Expr::Int(value) => self.text(&value.to_string()),
            Expr::Float(value) => float(value, self.out),
            Expr::Str(text) => string(self.ast.text(text), self.out),
            Expr::Path(text) => self.paths.print(self.ast.text(text), self.out),
            Expr::Var(symbol) => identifier(symbol.name(), self.out),
            Expr::CurPos => self.text("__curPos"),
            Expr::Interp(parts) | Expr::PathInterp(parts) => {
                self.text("(");
                self.steps.push(Step::Text(")"));
                let parts = self.ast.parts(parts);
                self.steps
                    .extend(parts.iter().skip(1).rev().map(|part| Step::Part(part.expr)));
                if let Some(first) = parts.first() {
                    self.steps.push(Step::Expr(first.expr));
                }
            }
            Expr::Select { base, path } => self.select(base, path, None),
            Expr::SelectOr {
                base,
                path,
                default,
            } => self.select(base, path, Some(default)),
            Expr::HasAttr { base, path } => {
                self.text("((");
                self.steps.push(Step::Text(")"));
                self.attr_path(path);
                self.plan([Step::Expr(base), Step::Text(") ? ")]);
            }
            Expr::Call { .. }
            | Expr::SearchPath(_)
            | Expr::Neg(_)
            | Expr::Sub(..)
            | Expr::Mul(..)
            | Expr::Div(..)
            | Expr::Less(..) => {
                self.text("(");
                self.plan([Step::Call(id), Step::Text(")")]);
            }
            Expr::Lambda(lambda) => self.lambda(lambda),
            Expr::List(elements) => {
                self.text("[ ");
                self.steps.push(Step::Text("]"));
                self.steps.extend(
                    self.ast
                        .list(elements)
                        .iter()
                        .rev()
                        .map(|&element| Step::Element(element)),
                );
            }
            Expr::Attrs(set) => {
                let recursive = self.ast.set(set).recursive;
                self.text(if recursive { "rec { " } else { "{ " });
                self.steps.push(Step::Text("}"));
                self.bindings(set);
            }
            Expr::Let { set, body } => {
                self.text("(let ");
                self.plan([Step::Text("in "), Step::Expr(body), Step::Text(")")]);
                self.bindings(set);
            }
            Expr::With { scope, body } => {
                self.plan([
                    Step::Text("(with "),
                    Step::Expr(scope),
                    Step::Text("; "),
                    Step::Expr(body),
                    Step::Text(")"),
                ]);
            }
            Expr::Assert { condition, body } => {
                self.plan([
                    Step::Text("assert "),
                    Step::Expr(condition),
                    Step::Text("; "),
                    Step::Expr(body),
                ]);
            }
            Expr::If { condition, yes, no } => self.plan([
                Step::Text("(if "),
                Step::Expr(condition),
                Step::Text(" then "),
                Step::Expr(yes),
                Step::Text(" else "),
                Step::Expr(no),
                Step::Text(")"),
            ]),
            Expr::Not(operand) => {
                self.plan([Step::Text("(! "), Step::Expr(operand), Step::Text(")")])
            }
            Expr::And(left, right) => self.binary(left, " && ", right),
            Expr::Or(left, right) => self.binary(left, " || ", right),
            Expr::Impl(left, right) => self.binary(left, " -> ", right),
            Expr::Eq(left, right) => self.binary(left, " == ", right),
            Expr::NotEq(left, right) => self.binary(left, " != ", right),
            Expr::Update(left, right) => self.binary(left, " // ", right),
            Expr::Concat(left, right) => self.binary(left, " ++ ", right),
            Expr::Add { left, right, .. } => self.binary(left, " + ", right),
        }
    }

    fn binary(&mut self, left: ExprId, operator: &'static str, right: ExprId) {
        self.text("(");
        self.plan([
            Step::Expr(left),
            Step::Text(operator),
            Step::Expr(right),
            Step::Text(")"),
        ]);
    }

    /// Arguments of arguments flow together: `(f a) b` prints as `(f a b)`, and so do the operators that are calls.
    fn call(&mut self, id: ExprId) {
        match self.ast.expr(id) {
            Expr::Call { func, args } => {
                self.steps.extend(
                    self.ast
                        .list(args)
                        .iter()
                        .rev()
                        .map(|&arg| Step::Argument(arg)),
                );
                self.steps.push(Step::Call(func));
            }
            Expr::Neg(operand) => self.plan([Step::Text("__sub 0 "), Step::Expr(operand)]),
            Expr::Sub(left, right) => self.operator(known::SUB, left, right),
            Expr::Mul(left, right) => self.operator(known::MUL, left, right),
            Expr::Div(left, right) => self.operator(known::DIV, left, right),
            Expr::Less(left, right) => self.operator(known::LESS_THAN, left, right),
            Expr::SearchPath(text) => {
                self.text("__findFile __nixPath ");
                string(self.ast.text(text), self.out);
            }
            _ => self.steps.push(Step::Expr(id)),
        }
    }

    fn operator(&mut self, function: Symbol, left: ExprId, right: ExprId) {
        self.plan([
            Step::Symbol(function),
            Step::Text(" "),
            Step::Expr(left),
            Step::Text(" "),
            Step::Expr(right),
        ]);
    }

    fn select(&mut self, base: ExprId, path: AttrPath, default: Option<ExprId>) {
        self.text("(");
        if let Some(default) = default {
            self.plan([Step::Text(" or ("), Step::Expr(default), Step::Text(")")]);
        }
        self.attr_path(path);
        self.plan([Step::Expr(base), Step::Text(").")]);
    }

    /// Plans an attribute path.
    fn attr_path(&mut self, path: AttrPath) {
        for (index, &name) in self.ast.attr_path(path).iter().enumerate().rev() {
            self.name(name);
            if index > 0 {
                self.steps.push(Step::Text("."));
            }
        }
    }

    fn name(&mut self, name: AttrName) {
        match name {
            AttrName::Static(symbol) => self.steps.push(Step::Symbol(symbol)),
            AttrName::Dynamic(id) => {
                self.plan([Step::Text("\"${"), Step::Expr(id), Step::Text("}\"")])
            }
        }
    }

    fn lambda(&mut self, id: LambdaId) {
        let lambda = self.ast.lambda(id);
        self.text("(");
        self.plan([Step::Text(": "), Step::Expr(lambda.body), Step::Text(")")]);
        if let Some(arg) = lambda.arg {
            self.steps.push(Step::Symbol(arg));
        }
        let Some(formals) = self.ast.formals(lambda) else {
            return;
        };
        if lambda.arg.is_some() {
            self.steps.push(Step::Text(" @ "));
        }
        self.text("{ ");
        self.steps.push(Step::Text(" }"));
        if lambda.ellipsis {
            self.steps
                .push(Step::Text(if formals.is_empty() { "..." } else { ", ..." }));
        }
        let mut formals: Vec<_> = formals.iter().collect();
        formals.sort_by_cached_key(|formal| formal.name.name());
        for (index, formal) in formals.into_iter().enumerate().rev() {
            if let Some(default) = formal.default {
                self.plan([Step::Text(" ? "), Step::Expr(default)]);
            }
            self.steps.push(Step::Symbol(formal.name));
            if index > 0 {
                self.steps.push(Step::Text(", "));
            }
        }
    }

    /// Plans bindings: plain inherits, inherits by source, values, dynamic ones; sorted by name in each group.
    fn bindings(&mut self, set: AttrSetId) {
        let set = self.ast.set(set);
        for dynamic in self.ast.dynamics(set).iter().rev() {
            self.plan([
                Step::Text("\"${"),
                Step::Expr(dynamic.name),
                Step::Text("}\" = "),
                Step::Expr(dynamic.value),
                Step::Text("; "),
            ]);
        }
        let mut bindings: Vec<_> = self.ast.bindings(set).iter().collect();
        bindings.sort_by_cached_key(|binding| binding.name.name());
        for binding in bindings.iter().rev() {
            if let BindingValue::Plain(value) = binding.value {
                self.steps.push(Step::Binding(binding.name, value));
            }
        }
        self.inherits(
            set,
            bindings.iter().map(|binding| (binding.name, binding.value)),
        );
    }

    fn inherits(&mut self, set: &AttrSet, bindings: impl Iterator<Item = (Symbol, BindingValue)>) {
        let mut plain = Vec::new();
        let mut sourced = Vec::new();
        for (name, value) in bindings {
            match value {
                BindingValue::Inherit => plain.push(name),
                BindingValue::InheritFrom(source) => sourced.push((source, name)),
                BindingValue::Plain(_) => {}
            }
        }
        sourced.sort_by_key(|&(source, _)| source);
        for group in sourced.chunk_by(|a, b| a.0 == b.0).rev() {
            self.steps.push(Step::Text("; "));
            for &(_, name) in group.iter().rev() {
                self.plan([Step::Text(" "), Step::Symbol(name)]);
            }
            if let Some(&source) = self.ast.inherit_sources(set).get(group[0].0 as usize) {
                self.plan([Step::Text("inherit ("), Step::Expr(source), Step::Text(")")]);
            }
        }
        if !plain.is_empty() {
            self.steps.push(Step::Text("; "));
            for &name in plain.iter().rev() {
                self.plan([Step::Text(" "), Step::Symbol(name)]);
            }
            self.steps.push(Step::Text("inherit"));
        }
    }
}
