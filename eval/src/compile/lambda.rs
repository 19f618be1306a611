//! Functions: consecutive arguments become one function of several.

use rx_lang::ast::{Expr as Syntax, LambdaId};

use super::debug::Opened;
use super::scope::Place;
use super::{Compiler, Group};
use crate::code::debug::{Doing, LevelKind};
use crate::code::{ClosureSite, Code, Expr, Formal, Formals, InnerLambda, LambdaCode};
use crate::source::Pos;
use rx_lang::symbol::Symbol;

impl Compiler<'_> {
    pub(super) fn lambda(&mut self, id: LambdaId, pos: Pos) -> Code {
        let name = self.ast.lambda(id).name;
        self.named_lambda(id, name, pos)
    }

    fn named_lambda(&mut self, id: LambdaId, name: Option<Symbol>, pos: Pos) -> Code {
        let outer = *self.ast.lambda(id);
        let mut lambda = outer;
        let mut mark = None;
        let mut arguments = Vec::new();
        let mut inner = Vec::new();
        let mut opened = None;
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
                let (formals, level) = self.formals(&lambda, place);
                opened = level;
                break Some(formals);
            }
            match self.ast.expr(lambda.body) {
                // The debugger sees each function of its own.
                _ if self.debug.is_some() => {
                    let object = self.reserve_level();
                    let names = lambda.arg.into_iter().collect();
                    opened = self.open_level(object, LevelKind::Names, names, vec![place.slot]);
                    break None;
                }
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
        let mut body = match self.ast.expr(lambda.body) {
            Syntax::Lambda(next) if opened.is_some() => {
                let own = self.ast.lambda(next).name;
                self.named_lambda(next, own.or(name), self.pos(lambda.body))
            }
            _ => self.strict(lambda.body),
        };
        if opened.is_some() {
            body = self.watch(body, Doing::Body(name), pos);
            body = self.after_opening(opened, formals.is_some(), body);
            self.close_level();
        }
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
            name,
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

    fn formals(
        &mut self,
        lambda: &rx_lang::ast::Lambda,
        argument: Place,
    ) -> (&'static Formals, Option<Opened>) {
        let object = self.reserve_level();
        let syntax = self.ast.formals(lambda).unwrap_or_default();
        let places = syntax
            .iter()
            .map(|f| (f.name, self.scope.reserve()))
            .collect::<Vec<_>>();
        for &(name, place) in &places {
            self.scope.bind(name, place);
        }
        let named = lambda.arg.map(|name| (name, argument));
        let (names, slots) = named
            .iter()
            .chain(&places)
            .map(|&(name, place)| (name, place.slot))
            .unzip();
        let opened = self.open_level(object, LevelKind::Names, names, slots);
        // A default sees all formals, whichever of them come as arguments; those before it are there when it is made.
        let list = syntax
            .iter()
            .zip(&places)
            .map(|(formal, &(name, place))| Formal {
                name,
                slot: place.slot,
                default: formal
                    .default
                    .map(|d| self.lazy(d, Group::Recursive(place.slot))),
                pos: self.at(formal.offset),
            });
        let list = list.collect();
        let formals = self.make(Formals {
            list: self.slice(list),
            ellipsis: lambda.ellipsis,
            plans: Default::default(),
            scope: opened.map(|opened| (opened.slot, opened.make)),
            function_args: Default::default(),
        });
        (formals, opened)
    }
}
