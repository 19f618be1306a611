//! Arithmetic, `//`, `++`, interpolation.

use smallvec::SmallVec;

use crate::code::{Binary, Code, Expr, Interp};
use crate::error::{Error, ErrorKind, Result};
use crate::interp::{Coercion, Env};
use crate::source::Pos;
use crate::value::{Context, List, ListBuilder, PathValue, Str, Value, View};
use crate::vm::Vm;

impl Vm {
    /// The operators whose operands are both evaluated.
    pub(super) fn operator(&mut self, code: Code, env: Env) -> Result {
        match code.expr() {
            Expr::Debug(site) => self.debugged(site, env),
            Expr::Eq(site) => {
                let (a, b) = self.operands(site, env)?;
                self.equal(a, b)
                    .map(Value::bool)
                    .map_err(|e| e.at(site.pos))
            }
            Expr::NotEq(site) => {
                let (a, b) = self.operands(site, env)?;
                self.equal(a, b)
                    .map(|equal| Value::bool(!equal))
                    .map_err(|e| e.at(site.pos))
            }
            Expr::Less(site) => {
                let (a, b) = self.operands(site, env)?;
                if let (Some(x), Some(y)) = (a.as_int(), b.as_int()) {
                    return Ok(Value::bool(x < y));
                }
                self.less(a, b, site.pos).map(Value::bool)
            }
            Expr::Add(site) => self.add(site, env),
            Expr::Sub(site) => self.arithmetic(site, env, Operation::SUB),
            Expr::Mul(site) => self.arithmetic(site, env, Operation::MUL),
            Expr::Div(site) => self.divide(site, env),
            Expr::Update(site) => {
                // The right operand comes first: programs see that when both fail.
                let b = self.eval(site.right, env)?;
                let b = self.expect_attrs(
                    b,
                    site.pos,
                    "in the right operand of the update (//) operator",
                )?;
                let a = self.eval(site.left, env)?;
                let a = self.expect_attrs(
                    a,
                    site.pos,
                    "in the left operand of the update (//) operator",
                )?;
                Ok(self.update(a, b))
            }
            Expr::Concat(site) => {
                let (a, b) = self.operands(site, env)?;
                let a = self.expect_list(
                    a,
                    site.pos,
                    "while evaluating one of the elements to concatenate",
                )?;
                let b = self.expect_list(
                    b,
                    site.pos,
                    "while evaluating one of the elements to concatenate",
                )?;
                self.concat(a, b)
            }
            // All other nodes are handled by `run`.
            _ => Ok(Value::NULL),
        }
    }

    fn operands(&mut self, site: &'static Binary, env: Env) -> Result<(Value, Value)> {
        let left = self.eval(site.left, env)?;
        Ok((left, self.eval(site.right, env)?))
    }

    /// `a ++ b`
    pub fn concat(&mut self, a: List, b: List) -> Result {
        self.stats.concats += 1;
        if a.is_empty() {
            return Ok(b.value());
        }
        if b.is_empty() {
            return Ok(a.value());
        }
        self.check_size(a.len() + b.len())?;
        let mut list = ListBuilder::new(&mut self.heap, a.len() + b.len());
        a.iter()
            .chain(b.iter())
            .for_each(|element| list.push(element));
        Ok(list.finish())
    }

    #[inline]
    fn add(&mut self, site: &'static Binary, env: Env) -> Result {
        let left = self.eval(site.left, env)?;
        if let Some(x) = left.as_int() {
            let right = self.eval(site.right, env)?;
            if let Some(y) = right.as_int() {
                return match x.checked_add(y) {
                    Some(sum) => Ok(Value::int(&mut self.heap, sum)),
                    None => Err(overflow("adding", x, "+", y, site.pos)),
                };
            }
            if let Some(y) = right.as_float() {
                return Ok(self.float(x as f64 + y));
            }
            return Err(self.cannot_add(right, "an integer", site.pos));
        }
        if let Some(x) = left.as_float() {
            let right = self.eval(site.right, env)?;
            return match (right.as_int(), right.as_float()) {
                (Some(y), _) => Ok(self.float(x + y as f64)),
                (_, Some(y)) => Ok(self.float(x + y)),
                _ => Err(self.cannot_add(right, "a float", site.pos)),
            };
        }
        if left.as_str().is_some() || left.as_path().is_some() {
            let right = self.eval(site.right, env)?;
            return self.add_texts(left, right, site);
        }
        // Whether the left operand can be a string is known before the right one is evaluated.
        let mode = Coercion::segment(false);
        let what = "while evaluating a path segment";
        let (mut text, mut context) = self.to_text(left, mode, site.pos, what)?;
        let right = self.eval(site.right, env)?;
        self.coerce_to_string(right, &mut text, &mut context, mode, site.pos, what)?;
        Ok(Str::with_context(&mut self.heap, &text, context))
    }

