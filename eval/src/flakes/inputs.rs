//! What a `flake.nix` says of its inputs. Nothing is evaluated for it: a flake's inputs are written down.

use std::collections::BTreeMap;

use rx_lang::symbol;
use rx_store::fetch::attrs::{Attr, Attrs as InputAttrs};
use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};

use super::InputPath;
use crate::builtins::fetch_failed;
use crate::error::{Context as _, Error, Result};
use crate::source::Pos;
use crate::value::function::FunctionView;
use crate::value::{Attrs, Value, View};
use crate::vm::Vm;

/// An input as it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct FlakeInput {
    /// Where it comes from.
    pub reference: Option<FlakeRef>,
    /// Whether it is a flake; else only a tree.
    pub is_flake: bool,
    /// The input that stands in for it, from the root.
    pub follows: Option<InputPath>,
    /// What is said of its own inputs.
    pub overrides: FlakeInputs,
}

/// Inputs by name.
pub(super) type FlakeInputs = BTreeMap<String, FlakeInput>;

/// The type of a value that has not been evaluated, as messages name it.
fn shown_type(value: Value) -> std::borrow::Cow<'static, str> {
    value.peel().type_phrase()
}

/// Checks that a value is written down as what `wanted` names.
fn expect<T>(vm: &Vm, wanted: &str, value: Value, found: Option<T>, pos: Pos) -> Result<T> {
    found.ok_or_else(|| {
        let place = vm.ev.describe_pos(pos);
        Error::other(format!(
            "expected {wanted} but got {} at {}",
            shown_type(value),
            String::from_utf8_lossy(&place)
        ))
    })
}

/// Reads the inputs of the flake in a directory; `root` is where the flake is among the inputs of the root.
pub(super) fn read(
    vm: &mut Vm,
    dir: &[u8],
    root: &[String],
    shown: &FlakeRef,
) -> Result<FlakeInputs> {
    let file = [dir, b"/flake.nix"].concat();
    let value = vm.eval_file(&file)?;
    let Some(flake) = value.as_attrs() else {
        let file = String::from_utf8_lossy(&file);
        return Err(Error::other(format!(
            "file '{file}' must be an attribute set"
        )));
    };
    let mut inputs = FlakeInputs::new();
    let entries = flake.entries(&mut vm.heap);
    let mut outputs = None;
    for (i, (name, value)) in entries.iter().enumerate() {
        let at = entries.pos(i);
        match symbol::name(name) {
            b"inputs" => {
                let set = expect(vm, "a set", value, value.peel().as_attrs(), at)?;
                inputs = read_inputs(vm, set, root, true)?;
            }
            b"outputs" => {
                outputs = Some(expect(
                    vm,
                    "a function",
                    value,
                    value.peel().as_function(),
                    at,
                )?);
            }
            b"description" => {
                expect(vm, "a string", value, value.peel().as_str(), at)?;
            }
            b"nixConfig" => {}
            other => {
                let place = vm.ev.describe_pos(at);
                return Err(Error::other(format!(
                    "flake '{shown}' has an unsupported attribute '{}', at {}",
                    String::from_utf8_lossy(other),
                    String::from_utf8_lossy(&place)
                )));
            }
        }
    }
    let Some(outputs) = outputs else {
        return Err(Error::other(format!(
            "flake '{shown}' lacks attribute 'outputs'"
        )));
    };
    // Arguments that nothing is said of are looked up in the registries.
    if let FunctionView::Lambda(code, _) = outputs.view()
        && code.arity == 1
        && let Some(formals) = code.formals
    {
        for formal in formals.list {
            let name = String::from_utf8_lossy(symbol::name(formal.name)).into_owned();
            if name == "self" || inputs.contains_key(&name) {
                continue;
            }
            let reference =
                FlakeRef::parse(&name, ParseOptions::default()).map_err(fetch_failed)?;
            let input = FlakeInput {
                reference: Some(reference),
                is_flake: true,
                ..FlakeInput::default()
            };
            inputs.insert(name, input);
        }
    }
    Ok(inputs)
}

