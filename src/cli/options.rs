//! Sets of options that several commands share.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use rx_store::store::BuildMode;

use super::flag::{Flag, Options};
use crate::realise::Run;

/// A value for an argument of the top-level function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutoArg {
    /// An expression (`--arg`).
    Expr(OsString),
    /// A string (`--argstr`).
    Text(OsString),
    /// The contents of a file (`--arg-from-file`).
    File(OsString),
    /// What standard input gives (`--arg-from-stdin`).
    Stdin,
}

/// Options for evaluation.
#[derive(Clone, Debug, Default)]
pub struct EvalOptions {
    /// `-I`: elements of the search path, before those of the settings.
    pub include: Vec<OsString>,
    /// `--arg` and its kin: the last one of a name counts.
    pub auto_args: Vec<(String, AutoArg)>,
    /// `--eval-store`: where derivations go.
    pub eval_store: Option<OsString>,
    /// `--override-flake`: a reference and what it becomes.
    pub override_flakes: Vec<(OsString, OsString)>,
    /// `--debugger`
    pub debugger: bool,
    /// Values are printed unevaluated, which shows what was delayed.
    pub exact: bool,
    /// What relative paths in expressions on the command line are relative to, if not the working directory.
    pub base_dir: Option<PathBuf>,
    /// Variables that the evaluation sees beside those of the process.
    pub variables: Vec<(String, String)>,
}

impl EvalOptions {
    fn auto_arg(&mut self, name: String, arg: AutoArg) {
        self.auto_args.retain(|(other, _)| *other != name);
        self.auto_args.push((name, arg));
    }
}

impl Options for EvalOptions {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::value(
            "arg",
            &["name", "expr"],
            "Pass the value of an expression as an argument to functions.",
            |options: &mut Self, values| {
                let name = values.text()?;
                options.auto_arg(name, AutoArg::Expr(values.os()));
                Ok(())
            },
        ),
        Flag::value(
            "argstr",
            &["name", "string"],
            "Pass a string as an argument to functions.",
            |options: &mut Self, values| {
                let name = values.text()?;
                options.auto_arg(name, AutoArg::Text(values.os()));
                Ok(())
            },
        ),
        Flag::value(
            "arg-from-file",
            &["name", "path"],
            "Pass the contents of a file as an argument to functions.",
            |options: &mut Self, values| {
                let name = values.text()?;
                options.auto_arg(name, AutoArg::File(values.os()));
                Ok(())
            },
        ),
        Flag::value(
            "arg-from-stdin",
            &["name"],
            "Pass what standard input gives as an argument to functions.",
            |options: &mut Self, values| {
                let name = values.text()?;
                options.auto_arg(name, AutoArg::Stdin);
                Ok(())
            },
        ),
        Flag::value(
            "include",
            &["path"],
            "Look up <names> in this path first; NAME=PATH serves one name.",
            |options: &mut Self, values| {
                options.include.push(values.os());
                Ok(())
            },
        )
        .short('I'),
        Flag::setting(
            "impure",
            "pure-eval",
            Some("false"),
            "Allow the evaluation to see what differs between machines and moments.",
        ),
        Flag::value(
            "override-flake",
            &["original", "resolved"],
            "Use another flake instead of the original one.",
            |options: &mut Self, values| {
                options.override_flakes.push((values.os(), values.os()));
                Ok(())
            },
        ),
        Flag::value(
            "eval-store",
            &["url"],
            "The store that derivations and their sources are written to.",
            |options: &mut Self, values| {
                options.eval_store = Some(values.os());
                Ok(())
            },
        ),
        Flag::switch(
            "debugger",
            "Start a debugger where an evaluation fails.",
            |options: &mut Self| {
                options.debugger = true;
            },
        ),
    ];
}

/// What the classic commands select from files and expressions.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// `--expr`: arguments are expressions.
    pub expressions: bool,
    /// `--attr`, as often as it was given.
    pub attr_paths: Vec<OsString>,
}

