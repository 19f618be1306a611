//! The debugger: a session at the place where an evaluation stops, and its commands.

use std::cell::RefCell;

use rx_eval::debug::{Answer, DebugFrame, DebugScope, Debugger, Stop};
use rx_eval::{ErrorKind, Pos, Vm};
use rx_lang::symbol::{self, Symbol};
use rx_store::interrupt;
use rx_store::progress::{self, Level};

use super::load::Start;
use super::session::{Host, Outcome, Repl};
use super::{Ended, reader, run};
use crate::eval_session::EvalSession;
use crate::ui::{self, Failure, report};

/// Opens a session wherever an evaluation stops.
struct Sessions {
    host: Host,
}

/// What is asked when an evaluation of this session stops.
pub fn debugger(session: &EvalSession) -> Box<dyn Debugger> {
    let opener = session.store_opener();
    Box::new(Sessions {
        host: Host {
            invocation: session.invocation.clone(),
            auto_args: session.auto_args.clone(),
            store: Box::new(move || Ok(opener.open()?)),
            start: Start::default(),
        },
    })
}

impl Debugger for Sessions {
    fn stop(&mut self, vm: &mut Vm, why: Stop<'_>) -> Answer {
        interrupt::survive();
        say_why(vm, why);
        let mut repl = Repl::new(vm, &self.host);
        repl.is_stopped = true;
        repl.greet();
        repl.enter_frame(0);
        let repl = RefCell::new(repl);
        match run(&repl, reader::is_interactive(), Vec::new()) {
            Ok(Ended::Continue) => Answer::Continue,
            Ok(Ended::Step) => Answer::Step,
            Ok(Ended::Quit) => Answer::Quit,
            Err(failure) => {
                repl.borrow().report(&failure);
                Answer::Quit
            }
        }
    }
}

fn say_why(vm: &Vm, why: Stop<'_>) {
    match why {
        Stop::Breakpoint => progress::log(Level::Error, "info: breakpoint reached\n"),
        Stop::Pause => {}
        Stop::Step => {
            if let Some(frame) = vm.debug_frames().first() {
                let text = String::from_utf8_lossy(&frame.text);
                let place = vm.ev.describe_pos(frame.pos);
                let place = match frame.pos.is_none() {
                    true => String::new(),
                    false => format!(" at {}", String::from_utf8_lossy(&place)),
                };
                let text = text.trim_end_matches(':');
                progress::log(Level::Notice, format_args!("stopped {text}{place}"));
            }
        }
        Stop::Error { error, in_try } => {
            // The place of these is the first thing that a backtrace tells.
            let told = match error.kind {
                ErrorKind::Throw | ErrorKind::Abort => {
                    report::plain_error(&String::from_utf8_lossy(&error.message))
                }
                _ => ui::eval_report(vm.ev, error).render(report::Style::of_stderr()),
            };
            progress::log(Level::Error, format_args!("{told}\n"));
            if in_try {
                progress::log(
                    Level::Error,
                    "This exception occurred in a 'tryEval' call. Use --ignore-try to skip these.\n",
                );
            }
        }
    }
}