fn read_inputs(vm: &mut Vm, set: Attrs, root: &[String], with_self: bool) -> Result<FlakeInputs> {
    let mut inputs = FlakeInputs::new();
    let entries = set.entries(&mut vm.heap);
    for (i, (name, value)) in entries.iter().enumerate() {
        let at = entries.pos(i);
        let name = String::from_utf8_lossy(symbol::name(name)).into_owned();
        if name == "self" {
            if !with_self {
                let place = vm.ev.describe_pos(at);
                let place = String::from_utf8_lossy(&place);
                return Err(Error::other(format!(
                    "'self' input attribute not allowed at {place}"
                )));
            }
            continue;
        }
        let set = expect(vm, "a set", value, value.peel().as_attrs(), at)?;
        let input = vm.deeper(|vm| read_input(vm, set, at, root))?;
        inputs.insert(name, input);
    }
    Ok(inputs)
}

fn read_input(vm: &mut Vm, set: Attrs, pos: Pos, root: &[String]) -> Result<FlakeInput> {
    vm.check()?;
    let mut input = FlakeInput {
        is_flake: true,
        ..FlakeInput::default()
    };
    let mut attrs = InputAttrs::new();
    let entries = set.entries(&mut vm.heap);
    for (i, (name, value)) in entries.iter().enumerate() {
        let at = entries.pos(i);
        let name = String::from_utf8_lossy(symbol::name(name)).into_owned();
        read_attribute(vm, &name, value.peel(), at, root, &mut input, &mut attrs)
            .context(at, || format!("while evaluating flake attribute '{name}'"))?;
    }
    let place = |vm: &Vm| String::from_utf8_lossy(&vm.ev.describe_pos(pos)).into_owned();
    if attrs.has("type") {
        input.reference = Some(FlakeRef::from_attrs(attrs).map_err(fetch_failed)?);
    } else if let Some(url) = attrs.remove("url") {
        if let (Some((other, _)), _) = (attrs.0.first_key_value(), &url) {
            let place = place(vm);
            return Err(Error::other(format!(
                "unexpected flake input attribute '{other}', at {place}"
            )));
        }
        if let Attr::Str(url) = url {
            let options = ParseOptions {
                base: None,
                allow_missing: true,
                is_flake: input.is_flake,
                keep_relative: true,
            };
            input.reference = Some(FlakeRef::parse(&url, options).map_err(fetch_failed)?);
        }
    } else if let Some((other, _)) = attrs.0.first_key_value() {
        let place = place(vm);
        return Err(Error::other(format!(
            "unexpected flake input attribute '{other}', at {place}"
        )));
    }
    if input.reference.is_some() && input.follows.is_some() {
        let place = place(vm);
        return Err(Error::other(format!(
            "flake input has both a flake reference and a follows attribute, at {place}"
        )));
    }
    Ok(input)
}

fn read_attribute(
    vm: &mut Vm,
    name: &str,
    value: Value,
    at: Pos,
    root: &[String],
    input: &mut FlakeInput,
    attrs: &mut InputAttrs,
) -> Result<()> {
    match name {
        "flake" => input.is_flake = expect(vm, "a Boolean", value, value.as_bool(), at)?,
        "inputs" => {
            let set = expect(vm, "a set", value, value.as_attrs(), at)?;
            input.overrides = read_inputs(vm, set, root, false)?;
        }
        "follows" => {
            let text = expect(vm, "a string", value, value.as_str(), at)?;
            let text = String::from_utf8_lossy(text.as_bytes());
            let mut path = root.to_vec();
            path.extend(
                text.split('/')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
            );
            input.follows = Some(path);
        }
        _ => match value.view() {
            View::Str(text) => {
                attrs.set(name, String::from_utf8_lossy(text.as_bytes()).into_owned())
            }
            View::Bool(flag) => attrs.set(name, flag),
            View::Int(number) => {
                let number = u64::try_from(number).map_err(|_| {
                    Error::other(format!(
                        "negative value given for flake input attribute {name}: {number}"
                    ))
                })?;
                attrs.set(name, number);
            }
            _ => {
                return Err(Error::other(format!(
                    "flake input attribute '{name}' is {} while a string, Boolean, or integer is expected",
                    shown_type(value)
                )));
            }
        },
    }
    Ok(())
}
