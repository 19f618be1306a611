//! Calls: arguments, set patterns, builtins, partial applications, functors.

use rx_lang::symbol::{self, known};
use smallvec::SmallVec;

use crate::builtins::Builtin;
use crate::code::{Call, Code, Expr, Formals, FormalsPlan, LambdaCode, ThunkCode};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::heap;
use crate::interp::{Callee, Env};
use crate::source::Pos;
use crate::value::attrs::Entries;
use crate::value::function::FunctionView;
use crate::value::{Attrs, Function, Thunk, Value};
use crate::vm::Vm;

type Arguments = SmallVec<[Value; 6]>;

/// How a call begins.
pub(super) enum Begun {
    /// It is over.
    Done(Value),
    /// A lambda's body is to be evaluated in this environment.
    Enter(Code, Env),
}

/// The lambda as messages name it.
pub(super) fn lambda_name(lambda: &LambdaCode) -> Vec<u8> {
    match lambda.name {
        Some(name) => [b"'", symbol::name(name), b"'"].concat(),
        None => b"anonymous lambda".to_vec(),
    }
}

impl Vm {
    /// Calls a function with at least one argument.
    pub fn call(&mut self, function: Value, arguments: &[Value]) -> Result {
        if self.watch.is_some() {
            return self.call_watched(function, arguments, Pos::NONE);
        }
        self.call_at(function, arguments, Pos::NONE)
    }

    /// The same for a call that stands somewhere, unwatched.
    pub(crate) fn call_at(&mut self, function: Value, arguments: &[Value], pos: Pos) -> Result {
        let mut function = self.force(function)?;
        let mut rest = arguments;
        loop {
            let Some(callee) = function.as_function() else {
                if rest.is_empty() {
                    return Ok(function);
                }
                function = self.call_functor(function, Pos::NONE)?;
                continue;
            };
            if rest.is_empty() {
                return Ok(function);
            }
            let (all, taken);
            let (callee, given) = match callee.view() {
                FunctionView::Partial(partial) => {
                    all = partial
                        .arguments()
                        .chain(rest.iter().copied())
                        .collect::<Arguments>();
                    taken = partial.len();
                    (partial.function(), &all[..])
                }
                _ => {
                    taken = 0;
                    (callee, rest)
                }
            };
            let arity = match callee.view() {
                FunctionView::Lambda(code, _) => code.arity as usize,
                FunctionView::Builtin(builtin) => builtin.arity as usize,
                FunctionView::Partial(_) => return Ok(function),
            };
            if given.len() < arity {
                return Ok(Function::partial(&mut self.heap, callee, given));
            }
            let now = &given[..arity];
            let value = match callee.view() {
                FunctionView::Lambda(code, captures) => {
                    self.call_lambda(code, captures, now, pos)?
                }
                FunctionView::Builtin(builtin) => {
                    let pos = if pos.is_none() { self.call_pos } else { pos };
                    self.call_builtin(builtin, now, pos)?
                }
                FunctionView::Partial(_) => return Ok(function),
            };
            rest = &rest[arity - taken..];
            function = value;
        }
    }

    /// A thunk that calls `function` with `arguments`.
    pub fn delay_call(&mut self, function: Value, arguments: &[Value]) -> Value {
        static CALLS: [ThunkCode; 5] = [
            ThunkCode::Apply { arguments: 0 },
            ThunkCode::Apply { arguments: 1 },
            ThunkCode::Apply { arguments: 2 },
            ThunkCode::Apply { arguments: 3 },
            ThunkCode::Apply { arguments: 4 },
        ];
        self.stats.thunks += 1;
        debug_assert!(arguments.len() < CALLS.len());
        let (value, words) =
            Thunk::suspend(&mut self.heap, &CALLS[arguments.len()], 1 + arguments.len());
        heap::store(&words[0], function.word());
        for (word, argument) in words[1..].iter().zip(arguments) {
            heap::store(word, argument.word());
        }
        value
    }

