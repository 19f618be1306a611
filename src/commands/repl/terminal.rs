//! A person at a terminal: editing with history, completion, colours, hints, and input over several lines.
//!
//! The editor lives in a thread of its own, once for all sessions of the process (the debugger opens many), and asks the
//! session that waits for a line what could stand at the cursor:
//!
//! ```text
//! session ── Line(prompt) ──► editor
//!         ◄── Complete(text) ─       as often as the key is pressed
//!         ── Candidates ────►
//!         ◄── Typed ──────────
//! ```

use std::borrow::Cow;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use rx_eval::{Evaluator, builtins};
use rx_store::progress;

use super::completion::Candidates;
use super::ending;
use super::highlighting::highlight;
use super::history::{History, MOST_ENTRIES};
use super::input::{self, Input};
use super::reader::Typed;
use super::session::Repl;
use crate::ui::{self, Failure};

/// Lines from a terminal.
pub(super) struct Terminal<'a, 'b> {
    repl: &'a RefCell<Repl<'b>>,
}

/// What a session tells the editor.
enum Ask {
    /// A line is wanted, after this prompt.
    Line(String),
    /// What can stand at the cursor.
    Candidates(Candidates),
}

/// What the editor tells a session.
enum Told {
    /// It is there.
    Ready,
    /// What can stand behind this text?
    Complete(String),
    /// The line.
    Typed(Result<Typed, Failed>),
}

/// Why there is no line.
enum Failed {
    Io(std::io::Error),
    Other(String),
}

/// The session's ends of what leads to the editor.
struct Link {
    asks: Sender<Ask>,
    told: Receiver<Told>,
}

/// The editor's thread, once there is one.
static EDITOR: Mutex<Option<Link>> = Mutex::new(None);

impl<'a, 'b> Terminal<'a, 'b> {
    /// The terminal, unless it cannot be used.
    pub fn new(repl: &'a RefCell<Repl<'b>>, data_dir: &Path) -> Option<Terminal<'a, 'b>> {
        let mut editor = EDITOR.lock().unwrap_or_else(PoisonError::into_inner);
        if editor.is_none() {
            *editor = Some(start(repl.borrow().vm.ev, data_dir.to_owned())?);
        }
        Some(Terminal { repl })
    }

    /// The next input.
    pub fn read(&mut self, prompt: &str) -> Result<Typed, Failure> {
        let gone = || Failure::message("cannot read from the terminal: its editor has ended");
        let _pause = progress::pause();
        let editor = EDITOR.lock().unwrap_or_else(PoisonError::into_inner);
        let link = editor.as_ref().ok_or_else(gone)?;
        link.asks
            .send(Ask::Line(prompt.to_owned()))
            .map_err(|_| gone())?;
        loop {
            match ending::waiting(|| link.told.recv()).map_err(|_| gone())? {
                Told::Ready => {}
                Told::Complete(before) => {
                    let candidates = self.complete(&before);
                    link.asks
                        .send(Ask::Candidates(candidates))
                        .map_err(|_| gone())?;
                }
                Told::Typed(Ok(typed)) => return Ok(typed),
                Told::Typed(Err(Failed::Io(error))) => return Err(error.into()),
                Told::Typed(Err(Failed::Other(error))) => {
                    return Err(Failure::message(format!(
                        "cannot read from the terminal: {error}"
                    )));
                }
            }
        }
    }

    fn complete(&self, before: &str) -> Candidates {
        let Ok(mut repl) = self.repl.try_borrow_mut() else {
            return Candidates::default();
        };
        let complete = || ending::interruptible(|| repl.complete(before));
        // A defect costs the candidates, not the session.
        catch_unwind(AssertUnwindSafe(complete)).unwrap_or_default()
    }
}

/// Starts the editor; nothing if the terminal cannot be used.
fn start(ev: &'static Evaluator, data_dir: PathBuf) -> Option<Link> {
    let (asks, to_editor) = channel();
    let (from_editor, told) = channel();
    std::thread::Builder::new()
        .name("editor".to_owned())
        .spawn(move || edit(ev, &data_dir, to_editor, &from_editor))
        .ok()?;
    // Its first word, unless it has failed.
    told.recv().ok()?;
    Some(Link { asks, told })
}

