//! Attribute sets: making them, selecting from them, `with`.

use rx_lang::symbol::{self, Symbol, known};

use crate::code::{
    AttrsSite, Code, DelayedSite, Expr, HasAttr, Name, ScopedSite, Select, SelectPath, ThunkCode,
    Var, WithVar,
};
use crate::error::{Error, ErrorKind, Result};
use crate::heap;
use crate::interp::Env;
use crate::source::Pos;
use crate::value::attrs::{AttrsBuilder, Duplicates};
use crate::value::{Attrs, Thunk, Value};
use crate::vm::{Captures, Vm};

impl Vm {
    #[inline]
    pub(super) fn make_attrs(&mut self, site: &'static AttrsSite, env: Env) -> Value {
        self.stats.sets += 1;
        for &(slot, source) in site.sources {
            let source = self.delay(source, env);
            self.stack.set(env.fp + slot as usize, source);
        }
        let (layout, values) = site.attributes.get();
        let (value, words) = Attrs::with_layout(&mut self.heap, layout);
        for (word, &code) in words.iter().zip(values) {
            heap::store(word, self.delay(code, env).word());
        }
        value
    }

    /// A large set, whose attributes are made when somebody asks for them.
    pub(super) fn make_delayed(&mut self, site: &'static DelayedSite, env: Env) -> Value {
        self.stats.sets += 1;
        let captures = site
            .captures
            .iter()
            .map(|&var| self.var(var, env))
            .collect::<smallvec::SmallVec<[Value; 16]>>();
        Attrs::delayed(&mut self.heap, site, captures.into_iter())
    }

    /// A recursive set, or one with computed names.
    pub(super) fn make_scoped(&mut self, site: &'static ScopedSite, env: Env) -> Result {
        static SELF: ThunkCode = ThunkCode::Native {
            run: never_set,
            captures: 0,
        };
        self.stats.sets += 1;
        let itself = site.overrides.map(|slot| {
            let (value, _) = Thunk::suspend(&mut self.heap, &SELF, 0);
            self.stack.set(env.fp + slot as usize, value);
            value
        });
        self.bind_group(site.bindings, env);
        let (layout, values) = site.attributes.get();
        let (mut value, words) = Attrs::with_layout(&mut self.heap, layout);
        for (word, &code) in words.iter().zip(values) {
            heap::store(word, self.delay(code, env).word());
        }
        if let Some(thunk) = itself.and_then(Value::as_thunk) {
            // The bindings look each other up in the set, so it must be there before the overrides are.
            thunk.finish(value);
            value = self.apply_overrides(value, site.pos)?;
            thunk.finish(value);
        }
        if site.dynamics.is_empty() {
            Ok(value)
        } else {
            self.add_dynamic(value, site, env)
        }
    }

    fn apply_overrides(&mut self, value: Value, pos: Pos) -> Result {
        let Some(set) = value.as_attrs() else {
            return Ok(value);
        };
        let Some(overrides) = set.get(known::OVERRIDES) else {
            return Ok(value);
        };
        let overrides = self.expect_attrs(
            overrides,
            pos,
            "while evaluating the `__overrides` attribute",
        )?;
        Ok(self.update(set, overrides))
    }

    fn add_dynamic(&mut self, value: Value, site: &'static ScopedSite, env: Env) -> Result {
        let Some(set) = value.as_attrs() else {
            return Ok(value);
        };
        let entries = set.entries(&mut self.heap);
        let mut builder = AttrsBuilder::new(entries.len() + site.dynamics.len());
        for (i, (name, value)) in entries.iter().enumerate() {
            builder.push_at(name, entries.pos(i), value);
        }
        let mut added: Vec<(Symbol, Pos)> = Vec::with_capacity(site.dynamics.len());
        for dynamic in site.dynamics {
            let name = self.eval(dynamic.name, env)?;
            if name == Value::NULL {
                continue;
            }
            let name = self.expect_plain_str(
                name,
                dynamic.pos,
                "while evaluating the name of a dynamic attribute",
            )?;
            let name = self.symbol(name);
            let before = added.iter().find(|a| a.0 == name).map(|a| a.1);
            if let Some(before) = before.or_else(|| entries.find(name).map(|i| entries.pos(i))) {
                let mut message = b"dynamic attribute '".to_vec();
                crate::print::quote::attr_name(symbol::name(name), &mut message);
                message.extend_from_slice(b"' already defined at ");
                message.extend(self.ev.describe_pos(before));
                return Err(Error::other(message).at(dynamic.pos));
            }
            added.push((name, dynamic.pos));
            let value = self.delay(dynamic.value, env);
            builder.push_at(name, dynamic.pos, value);
        }
        Ok(builder.finish(&mut self.heap, Duplicates::Last))
    }

