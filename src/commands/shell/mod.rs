//! `rx-shell`: a shell in which everything is as for the builder of a derivation.
//!
//! ```text
//! arguments, or a script's lines ─► evaluate ─► one derivation ─► its inputs are built
//!    ─► variables and files (`setup`) ─► bash, which reads the rc file first
//! ```

mod evaluate;
pub mod script;
pub mod setup;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rx_eval::text::regex::Regex;
use rx_store::derivation::{BasicDerivation, Derivation, InputOutputs, Kind};
use rx_store::path::StorePath;
use rx_store::progress::{self, Level};
use rx_store::store::closure::ClosureOptions;
use rx_store::store::{BuildMode, DerivedPath, OutputsSpec, SingleDerivedPath, Store, StoreError};

pub(super) use self::evaluate::flake_bash;
use self::evaluate::{Arguments, interactive_bash};
use self::script::Script;
use self::setup::{Bash, Purity, Setup};
use crate::cli::{
    BuildOptions, ClassicCommand, EvalOptions, Flag, Group, Invocation, Options, Selection,
};
use crate::eval_session::with_session;
use crate::execute::{Program, find_program};
use crate::realise::{build_failure, realise};
use crate::store_session::shown;
use crate::ui::{Failure, UsageError};

/// Options of `rx-shell`.
#[derive(Debug, Default)]
pub struct Shell {
    selection: Selection,
    build: BuildOptions,
    eval: EvalOptions,
    arguments_are: Arguments,
    /// Run this; a shell for people follows unless the command leaves.
    command: Option<Vec<u8>>,
    /// Nobody will type anything.
    batch: bool,
    pure: bool,
    keep: Vec<OsString>,
    exclude: Vec<OsString>,
    stdin: bool,
    script: Option<Script>,
    arguments: Vec<OsString>,
}

impl Options for Shell {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::switch(
            "packages",
            "Take the arguments as packages of <nixpkgs>, and make a shell that has them.",
            |o: &mut Self| o.arguments_are = Arguments::Packages,
        )
        .short('p'),
        Flag::value(
            "run",
            &["command"],
            "Run a command and leave.",
            |o: &mut Self, values| {
                o.batch = true;
                o.command = Some([values.os().as_bytes(), b"\nexit"].concat());
                Ok(())
            },
        ),
        Flag::value(
            "command",
            &["command"],
            "Run a command in a shell for people; 'return' in it stays there.",
            |o: &mut Self, values| {
                o.command = Some([values.os().as_bytes(), b"\nexit"].concat());
                Ok(())
            },
        ),
        Flag::switch(
            "pure",
            "Clear the environment but for a few variables.",
            |o: &mut Self| o.pure = true,
        ),
        Flag::switch(
            "impure",
            "Keep the environment (the default).",
            |o: &mut Self| o.pure = false,
        ),
        Flag::value(
            "keep",
            &["name"],
            "With --pure: keep this variable, too.",
            |o: &mut Self, values| {
                o.keep.push(values.os());
                Ok(())
            },
        ),
        Flag::value(
            "exclude",
            &["regex"],
            "Do not build inputs whose path matches.",
            |o: &mut Self, values| {
                o.exclude.push(values.os());
                Ok(())
            },
        ),
        Flag::value(
            "interpreter",
            &["program"],
            "In a script: the program that runs it.",
            |o: &mut Self, values| {
                let program = values.os();
                let Some(script) = &o.script else {
                    return Err(UsageError::new("'-i' only makes sense in a '#!' script"));
                };
                o.batch = true;
                o.command = Some(script.command(&program));
                Ok(())
            },
        )
        .short('i'),
    ];

    const GROUPS: &'static [Group<Self>] = &[
        Group::new("Selection", |options| &mut options.selection),
        Group::new("Building", |options| &mut options.build),
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

    /// What `rx-build` has and shells ignore.
    fn other(
        &mut self,
        flag: &str,
        rest: &mut dyn Iterator<Item = OsString>,
    ) -> Result<bool, UsageError> {
        Ok(match flag {
            "--add-drv-link" | "--indirect" | "--no-out-link" | "--no-link" | "--run-env" => true,
            "--drv-link" | "--out-link" | "-o" => rest.next().is_some(),
            _ => false,
        })
    }
}