    /// A thunk that runs a function of rx.
    pub fn delay_native(&mut self, code: &'static ThunkCode, captures: &[Value]) -> Value {
        self.stats.thunks += 1;
        let (value, words) = Thunk::suspend(&mut self.heap, code, captures.len());
        for (word, capture) in words.iter().zip(captures) {
            heap::store(word, capture.word());
        }
        value
    }

    fn call_lambda(
        &mut self,
        code: &'static LambdaCode,
        captures: usize,
        arguments: &[Value],
        pos: Pos,
    ) -> Result {
        let (fp, depth) = (self.sp, self.depth);
        self.sp += code.frame as usize;
        self.stack.ensure(self.sp);
        for (i, &argument) in arguments.iter().enumerate() {
            self.stack.set(fp + i, argument);
        }
        let env = Env { fp, captures };
        let result = self.enter_call().and_then(|()| {
            self.stats.calls += 1;
            if let Some(counts) = self.watch.as_mut().and_then(|w| w.counts.as_mut()) {
                counts.lambda(code);
            }
            if let Some(formals) = code.formals {
                self.bind_formals(code, formals, env)?;
            }
            self.eval_from(code.body, env, fp)
        });
        self.sp = fp;
        self.depth = depth;
        result.map_err(|error| super::in_call(error, code, pos))
    }

    fn call_builtin(&mut self, builtin: &'static Builtin, arguments: &[Value], pos: Pos) -> Result {
        let depth = self.depth;
        self.enter_call()?;
        self.stats.builtin_calls += 1;
        if let Some(counts) = self.watch.as_mut().and_then(|w| w.counts.as_mut()) {
            counts.builtin(builtin);
        }
        self.call_pos = pos;
        let result = if self.native_stack_is_low() {
            self.on_new_stack(|vm| (builtin.run)(vm, arguments))
        } else {
            (builtin.run)(self, arguments)
        };
        self.depth = depth;
        result.map_err(|error| in_builtin(error, builtin, pos))
    }

    /// The function that calling `value` calls, already applied to the value itself.
    #[cold]
    fn call_functor(&mut self, value: Value, pos: Pos) -> Result {
        if let Some(functor) = value.as_attrs().and_then(|a| a.get(known::FUNCTOR)) {
            return self
                .call(functor, &[value])
                .context(pos, || "while calling a functor");
        }
        let mut message = b"attempt to call something which is not a function but ".to_vec();
        message.extend_from_slice(value.type_phrase().as_bytes());
        message.extend_from_slice(b": ");
        message.extend(self.describe(value));
        Err(Error::new(ErrorKind::Type, message).at(pos))
    }

    /// Evaluates the function of a call and readies its arguments.
    #[inline]
    pub(super) fn begin_call(
        &mut self,
        site: &'static Call,
        env: Env,
        base: usize,
        callee: &mut Callee,
    ) -> Result<Begun> {
        let function = self.eval(site.function, env)?;
        let count = site.arguments.len();
        if self.watch.is_some() {
            return self.begin_watched(function, site, env).map(Begun::Done);
        }
        if let Some(function) = function.as_function() {
            match function.view() {
                FunctionView::Lambda(code, captures) if code.arity as usize == count => {
                    let top = self.sp;
                    let frame = base + code.frame as usize;
                    self.stack.ensure((top + count).max(frame));
                    for (i, &argument) in site.arguments.iter().enumerate() {
                        let argument = self.delay(argument, env);
                        self.stack.set(top + i, argument);
                    }
                    if top != base {
                        for i in 0..count {
                            self.stack.set(base + i, self.stack.get(top + i));
                        }
                    }
                    self.sp = frame;
                    let env = Env { fp: base, captures };
                    self.enter_call().map_err(|e| e.at(site.pos))?;
                    self.stats.calls += 1;
                    *callee = Some((code, site.pos));
                    if let Some(formals) = code.formals {
                        self.bind_formals(code, formals, env)?;
                    }
                    return Ok(Begun::Enter(code.body, env));
                }
                FunctionView::Builtin(builtin) if builtin.arity as usize == count => {
                    return Ok(Begun::Done(self.call_builtin_at(builtin, site, env)?));
                }
                _ => {}
            }
        }
        self.call_generally(function, site, env).map(Begun::Done)
    }

