//! What a `flake.nix` says of itself. Nothing is computed for it: description, inputs and configuration are
//! written down, only the outputs are a function.

use std::collections::BTreeMap;

use rx_lang::symbol;
use rx_store::fetch::attrs::{Attr, Attrs as InputAttrs};
use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};

use super::InputPath;
use crate::builtins::fetch_failed;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::interp::CopyMode;
use crate::source::Pos;
use crate::value::function::FunctionView;
use crate::value::{Attrs, Context, Value, View};
use crate::vm::Vm;

/// An input as it is written.
#[derive(Clone, Debug)]
pub struct FlakeInput {
    /// Where it comes from.
    pub reference: Option<FlakeRef>,
    /// Whether it is a flake; else only a tree.
    pub is_flake: bool,
    /// The input that stands in for it, from the root.
    pub follows: Option<InputPath>,
    /// What is said of its own inputs.
    pub overrides: FlakeInputs,
}

impl Default for FlakeInput {
    fn default() -> Self {
        FlakeInput {
            reference: None,
            is_flake: true,
            follows: None,
            overrides: FlakeInputs::new(),
        }
    }
}

/// Inputs by name.
pub type FlakeInputs = BTreeMap<String, FlakeInput>;

/// The value of a setting in `nixConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigValue {
    /// A text, number or truth value, as settings are written.
    Word(String),
    /// A list of words.
    Words(Vec<String>),
}

impl ConfigValue {
    /// The value as in a configuration file.
    pub fn text(&self) -> String {
        match self {
            ConfigValue::Word(word) => word.clone(),
            ConfigValue::Words(words) => {
                // The reference drops empty words at the beginning.
                let words: Vec<&str> = words
                    .iter()
                    .map(String::as_str)
                    .skip_while(|word| word.is_empty())
                    .collect();
                words.join(" ")
            }
        }
    }
}

/// What is written in a `flake.nix`.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// What it is.
    pub description: Option<Vec<u8>>,
    /// What it needs.
    pub inputs: FlakeInputs,
    /// How its own tree is to be fetched (`inputs.self`).
    pub self_attrs: InputAttrs,
    /// Settings that it asks for.
    pub config: BTreeMap<String, ConfigValue>,
}

/// The value of an attribute that is written down: sets, lists and functions that nobody has looked at are made.
fn written(vm: &mut Vm, value: Value) -> Result {
    let value = value.peel();
    match value.as_thunk() {
        Some(thunk) if thunk.is_literal() => vm.force(value),
        _ => Ok(value),
    }
}

