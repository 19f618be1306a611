//! `:edit`: the place where something is defined, in the user's editor.

use rx_eval::source::Origin;
use rx_eval::value::function::FunctionView;
use rx_eval::value::{Context, View};
use rx_eval::{Pos, Value};

use super::session::Repl;
use crate::eval_session::definition::{Definition, edit_text};
use crate::ui::Failure;

/// Something to be shown in an editor.
enum Place {
    /// A file, and a line of it.
    File(Definition),
    /// A text without a file, and a line of it.
    Text(Vec<u8>, u32),
}

impl Repl<'_> {
    /// Opens the file that an expression's value names or comes from.
    pub fn edit(&mut self, expression: &str) -> Result<(), Failure> {
        let value = self.eval(expression)?;
        match self.place_of(value, expression)? {
            Place::File(place) => {
                if place.edit(self.vm, || self.store())? {
                    self.reload();
                }
                Ok(())
            }
            Place::Text(text, line) => edit_text(&text, line),
        }
    }

    fn place_of(&mut self, value: Value, expression: &str) -> Result<Place, Failure> {
        let function = match value.view() {
            View::Path(_) | View::Str(_) => {
                let mut context = Context::EMPTY;
                let what = "while evaluating the filename to edit";
                let path = self.vm.coerce_to_path(value, &mut context, Pos::NONE, what);
                let file = self.check(path)?;
                return Ok(Place::File(Definition { file, line: 0 }));
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
            None => Definition::of_package(self.vm, &[], value, expression).map(Place::File),
        }
    }

    fn place_of_pos(&self, pos: Pos) -> Result<Place, Failure> {
        let Some(at) = self.vm.ev.sources.locate(pos) else {
            return Err(Failure::message("it has no place"));
        };
        Ok(match &at.source.origin {
            Origin::File(file) => Place::File(Definition {
                file: file.to_vec(),
                line: at.line,
            }),
            Origin::Internal(_) => Place::Text(at.source.text.to_vec(), at.line),
            Origin::String | Origin::Stdin => {
                let place = String::from_utf8_lossy(&self.vm.ev.describe_pos(pos)).into_owned();
                return Err(Failure::message(format!(
                    "'{place}' cannot be shown in an editor"
                )));
            }
        })
    }
}
