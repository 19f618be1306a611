//! Flakes as evaluation sees them: `builtins.getFlake`.
//!
//! A flake is a source tree with a `flake.nix`, which names other trees as inputs. [`inputs`] reads what it
//! names, [`lock_file`] what `flake.lock` says of them, [`graph`] brings both together: every input with the exact
//! tree that it stands for. `stdlib/call-flake.nix` makes values of the graph; trees are only fetched
//! when something of them is looked at.

mod graph;
mod inputs;
mod lock_file;

use std::path::Path;

use rx_lang::symbol;
use rx_store::fetch::attrs::Attrs as InputAttrs;
use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};
use rx_store::fetch::input::{Fetched, Input};
use rx_store::fetch::registry::{self, Use};

use crate::builtins::{Builtin, builtin, fetch_failed, store_object, tree_value};
use crate::error::{Error, Result};
use crate::source::{Origin, Pos};
use crate::value::attrs::Duplicates;
use crate::value::{AttrsBuilder, Function, Value};
use crate::vm::Vm;
use graph::{Edge, Graph, Tree};

/// An attribute path of inputs, from the flake at the root: `["nixpkgs", "systems"]`.
pub(crate) type InputPath = Vec<String>;

/// Not in the table of builtins: what the graph's values fetch their trees with.
static FETCH_LOCKED: Builtin = builtin!("fetchFinalTree", ["input"], fetch_locked, "");

/// Calls the flake that a reference names.
pub(crate) fn get_flake(vm: &mut Vm, text: &str, pos: Pos) -> Result {
    let options = ParseOptions {
        allow_missing: true,
        ..ParseOptions::default()
    };
    let reference = FlakeRef::parse(text, options).map_err(fetch_failed)?;
    let trusted = vm.fetcher()?.settings().trust_tarballs_from_git_forges;
    if vm.ev.settings.pure && !reference.input.is_locked(trusted) {
        let place = vm.ev.describe_pos(pos);
        return Err(Error::other(format!(
            "cannot call 'getFlake' on unlocked flake reference '{text}', at {} (use --impure to override)",
            String::from_utf8_lossy(&place)
        )));
    }
    let graph = Graph::of(vm, &reference)?;
    call(vm, &graph)
}

/// Fetches the tree of a reference, whose name registries may explain.
fn fetch_tree_of(vm: &mut Vm, reference: &FlakeRef, which: Use) -> Result<(Fetched, String)> {
    let mut input = reference.input.clone();
    let mut subdir = reference.subdir.clone();
    if !input.is_direct() && which != Use::No {
        let fetcher = vm.fetcher()?;
        let registries = registry::registries(fetcher).map_err(fetch_failed)?;
        let (found, extra) = registry::lookup(&input, &registries, which).map_err(fetch_failed)?;
        input = found;
        if let Ok(Some(dir)) = extra.str_opt("dir") {
            dir.clone_into(&mut subdir);
        }
    }
    let url = input.to_url().map_err(fetch_failed)?.to_string();
    vm.ev.io.check_uri(&url)?;
    let fetched = vm.fetch_input(&input)?;
    Ok((fetched, subdir))
}