fn place(vm: &Vm, pos: Pos) -> String {
    String::from_utf8_lossy(&vm.ev.describe_pos(pos)).into_owned()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Types as the messages about flakes name them, without regard to string contexts.
fn shown_type(value: Value) -> String {
    match value.view() {
        View::Str(_) => "a string".to_owned(),
        View::Function(_) => "a function".to_owned(),
        _ => value.type_phrase().into_owned(),
    }
}

fn unexpected(vm: &Vm, wanted: &str, value: Value, pos: Pos) -> Box<Error> {
    Error::other(format!(
        "expected {wanted} but got {} at {}",
        shown_type(value),
        place(vm, pos)
    ))
}

fn expect_set(vm: &mut Vm, value: Value, pos: Pos) -> Result<Attrs> {
    let value = written(vm, value)?;
    value
        .as_attrs()
        .ok_or_else(|| unexpected(vm, "a set", value, pos))
}

fn expect_text(vm: &mut Vm, value: Value, pos: Pos) -> Result<Vec<u8>> {
    let value = written(vm, value)?;
    let text = value
        .as_str()
        .ok_or_else(|| unexpected(vm, "a string", value, pos))?;
    Ok(text.as_bytes().to_vec())
}

/// Reads the flake in a directory; `root` is where the flake is among the inputs of the root.
pub(super) fn read(vm: &mut Vm, dir: &[u8], root: &[String], shown: &FlakeRef) -> Result<Manifest> {
    let file = [dir, b"/flake.nix"].concat();
    let flake = vm.eval_set_file(&file)?;
    let mut manifest = Manifest::default();
    let find = |name: &[u8]| {
        let name = symbol::intern(name);
        flake.get(name).map(|value| (value, flake.pos(name)))
    };
    if let Some((value, at)) = find(b"description") {
        manifest.description = Some(expect_text(vm, value, at)?);
    }
    if let Some((value, at)) = find(b"inputs") {
        let dir = Dir { dir, root };
        (manifest.inputs, manifest.self_attrs) = dir.inputs(vm, value, at, true)?;
    }
    let Some((outputs, at)) = find(b"outputs") else {
        let error = Error::other(format!("flake '{shown}' lacks attribute 'outputs'"));
        let entries = flake.entries(&mut vm.heap);
        let names = entries.names().iter().map(|&name| symbol::name(name));
        return Err(error.suggest(crate::suggest::similar(b"outputs", names)));
    };
    let outputs = written(vm, outputs)?;
    let function = outputs
        .as_function()
        .ok_or_else(|| unexpected(vm, "a function", outputs, at))?;
    // Arguments that nothing is said of are looked up in the registries.
    if let FunctionView::Lambda(code, _) = function.view()
        && code.arity == 1
        && let Some(formals) = code.formals
    {
        for formal in formals.list {
            let name = lossy(symbol::name(formal.name));
            if name == "self" || manifest.inputs.contains_key(&name) {
                continue;
            }
            let reference =
                FlakeRef::parse(&name, ParseOptions::default()).map_err(fetch_failed)?;
            let input = FlakeInput {
                reference: Some(reference),
                ..FlakeInput::default()
            };
            manifest.inputs.insert(name, input);
        }
    }
    if let Some((value, at)) = find(b"nixConfig") {
        manifest.config = config(vm, value, at)?;
    }
    let entries = flake.entries(&mut vm.heap);
    for (i, (name, _)) in entries.iter().enumerate() {
        let name = symbol::name(name);
        if !matches!(name, b"description" | b"inputs" | b"outputs" | b"nixConfig") {
            return Err(Error::other(format!(
                "flake '{shown}' has an unsupported attribute '{}', at {}",
                lossy(name),
                place(vm, entries.pos(i))
            )));
        }
    }
    Ok(manifest)
}

fn config(vm: &mut Vm, value: Value, pos: Pos) -> Result<BTreeMap<String, ConfigValue>> {
    let set = expect_set(vm, value, pos)?;
    let entries = set.entries(&mut vm.heap);
    let mut config = BTreeMap::new();
    for (i, (name, value)) in entries.iter().enumerate() {
        let name = lossy(symbol::name(name));
        let value = written(vm, value)?;
        let of_kind = |value: Value| {
            Error::new(
                ErrorKind::Type,
                format!(
                    "flake configuration setting '{name}' is {}",
                    value.type_phrase()
                ),
            )
        };
        let setting = match value.view() {
            View::Str(_) => {
                ConfigValue::Word(lossy(vm.expect_plain_str(value, entries.pos(i), "")?))
            }
            View::Path(path) => {
                ConfigValue::Word(lossy(&vm.copy_path_to_store(path.as_bytes())?.0))
            }
            View::Int(number) => ConfigValue::Word(number.to_string()),
            View::Bool(flag) => ConfigValue::Word(flag.to_string()),
            View::List(list) => {
                let mut words = Vec::new();
                for element in list.iter() {
                    let element = element.peel();
                    if element.as_str().is_none() {
                        return Err(Error::new(
                            ErrorKind::Type,
                            format!(
                                "list element in flake configuration setting '{name}' is {} while a string is expected",
                                value.type_phrase()
                            ),
                        ));
                    }
                    words.push(lossy(vm.expect_plain_str(element, entries.pos(i), "")?));
                }
                ConfigValue::Words(words)
            }
            _ => return Err(of_kind(value)),
        };
        config.insert(name, setting);
    }
    Ok(config)
}

/// The flake whose inputs are read.
struct Dir<'a> {
    /// Its directory.
    dir: &'a [u8],
    /// Where it is among the inputs of the root.
    root: &'a [String],
}

