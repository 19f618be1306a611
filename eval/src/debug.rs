//! The debugger's side of the evaluator: what is being done, which names are in scope there, and stopping.
//!
//! Code compiled for the debugger passes through [`DebugSite`]s. Each pushes a frame while it runs; the innermost one that an
//! error passes asks the [`Debugger`] what to do, when the frames are still there.

use rx_lang::symbol::{self, Symbol};

use crate::code::debug::{DebugSite, Doing, Level, LevelKind, ScopeSite};
use crate::code::{Expr, Name, SelectPath};
use crate::error::{Error, ErrorKind, Result};
use crate::heap;
use crate::interp::Env;
use crate::source::Pos;
use crate::value::{Attrs, ListBuilder, Value};
use crate::vm::Vm;

/// Who is asked when an evaluation stops.
pub trait Debugger {
    /// Looks around with the evaluator (nothing stops meanwhile), and says how to go on.
    fn stop(&mut self, vm: &mut Vm, why: Stop<'_>) -> Answer;
}

/// Why an evaluation stops.
#[derive(Clone, Copy, Debug)]
pub enum Stop<'a> {
    /// Something went wrong; `in_try`: perhaps `builtins.tryEval` catches it.
    Error {
        /// What.
        error: &'a Error,
        /// Whether an evaluation of `builtins.tryEval` is under way.
        in_try: bool,
    },
    /// `builtins.break`
    Breakpoint,
    /// A message that is stopped at.
    Pause,
    /// The next frame after [`Answer::Step`].
    Step,
}

/// How to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Until something else stops it.
    Continue,
    /// To the next frame.
    Step,
    /// Not at all.
    Quit,
}

/// The state of debugging.
#[derive(Default)]
pub(crate) struct Debugging {
    /// Who is asked; absent while it is being asked.
    debugger: Option<Box<dyn Debugger>>,
    frames: Vec<Frame>,
    stepping: bool,
    /// Evaluations of `builtins.tryEval` that are under way.
    tries: usize,
}

#[derive(Clone)]
struct Frame {
    what: What,
    pos: Pos,
    scope: DebugScope,
}

#[derive(Clone)]
enum What {
    Site(&'static DebugSite),
    Error(Vec<u8>),
    Attribute(Symbol),
}

/// One line of a backtrace.
#[derive(Clone, Debug)]
pub struct DebugFrame {
    /// What is being done, or what went wrong.
    pub text: Vec<u8>,
    /// Whether it is what went wrong.
    pub is_error: bool,
    /// Where.
    pub pos: Pos,
    /// The names in scope.
    pub scope: DebugScope,
}

/// The names in scope at a place, with their values.
#[derive(Clone, Copy, Debug)]
pub struct DebugScope {
    level: Option<&'static Level>,
    object: Value,
}

/// The names that one construct binds, with their values.
#[derive(Clone, Debug)]
pub struct DebugLevel {
    /// Names and values in the order of the source.
    pub names: Vec<(Symbol, Value)>,
    /// For `with`: the set, or nothing when nobody has needed it yet.
    pub with: Option<Option<Attrs>>,
}

impl DebugScope {
    const EMPTY: DebugScope = DebugScope {
        level: None,
        object: Value::NULL,
    };

    /// The levels, innermost first.
    pub fn levels(self) -> Vec<DebugLevel> {
        let mut levels = Vec::new();
        let (mut at, mut object) = (self.level, self.object);
        while let Some(level) = at {
            let values = object.as_list();
            let value = |index| values.and_then(|values| values.get(1 + index));
            levels.push(match level.kind {
                LevelKind::Names => DebugLevel {
                    names: level
                        .names
                        .iter()
                        .enumerate()
                        .filter_map(|(index, &name)| Some((name, value(index)?)))
                        .collect(),
                    with: None,
                },
                LevelKind::With => DebugLevel {
                    names: Vec::new(),
                    with: Some(value(0).and_then(Value::as_attrs)),
                },
                LevelKind::Given(words) => DebugLevel {
                    names: level
                        .names
                        .iter()
                        .zip(words)
                        .map(|(&name, word)| (name, Value::from_word(heap::load(word)).peel()))
                        .collect(),
                    with: None,
                },
            });
            if !matches!(level.kind, LevelKind::Given(_)) {
                object = values
                    .and_then(|values| values.get(0))
                    .unwrap_or(Value::NULL);
            }
            at = level.outer;
        }
        levels
    }
}

impl Vm {
    /// Has evaluations stop where something goes wrong. The code must have been compiled for that.
    pub fn set_debugger(&mut self, debugger: Box<dyn Debugger>) {
        self.debugging = Some(Box::new(Debugging {
            debugger: Some(debugger),
            ..Debugging::default()
        }));
    }

