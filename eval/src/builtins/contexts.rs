//! String contexts.

use std::collections::BTreeMap;

use rx_lang::symbol::{self, known};

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, Result};
use crate::interp::Coercion;
use crate::source::Pos;
use crate::value::attrs::Duplicates;
use crate::value::{AttrsBuilder, Context, ContextElement, Str, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!("addDrvOutputDependencies", ["s"], add_drv_output_dependencies, "`s` with a context that speaks of the derivation with all its outputs instead of the derivation's file alone.", strict: 1),
    builtin!("appendContext", ["s", "context"], append_context, "`s` with more context, given as `getContext` describes it.", strict: 1),
    builtin!("getContext", ["s"], get_context, "What the context of the string `s` names: a set of store paths, each with what of it is meant (`path`, `allOutputs`, `outputs`).", strict: 1),
    builtin!("hasContext", ["s"], has_context, "Whether the string `s` speaks of store paths.", strict: 1),
    builtin!("unsafeDiscardOutputDependency", ["s"], unsafe_discard_output_dependency, "`s` with a context that speaks of the derivation's file alone instead of the derivation with all its outputs.", strict: 1),
    builtin!("unsafeDiscardStringContext", ["s"], unsafe_discard_string_context, "`s` without its context.", strict: 1),
];

fn has_context(vm: &mut Vm, args: &[Value]) -> Result {
    let what = "while evaluating the argument passed to builtins.hasContext";
    let text = vm.expect_str(args[0], vm.call_pos, what)?;
    Ok(Value::bool(!text.context().is_empty()))
}

fn unsafe_discard_string_context(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the argument passed to builtins.unsafeDiscardStringContext";
    let value = vm.force(args[0])?;
    let (text, context) = vm.text(value, Coercion::segment(true), pos, what)?;
    if context.is_empty() && value.as_str().is_some() {
        return Ok(value);
    }
    Ok(vm.str(&text))
}

fn unsafe_discard_output_dependency(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the argument passed to builtins.unsafeDiscardOutputDependency";
    let value = vm.force(args[0])?;
    let (text, context) = vm.text(value, Coercion::segment(true), pos, what)?;
    let elements = context.elements().iter().map(|&element| match element {
        ContextElement::DrvDeep(path) => ContextElement::Opaque(path.clone()),
        other => other.clone(),
    });
    let context = Context::from_elements(elements);
    Ok(Str::with_context(&mut vm.heap, &text, context))
}

fn add_drv_output_dependencies(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the argument passed to builtins.addDrvOutputDependencies";
    let value = vm.force(args[0])?;
    let (text, context) = vm.text(value, Coercion::segment(true), pos, what)?;
    let element = match context.elements() {
        [only] => *only,
        elements => {
            let count = elements.len();
            let mut message = b"context of string '".to_vec();
            message.extend_from_slice(&text);
            message
                .extend(format!("' must have exactly one element, but has {count}").into_bytes());
            return Err(Error::other(message).at(pos));
        }
    };
    let path = match element {
        ContextElement::DrvDeep(path) => path,
        ContextElement::Opaque(path) if path.ends_with(b".drv") => path,
        ContextElement::Opaque(path) => {
            let message = [b"path '", &**path, b"' is not a derivation"].concat();
            return Err(Error::other(message).at(pos));
        }
        ContextElement::Built { output, .. } => {
            let message = [
                b"`addDrvOutputDependencies` can only act on derivations, not on a derivation output such as '",
                &**output,
                b"'",
            ]
            .concat();
            return Err(Error::other(message).at(pos));
        }
    };
    let context = Context::of(ContextElement::DrvDeep(path.clone()));
    Ok(Str::with_context(&mut vm.heap, &text, context))
}

/// What a context says of one store path.
#[derive(Default)]
struct Mentions<'a> {
    path: bool,
    all_outputs: bool,
    outputs: Vec<&'a [u8]>,
}