impl Repl<'_> {
    /// Runs a command that only the debugger has.
    pub(super) fn debug_command(&mut self, name: &str, argument: &str) -> Result<Outcome, Failure> {
        match name {
            ":bt" => {
                let mut text = String::new();
                for (index, frame) in self.vm.debug_frames().iter().enumerate() {
                    text += &self.show_frame(index, frame);
                }
                super::pager::show(text.as_bytes())?;
            }
            ":env" => {
                if let Some(frame) = self.vm.debug_frames().get(self.frame) {
                    ui::print(&self.show_scope(frame.scope))?;
                }
            }
            ":st" => {
                let frames = self.vm.debug_frames();
                let index = match argument {
                    "" => self.frame,
                    _ => argument.parse().map_err(|_| {
                        Failure::message(format!("'{argument}' is not the number of a trace"))
                    })?,
                };
                let Some(frame) = frames.get(index) else {
                    return Err(Failure::message(format!(
                        "there is no trace {index}; there are {}, as ':bt' shows",
                        frames.len()
                    )));
                };
                let text = self.show_frame(index, frame) + "\n" + &self.show_scope(frame.scope);
                self.enter_frame(index);
                ui::print(&text)?;
            }
            ":c" => return Ok(Outcome::Continue),
            _ => return Ok(Outcome::Step),
        }
        Ok(Outcome::Again)
    }

    /// Makes the variables of a frame those of the session.
    pub(super) fn enter_frame(&mut self, index: usize) {
        self.frame = index;
        self.scope.clear();
        let frames = self.vm.debug_frames();
        let Some(frame) = frames.get(index) else {
            return;
        };
        for level in frame.scope.levels().into_iter().rev() {
            for (name, value) in level.names {
                self.scope.bind(name, value);
            }
            if let Some(set) = level.with.flatten() {
                let entries = set.entries(&mut self.vm.heap);
                for (name, value) in entries.iter() {
                    self.scope.bind(name, value);
                }
            }
        }
    }

    fn show_frame(&self, index: usize, frame: &DebugFrame) -> String {
        let mut text = format!("\n{}: ", ui::coloured("34;1", &index.to_string()));
        if frame.is_error {
            text += &format!("{} ", ui::coloured("31;1", "error:"));
        }
        text += &String::from_utf8_lossy(&frame.text);
        text.push('\n');
        text += &self.show_place(frame.pos);
        text
    }

    /// The place with the lines around it.
    fn show_place(&self, pos: Pos) -> String {
        let Some(at) = self.vm.ev.sources.locate(pos) else {
            return String::new();
        };
        let place = self.vm.ev.describe_pos(pos);
        let mut text = String::from_utf8_lossy(&place).into_owned() + "\n\n";
        let source = String::from_utf8_lossy(&at.source.text);
        let lines: Vec<&str> = source.split('\n').collect();
        let line = at.line as usize;
        let column = (at.column as usize).saturating_sub(1);
        for number in line.saturating_sub(1).max(1)..=line + 1 {
            let Some(code) = lines.get(number - 1) else {
                continue;
            };
            let code = code.trim_end_matches('\r');
            if number != line {
                text += &format!(" {number:>5}| {}\n", window(code, 0).0);
                continue;
            }
            let (code, before) = window(code, column);
            let lead = " ".repeat(before);
            text += &format!(
                " {number:>5}| {code}\n      | {lead}{}\n",
                ui::coloured("31;1", "^")
            );
        }
        text
    }

    fn show_scope(&mut self, scope: DebugScope) -> String {
        let mut text = String::new();
        let levels = scope.levels();
        let count = levels.len();
        for (number, level) in levels.into_iter().enumerate() {
            let names = level.names.iter().map(|&(name, _)| name);
            text += &format!("Env level {number}\nstatic: {}\n", list(names));
            if let Some(set) = level.with.flatten() {
                let entries = set.entries(&mut self.vm.heap);
                text += &format!("with: {}\n", list(entries.names().iter().copied()));
            }
            text.push('\n');
        }
        // What begins with two underscores is in `builtins`, too.
        let globals = self.vm.global_names().map(|(name, _)| name);
        let globals = globals.filter(|name| !symbol::name(*name).starts_with(b"__"));
        text += &format!("Env level {count}\n{}\n", list(globals));
        text
    }
}

/// The names by the alphabet, each with a space after it.
fn list(names: impl Iterator<Item = Symbol>) -> String {
    let mut names: Vec<String> = names
        .map(|name| String::from_utf8_lossy(symbol::name(name)).into_owned())
        .collect();
    names.sort();
    let text: String = names.iter().map(|name| format!("{name} ")).collect();
    ui::coloured("35;1", &text)
}

/// The part of a line around a byte, and how many characters of it come before that byte. Generated files have lines of a
/// megabyte.
fn window(code: &str, byte: usize) -> (String, usize) {
    let before = code.get(..byte).unwrap_or(code).chars().count();
    let skipped = before.saturating_sub(MOST_COLUMNS / 2);
    if skipped == 0 && code.len() <= MOST_COLUMNS {
        return (code.to_owned(), before);
    }
    let shown: String = code.chars().skip(skipped).take(MOST_COLUMNS).collect();
    let start = if skipped > 0 { "…" } else { "" };
    let lead = before - skipped + start.chars().count();
    (format!("{start}{shown}"), lead)
}

/// Characters of a line that are shown.
const MOST_COLUMNS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_shown_around_the_place() {
        assert_eq!(window("a + b", 2), ("a + b".to_owned(), 2));
        assert_eq!(window("ä + b", 3), ("ä + b".to_owned(), 2));
        let long = "x".repeat(500) + "!" + &"y".repeat(500);
        let (shown, before) = window(&long, 500);
        assert_eq!(shown.chars().nth(before), Some('!'));
        assert!(shown.chars().count() <= MOST_COLUMNS + 1);
    }
}
