//! Flakes: source trees with a `flake.nix`, which names other trees as inputs and gives outputs.
//!
//! `flake` reads what a `flake.nix` says, `lock_file` what `flake.lock` says of its inputs, `lock` brings both
//! together: every input with the exact tree that it stands for. `stdlib/call-flake.nix` makes values of that;
//! trees are only fetched when something of them is looked at.

mod flake;
mod lock;
mod lock_file;

use std::path::Path;

use rx_lang::symbol;
use rx_store::fetch::attrs::Attrs as InputAttrs;
use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};
use rx_store::fetch::input::{Fetched, Input};
use rx_store::fetch::registry::{self, Use};
use rx_store::path::StorePath;

pub use flake::{ConfigValue, FlakeInput, FlakeInputs, Manifest, input_path};
pub use lock::{LockFlags, LockedFlake, lock};
pub use lock_file::{Edge, LockFile, Locked, Node, show_path};

use crate::builtins::{Builtin, builtin, fetch_failed, store_object, tree_value};
use crate::error::{Error, Result};
use crate::source::{Origin, Pos};
use crate::value::attrs::Duplicates;
use crate::value::{AttrsBuilder, Function, Value};
use crate::vm::Vm;

/// A path of inputs, from the flake at the root: `["nixpkgs", "systems"]`.
pub type InputPath = Vec<String>;

/// A flake that was fetched.
#[derive(Clone, Debug)]
pub struct Flake {
    /// What was asked for.
    pub original: FlakeRef,
    /// What registries made of it.
    pub resolved: FlakeRef,
    /// The exact tree.
    pub locked: FlakeRef,
    /// The tree in the store.
    pub store_path: StorePath,
    /// What its `flake.nix` says.
    pub manifest: Manifest,
    /// Whether what is evaluated differs from the commit, since the lock file would have to be changed.
    pub force_dirty: bool,
}

/// Not in the table of builtins: what the values of inputs fetch their trees with.
static FETCH_LOCKED: Builtin = builtin!("fetchFinalTree", ["input"], fetch_locked, "");

/// `builtins.getFlake` with a reference.
pub(crate) fn get_flake(vm: &mut Vm, text: &str) -> Result {
    let options = ParseOptions {
        allow_missing: true,
        ..ParseOptions::default()
    };
    let reference = FlakeRef::parse(text, options).map_err(fetch_failed)?;
    let settings = vm.fetcher()?.settings();
    let pure = vm.ev.settings.pure;
    if pure
        && !reference
            .input
            .is_locked(settings.trust_tarballs_from_git_forges)
    {
        return Err(Error::other(format!(
            "cannot call 'getFlake' on unlocked flake reference '{text}', at «none»:0 (use --impure to override)"
        )));
    }
    let flags = LockFlags {
        recreate: false,
        allow_unlocked: !pure,
        use_registries: settings.use_registries && !pure,
        overrides: Default::default(),
        updates: Default::default(),
        reference_lock_file: None,
    };
    let which = if flags.use_registries {
        Use::All
    } else {
        Use::No
    };
    let flake = get(vm, &reference, which)?;
    let mut locked = lock(vm, flake, &flags)?;
    if locked.is_changed() {
        let changes = locked.lock_file.changes_since(&locked.old_lock_file);
        vm.ev.warn(&format!(
            "not writing modified lock file of flake '{reference}':\n{}",
            changes.trim_end()
        ));
        locked.flake.force_dirty = true;
    }
    call(vm, &locked)
}

/// Fetches a flake and reads its `flake.nix`.
pub fn get(vm: &mut Vm, reference: &FlakeRef, registries: Use) -> Result<Flake> {
    lock::get(vm, reference, registries, &[])
}

/// What registries make of a reference.
pub fn resolve(vm: &mut Vm, reference: &FlakeRef, which: Use) -> Result<FlakeRef> {
    let mut resolved = reference.clone();
    if reference.input.is_direct() {
        return Ok(resolved);
    }
    if which == Use::No {
        return Err(Error::other(format!(
            "'{}' is an indirect flake reference, but registry lookups are not allowed",
            reference.input.show()
        )));
    }
    let fetcher = vm.fetcher()?;
    let registries = registry::registries(fetcher).map_err(fetch_failed)?;
    let (input, extra) =
        registry::lookup(&reference.input, &registries, which).map_err(fetch_failed)?;
    resolved.input = input;
    if let Ok(Some(dir)) = extra.str_opt("dir") {
        dir.clone_into(&mut resolved.subdir);
    }
    Ok(resolved)
}

