//! Lists.

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, Result};
use crate::value::{ListBuilder, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!("length", ["list"], length, "The number of elements of `list`.", strict: 1),
    builtin!("map", ["f", "list"], map, "Applies `f` to each element of `list`.", global: true),
    builtin!("foldl'", ["op", "nul", "list"], foldl, "Folds `list` from the left with `op`, strictly.", strict: 1),
    builtin!(
        "genList",
        ["generator", "length"],
        gen_list,
        "The list of `generator` applied to 0 to `length` - 1."
    ),
];

fn length(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let list = vm.expect_list(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.length",
    )?;
    Ok(Value::small_int(list.len() as i64))
}

fn map(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let list = vm.expect_list(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.map",
    )?;
    if list.is_empty() {
        return Ok(list.value());
    }
    let function = vm.expect_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.map",
    )?;
    let mut out = ListBuilder::new(&mut vm.heap, list.len());
    for element in list.iter() {
        out.push(vm.delay_call(function, &[element]));
    }
    Ok(out.finish())
}

fn foldl(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let function = vm.expect_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.foldlStrict",
    )?;
    let list = vm.expect_list(
        args[2],
        pos,
        "while evaluating the third argument passed to builtins.foldlStrict",
    )?;
    let mut value = args[1];
    for element in list.iter() {
        value = vm.call(function, &[value, element])?;
    }
    vm.force(value)
}

fn gen_list(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let len = vm.expect_int(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.genList",
    )?;
    let Ok(count) = usize::try_from(len) else {
        return Err(Error::other(format!("cannot create list of size {len}")).at(pos));
    };
    vm.check_size(count.saturating_mul(4))?;
    let function = vm.expect_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.genList",
    )?;
    let mut out = ListBuilder::new(&mut vm.heap, count);
    for i in 0..count {
        out.push(vm.delay_call(function, &[Value::small_int(i as i64)]));
    }
    Ok(out.finish())
}
