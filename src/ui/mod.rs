//! Everything that people see: errors, warnings, progress, colours, and data on standard output.

mod advice;
mod bar;
mod changes;
mod columns;
mod date;
mod diagnostics;
mod editor;
mod escapes;
mod eval_error;
mod failure;
mod input;
mod json_log;
mod logger;
mod markdown;
mod output;
mod own_code;
pub mod report;
mod status;
mod tree;

pub use changes::{changes_text, show_changes};
pub use date::{local_date, utc_day};
pub use diagnostics::{parse_failure, warn_of};
pub use editor::open_editor;
pub use eval_error::{eval_failure, eval_report, label};
pub use failure::{Failure, FeatureDisabled, UsageError, catch_panics, report_failure};
pub use input::{ask, read_stdin};
pub use logger::{LogFormat, start_logging};
pub use markdown::render_markdown;
pub use output::{print, print_bytes, print_json, render_size, stdout};

use std::io::IsTerminal;

/// Is standard error a terminal that can be drawn on?
pub fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Is standard output a terminal?
pub fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// May standard error be coloured? `NO_COLOR` and dumb terminals say no.
pub fn colours() -> bool {
    stderr_is_terminal() && !colours_are_unwanted()
}

/// May standard output be coloured? As standard error; `CLICOLOR_FORCE` and `FORCE_COLOR` want it elsewhere, too.
pub fn stdout_colours() -> bool {
    let drawable =
        stdout_is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let forced = ["CLICOLOR_FORCE", "FORCE_COLOR"]
        .iter()
        .any(|name| is_given(name) && std::env::var_os(name).is_none_or(|value| value != "0"));
    !colours_are_unwanted() && (drawable || forced)
}

/// A text for standard output in a colour, if that may be coloured.
pub fn coloured(code: &str, text: &str) -> String {
    if stdout_colours() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Whether colours are switched off, by one of the variables that the reference knows.
pub fn colours_are_unwanted() -> bool {
    is_given("NO_COLOR") || is_given("NOCOLOR")
}

fn is_given(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}
