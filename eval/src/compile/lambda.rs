//! Functions: consecutive arguments become one function of several.

use rx_lang::ast::{Expr as Syntax, LambdaId};

use super::{Compiler, Group};
use crate::code::{ClosureSite, Code, Expr, Formal, Formals, InnerLambda, LambdaCode};
use crate::source::Pos;

impl Compiler<'_> {
    pub(super) fn lambda(&mut self, id: LambdaId, pos: Pos) -> Code {
        let outer = *self.ast.lambda(id);
        let mut lambda = outer;
        let mut mark = None;
        let mut arguments = Vec::new();
        let mut inner = Vec::new();
        self.scope.enter_unit();
        // A set pattern is checked when its argument comes, so it can only be the last of a group.
        let formals = loop {
            let place = self.scope.reserve();
            mark.get_or_insert_with(|| self.scope.mark());
            arguments.push(lambda.arg);
            if let Some(name) = lambda.arg {
                self.scope.bind(name, place);
            }
            if lambda.has_formals() {
                break Some(self.formals(&lambda));
            }
            match self.ast.expr(lambda.body) {
                Syntax::Lambda(next) => {
                    let pos = self.pos(lambda.body);
                    lambda = *self.ast.lambda(next);
                    inner.push(InnerLambda {
                        pos,
                        doc: lambda.doc.map(|d| (self.at(d.start), self.at(d.end))),
                    });
                }
                _ => break None,
            }
        };
        let body = self.strict(lambda.body);
        if let Some(mark) = mark {
            self.scope.unbind(mark);
        }
        let unit = self.scope.leave_unit();
        let code = LambdaCode {
            arity: arguments.len() as u32,
            frame: unit.frame.max(arguments.len() as u32),
            captures: unit.captures.len() as u32,
            body,
            formals,
            name: outer.name,
            arguments: self.slice(arguments),
            pos,
            doc: outer.doc.map(|d| (self.at(d.start), self.at(d.end))),
            inner: self.slice(inner),
        };
        let captures = self.captures(unit.captures);
        self.node(Expr::Closure(self.make(ClosureSite {
            code: self.make(code),
            captures,
        })))
    }

    fn formals(&mut self, lambda: &rx_lang::ast::Lambda) -> &'static Formals {
        let syntax = self.ast.formals(lambda).unwrap_or_default();
        let places = syntax
            .iter()
            .map(|f| (f.name, self.scope.reserve()))
            .collect::<Vec<_>>();
        let first = places.first().map_or(0, |p| p.1.slot);
        for &(name, place) in &places {
            self.scope.bind(name, place);
        }
        // A default sees all formals, whichever of them come as arguments.
        let list = syntax
            .iter()
            .zip(&places)
            .map(|(formal, &(name, place))| Formal {
                name,
                slot: place.slot,
                default: formal
                    .default
                    .map(|d| self.lazy(d, Group::Recursive(first))),
                pos: self.at(formal.offset),
            });
        let list = list.collect();
        self.make(Formals {
            list: self.slice(list),
            ellipsis: lambda.ellipsis,
            plans: Default::default(),
            function_args: Default::default(),
        })
    }
}