    /// `+` of strings and paths.
    fn add_texts(&mut self, left: Value, right: Value, site: &'static Binary) -> Result {
        if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
            let context = a.context().union(b.context());
            self.check_size((a.len() + b.len()) / 8)?;
            return Ok(Str::concat(
                &mut self.heap,
                &[a.as_bytes(), b.as_bytes()],
                context,
            ));
        }
        let what = "while evaluating a path segment";
        let mut text = Vec::new();
        let mut context = Context::EMPTY;
        if let Some(path) = left.as_path() {
            text.extend_from_slice(path.as_bytes());
            self.coerce_to_string(
                right,
                &mut text,
                &mut context,
                Coercion::segment(false),
                site.pos,
                what,
            )?;
            return self.joined_path(text, context, site.pos);
        }
        // Paths are copied to the store when the first part is a string.
        let mode = Coercion::segment(true);
        self.coerce_to_string(left, &mut text, &mut context, mode, site.pos, what)?;
        self.coerce_to_string(right, &mut text, &mut context, mode, site.pos, what)?;
        Ok(Str::with_context(&mut self.heap, &text, context))
    }

    fn joined_path(&mut self, text: Vec<u8>, context: Context, pos: Pos) -> Result {
        if !context.is_empty() {
            return Err(Error::other(
                "a string that refers to a store path cannot be appended to a path",
            )
            .at(pos));
        }
        if text.contains(&0) {
            let shown = String::from_utf8_lossy(&text).replace('\0', "␀");
            return Err(Error::other(format!("input string '{shown}' cannot be represented as Nix string because it contains null bytes")).at(pos));
        }
        let path = crate::compile::canonical(&text);
        Ok(PathValue::new(&mut self.heap, &path))
    }

    #[cold]
    fn cannot_add(&mut self, value: Value, to: &str, pos: Pos) -> Box<Error> {
        Error::new(
            ErrorKind::Type,
            format!("cannot add {} to {to}", value.type_phrase()),
        )
        .at(pos)
    }

    fn arithmetic(&mut self, site: &'static Binary, env: Env, operation: Operation) -> Result {
        let left = self.eval(site.left, env)?;
        let right = self.eval(site.right, env)?;
        self.arithmetic_on(left, right, operation, site.pos)
    }

    /// `-` and `*`; the operands are forced.
    pub(crate) fn arithmetic_on(
        &mut self,
        left: Value,
        right: Value,
        operation: Operation,
        pos: Pos,
    ) -> Result {
        if let (Some(x), Some(y)) = (left.as_int(), right.as_int()) {
            return match (operation.ints)(x, y) {
                Some(n) => Ok(Value::int(&mut self.heap, n)),
                None => Err(overflow(operation.doing, x, operation.sign, y, pos)),
            };
        }
        // The reference looks for a float on either side before it complains about the other.
        if left.as_float().is_some() || right.as_float().is_some() {
            let x = self.expect_float(left, pos, operation.first)?;
            let y = self.expect_float(right, pos, operation.second)?;
            return Ok(self.float((operation.floats)(x, y)));
        }
        self.expect_int(left, pos, operation.first)?;
        self.expect_int(right, pos, operation.second)?;
        Ok(Value::NULL)
    }

    fn divide(&mut self, site: &'static Binary, env: Env) -> Result {
        let left = self.eval(site.left, env)?;
        let right = self.eval(site.right, env)?;
        self.divide_on(left, right, site.pos)
    }

    /// `a / b`; the operands are forced. The divisor is looked at first, as the reference does.
    pub(crate) fn divide_on(&mut self, left: Value, right: Value, pos: Pos) -> Result {
        const FIRST: &str = "while evaluating the first operand of the division";
        const SECOND: &str = "while evaluating the second operand of the division";
        let divisor = self.expect_float(right, pos, SECOND)?;
        if divisor == 0.0 {
            return Err(Error::other("division by zero").at(pos));
        }
        let Some(y) = right.as_int().filter(|_| left.as_float().is_none()) else {
            let x = self.expect_float(left, pos, FIRST)?;
            return Ok(self.float(x / divisor));
        };
        let x = self.expect_int(left, pos, FIRST)?;
        match x.checked_div(y) {
            Some(n) => Ok(Value::int(&mut self.heap, n)),
            None => Err(overflow("dividing", x, "/", y, pos)),
        }
    }

    /// A string or path with interpolations.
    pub(super) fn interpolate(&mut self, site: &'static Interp, env: Env) -> Result {
        let mut texts: SmallVec<[Str; 8]> = SmallVec::new();
        let mut len = 0;
        let mut context = Context::EMPTY;
        for (i, &(pos, code)) in site.parts.iter().enumerate() {
            let value = self.eval(code, env)?;
            // Each part becomes a string before the next is evaluated.
            let text = match value.view() {
                View::Str(text) => text,
                View::Path(path) if site.path && i == 0 => {
                    text_of(Str::new(&mut self.heap, path.as_bytes()))?
                }
                _ => self.segment(value, !site.path, pos)?,
            };
            len += text.len();
            context = context.union(text.context());
            texts.push(text);
        }
        self.check_size(len / 8)?;
        if site.path {
            let parts = texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>();
            return self.joined_path(parts.concat(), context, site.pos);
        }
        let (value, mut room) = Str::fresh(&mut self.heap, len, context);
        for text in texts {
            let (here, rest) = room.split_at_mut(text.len());
            here.copy_from_slice(text.as_bytes());
            room = rest;
        }
        Ok(value)
    }

    /// A part of an interpolation that is no string yet.
    fn segment(&mut self, value: Value, copy: bool, pos: Pos) -> Result<Str> {
        let what = "while evaluating a path segment";
        let (text, context) = self.to_text(value, Coercion::segment(copy), pos, what)?;
        text_of(Str::with_context(&mut self.heap, &text, context))
    }
}