impl Dir<'_> {
    fn inputs(
        &self,
        vm: &mut Vm,
        value: Value,
        pos: Pos,
        with_self: bool,
    ) -> Result<(FlakeInputs, InputAttrs)> {
        let set = expect_set(vm, value, pos)?;
        let mut inputs = FlakeInputs::new();
        let mut self_attrs = InputAttrs::new();
        let entries = set.entries(&mut vm.heap);
        for (i, (name, value)) in entries.iter().enumerate() {
            let at = entries.pos(i);
            let name = lossy(symbol::name(name));
            if name == "self" {
                if !with_self {
                    let place = place(vm, at);
                    return Err(Error::other(format!(
                        "'self' input attribute not allowed at {place}"
                    )));
                }
                let set = expect_set(vm, value, at)?;
                let entries = set.entries(&mut vm.heap);
                for (i, (name, value)) in entries.iter().enumerate() {
                    let name = lossy(symbol::name(name));
                    plain_attribute(vm, &name, value.peel(), entries.pos(i), &mut self_attrs)?;
                }
                continue;
            }
            let input = vm.deeper(|vm| self.input(vm, value, at))?;
            inputs.insert(name, input);
        }
        Ok((inputs, self_attrs))
    }

    fn input(&self, vm: &mut Vm, value: Value, pos: Pos) -> Result<FlakeInput> {
        vm.check()?;
        let set = expect_set(vm, value, pos)?;
        let mut input = FlakeInput::default();
        let mut attrs = InputAttrs::new();
        let entries = set.entries(&mut vm.heap);
        for (i, (name, value)) in entries.iter().enumerate() {
            let at = entries.pos(i);
            let name = lossy(symbol::name(name));
            self.attribute(vm, &name, value, at, &mut input, &mut attrs)
                .context(at, || format!("while evaluating flake attribute '{name}'"))?;
        }
        if attrs.has("type") {
            let reference = FlakeRef::from_attrs(attrs).map_err(fetch_failed);
            input.reference =
                Some(reference.context(pos, || "while evaluating flake input".to_owned())?);
        } else {
            let url = attrs.remove("url");
            if let Some((other, _)) = attrs.0.first_key_value() {
                let place = place(vm, pos);
                return Err(Error::other(format!(
                    "unexpected flake input attribute '{other}', at {place}"
                )));
            }
            if let Some(Attr::Str(url)) = url {
                let options = ParseOptions {
                    base: None,
                    allow_missing: true,
                    is_flake: input.is_flake,
                    keep_relative: true,
                };
                input.reference = Some(FlakeRef::parse(&url, options).map_err(fetch_failed)?);
            }
        }
        if input.reference.is_some() && input.follows.is_some() {
            let place = place(vm, pos);
            return Err(Error::other(format!(
                "flake input has both a flake reference and a follows attribute, at {place}"
            )));
        }
        Ok(input)
    }

    fn attribute(
        &self,
        vm: &mut Vm,
        name: &str,
        value: Value,
        at: Pos,
        input: &mut FlakeInput,
        attrs: &mut InputAttrs,
    ) -> Result<()> {
        match name {
            "url" => {
                let value = written(vm, value)?;
                let url = match value.view() {
                    View::Str(text) => lossy(text.as_bytes()),
                    View::Path(path) => format!("path:{}", relative(self.dir, path.as_bytes())),
                    _ => {
                        let place = place(vm, at);
                        return Err(Error::other(format!(
                            "expected a string or a path but got {} at {place}",
                            shown_type(value)
                        )));
                    }
                };
                attrs.set("url", url);
            }
            "flake" => {
                let value = written(vm, value)?;
                input.is_flake = value
                    .as_bool()
                    .ok_or_else(|| unexpected(vm, "a Boolean", value, at))?;
            }
            "inputs" => input.overrides = self.inputs(vm, value, at, false)?.0,
            "follows" => {
                let text = lossy(&expect_text(vm, value, at)?);
                let mut path = self.root.to_vec();
                path.extend(input_path(&text)?);
                input.follows = Some(path);
            }
            _ => plain_attribute(vm, name, value.peel(), at, attrs)?,
        }
        Ok(())
    }
}

/// Reads `a/b/c`.
pub fn input_path(text: &str) -> Result<InputPath> {
    let names = text.split('/').filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut bytes = name.bytes();
            let good = bytes.next().is_some_and(|c| c.is_ascii_alphabetic())
                && bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
            if good {
                return Ok(name.to_owned());
            }
            Err(Error::other(format!(
                "invalid flake input attribute path element '{name}'"
            )))
        })
        .collect()
}

/// A path as seen from a directory.
fn relative(dir: &[u8], path: &[u8]) -> String {
    let parts = |path: &[u8]| -> Vec<Vec<u8>> {
        path.split(|&b| b == b'/')
            .filter(|part| !part.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    };
    let (from, to) = (parts(dir), parts(path));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut names = vec![b"..".to_vec(); from.len() - common];
    names.extend(to[common..].iter().cloned());
    match names.is_empty() {
        true => ".".to_owned(),
        false => lossy(&names.join(&b'/')),
    }
}

fn plain_attribute(
    vm: &mut Vm,
    name: &str,
    value: Value,
    at: Pos,
    attrs: &mut InputAttrs,
) -> Result<()> {
    match value.view() {
        View::Str(text) => attrs.set(name, lossy(text.as_bytes())),
        View::Bool(flag) => attrs.set(name, flag),
        View::Int(number) => {
            let number = u64::try_from(number).map_err(|_| {
                Error::other(format!(
                    "negative value given for flake input attribute {name}: {number}"
                ))
            })?;
            attrs.set(name, number);
        }
        _ if name == "publicKeys" => {
            crate::builtins::require_feature(vm, "verified-fetches")?;
            let mut json = Vec::new();
            vm.print_json(
                value,
                CopyMode::ToStore,
                at,
                &mut json,
                &mut Context::EMPTY.clone(),
            )?;
            attrs.set(name, lossy(&json));
        }
        _ => {
            return Err(Error::new(
                ErrorKind::Type,
                format!(
                    "flake input attribute '{name}' is {} while a string, Boolean, or integer is expected",
                    value.type_phrase()
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_inputs_are_seen_from_the_flake() {
        for (dir, path, want) in [
            ("/a/b", "/a/b/c", "c"),
            ("/a/b", "/a/b", "."),
            ("/a/b", "/a/c/d", "../c/d"),
            ("/a/b/c", "/x", "../../../x"),
        ] {
            assert_eq!(relative(dir.as_bytes(), path.as_bytes()), want);
        }
    }

    #[test]
    fn names_of_inputs_are_identifiers() {
        assert_eq!(input_path("a/b-c//d").unwrap(), ["a", "b-c", "d"]);
        assert!(input_path("a/1b").is_err());
        assert!(input_path("").unwrap().is_empty());
    }
}
