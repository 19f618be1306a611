//! The interpreter: walks code and makes values.
//!
//! `eval` gives a value that is not a thunk; `delay` gives a value without evaluating anything. Calls in
//! tail position replace the frame of the code that makes them, so loops written as recursion take no stack;
//! they count for `max-call-depth` all the same, since the reference counts them.

mod attrs;
mod call;
mod coerce;
mod compare;
mod deep;
mod differ;
mod force;
mod operators;
mod places;

pub use coerce::{Coercion, CopyMode};
pub(crate) use operators::Operation;
pub(crate) use places::Places;

use crate::code::{Binary, Code, Expr, LambdaCode, Place, ThunkCode, ThunkSite, Var};
use crate::error::{Error, ErrorKind, Result};
use crate::heap;
use crate::source::Pos;
use crate::value::{Attrs, Function, ListBuilder, Str, Thunk, Value};
use crate::vm::Vm;

/// Where running code finds its variables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Env {
    /// Its frame's first word on the stack.
    pub fp: usize,
    /// The address of its captured words.
    pub captures: usize,
}

/// An operator on Booleans that may not need its right operand.
struct Connective {
    /// The left operand that decides.
    decides: bool,
    /// What the answer is then.
    gives: bool,
    /// How messages name the operands.
    left: &'static str,
    right: &'static str,
}

impl Connective {
    const AND: Connective = Connective {
        decides: false,
        gives: false,
        left: "in the left operand of the AND (&&) operator",
        right: "in the right operand of the AND (&&) operator",
    };
    const OR: Connective = Connective {
        decides: true,
        gives: true,
        left: "in the left operand of the OR (||) operator",
        right: "in the right operand of the OR (||) operator",
    };
    const IMPL: Connective = Connective {
        decides: false,
        gives: true,
        left: "in the left operand of the IMPL (->) operator",
        right: "in the right operand of the IMPL (->) operator",
    };
}

