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

/// A builtin that is not a function.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    /// Its name in `builtins`.
    pub name: &'static str,
    /// What its value is.
    pub kind: &'static str,
    /// Whether it is in scope without a prefix.
    pub global: bool,
    /// Whether pure evaluation has it.
    pub pure: bool,
    /// What it is for, in Markdown.
    pub doc: &'static str,
}

const fn constant(name: &'static str, kind: &'static str, doc: &'static str) -> Constant {
    Constant {
        name,
        kind,
        global: false,
        pure: true,
        doc,
    }
}

impl Constant {
    const fn global(mut self) -> Constant {
        self.global = true;
        self
    }

    const fn impure(mut self) -> Constant {
        self.pure = false;
        self
    }
}

/// All builtins that are not functions.
pub const CONSTANTS: &[Constant] = &[
    constant(
        "builtins",
        "set",
        "All builtins by name. Those that are in scope without a prefix are few; the others are `builtins.NAME`. Whether \
         one exists can be asked with `builtins ? NAME`, so that programs work with older versions.",
    )
    .global(),
    constant(
        "currentSystem",
        "string",
        "The system that is evaluated for, such as `\"x86_64-linux\"`: the setting `system`, or `eval-system`.",
    )
    .impure(),
    constant(
        "currentTime",
        "integer",
        "The seconds since 1970 when the evaluation looked at the clock first; it stays the same from then on.",
    )
    .impure(),
    constant(
        "derivation",
        "function",
        "`derivation attrs` describes a build. `attrs` has a `name`, a `system` and a `builder`, optionally `args` and \
         `outputs`; all attributes become variables of the builder's environment. The value has the paths of the \
         derivation (`drvPath`) and of its outputs (`outPath`, or one attribute for each of several outputs), and \
         using it in a string or another derivation makes that depend on it.",
    )
    .global(),
    constant("false", "Boolean", "What a condition is that does not hold.").global(),
    constant(
        "langVersion",
        "integer",
        "The version of the language; it has been 6 for long.",
    ),
    constant(
        "nixPath",
        "list",
        "Where `<name>` is looked up: a list of sets with `prefix` and `path`, from `-I`, `NIX_PATH` and the setting \
         `nix-path`.",
    ),
    constant(
        "nixVersion",
        "string",
        "The version of Nix that the language is of, to be compared with `builtins.compareVersions`.",
    ),
    constant("null", "null", "The value that says that there is none.").global(),
    constant(
        "storeDir",
        "string",
        "The directory of all store paths, usually `/nix/store`.",
    ),
    constant("true", "Boolean", "What a condition is that holds.").global(),
];

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
