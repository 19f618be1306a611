//! `rx eval`: what an expression evaluates to.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rx_eval::error::Context as _;
use rx_eval::interp::{Coercion, CopyMode};
use rx_eval::print::{Derivations, PrintErrors, PrintOptions};
use rx_eval::value::{Context, View};
use rx_eval::{Error, ErrorKind, Origin, Pos, Value, Vm};
use rx_lang::symbol;
use rx_store::derivation::pretty_json;

use crate::cli::{Category, EvalOptions, Invocation, JsonOptions, Subcommand};
use crate::eval_session::{EvalSession, with_session};
use crate::installables::{Lookup, SourceOptions};
use crate::ui::{self, Failure, UsageError};

/// Arguments of `rx eval`.
#[derive(clap::Args)]
pub struct Eval {
    #[command(flatten)]
    source: SourceOptions,
    /// Apply this function to the value first.
    #[arg(long, value_name = "EXPRESSION")]
    apply: Option<OsString>,
    #[command(flatten)]
    json: JsonOptions,
    /// Print the bytes of a string.
    #[arg(long)]
    raw: bool,
    /// Write strings to files and sets to directories below this path.
    #[arg(long, value_name = "PATH")]
    write_to: Option<PathBuf>,
    /// Do not write to the store.
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    options: EvalOptions,
    /// An attribute path, or a flake's output as in `nixpkgs#hello`.
    #[arg(value_name = "WHAT")]
    what: Option<OsString>,
}

impl Subcommand for Eval {
    const PATH: &'static str = "eval";
    const ABOUT: &'static str = "Evaluate an expression and print its value";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        if self.raw && self.json.json {
            return Err(UsageError::new("--raw and --json are mutually exclusive").into());
        }
        let invocation = self.source.adapt(invocation)?;
        let read_only = self.read_only || invocation.settings.read_only_mode;
        with_session(&invocation, &self.options, read_only, |session| {
            self.evaluate(session)
        })
    }
}

impl Eval {
    fn evaluate(&self, session: &mut EvalSession) -> Result<(), Failure> {
        let arguments: Vec<OsString> = self.what.iter().cloned().collect();
        let lookup = Lookup::packages(&session.invocation);
        let named = self.source.name(session, &arguments, &lookup)?;
        let Some(named) = named.first() else {
            return Ok(());
        };
        let (mut value, pos) = named.value(session)?;
        if let Some(function) = &self.apply {
            let function = session.eval_text(Origin::String, function.as_bytes())?;
            let applied = session.vm.call(function, &[value]);
            value = session.check(applied)?;
        }
        let forced = session.vm.force(value);
        let value = session.check(forced)?;
        if let Some(path) = &self.write_to {
            if path.symlink_metadata().is_ok() {
                let message = format!("path '{}' already exists", path.display());
                return Err(Failure::message(message));
            }
            let written = write_tree(&mut session.vm, value, pos, path);
            return session.check(written);
        }
        let text = self.text(&mut session.vm, value, pos);
        ui::print_bytes(&session.check(text)?)
    }

    fn text(&self, vm: &mut Vm, value: Value, pos: Pos) -> rx_eval::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut context = Context::EMPTY;
        if self.raw {
            let what = "while generating the eval command output";
            vm.coerce_to_string(
                value,
                &mut out,
                &mut context,
                Coercion::segment(true),
                Pos::NONE,
                what,
            )?;
            return Ok(out);
        }
        if self.json.json {
            vm.print_json(value, CopyMode::Name, pos, &mut out, &mut context)?;
            if self.json.is_pretty()
                && let Ok(text) = std::str::from_utf8(&out)
            {
                out = pretty_json(text).into_bytes();
            }
        } else {
            let options = PrintOptions {
                colors: ui::stdout_colours(),
                force: true,
                derivations: Derivations::Paths,
                errors: PrintErrors::FailAtTop,
                ..PrintOptions::default()
            };
            out = vm.print(value, &options)?;
        }
        out.push(b'\n');
        Ok(out)
    }
}

/// Writes strings as files and sets as directories.
fn write_tree(vm: &mut Vm, value: Value, pos: Pos, path: &Path) -> rx_eval::Result<()> {
    let value = vm.force(value)?;
    let failed = |error: std::io::Error| {
        Error::new(
            ErrorKind::Outside,
            format!("writing '{}': {error}", path.display()),
        )
    };
    match value.view() {
        View::Str(text) => fs::write(path, text.as_bytes()).map_err(failed),
        View::Attrs(attrs) => {
            fs::create_dir(path).map_err(failed)?;
            let entries = attrs.entries(&mut vm.heap);
            for (i, (name, value)) in entries.iter().enumerate() {
                let at = entries.pos(i);
                let name = symbol::name(name);
                write_entry(vm, name, value, at, path).context(at, || {
                    [b"while evaluating the attribute '".as_slice(), name, b"'"].concat()
                })?;
            }
            Ok(())
        }
        _ => {
            let place = vm.ev.describe_pos(pos);
            let place = String::from_utf8_lossy(&place);
            let message = format!("value at '{place}' is not a string or an attribute set");
            Err(Error::new(ErrorKind::Type, message))
        }
    }
}

fn write_entry(
    vm: &mut Vm,
    name: &[u8],
    value: Value,
    pos: Pos,
    dir: &Path,
) -> rx_eval::Result<()> {
    // A name with a slash would lead out of the directory.
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0)
    {
        let shown = String::from_utf8_lossy(name);
        return Err(Error::other(format!("invalid file name '{shown}'")));
    }
    let path = dir.join(std::ffi::OsStr::from_bytes(name));
    vm.deeper(|vm| write_tree(vm, value, pos, &path))
}
