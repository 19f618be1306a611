//! Why two values are not equal, for a failed `assert a == b`.

use rx_lang::symbol::{self, known};

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::source::Pos;
use crate::value::{Attrs, Value, View};
use crate::vm::Vm;

/// Joins pieces of a message into an error.
fn because(pieces: &[&[u8]]) -> Result<()> {
    Err(Error::new(ErrorKind::Assertion, pieces.concat()))
}

impl Vm {
    /// Fails with the first difference; succeeds when the values are equal after all.
    pub(crate) fn explain_inequality(&mut self, a: Value, b: Value) -> Result<()> {
        let (a, b) = (self.force(a)?, self.force(b)?);
        let is_number = |v: Value| matches!(v.view(), View::Int(_) | View::Float(_));
        if is_number(a) && is_number(b) {
            if self.equal(a, b)? {
                return Ok(());
            }
            return self.unlike(a, b, "with");
        }
        if std::mem::discriminant(&a.view()) != std::mem::discriminant(&b.view()) {
            return self.unlike(a, b, "of");
        }
        match (a.view(), b.view()) {
            (View::List(x), View::List(y)) if x.len() == y.len() => {
                for (i, (x, y)) in x.iter().zip(y.iter()).enumerate() {
                    if x != y {
                        self.nested(|vm| vm.explain_inequality(x, y))
                            .context(Pos::NONE, || format!("while comparing list element {i}"))?;
                    }
                }
                Ok(())
            }
            (View::List(x), View::List(y)) => {
                let sizes = format!(
                    "list of size '{}' is not equal to list of size '{}', left hand side is '",
                    x.len(),
                    y.len()
                );
                let (x, y) = (self.describe(a), self.describe(b));
                because(&[sizes.as_bytes(), &x, b"', right hand side is '", &y, b"'"])
            }
            (View::Attrs(x), View::Attrs(y)) => self.nested(|vm| vm.explain_attrs(x, y)),
            (View::Function(_), _) => because(&[
                b"distinct functions and immediate comparisons of identical functions compare as unequal",
            ]),
            _ if self.equal(a, b)? => Ok(()),
            (View::Bool(_), _) => self.different("boolean", a, b),
            (View::Str(_), _) => self.different("string", a, b),
            _ => self.different("path", a, b),
        }
    }

    /// Two values of the same type.
    fn different(&mut self, kind: &str, a: Value, b: Value) -> Result<()> {
        let (x, y) = (self.describe(a), self.describe(b));
        let kind = kind.as_bytes();
        because(&[
            kind,
            b" '",
            &x,
            b"' is not equal to ",
            kind,
            b" '",
            &y,
            b"'",
        ])
    }

    /// Two values that may be of different types.
    fn unlike(&mut self, a: Value, b: Value, preposition: &str) -> Result<()> {
        let (x, y) = (self.describe(a), self.describe(b));
        let left = format!("{} {preposition} value '", a.type_phrase());
        let right = format!(
            "' is not equal to {} {preposition} value '",
            b.type_phrase()
        );
        because(&[left.as_bytes(), &x, right.as_bytes(), &y, b"'"])
    }

    fn explain_attrs(&mut self, a: Attrs, b: Attrs) -> Result<()> {
        if self.is_derivation(a)?
            && self.is_derivation(b)?
            && let (Some(x), Some(y)) = (a.get(known::OUT_PATH), b.get(known::OUT_PATH))
        {
            return self.explain_inequality(x, y).context(
                Pos::NONE,
                || "while comparing a derivation by its 'outPath' attribute",
            );
        }
        let (x, y) = (a.entries(&mut self.heap), b.entries(&mut self.heap));
        let sets = |vm: &mut Vm| (vm.describe(a.value()), vm.describe(b.value()));
        if x.len() != y.len() {
            let (u, v) = sets(self);
            return because(&[
                b"attribute names of attribute set '",
                &u,
                b"' differs from attribute set '",
                &v,
                b"'",
            ]);
        }
        for (i, j) in x.by_symbol().into_iter().zip(y.by_symbol()) {
            let (i, j) = (i as usize, j as usize);
            let (name, other) = (x.names()[i], y.names()[j]);
            if name != other {
                let (u, v) = sets(self);
                // Of two sorted lists that differ here, one lacks what the other has.
                let (name, is, but) = match y.find(name) {
                    None => (name, "contained", "not"),
                    Some(_) => (other, "missing", "is contained"),
                };
                let (is, but) = (format!("' is {is} in '"), format!("', but {but} in '"));
                let name = symbol::name(name);
                return because(&[
                    b"attribute name '",
                    name,
                    is.as_bytes(),
                    &u,
                    but.as_bytes(),
                    &v,
                    b"'",
                ]);
            }
            if x.value(i) == y.value(j) {
                continue;
            }
            self.explain_inequality(x.value(i), y.value(j))
                .context(y.pos(j), || "where right hand side is")
                .context(x.pos(i), || "where left hand side is")
                .context(Pos::NONE, || {
                    [b"while comparing attribute '", symbol::name(name), b"'"].concat()
                })?;
        }
        Ok(())
    }
}
