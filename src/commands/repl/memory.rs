//! The memory of a long session.
//!
//! The evaluator's heap only grows: that suits commands, which end. A session that has become large goes on in a fresh
//! process: it replaces itself by the same program, which is told how the variables came to be (`x = …`, `:a …`,
//! `:l …`) and makes them again, lazily, as they were made the first time. The terminal, the process id and the
//! input that was read ahead stay. What is lost is what had been computed; it is computed again when it is needed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rx_store::progress;
use serde_json::{Value as Json, json};

use super::session::Repl;
use crate::machine;
use crate::ui::{Failure, report};

/// Something that made variables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Bindings.
    Bind(String),
    /// `:add`
    Add(String),
    /// `:load`
    File(OsString),
    /// `:load-flake`
    Flake(String),
    /// An argument of the command.
    Installable(String),
    /// An attribute path of `--file` or `--expr`.
    Value(String),
}

impl Step {
    fn to_json(&self) -> Json {
        match self {
            Step::Bind(text) => json!(["bind", text]),
            Step::Add(text) => json!(["add", text]),
            Step::File(path) => json!(["file", path.as_bytes()]),
            Step::Flake(text) => json!(["flake", text]),
            Step::Installable(text) => json!(["installable", text]),
            Step::Value(text) => json!(["value", text]),
        }
    }

    fn from_json(json: &Json) -> Option<Step> {
        let text = || json[1].as_str().map(str::to_owned);
        Some(match json[0].as_str()? {
            "bind" => Step::Bind(text()?),
            "add" => Step::Add(text()?),
            "file" => Step::File(OsString::from_vec(bytes(&json[1])?)),
            "flake" => Step::Flake(text()?),
            "installable" => Step::Installable(text()?),
            "value" => Step::Value(text()?),
            _ => return None,
        })
    }
}

fn bytes(json: &Json) -> Option<Vec<u8>> {
    let number = |byte: &Json| byte.as_u64().and_then(|byte| u8::try_from(byte).ok());
    json.as_array()?.iter().map(number).collect()
}

/// A session, as it is handed to a fresh process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Saved {
    steps: Vec<Step>,
    show_trace: bool,
    /// Input that has been read but not looked at.
    rest: Vec<u8>,
}

impl Saved {
    fn to_json(&self) -> Json {
        let steps: Vec<_> = self.steps.iter().map(Step::to_json).collect();
        json!({ "steps": steps, "showTrace": self.show_trace, "rest": self.rest })
    }

    fn from_json(json: &Json) -> Option<Saved> {
        let steps = json["steps"].as_array()?.iter();
        Some(Saved {
            steps: steps.map(Step::from_json).collect::<Option<_>>()?,
            show_trace: json["showTrace"].as_bool()?,
            rest: bytes(&json["rest"])?,
        })
    }

    /// Reads what the process before left.
    pub fn receive(descriptor: i32) -> Result<Saved, Failure> {
        let file = std::fs::File::open(format!("/proc/self/fd/{descriptor}"));
        let mut text = Vec::new();
        file?.read_to_end(&mut text)?;
        serde_json::from_slice(&text)
            .ok()
            .and_then(|json| Saved::from_json(&json))
            .ok_or_else(|| Failure::message("the session that is to go on cannot be read"))
    }

    /// Puts the session where a program that this process becomes can read it.
    fn leave(&self) -> std::io::Result<OwnedFd> {
        let file = memfd_create("rx-repl", MemfdFlags::empty())?;
        let mut file = File::from(file);
        file.write_all(self.to_json().to_string().as_bytes())?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file.into())
    }
}

impl Repl<'_> {
    /// Whether the session takes more memory than it should.
    pub fn is_large(&self) -> bool {
        self.vm.heap.exhausted() || resident() > self.memory_limit
    }

    /// Goes on in a fresh process, if that is possible. `rest` is input that was read ahead.
    pub fn start_afresh(&mut self, rest: Vec<u8>) {
        let saved = Saved {
            steps: std::mem::take(&mut self.steps),
            show_trace: self.show_trace,
            rest,
        };
        progress::debug("the session takes much memory and goes on in a fresh process");
        let error = self.store().err().map_or_else(
            || become_fresh(&saved).to_string(),
            |failure| format!("{failure:?}"),
        );
        // It is large but alive; trying again at every line would be of no use.
        progress::debug(format_args!("that failed: {error}"));
        self.steps = saved.steps;
        self.memory_limit = usize::MAX;
    }

    /// Makes the variables of a session again. Gives the input that was read ahead.
    pub fn resume(&mut self, saved: Saved) -> Vec<u8> {
        self.quiet = true;
        self.show_trace = saved.show_trace;
        report::set_show_trace(self.show_trace);
        for step in saved.steps {
            if let Err(failure) = self.repeat(&step) {
                self.report(&failure);
            }
        }
        self.quiet = false;
        // What is needed always does not count.
        self.memory_limit = self.memory_limit.max(resident() * 2);
        saved.rest
    }

    fn repeat(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Bind(text) => self.process(text, true).map(drop),
            Step::Add(text) => self.command(&format!(":a {text}"), true).map(drop),
            Step::File(file) => self.load_file(file),
            Step::Flake(reference) => self.load_flake(reference),
            Step::Installable(what) => self.load_installable(what),
            Step::Value(path) => {
                let value = self.start_value(path.as_bytes())?;
                self.add_attributes(value)?;
                self.steps.push(step.clone());
                Ok(())
            }
        }
    }
}

/// Replaces this process by the same program, which goes on with the session. Comes back only if that fails.
fn become_fresh(saved: &Saved) -> std::io::Error {
    let session = match saved.leave() {
        Ok(session) => session,
        Err(error) => return error,
    };
    if let Err(error) = fcntl_setfd(session.as_fd(), FdFlags::empty()) {
        return error.into();
    }
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let program = if args.is_empty() {
        "rx".into()
    } else {
        args.remove(0)
    };
    if let Some(at) = args.iter().position(|arg| arg == "--resume") {
        args.drain(at..(at + 2).min(args.len()));
    }
    // Behind the subcommand, and before what could be taken for its arguments.
    let place = args
        .iter()
        .position(|arg| arg == "repl")
        .map_or(0, |at| at + 1);
    let descriptor = session.as_raw_fd().to_string();
    args.splice(place..place, ["--resume".into(), descriptor.into()]);
    Command::new("/proc/self/exe")
        .arg0(program)
        .args(args)
        .exec()
}

/// Bytes of memory that this process has now.
fn resident() -> usize {
    machine::kibibytes("/proc/self/status", "VmRSS:").unwrap_or(0) * 1024
}

/// How large a session may become: `RX_REPL_MEMORY` (bytes), or a quarter of the machine's memory within bounds.
pub(super) fn limit() -> usize {
    let given = std::env::var("RX_REPL_MEMORY").ok();
    given
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| (machine::memory() / 4).clamp(512 << 20, 8 << 30))
}

/// How much one evaluation may take: less than what makes the machine stop.
pub(super) fn heap_limit() -> usize {
    (machine::memory() / 4 * 3).max(1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_survives_being_handed_on() {
        let saved = Saved {
            steps: vec![
                Step::Bind("x = \"ä\\n\"".into()),
                Step::File(OsString::from_vec(b"/tmp/\xff.nix".to_vec())),
                Step::Value(String::new()),
            ],
            show_trace: true,
            rest: b"1 + \xff\n".to_vec(),
        };
        assert_eq!(Saved::from_json(&saved.to_json()), Some(saved));
        assert_eq!(Saved::from_json(&json!({ "steps": [["?"]] })), None);
    }
}
