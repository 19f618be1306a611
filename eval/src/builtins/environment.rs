//! What a program can learn about the machine and about rx itself.

use rx_lang::symbol::known;

use crate::builtins::{Builtin, builtin};
use crate::error::Result;
use crate::value::attrs::Duplicates;
use crate::value::{AttrsBuilder, Value};
use crate::vm::Vm;

/// The version of the language that programs can ask for.
const LANGUAGE_VERSION: i64 = 6;
/// The version of Nix whose behaviour this is.
const NIX_VERSION: &str = "2.34.8";

pub(super) const TABLE: &[Builtin] = &[builtin!(
    "getEnv",
    ["s"],
    get_env,
    "The environment variable `s`, or an empty string when it is not set. Empty in pure and restricted evaluation."
)];

fn get_env(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.getEnv";
    let name = vm.expect_plain_str(args[0], pos, what)?;
    let value = vm.ev.io.env(name).unwrap_or_default();
    Ok(vm.str(&value))
}

/// The builtins that are not functions, with whether they are in scope without a prefix.
pub(super) fn constants(vm: &mut Vm) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let settings = &vm.ev.settings;
    if !settings.pure {
        let now = vm.ev.io.now();
        all.push(("currentTime", vm.int(now)));
        all.push(("currentSystem", vm.str(settings.system.as_bytes())));
    }
    all.push(("nixVersion", vm.str(NIX_VERSION.as_bytes())));
    all.push(("storeDir", vm.str(&settings.store_dir)));
    all.push(("langVersion", Value::small_int(LANGUAGE_VERSION)));
    all.push(("nixPath", nix_path(vm)));
    all
}

fn nix_path(vm: &mut Vm) -> Value {
    let mut elements = Vec::new();
    for entry in &vm.ev.settings.search_path {
        let mut set = AttrsBuilder::new(2);
        let (path, prefix) = (vm.str(&entry.path), vm.str(&entry.prefix));
        set.push(known::PATH, path);
        set.push(known::PREFIX, prefix);
        elements.push(set.finish(&mut vm.heap, Duplicates::Last));
    }
    vm.list(&elements)
}