    /// Whether there is a debugger.
    pub fn has_debugger(&self) -> bool {
        self.debugging.is_some()
    }

    /// Runs something during which nothing stops.
    pub fn without_debugger<T>(&mut self, run: impl FnOnce(&mut Vm) -> T) -> T {
        let debugger = self.debugging.as_mut().and_then(|it| it.debugger.take());
        let result = run(self);
        if let Some(debugging) = &mut self.debugging
            && debugger.is_some()
        {
            debugging.debugger = debugger;
        }
        result
    }

    /// What is being done, innermost first.
    pub fn debug_frames(&self) -> Vec<DebugFrame> {
        let frames = self.debugging.iter().flat_map(|it| it.frames.iter().rev());
        frames.map(Frame::shown).collect()
    }

    /// `builtins.break`
    pub(crate) fn breakpoint(&mut self) -> Result<()> {
        self.pause_for(Stop::Breakpoint)
    }

    /// Stops at a message.
    pub(crate) fn pause(&mut self) -> Result<()> {
        self.pause_for(Stop::Pause)
    }

    /// Runs the evaluation of a `builtins.tryEval`.
    pub(crate) fn trying<T>(&mut self, run: impl FnOnce(&mut Vm) -> T) -> T {
        if self.debugging.is_none() {
            return run(self);
        }
        if self.ev.settings.ignore_try {
            return self.without_debugger(run);
        }
        let count = |vm: &mut Vm, by: isize| {
            if let Some(debugging) = &mut vm.debugging {
                debugging.tries = debugging.tries.saturating_add_signed(by);
            }
        };
        count(self, 1);
        let result = run(self);
        count(self, -1);
        result
    }

    /// The object of a level, with nothing in it yet.
    pub(crate) fn open_scope(&mut self, site: &'static ScopeSite, env: Env) -> Value {
        let outer = site.outer.map_or(Value::NULL, |var| self.var(var, env));
        let mut list = ListBuilder::new(&mut self.heap, 1 + site.values.len());
        list.push(outer);
        for _ in site.values {
            list.push(Value::NULL);
        }
        list.finish()
    }

    /// Puts the values of a level into its object.
    pub(crate) fn fill_scope(&mut self, site: &'static ScopeSite, env: Env) -> Value {
        let object = self.stack.get(env.fp + site.slot as usize);
        if let Some(list) = object.as_list() {
            for (word, &slot) in list.words().iter().skip(1).zip(site.values) {
                let value = self.stack.get(env.fp + slot as usize);
                heap::store(word, value.peel().word());
            }
        }
        object
    }

    /// Runs code that the debugger watches.
    #[cold]
    #[inline(never)]
    pub(crate) fn debugged(&mut self, site: &'static DebugSite, env: Env) -> Result {
        if !self.is_watched() {
            let base = self.sp;
            return self.eval_from(site.inner, env, base);
        }
        let scope = DebugScope {
            level: site.level,
            object: site.scope.map_or(Value::NULL, |var| self.var(var, env)),
        };
        let count = self.frame_count();
        let depth = (self.sp, self.depth);
        let result = self.debugged_in(site, env, scope);
        let result = result.map_err(|error| {
            (self.sp, self.depth) = depth;
            self.stop_for(error, site.pos, scope)
        });
        if let Some(debugging) = &mut self.debugging {
            debugging.frames.truncate(count);
        }
        result
    }

    fn debugged_in(&mut self, site: &'static DebugSite, env: Env, scope: DebugScope) -> Result {
        let base = self.sp;
        let selection = match (site.what, site.inner.expr()) {
            (Doing::Little, _) => return self.eval_from(site.inner, env, base),
            (Doing::Select, Expr::SelectPath(select)) => {
                Some((select, self.eval(select.base, env)?))
            }
            _ => None,
        };
        self.push_frame(What::Site(site), site.pos, scope)?;
        let Some((select, value)) = selection else {
            return self.eval_from(site.inner, env, base);
        };
        match (self.select_path_of(value, select, env)?, select.default) {
            (Some(value), _) => Ok(value),
            (None, Some(default)) => self.eval(default, env),
            (None, None) => Ok(Value::NULL),
        }
    }

    /// Evaluates an attribute, which backtraces tell.
    pub(crate) fn debugged_attribute<T>(
        &mut self,
        name: Symbol,
        pos: Pos,
        run: impl FnOnce(&mut Vm) -> Result<T>,
    ) -> Result<T> {
        if !self.is_watched() {
            return run(self);
        }
        let count = self.frame_count();
        let result = self
            .push_frame(What::Attribute(name), pos, DebugScope::EMPTY)
            .and_then(|()| run(self));
        if let Some(debugging) = &mut self.debugging {
            debugging.frames.truncate(count);
        }
        result
    }

