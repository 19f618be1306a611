//! Finding values by attribute paths, and calling functions with the arguments of the command line.

use rx_lang::symbol::{self, Symbol, known};

use crate::code::Formals;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Pos;
use crate::value::attrs::Duplicates;
use crate::value::function::FunctionView;
use crate::value::{Attrs, AttrsBuilder, Value};
use crate::vm::Vm;

/// The arguments of `--arg` and its kin, by name.
pub type AutoArgs = [(Symbol, Value)];

/// Splits `a."b.c".0` at its dots.
pub fn parse_attr_path(text: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    let mut name = Vec::new();
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'.' => names.push(std::mem::take(&mut name)),
            b'"' => loop {
                match bytes.next() {
                    Some(b'"') => break,
                    Some(&byte) => name.push(byte),
                    None => {
                        let message = [
                            b"missing closing quote in selection path '".as_slice(),
                            text,
                            b"'",
                        ];
                        return Err(Error::other(message.concat()));
                    }
                }
            },
            byte => name.push(byte),
        }
    }
    if !name.is_empty() {
        names.push(name);
    }
    Ok(names)
}

/// A name of a path that is a position in a list.
fn index(name: &[u8]) -> Option<u32> {
    let digits = !name.is_empty() && name.iter().all(u8::is_ascii_digit);
    digits
        .then(|| std::str::from_utf8(name).ok()?.parse().ok())
        .flatten()
}

/// The set pattern that a function takes next, if it does.
fn next_formals(value: Value) -> Option<&'static Formals> {
    match value.as_function()?.view() {
        FunctionView::Lambda(code, _) if code.arity == 1 => code.formals,
        FunctionView::Partial(partial) => match partial.function().view() {
            FunctionView::Lambda(code, _) if code.arity as usize == partial.len() + 1 => {
                code.formals
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whether a forced value is a function whose set pattern names this argument.
pub fn takes_argument(value: Value, name: Symbol) -> bool {
    next_formals(value).is_some_and(|formals| formals.list.iter().any(|it| it.name == name))
}

impl Vm {
    /// Calls a function of a set pattern with those of the arguments that it wants; other values stay.
    pub fn auto_call(&mut self, args: &AutoArgs, value: Value) -> Result {
        let mut value = self.force(value)?;
        while let Some(functor) = value.as_attrs().and_then(|a| a.get(known::FUNCTOR)) {
            value = self.call(functor, &[value])?;
            self.check()?;
        }
        let Some(formals) = next_formals(value) else {
            return Ok(value);
        };
        let mut given = AttrsBuilder::new(args.len());
        if formals.ellipsis {
            for &(name, value) in args {
                given.push(name, value);
            }
        } else {
            for formal in formals.list {
                match args.iter().find(|(name, _)| *name == formal.name) {
                    Some(&(name, value)) => given.push(name, value),
                    None if formal.default.is_some() => {}
                    None => return Err(no_argument(formal.name, formal.pos)),
                }
            }
        }
        let given = given.finish(&mut self.heap, Duplicates::Last);
        let result = self.call(value, &[given])?;
        self.force(result)
    }

    /// What is at an attribute path below a value, with its position. Functions on the way are called.
    pub fn find_along(
        &mut self,
        path: &[u8],
        args: &AutoArgs,
        root: Value,
    ) -> Result<(Value, Pos)> {
        let mut value = root;
        let mut pos = Pos::NONE;
        for name in parse_attr_path(path)? {
            value = self.auto_call(args, value)?;
            if let Some(index) = index(&name) {
                let Some(list) = value.as_list() else {
                    return Err(wrong_kind(path, "a list", value));
                };
                value = list.get(index as usize).ok_or_else(|| {
                    Error::other(format!(
                        "list index {index} in selection path '{}' is out of range",
                        String::from_utf8_lossy(path)
                    ))
                })?;
                pos = Pos::NONE;
            } else {
                let Some(attrs) = value.as_attrs() else {
                    return Err(wrong_kind(path, "a set", value));
                };
                if name.is_empty() {
                    let message = [
                        b"empty attribute name in selection path '".as_slice(),
                        path,
                        b"'",
                    ];
                    return Err(Error::other(message.concat()));
                }
                let symbol = symbol::intern(&name);
                value = attrs
                    .get(symbol)
                    .ok_or_else(|| self.not_found(attrs, &name, path))?;
                pos = attrs.pos(symbol);
            }
        }
        Ok((value, pos))
    }

    /// What is at an attribute path below a value, if it is there: only sets are entered, and no function is called.
    /// The names that are similar to one that is missing come as suggestions.
    pub fn find_plain(
        &mut self,
        path: &[u8],
        root: Value,
    ) -> Result<std::result::Result<(Value, Pos), Vec<Vec<u8>>>> {
        let mut value = root;
        let mut pos = Pos::NONE;
        for name in parse_attr_path(path)? {
            let Some(attrs) = self.force(value)?.as_attrs() else {
                return Ok(Err(Vec::new()));
            };
            let symbol = symbol::intern(&name);
            let Some(found) = attrs.get(symbol) else {
                let entries = attrs.entries(&mut self.heap);
                let names = entries.names().iter().map(|&n| symbol::name(n));
                return Ok(Err(crate::suggest::similar(&name, names)));
            };
            value = found;
            pos = attrs.pos(symbol);
        }
        Ok(Ok((value, pos)))
    }

    #[cold]
    fn not_found(&mut self, attrs: Attrs, name: &[u8], path: &[u8]) -> Box<Error> {
        let entries = attrs.entries(&mut self.heap);
        let names = entries.names().iter().map(|&n| symbol::name(n));
        let suggestions = crate::suggest::similar(name, names);
        let message = [
            b"attribute '".as_slice(),
            name,
            b"' in selection path '",
            path,
            b"' not found",
        ];
        Error::new(ErrorKind::MissingAttribute, message.concat()).suggest(suggestions)
    }
}

#[cold]
fn wrong_kind(path: &[u8], wanted: &str, found: Value) -> Box<Error> {
    let found = found.type_phrase();
    Error::new(
        ErrorKind::Type,
        format!(
            "the expression selected by the selection path '{}' should be {wanted} but is {found}",
            String::from_utf8_lossy(path)
        ),
    )
}

#[cold]
fn no_argument(name: Symbol, pos: Pos) -> Box<Error> {
    let message = format!(
        "cannot evaluate a function that has an argument without a value ('{name}')\n\
         Nix attempted to evaluate a function as a top level expression; in\n\
         this case it must have its arguments supplied either by default\n\
         values, or passed explicitly with '--arg' or '--argstr'. See\n\
         https://nix.dev/manual/nix/stable/language/syntax.html#functions."
    );
    Error::new(ErrorKind::Type, message).at(pos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_names_of_a_path_may_hold_dots() {
        let parse = |text: &str| parse_attr_path(text.as_bytes()).unwrap();
        assert_eq!(parse("a.b"), [b"a", b"b"]);
        assert_eq!(parse("a.\"b.c\".0"), [&b"a"[..], b"b.c", b"0"]);
        assert_eq!(parse(""), Vec::<Vec<u8>>::new());
        assert_eq!(parse("a."), [b"a"]);
        assert_eq!(parse(".a"), [&b""[..], b"a"]);
        assert!(parse_attr_path(b"a.\"b").is_err());
    }

    #[test]
    fn only_whole_numbers_are_positions() {
        assert_eq!(index(b"12"), Some(12));
        assert_eq!(index(b"1a"), None);
        assert_eq!(index(b""), None);
        assert_eq!(index(b"99999999999"), None);
    }
}
