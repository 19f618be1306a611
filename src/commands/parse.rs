//! `rx parse`: programs as the parser understands them. Also what `rx-instantiate --parse` prints.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rx_lang::scope::{GLOBALS, Resolver};
use rx_lang::tree::{self, Tree};
use rx_lang::{Lint, ParseFailure, ParseOptions, print, symbol};
use rx_store::interrupt;
use rx_store::settings::{Diagnose, Feature, Settings};

use crate::cli::{Category, Invocation, Subcommand};
use crate::ui::{self, Failure};

/// Arguments of `rx parse`.
#[derive(clap::Args)]
pub struct Parse {
    /// Print the lossless tree: every token and every node, with its range.
    #[arg(long, conflicts_with = "json")]
    tree: bool,
    /// Print the lossless tree and what is wrong with it as JSON.
    #[arg(long)]
    json: bool,
    /// The arguments are expressions, not files.
    #[arg(long = "expr", short = 'E', visible_alias = "expression")]
    expressions: bool,
    /// Files, or `-` for standard input (also when there is none).
    #[arg(value_name = "FILE")]
    programs: Vec<OsString>,
}

impl Subcommand for Parse {
    const PATH: &'static str = "parse";
    const ABOUT: &'static str = "Print how programs are understood";
    const CATEGORY: Category = Category::Utility;
    const DETAILS: &'static str = "\
Without a flag, expressions are printed with all parentheses, sorted, on one line each,
as `rx-instantiate --parse` does.

With `--tree` and `--json`, a program with mistakes is printed too; the mistakes follow on
standard error or in the JSON.";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let mut programs = self.programs;
        if programs.is_empty() {
            programs.push("-".into());
        }
        let mut reader = Reader::new(&invocation.settings);
        let mut out = ui::stdout();
        let mut failure = None;
        for argument in programs {
            let program = if self.expressions {
                Program::expression(argument.into_vec())
            } else {
                Program::read(Path::new(&argument))?
            };
            if !self.tree && !self.json {
                reader.print(&program, &mut out)?;
                continue;
            }
            let tree = Tree::parse(&program.text, &reader.options)
                .map_err(|error| program.failure(&error))?;
            let shown = if self.json {
                tree::to_json(&tree) + "\n"
            } else {
                tree::dump(&tree)
            };
            out.write_all(shown.as_bytes())?;
            out.flush()?;
            if let (false, Err(error)) = (self.json, rx_lang::parse(&program.text, &reader.options))
            {
                failure = Some(program.failure(&error));
            }
        }
        out.flush()?;
        failure.map_or(Ok(()), Err)
    }
}

/// A program to be read.
pub struct Program {
    /// What messages call it.
    pub name: String,
    /// The text.
    pub text: Vec<u8>,
    /// The directory to which its paths are relative.
    pub base: PathBuf,
}

impl Program {
    /// An expression from the command line.
    pub fn expression(text: Vec<u8>) -> Program {
        Program {
            name: "«string»".to_owned(),
            text,
            base: current_dir(),
        }
    }

    /// A file, or standard input for `-`.
    pub fn read(path: &Path) -> Result<Program, Failure> {
        if path == Path::new("-") {
            let text = ui::read_stdin()?;
            return Ok(Program {
                name: "«stdin»".to_owned(),
                ..Program::expression(text)
            });
        }
        let mut path = current_dir().join(path);
        if path.is_dir() {
            path.push("default.nix");
        }
        let cannot_read = |error| CannotRead {
            path: path.clone(),
            error,
        };
        let text = read_whole(&path).map_err(cannot_read)?;
        interrupt::check()?;
        let real = path.canonicalize().map_err(cannot_read)?;
        Ok(Program {
            name: real.display().to_string(),
            text,
            base: real.parent().unwrap_or(Path::new("/")).to_owned(),
        })
    }

    fn failure(&self, error: &ParseFailure) -> Failure {
        ui::parse_failure(&self.name, &self.text, error)
    }
}

/// A program cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read '{}': {error}", .path.display())]
struct CannotRead {
    path: PathBuf,
    #[source]
    error: io::Error,
}

/// The bytes of a file; some of them if the user interrupts.
fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    const PIECE: u64 = 4 << 20;
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    // A size that is not true, as some systems give it, is only a hint.
    let mut text = Vec::new();
    let size = usize::try_from(size).unwrap_or(0).saturating_add(1);
    if text.try_reserve_exact(size).is_ok() && size > PIECE as usize {
        let room = text.spare_capacity_mut();
        rx_eval::heap::prefer_large_pages(room.as_ptr().addr(), room.len());
    }
    while !interrupt::is_set() && Read::by_ref(&mut file).take(PIECE).read_to_end(&mut text)? > 0 {}
    Ok(text)
}

fn current_dir() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| "/".into())
}

/// Reads programs and prints their parsed form.
pub struct Reader<'a> {
    options: ParseOptions<'a>,
    resolver: Resolver,
    home: PathBuf,
}

impl Reader<'static> {
    /// With these settings.
    pub fn new(settings: &Settings) -> Self {
        Reader {
            options: parse_options(settings),
            resolver: Resolver::new(GLOBALS.iter().map(|name| symbol::intern(name.as_bytes()))),
            home: settings.places.home.clone(),
        }
    }

    /// Prints one program on a line of its own.
    pub fn print(&mut self, program: &Program, out: &mut impl Write) -> Result<(), Failure> {
        let ast = rx_lang::parse(&program.text, &self.options)
            .map_err(|error| program.failure(&error))?;
        ui::warn_of(&program.name, &program.text, ast.warnings());
        let paths = print::Paths::Resolved {
            base: program.base.as_os_str().as_bytes(),
            home: self.home.as_os_str().as_bytes(),
        };
        let undefined = self.resolver.undefined_unless(&ast, &interrupt::is_set);
        let undefined = undefined.ok_or(interrupt::Interrupted)?;
        if !undefined.is_empty() {
            return Err(program.failure(&ParseFailure::Errors(undefined)));
        }
        let written = print::write_form(&ast, &paths, &mut UntilInterrupted(out));
        interrupt::check()?;
        written?;
        out.write_all(b"\n")?;
        // The process ends soon; to give the memory back would take longer than to print a small file.
        std::mem::forget(ast);
        Ok(())
    }
}

/// Output that fails when the user interrupts.
struct UntilInterrupted<'a, W>(&'a mut W);

impl<W: Write> Write for UntilInterrupted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        interrupt::check().map_err(io::Error::other)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// How programs are to be read under these settings.
pub fn parse_options(settings: &Settings) -> ParseOptions<'static> {
    let lint = |diagnose| match diagnose {
        Diagnose::Ignore => Lint::Ignore,
        Diagnose::Warn => Lint::Warn,
        Diagnose::Fatal => Lint::Fatal,
    };
    ParseOptions {
        pipe_operators: settings.enabled(Feature::PipeOperators),
        url_literals: lint(settings.lint_url_literals),
        absolute_path_literals: lint(settings.lint_absolute_path_literals),
        short_path_literals: lint(settings.lint_short_path_literals),
        interrupted: Some(&rx_store::interrupt::is_set),
        large_memory: Some(rx_eval::heap::prefer_large_pages),
        two_threads: true,
    }
}
