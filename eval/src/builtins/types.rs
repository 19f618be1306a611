//! What a value is.

use crate::builtins::{Builtin, builtin};
use crate::error::Result;
use crate::interp::Coercion;
use crate::value::{Str, Value, View};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!("isAttrs", ["e"], is_attrs, "Whether `e` is a set.", strict: 1),
    builtin!("isBool", ["e"], is_bool, "Whether `e` is true or false.", strict: 1),
    builtin!("isFloat", ["e"], is_float, "Whether `e` is a floating-point number.", strict: 1),
    builtin!("isFunction", ["e"], is_function, "Whether `e` is a function.", strict: 1),
    builtin!("isInt", ["e"], is_int, "Whether `e` is an integer.", strict: 1),
    builtin!("isList", ["e"], is_list, "Whether `e` is a list.", strict: 1),
    builtin!("isNull", ["e"], is_null, "Whether `e` is null.", strict: 1, global: true),
    builtin!("isPath", ["e"], is_path, "Whether `e` is a path.", strict: 1),
    builtin!("isString", ["e"], is_string, "Whether `e` is a string.", strict: 1),
    builtin!("toString", ["e"], to_string, "`e` as a string: of numbers their digits, of true `1`, of false and null nothing, of a list its elements with spaces between, of a set what its `__toString` or `outPath` says.", strict: 1, global: true),
    builtin!("typeOf", ["e"], type_of, "The name of the type of `e`: `int`, `bool`, `string`, `path`, `null`, `set`, `list`, `lambda` or `float`.", strict: 1),
];

fn is_attrs(vm: &mut Vm, args: &[Value]) -> Result {
    Ok(Value::bool(vm.force(args[0])?.as_attrs().is_some()))
}

fn is_bool(vm: &mut Vm, args: &[Value]) -> Result {
    Ok(Value::bool(vm.force(args[0])?.as_bool().is_some()))
}

fn is_float(vm: &mut Vm, args: &[Value]) -> Result {
    Ok(Value::bool(vm.force(args[0])?.as_float().is_some()))
}

fn is_function(vm: &mut Vm, args: &[Value]) -> Result {
    Ok(Value::bool(vm.force(args[0])?.as_function().is_some()))
}

fn is_int(vm: &mut Vm, args: &[Value]) -> Result {
    Ok(Value::bool(vm.force(args[0])?.as_int().is_some()))
}

fn is_list(vm: &mut Vm, args: &[Value]) -> Result {
    Ok(Value::bool(vm.force(args[0])?.as_list().is_some()))
}

fn is_null(vm: &mut Vm, args: &[Value]) -> Result {
    let value = vm.force(args[0])?;
    Ok(Value::bool(matches!(value.view(), View::Null)))
}

fn is_path(vm: &mut Vm, args: &[Value]) -> Result {
    Ok(Value::bool(vm.force(args[0])?.as_path().is_some()))
}

fn is_string(vm: &mut Vm, args: &[Value]) -> Result {
    Ok(Value::bool(vm.force(args[0])?.as_str().is_some()))
}

fn type_of(vm: &mut Vm, args: &[Value]) -> Result {
    let name = vm.force(args[0])?.type_name();
    Ok(vm.str(name.as_bytes()))
}

fn to_string(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.toString";
    let value = vm.force(args[0])?;
    if value.as_str().is_some() {
        return Ok(value);
    }
    let (text, context) = vm.to_text(value, Coercion::TO_STRING, pos, what)?;
    Ok(Str::with_context(&mut vm.heap, &text, context))
}