    #[inline]
    pub(super) fn select(&mut self, select: &'static Select, env: Env) -> Result {
        let base = self.eval(select.base, env)?;
        self.stats.selects += 1;
        let Some(attrs) = base.as_attrs() else {
            return Err(self.select_from_other(base, select.pos));
        };
        let Some(word) = attrs.word_cached(select.name, &select.cache) else {
            let error = self.missing_attribute(attrs, select.name, select.pos);
            return Err(self.with_definition(error, select.base, env));
        };
        if self.watch.is_some() {
            self.count_selection(attrs, select.name);
        }
        let value = Value::from_word(heap::load(word));
        if !value.is_thunk() {
            return Ok(value);
        }
        match self.force_thunk(value) {
            Ok(result) => {
                self.keep(word, value, result);
                Ok(result)
            }
            Err(error) => Err(in_attribute(error, attrs, select.name)),
        }
    }

    #[cold]
    #[inline(never)]
    fn select_from_other(&mut self, value: Value, pos: Pos) -> Box<Error> {
        match self.expect_attrs(value, pos, "while selecting an attribute") {
            Err(mut error) => {
                error.frames.clear();
                error
            }
            Ok(_) => Error::other("expected a set"),
        }
    }

    /// The error for `name` not being in the set, with the names that look like it.
    #[cold]
    #[inline(never)]
    pub fn missing_attribute(&mut self, attrs: Attrs, name: Symbol, pos: Pos) -> Box<Error> {
        let entries = attrs.entries(&mut self.heap);
        let names = entries.names().iter().map(|&n| symbol::name(n));
        let suggestions = crate::suggest::similar(symbol::name(name), names);
        let mut message = b"attribute '".to_vec();
        crate::print::quote::attr_name(symbol::name(name), &mut message);
        message.extend_from_slice(b"' missing");
        Error::new(ErrorKind::MissingAttribute, message)
            .at(pos)
            .suggest(suggestions)
    }

    /// Adds where the set stands that lacks the attribute, if it is an attribute itself.
    #[cold]
    #[inline(never)]
    fn with_definition(&mut self, error: Box<Error>, base: Code, env: Env) -> Box<Error> {
        let Expr::Select(outer) = base.expr() else {
            return error;
        };
        let set = self.seen(outer.base, env).and_then(Value::as_attrs);
        match set {
            Some(set) => from_definition(error, set, outer.name),
            None => error,
        }
    }

    /// The value of a variable, or of a selection from one, that has been evaluated.
    fn seen(&self, code: Code, env: Env) -> Option<Value> {
        match code.expr() {
            Expr::Const(value) => Some(value),
            Expr::Shared(word) => Some(Value::from_word(heap::load(word)).peel()),
            Expr::Local(used) => Some(self.var(Var::local(used.word), env)),
            Expr::Capture(used) => Some(self.var(Var::capture(used.word), env)),
            Expr::Select(select) => {
                let set = self.seen(select.base, env)?.as_attrs()?;
                set.get(select.name)
            }
            _ => None,
        }
    }

    fn attr_name(&mut self, name: &'static Name, env: Env, pos: Pos) -> Result<Symbol> {
        match name {
            Name::Static(name, _) => Ok(*name),
            Name::Dynamic(code) => {
                let value = self.eval(*code, env)?;
                let name =
                    self.expect_plain_str(value, pos, "while evaluating an attribute name")?;
                Ok(self.symbol(name))
            }
        }
    }

    /// `base.path or default`; nothing when an attribute is missing and there is a default.
    pub(super) fn select_path(
        &mut self,
        select: &'static SelectPath,
        env: Env,
    ) -> Result<Option<Value>> {
        let value = self.eval(select.base, env)?;
        self.select_path_of(value, select, env)
    }

