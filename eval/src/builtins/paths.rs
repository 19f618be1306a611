//! Paths that become store objects: `path`, `filterSource`, `toFile`, `storePath`, and what is near to them.

use std::collections::BTreeSet;

use rx_lang::symbol;
use rx_store::content_address::{Method, References};
use rx_store::hash::{Algorithm, Hash};
use rx_store::path::{StoreDir, StorePath};

use crate::builtins::{Builtin, builtin};
use crate::compile::canonical;
use crate::error::{Context as _, Error, Result};
use crate::io::{FileKind, TreeSource, outside};
use crate::outside::rewritten;
use crate::print::attribute_name;
use crate::source::Pos;
use crate::value::{Context, ContextElement, Str, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!(
        "path",
        ["args"],
        path,
        "Copies `path` to the store under `name`. `filter` decides, as in `filterSource`, what is left out; \
         `recursive = false` adds a plain file; `sha256` is the hash that the result must have.",
        strict: 1,
    ),
    builtin!(
        "filterSource",
        ["filter", "path"],
        filter_source,
        "Copies `path` to the store without the entries for which `filter` (called with the path and \
         `\"regular\"`, `\"directory\"` or `\"symlink\"`) gives false."
    ),
    builtin!(
        "toFile",
        ["name", "s"],
        to_file,
        "Writes `s` to a file `name` in the store and gives its path. `s` may refer to such files, but not to derivations."
    ),
    builtin!(
        "storePath",
        ["path"],
        store_path,
        "The store path `path` as a string that refers to it. It must exist, or be available from a cache."
    ),
    builtin!(
        "toPath",
        ["s"],
        to_path,
        "The absolute path `s` without `.`, `..` and double slashes. Use `/. + s`."
    ),
    builtin!(
        "hashFile",
        ["type", "path"],
        hash_file,
        "The hash of the contents of the file `path` in hexadecimal."
    ),
];

/// What is to be added, by `path` and `filterSource`.
struct Addition {
    name: Vec<u8>,
    path: Vec<u8>,
    filter: Option<Value>,
    method: Method,
    expected: Option<Hash>,
    context: Context,
}

/// The last component of a path.
fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&b| b == b'/').next().unwrap_or_default()
}

fn add(vm: &mut Vm, addition: Addition, pos: Pos) -> Result {
    let shown = addition.path.clone();
    add_path(vm, addition, pos).context(pos, || {
        [b"while adding path '".as_slice(), &shown, b"'"].concat()
    })
}

fn add_path(vm: &mut Vm, addition: Addition, pos: Pos) -> Result {
    let Addition {
        name,
        mut path,
        filter,
        method,
        expected,
        context,
    } = addition;
    vm.not_the_store(&path)?;
    let ev = vm.ev;
    let mut references = BTreeSet::new();
    if ev.store_dir.contains(&path) && !context.is_empty() {
        let realised = vm.realise_context(context, pos)?;
        path = canonical(&rewritten(path, &realised));
        // A copy of something refers to what that refers to.
        if let Ok((object, _)) = ev.store_dir.split(&path) {
            references = ev.io.store().references(&object).unwrap_or_default();
        }
    }
    let resolved = ev.io.resolve(&path)?;
    vm.must_exist(&resolved)?;
    let mut keep = |path: &[u8], kind: FileKind| {
        let function = filter.unwrap_or(Value::NULL);
        let (path, kind) = (vm.str(path), vm.str(kind.name().as_bytes()));
        let keep = vm.call(function, &[path, kind])?;
        vm.expect_bool(
            keep,
            pos,
            "while evaluating the return value of the path filter function",
        )
    };
    let mut source = TreeSource::plain(&name, &resolved);
    source.method = method;
    source.expected = expected;
    source.references.clone_from(&references);
    if filter.is_some() {
        source.filter = Some(&mut keep);
    }
    let added = ev.io.add_tree(&mut source)?;
    if let Some(hash) = expected
        && added != expected_path(&ev.store_dir, &name, method, hash, references)?
    {
        let message = [
            b"store path mismatch in (possibly filtered) path added from '".as_slice(),
            &path,
            b"'",
        ];
        return Err(Error::other(message.concat()).at(pos));
    }
    Ok(store_object(vm, &added))
}

fn expected_path(
    dir: &StoreDir,
    name: &[u8],
    method: Method,
    hash: Hash,
    references: BTreeSet<StorePath>,
) -> Result<StorePath> {
    let address = rx_store::content_address::ContentAddress { method, hash };
    dir.make_content_path(
        crate::io::object_name(name)?,
        &address,
        &References::to(references),
    )
    .map_err(outside)
}

/// The path of a store object as a string that refers to it; it may be read from now on.
pub(crate) fn store_object(vm: &mut Vm, path: &StorePath) -> Value {
    let printed = vm.ev.store_dir.print(path);
    vm.ev.io.allow(&printed);
    let context = Context::of(ContextElement::Opaque(printed.clone().into()));
    Str::with_context(&mut vm.heap, &printed, context)
}

fn filter_source(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let mut context = Context::EMPTY;
    let what = "while evaluating the second argument (the path to filter) passed to 'builtins.filterSource'";
    let path = vm.coerce_to_path(args[1], &mut context, pos, what)?;
    let what = "while evaluating the first argument passed to builtins.filterSource";
    let filter = vm.expect_function(args[0], pos, what)?;
    let addition = Addition {
        name: base_name(&path).to_vec(),
        path,
        filter: Some(filter),
        method: Method::NixArchive,
        expected: None,
        context,
    };
    add(vm, addition, pos)
}