/// The call that an evaluation is in, for the way to an error.
pub(crate) type Callee = Option<(&'static LambdaCode, Pos)>;

impl Vm {
    /// Evaluates code that is not in tail position.
    #[inline(always)]
    pub(crate) fn eval(&mut self, code: Code, env: Env) -> Result {
        match code.expr() {
            Expr::Const(value) => Ok(value),
            Expr::Local(used) => {
                let at = env.fp + used.word as usize;
                let value = self.stack.get(at);
                if !value.is_thunk() {
                    return Ok(value);
                }
                let value = self.force_thunk(value).map_err(|e| e.circle_at(used.pos))?;
                self.stack.set(at, value);
                Ok(value)
            }
            Expr::Capture(used) => self
                .force_word(capture(env, used.word))
                .map_err(|e| e.circle_at(used.pos)),
            _ => {
                let base = self.sp;
                self.eval_from(code, env, base)
            }
        }
    }

    /// Evaluates code; its tail calls may use the stack from `base` on.
    pub(crate) fn eval_from(&mut self, code: Code, env: Env, base: usize) -> Result {
        if self.native_stack_is_low() {
            return self.on_new_stack(|vm| vm.eval_from(code, env, base));
        }
        let (sp, depth) = (self.sp, self.depth);
        let mut callee = None;
        let result = self.run(code, env, base, &mut callee);
        self.sp = sp;
        self.depth = depth;
        match (result, callee) {
            (Err(error), Some((lambda, pos))) => Err(in_call(error, lambda, pos)),
            (result, _) => result,
        }
    }

    fn run(&mut self, mut code: Code, mut env: Env, base: usize, callee: &mut Callee) -> Result {
        loop {
            match code.expr() {
                Expr::Call(site) => match self.begin_call(site, env, base, callee)? {
                    call::Begun::Done(value) => return Ok(value),
                    call::Begun::Enter(body, frame) => (code, env) = (body, frame),
                },
                Expr::Select(select) => return self.select(select, env),
                Expr::If(site) => {
                    let condition = self.eval(site.condition, env)?;
                    code = match condition.as_bool() {
                        Some(true) => site.yes,
                        Some(false) => site.no,
                        None => {
                            return Err(self.not_bool(
                                condition,
                                site.pos,
                                "while evaluating a branch condition",
                            ));
                        }
                    };
                }
                Expr::Let(site) => {
                    self.bind_group(site.bindings, env);
                    code = site.body;
                }
                Expr::With(site) => {
                    let scope = self.delay(site.scope, env);
                    self.stack.set(env.fp + site.slot as usize, scope);
                    code = site.body;
                }
                Expr::Const(value) => return Ok(value),
                Expr::Local(_) | Expr::Capture(_) => return self.eval(code, env),
                Expr::Shared(word) => return self.force_word(word),
                Expr::Closure(_) | Expr::List(_) => return Ok(self.delay(code, env)),
                Expr::Attrs(site) => return Ok(self.make_attrs(site, env)),
                Expr::Delayed(_) => return Ok(self.delay(code, env)),
                Expr::Thunk(_) | Expr::Selection(_) => {
                    let value = self.delay(code, env);
                    return self.force(value);
                }
                Expr::Scoped(site) => return self.make_scoped(site, env),
                Expr::WithVar(var) => return self.with_var(var, env),
                Expr::SelectPath(select) => match self.select_path(select, env)? {
                    Some(value) => return Ok(value),
                    None => match select.default {
                        Some(default) => code = default,
                        None => return Ok(Value::NULL),
                    },
                },
                Expr::HasAttr(site) => return self.has_attr(site, env),
                Expr::Assert(site) => {
                    self.check_assertion(site, env)?;
                    code = site.body;
                }
                Expr::Not(site) => {
                    let value = self.eval(site.operand, env)?;
                    return match value.as_bool() {
                        Some(b) => Ok(Value::bool(!b)),
                        None => Err(self.not_bool(
                            value,
                            site.pos,
                            "in the argument of the not operator",
                        )),
                    };
                }
                Expr::And(site) => return self.connective(site, env, &Connective::AND),
                Expr::Or(site) => return self.connective(site, env, &Connective::OR),
                Expr::Impl(site) => return self.connective(site, env, &Connective::IMPL),
                Expr::Interp(site) => return self.interpolate(site, env),
                Expr::CurPos(pos) => return Ok(self.position_value(pos)),
                _ => return self.operator(code, env),
            }
        }
    }

    /// The value of a lazy node, with nothing evaluated.
    #[inline]
    pub(crate) fn delay(&mut self, code: Code, env: Env) -> Value {
        match code.expr() {
            Expr::Const(value) => value,
            Expr::Local(used) => self.stack.get(env.fp + used.word as usize).peel(),
            Expr::Capture(used) => Value::from_word(heap::load(capture(env, used.word))).peel(),
            Expr::Thunk(site) => self.make_thunk(site, env),
            Expr::Selection(site) => self.select_or_delay(site, env),
            Expr::Closure(site) => {
                let (value, words) =
                    Function::lambda(&mut self.heap, site.code, site.captures.len());
                for (word, &var) in words.iter().zip(site.captures) {
                    heap::store(word, self.var(var, env).word());
                }
                value
            }
            Expr::List(site) => {
                let mut list = ListBuilder::new(&mut self.heap, site.elements.len());
                for &element in site.elements {
                    let element = self.delay(element, env);
                    list.push(element);
                }
                list.finish()
            }
            Expr::Attrs(site) => self.make_attrs(site, env),
            Expr::Delayed(site) => self.make_delayed(site, env),
            Expr::Shared(word) => Value::from_word(heap::load(word)).peel(),
            Expr::OpenScope(site) => self.open_scope(site, env),
            Expr::FillScope(site) => self.fill_scope(site, env),
            // The compiler puts only lazy nodes where values are delayed.
            _ => Value::NULL,
        }
    }

    fn make_thunk(&mut self, site: &'static ThunkSite, env: Env) -> Value {
        self.stats.thunks += 1;
        let (value, words) = Thunk::suspend(&mut self.heap, &site.code, site.captures.len());
        for (word, &var) in words.iter().zip(site.captures) {
            heap::store(word, self.var(var, env).word());
        }
        value
    }

    fn select_or_delay(&mut self, site: &'static ThunkSite, env: Env) -> Value {
        if let ThunkCode::Eval { body, .. } = site.code
            && let Some(value) = self.peek(body, site, env)
        {
            self.stats.avoided += 1;
            return match value.as_function() {
                Some(function) => function.copy(&mut self.heap),
                None => value,
            };
        }
        self.make_thunk(site, env)
    }

    /// The selected value, when everything on the way to it is finished.
    #[inline]
    fn peek(&self, body: Code, site: &'static ThunkSite, env: Env) -> Option<Value> {
        match body.expr() {
            Expr::Capture(used) => Some(self.var(*site.captures.get(used.word as usize)?, env)),
            Expr::Select(select) => {
                let base = self.peek(select.base, site, env)?.as_attrs()?;
                let word = base.word_cached(select.name, &select.cache)?;
                Some(Value::from_word(heap::load(word)).peel())
            }
            _ => None,
        }
    }

    /// The value of a variable, without the thunk around it if that is finished.
    #[inline(always)]
    pub(crate) fn var(&self, var: Var, env: Env) -> Value {
        match var.place() {
            Place::Local(slot) => self.stack.get(env.fp + slot as usize).peel(),
            Place::Capture(n) => Value::from_word(heap::load(capture(env, n))).peel(),
        }
    }

    /// Makes bindings that see each other: first the objects, then what they capture.
    pub(crate) fn bind_group(&mut self, bindings: &[(u32, Code)], env: Env) {
        for &(slot, code) in bindings {
            let value = match code.expr() {
                Expr::Thunk(site) | Expr::Selection(site) => {
                    Thunk::suspend(&mut self.heap, &site.code, site.captures.len()).0
                }
                Expr::Closure(site) => {
                    Function::lambda(&mut self.heap, site.code, site.captures.len()).0
                }
                _ => self.delay(code, env),
            };
            self.stack.set(env.fp + slot as usize, value);
        }
        for &(slot, code) in bindings {
            let captures = match code.expr() {
                Expr::Thunk(site) | Expr::Selection(site) => {
                    self.stats.thunks += 1;
                    site.captures
                }
                Expr::Closure(site) => site.captures,
                _ => continue,
            };
            let object = self.stack.get(env.fp + slot as usize).address();
            for (word, &var) in heap::words(object + 8, captures.len()).iter().zip(captures) {
                heap::store(word, self.var(var, env).word());
            }
        }
    }

    /// `&&`, `||`, `->`: the right operand is evaluated if the left one does not decide.
    #[inline(always)]
    fn connective(
        &mut self,
        site: &'static Binary,
        env: Env,
        connective: &'static Connective,
    ) -> Result {
        let left = self.operand_bool(site.left, env, site.pos, connective.left)?;
        if left == connective.decides {
            return Ok(Value::bool(connective.gives));
        }
        self.operand_bool(site.right, env, site.pos, connective.right)
            .map(Value::bool)
    }

    fn operand_bool(&mut self, code: Code, env: Env, pos: Pos, what: &str) -> Result<bool> {
        let value = self.eval(code, env)?;
        value
            .as_bool()
            .ok_or_else(|| self.not_bool(value, pos, what))
    }

    #[cold]
    #[inline(never)]
    fn not_bool(&mut self, value: Value, pos: Pos, what: &str) -> Box<Error> {
        match self.expect_bool(value, pos, what) {
            Err(error) => error,
            Ok(_) => Error::other("expected a Boolean"),
        }
    }

    fn check_assertion(&mut self, site: &'static crate::code::Assert, env: Env) -> Result<()> {
        let value = self.eval(site.condition, env)?;
        match value.as_bool() {
            Some(true) => Ok(()),
            Some(false) => Err(self.assertion_failed(site, env)),
            None => Err(self.not_bool(value, site.pos, "in the condition of the assert statement")),
        }
    }

    #[cold]
    #[inline(never)]
    fn assertion_failed(&mut self, site: &'static crate::code::Assert, env: Env) -> Box<Error> {
        let mut text = b"assertion '".to_vec();
        text.extend_from_slice(&site.text);
        text.extend_from_slice(b"' failed");
        let mut error = Error::new(ErrorKind::Assertion, text).at(site.pos);
        if let Some((left, right)) = site.sides
            && let (Ok(left), Ok(right)) = (self.eval(left, env), self.eval(right, env))
            && let Err(why) = self.explain_inequality(left, right)
        {
            let message = std::mem::take(&mut error.message);
            error = why;
            error.kind = ErrorKind::Assertion;
            error = error.frame(
                site.pos,
                [
                    b"while evaluating the condition of the ".as_slice(),
                    &message,
                ]
                .concat(),
            );
        }
        error
    }

    /// What `__curPos` and `unsafeGetAttrPos` give.
    pub fn position_value(&mut self, pos: Pos) -> Value {
        use rx_lang::symbol::known::{COLUMN, FILE, LINE};
        let Some(at) = self.ev.sources.locate(pos) else {
            return Value::NULL;
        };
        let file = match &at.source.origin {
            crate::source::Origin::File(path) => Str::new(&mut self.heap, path),
            crate::source::Origin::Internal(name) => self.str(format!("/{name}").as_bytes()),
            _ => return Value::NULL,
        };
        let mut set = crate::value::AttrsBuilder::new(3);
        set.push(COLUMN, Value::small_int(i64::from(at.column)));
        set.push(FILE, file);
        set.push(LINE, Value::small_int(i64::from(at.line)));
        set.finish(&mut self.heap, crate::value::attrs::Duplicates::Last)
    }

    /// The set `a // b`.
    pub fn update(&mut self, a: Attrs, b: Attrs) -> Value {
        self.stats.updates += 1;
        Attrs::update(&mut self.heap, a, b)
    }
}

#[inline(always)]
fn capture(env: Env, n: u32) -> &'static heap::Word {
    heap::word(env.captures + 8 * n as usize)
}

#[cold]
#[inline(never)]
fn in_call(error: Box<Error>, lambda: &'static LambdaCode, pos: Pos) -> Box<Error> {
    let mut text = b"while calling ".to_vec();
    text.extend(call::lambda_name(lambda));
    error.frame(lambda.pos, text).frame(pos, "from call site")
}
