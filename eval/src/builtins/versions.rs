//! Versions and names of packages.

use std::cmp::Ordering;

use rx_lang::symbol::{self, known};

use crate::builtins::{Builtin, builtin};
use crate::error::Result;
use crate::text::version;
use crate::value::attrs::Duplicates;
use crate::value::{AttrsBuilder, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!(
        "parseDrvName",
        ["s"],
        parse_drv_name,
        "The package name `s` as `{ name; version; }`; the version begins after the first dash that no letter follows.",
        strict: 1
    ),
    builtin!(
        "compareVersions",
        ["s1", "s2"],
        compare_versions,
        "-1, 0 or 1 if the version `s1` is older than `s2`, the same, or newer.",
        strict: 1
    ),
    builtin!("splitVersion", ["s"], split_version, "The parts of the version `s` that comparing looks at.", strict: 1),
];

fn parse_drv_name(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.parseDrvName";
    let (name, version) = version::split_name(vm.expect_plain_str(args[0], pos, what)?);
    let (name, version) = (vm.str(name), vm.str(version));
    let mut set = AttrsBuilder::new(2);
    set.push(known::NAME, name);
    set.push(symbol::intern(b"version"), version);
    Ok(set.finish(&mut vm.heap, Duplicates::Last))
}

fn compare_versions(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.compareVersions";
    let left = vm.expect_plain_str(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.compareVersions";
    let right = vm.expect_plain_str(args[1], pos, what)?;
    Ok(Value::small_int(match version::compare(left, right) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

fn split_version(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.splitVersion";
    let version = vm.expect_plain_str(args[0], pos, what)?;
    let parts = version::components(version)
        .map(|part| vm.str(part))
        .collect::<Vec<_>>();
    Ok(vm.list(&parts))
}