fn path(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the argument passed to 'builtins.path'";
    let attrs = vm.expect_attrs(args[0], pos, what)?;
    let mut addition = Addition {
        name: Vec::new(),
        path: Vec::new(),
        filter: None,
        method: Method::NixArchive,
        expected: None,
        context: Context::EMPTY,
    };
    let entries = attrs.entries(&mut vm.heap);
    for (name, at, value) in entries.as_met() {
        match symbol::name(name) {
            b"path" => {
                let what = "while evaluating the 'path' attribute passed to 'builtins.path'";
                addition.path = vm.coerce_to_path(value, &mut addition.context, at, what)?;
            }
            b"name" => {
                let what = "while evaluating the `name` attribute passed to builtins.path";
                addition.name = vm.expect_plain_str(value, at, what)?.to_vec();
            }
            b"filter" => {
                let what = "while evaluating the `filter` parameter passed to builtins.path";
                addition.filter = Some(vm.expect_function(value, at, what)?);
            }
            b"recursive" => {
                let what = "while evaluating the `recursive` attribute passed to builtins.path";
                addition.method = if vm.expect_bool(value, at, what)? {
                    Method::NixArchive
                } else {
                    Method::Flat
                };
            }
            b"sha256" => {
                let what = "while evaluating the `sha256` attribute passed to builtins.path";
                let hash = vm.expect_plain_str(value, at, what)?;
                addition.expected = Some(parse_hash(vm, hash, Algorithm::Sha256)?);
            }
            other => {
                let message = [
                    b"unsupported argument '".as_slice(),
                    &attribute_name(other),
                    b"' to 'builtins.path'",
                ];
                return Err(Error::other(message.concat()).at(at));
            }
        }
    }
    if addition.path.is_empty() {
        let message = "missing required 'path' attribute in the first argument to 'builtins.path'";
        return Err(Error::other(message).at(pos));
    }
    if addition.name.is_empty() {
        addition.name = base_name(&addition.path).to_vec();
    }
    add(vm, addition, pos)
}

/// A hash; the empty text stands for zeros, with a warning, so that the real one can be learnt from the error.
pub(super) fn parse_hash(vm: &Vm, text: &[u8], algorithm: Algorithm) -> Result<Hash> {
    if text.is_empty() {
        let zero = Hash::zero(algorithm);
        vm.ev
            .warn(&format!("found empty hash, assuming '{}'", zero.sri()));
        return Ok(zero);
    }
    Hash::parse_any(text, Some(algorithm)).map_err(outside)
}

fn to_file(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.toFile";
    let name = vm.expect_plain_str(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.toFile";
    let text = vm.expect_str(args[1], pos, what)?;
    let mut references = BTreeSet::new();
    for &element in text.context().elements() {
        match element {
            ContextElement::Opaque(_) => {
                references.insert(vm.ev.store_path_of(element)?.clone());
            }
            _ => return Err(refers_to_derivation(vm, name, element).at(pos)),
        }
    }
    let name = String::from_utf8_lossy(name);
    let added = vm
        .ev
        .io
        .store()
        .add_text(&name, text.as_bytes(), &references)
        .map_err(|e| e.at(pos))?;
    Ok(store_object(vm, &added))
}

#[cold]
fn refers_to_derivation(vm: &Vm, name: &[u8], element: &ContextElement) -> Box<Error> {
    let shown = vm.ev.describe_context(element);
    // Without the store directory, as the context is stored.
    let prefix = [vm.ev.store_dir.as_bytes(), b"/"].concat();
    let shown = String::from_utf8_lossy(&shown).replace(&*String::from_utf8_lossy(&prefix), "");
    Error::other(format!(
        "files created by builtins.toFile may not reference derivations, but {} references {shown}",
        String::from_utf8_lossy(name)
    ))
}

fn store_path(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let ev = vm.ev;
    if ev.settings.pure {
        let message = "'builtins.storePath' is not allowed in pure evaluation mode";
        return Err(Error::other(message).at(pos));
    }
    let mut context = Context::EMPTY;
    let what = "while evaluating the first argument passed to 'builtins.storePath'";
    let mut path = vm.coerce_to_path(args[0], &mut context, pos, what)?;
    if ev.store_dir.parse(&path).is_err() {
        path = ev.io.resolve(&path).map_err(|e| e.at(pos))?;
    }
    if !ev.store_dir.contains(&path) {
        let message = [b"path '".as_slice(), &path, b"' is not in the Nix store"].concat();
        return Err(Error::other(message).at(pos));
    }
    let (object, _) = ev.store_dir.split(&path).map_err(|e| outside(e).at(pos))?;
    ev.io.store().ensure(&object).map_err(|e| e.at(pos))?;
    let printed = ev.store_dir.print(&object);
    let context = context.union(Context::of(ContextElement::Opaque(printed.into())));
    Ok(Str::with_context(&mut vm.heap, &path, context))
}

fn to_path(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let mut context = Context::EMPTY;
    let what = "while evaluating the first argument passed to builtins.toPath";
    let path = vm.coerce_to_path(args[0], &mut context, pos, what)?;
    Ok(Str::with_context(&mut vm.heap, &path, context))
}

fn hash_file(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.hashFile";
    let algorithm = vm.expect_plain_str(args[0], pos, what)?;
    let algorithm = vm.hash_algorithm(algorithm, pos)?;
    let path = vm.realise_path(args[1], pos)?;
    let text = vm.ev.io.read_file(&path).map_err(|e| e.at(pos))?;
    let hash = Hash::of(algorithm, &text).base16();
    Ok(vm.str(hash.as_bytes()))
}
