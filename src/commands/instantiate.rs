//! `rx-instantiate`: expressions to derivations in the store, or to values.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rx_eval::interp::{Coercion, CopyMode};
use rx_eval::packages::Assertions;
use rx_eval::print::XmlOptions;
use rx_eval::value::Context;
use rx_eval::{Origin, Pos, Value};
use rx_store::path::StorePath;

use crate::cli::{ClassicCommand, EvalOptions, Flag, Group, Invocation, Options, Selection};
use crate::commands::parse::{Program, Reader};
use crate::eval_session::{EvalSession, with_session};
use crate::ui::{self, Failure, UsageError};

/// How values are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Output {
    /// As the language writes them.
    #[default]
    Plain,
    /// The bytes of a string.
    Raw,
    /// As XML.
    Xml,
    /// As JSON.
    Json,
}

/// What is done with the expressions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Action {
    /// Their derivations are written to the store.
    #[default]
    Instantiate,
    /// They are evaluated and printed.
    Evaluate,
    /// They are parsed and printed.
    Parse,
}

/// Options of `rx-instantiate`.
#[derive(Debug, Default)]
pub struct Instantiate {
    selection: Selection,
    eval: EvalOptions,
    action: Action,
    output: Output,
    no_location: bool,
    strict: bool,
    find_file: bool,
    read_write: bool,
    dry_run: bool,
    root: Option<OsString>,
    stdin: bool,
    arguments: Vec<OsString>,
}

impl Options for Instantiate {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::switch(
            "eval",
            "Print values instead of writing derivations.",
            |o: &mut Self| {
                if o.action != Action::Parse {
                    o.action = Action::Evaluate;
                }
            },
        )
        .alias(&["eval-only"]),
        Flag::switch("parse", "Print the parsed expressions.", |o: &mut Self| {
            o.action = Action::Parse
        })
        .alias(&["parse-only"]),
        Flag::switch(
            "strict",
            "With --eval: evaluate all that is inside of the value.",
            |o: &mut Self| {
                o.strict = true;
            },
        ),
        Flag::switch("json", "With --eval: print JSON.", |o: &mut Self| {
            o.output = Output::Json
        }),
        Flag::switch("xml", "With --eval: print XML.", |o: &mut Self| {
            o.output = Output::Xml
        }),
        Flag::switch(
            "raw",
            "With --eval: print the bytes of a string.",
            |o: &mut Self| {
                o.output = Output::Raw;
            },
        ),
        Flag::switch(
            "no-location",
            "With --xml: leave out where things are defined.",
            |o: &mut Self| {
                o.no_location = true;
            },
        ),
        Flag::switch(
            "find-file",
            "Print the files that the arguments mean in the search path.",
            |o: &mut Self| {
                o.find_file = true;
            },
        ),
        Flag::switch(
            "read-write-mode",
            "With --eval: write to the store what the values refer to.",
            |o: &mut Self| {
                o.read_write = true;
            },
        ),
        Flag::switch("dry-run", "Do not write to the store.", |o: &mut Self| {
            o.dry_run = true
        }),
        Flag::value(
            "add-root",
            &["path"],
            "Make a link to the derivation that keeps it from being collected.",
            |o: &mut Self, values| {
                o.root = Some(values.os());
                Ok(())
            },
        ),
        Flag::switch(
            "indirect",
            "Has no effect any more: all roots are indirect.",
            |_: &mut Self| {},
        ),
    ];

    const GROUPS: &'static [Group<Self>] = &[
        Group::new("Selection", |options| &mut options.selection),
        Group::new("Evaluation", |options| &mut options.eval),
    ];

    fn argument(&mut self, argument: OsString) -> Result<(), UsageError> {
        if argument == "-" {
            self.stdin = true;
        } else {
            self.arguments.push(argument);
        }
        Ok(())
    }
}

impl ClassicCommand for Instantiate {
    const NAME: &'static str = "instantiate";
    const ABOUT: &'static str =
        "make derivations from expressions, or print what expressions evaluate to";
    const USAGE: &'static [&'static str] = &[
        "[-A PATH]... [--arg NAME EXPR]... [--add-root PATH] [FILE | -]...",
        "-E EXPRESSION...",
        "--eval [--strict] [--json | --xml | --raw] [-A PATH]... [FILE | - | -E EXPRESSION]...",
        "--parse [FILE | - | -E EXPRESSION]...",
        "--find-file NAME...",
    ];

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let evaluates = self.action != Action::Instantiate;
        let read_only =
            invocation.settings.read_only_mode || self.dry_run || (evaluates && !self.read_write);
        let options = EvalOptions {
            exact: evaluates && !self.strict && self.output != Output::Raw,
            ..self.eval.clone()
        };
        with_session(invocation, &options, read_only, |session| {
            Run {
                options: &self,
                invocation,
                session,
                reader: Reader::new(&invocation.settings),
                roots: 0,
            }
            .all()
        })
    }
}

struct Run<'a> {
    options: &'a Instantiate,
    invocation: &'a Invocation,
    session: &'a mut EvalSession,
    reader: Reader<'static>,
    roots: usize,
}

