//! Values as JSON: `builtins.toJSON`, structured attributes, `--json`.

use rx_lang::symbol::{self, known};

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::interp::{Coercion, CopyMode};
use crate::source::Pos;
use crate::text::json;
use crate::value::{Attrs, Context, List, Value, View};
use crate::vm::Vm;

impl Vm {
    /// Fails if anything in the value is still to be evaluated, as printing JSON without `--strict` does.
    pub fn refuse_thunks(&mut self, value: Value, pos: Pos) -> Result<()> {
        self.check()?;
        match value.peel().view() {
            View::Thunk(_) => {
                Err(Error::new(ErrorKind::Type, "cannot convert a thunk to JSON").at(pos))
            }
            View::List(list) => list
                .iter()
                .try_for_each(|element| self.deeper(|vm| vm.refuse_thunks(element, pos))),
            View::Attrs(attrs) => {
                // These are printed as strings.
                if attrs
                    .get(known::TO_STRING)
                    .or(attrs.get(known::OUT_PATH))
                    .is_some()
                {
                    return Ok(());
                }
                let entries = attrs.entries(&mut self.heap);
                for (i, (name, value)) in entries.iter().enumerate() {
                    let at = entries.pos(i);
                    self.deeper(|vm| vm.refuse_thunks(value, at))
                        .context(at, || {
                            [
                                b"while evaluating attribute '".as_slice(),
                                symbol::name(name),
                                b"'",
                            ]
                            .concat()
                        })?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Appends the value as JSON; what strings refer to goes into `context`. Evaluates all of it.
    pub fn print_json(
        &mut self,
        value: Value,
        paths: CopyMode,
        pos: Pos,
        out: &mut Vec<u8>,
        context: &mut Context,
    ) -> Result<()> {
        let value = self.force(value)?;
        match value.view() {
            View::Null => out.extend_from_slice(b"null"),
            View::Bool(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
            View::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            View::Float(f) => json::write_float(f, out),
            View::Str(text) => {
                *context = context.union(text.context());
                write_string(text.as_bytes(), out)?;
            }
            View::Path(path) => match paths {
                CopyMode::Name => write_string(path.as_bytes(), out)?,
                CopyMode::ToStore => {
                    let (name, element) = self.copy_path_to_store(path.as_bytes())?;
                    *context = context.union(element);
                    write_string(&name, out)?;
                }
            },
            View::List(list) => {
                self.nested(|vm| vm.print_json_list(list, paths, pos, out, context))?
            }
            View::Attrs(attrs) => {
                self.nested(|vm| vm.print_json_attrs(value, attrs, paths, pos, out, context))?;
            }
            View::Function(_) => {
                let message = format!("cannot convert {} to JSON", value.type_phrase());
                return Err(Error::new(ErrorKind::Type, message).at(pos));
            }
            View::Thunk(_) => {}
        }
        Ok(())
    }

    fn print_json_list(
        &mut self,
        list: List,
        paths: CopyMode,
        pos: Pos,
        out: &mut Vec<u8>,
        context: &mut Context,
    ) -> Result<()> {
        self.check()?;
        out.push(b'[');
        for (i, element) in list.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            self.print_json(element, paths, pos, out, context)
                .context(pos, || {
                    format!("while evaluating list element at index {i}")
                })?;
        }
        out.push(b']');
        Ok(())
    }

    fn print_json_attrs(
        &mut self,
        value: Value,
        attrs: Attrs,
        paths: CopyMode,
        pos: Pos,
        out: &mut Vec<u8>,
        context: &mut Context,
    ) -> Result<()> {
        self.check()?;
        if attrs.get(known::TO_STRING).is_some() {
            let mut text = Vec::new();
            // A path that the function gives stays what it is, as everywhere else where it is called.
            let mode = Coercion {
                more: false,
                paths: CopyMode::Name,
            };
            self.coerce_to_string(value, &mut text, context, mode, pos, "")?;
            return write_string(&text, out);
        }
        if let Some(path) = attrs.get(known::OUT_PATH) {
            return self.print_json(path, paths, pos, out, context);
        }
        out.push(b'{');
        let entries = attrs.entries(&mut self.heap);
        for (i, (name, value)) in entries.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_string(symbol::name(name), out)?;
            out.push(b':');
            self.print_json(value, paths, entries.pos(i).or(pos), out, context)
                .context(entries.pos(i), || {
                    [b"while evaluating attribute '", symbol::name(name), b"'"].concat()
                })?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// A string with JSON's escapes; it must be UTF-8.
pub(crate) fn write_string(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    json::write_string(bytes, out)
        .map_err(|error| Error::other(format!("JSON serialization error: {error}")))
}
