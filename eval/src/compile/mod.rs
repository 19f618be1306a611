//! From the compact syntax to code: names are resolved, thunks are placed, constants are made.
//!
//! One pass over the syntax. The scope maps a name to the innermost binding; leaving a construct undoes what it
//! bound. A use of a variable of an outer unit adds a capture to every unit in between.

mod attrs;
mod debug;
mod lambda;
mod operators;
mod paths;
mod scope;

use bumpalo::Bump;
use rustc_hash::FxHashMap;
use rx_lang::Ast;
use rx_lang::ast::{AttrName, AttrPath, Expr as Syntax, ExprId};
use rx_lang::symbol::Symbol;

use crate::code::debug::LevelKind;
use crate::code::{self, Code, Expr, Name, Place, ThunkCode, ThunkSite, Use, Var};
use crate::heap::{Heap, Word};
use crate::source::{Pos, Source};
use crate::value::function::FunctionView;
use crate::value::{Function, PathValue, Str, Value};
pub use paths::canonical;
use scope::{Binding, Scope};

/// A literal list or set in a lazy place is made at once when it has at most this many parts, and becomes a
/// thunk otherwise: making it would often be for nothing.
const SMALL_LITERAL: usize = 4;

/// Code that can be run: a unit without captures.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// The code.
    pub body: Code,
    /// Words of its frame.
    pub frame: u32,
    /// Where it begins.
    pub pos: Pos,
}

/// A variable that nothing binds.
#[derive(Clone, Debug)]
pub struct Undefined {
    /// Its name.
    pub name: Symbol,
    /// Where it is used.
    pub pos: Pos,
    /// Names in scope there that look like it.
    pub similar: Vec<Vec<u8>>,
}

/// Why something cannot be compiled.
#[derive(Clone, Debug)]
pub enum Rejected {
    /// The variables that nothing binds, in the order of the source.
    Undefined(Vec<Undefined>),
    /// A function or expression has more than 268 million variables.
    TooManyVariables,
}

/// What code can refer to without binding it.
pub struct Environment<'a> {
    /// Constants such as `true` and `map`.
    pub globals: &'a FxHashMap<Symbol, Value>,
    /// Names that come before the globals (`scopedImport`, the REPL).
    pub extra: Option<&'a FxHashMap<Symbol, &'static Word>>,
    /// Relative paths start here.
    pub base_dir: &'a [u8],
    /// What `~/` stands for.
    pub home: Option<&'a [u8]>,
    /// Whether exactly what the reference delays is delayed: what is printed unevaluated can tell.
    pub exact: bool,
    /// Whether the debugger watches.
    pub debugger: bool,
}

/// Compiles a file.
///
/// # Errors
/// See [`Rejected`].
pub fn compile(
    ast: &Ast,
    source: &Source,
    environment: &Environment<'_>,
    heap: &mut Heap,
) -> Result<Unit, Rejected> {
    let arena = heap.code;
    let mut compiler = Compiler {
        ast,
        base: source.base,
        environment,
        heap,
        arena,
        scope: Scope::default(),
        withs: Vec::new(),
        undefined: Vec::new(),
        too_many: false,
        strings: FxHashMap::default(),
        capture_lists: FxHashMap::default(),
        debug: None,
    };
    if environment.debugger {
        compiler.begin_debugging();
    }
    compiler.scope.enter_unit();
    let body = compiler.strict(ast.root());
    let body = compiler.watch_file(body, source);
    let unit = compiler.scope.leave_unit();
    if compiler.too_many {
        return Err(Rejected::TooManyVariables);
    }
    if compiler.undefined.is_empty() {
        Ok(Unit {
            body,
            frame: unit.frame,
            pos: Pos(source.base + ast.offset(ast.root())),
        })
    } else {
        compiler.undefined.sort_by_key(|u| u.pos);
        Err(Rejected::Undefined(compiler.undefined))
    }
}

struct Compiler<'a> {
    ast: &'a Ast,
    base: u32,
    environment: &'a Environment<'a>,
    heap: &'a mut Heap,
    arena: &'static Bump,
    scope: Scope,
    /// The words that hold the sets of the `with`s around, outermost first, and where those stand.
    withs: Vec<(scope::Place, Pos)>,
    undefined: Vec<Undefined>,
    /// Whether some unit has more variables than code can tell apart.
    too_many: bool,
    /// String constants of the file by their text.
    strings: FxHashMap<Box<[u8]>, Value>,
    capture_lists: FxHashMap<&'static [Var], &'static [Var]>,
    /// For the debugger: the constructs around that bind names.
    debug: Option<debug::Levels>,
}

/// Whether a lazy node is for a group of bindings that see each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    /// What the node refers to exists already.
    Ordinary,
    /// What the node refers to may be made after it: only captures may refer to the words from here on.
    Recursive(u32),
}

