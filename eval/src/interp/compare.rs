//! Equality and order.

use rx_lang::symbol::known;

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::source::Pos;
use crate::value::{Attrs, List, Value, View};
use crate::vm::Vm;

impl Vm {
    /// `a == b`
    ///
    /// Functions are never equal, except that an element or attribute is equal to itself without being looked into.
    pub fn equal(&mut self, a: Value, b: Value) -> Result<bool> {
        let a = self.force(a)?;
        let b = self.force(b)?;
        self.equal_forced(a, b)
    }

    /// Equality of elements of lists and sets: the same object is equal to itself, whatever it holds.
    pub(crate) fn equal_elements(&mut self, a: Value, b: Value) -> Result<bool> {
        let a = self.force(a)?;
        let b = self.force(b)?;
        // Even if it is a function or not a number: the reference compares addresses before it looks at values.
        if a == b {
            return Ok(true);
        }
        self.equal_forced(a, b)
    }

    fn equal_forced(&mut self, a: Value, b: Value) -> Result<bool> {
        match (a.view(), b.view()) {
            (View::Int(x), View::Int(y)) => Ok(x == y),
            (View::Int(x), View::Float(y)) => Ok(x as f64 == y),
            (View::Float(x), View::Int(y)) => Ok(x == y as f64),
            (View::Float(x), View::Float(y)) => Ok(x == y),
            (View::Str(x), View::Str(y)) => Ok(x.as_bytes() == y.as_bytes()),
            (View::Path(x), View::Path(y)) => Ok(x.as_bytes() == y.as_bytes()),
            (View::Null, View::Null) => Ok(true),
            (View::Bool(x), View::Bool(y)) => Ok(x == y),
            (View::List(x), View::List(y)) => self.nested(|vm| vm.equal_lists(x, y)),
            (View::Attrs(x), View::Attrs(y)) => self.nested(|vm| vm.equal_attrs(x, y)),
            _ => Ok(false),
        }
    }

    fn equal_lists(&mut self, a: List, b: List) -> Result<bool> {
        if a.len() != b.len() {
            return Ok(false);
        }
        self.check()?;
        for (i, (x, y)) in a.iter().zip(b.iter()).enumerate() {
            let equal = self.equal_elements(x, y).context(Pos::NONE, || {
                format!("while comparing element {i} of two lists")
            })?;
            if !equal {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the set's `type` says `derivation`.
    pub(crate) fn is_derivation(&mut self, attrs: Attrs) -> Result<bool> {
        let Some(kind) = attrs.get(known::TYPE) else {
            return Ok(false);
        };
        let kind = self.force(kind)?;
        Ok(kind.as_str().is_some_and(|s| s.as_bytes() == b"derivation"))
    }

    fn equal_attrs(&mut self, a: Attrs, b: Attrs) -> Result<bool> {
        self.check()?;
        // Two derivations are equal when their outputs have the same path.
        if self.is_derivation(a)?
            && self.is_derivation(b)?
            && let (Some(x), Some(y)) = (a.get(known::OUT_PATH), b.get(known::OUT_PATH))
        {
            return self.equal(x, y);
        }
        let (x, y) = (a.entries(&mut self.heap), b.entries(&mut self.heap));
        if x.len() != y.len() {
            return Ok(false);
        }
        // What comes before the first difference is evaluated, so programs see the order.
        let order = x.by_symbol();
        let others = (x.keys_id() != y.keys_id()).then(|| y.by_symbol());
        for (at, &i) in order.iter().enumerate() {
            let j = others.as_ref().map_or(i, |others| others[at]) as usize;
            let i = i as usize;
            let name = x.names()[i];
            if y.names()[j] != name {
                return Ok(false);
            }
            let equal = self
                .equal_elements(x.value(i), y.value(j))
                .context(x.pos(i), || {
                    [
                        b"while comparing attribute '",
                        rx_lang::symbol::name(name),
                        b"'",
                    ]
                    .concat()
                })?;
            if !equal {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `a < b`
    pub fn less(&mut self, a: Value, b: Value, pos: Pos) -> Result<bool> {
        let a = self.force(a)?;
        let b = self.force(b)?;
        match (a.view(), b.view()) {
            (View::Int(x), View::Int(y)) => Ok(x < y),
            (View::Float(x), View::Int(y)) => Ok(x < y as f64),
            (View::Int(x), View::Float(y)) => Ok((x as f64) < y),
            (View::Float(x), View::Float(y)) => Ok(x < y),
            (View::Str(x), View::Str(y)) => Ok(x.as_bytes() < y.as_bytes()),
            (View::Path(x), View::Path(y)) => Ok(x.as_bytes() < y.as_bytes()),
            (View::List(x), View::List(y)) => self.nested(|vm| vm.less_lists(x, y, pos)),
            _ => Err(self.incomparable(a, b, pos)),
        }
    }

    fn less_lists(&mut self, a: List, b: List, pos: Pos) -> Result<bool> {
        self.check()?;
        for (i, y) in b.iter().enumerate() {
            let Some(x) = a.get(i) else { return Ok(true) };
            if !self.equal_elements(x, y)? {
                return self.less(x, y, pos);
            }
        }
        Ok(false)
    }

    #[cold]
    fn incomparable(&mut self, a: Value, b: Value, pos: Pos) -> Box<Error> {
        let (x, y) = (a.type_phrase(), b.type_phrase());
        let alike = std::mem::discriminant(&a.view()) == std::mem::discriminant(&b.view());
        let (before, after) = match alike {
            true => ("values of that type are incomparable (values are ", ")"),
            false => ("values are ", ""),
        };
        let mut message = format!("cannot compare {x} with {y}; {before}").into_bytes();
        message.extend(self.describe(a));
        message.extend_from_slice(b" and ");
        message.extend(self.describe(b));
        message.extend_from_slice(after.as_bytes());
        Error::new(ErrorKind::Type, message).at(pos)
    }
}
