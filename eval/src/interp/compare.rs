//! Equality and order.

use rx_lang::symbol::known;

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::source::Pos;
use crate::value::{Attrs, List, Value, View};
use crate::vm::Vm;

impl Vm {
    /// `a == b`
    ///
    /// Functions are never equal, except that a list or set is equal to itself without being looked into.
    pub fn equal(&mut self, a: Value, b: Value) -> Result<bool> {
        let a = self.force(a)?;
        let b = self.force(b)?;
        self.equal_forced(a, b)
    }

    /// Equality of elements of lists and sets: the same object is equal to itself, whatever it holds.
    pub(crate) fn equal_elements(&mut self, a: Value, b: Value) -> Result<bool> {
        if a == b {
            // Even if it is a function or not a number: the reference compares addresses before it looks at values.
            self.force(a)?;
            return Ok(true);
        }
        self.equal(a, b)
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
            (View::List(x), View::List(y)) => self.deeper(|vm| vm.equal_lists(x, y)),
            (View::Attrs(x), View::Attrs(y)) => self.deeper(|vm| vm.equal_attrs(x, y)),
            _ => Ok(false),
        }
    }

    fn equal_lists(&mut self, a: List, b: List) -> Result<bool> {
        if a.len() != b.len() {
            return Ok(false);
        }
        if a.same(b) {
            return Ok(true);
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
        if a.same(b) {
            return Ok(true);
        }
        self.check()?;
        // Two derivations are equal when their outputs have the same path.
        if self.is_derivation(a)?
            && self.is_derivation(b)?
            && let (Some(x), Some(y)) = (a.get(known::OUT_PATH), b.get(known::OUT_PATH))
        {
            return self.equal(x, y);
        }
        let (x, y) = (a.entries(&mut self.heap), b.entries(&mut self.heap));
        if x.len() != y.len() || x.names() != y.names() {
            return Ok(false);
        }
        for i in 0..x.len() {
            let name = x.names()[i];
            let equal = self
                .equal_elements(x.value(i), y.value(i))
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
            (View::List(x), View::List(y)) => self.deeper(|vm| vm.less_lists(x, y, pos)),
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
        let message = if std::mem::discriminant(&a.view()) == std::mem::discriminant(&b.view()) {
            let values = (self.describe(a), self.describe(b));
            let mut message = format!(
                "cannot compare {} with {}; values of that type are incomparable (values are ",
                a.type_phrase(),
                b.type_phrase()
            )
            .into_bytes();
            message.extend(values.0);
            message.extend_from_slice(b" and ");
            message.extend(values.1);
            message.push(b')');
            message
        } else {
            let values = (self.describe(a), self.describe(b));
            let mut message = format!(
                "cannot compare {} with {}; values are ",
                a.type_phrase(),
                b.type_phrase()
            )
            .into_bytes();
            message.extend(values.0);
            message.extend_from_slice(b" and ");
            message.extend(values.1);
            message
        };
        Error::new(ErrorKind::Type, message).at(pos)
    }

    /// Says in an error how two values differ, for a failed `assert a == b`.
    pub(crate) fn explain_inequality(&mut self, a: Value, b: Value) -> Result<()> {
        let a = self.force(a)?;
        let b = self.force(b)?;
        let differ = |vm: &mut Vm, kind: &str| {
            let (x, y) = (vm.describe(a), vm.describe(b));
            let message = [
                kind.as_bytes(),
                b" '",
                &x,
                b"' is not equal to ",
                kind.as_bytes(),
                b" '",
                &y,
                b"'",
            ]
            .concat();
            Err(Error::new(ErrorKind::Assertion, message))
        };
        if std::mem::discriminant(&a.view()) != std::mem::discriminant(&b.view()) {
            if matches!(
                (a.view(), b.view()),
                (View::Int(_), View::Float(_)) | (View::Float(_), View::Int(_))
            ) {
                return differ(
                    self,
                    if a.as_int().is_some() {
                        "an integer"
                    } else {
                        "a float"
                    },
                );
            }
            let (x, y) = (self.describe(a), self.describe(b));
            let mut message = format!("{} '", a.type_phrase()).into_bytes();
            message.extend(x);
            message.extend(format!("' is not equal to {} '", b.type_phrase()).into_bytes());
            message.extend(y);
            message.push(b'\'');
            return Err(Error::new(ErrorKind::Assertion, message));
        }
        match (a.view(), b.view()) {
            (View::List(x), View::List(y)) if x.len() == y.len() => {
                for (i, (x, y)) in x.iter().zip(y.iter()).enumerate() {
                    self.deeper(|vm| vm.explain_inequality(x, y))
                        .context(Pos::NONE, || format!("while comparing list element {i}"))?;
                }
                Ok(())
            }
            (View::Attrs(x), View::Attrs(y)) => {
                self.deeper(|vm| vm.explain_unequal_attrs(x, y, a, b))
            }
            (View::Function(_), _) => Err(Error::new(
                ErrorKind::Assertion,
                "distinct functions and immediate comparisons of identical functions compare as unequal",
            )),
            (View::List(x), View::List(y)) => {
                let (u, v) = (self.describe(a), self.describe(b));
                let mut message = format!(
                    "list of size '{}' is not equal to list of size '{}', left hand side is '",
                    x.len(),
                    y.len()
                )
                .into_bytes();
                message.extend(u);
                message.extend_from_slice(b"', right hand side is '");
                message.extend(v);
                message.push(b'\'');
                Err(Error::new(ErrorKind::Assertion, message))
            }
            _ if self.equal_forced(a, b)? => Ok(()),
            (View::Bool(_), _) => differ(self, "boolean"),
            (View::Str(_), _) => differ(self, "string"),
            (View::Path(_), _) => differ(self, "path"),
            (View::Float(_), _) => differ(self, "float"),
            _ => differ(self, "integer"),
        }
    }

    fn explain_unequal_attrs(
        &mut self,
        a: Attrs,
        b: Attrs,
        left: Value,
        right: Value,
    ) -> Result<()> {
        if self.equal_attrs(a, b)? {
            return Ok(());
        }
        let (x, y) = (a.entries(&mut self.heap), b.entries(&mut self.heap));
        if x.names() != y.names() {
            let (u, v) = (self.describe(left), self.describe(right));
            let describe = |missing: Vec<u8>| Error::new(ErrorKind::Assertion, missing);
            for (side, one, other) in [("left", x, y), ("right", y, x)] {
                if let Some(&name) = one.names().iter().find(|n| other.find(**n).is_none()) {
                    let mut message = b"attribute name '".to_vec();
                    message.extend_from_slice(rx_lang::symbol::name(name));
                    message.extend(format!("' is contained in '").into_bytes());
                    message.extend(if side == "left" { u.clone() } else { v.clone() });
                    message.extend_from_slice(b"', but not in '");
                    message.extend(if side == "left" { v } else { u });
                    message.push(b'\'');
                    return Err(describe(message));
                }
            }
            return Ok(());
        }
        for i in 0..x.len() {
            let name = x.names()[i];
            self.explain_inequality(x.value(i), y.value(i))
                .context(x.pos(i), || {
                    [
                        b"while comparing attribute '",
                        rx_lang::symbol::name(name),
                        b"'",
                    ]
                    .concat()
                })?;
        }
        Ok(())
    }
}
