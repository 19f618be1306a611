//! `rx repl`: expressions typed by a person, one after the other.
//!
//! ```text
//! reader ─► line ─► input (bindings? expression? more to come?) ─► session ─► printed value
//!   terminal: editing, completion, colours, hints            commands, builds, docs, edit
//!   pipe: lines
//! ```

mod builds;
mod commands;
mod completion;
mod debugger;
mod docs;
mod edit;
mod ending;
mod highlighting;
mod history;
mod input;
mod load;
mod memory;
mod pager;
mod reader;
mod session;
mod terminal;

use std::cell::RefCell;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rx_store::interrupt;
use rx_store::progress::{self, Level};

use crate::cli::{COMPATIBLE_VERSION, Category, EvalOptions, Invocation, Subcommand};
use crate::eval_session::with_session;
use crate::ui::{self, Failure};

pub use debugger::debugger;
pub use load::Start;
use memory::Saved;
use reader::{Reader, Typed};
use session::{Host, Outcome, Repl};

/// Arguments of `rx repl`.
#[derive(clap::Args)]
pub struct ReplCommand {
    /// Load this file; the arguments are attribute paths in it.
    #[arg(long, short, value_name = "FILE", conflicts_with = "expr")]
    file: Option<OsString>,
    /// Load this expression's value; the arguments are attribute paths in it.
    #[arg(long, value_name = "EXPRESSION")]
    expr: Option<OsString>,
    /// Load the value of this attribute of the file or expression.
    #[arg(long, short = 'A', value_name = "ATTRIBUTE")]
    attr: Vec<OsString>,
    /// Go on with a session that this descriptor tells.
    #[arg(long, value_name = "DESCRIPTOR", hide = true)]
    resume: Option<i32>,
    #[command(flatten)]
    options: EvalOptions,
    /// Files (`default.nix`, `<nixpkgs>`) or flakes to load; attribute paths with --file or --expr.
    #[arg(value_name = "WHAT")]
    what: Vec<OsString>,
}

impl Subcommand for ReplCommand {
    const PATH: &'static str = "repl";
    const ABOUT: &'static str = "Evaluate expressions as they are typed";
    const CATEGORY: Category = Category::Main;
    const IMPURE: bool = true;
    const DETAILS: &'static str = "Examples:\n  \
         rx repl                               expressions, ':?' lists the commands\n  \
         rx repl '<nixpkgs>'                   with the packages of nixpkgs in scope\n  \
         rx repl --expr '{ a.b = 3; }' a       with the attributes of a value in scope\n  \
         echo 'builtins.length [ 1 2 ]' | rx repl";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let start = Start {
            file: self.file,
            expr: self.expr,
            what: self.attr.into_iter().chain(self.what).collect(),
            attended: false,
        };
        open(invocation, &self.options, start, self.resume)
    }
}

/// Lets a person ask. A session that goes on in a fresh process is told by the descriptor in `resume`.
pub fn open(
    invocation: &Invocation,
    options: &EvalOptions,
    mut start: Start,
    resume: Option<i32>,
) -> Result<(), Failure> {
    // Before anything is loaded, so that it is not lost who is told meanwhile.
    ending::listen();
    start.attended = reader::is_interactive();
    let saved = resume.map(Saved::receive).transpose()?;
    // A session has time to be told to end: one interrupt too many must not end it.
    interrupt::survive();
    let read_only = invocation.settings.read_only_mode;
    with_session(invocation, options, read_only, |session| {
        let opener = session.store_opener();
        let host = Host {
            invocation: invocation.clone(),
            auto_args: session.auto_args.clone(),
            store: Box::new(move || Ok(opener.open()?)),
            start,
        };
        session.vm.heap.set_limit(memory::heap_limit());
        let mut repl = Repl::new(&mut session.vm, &host);
        let mut rest = Vec::new();
        match saved {
            Some(saved) => rest = repl.resume(saved),
            None => {
                repl.greet();
                repl.load_start()?;
            }
        }
        run(&RefCell::new(repl), host.start.attended, rest).map(drop)
    })
}

/// How a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    /// By its own wish, or because there is no more to read.
    Quit,
    /// So that what was stopped goes on.
    Continue,
    /// The same, for one step.
    Step,
}

/// Reads and answers until the session ends.
fn run(repl: &RefCell<Repl<'_>>, interactive: bool, rest: Vec<u8>) -> Result<Ended, Failure> {
    let data_dir = repl
        .borrow()
        .host
        .invocation
        .settings
        .places
        .data_dir
        .clone();
    let mut reader = Reader::new(repl, interactive, &data_dir, rest);
    let mut pending = String::new();
    ending::listen();
    loop {
        if let Some(status) = ending::told() {
            return Err(Failure::Status(status));
        }
        let typed = reader.read(&pending)?;
        ending::forget_interrupt();
        let (text, complete) = match typed {
            Typed::Line(line) => (std::mem::take(&mut pending) + &line + "\n", false),
            Typed::Interrupt => {
                pending.clear();
                continue;
            }
            Typed::End if pending.trim().is_empty() => {
                ui::print("\n")?;
                return Ok(Ended::Quit);
            }
            // What lacks its end is told as that.
            Typed::End => (std::mem::take(&mut pending), true),
        };
        let outcome = repl.borrow_mut().process_safely(&text, complete)?;
        ending::forget_interrupt();
        match outcome {
            Outcome::More if !complete => {
                pending = text;
                continue;
            }
            Outcome::More | Outcome::Again => {}
            Outcome::Quit => return Ok(Ended::Quit),
            Outcome::Continue => return Ok(Ended::Continue),
            Outcome::Step => return Ok(Ended::Step),
        }
        ui::print("\n")?;
        if complete {
            return Ok(Ended::Quit);
        }
        // What is stopped would be lost.
        let may_restart = !repl.borrow().is_stopped;
        if may_restart && repl.borrow().is_large() {
            let rest = reader.unread();
            repl.borrow_mut().start_afresh(rest);
        }
    }
}

impl Repl<'_> {
    /// Says who is there, once.
    fn greet(&self) {
        static GREETED: AtomicBool = AtomicBool::new(false);
        if GREETED.swap(true, Ordering::Relaxed) {
            return;
        }
        let program = &self.host.invocation.program;
        let name = if program.starts_with("rx") {
            format!(
                "rx {} (Nix {COMPATIBLE_VERSION})",
                env!("CARGO_PKG_VERSION")
            )
        } else {
            format!("Nix {COMPATIBLE_VERSION}")
        };
        let what = if self.vm.has_debugger() {
            " debugger"
        } else {
            ""
        };
        self.say(&format!("{name}{what}\nType :? for help."));
    }

    /// Says something to the person, after all that was printed.
    fn say(&self, text: &str) {
        if !self.quiet {
            progress::log(Level::Notice, text);
        }
    }
}

/// Where the store is opened, once.
type OpenStore = Box<dyn Fn() -> Result<Arc<dyn rx_store::store::Store>, Failure>>;