/// Fetches a flake's tree, and says what registries made of the reference.
fn fetch_with_dir(vm: &mut Vm, reference: &FlakeRef, which: Use) -> Result<(FlakeRef, Fetched)> {
    let resolved = resolve(vm, reference, which)?;
    let url = resolved.input.to_url().map_err(fetch_failed)?.to_string();
    vm.ev.io.check_uri(&url)?;
    let fetched = vm.fetch_input(&resolved.input)?;
    let path = vm.ev.store_dir.print(&fetched.store_path);
    vm.ev.io.allow(&path);
    Ok((resolved, fetched))
}

/// Fetches a tree; the directory is what registries say of it.
fn fetch_tree_of(vm: &mut Vm, input: &Input, which: Use) -> Result<(Fetched, String)> {
    let reference = FlakeRef {
        input: input.clone(),
        subdir: String::new(),
    };
    let (resolved, fetched) = fetch_with_dir(vm, &reference, which)?;
    Ok((fetched, resolved.subdir))
}

/// The value of a flake with its inputs.
pub fn call(vm: &mut Vm, flake: &LockedFlake) -> Result {
    let file = &flake.lock_file;
    let mut nodes = AttrsBuilder::new(file.nodes.len());
    for (i, node) in file.nodes.iter().enumerate() {
        let mut inputs = AttrsBuilder::new(node.inputs.len());
        for (name, edge) in &node.inputs {
            let target = match edge {
                Edge::Node(target) => *target,
                Edge::Follows(path) => file.find(path)?.unwrap_or_default(),
            };
            let key = vm.str(target.to_string().as_bytes());
            inputs.push(symbol::intern(name.as_bytes()), key);
        }
        let inputs = inputs.finish(&mut vm.heap, Duplicates::Last);
        let mut set = AttrsBuilder::new(6);
        set.push(symbol::intern(b"inputs"), inputs);
        let locked = node.locked.as_ref();
        set.push(
            symbol::intern(b"flake"),
            Value::bool(locked.is_none_or(|l| l.is_flake)),
        );
        let reference = locked.map_or(&flake.flake.locked, |locked| &locked.locked);
        let tree = flake.trees.get(&i);
        let dir = tree.map_or(&reference.subdir, |tree| &tree.dir);
        let dir = vm.str(dir.as_bytes());
        set.push(symbol::intern(b"dir"), dir);
        if let Some(relative) = reference.input.relative_path().filter(|_| tree.is_none()) {
            let parent = locked
                .and_then(|locked| locked.parent.as_deref())
                .unwrap_or_default();
            let parent = file.find(parent)?.unwrap_or_default();
            let parent = vm.str(parent.to_string().as_bytes());
            set.push(symbol::intern(b"parent"), parent);
            let relative = vm.str(relative.as_os_str().as_encoded_bytes());
            set.push(symbol::intern(b"relative"), relative);
        }
        let source = match tree {
            Some(tree) => {
                let dirty = locked.is_none() && flake.flake.force_dirty;
                fetched_tree(vm, &tree.store_path, &reference.input, dirty)?
            }
            None => later(vm, &reference.input),
        };
        set.push(symbol::intern(b"source"), source);
        let set = set.finish(&mut vm.heap, Duplicates::Last);
        nodes.push(symbol::intern(i.to_string().as_bytes()), set);
    }
    let nodes = nodes.finish(&mut vm.heap, Duplicates::Last);
    let text = include_bytes!("../../../stdlib/call-flake.nix");
    let function = vm.eval_text(Origin::Internal("call-flake.nix"), text, b"/")?;
    vm.call(function, &[nodes])
}

/// What is known of a tree that was fetched, as `fetchTree` would tell it.
fn fetched_tree(vm: &mut Vm, path: &StorePath, input: &Input, dirty: bool) -> Result {
    let fetched = Fetched {
        store_path: path.clone(),
        input: input.clone(),
    };
    let mut out = fetched.output_attributes(false).map_err(fetch_failed)?;
    if dirty {
        for name in ["rev", "shortRev", "revCount"] {
            out.remove(name);
        }
    }
    let object = store_object(vm, path);
    Ok(tree_value(vm, object, &out, Pos::NONE))
}

/// A tree that is fetched when something of it is looked at.
fn later(vm: &mut Vm, input: &Input) -> Value {
    let mut attrs = AttrsBuilder::new(input.attrs.0.len());
    for (name, value) in &input.attrs.0 {
        let value = crate::builtins::attr_value(vm, value);
        attrs.push(symbol::intern(name.as_bytes()), value);
    }
    let attrs = attrs.finish(&mut vm.heap, Duplicates::Last);
    let function = Function::builtin(&mut vm.heap, &FETCH_LOCKED);
    vm.delay_call(function, &[attrs])
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
