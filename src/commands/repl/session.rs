//! The state of a session, and what becomes of a text that was typed.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rx_eval::print::{Derivations, PrintErrors, PrintOptions};
use rx_eval::scope::Scope;
use rx_eval::value::View;
use rx_eval::{Pos, Value, Vm};
use rx_lang::symbol::{self, Symbol};
use rx_store::store::Store;

use super::OpenStore;
use super::input::{self, Input};
use super::load::Start;
use super::memory::{self, Step};
use crate::cli::Invocation;
use crate::ui::report::Report;
use crate::ui::{self, Failure};

/// What a session gets from the command line.
pub(super) struct Host {
    /// The run of the program.
    pub invocation: Invocation,
    /// The arguments of `--arg` and its kin.
    pub auto_args: Vec<(Symbol, Value)>,
    /// Opens the store.
    pub store: OpenStore,
    /// What is loaded at the beginning and by `:reload`.
    pub start: Start,
}

/// A session.
pub(super) struct Repl<'a> {
    pub vm: &'a mut Vm,
    pub host: &'a Host,
    /// The variables.
    pub scope: Scope,
    /// Files that `:reload` loads again, in order.
    pub files: Vec<OsString>,
    /// Flakes that `:reload` loads again, in order.
    pub flakes: Vec<String>,
    /// What was loaded last.
    pub last_loaded: Option<Vec<Symbol>>,
    /// Are whole traces shown?
    pub show_trace: bool,
    /// What made the variables, for a session that goes on in a fresh process.
    pub steps: Vec<Step>,
    /// The trace that the variables are of, in the debugger.
    pub frame: usize,
    /// An evaluation has been stopped and waits for this session.
    pub is_stopped: bool,
    /// Nothing is said about what is loaded.
    pub quiet: bool,
    /// Bytes of memory from which on the session goes on in a fresh process.
    pub memory_limit: usize,
}

/// What to do after a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Ask for the next text.
    Again,
    /// The text goes on.
    More,
    /// End the session.
    Quit,
    /// Go on with what was stopped.
    Continue,
    /// Go on with it, for one step.
    Step,
}

/// Attributes or elements of a value that a terminal shows.
const MOST_SHOWN: usize = 500;

