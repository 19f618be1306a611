//! Operators, `assert`, and the folding of constants.

use rx_lang::ast::{Expr as Syntax, ExprId, Parts};
use rx_lang::symbol::{Symbol, known};

use super::{Compiler, Group};
use crate::code::{self, Assert, Binary, Call, Code, Expr, Interp};
use crate::source::Pos;
use crate::value::Value;

impl Compiler<'_> {
    pub(super) fn operator(&mut self, syntax: Syntax, id: ExprId) -> Code {
        let pos = self.pos(id);
        match syntax {
            Syntax::Not(a) => {
                let a = self.strict(a);
                self.node(Expr::Not(self.make(code::Not { operand: a, pos })))
            }
            Syntax::And(a, b) => self.binary(Expr::And, a, b, pos),
            Syntax::Or(a, b) => self.binary(Expr::Or, a, b, pos),
            Syntax::Impl(a, b) => self.binary(Expr::Impl, a, b, pos),
            Syntax::Eq(a, b) => self.binary(Expr::Eq, a, b, pos),
            Syntax::NotEq(a, b) => self.binary(Expr::NotEq, a, b, pos),
            Syntax::Update(a, b) => self.binary(Expr::Update, a, b, pos),
            Syntax::Concat(a, b) => self.binary(Expr::Concat, a, b, pos),
            Syntax::Add { left, right, .. } => self.binary(Expr::Add, left, right, pos),
            Syntax::Sub(a, b) => self.arithmetic(Expr::Sub, known::SUB, a, b, pos),
            Syntax::Mul(a, b) => self.arithmetic(Expr::Mul, known::MUL, a, b, pos),
            Syntax::Div(a, b) => self.arithmetic(Expr::Div, known::DIV, a, b, pos),
            Syntax::Less(a, b) => self.arithmetic(Expr::Less, known::LESS_THAN, a, b, pos),
            Syntax::Neg(a) => self.negation(a, pos),
            // All other forms are handled where the expression is taken apart.
            _ => self.constant_node(Value::NULL),
        }
    }

    fn binary(
        &mut self,
        kind: fn(&'static Binary) -> Expr,
        a: ExprId,
        b: ExprId,
        pos: Pos,
    ) -> Code {
        let binary = Binary {
            left: self.strict(a),
            right: self.strict(b),
            pos,
        };
        self.node(kind(self.make(binary)))
    }

    /// An operator that stands for a builtin, which the program may have bound itself.
    fn arithmetic(
        &mut self,
        kind: fn(&'static Binary) -> Expr,
        name: Symbol,
        a: ExprId,
        b: ExprId,
        pos: Pos,
    ) -> Code {
        if !self.is_rebound(name) {
            // The reference calls a function here, so it is the operator that needs the operands.
            let binary = Binary {
                left: self.strict(a).unplaced(),
                right: self.strict(b).unplaced(),
                pos,
            };
            return self.node(kind(self.make(binary)));
        }
        let function = self.variable(name, pos);
        let arguments = vec![self.lazy(a, Group::Ordinary), self.lazy(b, Group::Ordinary)];
        let arguments = self.slice(arguments);
        self.node(Expr::Call(self.make(Call {
            function,
            arguments,
            pos,
        })))
    }

    fn negation(&mut self, a: ExprId, pos: Pos) -> Code {
        let zero = self.constant_node(Value::small_int(0));
        if self.is_rebound(known::SUB) {
            let function = self.variable(known::SUB, pos);
            let arguments = vec![zero, self.lazy(a, Group::Ordinary)];
            let arguments = self.slice(arguments);
            return self.node(Expr::Call(self.make(Call {
                function,
                arguments,
                pos,
            })));
        }
        let right = self.strict(a).unplaced();
        if let Expr::Const(value) = right.expr()
            && let Some(negative) = value.as_int().and_then(|n| 0i64.checked_sub(n))
        {
            let value = Value::int(self.heap, negative);
            return self.constant_node(value);
        }
        self.node(Expr::Sub(self.make(Binary {
            left: zero,
            right,
            pos,
        })))
    }

    pub(super) fn is_rebound(&self, name: Symbol) -> bool {
        self.scope.is_bound(name)
            || self
                .environment
                .extra
                .is_some_and(|extra| extra.contains_key(&name))
    }

    pub(super) fn assertion(&mut self, condition: ExprId, body: ExprId, id: ExprId) -> Code {
        let paths = rx_lang::print::Paths::Resolved {
            base: self.environment.base_dir,
            home: self.environment.home.unwrap_or_default(),
        };
        let text = rx_lang::print::expr(self.ast, condition, &paths);
        let code = self.strict(condition);
        let sides = match code.unwatched().expr() {
            Expr::Eq(binary) => Some((binary.left, binary.right)),
            _ => None,
        };
        let body = self.strict(body);
        let site = Assert {
            condition: code,
            body,
            text: text.into(),
            sides,
            pos: self.pos(id),
        };
        self.node(Expr::Assert(self.make(site)))
    }

    pub(super) fn interpolation(&mut self, parts: Parts, path: bool, id: ExprId) -> Code {
        let parts = self.ast.parts(parts).iter().map(|part| {
            let node = self.strict(part.expr);
            (self.at(part.offset), node)
        });
        let parts = parts.collect();
        let site = Interp {
            parts: self.slice(parts),
            path,
            pos: self.pos(id),
        };
        self.node(Expr::Interp(self.make(site)))
    }

    pub(super) fn search_path(&mut self, text: rx_lang::ast::Text, id: ExprId) -> Code {
        let pos = self.pos(id);
        let function = self.variable(known::FIND_FILE, pos);
        let path = self.variable(known::NIX_PATH, pos);
        let name = self.string(self.ast.text(text));
        let name = self.constant_node(name);
        let arguments = self.slice(vec![path, name]);
        self.node(Expr::Call(self.make(code::Call {
            function,
            arguments,
            pos,
        })))
    }
}
