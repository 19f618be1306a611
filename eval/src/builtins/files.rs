//! Reading files and directories.

use rx_lang::symbol;

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, Result};
use crate::io::FileKind;
use crate::value::attrs::Duplicates;
use crate::value::{AttrsBuilder, Context, Str, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!(
        "readFile",
        ["path"],
        read_file,
        "The contents of the file `path` as a string."
    ),
    builtin!(
        "readDir",
        ["path"],
        read_dir,
        "The entries of the directory `path`: a set from names to `\"regular\"`, `\"directory\"`, `\"symlink\"` or `\"unknown\"`.",
    ),
    builtin!(
        "readFileType",
        ["path"],
        read_file_type,
        "What is at `path`: `\"regular\"`, `\"directory\"`, `\"symlink\"` or `\"unknown\"`.",
    ),
    builtin!(
        "pathExists",
        ["path"],
        path_exists,
        "Whether there is something at `path`. With a trailing slash, whether there is a directory.",
    ),
];

fn read_file(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let path = vm.realise_resolved(args[0], pos)?;
    let text = vm.ev.io.read_file(&path).map_err(|e| e.at(pos))?;
    if memchr::memchr(0, &text).is_some() {
        let message = [
            b"the contents of the file '".as_slice(),
            &path,
            b"' cannot be represented as a Nix string",
        ];
        return Err(Error::other(message.concat()).at(pos));
    }
    let context = references_in(vm, &path, &text)?;
    Ok(Str::with_context(&mut vm.heap, &text, context))
}

/// The references of the store object that a file is in, as far as the file's text has them.
fn references_in(vm: &mut Vm, path: &[u8], text: &[u8]) -> Result<Context> {
    let store = vm.ev.io.store();
    let dir = store.dir();
    if !dir.contains(path) {
        return Ok(Context::EMPTY);
    }
    let Ok((object, _)) = dir.split(path) else {
        return Ok(Context::EMPTY);
    };
    let references = store.references(&object).unwrap_or_default();
    Ok(Context::from_elements(
        references
            .iter()
            .filter(|r| memchr::memmem::find(text, r.hash_part().as_bytes()).is_some())
            .map(|r| crate::value::ContextElement::Opaque(dir.print(r).into())),
    ))
}

fn read_dir(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let path = vm.realise_resolved(args[0], pos)?;
    let entries = vm.ev.io.read_dir(&path).map_err(|e| e.at(pos))?;
    let names = [
        FileKind::Regular,
        FileKind::Directory,
        FileKind::Symlink,
        FileKind::Unknown,
    ]
    .map(|kind| vm.str(kind.name().as_bytes()));
    let mut set = AttrsBuilder::new(entries.len());
    for (name, kind) in entries.iter() {
        set.push(symbol::intern(name), names[kind as usize]);
    }
    Ok(set.finish(&mut vm.heap, Duplicates::Last))
}

fn read_file_type(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let path = vm.realise_path(args[0], pos)?;
    let kind = vm.must_exist(&path).map_err(|e| e.at(pos))?;
    Ok(vm.str(kind.name().as_bytes()))
}

fn path_exists(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let value = vm.force(args[0])?;
    let directory = value
        .as_str()
        .is_some_and(|s| s.as_bytes().ends_with(b"/") || s.as_bytes().ends_with(b"/."));
    let path = vm.realise_path(value, pos)?;
    let io = &vm.ev.io;
    let exists = if directory {
        let path = io.resolve(&path).map_err(|e| e.at(pos))?;
        io.kind(&path).map_err(|e| e.at(pos))? == Some(FileKind::Directory)
    } else {
        io.kind(&path).map_err(|e| e.at(pos))?.is_some()
    };
    Ok(Value::bool(exists))
}