fn text_of(value: Value) -> Result<Str> {
    value
        .as_str()
        .ok_or_else(|| Error::other("expected a string"))
}

/// An arithmetic operation, with its words for messages.
#[derive(Clone, Copy)]
pub struct Operation {
    ints: fn(i64, i64) -> Option<i64>,
    floats: fn(f64, f64) -> f64,
    doing: &'static str,
    sign: &'static str,
    first: &'static str,
    second: &'static str,
}

impl Operation {
    pub(crate) const ADD: Operation = Operation {
        ints: i64::checked_add,
        floats: |x, y| x + y,
        doing: "adding",
        sign: "+",
        first: "while evaluating the first argument of the addition",
        second: "while evaluating the second argument of the addition",
    };
    pub(crate) const SUB: Operation = Operation {
        ints: i64::checked_sub,
        floats: |x, y| x - y,
        doing: "subtracting",
        sign: "-",
        first: "while evaluating the first argument of the subtraction",
        second: "while evaluating the second argument of the subtraction",
    };
    pub(crate) const MUL: Operation = Operation {
        ints: i64::checked_mul,
        floats: |x, y| x * y,
        doing: "multiplying",
        sign: "*",
        first: "while evaluating the first of the multiplication",
        second: "while evaluating the second argument of the multiplication",
    };
}

#[cold]
#[inline(never)]
fn overflow(doing: &str, x: i64, sign: &str, y: i64, pos: Pos) -> Box<Error> {
    Error::other(format!("integer overflow in {doing} {x} {sign} {y}")).at(pos)
}