impl Selection {
    /// The attribute paths to look at in each value: the whole of it unless some were given.
    pub fn paths(&self) -> impl Iterator<Item = &OsStr> {
        let whole = self.attr_paths.is_empty().then_some(OsStr::new(""));
        self.attr_paths.iter().map(OsString::as_os_str).chain(whole)
    }
}

impl Options for Selection {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::switch(
            "expr",
            "Take the arguments as expressions, not as files.",
            |options: &mut Self| options.expressions = true,
        )
        .short('E'),
        Flag::value(
            "attr",
            &["path"],
            "Select this attribute; can be repeated.",
            |options: &mut Self, values| {
                options.attr_paths.push(values.os());
                Ok(())
            },
        )
        .short('A'),
    ];
}

/// Options for realising derivations, beside the settings that are flags.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// `--dry-run`
    pub dry_run: bool,
    /// `--repair`, `--check`
    pub mode: BuildMode,
}

impl BuildOptions {
    /// Whether anything is built.
    pub fn run(&self) -> Run {
        Run::unless(self.dry_run)
    }
}

impl Options for BuildOptions {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::switch(
            "dry-run",
            "Only say what would be built and fetched.",
            |options: &mut Self| options.dry_run = true,
        ),
        Flag::switch(
            "repair",
            "Build or fetch again what is damaged in the store.",
            |options: &mut Self| options.mode = BuildMode::Repair,
        ),
        Flag::switch(
            "check",
            "Build again what is there and compare.",
            |options: &mut Self| options.mode = BuildMode::Check,
        )
        .alias(&["rebuild"]),
    ];
}

/// Where results are linked.
#[derive(Clone, Debug, Default)]
pub struct LinkOptions {
    no_out_link: bool,
    out_link: Option<OsString>,
}

impl LinkOptions {
    /// The absolute path that links begin with; `None` if there are to be none.
    pub fn base(&self) -> std::io::Result<Option<PathBuf>> {
        if self.no_out_link {
            return Ok(None);
        }
        let base = self.out_link.as_deref().unwrap_or(OsStr::new("result"));
        std::path::absolute(base).map(Some)
    }
}

impl Options for LinkOptions {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::switch(
            "no-out-link",
            "Make no link to the result.",
            |options: &mut Self| options.no_out_link = true,
        )
        .alias(&["no-link"]),
        Flag::value(
            "out-link",
            &["path"],
            "Where to link the result, instead of 'result'.",
            |options: &mut Self, values| {
                options.out_link = Some(values.os());
                options.no_out_link = false;
                Ok(())
            },
        )
        .short('o'),
    ];
}

/// Lets a set of flags be flattened into a `clap` command.
macro_rules! clap_flags {
    ($($type:ty: $title:literal),*) => { $(
        impl clap::Args for $type {
            fn augment_args(command: clap::Command) -> clap::Command {
                super::modern::add_flags::<$type>(command, $title)
            }

            fn augment_args_for_update(command: clap::Command) -> clap::Command {
                Self::augment_args(command)
            }
        }

        impl clap::FromArgMatches for $type {
            fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
                super::modern::read_flags(matches)
            }

            fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
                *self = super::modern::read_flags(matches)?;
                Ok(())
            }
        }
    )* };
}

clap_flags! {
    EvalOptions: "Evaluation",
    BuildOptions: "Building",
    LinkOptions: "Links",
    super::common::CommonOptions: "Common options"
}

/// Options of commands that can print JSON.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct JsonOptions {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Indent JSON (the default on a terminal).
    #[arg(long, overrides_with = "no_pretty")]
    pub pretty: bool,
    /// Print JSON on one line (the default elsewhere).
    #[arg(long, overrides_with = "pretty")]
    pub no_pretty: bool,
}

impl JsonOptions {
    /// Prints a value as these options have it.
    pub fn print(self, value: &serde_json::Value) -> Result<(), crate::ui::Failure> {
        let text = if self.is_pretty() {
            format!("{value:#}\n")
        } else {
            format!("{value}\n")
        };
        crate::ui::print(&text)
    }

    /// Whether JSON is indented.
    pub fn is_pretty(self) -> bool {
        self.pretty || (!self.no_pretty && crate::ui::stdout_is_terminal())
    }
}
