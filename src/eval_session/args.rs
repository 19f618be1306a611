//! The arguments of `--arg`, `--argstr`, `--arg-from-file` and `--arg-from-stdin` as values.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use rx_eval::{Origin, Value};
use rx_lang::symbol::{self, Symbol};

use super::EvalSession;
use crate::cli::{AutoArg, EvalOptions};
use crate::ui::Failure;

/// The values; expressions are parsed now and evaluated when they are needed.
pub(super) fn values(
    session: &mut EvalSession,
    options: &EvalOptions,
) -> Result<Vec<(Symbol, Value)>, Failure> {
    let mut all = Vec::new();
    for (name, arg) in &options.auto_args {
        let value = match arg {
            AutoArg::Expr(text) => {
                let base = session.vm.ev.settings.current_dir.clone();
                let unit = session
                    .vm
                    .compile(Origin::String, text.as_bytes().into(), &base, None);
                let unit = session.check(unit)?;
                session.vm.delay_unit(unit)
            }
            AutoArg::Text(text) => session.vm.str(text.as_bytes()),
            AutoArg::File(path) => {
                let text = std::fs::read(path).map_err(|error| {
                    Failure::message(format!("opening file \"{}\": {error}", path.display()))
                })?;
                session.vm.str(&text)
            }
            AutoArg::Stdin => {
                let mut text = Vec::new();
                std::io::stdin().lock().read_to_end(&mut text)?;
                session.vm.str(&text)
            }
        };
        all.push((symbol::intern(name.as_bytes()), value));
    }
    Ok(all)
}