    /// Calls a builtin with all of its arguments. What it evaluates anyway may be no node that can be delayed.
    #[inline(always)]
    fn call_builtin_at(
        &mut self,
        builtin: &'static Builtin,
        site: &'static Call,
        env: Env,
    ) -> Result {
        let mut arguments = Arguments::new();
        for (i, &argument) in site.arguments.iter().enumerate() {
            let argument = if builtin.strict >> i & 1 == 1
                && !matches!(argument.expr(), Expr::Thunk(_) | Expr::Selection(_))
            {
                self.eval(argument, env)
                    .map_err(|e| in_builtin(e, builtin, site.pos))?
            } else {
                self.delay(argument, env)
            };
            arguments.push(argument);
        }
        self.call_builtin(builtin, &arguments, site.pos)
    }

    #[cold]
    #[inline(never)]
    fn begin_watched(&mut self, function: Value, site: &'static Call, env: Env) -> Result {
        if let Some(FunctionView::Builtin(builtin)) = function.as_function().map(|f| f.view())
            && builtin.arity as usize == site.arguments.len()
        {
            let known = match site.arguments {
                [argument] if matches!(argument.expr(), Expr::Local(_) | Expr::Capture(_)) => {
                    vec![self.delay(*argument, env)]
                }
                _ => Vec::new(),
            };
            return self.watched(function, &known, site.pos, |vm| {
                vm.call_builtin_at(builtin, site, env)
            });
        }
        self.call_generally(function, site, env)
    }

    #[inline(never)]
    fn call_generally(&mut self, function: Value, site: &'static Call, env: Env) -> Result {
        let function = if function.as_function().is_some() || self.watch.is_some() {
            function
        } else {
            self.call_functor(function, site.pos)?
        };
        let arguments = site
            .arguments
            .iter()
            .map(|&a| self.delay(a, env))
            .collect::<Arguments>();
        if self.watch.is_some() {
            let result = self.call_watched(function, &arguments, site.pos);
            return result.map_err(|e| e.at(site.pos));
        }
        self.call_at(function, &arguments, site.pos)
            .map_err(|e| e.at(site.pos))
    }

    /// Takes the argument of a set pattern apart into the words of its formals.
    fn bind_formals(
        &mut self,
        code: &'static LambdaCode,
        formals: &'static Formals,
        env: Env,
    ) -> Result<()> {
        let at = env.fp + code.arity as usize - 1;
        let value = self
            .force(self.stack.get(at))
            .map_err(|e| e.circle_at(code.pos))?;
        let Some(attrs) = value.as_attrs() else {
            return Err(self.not_a_set(value, code));
        };
        self.stack.set(at, value);
        let entries = attrs.entries(&mut self.heap);
        let keys = entries.keys_id();
        let known = formals
            .plans
            .iter()
            .find_map(|plan| plan.get().filter(|plan| plan.keys == keys));
        let fresh;
        let plan = match known {
            Some(plan) => plan,
            None => {
                fresh = self.plan_formals(code, formals, attrs, &entries)?;
                match formals.plans.iter().position(|plan| plan.get().is_none()) {
                    Some(free) => formals.plans[free].get_or_init(|| Box::new(fresh.clone())),
                    None => &fresh,
                }
            }
        };
        for (formal, &index) in formals.list.iter().zip(&plan.indices) {
            if index != FormalsPlan::MISSING {
                self.stack
                    .set(env.fp + formal.slot as usize, entries.value(index as usize));
            }
        }
        if plan.defaults {
            self.bind_defaults(formals, plan, env);
        }
        Ok(())
    }

