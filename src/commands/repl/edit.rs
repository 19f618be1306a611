//! `:edit`: the place where something is defined, in the user's editor.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rx_eval::source::Origin;
use rx_eval::value::function::FunctionView;
use rx_eval::value::{Context, View};
use rx_eval::{Pos, Value};

use super::session::Repl;
use crate::ui::{Failure, open_editor};

/// Something to be shown in an editor.
enum Place {
    /// A file, and a line of it.
    File(PathBuf, u32),
    /// A text without a file, and a line of it.
    Text(Vec<u8>, u32),
}

impl Repl<'_> {
    /// Opens the file that an expression's value names or comes from.
    pub fn edit(&mut self, expression: &str) -> Result<(), Failure> {
        let value = self.eval(expression)?;
        match self.place_of(value, expression)? {
            Place::File(file, line) => {
                open_editor(&file, line)?;
                self.reload();
            }
            Place::Text(text, line) => {
                let mut file = tempfile::Builder::new().suffix(".nix").tempfile()?;
                file.write_all(&text)?;
                let mut permissions = file.as_file().metadata()?.permissions();
                permissions.set_readonly(true);
                file.as_file().set_permissions(permissions)?;
                open_editor(file.path(), line)?;
            }
        }
        Ok(())
    }

    fn place_of(&mut self, value: Value, expression: &str) -> Result<Place, Failure> {
        let function = match value.view() {
            View::Path(_) | View::Str(_) => {
                let mut context = Context::EMPTY;
                let what = "while evaluating the filename to edit";
                let path = self.vm.coerce_to_path(value, &mut context, Pos::NONE, what);
                let path = self.check(path)?;
                return self.place_of_path(path);
            }
            View::Function(function) => match function.view() {
                FunctionView::Lambda(code, _) => Some(code.pos),
                FunctionView::Partial(partial) => match partial.function().view() {
                    FunctionView::Lambda(code, _) => Some(code.pos_after(partial.len())),
                    _ => None,
                },
                FunctionView::Builtin(_) => None,
            },
            _ => None,
        };
        match function {
            Some(pos) => self.place_of_pos(pos),
            None => self.place_of_package(value, expression),
        }
    }

    fn place_of_path(&self, path: Vec<u8>) -> Result<Place, Failure> {
        let file = PathBuf::from(OsStr::from_bytes(&path));
        if file.exists() {
            return Ok(Place::File(file, 0));
        }
        // Files that are part of rx have no place on the disk.
        let text = self.vm.ev.io.read_file(&path);
        Ok(Place::Text(self.check(text)?, 0))
    }

    fn place_of_pos(&self, pos: Pos) -> Result<Place, Failure> {
        let Some(at) = self.vm.ev.sources.locate(pos) else {
            return Err(Failure::message("it has no place"));
        };
        Ok(match &at.source.origin {
            Origin::File(path) if path.starts_with(b"/") => {
                Place::File(PathBuf::from(OsStr::from_bytes(path)), at.line)
            }
            Origin::File(_) | Origin::Internal(_) => Place::Text(at.source.text.to_vec(), at.line),
            Origin::String | Origin::Stdin => {
                let place = String::from_utf8_lossy(&self.vm.ev.describe_pos(pos)).into_owned();
                return Err(Failure::message(format!(
                    "'{place}' cannot be shown in an editor"
                )));
            }
        })
    }

    /// Where a package says that it is defined: `meta.position`, a file and a line.
    fn place_of_package(&mut self, value: Value, expression: &str) -> Result<Place, Failure> {
        let unknown = || {
            Failure::message(format!(
                "package '{expression}' has no source location information"
            ))
        };
        let position = self.vm.find_along(b"meta.position", &[], value);
        let (position, _) = position.map_err(|_| unknown())?;
        let forced = self.vm.force(position);
        let position = self.check(forced)?.as_str().ok_or_else(unknown)?;
        let text = position.as_bytes();
        let (file, line) = match text.iter().rposition(|&byte| byte == b':') {
            Some(colon) => (&text[..colon], &text[colon + 1..]),
            None => (text, &b""[..]),
        };
        let line = std::str::from_utf8(line).ok().and_then(|l| l.parse().ok());
        match line {
            Some(line) => Ok(Place::File(OsStr::from_bytes(file).into(), line)),
            None => Err(Failure::message(format!(
                "cannot parse 'meta.position' attribute '{}'",
                String::from_utf8_lossy(text)
            ))),
        }
    }
}
