//! Sets of options that several commands share.

use std::ffi::OsString;

use super::flag::{Flag, Options};

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
    pub base_dir: Option<std::path::PathBuf>,
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

/// Whether builds are repeated or repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BuildMode {
    /// Build what is missing.
    #[default]
    Normal,
    /// Build again what is broken (`--repair`).
    Repair,
    /// Build again and compare (`--check`, `--rebuild`).
    Check,
}

/// Options for realising derivations, beside the settings that are flags.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// `--dry-run`
    pub dry_run: bool,
    /// `--repair`, `--check`
    pub mode: BuildMode,
    /// `--no-out-link`, `--no-link`
    pub no_out_link: bool,
    /// `--out-link`
    pub out_link: Option<OsString>,
}

impl Options for BuildOptions {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::switch(
            "dry-run",
            "Show what would be built, and build nothing.",
            |options: &mut Self| {
                options.dry_run = true;
            },
        ),
        Flag::switch(
            "repair",
            "Build or fetch again what is broken in the store.",
            |options: &mut Self| {
                options.mode = BuildMode::Repair;
            },
        ),
        Flag::switch(
            "check",
            "Build again and compare the results.",
            |options: &mut Self| {
                options.mode = BuildMode::Check;
            },
        )
        .alias(&["rebuild"]),
        Flag::switch(
            "no-out-link",
            "Make no link to the result.",
            |options: &mut Self| {
                options.no_out_link = true;
            },
        )
        .alias(&["no-link"]),
        Flag::value(
            "out-link",
            &["path"],
            "Where the link to the result is made, instead of 'result'.",
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