impl ClassicCommand for Shell {
    const NAME: &'static str = "shell";
    const ABOUT: &'static str = "start a shell in the build environment of a derivation";
    const USAGE: &'static [&'static str] = &[
        "[-A PATH]... [--arg NAME EXPR]... [--run COMMAND | --command COMMAND] [--pure] [FILE]",
        "-p PACKAGE... [--run COMMAND] [--pure]",
        "-E EXPRESSION [--run COMMAND] [--pure]",
    ];
    const DETAILS: &'static str = "\
In a script whose first line is '#! /usr/bin/env nix-shell', further lines\n\
'#! nix-shell ARGUMENT...' say what it needs and, with -i, what runs it.";

    fn begin(args: Vec<OsString>) -> Result<(Self, Vec<OsString>), Failure> {
        Ok(match script::read(&args)? {
            None => (Self::default(), args),
            Some((script, args)) => {
                let options = Shell {
                    script: Some(script),
                    ..Self::default()
                };
                (options, args)
            }
        })
    }

    fn run(mut self, invocation: &Invocation) -> Result<(), Failure> {
        if self.selection.expressions {
            if self.arguments_are == Arguments::Packages {
                return Err(UsageError::new("'-p' and '-E' are mutually exclusive").into());
            }
            self.arguments_are = Arguments::Expressions;
        }
        if let Some(script) = &self.script
            && invocation
                .settings
                .nix_shell_shebang_arguments_relative_to_script
        {
            self.eval.base_dir = Some(script.directory()?);
        }
        let purity = if self.pure {
            Purity::Pure
        } else {
            Purity::Impure
        };
        self.eval
            .variables
            .push(("IN_NIX_SHELL".to_owned(), purity.name().to_owned()));
        let asked_for = std::env::var_os("NIX_BUILD_SHELL");
        let (path, bash, store) = with_session(invocation, &self.eval, false, |session| {
            let path = self.derivation(invocation, session)?;
            let bash = match &asked_for {
                Some(_) => None,
                None => match interactive_bash(session) {
                    Ok(bash) => Some(bash),
                    Err(failure) => {
                        progress::debug(format_args!("no bash from <nixpkgs>: {failure:?}"));
                        None
                    }
                },
            };
            Ok((path, bash, session.store()?))
        })?;
        store.flush()?;
        store.add_temp_root(&path)?;
        let derivation = store.read_derivation(&path)?;
        let bash = match self.build_inputs(invocation, &*store, &derivation, bash)? {
            Some(bash) => bash,
            None if self.build.dry_run => return Ok(()),
            None => choose_bash(&*store, &derivation, asked_for, Level::Notice)?,
        };
        if self.build.dry_run {
            return Ok(());
        }
        self.start(invocation, &*store, &path, &derivation, &bash, purity)
    }
}

impl Shell {
    /// Builds what the shell needs; gives the bash of nixpkgs if that was to be had.
    fn build_inputs(
        &self,
        invocation: &Invocation,
        store: &dyn Store,
        derivation: &Derivation,
        bash: Option<StorePath>,
    ) -> Result<Option<Bash>, Failure> {
        let patterns = self.exclude.iter().map(|pattern| {
            Regex::new(pattern.as_bytes()).map_err(|error| {
                UsageError::new(format!("invalid pattern '{}': {error}", pattern.display()))
            })
        });
        let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
        let excluded = |path: &StorePath| {
            let path = store.dir().print(path);
            let found = |pattern: &Regex| {
                let mut matches = pattern.matches(&path, &rx_store::interrupt::is_set);
                matches!(matches.next(), Some(Ok(_)))
            };
            patterns.iter().any(found)
        };
        let mut wanted: Vec<DerivedPath> = derivation
            .input_sources
            .iter()
            .map(|path| DerivedPath::Opaque(path.clone()))
            .collect();
        for (path, outputs) in &derivation.input_derivations {
            if !excluded(path) {
                let path = Arc::new(SingleDerivedPath::Opaque(path.clone()));
                add_input(&path, outputs, &mut wanted);
            }
        }
        let BuildOptions { mode, .. } = self.build;
        let run = self.build.run();
        let build = |wanted: &[DerivedPath]| {
            let settings = &invocation.settings;
            realise(store, settings, wanted, mode, run, build_failure)
        };
        let Some(bash) = bash else {
            build(&wanted)?;
            return Ok(None);
        };
        let with_bash = DerivedPath::built(
            bash.clone(),
            OutputsSpec::Names(BTreeSet::from(["out".to_owned()])),
        );
        let mut all = wanted.clone();
        all.push(with_bash);
        if build(&all).is_err() {
            // Any bash will do, but what the derivation needs must be there.
            build(&wanted)?;
            return Ok(None);
        }
        if self.build.dry_run {
            return Ok(None);
        }
        Ok(built_bash(store, &bash))
    }