/// Edits lines for whoever asks. The first thing that it says is that it can.
fn edit(
    ev: &'static Evaluator,
    data_dir: &Path,
    asks: Receiver<Ask>,
    told: &Sender<Told>,
) -> Option<()> {
    let asks = Rc::new(asks);
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .completion_prompt_limit(200)
        .max_history_size(MOST_ENTRIES)
        .ok()?
        .auto_add_history(false)
        .tab_stop(4)
        .build();
    let history = History::in_dir(data_dir);
    // An editor takes over the signals as it is made, and gives back those of before when it goes. Of two, the
    // first takes ours and gives them back, so that Ctrl-C ends evaluations; the second finds nothing to keep, and
    // stays as long as the process, so that it gives nothing back.
    let first: Editor<(), MemHistory> =
        Editor::with_history(config.clone(), MemHistory::with_config(&config)).ok()?;
    let entries = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, entries).ok()?;
    drop(first);
    for line in history.load() {
        let _ = editor.add_history_entry(line);
    }
    editor.set_helper(Some(Assistant {
        ev,
        asks: Rc::clone(&asks),
        told: told.clone(),
        colours: ui::stdout_colours(),
        history: HistoryHinter::new(),
    }));
    told.send(Told::Ready).ok()?;
    while let Ok(ask) = asks.recv() {
        let Ask::Line(prompt) = ask else {
            continue;
        };
        let typed = match editor.readline(&prompt) {
            Ok(line) => {
                if !line.trim().is_empty() && editor.add_history_entry(&line).unwrap_or(false) {
                    history.add(&line);
                }
                Ok(Typed::Line(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupt),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(ReadlineError::Io(error)) => Err(Failed::Io(error)),
            Err(error) => Err(Failed::Other(error.to_string())),
        };
        told.send(Told::Typed(typed)).ok()?;
    }
    Some(())
}

/// What helps while a line is being typed.
struct Assistant {
    ev: &'static Evaluator,
    asks: Rc<Receiver<Ask>>,
    told: Sender<Told>,
    colours: bool,
    history: HistoryHinter,
}

impl Helper for Assistant {}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let asked = self.told.send(Told::Complete(line[..pos].to_owned()));
        let candidates = match asked.ok().and_then(|()| self.asks.recv().ok()) {
            Some(Ask::Candidates(candidates)) => candidates,
            _ => return Ok((pos, Vec::new())),
        };
        let pairs = candidates.texts.into_iter();
        let pairs = pairs.map(|(display, replacement)| Pair {
            display,
            replacement,
        });
        Ok((candidates.start, pairs.collect()))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, context: &Context<'_>) -> Option<String> {
        if pos < line.len() || line.is_empty() {
            return None;
        }
        // What is taken from the history is accepted with a key; arguments are only to be seen.
        self.history
            .hint(line, pos, context)
            .filter(|hint| !hint.contains('\n'))
            .or_else(|| arguments_of(line))
    }
}

/// The arguments of a builtin whose name has just been typed.
fn arguments_of(line: &str) -> Option<String> {
    let before = line.strip_suffix(' ')?;
    let word = |c: char| c.is_alphanumeric() || "_'-.".contains(c);
    let start = before.rfind(|c| !word(c)).map_or(0, |at| at + 1);
    let name = before.get(start..)?;
    let builtin = match name.strip_prefix("builtins.") {
        Some(name) => builtins::all().find(|builtin| builtin.name == name)?,
        None => builtins::all().find(|builtin| builtin.global && builtin.name == name)?,
    };
    Some(builtin.arguments.join(" "))
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if !self.colours {
            return line.into();
        }
        let is_builtin = |name: &str| {
            name == "builtins"
                || name == "derivation"
                || builtins::all().any(|builtin| builtin.global && builtin.name == name)
        };
        highlight(line, &self.ev.settings.syntax, is_builtin).into()
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.colours {
            format!("\x1b[34;1m{prompt}\x1b[0m").into()
        } else {
            prompt.into()
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.colours {
            format!("\x1b[2m{hint}\x1b[0m").into()
        } else {
            hint.into()
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.colours && kind != CmdKind::MoveCursor
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let options = self.ev.settings.syntax;
        let incomplete = if text.starts_with(':') {
            super::commands::is_incomplete(text, &options)
        } else {
            !text.is_empty() && input::classify(text.as_bytes(), &options) == Input::Incomplete
        };
        Ok(if incomplete {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}
