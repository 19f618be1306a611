//! A person at a terminal: editing with history, completion, colours, hints, and input over several lines.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use rx_eval::builtins;
use rx_store::progress;

use super::ending;
use super::highlighting::highlight;
use super::history::{History, MOST_ENTRIES};
use super::input::{self, Input};
use super::reader::Typed;
use super::session::Repl;
use crate::ui::{self, Failure};

/// Lines from a terminal.
pub(super) struct Terminal<'a, 'b> {
    editor: Editor<Assistant<'a, 'b>, MemHistory>,
    history: History,
}

impl<'a, 'b> Terminal<'a, 'b> {
    /// The terminal, unless it cannot be used.
    pub fn new(repl: &'a RefCell<Repl<'b>>, data_dir: &Path) -> Option<Terminal<'a, 'b>> {
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
        // first takes ours and gives them back, so that Ctrl-C ends evaluations; the second finds nothing to keep.
        let first: Editor<(), MemHistory> =
            Editor::with_history(config.clone(), MemHistory::with_config(&config)).ok()?;
        let entries = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, entries).ok()?;
        drop(first);
        for line in history.load() {
            let _ = editor.add_history_entry(line);
        }
        editor.set_helper(Some(Assistant {
            repl,
            colours: ui::stdout_colours(),
            history: HistoryHinter::new(),
        }));
        Some(Terminal { editor, history })
    }

    /// The next input.
    pub fn read(&mut self, prompt: &str) -> Result<Typed, Failure> {
        let _pause = progress::pause();
        match ending::waiting(|| self.editor.readline(prompt)) {
            Ok(line) => {
                if !line.trim().is_empty() && self.editor.add_history_entry(&line).unwrap_or(false)
                {
                    self.history.add(&line);
                }
                Ok(Typed::Line(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupt),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(ReadlineError::Io(error)) => Err(error.into()),
            Err(error) => Err(Failure::message(format!(
                "cannot read from the terminal: {error}"
            ))),
        }
    }
}

/// What helps while a line is being typed.
struct Assistant<'a, 'b> {
    repl: &'a RefCell<Repl<'b>>,
    colours: bool,
    history: HistoryHinter,
}

impl Helper for Assistant<'_, '_> {}

impl Completer for Assistant<'_, '_> {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let Ok(mut repl) = self.repl.try_borrow_mut() else {
            return Ok((pos, Vec::new()));
        };
        let candidates = ending::interruptible(|| repl.complete(&line[..pos]));
        let pairs = candidates.texts.into_iter();
        let pairs = pairs.map(|(display, replacement)| Pair {
            display,
            replacement,
        });
        Ok((candidates.start, pairs.collect()))
    }
}

impl Hinter for Assistant<'_, '_> {
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

impl Highlighter for Assistant<'_, '_> {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if !self.colours {
            return line.into();
        }
        let options = match self.repl.try_borrow() {
            Ok(repl) => repl.vm.ev.settings.syntax,
            Err(_) => return line.into(),
        };
        let is_builtin = |name: &str| {
            name == "builtins"
                || name == "derivation"
                || builtins::all().any(|builtin| builtin.global && builtin.name == name)
        };
        highlight(line, &options, is_builtin).into()
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

impl Validator for Assistant<'_, '_> {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let options = match self.repl.try_borrow() {
            Ok(repl) => repl.vm.ev.settings.syntax,
            Err(_) => return Ok(ValidationResult::Valid(None)),
        };
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
