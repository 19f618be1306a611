//! What is added to code for the debugger. All of it does nothing unless the code is compiled for that.

use rx_lang::ast::ExprId;
use rx_lang::symbol::Symbol;

use super::{Compiler, scope};
use crate::code::debug::{DebugSite, Doing, Level, LevelKind, ScopeSite};
use crate::code::{Code, Expr, Let, Name, SelectPath};
use crate::source::{Origin, Pos, Source};

/// The constructs around that bind names, outermost first.
#[derive(Default)]
pub(super) struct Levels {
    open: Vec<(&'static Level, scope::Place)>,
    given: Option<&'static Level>,
}

/// The nodes that make the object of a level, to be bound to `slot` in this order.
#[derive(Clone, Copy)]
pub(super) struct Opened {
    pub slot: u32,
    /// Makes the object. Comes before what captures it.
    pub make: Code,
    /// Puts the values into it. Comes when they are there.
    pub fill: Code,
}

impl Compiler<'_> {
    /// Prepares for the debugger.
    pub(super) fn begin_debugging(&mut self) {
        let given = self.environment.extra.map(|extra| {
            let (names, words) = extra.iter().map(|(&name, &word)| (name, word)).unzip();
            self.make(Level {
                names: self.slice(names),
                kind: LevelKind::Given(self.slice(words)),
                outer: None,
            })
        });
        self.debug = Some(Levels {
            open: Vec::new(),
            given,
        });
    }

    /// A word of the frame for the object of a level that is about to be opened.
    pub(super) fn reserve_level(&mut self) -> Option<scope::Place> {
        self.debug.is_some().then(|| self.scope.reserve())
    }

    /// Opens a level with names and their words of the frame.
    pub(super) fn open_level(
        &mut self,
        place: Option<scope::Place>,
        kind: LevelKind,
        names: Vec<Symbol>,
        values: Vec<u32>,
    ) -> Option<Opened> {
        let place = place?;
        let around = self.debug.as_ref()?.open.last().copied();
        let outer = around.map(|(_, place)| self.scope.var(place));
        let given = self.debug.as_ref()?.given;
        let level = self.make(Level {
            kind,
            names: self.slice(names),
            outer: around.map(|(level, _)| level).or(given),
        });
        let site = self.make(ScopeSite {
            slot: place.slot,
            outer,
            values: self.slice(values),
        });
        self.debug.as_mut()?.open.push((level, place));
        Some(Opened {
            slot: place.slot,
            make: self.node(Expr::OpenScope(site)),
            fill: self.node(Expr::FillScope(site)),
        })
    }

    /// Closes the innermost level.
    pub(super) fn close_level(&mut self) {
        if let Some(levels) = &mut self.debug {
            levels.open.pop();
        }
    }

    /// Code that makes the object of a level before it goes on.
    pub(super) fn after_opening(&self, opened: Option<Opened>, made: bool, body: Code) -> Code {
        let Some(opened) = opened else {
            return body;
        };
        let mut bindings = vec![(opened.slot, opened.fill)];
        if !made {
            bindings.insert(0, (opened.slot, opened.make));
        }
        let bindings = self.slice(bindings);
        self.node(Expr::Let(self.make(Let { bindings, body })))
    }

    /// Code that the debugger watches.
    pub(super) fn watch(&mut self, inner: Code, what: Doing, pos: Pos) -> Code {
        let Some(levels) = &self.debug else {
            return inner;
        };
        let (level, place) = match levels.open.last() {
            Some(&(level, place)) => (Some(level), Some(place)),
            None => (levels.given, None),
        };
        let scope = place.map(|place| self.scope.var(place));
        self.node(Expr::Debug(self.make(DebugSite {
            inner,
            what,
            pos,
            level,
            scope,
        })))
    }

    /// Watches an expression's code if it can fail or call something.
    pub(super) fn watch_expression(&mut self, id: ExprId, code: Code) -> Code {
        if self.debug.is_none() {
            return code;
        }
        let what = match code.expr() {
            Expr::Call(_) => Doing::Call,
            Expr::Select(_) | Expr::SelectPath(_) => Doing::Select,
            Expr::Const(_)
            | Expr::Shared(_)
            | Expr::Local(_)
            | Expr::Capture(_)
            | Expr::Closure(_)
            | Expr::Thunk(_)
            | Expr::Selection(_)
            | Expr::List(_)
            | Expr::Attrs(_)
            | Expr::Delayed(_)
            | Expr::Let(_)
            | Expr::With(_)
            | Expr::CurPos(_)
            | Expr::Debug(_) => return code,
            _ => Doing::Little,
        };
        let pos = self.pos(id);
        self.watch(code, what, pos)
    }

    /// Watches the evaluation of a file.
    pub(super) fn watch_file(&mut self, body: Code, source: &Source) -> Code {
        let Origin::File(path) = &source.origin else {
            return body;
        };
        if self.debug.is_none() {
            return body;
        }
        let path = self.arena.alloc_slice_copy(path);
        let pos = match body.expr() {
            Expr::Debug(site) => site.pos,
            _ => Pos::NONE,
        };
        self.watch(body, Doing::File(path), pos)
    }

    /// `base.path`, taken in one go as backtraces tell it.
    pub(super) fn whole_selection(&self, base: Code, path: &'static [Name], pos: Pos) -> Code {
        self.node(Expr::SelectPath(self.make(SelectPath {
            base,
            path,
            default: None,
            pos,
        })))
    }
}
