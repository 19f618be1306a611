//! `:doc`: what builtins, functions and attributes are for, as Markdown on the terminal.

use rx_eval::code::LambdaCode;
use rx_eval::value::View;
use rx_eval::value::function::FunctionView;
use rx_eval::{Error, Pos, Value};
use rx_lang::ast::Expr;
use rx_lang::lexer::lex;
use rx_lang::symbol::{self, known};
use rx_lang::{SyntaxKind, parse};

use super::session::Repl;
use crate::commands::doc;
use crate::ui::{self, Failure};

impl Repl<'_> {
    /// Shows what an expression's value is for.
    pub fn show_documentation(&mut self, expression: &str) -> Result<(), Failure> {
        let attribute = self.selected_attribute(expression)?;
        let value = self.eval(expression)?;
        let described = |(_, pos): &(String, Pos)| self.comment_before(*pos).is_some();
        let is_described = attribute.as_ref().is_some_and(described);
        let mut text = self.documentation(value)?;
        if text.is_none() && !is_described {
            text = self.package_documentation(value)?;
        }
        let text = match (text, attribute) {
            (Some(text), _) => text,
            (None, Some((name, pos))) => self.attribute_documentation(&name, pos),
            (None, None) => return Err(Failure::message("value does not have documentation")),
        };
        ui::print(&format!("{}\n", markdown(text.trim()).trim()))
    }

    /// The documentation of a function, or of a set that can be called.
    fn documentation(&mut self, value: Value) -> Result<Option<String>, Failure> {
        match value.view() {
            View::Function(function) => Ok(match function.view() {
                FunctionView::Builtin(builtin) => Some(doc::synopsis(builtin)),
                FunctionView::Lambda(code, _) => Some(self.lambda_documentation(code, 0)),
                FunctionView::Partial(partial) => match partial.function().view() {
                    FunctionView::Lambda(code, _) => {
                        Some(self.lambda_documentation(code, partial.len()))
                    }
                    _ => None,
                },
            }),
            View::Attrs(set) => {
                let Some(functor) = set.get(known::FUNCTOR) else {
                    return Ok(None);
                };
                // The function that is left after the set itself is what users see.
                let partial = self.apply_to_itself(functor, value);
                let partial = self.check(partial)?;
                if matches!(partial.view(), View::Attrs(other) if other.same(set)) {
                    return Ok(None);
                }
                self.deeper_documentation(partial)
            }
            _ => Ok(None),
        }
    }

    fn apply_to_itself(&mut self, functor: Value, value: Value) -> rx_eval::Result<Value> {
        self.vm
            .nested(|vm| vm.call(functor, &[value]))
            .and_then(|value| self.vm.force(value))
            .map_err(of_functor)
    }

    /// A chain of sets that call each other is followed as far as one that ends would reasonably go.
    fn deeper_documentation(&mut self, value: Value) -> Result<Option<String>, Failure> {
        let mut value = value;
        let mut pos = Pos::NONE;
        for _ in 0..1000 {
            let View::Attrs(set) = value.view() else {
                return self.documentation(value);
            };
            let Some(functor) = set.get(known::FUNCTOR) else {
                return Ok(None);
            };
            pos = set.pos(known::FUNCTOR);
            let next = self.apply_to_itself(functor, value);
            value = self.check(next)?;
        }
        let endless = Error::other("stack overflow; max-call-depth exceeded").at(pos);
        self.check(Err(of_functor(endless)))
    }

    fn lambda_documentation(&self, code: &'static LambdaCode, arguments: usize) -> String {
        let place = self.vm.ev.describe_pos(code.pos_after(arguments));
        let place = String::from_utf8_lossy(&place);
        let mut text = match code.name {
            Some(name) => {
                let name = String::from_utf8_lossy(symbol::name(name));
                format!("Function `{name}`\\\n  … defined at {place}")
            }
            None => format!("Function defined at {place}"),
        };
        let doc = code
            .doc_after(arguments)
            .and_then(|(start, end)| self.source_text(start, end))
            .map(|comment| doc::inner_text(&comment));
        if let Some(doc) = doc.filter(|doc| !doc.is_empty()) {
            text += "\n\n";
            text += &doc;
        }
        text
    }

    /// What a package says of itself.
    fn package_documentation(&mut self, value: Value) -> Result<Option<String>, Failure> {
        let is_package = self.vm.is_package(value);
        if !self.check(is_package)? {
            return Ok(None);
        }
        let name = self.text_at(value, b"name")?.unwrap_or_default();
        let mut text = format!("Package `{name}`");
        if let Some(place) = self.text_at(value, b"meta.position")? {
            text += &format!("\\\n  … defined at {place}");
        }
        for path in [
            &b"meta.description"[..],
            b"meta.longDescription",
            b"meta.homepage",
        ] {
            if let Some(said) = self.text_at(value, path)? {
                text += &format!("\n\n{}", said.trim());
            }
        }
        Ok(Some(text))
    }

    /// The text at an attribute path, if there is one.
    fn text_at(&mut self, value: Value, path: &[u8]) -> Result<Option<String>, Failure> {
        let found = self.vm.find_along(path, &[], value);
        match found.and_then(|(value, _)| self.vm.force(value)) {
            Ok(value) => Ok(value
                .as_str()
                .map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned())),
            Err(error) if error.is_passing() => self.check(Err(error)),
            Err(_) => Ok(None),
        }
    }

    fn attribute_documentation(&self, name: &str, pos: Pos) -> String {
        let place = self.vm.ev.describe_pos(pos);
        let place = String::from_utf8_lossy(&place);
        let doc = self
            .comment_before(pos)
            .map(|comment| doc::inner_text(&comment));
        let doc = doc.unwrap_or_else(|| "No documentation found.\n\n".to_owned());
        format!("Attribute `{name}`\n\n  … defined at {place}\n\n{doc}")
    }

    /// The attribute that an expression selects last, with where it is defined.
    fn selected_attribute(&mut self, expression: &str) -> Result<Option<(String, Pos)>, Failure> {
        let options = self.vm.ev.settings.syntax;
        let text = expression.as_bytes();
        let Ok(ast) = parse(text, &options) else {
            return Ok(None);
        };
        if !matches!(ast.expr(ast.root()), Expr::Select { .. }) {
            return Ok(None);
        }
        let tokens = lex(text, &options);
        let [.., dot, name, _] = tokens.list[..] else {
            return Ok(None);
        };
        if (dot.kind, name.kind) != (SyntaxKind::Dot, SyntaxKind::Ident) {
            return Ok(None);
        }
        let dot = dot.start as usize;
        let name = &expression[name.start as usize..name.end as usize];
        // What is wrong with it is told of the whole expression.
        let Ok(set) = self.eval(&expression[..dot]) else {
            return Ok(None);
        };
        let what = "while evaluating an attribute set to look for documentation";
        let set = self.vm.expect_attrs(set, Pos::NONE, what);
        let pos = self.check(set)?.pos(symbol::intern(name.as_bytes()));
        Ok((!pos.is_none()).then(|| (name.to_owned(), pos)))
    }

    fn source_text(&self, start: Pos, end: Pos) -> Option<String> {
        let at = self.vm.ev.sources.locate(start)?;
        let length = (end.0 - start.0) as usize;
        let from = at.offset as usize;
        let bytes = at.source.text.get(from..from + length)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The doc comment before the token at a position.
    fn comment_before(&self, pos: Pos) -> Option<String> {
        let at = self.vm.ev.sources.locate(pos)?;
        let tokens = lex(&at.source.text, &self.vm.ev.settings.syntax);
        let (_, doc) = tokens.docs.iter().find(|(token, _)| *token == at.offset)?;
        let bytes = at.source.text.get(doc.start as usize..doc.end as usize)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// Markdown for standard output; as it is when a test wants to see that.
fn markdown(text: &str) -> String {
    if std::env::var_os("_NIX_TEST_RAW_MARKDOWN").is_some_and(|value| value == "1") {
        return text.to_owned();
    }
    ui::render_markdown(&text.replace("\\\n", "\n"))
}

/// The error, told as one of a set that is called.
fn of_functor(error: Box<Error>) -> Box<Error> {
    let text = "while partially calling '__functor' to retrieve documentation";
    error.frame(Pos::NONE, text)
}
