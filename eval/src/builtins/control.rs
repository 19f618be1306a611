//! Evaluation itself: forcing, errors, tracing.

use rx_lang::symbol::{self, known::VALUE};
use rx_store::progress::{self, Level};

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, ErrorKind, Frame, Result};
use crate::interp::Coercion;
use crate::print::PrintOptions;
use crate::source::Pos;
use crate::value::attrs::Duplicates;
use crate::value::{AttrsBuilder, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!("abort", ["s"], abort, "Ends the evaluation with the message `s`; nothing catches it.", strict: 1, global: true),
    builtin!(
        "addErrorContext",
        ["context", "value"],
        add_error_context,
        "Gives `value`; if that fails, `context` is shown on the way to the error."
    ),
    builtin!("break", ["v"], pause, "Gives `v`. In the debugger, evaluation stops here.", global: true),
    builtin!("deepSeq", ["e1", "e2"], deep_seq, "Evaluates `e1` with everything in it, then gives `e2`.", strict: 1),
    builtin!("seq", ["e1", "e2"], seq, "Evaluates `e1`, then gives `e2`.", strict: 3),
    builtin!("throw", ["s"], throw, "Fails with the message `s`; `tryEval` catches it.", strict: 1, global: true),
    builtin!("trace", ["e1", "e2"], trace, "Shows `e1` on standard error, then gives `e2`.", strict: 1),
    builtin!(
        "traceVerbose",
        ["e1", "e2"],
        trace_verbose,
        "As `trace` if the setting `trace-verbose` is on; else just `e2`."
    ),
    builtin!(
        "tryEval",
        ["e"],
        try_eval,
        "Evaluates `e` (not what is in it). Gives a set with `success` and `value`; after a `throw` or a failed `assert` both are false."
    ),
    builtin!("warn", ["e1", "e2"], warn, "Shows the string `e1` as a warning, then gives `e2`. With the setting `abort-on-warn` it fails instead.", strict: 1),
];

fn seq(vm: &mut Vm, args: &[Value]) -> Result {
    vm.force(args[0])?;
    vm.force(args[1])
}

fn deep_seq(vm: &mut Vm, args: &[Value]) -> Result {
    vm.force_deep(args[0])?;
    vm.force(args[1])
}

fn pause(vm: &mut Vm, args: &[Value]) -> Result {
    vm.breakpoint()?;
    vm.force(args[0])
}

fn throw(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the error message passed to builtin.throw";
    let (message, _) = vm.to_text(args[0], Coercion::segment(true), pos, what)?;
    Err(Error::new(ErrorKind::Throw, message).at(pos))
}

fn abort(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the error message passed to builtins.abort";
    let (text, _) = vm.to_text(args[0], Coercion::segment(true), pos, what)?;
    let message = [
        b"evaluation aborted with the following error message: '",
        &text[..],
        b"'",
    ]
    .concat();
    Err(Error::new(ErrorKind::Abort, message).at(pos))
}

fn add_error_context(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    match vm.force(args[1]) {
        Ok(value) => Ok(value),
        Err(mut error) => {
            let what = "while evaluating the error message passed to builtins.addErrorContext";
            let (text, _) = vm.to_text(args[0], Coercion::segment(false), pos, what)?;
            error.frames.push(Frame {
                pos: Pos::NONE,
                text,
                always: true,
            });
            Err(error)
        }
    }
}

fn try_eval(vm: &mut Vm, args: &[Value]) -> Result {
    let (sp, depth) = (vm.sp, vm.depth);
    let result = vm.trying(|vm| vm.force(args[0]));
    (vm.sp, vm.depth) = (sp, depth);
    let (success, value) = match result {
        Ok(value) => (Value::TRUE, value),
        Err(error) if error.is_catchable() => (Value::FALSE, Value::FALSE),
        Err(error) => return Err(error),
    };
    let mut set = AttrsBuilder::new(2);
    set.push(symbol::intern(b"success"), success);
    set.push(VALUE, value);
    Ok(set.finish(&mut vm.heap, Duplicates::Last))
}

fn show_trace(vm: &mut Vm, value: Value) -> Result<()> {
    let value = vm.force(value)?;
    let text = match value.as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => vm.print(value, &PrintOptions::default())?,
    };
    progress::log(
        Level::Error,
        format_args!("trace: {}", String::from_utf8_lossy(&text)),
    );
    Ok(())
}

fn trace(vm: &mut Vm, args: &[Value]) -> Result {
    show_trace(vm, args[0])?;
    if vm.ev.settings.debugger_on_trace {
        vm.pause()?;
    }
    vm.force(args[1])
}

fn trace_verbose(vm: &mut Vm, args: &[Value]) -> Result {
    if vm.ev.settings.trace_verbose {
        show_trace(vm, args[0])?;
    }
    vm.force(args[1])
}

fn warn(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument; the message passed to builtins.warn";
    let text = vm.expect_str(args[0], pos, what)?;
    progress::log(
        Level::Warn,
        format_args!("evaluation warning: {}", indented(text.as_bytes())),
    );
    if vm.ev.settings.abort_on_warn {
        let message = "aborting to reveal stack trace of warning, as abort-on-warn is set";
        return Err(Error::new(ErrorKind::Abort, message).at(pos));
    }
    if vm.ev.settings.debugger_on_trace || vm.ev.settings.debugger_on_warn {
        vm.pause()?;
    }
    vm.force(args[1])
}

/// The further lines of a message stand under its first, unless it begins with a line break.
fn indented(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if text.starts_with('\n') {
        return text.into_owned();
    }
    text.replace('\n', &format!("\n{:20}", ""))
}
