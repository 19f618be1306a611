//! Numbers.

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, Result};
use crate::interp::Operation;
use crate::value::Value;
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!("add", ["e1", "e2"], add, "The sum of the numbers `e1` and `e2`.", strict: 3),
    builtin!("bitAnd", ["e1", "e2"], bit_and, "The bits that both integers have.", strict: 1),
    builtin!("bitOr", ["e1", "e2"], bit_or, "The bits that either integer has.", strict: 1),
    builtin!("bitXor", ["e1", "e2"], bit_xor, "The bits that just one of the integers has.", strict: 1),
    builtin!("ceil", ["number"], ceil, "The smallest integer that is not below `number`.", strict: 1),
    builtin!("div", ["e1", "e2"], div, "The quotient of the numbers `e1` and `e2`; of integers without its fraction.", strict: 3),
    builtin!("floor", ["number"], floor, "The largest integer that is not above `number`.", strict: 1),
    builtin!("mul", ["e1", "e2"], mul, "The product of the numbers `e1` and `e2`.", strict: 3),
    builtin!("sub", ["e1", "e2"], sub, "The difference of the numbers `e1` and `e2`.", strict: 3),
];

fn calculate(vm: &mut Vm, args: &[Value], operation: Operation) -> Result {
    let pos = vm.call_pos;
    let left = vm.force(args[0])?;
    let right = vm.force(args[1])?;
    vm.arithmetic_on(left, right, operation, pos)
}

fn add(vm: &mut Vm, args: &[Value]) -> Result {
    calculate(vm, args, Operation::ADD)
}

fn sub(vm: &mut Vm, args: &[Value]) -> Result {
    calculate(vm, args, Operation::SUB)
}

fn mul(vm: &mut Vm, args: &[Value]) -> Result {
    calculate(vm, args, Operation::MUL)
}

fn div(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let left = vm.force(args[0])?;
    let right = vm.force(args[1])?;
    vm.divide_on(left, right, pos)
}

fn bit_and(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let x = vm.expect_int(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.bitAnd",
    )?;
    let y = vm.expect_int(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.bitAnd",
    )?;
    Ok(vm.int(x & y))
}

fn bit_or(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let x = vm.expect_int(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.bitOr",
    )?;
    let y = vm.expect_int(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.bitOr",
    )?;
    Ok(vm.int(x | y))
}

fn bit_xor(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let x = vm.expect_int(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.bitXor",
    )?;
    let y = vm.expect_int(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.bitXor",
    )?;
    Ok(vm.int(x ^ y))
}

fn ceil(vm: &mut Vm, args: &[Value]) -> Result {
    let what = "while evaluating the first argument passed to builtins.ceil";
    round(vm, args[0], f64::ceil, what)
}

fn floor(vm: &mut Vm, args: &[Value]) -> Result {
    let what = "while evaluating the first argument passed to builtins.floor";
    round(vm, args[0], f64::floor, what)
}

/// Rounds by way of a double, and fails where that would lose something, as the reference does.
fn round(vm: &mut Vm, value: Value, rounded: fn(f64) -> f64, what: &str) -> Result {
    /// 2⁶³, the first double beyond the integers.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    let pos = vm.call_pos;
    let number = vm.expect_float(value, pos, what)?;
    let exact = vm.force(value)?.as_int();
    let number = rounded(number);
    if !(-BEYOND..BEYOND).contains(&number) {
        let message = match exact {
            Some(n) => format!(
                "Due to a bug (see https://github.com/NixOS/nix/issues/12899) the NixInt argument {n} caused undefined behavior in previous Nix versions.\n\tFuture Nix versions might implement the correct behavior."
            ),
            None => {
                let shown = vm.force(value)?.as_float().map(crate::print::float);
                format!(
                    "NixFloat argument {} is not in the range of NixInt",
                    shown.unwrap_or_default()
                )
            }
        };
        return Err(Error::other(message).at(pos));
    }
    let result = number as i64;
    match exact {
        Some(n) if n != result => Err(Error::other(format!(
            "Due to a bug (see https://github.com/NixOS/nix/issues/12899) a loss of precision occurred in previous Nix versions because the NixInt argument {n} was rounded to {result}.\n\tFuture Nix versions might implement the correct behavior."
        ))
        .at(pos)),
        _ => Ok(vm.int(result)),
    }
}
