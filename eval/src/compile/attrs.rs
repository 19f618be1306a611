//! Attribute sets and `let`.

use rx_lang::ast::{AttrName, AttrSetId, Binding, BindingValue, Expr as Syntax, ExprId};
use rx_lang::symbol::{Symbol, known};

use super::{Compiler, Group, scope};
use crate::code::debug::{Doing, LevelKind};
use crate::code::{
    self, Attributes, AttrsSite, Code, DelayedSite, Dynamic, Expr, Let, ScopedSite, Var,
};
use crate::source::Pos;
use crate::value::{Attrs, Value};

/// A literal with at least this many attributes makes them when somebody asks: few of a large set are used.
const DELAYED: usize = 64;

impl Compiler<'_> {
    pub(super) fn attrs(&mut self, id: AttrSetId, pos: Pos) -> Code {
        let set = self.ast.set(id);
        let bindings = self.ast.bindings(set);
        if set.recursive {
            return self.recursive_attrs(id, pos);
        }
        let delayed =
            bindings.len() >= DELAYED && self.ast.dynamics(set).is_empty() && self.debug.is_none();
        if delayed {
            self.scope.enter_unit();
        }
        let mark = self.scope.mark();
        let sources = self.inherit_sources(id, Group::Ordinary);
        let attributes = bindings
            .iter()
            .map(|b| {
                let node = self.binding(b, &sources, Group::Ordinary);
                (b.name, self.at(b.offset), node)
            })
            .collect();
        let attributes = Attributes::new(self.slice(attributes));
        let dynamics = self.dynamics(id);
        self.scope.release(mark);
        let sources = self.slice(sources);
        if delayed {
            let unit = self.scope.leave_unit();
            let captures = self.captures(unit.captures);
            return self.node(Expr::Delayed(self.make(DelayedSite {
                attributes,
                sources,
                captures,
                frame: unit.frame,
            })));
        }
        if dynamics.is_empty() {
            return self.node(Expr::Attrs(self.make(AttrsSite {
                attributes,
                sources,
            })));
        }
        self.node(Expr::Scoped(self.make(ScopedSite {
            bindings: sources,
            attributes,
            dynamics,
            overrides: None,
            pos,
        })))
    }

    fn recursive_attrs(&mut self, id: AttrSetId, pos: Pos) -> Code {
        let set = self.ast.set(id);
        let bindings = self.ast.bindings(set);
        let overridden = bindings.iter().any(|b| b.name == known::OVERRIDES);
        let mark = self.scope.mark();
        let overrides = overridden.then(|| self.scope.reserve());
        let group = self.bind_group(id, overrides);
        let attributes = bindings
            .iter()
            .zip(group.values)
            .map(|(b, node)| (b.name, self.at(b.offset), node))
            .collect();
        let attributes = Attributes::new(self.slice(attributes));
        let dynamics = self.dynamics(id);
        self.close_level();
        self.scope.release(mark);
        let site = ScopedSite {
            bindings: self.slice(group.bindings),
            attributes,
            dynamics,
            overrides: overrides.map(|p| p.slot),
            pos,
        };
        self.node(Expr::Scoped(self.make(site)))
    }

    pub(super) fn let_in(&mut self, id: AttrSetId, body: ExprId) -> Code {
        let mark = self.scope.mark();
        let group = self.bind_group(id, None);
        let body = self.strict(body);
        let body = self.watch(body, Doing::Let, Pos::NONE);
        self.close_level();
        self.scope.release(mark);
        let bindings = self.slice(group.bindings);
        self.node(Expr::Let(self.make(Let { bindings, body })))
    }

    /// Binds the names of a recursive set or `let`, and compiles what they are bound to. With `overrides` the names are
    /// attributes of the set in that word. For the debugger a level is opened, which the caller closes.
    fn bind_group(&mut self, id: AttrSetId, overrides: Option<scope::Place>) -> BoundGroup {
        let set = self.ast.set(id);
        let bindings = self.ast.bindings(set);
        // `inherit x` speaks of the scope around, so it is compiled before the names are bound.
        let inherited = bindings
            .iter()
            .map(|b| (b.value == BindingValue::Inherit).then(|| self.inherited(b)))
            .collect::<Vec<_>>();
        let object = self.reserve_level();
        let builtins = (overrides.is_none() && !self.environment.exact && self.debug.is_none())
            .then(|| self.builtins_beside(bindings))
            .flatten();
        let constants = bindings
            .iter()
            .map(|b| builtins.and_then(|builtins| self.constant(id, b, builtins)))
            .collect::<Vec<_>>();
        let first = self.scope.mark_next();
        let mut places = vec![None; bindings.len()];
        // They are made in the order of their symbols: another name for what is made before is the same value.
        let mut order = (0..bindings.len()).collect::<Vec<_>>();
        order.sort_by_key(|&i| bindings[i].name);
        for &i in &order {
            let name = bindings[i].name;
            if let Some(value) = constants[i] {
                self.scope.bind_constant(name, value);
                continue;
            }
            let place = self.scope.reserve();
            match overrides {
                Some(set) => self.scope.bind_overridable(name, set),
                None => self.scope.bind(name, place),
            }
            places[i] = Some(place);
        }
        let slots = places.iter().flatten().map(|place| place.slot).collect();
        let names = bindings.iter().map(|b| b.name).collect();
        let opened = self.open_level(object, LevelKind::Names, names, slots);
        let group = Group::Recursive(first);
        let sources = self.inherit_sources(id, group);
        let mut nodes = Vec::with_capacity(bindings.len() + sources.len());
        let mut values = Vec::with_capacity(bindings.len());
        for (i, constant) in constants.into_iter().enumerate() {
            values.push(match places[i] {
                Some(scope::Place { slot, .. }) => self.var(Var::local(slot), Pos::NONE),
                None => self.constant_node(constant.unwrap_or(Value::NULL)),
            });
        }
        for i in order {
            let Some(scope::Place { slot, .. }) = places[i] else {
                continue;
            };
            let node = match inherited[i] {
                Some(node) => node,
                None => self.binding(&bindings[i], &sources, Group::Recursive(slot)),
            };
            nodes.push((slot, node));
        }
        nodes.extend(sources);
        if let Some(opened) = opened {
            nodes.insert(0, (opened.slot, opened.make));
            nodes.push((opened.slot, opened.fill));
        }
        BoundGroup {
            values,
            bindings: nodes,
        }
    }

    /// The set `builtins`, if that name means it beside these bindings.
    fn builtins_beside(&self, bindings: &[Binding]) -> Option<Attrs> {
        let rebound =
            self.is_rebound(known::BUILTINS) || bindings.iter().any(|b| b.name == known::BUILTINS);
        if rebound {
            None
        } else {
            self.environment.globals.get(&known::BUILTINS)?.as_attrs()
        }
    }

    /// The value of a binding that takes something from `builtins`: such names need no variable.
    fn constant(&mut self, id: AttrSetId, binding: &Binding, builtins: Attrs) -> Option<Value> {
        let is_builtins = |id: ExprId| self.ast.expr(id) == Syntax::Var(known::BUILTINS);
        let name = match binding.value {
            BindingValue::InheritFrom(n) => {
                let source = self.ast.inherit_sources(self.ast.set(id))[n as usize];
                is_builtins(source).then_some(binding.name)?
            }
            BindingValue::Plain(value) => match self.ast.expr(value) {
                Syntax::Select { base, path } if is_builtins(base) => {
                    match *self.ast.attr_path(path) {
                        [AttrName::Static(name)] => name,
                        _ => return None,
                    }
                }
                _ => return None,
            },
            BindingValue::Inherit => return None,
        };
        let value = builtins.get(name).filter(|value| !value.is_thunk())?;
        // What is bound here is an object of its own.
        match value.as_function() {
            Some(function) => Some(function.copy(self.heap)),
            None => Some(value),
        }
    }

    /// The sources of `inherit (source)`, each with a word of the frame of its own.
    fn inherit_sources(&mut self, id: AttrSetId, group: Group) -> Vec<(u32, Code)> {
        let sources = self.ast.inherit_sources(self.ast.set(id));
        let slots = sources
            .iter()
            .map(|_| self.scope.reserve().slot)
            .collect::<Vec<_>>();
        sources
            .iter()
            .zip(slots)
            .map(|(&source, slot)| (slot, self.lazy(source, group)))
            .collect()
    }

    fn binding(&mut self, binding: &Binding, sources: &[(u32, Code)], group: Group) -> Code {
        match binding.value {
            BindingValue::Plain(value) => self.lazy(value, group),
            BindingValue::Inherit => self.inherited(binding),
            BindingValue::InheritFrom(n) => {
                let slot = sources[n as usize].0;
                self.select_from(Var::local(slot), binding.name, self.at(binding.offset))
            }
        }
    }

    /// `inherit x`: the variable, delayed when only a `with` binds it.
    fn inherited(&mut self, binding: &Binding) -> Code {
        let pos = self.at(binding.offset);
        if self.scope.lookup(binding.name).is_some() {
            return self.variable(binding.name, pos);
        }
        let code = self.variable(binding.name, pos);
        match code.expr() {
            Expr::WithVar(_) | Expr::Select(_) => {
                self.scope.enter_unit();
                let body = self.variable(binding.name, pos);
                let unit = self.scope.leave_unit();
                self.thunk_of(body, unit)
            }
            _ => code,
        }
    }

    /// A thunk of `var.name`.
    fn select_from(&mut self, var: Var, name: Symbol, pos: Pos) -> Code {
        let base = self.var(Var::capture(0), pos);
        let body = self.node(Expr::Select(self.make(code::Select {
            base,
            name,
            cache: Default::default(),
            pos,
        })));
        let unit = scope::Closed {
            captures: vec![var],
            frame: 0,
        };
        self.thunk_of(body, unit)
    }

    fn dynamics(&mut self, id: AttrSetId) -> &'static [Dynamic] {
        let dynamics = self.ast.dynamics(self.ast.set(id)).iter().map(|d| Dynamic {
            name: self.strict(d.name),
            value: self.lazy(d.value, Group::Ordinary),
            pos: self.at(d.offset),
        });
        let dynamics = dynamics.collect();
        self.slice(dynamics)
    }
}

/// The bindings of a recursive set or `let`.
struct BoundGroup {
    /// For each binding a node that gives it.
    values: Vec<Code>,
    /// Words of the frame with what they are bound to.
    bindings: Vec<(u32, Code)>,
}
