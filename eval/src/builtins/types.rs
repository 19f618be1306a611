//! What a value is.

use crate::builtins::{Builtin, builtin};
use crate::error::Result;
use crate::interp::Coercion;
use crate::value::{Str, Value, View};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!("isNull", ["e"], is_null, "Whether `e` is null.", strict: 1, global: true),
    builtin!("typeOf", ["e"], type_of, "The name of the type of `e`.", strict: 1),
    builtin!("toString", ["e"], to_string, "`e` as a string.", global: true),
];

fn is_null(vm: &mut Vm, args: &[Value]) -> Result {
    let value = vm.force(args[0])?;
    Ok(Value::bool(matches!(value.view(), View::Null)))
}

fn type_of(vm: &mut Vm, args: &[Value]) -> Result {
    let name = vm.force(args[0])?.type_name();
    Ok(vm.str(name.as_bytes()))
}

fn to_string(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.toString";
    let (text, context) = vm.to_text(args[0], Coercion::TO_STRING, pos, what)?;
    Ok(Str::with_context(&mut vm.heap, &text, context))
}
