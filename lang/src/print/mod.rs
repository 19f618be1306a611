//! Expressions as text, in the form that `nix-instantiate --parse` prints.
//!
//! The form is fully parenthesised and sorted, and has to be the same byte for byte: programs compare it, and failed assertions
//! show their condition in it. Printing needs no native stack, however deep an expression is.

mod literal;
mod paths;

pub use literal::{float, identifier, string};
pub use paths::Paths;

use std::io::{self, Write};

use crate::ast::{
    Ast, AttrName, AttrPath, AttrSet, AttrSetId, BindingValue, Expr, ExprId, LambdaId,
};
use crate::symbol::{Symbol, known};

/// The printed form of a whole file, without a line end.
pub fn parse_form(ast: &Ast, paths: &Paths<'_>) -> Vec<u8> {
    expr(ast, ast.root(), paths)
}

/// Writes the printed form of a whole file, without a line end. A large one is never in memory as a whole.
pub fn write_form(ast: &Ast, paths: &Paths<'_>, to: &mut dyn Write) -> io::Result<()> {
    let mut out = Vec::with_capacity(2 * PIECE);
    let mut printer = Printer::new(ast, paths, &mut out);
    printer.steps.push(Step::Expr(ast.root()));
    while printer.some() {
        to.write_all(printer.out)?;
        printer.out.clear();
    }
    to.write_all(&out)
}

/// The printed form of one expression.
pub fn expr(ast: &Ast, id: ExprId, paths: &Paths<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if id == ast.root() {
        out.reserve(ast.len() * 12);
    }
    let mut printer = Printer::new(ast, paths, &mut out);
    printer.steps.push(Step::Expr(id));
    printer.run();
    out
}

/// The printed form of an attribute path, as messages show it.
pub fn attr_path(ast: &Ast, path: AttrPath, paths: &Paths<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut printer = Printer::new(ast, paths, &mut out);
    printer.attr_path(path);
    printer.run();
    out
}

/// Appends one name of an attribute path.
pub(crate) fn attr_name(ast: &Ast, name: AttrName, out: &mut Vec<u8>) {
    let mut printer = Printer::new(ast, &Paths::AsWritten, out);
    printer.name(name);
    printer.run();
}

