//! Other files as programs: `import`, `scopedImport`, `findFile`.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use rx_lang::symbol::{self, Symbol, known};
use rx_store::derivation::upstream_placeholder;
use rx_store::path::StorePath;

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, Result};
use crate::heap::Word;
use crate::interp::Coercion;
use crate::io::{outside, resolve_expr_path};
use crate::outside::{SearchEntry, rewritten};
use crate::source::{Origin, Pos};
use crate::value::attrs::Duplicates;
use crate::value::{Attrs, AttrsBuilder, Context, ContextElement, Str, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!(
        "import",
        ["path"],
        import,
        "The value of the Nix expression in the file `path`; of `default.nix` in it when `path` is a directory.\n\
         A file is evaluated once, however often it is imported. A derivation file gives the derivation.",
        global: true,
    ),
    builtin!(
        "scopedImport",
        ["scope", "path"],
        scoped_import,
        "Like `import`, with the attributes of `scope` in scope in the file. Each call evaluates the file again.",
        global: true,
    ),
    builtin!(
        "findFile",
        ["search-path", "lookup-path"],
        find_file,
        "The first file that `lookup-path` means with a search path, a list of sets with `prefix` and `path`.\n\
         `<nixpkgs/lib>` means `builtins.findFile builtins.nixPath \"nixpkgs/lib\"`.",
    ),
];

fn import(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let path = vm.realise_path(args[0], pos)?;
    import_path(vm, &path, None, pos)
}

fn scoped_import(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let path = vm.realise_path(args[1], pos)?;
    import_path(vm, &path, Some(args[0]), pos)
}

fn import_path(vm: &mut Vm, path: &[u8], scope: Option<Value>, pos: Pos) -> Result {
    if path.ends_with(b".drv")
        && let Ok(object) = vm.ev.store_dir.parse(path)
        && vm.ev.io.store().is_valid(&object).unwrap_or(false)
    {
        return imported_derivation(vm, &object).map_err(|e| e.at(pos));
    }
    let scope = match scope {
        None => None,
        Some(scope) => {
            let what = "while evaluating the first argument passed to builtins.scopedImport";
            Some(vm.expect_attrs(scope, pos, what)?)
        }
    };
    let path = resolve_expr_path(&*vm.ev.io, path).map_err(|e| e.at(pos))?;
    match scope {
        None => vm.eval_file(&path),
        Some(scope) => eval_in_scope(vm, path, scope, pos),
    }
}

/// The derivation that is in a file of the store.
fn imported_derivation(vm: &mut Vm, file: &StorePath) -> Result {
    let derivation = vm.ev.io.store().read_derivation(file)?;
    let printed = vm.ev.store_dir.print(file);
    let mut set = AttrsBuilder::new(3 + derivation.outputs.len());
    let deep = Context::of(ContextElement::DrvDeep(printed.clone().into()));
    let drv_path = Str::with_context(&mut vm.heap, &printed, deep);
    set.push(known::DRV_PATH, drv_path);
    let name = derivation.env.get(&b"name"[..]);
    let name = vm.str(name.map_or(&b""[..], |name| name));
    set.push(known::NAME, name);
    let mut names = Vec::new();
    for (output, path) in derivation.output_paths(&vm.ev.store_dir).map_err(outside)? {
        let text = match path {
            Some(path) => vm.ev.store_dir.print(&path),
            None => upstream_placeholder(file, output).into_bytes(),
        };
        let context = Context::of(ContextElement::Built {
            drv: Box::new(ContextElement::Opaque(printed.clone().into())),
            output: output.as_bytes().into(),
        });
        let value = Str::with_context(&mut vm.heap, &text, context);
        set.push(symbol::intern(output.as_bytes()), value);
        names.push(vm.str(output.as_bytes()));
    }
    let names = vm.list(&names);
    set.push(known::OUTPUTS, names);
    let imported = set.finish(&mut vm.heap, Duplicates::Last);
    let text = include_bytes!("../../../stdlib/imported-derivation.nix");
    let function = vm.eval_text(Origin::Internal("imported-derivation.nix"), text, b"/")?;
    vm.call(function, &[imported])
}

/// Evaluates a file with more names in scope. A new compilation each time: the names are part of the code.
fn eval_in_scope(vm: &mut Vm, path: Vec<u8>, scope: Attrs, pos: Pos) -> Result {
    let text = vm.ev.io.read_file(&path).map_err(|e| e.at(pos))?;
    let mut extra: FxHashMap<Symbol, &'static Word> = FxHashMap::default();
    for (name, value) in scope.entries(&mut vm.heap).iter() {
        extra.insert(name, Box::leak(Box::new(Word::new(value.word()))));
    }
    let dir = path
        .iter()
        .rposition(|&b| b == b'/')
        .map_or(&b"/"[..], |slash| &path[..slash.max(1)])
        .to_vec();
    let unit = vm.compile(
        Origin::File(path.into()),
        Arc::from(text),
        &dir,
        Some(&extra),
    )?;
    vm.run_unit(unit)
}

fn find_file(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let list = vm.expect_list(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.findFile",
    )?;
    let mut entries = Vec::with_capacity(list.len());
    for element in list.iter() {
        entries.push(search_entry(vm, element, pos)?);
    }
    let what = "while evaluating the second argument passed to builtins.findFile";
    let name = vm.expect_plain_str(args[1], pos, what)?;
    let path = vm.find_file(&entries, name, pos)?;
    Ok(vm.path(&path))
}

fn search_entry(vm: &mut Vm, element: Value, pos: Pos) -> Result<SearchEntry> {
    let what = "while evaluating an element of the list passed to builtins.findFile";
    let attrs = vm.expect_attrs(element, pos, what)?;
    let prefix = match attrs.get(known::PREFIX) {
        Some(prefix) => {
            let what = "while evaluating the `prefix` attribute of an element of the list passed to builtins.findFile";
            vm.expect_plain_str(prefix, pos, what)?.to_vec()
        }
        None => Vec::new(),
    };
    let Some(path) = attrs.get(known::PATH) else {
        return Err(Error::other("attribute 'path' missing")
            .at(pos)
            .frame(pos, "in an element of the __nixPath"));
    };
    let what = "while evaluating the `path` attribute of an element of the list passed to builtins.findFile";
    let (mut text, mut context) = (Vec::new(), Context::EMPTY);
    vm.coerce_to_string(
        path,
        &mut text,
        &mut context,
        Coercion::segment(false),
        pos,
        what,
    )?;
    if !context.is_empty() {
        let realised = vm.realise_context(context, pos).map_err(|error| {
            let reason = String::from_utf8_lossy(&error.message).into_owned();
            match reason
                .strip_prefix("path '")
                .and_then(|r| r.strip_suffix("' is not valid"))
            {
                Some(missing) => Error::other(format!(
                    "cannot find '{}', since path '{missing}' is not valid",
                    String::from_utf8_lossy(&text)
                ))
                .at(pos),
                None => error,
            }
        })?;
        text = rewritten(text, &realised);
    }
    Ok(SearchEntry { prefix, path: text })
}
