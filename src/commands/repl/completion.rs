//! What could stand at the cursor: commands, variables, attributes, paths.
//!
//! Attributes are found by evaluating what stands before the dot, which is done for variables and selections from them
//! only: nothing is called that the user has not asked for. It must be quick, and nothing of it is seen.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rx_eval::print::attribute_name;
use rx_lang::ast::{AttrName, Expr, ExprId};
use rx_lang::{Ast, symbol};
use rx_store::interrupt;
use rx_store::progress::{self, Level, Logger};

use super::commands::{COMMANDS, DEBUG_COMMANDS, Takes};
use super::session::Repl;

/// How long may be evaluated for a completion.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What can stand in the place of a part of the line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Candidates {
    /// Where the part begins that is replaced.
    pub start: usize,
    /// Texts to show, with what replaces the part.
    pub texts: BTreeMap<String, String>,
}

impl Repl<'_> {
    /// What can stand at the end of the text before the cursor.
    pub fn complete(&mut self, before: &str) -> Candidates {
        let mut candidates = Candidates::default();
        let trimmed = before.trim_start();
        if trimmed.starts_with(':') {
            let Some(space) = trimmed.find(char::is_whitespace) else {
                candidates.start = before.len() - trimmed.len();
                candidates.commands(trimmed, self.vm.has_debugger());
                return candidates;
            };
            let name = &trimmed[..space];
            let command = COMMANDS
                .iter()
                .find(|command| command.names.contains(&name));
            let argument = trimmed[space..].trim_start();
            match command.map(|command| command.takes) {
                Some(Takes::Path) => {
                    candidates.start = before.len() - argument.len();
                    self.paths(argument, &mut candidates);
                    return candidates;
                }
                Some(Takes::Word) => {
                    candidates.start = before.len() - argument.len();
                    candidates.words(argument, &["true", "false"]);
                    return candidates;
                }
                Some(Takes::Nothing) | None => return candidates,
                Some(Takes::Expression) => {}
            }
        }
        let separator = |c: char| c.is_whitespace() || "(){}[];=,!+*\"@:?|&".contains(c);
        let start = before.rfind(separator).map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
        candidates.start = start;
        let word = &before[start..];
        if let Some(name) = word.strip_prefix('<') {
            self.search_path(name, &mut candidates);
        } else if word.contains('/') {
            self.paths(word, &mut candidates);
        } else if let Some((value, attribute)) = word.rsplit_once('.') {
            self.attributes(value, attribute, &mut candidates);
        } else {
            self.variables(word, &mut candidates);
        }
        candidates
    }

    fn variables(&mut self, word: &str, candidates: &mut Candidates) {
        let mut names: Vec<_> = self.scope.names().collect();
        names.extend(self.vm.global_names().map(|(name, _)| name));
        for name in names {
            let name = String::from_utf8_lossy(symbol::name(name));
            // What begins with two underscores is in `builtins`, too.
            let wanted =
                name.starts_with(word) && (!name.starts_with("__") || word.starts_with('_'));
            let is_identifier = attribute_name(name.as_bytes()) == name.as_bytes();
            if wanted && is_identifier {
                candidates.add(&name, name.to_string());
            }
        }
    }

    fn attributes(&mut self, value: &str, attribute: &str, candidates: &mut Candidates) {
        let options = self.vm.ev.settings.syntax;
        let Ok(ast) = rx_lang::parse(value.as_bytes(), &options) else {
            return;
        };
        if !is_selection(&ast, ast.root()) {
            return;
        }
        for name in self.names_in(value) {
            let name = attribute_name(&name);
            let name = String::from_utf8_lossy(&name);
            if name.starts_with(attribute) || name.starts_with(&format!("\"{attribute}")) {
                candidates.add(&name, format!("{value}.{name}"));
            }
        }
    }

    /// The attributes of an expression's value; none if it takes long or fails.
    fn names_in(&mut self, expression: &str) -> Vec<Vec<u8>> {
        let base = self.base_dir();
        let quiet = Quiet::start();
        let scope = &self.scope;
        let value = self.vm.without_debugger(|vm| {
            vm.eval_in(scope, expression.as_bytes(), &base)
                .and_then(|value| vm.force(value))
        });
        drop(quiet);
        let Some(set) = value.ok().and_then(|value| value.as_attrs()) else {
            return Vec::new();
        };
        let entries = set.entries(&mut self.vm.heap);
        let names = entries.names().iter();
        names.map(|&name| symbol::name(name).to_vec()).collect()
    }

    /// Paths as they are written in expressions and as arguments of commands.
    fn paths(&self, word: &str, candidates: &mut Candidates) {
        let (directory, name) = match word.rfind('/') {
            Some(slash) => word.split_at(slash + 1),
            None => ("", word),
        };
        let home = &self.host.invocation.settings.places.home;
        let real = match directory.strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None => {
                let base = self.base_dir();
                Path::new(std::ffi::OsStr::from_bytes(&base)).join(directory)
            }
        };
        candidates.files(&real, directory, name, "");
    }

    /// `<name` and `<name/path`.
    fn search_path(&mut self, word: &str, candidates: &mut Candidates) {
        if let Some(slash) = word.rfind('/') {
            let (directory, name) = word.split_at(slash + 1);
            let quiet = Quiet::start();
            let found = self
                .vm
                .without_debugger(|vm| crate::eval_session::lookup(vm, &word.as_bytes()[..slash]));
            drop(quiet);
            if let Ok(real) = found {
                let real = PathBuf::from(std::ffi::OsStr::from_bytes(&real));
                candidates.files(&real, &format!("<{directory}"), name, ">");
            }
            return;
        }
        for entry in &self.vm.ev.settings.search_path {
            let name = String::from_utf8_lossy(&entry.prefix);
            if !name.is_empty() && name.starts_with(word) {
                candidates.add(&name, format!("<{name}>"));
            }
        }
    }
}