fn get_context(vm: &mut Vm, args: &[Value]) -> Result {
    let what = "while evaluating the argument passed to builtins.getContext";
    let text = vm.expect_str(args[0], vm.call_pos, what)?;
    let mut paths = BTreeMap::<Vec<u8>, Mentions<'_>>::new();
    for element in text.context().elements() {
        let path = match element {
            ContextElement::Built { drv, .. } => vm.built_derivation(drv)?,
            _ => element.store_path().to_vec(),
        };
        let mentions = paths.entry(path).or_default();
        match element {
            ContextElement::Opaque(_) => mentions.path = true,
            ContextElement::DrvDeep(_) => mentions.all_outputs = true,
            ContextElement::Built { output, .. } => mentions.outputs.push(output),
        }
    }
    let mut set = AttrsBuilder::new(paths.len());
    for (path, mentions) in paths {
        let mut info = AttrsBuilder::new(3);
        if mentions.all_outputs {
            info.push(symbol::intern(b"allOutputs"), Value::TRUE);
        }
        if !mentions.outputs.is_empty() {
            let outputs = mentions
                .outputs
                .iter()
                .map(|output| vm.str(output))
                .collect::<Vec<_>>();
            info.push(known::OUTPUTS, vm.list(&outputs));
        }
        if mentions.path {
            info.push(known::PATH, Value::TRUE);
        }
        let info = info.finish(&mut vm.heap, Duplicates::Last);
        set.push(symbol::intern(&path), info);
    }
    Ok(set.finish(&mut vm.heap, Duplicates::Last))
}

fn append_context(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.appendContext";
    let text = vm.expect_str(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.appendContext";
    let entries = vm.expect_attrs(args[1], pos, what)?.entries(&mut vm.heap);
    let mut elements = text
        .context()
        .elements()
        .iter()
        .map(|&e| e.clone())
        .collect::<Vec<_>>();
    for (name, at, info) in entries.as_met() {
        mentioned(vm, symbol::name(name), info, at, &mut elements)?;
    }
    let context = Context::from_elements(elements);
    Ok(Str::with_context(&mut vm.heap, text.as_bytes(), context))
}

/// Adds what one attribute of `appendContext`'s set says.
fn mentioned(
    vm: &mut Vm,
    path: &[u8],
    info: Value,
    pos: Pos,
    elements: &mut Vec<ContextElement>,
) -> Result<()> {
    let complain = |before: &str, after: &str| {
        let mut message = before.as_bytes().to_vec();
        crate::print::quote::attr_name(path, &mut message);
        message.extend_from_slice(after.as_bytes());
        Error::other(message).at(pos)
    };
    if !is_store_path(&vm.ev.settings.store_dir, path) {
        return Err(complain("context key '", "' is not a store path"));
    }
    let is_derivation = path.ends_with(b".drv");
    let info = vm.expect_attrs(info, pos, "while evaluating the value of a string context")?;
    if let Some(flag) = info.get(known::PATH) {
        let what = "while evaluating the `path` attribute of a string context";
        if vm.expect_bool(flag, info.pos(known::PATH), what)? {
            elements.push(ContextElement::Opaque(path.into()));
        }
    }
    let all_outputs = symbol::intern(b"allOutputs");
    if let Some(flag) = info.get(all_outputs) {
        let what = "while evaluating the `allOutputs` attribute of a string context";
        if vm.expect_bool(flag, info.pos(all_outputs), what)? {
            if !is_derivation {
                return Err(complain(
                    "tried to add all-outputs context of ",
                    ", which is not a derivation, to a string",
                ));
            }
            elements.push(ContextElement::DrvDeep(path.into()));
        }
    }
    if let Some(outputs) = info.get(known::OUTPUTS) {
        let pos = info.pos(known::OUTPUTS);
        let what = "while evaluating the `outputs` attribute of a string context";
        let outputs = vm.expect_list(outputs, pos, what)?;
        if !outputs.is_empty() && !is_derivation {
            return Err(complain(
                "tried to add derivation output context of ",
                ", which is not a derivation, to a string",
            ));
        }
        for output in outputs.iter() {
            let what = "while evaluating an output name within a string context";
            let output = vm.expect_plain_str(output, pos, what)?;
            elements.push(ContextElement::Built {
                drv: Box::new(ContextElement::Opaque(path.into())),
                output: output.into(),
            });
        }
    }
    Ok(())
}

/// Whether `path` is directly in the store and has the form of what lies there.
fn is_store_path(store_dir: &[u8], path: &[u8]) -> bool {
    path.strip_prefix(store_dir)
        .and_then(|rest| rest.strip_prefix(b"/"))
        .is_some_and(|name| rx_store::path::StorePath::parse(name).is_ok())
}
