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
    Ast, AttrName, AttrPath, AttrSet, AttrSetId, BindingValue, Expr, ExprId, Exprs, LambdaId, Parts,
};
use crate::symbol::{self, Symbol, known};

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

/// What is still to be printed; the last step is the next.
enum Step {
    Expr(ExprId),
    /// A space and the argument, for each.
    Arguments(Exprs),
    /// A plus and the part of a string, for each.
    Parts(Parts),
    /// The elements of a list, each in parentheses.
    Elements(Exprs),
    /// `name = value; `
    Binding(Symbol, ExprId),
    Symbol(Symbol),
    Text(Fixed),
}

/// A piece of text that is copied fast: as eight bytes, of which some are taken back.
#[derive(Clone, Copy)]
struct Fixed([u8; 8], u8);

const fn fixed(text: &str) -> Fixed {
    let (mut bytes, text) = ([0; 8], text.as_bytes());
    let mut at = 0;
    while at < text.len() {
        bytes[at] = text[at];
        at += 1;
    }
    Fixed(bytes, text.len() as u8)
}

/// A step that prints this text of up to eight bytes.
macro_rules! text {
    ($text:literal) => {
        Step::Text(const { fixed($text) })
    };
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
                let known = symbol::Symbols::global().len().max(index + 1);
                self.names.resize(known, Name::Unknown);
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
            let (first, name) = symbol::ordered(symbol);
            (first, name, at as u32)
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
        let next = match step {
            Step::Expr(id) => Some(id),
            Step::Arguments(all) => self.arguments(all),
            Step::Parts(all) => self.further_parts(all),
            Step::Elements(all) => self.elements(all),
            Step::Binding(name, value) => {
                self.symbol(name);
                self.text(const { fixed(" = ") });
                if self.leaf(value) {
                    self.text(const { fixed("; ") });
                    None
                } else {
                    self.steps.push(text!("; "));
                    Some(value)
                }
            }
            Step::Symbol(symbol) => {
                self.symbol(symbol);
                None
            }
            Step::Text(text) => {
                self.text(text);
                None
            }
        };
        if let Some(id) = next {
            self.expr(id);
        }
    }

    #[inline(always)]
    fn text(&mut self, text: Fixed) {
        let end = self.out.len() + text.1 as usize;
        self.out.extend_from_slice(&text.0);
        self.out.truncate(end);
    }

    /// Plans steps in the order in which they are to be printed.
    #[inline(always)]
    fn plan<const N: usize>(&mut self, steps: [Step; N]) {
        self.steps.extend(steps.into_iter().rev());
    }

    /// Prints an expression without parts; says whether it is one.
    #[inline(always)]
    fn leaf(&mut self, id: ExprId) -> bool {
        match self.ast.expr(id) {
            Expr::Str(text) => string(self.ast.text(text), self.out),
            Expr::Var(symbol) => self.symbol(symbol),
            Expr::Int(value) => literal::integer(value, self.out),
            _ => return false,
        }
        true
    }

    fn expr(&mut self, mut id: ExprId) {
        // What an expression begins with needs no step of its own.
        loop {
            let next = match self.ast.expr(id) {
                Expr::Int(value) => return literal::integer(value, self.out),
                Expr::Float(value) => return float(value, self.out),
                Expr::Str(text) => return string(self.ast.text(text), self.out),
                Expr::Path(text) => return self.paths.print(self.ast.text(text), self.out),
                Expr::Var(symbol) => return self.symbol(symbol),
                Expr::CurPos => return self.text(const { fixed("__curPos") }),
                Expr::Interp(parts) | Expr::PathInterp(parts) => {
                    self.text(const { fixed("(") });
                    self.steps.push(text!(")"));
                    self.steps.push(Step::Parts(parts.rest()));
                    self.ast.parts(parts).first().map(|part| part.expr)
                }
                Expr::Select { base, path } => {
                    self.text(const { fixed("(") });
                    self.attr_path(path);
                    self.steps.push(text!(")."));
                    Some(base)
                }
                Expr::SelectOr {
                    base,
                    path,
                    default,
                } => {
                    self.text(const { fixed("(") });
                    self.plan([text!(" or ("), Step::Expr(default), text!(")")]);
                    self.attr_path(path);
                    self.steps.push(text!(")."));
                    Some(base)
                }
                Expr::HasAttr { base, path } => {
                    self.text(const { fixed("((") });
                    self.steps.push(text!(")"));
                    self.attr_path(path);
                    self.steps.push(text!(") ? "));
                    Some(base)
                }
                Expr::Call { .. }
                | Expr::SearchPath(_)
                | Expr::Neg(_)
                | Expr::Sub(..)
                | Expr::Mul(..)
                | Expr::Div(..)
                | Expr::Less(..) => {
                    self.text(const { fixed("(") });
                    self.steps.push(text!(")"));
                    self.call(id)
                }
                Expr::Lambda(lambda) => return self.lambda(lambda),
                Expr::List(elements) => {
                    self.text(const { fixed("[ ") });
                    self.steps.push(text!("]"));
                    self.elements(elements)
                }
                Expr::Attrs(set) => {
                    self.text(if self.ast.set(set).recursive {
                        const { fixed("rec { ") }
                    } else {
                        const { fixed("{ ") }
                    });
                    self.steps.push(text!("}"));
                    return self.bindings(set);
                }
                Expr::Let { set, body } => {
                    self.text(const { fixed("(let ") });
                    self.plan([text!("in "), Step::Expr(body), text!(")")]);
                    return self.bindings(set);
                }
                Expr::With { scope, body } => {
                    self.text(const { fixed("(with ") });
                    self.plan([text!("; "), Step::Expr(body), text!(")")]);
                    Some(scope)
                }
                Expr::Assert { condition, body } => {
                    self.text(const { fixed("assert ") });
                    self.plan([text!("; "), Step::Expr(body)]);
                    Some(condition)
                }
                Expr::If { condition, yes, no } => {
                    self.text(const { fixed("(if ") });
                    self.plan([
                        text!(" then "),
                        Step::Expr(yes),
                        text!(" else "),
                        Step::Expr(no),
                        text!(")"),
                    ]);
                    Some(condition)
                }
                Expr::Not(operand) => {
                    self.text(const { fixed("(! ") });
                    self.steps.push(text!(")"));
                    Some(operand)
                }
                Expr::And(left, right) => self.binary(left, const { fixed(" && ") }, right),
                Expr::Or(left, right) => self.binary(left, const { fixed(" || ") }, right),
                Expr::Impl(left, right) => self.binary(left, const { fixed(" -> ") }, right),
                Expr::Eq(left, right) => self.binary(left, const { fixed(" == ") }, right),
                Expr::NotEq(left, right) => self.binary(left, const { fixed(" != ") }, right),
                Expr::Update(left, right) => self.binary(left, const { fixed(" // ") }, right),
                Expr::Concat(left, right) => self.binary(left, const { fixed(" ++ ") }, right),
                Expr::Add { left, right, .. } => self.binary(left, const { fixed(" + ") }, right),
            };
            match next {
                Some(next) => id = next,
                None => return,
            }
        }
    }

    /// Begins a binary operation. This and the like give back the expression that is to be printed next.
    #[inline(always)]
    fn binary(&mut self, left: ExprId, operator: Fixed, right: ExprId) -> Option<ExprId> {
        self.text(const { fixed("(") });
        if self.leaf(left) {
            self.text(operator);
            self.steps.push(text!(")"));
            return Some(right);
        }
        self.plan([Step::Text(operator), Step::Expr(right), text!(")")]);
        Some(left)
    }

    /// Arguments of arguments flow together: `(f a) b` prints as `(f a b)`, and so do the operators that are calls; but not
    /// `(f a) or`.
    fn call(&mut self, mut id: ExprId) -> Option<ExprId> {
        while let Expr::Call { func, args } = self.ast.expr(id) {
            self.steps.push(Step::Arguments(args));
            id = func;
            let first = self.ast.list(args).first();
            if first.is_some_and(|&first| self.ast.expr(first) == Expr::Var(known::OR)) {
                return Some(id);
            }
        }
        match self.ast.expr(id) {
            Expr::Neg(operand) => {
                self.text(const { fixed("__sub 0 ") });
                Some(operand)
            }
            Expr::Sub(left, right) => self.operator(known::SUB, left, right),
            Expr::Mul(left, right) => self.operator(known::MUL, left, right),
            Expr::Div(left, right) => self.operator(known::DIV, left, right),
            Expr::Less(left, right) => self.operator(known::LESS_THAN, left, right),
            Expr::SearchPath(text) => {
                self.out.extend_from_slice(b"__findFile __nixPath ");
                string(self.ast.text(text), self.out);
                None
            }
            _ => Some(id),
        }
    }

    fn arguments(&mut self, mut all: Exprs) -> Option<ExprId> {
        while let Some(&first) = self.ast.list(all).first() {
            all = all.rest();
            self.text(const { fixed(" ") });
            if !self.leaf(first) {
                if all.len > 0 {
                    self.steps.push(Step::Arguments(all));
                }
                return Some(first);
            }
            if self.out.len() >= PIECE {
                self.steps.push(Step::Arguments(all));
                break;
            }
        }
        None
    }

    fn further_parts(&mut self, mut all: Parts) -> Option<ExprId> {
        while let Some(first) = self.ast.parts(all).first() {
            all = all.rest();
            self.text(const { fixed(" + ") });
            if !self.leaf(first.expr) {
                if all.len > 0 {
                    self.steps.push(Step::Parts(all));
                }
                return Some(first.expr);
            }
            if self.out.len() >= PIECE {
                self.steps.push(Step::Parts(all));
                break;
            }
        }
        None
    }

    fn elements(&mut self, mut all: Exprs) -> Option<ExprId> {
        while let Some(&first) = self.ast.list(all).first() {
            all = all.rest();
            self.text(const { fixed("(") });
            if !self.leaf(first) {
                if all.len > 0 {
                    self.steps.push(Step::Elements(all));
                }
                self.steps.push(text!(") "));
                return Some(first);
            }
            self.text(const { fixed(") ") });
            if self.out.len() >= PIECE {
                self.steps.push(Step::Elements(all));
                break;
            }
        }
        None
    }

    fn operator(&mut self, function: Symbol, left: ExprId, right: ExprId) -> Option<ExprId> {
        self.symbol(function);
        self.text(const { fixed(" ") });
        self.plan([text!(" "), Step::Expr(right)]);
        Some(left)
    }

    /// Plans an attribute path.
    fn attr_path(&mut self, path: AttrPath) {
        for (index, &name) in self.ast.attr_path(path).iter().enumerate().rev() {
            self.name(name);
            if index > 0 {
                self.steps.push(text!("."));
            }
        }
    }

    fn name(&mut self, name: AttrName) {
        match name {
            AttrName::Static(symbol) => self.steps.push(Step::Symbol(symbol)),
            AttrName::Dynamic(id) => self.plan([text!("\"${"), Step::Expr(id), text!("}\"")]),
        }
    }

    fn lambda(&mut self, id: LambdaId) {
        let lambda = self.ast.lambda(id);
        self.text(const { fixed("(") });
        self.plan([text!(": "), Step::Expr(lambda.body), text!(")")]);
        if let Some(arg) = lambda.arg {
            self.steps.push(Step::Symbol(arg));
        }
        let Some(formals) = self.ast.formals(lambda) else {
            return;
        };
        if lambda.arg.is_some() {
            self.steps.push(text!(" @ "));
        }
        self.text(const { fixed("{ ") });
        self.steps.push(text!(" }"));
        if lambda.ellipsis {
            self.steps.push(if formals.is_empty() {
                text!("...")
            } else {
                text!(", ...")
            });
        }
        let order = self.sorted(formals.iter().map(|formal| formal.name));
        for (index, formal) in order
            .iter()
            .map(|o| &formals[o.2 as usize])
            .enumerate()
            .rev()
        {
            if let Some(default) = formal.default {
                self.plan([text!(" ? "), Step::Expr(default)]);
            }
            self.steps.push(Step::Symbol(formal.name));
            if index > 0 {
                self.steps.push(text!(", "));
            }
        }
        self.order = order;
    }

    /// Plans bindings: plain inherits, inherits by source, values, dynamic ones; sorted by name in each group.
    fn bindings(&mut self, set: AttrSetId) {
        let set = self.ast.set(set);
        for dynamic in self.ast.dynamics(set).iter().rev() {
            self.plan([
                text!("\"${"),
                Step::Expr(dynamic.name),
                text!("}\" = "),
                Step::Expr(dynamic.value),
                text!("; "),
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
            self.steps.push(text!("; "));
            for &(_, name) in group.iter().rev() {
                self.plan([text!(" "), Step::Symbol(name)]);
            }
            if let Some(&source) = self.ast.inherit_sources(set).get(group[0].0 as usize) {
                self.plan([
                    text!("inherit "),
                    text!("("),
                    Step::Expr(source),
                    text!(")"),
                ]);
            }
        }
        if !plain.is_empty() {
            self.steps.push(text!("; "));
            for &name in plain.iter().rev() {
                self.plan([text!(" "), Step::Symbol(name)]);
            }
            self.steps.push(text!("inherit"));
        }
    }
}