    /// Makes the defaults of formals that got no argument; they see each other.
    fn bind_defaults(&mut self, formals: &'static Formals, plan: &FormalsPlan, env: Env) {
        let missing = formals
            .list
            .iter()
            .zip(&plan.indices)
            .filter(|(_, index)| **index == FormalsPlan::MISSING)
            .filter_map(|(formal, _)| Some((formal.slot, formal.default?)));
        let missing = formals
            .scope
            .into_iter()
            .chain(missing)
            .collect::<SmallVec<[(u32, Code); 8]>>();
        self.bind_group(&missing, env);
    }

    #[cold]
    #[inline(never)]
    fn plan_formals(
        &mut self,
        code: &LambdaCode,
        formals: &Formals,
        attrs: Attrs,
        entries: &Entries,
    ) -> Result<FormalsPlan> {
        let mut found = 0;
        let mut defaults = false;
        let mut indices = Vec::with_capacity(formals.list.len());
        for formal in formals.list {
            match entries.find(formal.name) {
                Some(index) => {
                    found += 1;
                    indices.push(index as u32);
                }
                None if formal.default.is_some() => {
                    defaults = true;
                    indices.push(FormalsPlan::MISSING);
                }
                None => {
                    let mut message = b"function ".to_vec();
                    message.extend(lambda_name_quoted(code));
                    message.extend_from_slice(b" called without required argument '");
                    message.extend_from_slice(symbol::name(formal.name));
                    message.push(b'\'');
                    // Given under a name that the function does not know?
                    let names = entries.names().iter();
                    let names = names
                        .filter(|&&name| !formals.list.iter().any(|f| f.name == name))
                        .map(|&n| symbol::name(n));
                    let suggestions = crate::suggest::similar(symbol::name(formal.name), names);
                    return Err(Error::new(ErrorKind::Type, message)
                        .at(code.pos)
                        .suggest(suggestions));
                }
            }
        }
        if !formals.ellipsis && found != entries.len() {
            let unexpected = |name| !formals.list.iter().any(|f| f.name == name);
            let names = entries.names().iter().copied();
            if let Some(name) = names.filter(|&n| unexpected(n)).min() {
                let mut message = b"function ".to_vec();
                message.extend(lambda_name_quoted(code));
                message.extend_from_slice(b" called with unexpected argument '");
                crate::print::quote::attr_name(symbol::name(name), &mut message);
                message.push(b'\'');
                let names = formals.list.iter().map(|f| symbol::name(f.name));
                let suggestions = crate::suggest::similar(symbol::name(name), names);
                return Err(Error::new(ErrorKind::Type, message)
                    .at(attrs.pos(name).or(code.pos))
                    .suggest(suggestions));
            }
        }
        Ok(FormalsPlan {
            keys: entries.keys_id(),
            indices: indices.into(),
            // Also the object for the debugger is made with the defaults.
            defaults: defaults || formals.scope.is_some(),
        })
    }

    #[cold]
    #[inline(never)]
    fn not_a_set(&mut self, value: Value, code: &LambdaCode) -> Box<Error> {
        match self.expect_attrs(
            value,
            code.pos,
            "while evaluating the value passed for the lambda argument",
        ) {
            Err(error) => error,
            Ok(_) => Error::other("expected a set"),
        }
    }
}

fn lambda_name_quoted(code: &LambdaCode) -> Vec<u8> {
    match code.name {
        Some(name) => [b"'", symbol::name(name), b"'"].concat(),
        None => b"'anonymous lambda'".to_vec(),
    }
}

#[cold]
#[inline(never)]
fn in_builtin(error: Box<Error>, builtin: &Builtin, pos: Pos) -> Box<Error> {
    if builtin.name == "throw" || builtin.name == "abort" {
        return error.at(pos);
    }
    error
        .at(pos)
        .frame(pos, format!("while calling the '{}' builtin", builtin.name))
}
