//! Configurations of homes and of systems: how a flake provides them, and sessions about them.

use std::ffi::OsString;
use std::path::PathBuf;

use rx_eval::Value;
use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};

use super::repl::{self, Start};
use crate::cli::{EvalOptions, Invocation};
use crate::eval_session::{EvalSession, with_session};
use crate::installables::{LockOptions, Lookup, SourceOptions};
use crate::ui::{Failure, UsageError};

/// A flake that has configurations.
pub struct ConfigurationFlake<'a> {
    /// The reference, with `#NAME` if one is selected.
    pub flake: OsString,
    /// How it is locked.
    pub lock: &'a LockOptions,
    /// The output that they are in.
    pub output: &'static str,
    /// The names that are meant when none is selected, the first that exists counts.
    pub names: Vec<String>,
}

impl ConfigurationFlake<'_> {
    fn lookup(&self) -> Lookup {
        let path = |name: &String| format!("{}.{}", self.output, quoted(name));
        Lookup {
            defaults: self.names.iter().map(path).collect(),
            prefixes: vec![format!("{}.", self.output)],
        }
    }

    /// Evaluates the configuration and hands it on.
    pub fn with<T>(
        self,
        invocation: &Invocation,
        options: &EvalOptions,
        read_only: bool,
        run: impl FnOnce(&mut EvalSession, Value) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        with_session(invocation, options, read_only, |session| {
            let source = SourceOptions {
                lock: self.lock.clone(),
                ..SourceOptions::default()
            };
            let lookup = self.lookup();
            let named = source.name_one(session, Some(&self.flake), &lookup)?;
            let (value, _) = named.value(session)?;
            run(session, value)
        })
    }

    /// What a session about the configuration begins with: its parts, the library and the flake as variables.
    pub fn start(&self) -> Result<Start, Failure> {
        if *self.lock != LockOptions::default() {
            let message = "a session takes the lock file of the flake as it is";
            return Err(UsageError::new(message)
                .hint("lock the flake with 'rx flake lock' before")
                .into());
        }
        let base = std::env::current_dir()?;
        let options = ParseOptions {
            base: Some(&base),
            ..ParseOptions::default()
        };
        let text = self.flake.to_string_lossy();
        let (reference, fragment) = FlakeRef::parse_with_fragment(&text, options)?;
        let lookup = self.lookup();
        let paths = match &*fragment {
            "" => lookup.defaults,
            name => vec![format!("{}.{}", self.output, path(name)?), path(name)?],
        };
        // The last one is asked for without an alternative: its absence is the error.
        let found = paths.iter().rev().fold(String::new(), |rest, path| {
            let rest = match &*rest {
                "" => rest,
                rest => format!(" or ({rest})"),
            };
            format!("flake.{path}{rest}")
        });
        let text = format!(
            "let flake = builtins.getFlake {}; configuration = {found}; in {{ inherit flake; inherit (configuration) config options pkgs; inherit (configuration.pkgs) lib; }}",
            quoted(&reference.to_string())
        );
        Ok(Start {
            expr: Some(text.into()),
            ..Start::default()
        })
    }
}

/// An attribute path as a program writes it.
fn path(text: &str) -> Result<String, Failure> {
    let names = rx_eval::selection::parse_attr_path(text.as_bytes())
        .map_err(|error| Failure::message(String::from_utf8_lossy(&error.message)))?;
    let names = names
        .iter()
        .map(|name| quoted(&String::from_utf8_lossy(name)));
    Ok(names.collect::<Vec<_>>().join("."))
}

/// A text in double quotes as the language has it.
pub fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace("${", "\\${");
    format!("\"{escaped}\"")
}

/// The name of this machine.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// What a session about a configuration takes beside its source.
#[derive(clap::Args)]
pub struct SessionArguments {
    /// Go on with a session that this descriptor tells.
    #[arg(long, value_name = "DESCRIPTOR", hide = true)]
    resume: Option<i32>,
}

impl SessionArguments {
    /// Lets a person ask about a configuration.
    pub fn run(
        self,
        invocation: &Invocation,
        options: &EvalOptions,
        start: Start,
    ) -> Result<(), Failure> {
        repl::open(invocation, options, start, self.resume)
    }
}

/// The directory of the flake that a link or file names.
pub fn flake_directory(file: &std::path::Path) -> Option<PathBuf> {
    let real = std::fs::canonicalize(file).ok()?;
    Some(real.parent()?.to_owned())
}