impl<'a> Repl<'a> {
    /// A session without variables.
    pub fn new(vm: &'a mut Vm, host: &'a Host) -> Repl<'a> {
        Repl {
            vm,
            host,
            scope: Scope::default(),
            files: Vec::new(),
            flakes: Vec::new(),
            last_loaded: None,
            show_trace: host.invocation.settings.show_trace,
            steps: Vec::new(),
            frame: 0,
            is_stopped: false,
            quiet: false,
            memory_limit: memory::limit(),
        }
    }

    /// Answers a text. What goes wrong is said; only a standard output that nobody reads ends the session.
    pub fn process_safely(&mut self, text: &str, complete: bool) -> Result<Outcome, Failure> {
        rx_store::evaluation::restart();
        // A defect of rx costs the value, not the session.
        let answered = catch_unwind(AssertUnwindSafe(|| self.process(text, complete)));
        let Ok(result) = answered else {
            return Ok(Outcome::Again);
        };
        result.or_else(|failure| {
            if failure.is_broken_pipe() {
                return Err(failure);
            }
            self.report(&failure);
            Ok(Outcome::Again)
        })
    }

    /// Says what went wrong.
    pub fn report(&self, failure: &Failure) {
        ui::report_failure(&self.host.invocation.program, failure);
    }

    /// Answers a text; `complete` says that nothing follows.
    pub fn process(&mut self, text: &str, complete: bool) -> Result<Outcome, Failure> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.is_empty() {
            return Ok(Outcome::Again);
        }
        // Every text sees the disk as it is now; what was imported stays.
        self.vm.ev.io.forget_files();
        if text.starts_with(':') {
            return self.command(text, complete);
        }
        let options = self.vm.ev.settings.syntax;
        match input::classify(text.as_bytes(), &options) {
            Input::Incomplete if !complete => return Ok(Outcome::More),
            Input::Bindings(ending) => {
                let base = self.base_dir();
                let bound = self
                    .vm
                    .eval_bindings(&self.scope, text.as_bytes(), ending, &base);
                let bound = self.check(bound)?;
                for (name, value) in bound.entries(&mut self.vm.heap).iter() {
                    self.scope.bind(name, value);
                }
                self.steps.push(Step::Bind(text.to_owned()));
            }
            _ if matches!(text, "exit" | "quit") && !self.is_bound(text) => {
                let mut report = Report::new(format!("undefined variable '{text}'"));
                report
                    .help
                    .push("':q' or Ctrl-D ends the session".to_owned());
                return Err(Failure::Report {
                    report: Box::new(report),
                    status: 1,
                });
            }
            Input::Expression | Input::Incomplete => {
                let value = self.eval(text)?;
                self.print_value(value, 1)?;
            }
        }
        Ok(Outcome::Again)
    }

    fn is_bound(&self, name: &str) -> bool {
        self.scope.get(symbol::intern(name.as_bytes())).is_some()
    }

    /// Where relative paths start.
    pub fn base_dir(&self) -> Vec<u8> {
        self.vm.ev.settings.current_dir.clone()
    }

    /// The value of an expression with the session's variables.
    pub fn eval(&mut self, text: &str) -> Result<Value, Failure> {
        let base = self.base_dir();
        let value = self.vm.eval_in(&self.scope, text.as_bytes(), &base);
        self.check(value)
    }

    /// Passes a result of the evaluator on.
    pub fn check<T>(&self, result: rx_eval::Result<T>) -> Result<T, Failure> {
        result.map_err(|error| ui::eval_failure(self.vm.ev, &error))
    }

    /// The store.
    pub fn store(&self) -> Result<Arc<dyn Store>, Failure> {
        let flushed = self.vm.ev.io.store().flush();
        self.check(flushed)?;
        (self.host.store)()
    }

    /// Prints a value down to a depth.
    pub fn print_value(&mut self, value: Value, max_depth: usize) -> Result<(), Failure> {
        // Nobody reads ten thousand lines, or waits for what stands in them. `:p` prints all.
        let most = match max_depth {
            1 if ui::stdout_is_terminal() => MOST_SHOWN,
            _ => usize::MAX,
        };
        let options = PrintOptions {
            colors: ui::stdout_colours(),
            force: true,
            derivations: Derivations::Paths,
            max_depth,
            max_attrs: most,
            max_items: most,
            max_string: most.saturating_mul(100),
            indent: 2,
            errors: PrintErrors::FailAtTop,
            ..PrintOptions::default()
        };
        let printed = self.vm.print(value, &options);
        let mut printed = self.check(printed)?;
        printed.push(b'\n');
        ui::print_bytes(&printed)
    }

    /// Prints a value wholly; a string as it is.
    pub fn print_whole(&mut self, value: Value) -> Result<(), Failure> {
        match value.view() {
            View::Str(text) => ui::print_bytes(&[text.as_bytes(), b"\n"].concat()),
            _ => self.print_value(value, usize::MAX),
        }
    }

    /// Makes the attributes of a set variables, and says which.
    pub fn add_attributes(&mut self, value: Value) -> Result<(), Failure> {
        let what = "while evaluating an attribute set to be merged in the global scope";
        let set = self.vm.expect_attrs(value, Pos::NONE, what);
        let set = self.check(set)?;
        let entries = set.entries(&mut self.vm.heap);
        for (name, value) in entries.iter() {
            self.scope.bind(name, value);
        }
        let names = entries.names();
        let mut all = names.to_vec();
        all.sort_by(|a, b| by_number(symbol::name(*a), symbol::name(*b)));
        self.last_loaded = Some(all);
        self.say(&format!("Added {} variables.", names.len()));
        const SHOWN: usize = 20;
        let shown: Vec<_> = names.iter().take(SHOWN).map(|&name| shown(name)).collect();
        self.say(&shown.join(", "));
        if names.len() > SHOWN {
            let more = names.len() - SHOWN;
            self.say(&format!("... and {more} more; view with :ll"));
        }
        Ok(())
    }
}

/// The alphabet, but numbers in names by what they are: `python39` stands before `python310`.
fn by_number(a: &[u8], b: &[u8]) -> Ordering {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (mut x, mut y) = (a, b);
    while let (Some(&p), Some(&q)) = (x.first(), y.first()) {
        let (m, n) = (digits(x), digits(y));
        let order = if m > 0 && n > 0 {
            let number = |text: &'_ [u8]| {
                text.iter()
                    .position(|&byte| byte != b'0')
                    .unwrap_or(text.len())
            };
            let (i, j) = (&x[number(&x[..m])..m], &y[number(&y[..n])..n]);
            (x, y) = (&x[m..], &y[n..]);
            i.len().cmp(&j.len()).then_with(|| i.cmp(j))
        } else {
            (x, y) = (&x[1..], &y[1..]);
            p.cmp(&q)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    x.len().cmp(&y.len()).then_with(|| a.cmp(b))
}

/// A name as it would be written in a program.
fn shown(name: Symbol) -> String {
    let name = rx_eval::print::attribute_name(symbol::name(name));
    String::from_utf8_lossy(&name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_numbers_are_in_the_order_of_the_numbers() {
        let mut names = ["b10", "b9", "a", "b", "b09", "10", "9", "b9x", "007", "7"];
        names.sort_by(|a, b| by_number(a.as_bytes(), b.as_bytes()));
        let sorted = ["007", "7", "9", "10", "a", "b", "b09", "b9", "b9x", "b10"];
        assert_eq!(names, sorted);
    }
}
