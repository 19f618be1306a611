//! The builtins: what programs can call without writing it.
//!
//! Every builtin is declared once, in the table of its area, with its name, arguments, documentation and
//! function. The tables feed the evaluator, the REPL's `:doc`, the language server and the manual.
//!
//! A builtin gets its arguments unevaluated (see [`Builtin::strict`]) and asks the [`Vm`] to force what it needs, in
//! the reference's order. Errors carry the reference's core message.

mod arithmetic;
mod attrs;
mod closures;
mod contexts;
mod control;
mod derivation;
mod environment;
mod fetchers;
mod files;
mod formats;
mod hashes;
mod imports;
mod lists;
mod order;
mod paths;
mod patterns;
mod strings;
mod types;
mod versions;

use rustc_hash::FxHashMap;
use rx_lang::symbol::{self, Symbol, known};

use crate::code::ThunkCode;
use crate::error::{Error, Result};
use crate::heap;
use crate::value::attrs::Duplicates;
use crate::value::{AttrsBuilder, Function, Value};
use crate::vm::Vm;

/// A function of the language that rx provides.
#[derive(Debug)]
pub struct Builtin {
    /// Its name in `builtins`.
    pub name: &'static str,
    /// The names of its arguments, as documentation shows them.
    pub arguments: &'static [&'static str],
    /// How many arguments it takes.
    pub arity: u8,
    /// Bit *i* says that argument *i* is forced before anything else happens (or right after the earlier
    /// arguments with a bit): the caller may then evaluate it instead of delaying it.
    pub strict: u8,
    /// Whether it is in scope without a prefix, as `map` is; all others are with `__`.
    pub global: bool,
    /// The experimental feature that must be enabled for it.
    pub feature: Option<&'static str>,
    /// What it does, in Markdown.
    pub doc: &'static str,
    /// The function; `arguments` has as many as the arity says.
    pub run: fn(&mut Vm, &[Value]) -> Result,
}

/// Declares a builtin; the flags default to what is most common.
macro_rules! builtin {
    ($name:literal, [$($argument:literal),*], $run:path, $doc:literal $(, $flag:ident: $value:expr)* $(,)?) => {
        $crate::builtins::Builtin {
            $($flag: $value,)*
            ..$crate::builtins::Builtin {
                name: $name,
                arguments: &[$($argument),*],
                arity: [$($argument),*].len() as u8,
                strict: 0,
                global: false,
                feature: None,
                doc: $doc,
                run: $run,
            }
        }
    };
}
pub(crate) use builtin;
pub use environment::{CONSTANTS, Constant};
pub(crate) use fetchers::{
    attr_value, failed as fetch_failed, plain_attr, resolve_pseudo_url, tree_value,
};
pub(crate) use paths::store_object;

/// Checks that an experimental feature is enabled.
pub(crate) fn require_feature(vm: &Vm, feature: &str) -> Result<()> {
    if vm.ev.has_feature(feature) {
        return Ok(());
    }
    Err(Error::other(format!(
        "experimental Nix feature '{feature}' is disabled; add '--extra-experimental-features {feature}' to enable it"
    )))
}

/// All tables.
const TABLES: &[&[Builtin]] = &[
    arithmetic::TABLE,
    attrs::TABLE,
    closures::TABLE,
    contexts::TABLE,
    control::TABLE,
    derivation::TABLE,
    environment::TABLE,
    fetchers::TABLE,
    files::TABLE,
    formats::TABLE,
    hashes::TABLE,
    imports::TABLE,
    lists::TABLE,
    order::TABLE,
    patterns::TABLE,
    paths::TABLE,
    strings::TABLE,
    types::TABLE,
    versions::TABLE,
];

/// All builtins that are functions.
pub fn all() -> impl Iterator<Item = &'static Builtin> {
    TABLES.iter().copied().flatten()
}

/// The names that are in scope everywhere, with `builtins` itself.
pub(crate) fn globals(vm: &mut Vm) -> FxHashMap<Symbol, Value> {
    let mut globals = FxHashMap::default();
    let mut builtins = AttrsBuilder::new(128);
    let constant = |globals: &mut FxHashMap<Symbol, Value>,
                    builtins: &mut AttrsBuilder,
                    name: &str,
                    global: bool,
                    value: Value| {
        let plain = symbol::intern(name.as_bytes());
        builtins.push(plain, value);
        let scoped = if global {
            plain
        } else {
            symbol::intern(format!("__{name}").as_bytes())
        };
        globals.insert(scoped, value);
    };
    for builtin in all().filter(|b| b.feature.is_none_or(|f| vm.ev.has_feature(f))) {
        let value = Function::builtin(&mut vm.heap, builtin);
        constant(
            &mut globals,
            &mut builtins,
            builtin.name,
            builtin.global,
            value,
        );
    }
    for (name, value) in environment::constants(vm) {
        constant(&mut globals, &mut builtins, name, false, value);
    }
    constant(&mut globals, &mut builtins, "true", true, Value::TRUE);
    constant(&mut globals, &mut builtins, "false", true, Value::FALSE);
    constant(&mut globals, &mut builtins, "null", true, Value::NULL);
    static DERIVATION: ThunkCode = ThunkCode::Native {
        run: derivation::derivation_function,
        captures: 0,
    };
    let derivation = vm.delay_native(&DERIVATION, &[]);
    constant(&mut globals, &mut builtins, "derivation", true, derivation);
    builtins.push(known::BUILTINS, Value::NULL);
    let set = builtins.finish(&mut vm.heap, Duplicates::Last);
    // The set is an attribute of itself; nobody has seen it yet.
    if let Some(itself) = set.as_attrs().and_then(|s| s.word(known::BUILTINS)) {
        heap::store(itself, set.word());
    }
    globals.insert(known::BUILTINS, set);
    globals
}