    fn start(
        &self,
        invocation: &Invocation,
        store: &dyn Store,
        path: &StorePath,
        derivation: &Derivation,
        bash: &Bash,
        purity: Purity,
    ) -> Result<(), Failure> {
        let basic = resolved(store, derivation).ok_or_else(|| {
            Failure::message(format!(
                "failed to resolve derivation '{}'",
                store.dir().display(path)
            ))
        })?;
        let directory = tempfile::Builder::new().prefix("nix-shell-").tempdir()?;
        let mut setup = Setup::new(directory.path(), purity, &self.keep);
        let inputs = || input_closure(store, derivation);
        setup.add_derivation(store, &invocation.settings, &basic, &inputs)?;
        let command = self.command.as_deref().unwrap_or_default();
        let start = setup.write_start(bash, command)?;
        let for_people =
            !self.batch && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let mut arguments = Vec::new();
        if for_people {
            arguments.push("--rcfile".into());
        }
        arguments.push(start.into());
        let environment = setup.environment.into_iter().collect();
        // The shell removes it.
        let directory = directory.keep();
        let failure = Program {
            file: bash.file.clone().into(),
            name: "bash".into(),
            arguments,
            environment: Some(environment),
            system: None,
        }
        .execute(store);
        let _ = std::fs::remove_dir_all(directory);
        Err(failure)
    }
}

/// What an input means for building, through derivations that are themselves outputs.
fn add_input(path: &Arc<SingleDerivedPath>, outputs: &InputOutputs, wanted: &mut Vec<DerivedPath>) {
    if !outputs.outputs.is_empty() {
        wanted.push(DerivedPath::Built {
            drv: Arc::clone(path),
            outputs: OutputsSpec::Names(outputs.outputs.clone()),
        });
    }
    for (output, inner) in &outputs.dynamic {
        let inner_path = Arc::new(SingleDerivedPath::Built {
            drv: Arc::clone(path),
            output: output.clone(),
        });
        add_input(&inner_path, inner, wanted);
    }
}

/// The derivation with real paths in place of what stands for inputs whose paths are known only now.
fn resolved(store: &dyn Store, derivation: &Derivation) -> Option<BasicDerivation> {
    if matches!(
        derivation.kind(),
        Ok(Kind::InputAddressed { deferred: false })
    ) {
        return Some(derivation.basic.clone());
    }
    derivation.resolve(store.dir(), &mut |input, outputs| {
        let mut path = input.clone();
        for output in outputs {
            let known = store.query_derivation_outputs(&path).ok()?;
            path = known.get(*output).cloned().flatten()?;
        }
        Some(path)
    })
}

/// Everything that the builder would see.
fn input_closure(
    store: &dyn Store,
    derivation: &Derivation,
) -> Result<BTreeSet<StorePath>, Failure> {
    let mut paths = derivation.input_sources.clone();
    for (path, outputs) in &derivation.input_derivations {
        let known = store.query_derivation_outputs(path)?;
        let wanted = outputs.outputs.iter();
        paths.extend(wanted.filter_map(|name| known.get(name).cloned().flatten()));
    }
    // What was excluded from building may be missing.
    let paths = store.query_valid(&paths)?;
    Ok(store.closure(&paths, ClosureOptions::default())?)
}

/// The bash that a derivation has been built to.
fn built_bash(store: &dyn Store, derivation: &StorePath) -> Option<Bash> {
    let outputs = store.query_derivation_outputs(derivation).ok()?;
    let path = outputs.get("out").cloned().flatten()?;
    Some(Bash {
        file: shown(store, &path).join("bin/bash"),
        in_path: true,
    })
}

/// Builds a bash; nothing if that cannot be done.
pub(super) fn build_bash(store: &dyn Store, derivation: &StorePath) -> Option<Bash> {
    let output = OutputsSpec::Names(BTreeSet::from(["out".to_owned()]));
    let wanted = [DerivedPath::built(derivation.clone(), output)];
    store.build_paths(&wanted, BuildMode::Normal).ok()?;
    built_bash(store, derivation)
}

/// A bash when nixpkgs has none: the one that the user names, the host's, or the derivation's own.
pub(super) fn choose_bash(
    store: &dyn Store,
    derivation: &Derivation,
    asked_for: Option<OsString>,
    notice: Level,
) -> Result<Bash, Failure> {
    if let Some(shell) = asked_for {
        let file = PathBuf::from(shell);
        let in_path = file.parent().is_some_and(|parent| parent != Path::new(""));
        return Ok(Bash { file, in_path });
    }
    if let Some(file) = find_program("bash") {
        progress::log(notice, "uses bash from your environment");
        return Ok(Bash {
            file,
            in_path: false,
        });
    }
    let builder = Path::new(std::ffi::OsStr::from_bytes(&derivation.builder));
    let is_there = |path: &Path| -> Result<bool, StoreError> {
        match store.dir().split(path.as_os_str().as_bytes()) {
            Ok((object, _)) => store.is_valid(&object),
            Err(_) => Ok(path.exists()),
        }
    };
    if builder.file_name().is_some_and(|name| name == "bash") && is_there(builder)? {
        return Ok(Bash {
            file: builder.to_owned(),
            in_path: true,
        });
    }
    Err(Failure::message(
        "there is no bash: neither in <nixpkgs>, nor in PATH, nor among what the derivation needs",
    ))
}
