//! Values as strings: what interpolation, `toString`, derivation attributes and `+` have in common.

use rx_lang::symbol::known;

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::source::Pos;
use crate::value::{Context, List, Value, View};
use crate::vm::Vm;

/// What happens to a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyMode {
    /// It is copied to the store, and the store path is what comes out.
    ToStore,
    /// Its name comes out.
    Name,
}

/// What may become a string, and how.
#[derive(Clone, Copy, Debug)]
pub struct Coercion {
    /// Numbers, booleans, null and lists too (`toString`, derivation attributes).
    pub more: bool,
    /// What happens to a path.
    pub paths: CopyMode,
}

impl Coercion {
    /// Strings, paths and sets that say what they are, as in `"${…}"` (`copy`: paths are copied to the store).
    pub const fn segment(copy: bool) -> Coercion {
        Coercion {
            more: false,
            paths: if copy {
                CopyMode::ToStore
            } else {
                CopyMode::Name
            },
        }
    }

    /// As `toString` does.
    pub const TO_STRING: Coercion = Coercion {
        more: true,
        paths: CopyMode::Name,
    };
    /// As attributes of derivations are.
    pub const DERIVATION: Coercion = Coercion {
        more: true,
        paths: CopyMode::ToStore,
    };
}

impl Vm {
    /// Appends the value as a string to `out` and its context to `context`. `what` says for errors what it is for.
    pub fn coerce_to_string(
        &mut self,
        value: Value,
        out: &mut Vec<u8>,
        context: &mut Context,
        mode: Coercion,
        pos: Pos,
        what: &str,
    ) -> Result<()> {
        let value = self.force(value)?;
        match value.view() {
            View::Str(text) => {
                *context = context.union(text.context());
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            View::Path(path) => {
                match mode.paths {
                    CopyMode::Name => out.extend_from_slice(path.as_bytes()),
                    CopyMode::ToStore => {
                        let (name, element) = self
                            .copy_path_to_store(path.as_bytes())
                            .map_err(|e| e.at(pos))?;
                        out.extend_from_slice(&name);
                        *context = context.union(element);
                    }
                }
                Ok(())
            }
            View::Attrs(attrs) => self.nested(|vm| {
                vm.check()?;
                if let Some(to_string) = attrs.get(known::TO_STRING) {
                    let text = vm.call(to_string, &[value])?;
                    return vm
                        .coerce_to_string(text, out, context, mode, pos, what)
                        .context(
                            pos,
                            || "while evaluating the result of the `__toString` attribute",
                        );
                }
                match attrs.get(known::OUT_PATH) {
                    Some(path) => vm.coerce_to_string(path, out, context, mode, pos, what),
                    None => Err(vm.cannot_coerce(value, pos, what)),
                }
            }),
            View::Bool(b) if mode.more => {
                out.extend_from_slice(if b { b"1" } else { b"" });
                Ok(())
            }
            View::Int(n) if mode.more => {
                out.extend_from_slice(n.to_string().as_bytes());
                Ok(())
            }
            View::Float(f) if mode.more => {
                let text = match f.is_nan() {
                    true => crate::print::float(f),
                    false => format!("{f:.6}"),
                };
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            View::Null if mode.more => Ok(()),
            View::List(list) if mode.more => {
                self.nested(|vm| vm.coerce_list(list, out, context, mode, pos, what))
            }
            _ => Err(self.cannot_coerce(value, pos, what)),
        }
    }

    fn coerce_list(
        &mut self,
        list: List,
        out: &mut Vec<u8>,
        context: &mut Context,
        mode: Coercion,
        pos: Pos,
        what: &str,
    ) -> Result<()> {
        self.check()?;
        for (i, element) in list.iter().enumerate() {
            self.coerce_to_string(element, out, context, mode, pos, what)
                .context(pos, || "while evaluating one element of the list")?;
            // A space follows an element unless that is an empty list or the last one. An element that comes out as
            // the empty string is followed by one too.
            let is_empty_list = self.force(element)?.as_list().is_some_and(List::is_empty);
            if i + 1 < list.len() && !is_empty_list {
                out.push(b' ');
            }
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn cannot_coerce(&mut self, value: Value, pos: Pos, what: &str) -> Box<Error> {
        let shown = self.describe(value);
        let mut message =
            format!("cannot coerce {} to a string: ", value.type_phrase()).into_bytes();
        message.extend(shown);
        let error = Error::new(ErrorKind::Type, message).at(pos);
        if what.is_empty() {
            error
        } else {
            error.frame(pos, what)
        }
    }

    /// The value as a string with its context.
    pub fn to_text(
        &mut self,
        value: Value,
        mode: Coercion,
        pos: Pos,
        what: &str,
    ) -> Result<(Vec<u8>, Context)> {
        let mut text = Vec::new();
        let mut context = Context::EMPTY;
        self.coerce_to_string(value, &mut text, &mut context, mode, pos, what)?;
        Ok((text, context))
    }
}