impl Run<'_> {
    fn all(mut self) -> Result<(), Failure> {
        let mut arguments = self.options.arguments.clone();
        if self.options.find_file {
            for name in &arguments {
                let path = self.session.lookup(name.as_bytes())?;
                self.print_line(&path)?;
            }
            return Ok(());
        }
        if self.options.stdin {
            let text = crate::ui::read_stdin()?;
            self.text(Origin::Stdin, &text)?;
        } else if arguments.is_empty() && !self.options.selection.expressions {
            arguments.push("./default.nix".into());
        }
        for argument in &arguments {
            if self.options.selection.expressions {
                self.text(Origin::String, argument.as_bytes())?;
            } else {
                self.file(argument)?;
            }
        }
        Ok(())
    }

    fn text(&mut self, origin: Origin, text: &[u8]) -> Result<(), Failure> {
        if self.options.action == Action::Parse {
            let base = self.session.vm.ev.settings.current_dir.clone();
            return self.parse(&origin, text.to_vec(), &base);
        }
        let value = self.session.eval_text(origin, text)?;
        self.value(value)
    }

    fn file(&mut self, argument: &OsString) -> Result<(), Failure> {
        if self.options.action == Action::Parse {
            let path = self.session.file_of(argument)?;
            let text = self.session.vm.ev.io.read_file(&path);
            let text = self.session.check(text)?;
            let slash = path.iter().rposition(|&b| b == b'/').unwrap_or(0);
            let origin = Origin::File(path.clone().into());
            return self.parse(&origin, text, &path[..slash.max(1)]);
        }
        let value = self.session.eval_file(argument)?;
        self.value(value)
    }

    /// Prints a program as it is understood.
    fn parse(&mut self, origin: &Origin, text: Vec<u8>, base: &[u8]) -> Result<(), Failure> {
        let program = Program {
            name: origin.to_string(),
            text,
            base: OsStr::from_bytes(base).into(),
        };
        let mut out = ui::stdout();
        self.reader.print(&program, &mut out)?;
        out.flush()?;
        Ok(())
    }

    /// Selects the attributes from a file's or expression's value, and does what was asked for with each.
    fn value(&mut self, root: Value) -> Result<(), Failure> {
        let options = self.options;
        for path in options.selection.paths() {
            let session = &mut *self.session;
            let found = session
                .vm
                .find_along(path.as_bytes(), &session.auto_args, root);
            let (value, pos) = session.check(found)?;
            let value = session.vm.force(value);
            let value = session.check(value)?;
            match self.options.action {
                Action::Instantiate => self.derivations(value)?,
                _ => self.print_value(value, pos)?,
            }
        }
        Ok(())
    }

    fn print_value(&mut self, value: Value, pos: Pos) -> Result<(), Failure> {
        let session = &mut *self.session;
        let vm = &mut session.vm;
        let mut out = Vec::new();
        let mut context = Context::EMPTY;
        let result = (|| {
            let value = if session.auto_args.is_empty() {
                value
            } else {
                vm.auto_call(&session.auto_args, value)?
            };
            match self.options.output {
                Output::Raw => {
                    let what = "while generating the nix-instantiate output";
                    vm.coerce_to_string(
                        value,
                        &mut out,
                        &mut context,
                        Coercion::segment(true),
                        Pos::NONE,
                        what,
                    )?;
                }
                Output::Json => {
                    if !self.options.strict {
                        vm.refuse_thunks(value, pos)?;
                    }
                    vm.print_json(value, CopyMode::ToStore, pos, &mut out, &mut context)?;
                    out.push(b'\n');
                }
                Output::Xml => {
                    let options = XmlOptions {
                        strict: self.options.strict,
                        location: !self.options.no_location,
                    };
                    out = vm.print_xml(value, options, &mut context)?;
                }
                Output::Plain => {
                    if self.options.strict {
                        vm.force_deep(value)?;
                    }
                    out = vm.print_classic(value)?;
                    out.push(b'\n');
                }
            }
            Ok(())
        })();
        self.session.check(result)?;
        ui::print_bytes(&out)
    }

    fn derivations(&mut self, value: Value) -> Result<(), Failure> {
        let session = &mut *self.session;
        let packages = session
            .vm
            .packages(value, b"", &session.auto_args, Assertions::Fail);
        for package in session.check(packages)? {
            let drv = package.drv_path(&mut self.session.vm);
            let drv = self.session.check(drv)?;
            let mut line = self.session.vm.ev.store_dir.print(&drv);
            let output = package.output_name(&mut self.session.vm);
            let output = self.session.check(output)?;
            if output.is_empty() {
                return Err(Failure::message(format!(
                    "derivation '{}' lacks an 'outputName' attribute",
                    String::from_utf8_lossy(&line)
                )));
            }
            line = self.add_root(&drv, line)?;
            if output != b"out" {
                line.push(b'!');
                line.extend_from_slice(&output);
            }
            self.print_line(&line)?;
        }
        Ok(())
    }

    /// Makes the link that was asked for, which is then what is printed.
    fn add_root(&mut self, drv: &StorePath, line: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let Some(root) = &self.options.root else {
            if self.invocation.gc_warning && self.roots == 0 {
                rx_store::progress::warn(
                    "you did not specify '--add-root'; the result might be removed by the garbage collector",
                );
            }
            self.roots += 1;
            return Ok(line);
        };
        self.roots += 1;
        let mut link = std::path::absolute(root)?.into_os_string();
        if self.roots > 1 {
            link.push(format!("-{}", self.roots));
        }
        let store = self.session.store()?;
        store.flush()?;
        let made = store.add_permanent_root(drv, std::path::Path::new(&link))?;
        Ok(made.into_os_string().into_vec())
    }

    fn print_line(&self, line: &[u8]) -> Result<(), Failure> {
        let mut out = ui::stdout();
        out.write_all(line)?;
        out.write_all(b"\n")?;
        out.flush()?;
        Ok(())
    }
}
