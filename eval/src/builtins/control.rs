//! Evaluation itself: forcing, errors, tracing.

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, ErrorKind, Result};
use crate::interp::Coercion;
use crate::value::Value;
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!("seq", ["e1", "e2"], seq, "Evaluates `e1`, then gives `e2`.", strict: 1),
    builtin!("throw", ["s"], throw, "Fails with the message `s`; `tryEval` catches it.", global: true),
];

fn seq(vm: &mut Vm, args: &[Value]) -> Result {
    vm.force(args[0])?;
    vm.force(args[1])
}

fn throw(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the error message passed to builtin.throw";
    let (message, _) = vm.to_text(args[0], Coercion::segment(true), pos, what)?;
    Err(Error::new(ErrorKind::Throw, message))
}