    fn is_watched(&self) -> bool {
        self.debugging
            .as_ref()
            .is_some_and(|debugging| debugging.debugger.is_some())
    }

    fn frame_count(&self) -> usize {
        self.debugging.as_ref().map_or(0, |it| it.frames.len())
    }

    fn push_frame(&mut self, what: What, pos: Pos, scope: DebugScope) -> Result<()> {
        let Some(debugging) = &mut self.debugging else {
            return Ok(());
        };
        debugging.frames.push(Frame { what, pos, scope });
        if debugging.stepping {
            self.pause_for(Stop::Step)?;
        }
        Ok(())
    }

    fn pause_for(&mut self, why: Stop<'_>) -> Result<()> {
        let Some(last) = self.debugging.as_ref().and_then(|it| it.frames.last()) else {
            return Ok(());
        };
        let error = matches!(why, Stop::Breakpoint).then(|| Frame {
            what: What::Error(b"breakpoint reached".to_vec()),
            pos: Pos::NONE,
            scope: last.scope,
        });
        match self.ask(why, error) {
            Some(Answer::Quit) => Err(Error::new(ErrorKind::Quit, "the session has been ended")),
            _ => Ok(()),
        }
    }

    fn stop_for(&mut self, mut error: Box<Error>, pos: Pos, scope: DebugScope) -> Box<Error> {
        if error.seen || matches!(error.kind, ErrorKind::Interrupted | ErrorKind::Quit) {
            return error;
        }
        let tries = self.debugging.as_ref().map_or(0, |it| it.tries);
        let frame = Frame {
            what: What::Error(error.message.clone()),
            pos: error.pos.or(pos),
            scope,
        };
        let why = Stop::Error {
            error: &error,
            in_try: tries > 0 && error.is_catchable(),
        };
        if self.ask(why, Some(frame)).is_some() {
            error.seen = true;
        }
        error
    }

    /// Asks the debugger, if there is one that is not being asked already.
    fn ask(&mut self, why: Stop<'_>, frame: Option<Frame>) -> Option<Answer> {
        let debugging = self.debugging.as_mut()?;
        let mut debugger = debugging.debugger.take()?;
        let count = debugging.frames.len();
        debugging.frames.extend(frame);
        // What is evaluated meanwhile has all the depth there is, and leaves no trace.
        let (sp, depth, call_pos) = (self.sp, self.depth, self.call_pos);
        self.depth = 0;
        let answer = debugger.stop(self, why);
        (self.sp, self.depth, self.call_pos) = (sp, depth, call_pos);
        let debugging = self.debugging.as_mut()?;
        debugging.frames.truncate(count);
        debugging.debugger = Some(debugger);
        debugging.stepping = answer == Answer::Step;
        Some(answer)
    }
}

impl Frame {
    fn shown(&self) -> DebugFrame {
        let (text, is_error) = match &self.what {
            What::Error(message) => (message.clone(), true),
            What::Site(site) => (describe(site), false),
            What::Attribute(name) => (attribute_text(symbol::name(*name)), false),
        };
        DebugFrame {
            text,
            is_error,
            pos: self.pos,
            scope: self.scope,
        }
    }
}

fn attribute_text(path: &[u8]) -> Vec<u8> {
    [b"while evaluating the attribute '", path, b"'"].concat()
}

fn describe(site: &DebugSite) -> Vec<u8> {
    match site.what {
        Doing::Little => Vec::new(),
        Doing::File(path) => [b"while evaluating the file '", path, b"':"].concat(),
        Doing::Call => b"while calling a function".to_vec(),
        Doing::Body(Some(name)) => [b"while calling '", symbol::name(name), b"'"].concat(),
        Doing::Body(None) => b"while calling anonymous lambda".to_vec(),
        Doing::Let => b"while evaluating a 'let' expression".to_vec(),
        Doing::Select => match site.inner.expr() {
            Expr::SelectPath(select) => attribute_text(&path_text(select)),
            Expr::Select(select) => attribute_text(symbol::name(select.name)),
            _ => Vec::new(),
        },
    }
}

fn path_text(select: &SelectPath) -> Vec<u8> {
    let mut text = Vec::new();
    for (index, name) in select.path.iter().enumerate() {
        if index > 0 {
            text.push(b'.');
        }
        match name {
            Name::Static(name, _) => crate::print::quote::attr_name(symbol::name(*name), &mut text),
            Name::Dynamic(_) => text.extend_from_slice(b"${...}"),
        }
    }
    text
}