    /// The same for a base that has been evaluated.
    #[inline]
    pub(crate) fn select_path_of(
        &mut self,
        mut value: Value,
        select: &'static SelectPath,
        env: Env,
    ) -> Result<Option<Value>> {
        let mut last: Option<(Attrs, Symbol)> = None;
        for step in select.path {
            self.stats.selects += 1;
            let name = self.attr_name(step, env, select.pos)?;
            let Some(attrs) = value.as_attrs() else {
                return if select.default.is_some() {
                    Ok(None)
                } else {
                    Err(self.select_from_other(value, select.pos))
                };
            };
            let word = match step {
                Name::Static(name, cache) => attrs.word_cached(*name, cache),
                Name::Dynamic(_) => attrs.word(name),
            };
            let Some(word) = word else {
                return if select.default.is_some() {
                    Ok(None)
                } else {
                    let error = self.missing_attribute(attrs, name, select.pos);
                    Err(match last {
                        Some((set, name)) => from_definition(error, set, name),
                        None => error,
                    })
                };
            };
            if self.watch.is_some() {
                self.count_selection(attrs, name);
            }
            value = self
                .force_word(word)
                .map_err(|e| in_attribute(e, attrs, name))?;
            last = Some((attrs, name));
        }
        Ok(Some(value))
    }

    #[cold]
    fn count_selection(&mut self, attrs: Attrs, name: Symbol) {
        if let Some(counts) = self.watch.as_mut().and_then(|watch| watch.counts.as_mut()) {
            counts.attribute(attrs.pos(name));
        }
    }

    pub(super) fn has_attr(&mut self, site: &'static HasAttr, env: Env) -> Result {
        let mut value = self.eval(site.base, env)?;
        for (i, step) in site.path.iter().enumerate() {
            let name = self.attr_name(step, env, site.pos)?;
            let Some(attrs) = value.as_attrs() else {
                return Ok(Value::FALSE);
            };
            let word = match step {
                Name::Static(name, cache) => attrs.word_cached(*name, cache),
                Name::Dynamic(_) => attrs.word(name),
            };
            let Some(word) = word else {
                return Ok(Value::FALSE);
            };
            if i + 1 < site.path.len() {
                value = self.force_word(word)?;
            }
        }
        Ok(Value::TRUE)
    }

    pub(super) fn with_var(&mut self, var: &'static WithVar, env: Env) -> Result {
        for (scope, pos, cache) in var.scopes {
            let scope = self
                .force(self.var(*scope, env))
                .map_err(|e| e.circle_at(*pos))?;
            let attrs = self.expect_attrs(
                scope,
                var.pos,
                "while evaluating the first subexpression of a with expression",
            )?;
            if let Some(word) = attrs.word_cached(var.name, cache) {
                return self
                    .force_word(word)
                    .map_err(|e| in_attribute(e.circle_at(var.pos), attrs, var.name));
            }
        }
        let message = [b"undefined variable '", symbol::name(var.name), b"'"].concat();
        Err(Error::new(ErrorKind::UndefinedVariable, message).at(var.pos))
    }

    /// The forced attribute, with the way to it in errors.
    pub fn get_attr(&mut self, attrs: Attrs, name: Symbol) -> Result<Option<Value>> {
        match attrs.word(name) {
            Some(word) => match self.force_word(word) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(in_attribute(error, attrs, name)),
            },
            None => Ok(None),
        }
    }
}

/// The set that a recursive set's bindings look into is put in place before anybody can force this.
fn never_set(_: &mut Vm, _: Captures) -> Result {
    Err(Error::new(
        ErrorKind::InfiniteRecursion,
        "infinite recursion encountered",
    ))
}

#[cold]
#[inline(never)]
fn from_definition(error: Box<Error>, set: Attrs, name: Symbol) -> Box<Error> {
    let pos = set.pos(name);
    if pos.is_none() {
        return error;
    }
    let text = [b"from the definition of '", symbol::name(name), b"'"];
    error.frame(pos, text.concat())
}

fn attribute_frame(name: Symbol) -> Vec<u8> {
    [
        b"while evaluating the attribute '",
        symbol::name(name),
        b"'",
    ]
    .concat()
}

#[cold]
#[inline(never)]
fn in_attribute(error: Box<Error>, attrs: Attrs, name: Symbol) -> Box<Error> {
    let pos = attrs.pos(name);
    error.circle_at(pos).frame(pos, attribute_frame(name))
}