/// The first eight bytes as a number whose order is theirs.
#[inline]
fn first_bytes(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = name.len().min(8);
    bytes[..len].copy_from_slice(&name[..len]);
    u64::from_be_bytes(bytes)
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
    /// How names are printed, by symbol, as far as that is known.
    names: Vec<Name>,
    /// What is being sorted: the first bytes of a name, the name, and the place of what it names.
    order: Vec<(u64, &'static [u8], u32)>,
}

/// How a name is printed.
#[derive(Clone, Copy)]
enum Name {
    Unknown,
    /// An identifier of up to 14 bytes, in a form that is copied fast.
    Short([u8; 14], u8),
    Bare(&'static [u8]),
    Quoted(&'static [u8]),
}

/// Bytes that are written at once.
const PIECE: usize = 64 * 1024;
/// Names with larger numbers are not remembered.
const MOST_NAMES: usize = 1 << 20;

impl<'a, 'p> Printer<'a, 'p> {
    fn new(ast: &'a Ast, paths: &'a Paths<'p>, out: &'a mut Vec<u8>) -> Self {
        Printer {
            ast,
            paths,
            out,
            steps: Vec::new(),
            names: Vec::new(),
            order: Vec::new(),
        }
    }

    fn run(&mut self) {
        while let Some(step) = self.steps.pop() {
            self.step(step);
        }
    }

    /// Prints until there is a piece; says whether there is more.
    fn some(&mut self) -> bool {
        while self.out.len() < PIECE {
            match self.steps.pop() {
                Some(step) => self.step(step),
                None => return false,
            }
        }
        true
    }

    fn symbol(&mut self, symbol: Symbol) {
        let index = symbol.index();
        match self.names.get(index) {
            Some(Name::Short(name, len)) => {
                let end = self.out.len() + *len as usize;
                self.out.extend_from_slice(name);
                self.out.truncate(end);
            }
            Some(Name::Bare(name)) => self.out.extend_from_slice(name),
            Some(Name::Quoted(name)) => string(name, self.out),
            Some(Name::Unknown) | None => self.new_symbol(symbol),
        }
    }

    #[cold]
    fn new_symbol(&mut self, symbol: Symbol) {
        let index = symbol.index();
        let name = symbol.name();
        identifier(name, self.out);
        // A short text is not worth a table.
        if index < MOST_NAMES && self.ast.len() > 1000 {
            if self.names.len() <= index {
                let len = (index + 1).next_power_of_two();
                self.names.resize(len, Name::Unknown);
            }
            self.names[index] = if literal::is_bare(name) {
                let mut short = [0; 14];
                match short.get_mut(..name.len()) {
                    Some(room) => {
                        room.copy_from_slice(name);
                        Name::Short(short, name.len() as u8)
                    }
                    None => Name::Bare(name),
                }
            } else {
                Name::Quoted(name)
            };
        }
    }

    /// The places of names in the order of the alphabet; give them back to `self.order` afterwards.
    fn sorted(&mut self, names: impl Iterator<Item = Symbol>) -> Vec<(u64, &'static [u8], u32)> {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        let mut names = names.peekable();
        let Some(first) = names.next() else {
            return order;
        };
        if names.peek().is_none() {
            order.push((0, first.name(), 0));
            return order;
        }
        let names = std::iter::once(first).chain(names);
        order.extend(names.enumerate().map(|(at, symbol)| {
            let name = symbol.name();
            (first_bytes(name), name, at as u32)
        }));
        // Most names differ in their first bytes. Equal ones stay in their order.
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| a.1.cmp(b.1))
                .then_with(|| a.2.cmp(&b.2))
        });
        order
    }

    #[inline(always)]
    fn step(&mut self, step: Step) {
        {
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
                    self.symbol(name);
                    self.text(" = ");
                    self.steps.push(Step::Text("; "));
                    self.expr(value);
                }
                Step::Symbol(symbol) => self.symbol(symbol),
                Step::Text(text) => self.text(text),
            }
        }
    }

    #[inline(always)]
    fn text(&mut self, text: &str) {
        let (bytes, end) = (text.as_bytes(), self.out.len() + text.len());
        // Copying eight bytes and taking some back is faster than copying an unknown number.
        let mut short = [0; 8];
        match bytes {
            [a] => short[0] = *a,
            [a, b] => short[..2].copy_from_slice(&[*a, *b]),
            [a, b, c] => short[..3].copy_from_slice(&[*a, *b, *c]),
            _ => return self.out.extend_from_slice(bytes),
        }
        self.out.extend_from_slice(&short);
        self.out.truncate(end);
    }

    /// Plans steps in the order in which they are to be printed.
    fn plan<const N: usize>(&mut self, steps: [Step; N]) {
        self.steps.extend(steps.into_iter().rev());
    }

    fn expr(&mut self, id: ExprId) {
        match self.ast.expr(id) {
            Expr::Int(value) => literal::integer(value, self.out),
            Expr::Float(value) => float(value, self.out),
            Expr::Str(text) => string(self.ast.text(text), self.out),
            Expr::Path(text) => self.paths.print(self.ast.text(text), self.out),
            Expr::Var(symbol) => self.symbol(symbol),
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
        let order = self.sorted(formals.iter().map(|formal| formal.name));
        for (index, formal) in order
            .iter()
            .map(|o| &formals[o.2 as usize])
            .enumerate()
            .rev()
        {
            if let Some(default) = formal.default {
                self.plan([Step::Text(" ? "), Step::Expr(default)]);
            }
            self.steps.push(Step::Symbol(formal.name));
            if index > 0 {
                self.steps.push(Step::Text(", "));
            }
        }
        self.order = order;
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
        let bindings = self.ast.bindings(set);
        let order = self.sorted(bindings.iter().map(|binding| binding.name));
        let mut inherits = false;
        for binding in order.iter().rev().map(|o| &bindings[o.2 as usize]) {
            if let BindingValue::Plain(value) = binding.value {
                self.steps.push(Step::Binding(binding.name, value));
            } else {
                inherits = true;
            }
        }
        if inherits {
            let sorted = order.iter().map(|o| &bindings[o.2 as usize]);
            self.inherits(set, sorted.map(|binding| (binding.name, binding.value)));
        }
        self.order = order;
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
