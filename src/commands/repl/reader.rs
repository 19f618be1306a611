//! Where a session's lines come from: a terminal, or standard input as it is.

use std::cell::RefCell;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rx_store::interrupt;

use super::ending;
use super::session::Repl;
use super::terminal::Terminal;
use crate::ui::{self, Failure};

/// What was typed.
#[derive(Debug)]
pub(super) enum Typed {
    /// A line, or several that belong together.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// There is no more.
    End,
}

/// Asks for input.
pub(super) const PROMPT: &str = "nix-repl> ";
/// Asks for more of it.
const MORE: &str = "        > ";

/// Is there a person at a terminal?
pub(super) fn is_interactive() -> bool {
    std::io::stdin().is_terminal()
        && ui::stdout_is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// What was read from standard input and not looked at yet. Sessions inside others read on where those stopped.
static UNREAD: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn unread() -> MutexGuard<'static, Vec<u8>> {
    UNREAD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the lines.
pub(super) enum Reader<'a, 'b> {
    /// From a person.
    Terminal(Box<Terminal<'a, 'b>>),
    /// From a program or file.
    Pipe(Pipe),
}

impl<'a, 'b> Reader<'a, 'b> {
    /// A reader; `rest` is what was read ahead already.
    pub fn new(
        repl: &'a RefCell<Repl<'b>>,
        interactive: bool,
        data_dir: &Path,
        rest: Vec<u8>,
    ) -> Reader<'a, 'b> {
        if interactive && let Some(terminal) = Terminal::new(repl, data_dir) {
            return Reader::Terminal(Box::new(terminal));
        }
        if !rest.is_empty() {
            *unread() = rest;
        }
        Reader::Pipe(Pipe {
            echo: std::env::var_os("_NIX_TEST_REPL_ECHO").is_some_and(|value| value == "1"),
        })
    }

    /// The next line; `pending` is what it goes on from.
    pub fn read(&mut self, pending: &str) -> Result<Typed, Failure> {
        let prompt = if pending.is_empty() { PROMPT } else { MORE };
        match self {
            Reader::Terminal(terminal) => terminal.read(prompt),
            Reader::Pipe(pipe) => pipe.read(prompt),
        }
    }

    /// What was read ahead.
    pub fn unread(&self) -> Vec<u8> {
        match self {
            Reader::Terminal(_) => Vec::new(),
            Reader::Pipe(_) => std::mem::take(&mut unread()),
        }
    }
}

/// Lines of standard input.
pub(super) struct Pipe {
    /// Tests want to see prompts and lines.
    echo: bool,
}

impl Pipe {
    fn read(&self, prompt: &str) -> Result<Typed, Failure> {
        let mut searched = 0;
        loop {
            let mut buffer = unread();
            let end = buffer[searched..].iter().position(|&b| b == b'\n');
            if let Some(end) = end {
                let rest = buffer.split_off(searched + end + 1);
                let mut line = std::mem::replace(&mut *buffer, rest);
                drop(buffer);
                line.pop();
                return self.line(prompt, line);
            }
            searched = buffer.len();
            drop(buffer);
            if !ending::waiting(wait_for_input)? {
                ending::forget_interrupt();
                return Ok(Typed::Interrupt);
            }
            let mut piece = [0; 16 * 1024];
            let count = std::io::stdin().lock().read(&mut piece)?;
            let mut buffer = unread();
            if count > 0 {
                buffer.extend_from_slice(&piece[..count]);
            } else if buffer.is_empty() {
                return Ok(Typed::End);
            } else {
                let line = std::mem::take(&mut *buffer);
                drop(buffer);
                return self.line(prompt, line);
            }
        }
    }

    fn line(&self, prompt: &str, line: Vec<u8>) -> Result<Typed, Failure> {
        let line = String::from_utf8_lossy(&line).into_owned();
        if self.echo {
            ui::print(&format!("{prompt}{line}\n"))?;
        }
        Ok(Typed::Line(line))
    }
}

/// Waits until something can be read; false after Ctrl-C.
fn wait_for_input() -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    let mut fds = vec![PollFd::new(&stdin, PollFlags::IN)];
    let signal = interrupt::descriptor();
    if let Some(signal) = &signal {
        fds.push(PollFd::new(signal, PollFlags::IN));
    }
    loop {
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
        let interrupted = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        return Ok(!interrupted);
    }
}