impl Compiler<'_> {
    fn pos(&self, id: ExprId) -> Pos {
        Pos(self.base + self.ast.offset(id))
    }

    fn at(&self, offset: u32) -> Pos {
        Pos(self.base + offset)
    }

    fn node(&self, expr: Expr) -> Code {
        Code::new(expr)
    }

    fn constant_node(&self, value: Value) -> Code {
        if Code::holds(value) {
            Code::new(Expr::Const(value))
        } else {
            Code::new(Expr::Shared(self.make(Word::new(value.word()))))
        }
    }

    /// Lists of captures; most are short and come again and again.
    fn captures(&mut self, captures: Vec<Var>) -> &'static [Var] {
        if let Some(&known) = self.capture_lists.get(&captures[..]) {
            return known;
        }
        let list: &'static [Var] = self.arena.alloc_slice_copy(&captures);
        self.capture_lists.insert(list, list);
        list
    }

    fn make<T>(&self, thing: T) -> &'static T {
        self.arena.alloc(thing)
    }

    fn slice<T>(&self, things: Vec<T>) -> &'static [T] {
        self.arena.alloc_slice_fill_iter(things)
    }

    fn string(&mut self, text: &[u8]) -> Value {
        if let Some(&known) = self.strings.get(text) {
            return known;
        }
        let value = Str::new(self.heap, text);
        self.strings.insert(text.into(), value);
        value
    }

    /// Code that gives the value of the expression when it is evaluated.
    fn strict(&mut self, id: ExprId) -> Code {
        stacker::maybe_grow(64 * 1024, 4 * 1024 * 1024, || {
            let code = self.strict_here(id);
            self.watch_expression(id, code)
        })
    }

    fn strict_here(&mut self, id: ExprId) -> Code {
        match self.ast.expr(id) {
            Syntax::Int(n) => {
                let value = Value::int(self.heap, n);
                self.constant_node(value)
            }
            Syntax::Float(f) => {
                let value = Value::float(self.heap, f);
                self.constant_node(value)
            }
            Syntax::Str(text) => {
                let value = self.string(self.ast.text(text));
                self.constant_node(value)
            }
            Syntax::Path(text) => self.path(self.ast.text(text), id),
            Syntax::Interp(parts) => self.interpolation(parts, false, id),
            Syntax::PathInterp(parts) => self.interpolation(parts, true, id),
            Syntax::SearchPath(text) => self.search_path(text, id),
            Syntax::Var(name) => self.variable(name, self.pos(id)),
            Syntax::CurPos => self.node(Expr::CurPos(self.pos(id))),
            Syntax::Select { base, path } => self.select(base, path, None, id),
            Syntax::SelectOr {
                base,
                path,
                default,
            } => self.select(base, path, Some(default), id),
            Syntax::HasAttr { base, path } => {
                let base = self.strict(base);
                let path = self.attr_path(path);
                self.node(Expr::HasAttr(self.make(code::HasAttr {
                    base,
                    path,
                    pos: self.pos(id),
                })))
            }
            Syntax::Call { func, args } => {
                let function = self.strict(func);
                let strict = strict_arguments(function, args.len());
                let arguments = self
                    .ast
                    .list(args)
                    .iter()
                    .enumerate()
                    .map(|(i, &a)| {
                        if i < 8 && strict >> i & 1 == 1 {
                            self.strict(a).unplaced()
                        } else {
                            self.lazy(a, Group::Ordinary)
                        }
                    })
                    .collect();
                let arguments = self.slice(arguments);
                self.node(Expr::Call(self.make(code::Call {
                    function,
                    arguments,
                    pos: self.pos(id),
                })))
            }
            Syntax::Lambda(lambda) => self.lambda(lambda, self.pos(id)),
            Syntax::List(elements) => {
                let elements = self
                    .ast
                    .list(elements)
                    .iter()
                    .map(|&e| self.lazy(e, Group::Ordinary))
                    .collect();
                let elements = self.slice(elements);
                self.node(Expr::List(self.make(code::ListSite { elements })))
            }
            Syntax::Attrs(set) => self.attrs(set, self.pos(id)),
            Syntax::Let { set, body } => self.let_in(set, body),
            Syntax::With { scope, body } => {
                let scope = self.lazy(scope, Group::Ordinary);
                let mark = self.scope.mark();
                let place = self.scope.reserve();
                self.withs.push((place, self.pos(id)));
                let object = self.reserve_level();
                let opened = self.open_level(object, LevelKind::With, Vec::new(), vec![place.slot]);
                let body = self.strict(body);
                let body = self.after_opening(opened, false, body);
                if opened.is_some() {
                    self.close_level();
                }
                self.withs.pop();
                self.scope.release(mark);
                self.node(Expr::With(self.make(code::With {
                    slot: place.slot,
                    scope,
                    body,
                })))
            }
            Syntax::Assert { condition, body } => self.assertion(condition, body, id),
            Syntax::If { condition, yes, no } => {
                let site = code::If {
                    condition: self.strict(condition),
                    yes: self.strict(yes),
                    no: self.strict(no),
                    pos: self.pos(id),
                };
                self.node(Expr::If(self.make(site)))
            }
            operator => self.operator(operator, id),
        }
    }

    /// A node that makes the value or a thunk of it.
    fn lazy(&mut self, id: ExprId, group: Group) -> Code {
        match self.ast.expr(id) {
            Syntax::Lambda(_) | Syntax::Attrs(_) if self.environment.exact => self.thunk(id),
            Syntax::List(elements) if self.environment.exact && !elements.is_empty() => {
                self.thunk(id)
            }
            Syntax::Int(_) | Syntax::Float(_) | Syntax::Str(_) | Syntax::Lambda(_) => {
                self.strict(id)
            }
            Syntax::Path(_) => {
                let code = self.strict(id);
                if matches!(code.expr(), Expr::Const(_)) {
                    code
                } else {
                    self.thunk(id)
                }
            }
            Syntax::Var(name) => match self.scope.lookup(name) {
                Some(place) if group.forbids(&self.scope, place) => self.thunk(id),
                Some(_) => self.variable(name, self.pos(id)),
                None => {
                    let code = self.variable(name, self.pos(id));
                    match code.expr() {
                        Expr::WithVar(_) | Expr::Select(_) => self.thunk(id),
                        _ => code,
                    }
                }
            },
            Syntax::List(elements)
                if group == Group::Ordinary && elements.len() <= SMALL_LITERAL =>
            {
                if self.ast.list(elements).iter().all(|&e| self.is_simple(e)) {
                    self.strict(id)
                } else {
                    self.thunk(id)
                }
            }
            Syntax::Attrs(set) if group == Group::Ordinary && self.is_small_set(set) => {
                self.strict(id)
            }
            _ => self.thunk(id),
        }
    }

    /// Whether making the value at once is cheaper than a thunk for it.
    fn is_simple(&self, id: ExprId) -> bool {
        !matches!(self.ast.expr(id), Syntax::List(e) if !e.is_empty())
            && !matches!(self.ast.expr(id), Syntax::Attrs(_))
    }

    fn is_small_set(&self, set: rx_lang::ast::AttrSetId) -> bool {
        let set = self.ast.set(set);
        let bindings = self.ast.bindings(set);
        !set.recursive
            && bindings.len() <= SMALL_LITERAL
            && self.ast.dynamics(set).is_empty()
            && self.ast.inherit_sources(set).is_empty()
            && bindings.iter().all(|b| match b.value {
                rx_lang::ast::BindingValue::Plain(value) => self.is_simple(value),
                _ => true,
            })
    }

    /// A thunk of the expression.
    fn thunk(&mut self, id: ExprId) -> Code {
        self.scope.enter_unit();
        let body = self.strict(id);
        let unit = self.scope.leave_unit();
        // A body that became a constant needs no thunk.
        if self.environment.exact {
            return self.thunk_of(body, unit);
        }
        if let Expr::Const(value) = body.expr()
            && let Some(function) = value.as_function()
        {
            let value = function.copy(self.heap);
            return self.constant_node(value);
        }
        if let Expr::Const(_) | Expr::Shared(_) = body.expr() {
            return body;
        }
        self.thunk_of(body, unit)
    }

    /// A thunk of code.
    fn thunk_of(&mut self, body: Code, unit: scope::Closed) -> Code {
        let captures = self.captures(unit.captures);
        let site = self.make(ThunkSite {
            code: ThunkCode::Eval {
                body,
                frame: unit.frame,
            },
            captures,
        });
        self.node(if is_selection(body) && !self.environment.exact {
            Expr::Selection(site)
        } else {
            Expr::Thunk(site)
        })
    }

    /// What may have been meant by a name that nothing binds.
    #[cold]
    fn similar_names(&self, name: Symbol) -> Vec<Vec<u8>> {
        let extra = self
            .environment
            .extra
            .into_iter()
            .flat_map(|extra| extra.keys());
        let names = self
            .scope
            .names()
            .chain(extra.copied())
            .chain(self.environment.globals.keys().copied());
        // Internal names have characters that no variable has.
        let names = names
            .map(rx_lang::symbol::name)
            .filter(|name| name.first().is_some_and(u8::is_ascii_alphabetic));
        crate::suggest::similar(rx_lang::symbol::name(name), names)
    }

    /// Code for a variable.
    fn variable(&mut self, name: Symbol, pos: Pos) -> Code {
        match self.scope.resolve(name) {
            Some(Binding::Var(var)) => return self.var(var, pos),
            Some(Binding::Const(value)) => return self.constant_node(value),
            Some(Binding::Overridable(var)) => {
                let base = self.var(var, pos);
                return self.node(Expr::Select(self.make(code::Select {
                    base,
                    name,
                    cache: Default::default(),
                    pos,
                })));
            }
            None => {}
        }
        if let Some(&word) = self.environment.extra.and_then(|extra| extra.get(&name)) {
            return self.node(Expr::Shared(word));
        }
        if let Some(&value) = self.environment.globals.get(&name) {
            return self.node(if value.is_thunk() {
                Expr::Shared(self.make(Word::new(value.word())))
            } else {
                return self.constant_node(value);
            });
        }
        if self.withs.is_empty() {
            let similar = self.similar_names(name);
            self.undefined.push(Undefined { name, pos, similar });
            return self.node(Expr::Const(Value::NULL));
        }
        let withs = self.withs.iter().rev().copied().collect::<Vec<_>>();
        let scopes = withs
            .into_iter()
            .map(|(place, pos)| (self.scope.var(place), pos, Default::default()))
            .collect();
        let scopes = self.slice(scopes);
        self.node(Expr::WithVar(self.make(code::WithVar {
            name,
            scopes,
            pos,
        })))
    }

    fn var(&mut self, var: Var, pos: Pos) -> Code {
        let (kind, word): (fn(Use) -> Expr, _) = match var.place() {
            Place::Local(slot) => (Expr::Local, slot),
            Place::Capture(n) => (Expr::Capture, n),
        };
        self.too_many |= word > Use::LAST;
        let word = word.min(Use::LAST);
        self.node(kind(Use { word, pos }))
    }

    fn attr_path(&mut self, path: AttrPath) -> &'static [Name] {
        let names = self.ast.attr_path(path).iter().map(|&name| match name {
            AttrName::Static(name) => Name::Static(name, Default::default()),
            AttrName::Dynamic(name) => Name::Dynamic(self.strict(name)),
        });
        let names = names.collect();
        self.slice(names)
    }

    fn select(
        &mut self,
        base: ExprId,
        path: AttrPath,
        default: Option<ExprId>,
        id: ExprId,
    ) -> Code {
        let pos = self.pos(id);
        let mut base = self.strict(base);
        let names = self.ast.attr_path(path);
        if default.is_none() && names.iter().all(|n| matches!(n, AttrName::Static(_))) {
            if self.debug.is_some() && !matches!(base.expr(), Expr::Const(_)) {
                let path = self.attr_path(path);
                return self.whole_selection(base, path, pos);
            }
            for &name in names {
                let AttrName::Static(name) = name else {
                    continue;
                };
                base = match constant_attribute(base, name) {
                    Some(value) => self.constant_node(value),
                    None => {
                        let cache = Default::default();
                        self.node(Expr::Select(self.make(code::Select {
                            base,
                            name,
                            cache,
                            pos,
                        })))
                    }
                };
            }
            return base;
        }
        let path = self.attr_path(path);
        let default = default.map(|d| self.strict(d));
        self.node(Expr::SelectPath(self.make(code::SelectPath {
            base,
            path,
            default,
            pos,
        })))
    }

    fn constant_path(&mut self, path: &[u8]) -> Code {
        let value = PathValue::new(self.heap, path);
        self.constant_node(value)
    }
}

/// The attribute of a set that is known now, unless it must be evaluated first.
fn constant_attribute(base: Code, name: Symbol) -> Option<Value> {
    let Expr::Const(set) = base.expr() else {
        return None;
    };
    set.as_attrs()?.get(name).filter(|value| !value.is_thunk())
}

/// Whether the code is `captured.name …`, of at most three names: such a thunk can often be avoided.
fn is_selection(mut code: Code) -> bool {
    let mut names = 0;
    while let Expr::Select(select) = code.expr() {
        names += 1;
        code = select.base;
    }
    (1..=3).contains(&names) && matches!(code.expr(), Expr::Capture(_))
}

/// Which arguments a known builtin forces before anything else, as bits: they need no thunks.
fn strict_arguments(function: Code, count: usize) -> u8 {
    let Expr::Const(function) = function.expr() else {
        return 0;
    };
    match function.as_function().map(Function::view) {
        Some(FunctionView::Builtin(builtin)) if builtin.arity as usize == count => builtin.strict,
        _ => 0,
    }
}

impl Group {
    fn forbids(self, scope: &Scope, place: scope::Place) -> bool {
        match self {
            Group::Ordinary => false,
            Group::Recursive(first) => scope.is_local(place) && place.slot >= first,
        }
    }
}