/// The graph as values, and the value of its root.
fn call(vm: &mut Vm, graph: &Graph) -> Result {
    let mut nodes = AttrsBuilder::new(graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        let mut inputs = AttrsBuilder::new(node.inputs.len());
        for (name, edge) in &node.inputs {
            let target = match edge {
                Edge::Node(target) => *target,
                Edge::Follows(path) => graph.find(path)?,
            };
            let key = vm.str(target.to_string().as_bytes());
            inputs.push(symbol::intern(name.as_bytes()), key);
        }
        let inputs = inputs.finish(&mut vm.heap, Duplicates::Last);
        let mut set = AttrsBuilder::new(6);
        set.push(symbol::intern(b"inputs"), inputs);
        set.push(symbol::intern(b"flake"), Value::bool(node.is_flake));
        let dir = vm.str(node.locked.subdir.as_bytes());
        set.push(symbol::intern(b"dir"), dir);
        let later = i > 0 && matches!(node.tree, Tree::Later);
        if let Some(relative) = node.locked.input.relative_path().filter(|_| later) {
            let parent = graph.find(node.parent.as_deref().unwrap_or_default())?;
            let parent = vm.str(parent.to_string().as_bytes());
            set.push(symbol::intern(b"parent"), parent);
            let relative = vm.str(relative.as_os_str().as_encoded_bytes());
            set.push(symbol::intern(b"relative"), relative);
        }
        let source = source_value(vm, &node.tree, &node.locked)?;
        set.push(symbol::intern(b"source"), source);
        let set = set.finish(&mut vm.heap, Duplicates::Last);
        nodes.push(symbol::intern(i.to_string().as_bytes()), set);
    }
    let nodes = nodes.finish(&mut vm.heap, Duplicates::Last);
    let text = include_bytes!("../../../stdlib/call-flake.nix");
    let function = vm.eval_text(Origin::Internal("call-flake.nix"), text, b"/")?;
    vm.call(function, &[nodes])
}

/// What is known of a node's tree, as `fetchTree` would tell it; fetched when it is needed.
fn source_value(vm: &mut Vm, tree: &Tree, locked: &FlakeRef) -> Result {
    match tree {
        Tree::Fetched(fetched) => {
            let out = fetched.output_attributes(false).map_err(fetch_failed)?;
            let object = store_object(vm, &fetched.store_path);
            Ok(tree_value(vm, object, &out, Pos::NONE))
        }
        // The tree is that of the flake around it.
        Tree::Inside(path) => {
            let object = store_object(vm, path);
            Ok(tree_value(vm, object, &InputAttrs::new(), Pos::NONE))
        }
        Tree::Later => {
            let input = &locked.input;
            let mut attrs = AttrsBuilder::new(input.attrs.0.len());
            for (name, value) in &input.attrs.0 {
                let value = crate::builtins::attr_value(vm, value);
                attrs.push(symbol::intern(name.as_bytes()), value);
            }
            let attrs = attrs.finish(&mut vm.heap, Duplicates::Last);
            let function = Function::builtin(&mut vm.heap, &FETCH_LOCKED);
            Ok(vm.delay_call(function, &[attrs]))
        }
    }
}

fn fetch_locked(vm: &mut Vm, args: &[Value]) -> Result {
    let attrs = vm.expect_attrs(args[0], Pos::NONE, "")?;
    let mut input = InputAttrs::new();
    for (name, value) in attrs.entries(&mut vm.heap).iter() {
        let name = String::from_utf8_lossy(symbol::name(name)).into_owned();
        if name == "dir" {
            continue;
        }
        if let Some(value) = crate::builtins::plain_attr(vm, value)? {
            input.set(&name, value);
        }
    }
    input.set("__final", true);
    let input = Input::from_attrs(input).map_err(fetch_failed)?;
    let url = input.to_url().map_err(fetch_failed)?.to_string();
    vm.ev.io.check_uri(&url)?;
    let fetched = vm.fetch_input(&input)?;
    let out = fetched.output_attributes(false).map_err(fetch_failed)?;
    let object = store_object(vm, &fetched.store_path);
    Ok(tree_value(vm, object, &out, Pos::NONE))
}

/// The directory of a flake within a tree.
fn below(tree: &[u8], subdir: &str) -> Vec<u8> {
    crate::compile::canonical(&[tree, b"/", subdir.as_bytes()].concat())
}

/// A relative path, seen from a flake's directory.
fn relative_to(dir: &[u8], path: &Path) -> Vec<u8> {
    crate::compile::canonical(&[dir, b"/", path.as_os_str().as_encoded_bytes()].concat())
}