impl Candidates {
    fn add(&mut self, shown: &str, replacement: String) {
        self.texts.insert(shown.to_owned(), replacement);
    }

    fn commands(&mut self, word: &str, debugger: bool) {
        let more = if debugger { DEBUG_COMMANDS } else { &[] };
        for command in COMMANDS.iter().chain(more) {
            for name in command.names.iter().filter(|name| name.starts_with(word)) {
                let space = if command.takes == Takes::Nothing {
                    ""
                } else {
                    " "
                };
                self.add(name, format!("{name}{space}"));
            }
        }
    }

    fn words(&mut self, word: &str, words: &[&str]) {
        for known in words.iter().filter(|known| known.starts_with(word)) {
            self.add(known, (*known).to_owned());
        }
    }

    /// The files in a directory; `end` follows what is no directory.
    fn files(&mut self, directory: &Path, written: &str, name: &str, end: &str) {
        let Ok(entries) = std::fs::read_dir(directory) else {
            return;
        };
        for entry in entries.flatten() {
            let file = entry.file_name();
            let Some(file) = file.to_str().filter(|file| file.starts_with(name)) else {
                continue;
            };
            if file.starts_with('.') && !name.starts_with('.') {
                continue;
            }
            let ending = if entry.path().is_dir() { "/" } else { end };
            self.add(
                &format!("{file}{}", ending.trim_end_matches('>')),
                format!("{written}{file}{ending}"),
            );
        }
    }
}

/// Whether an expression is a variable, or selects from one by names that are written out.
fn is_selection(ast: &Ast, expr: ExprId) -> bool {
    let mut at = expr;
    loop {
        match ast.expr(at) {
            Expr::Var(_) => return true,
            Expr::Select { base, path } => {
                let names = ast.attr_path(path);
                if !names.iter().all(|name| matches!(name, AttrName::Static(_))) {
                    return false;
                }
                at = base;
            }
            _ => return false,
        }
    }
}

/// An evaluation that nobody asked for: it is not heard, and it is stopped when it takes long.
struct Quiet {
    logger: Arc<dyn Logger>,
    done: Option<std::sync::mpsc::Sender<()>>,
    watch: Option<std::thread::JoinHandle<()>>,
}

struct Silent;

impl Logger for Silent {
    fn log(&self, _: Level, _: &str) {}
}

impl Quiet {
    fn start() -> Quiet {
        let logger = progress::logger();
        progress::set_logger(Arc::new(Silent));
        let (done, wait) = channel();
        let watch = std::thread::Builder::new().spawn(move || {
            if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                interrupt::trigger();
            }
        });
        Quiet {
            logger,
            done: Some(done),
            watch: watch.ok(),
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
        interrupt::clear();
        progress::set_logger(Arc::clone(&self.logger));
    }
}
