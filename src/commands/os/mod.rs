//! `rx os`: configurations of NixOS systems: evaluated, built, and made what the machine runs.

mod switch;

pub use switch::{OsBoot, OsDryActivate, OsRollback, OsSwitch, OsTest};

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rx_eval::Value;
use rx_store::path::StorePath;
use rx_store::profile::Generations;
use rx_store::store::Store;
use serde_json::json;

use super::configuration::{
    ConfigurationFlake, SessionArguments, flake_directory, host_name, quoted,
};
use super::home::build_output;
use super::home::config::{derivation_at, in_generation};
use super::module_options::OptionArguments;
use super::repl::Start;
use crate::cli::{
    AutoArg, Category, EvalOptions, Invocation, JsonOptions, LinkOptions, Subcommand,
};
use crate::eval_session::{EvalSession, with_session};
use crate::installables::LockOptions;
use crate::realise::Run;
use crate::store_session::{open_store, shown};
use crate::ui::{self, Failure};

/// What evaluates a configuration.
const ENTRY: &str = "<nixpkgs/nixos>";

/// The flake that is meant when nothing is said.
const USUAL_FLAKE: &str = "/etc/nixos/flake.nix";

/// Which configuration is meant.
#[derive(clap::Args, Clone, Debug, Default)]
struct OsSource {
    /// The configuration; otherwise <nixos-config>, or /etc/nixos/configuration.nix.
    #[arg(long, short, value_name = "FILE", conflicts_with = "flake")]
    file: Option<PathBuf>,
    /// A flake with nixosConfigurations; `#NAME` after it selects one. Without it, /etc/nixos/flake.nix if that is there.
    #[arg(long, value_name = "FLAKE")]
    flake: Option<OsString>,
    /// Use no flake, even if there is one in /etc/nixos.
    #[arg(long, conflicts_with = "flake")]
    no_flake: bool,
    #[command(flatten)]
    lock: LockOptions,
    #[command(flatten)]
    options: EvalOptions,
}

impl OsSource {
    /// The flake that is the configuration, if it is one.
    fn flake(&self) -> Option<ConfigurationFlake<'_>> {
        let reference = match &self.flake {
            Some(flake) => flake.clone(),
            None if self.file.is_some() || self.no_flake => return None,
            None => flake_directory(USUAL_FLAKE.as_ref())?.into_os_string(),
        };
        Some(ConfigurationFlake {
            flake: reference,
            lock: &self.lock,
            output: "nixosConfigurations",
            names: vec![host_name()],
        })
    }

    /// The arguments that NixOS is called with for a configuration in a file.
    fn options_of_file(&self) -> Result<EvalOptions, Failure> {
        let mut options = self.options.clone();
        if let Some(file) = &self.file {
            let path = std::path::absolute(file)?;
            let path = quoted(&path.display().to_string());
            let expression = format!("import (builtins.toPath {path})").into();
            let argument = ("configuration".to_owned(), AutoArg::Expr(expression));
            options.auto_args.push(argument);
        }
        Ok(options)
    }

    /// What a session about the configuration begins with.
    fn start(&self) -> Result<(Start, EvalOptions), Failure> {
        if let Some(flake) = self.flake() {
            return Ok((flake.start()?, self.options.clone()));
        }
        let start = Start {
            file: Some(ENTRY.into()),
            ..Start::default()
        };
        Ok((start, self.options_of_file()?))
    }

    /// Evaluates the configuration and hands it on: a set with `config` and `options`.
    fn with<T>(
        &self,
        invocation: &Invocation,
        read_only: bool,
        run: impl FnOnce(&mut EvalSession, Value) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(flake) = self.flake() {
            return flake.with(invocation, &self.options, read_only, run);
        }
        let mut invocation = invocation.clone();
        Arc::make_mut(&mut invocation.settings).pure_eval = false;
        let options = self.options_of_file()?;
        with_session(&invocation, &options, read_only, |session| {
            let value = session.eval_file(ENTRY.as_ref())?;
            let called = session.vm.auto_call(&session.auto_args, value);
            let value = session.check(called)?;
            run(session, value)
        })
    }

    /// The derivation of the whole system.
    fn system(&self, invocation: &Invocation) -> Result<(StorePath, Arc<dyn Store>), Failure> {
        let found = self.with(invocation, false, |session, value| {
            let path = b"config.system.build.toplevel";
            let derivation = derivation_at(session, value, path)?;
            Ok((derivation, session.store()?))
        })?;
        found.1.flush()?;
        Ok(found)
    }
}

/// The profile whose generations are those of the system.
fn system_profile(invocation: &Invocation) -> PathBuf {
    invocation.settings.places.state_dir.join("profiles/system")
}

/// Arguments of `rx os build`.
#[derive(clap::Args)]
pub struct OsBuild {
    #[command(flatten)]
    source: OsSource,
    #[command(flatten)]
    link: LinkOptions,
}

impl Subcommand for OsBuild {
    const PATH: &'static str = "os build";
    const ABOUT: &'static str = "Build the configuration of a NixOS system";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (derivation, store) = self.source.system(invocation)?;
        let Some(output) = build_output(&*store, invocation, &derivation, Run::Real)? else {
            return Ok(());
        };
        if let Some(link) = self.link.base()? {
            store.add_permanent_root(&output, &link)?;
        }
        let profile = system_profile(invocation);
        ui::show_changes(&*store, &profile, &BTreeSet::from([output.clone()]));
        ui::print(&format!("{}\n", shown(&*store, &output).display()))
    }
}

/// Arguments of `rx os dry-build`.
#[derive(clap::Args)]
pub struct OsDryBuild {
    #[command(flatten)]
    source: OsSource,
}

impl Subcommand for OsDryBuild {
    const PATH: &'static str = "os dry-build";
    const ABOUT: &'static str = "Show what would be built and fetched for a NixOS system";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (derivation, store) = self.source.system(invocation)?;
        build_output(&*store, invocation, &derivation, Run::Dry)?;
        ui::print(&format!("{}\n", shown(&*store, &derivation).display()))
    }
}

/// Arguments of `rx os list-generations`.
#[derive(clap::Args)]
pub struct OsListGenerations {
    /// The profile of the system.
    #[arg(long, short, value_name = "PATH")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    json: JsonOptions,
}

impl Subcommand for OsListGenerations {
    const PATH: &'static str = "os list-generations";
    const ABOUT: &'static str = "List the generations of the system, the newest first";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let profile = self.profile.unwrap_or_else(|| system_profile(invocation));
        let store = open_store(invocation)?;
        let generations = Generations::of(&profile)?;
        let mut rows = Vec::new();
        for generation in generations.all.iter().rev() {
            let facts = Facts::of(&*store, &generation.link);
            rows.push(json!({
                "generation": generation.number,
                "date": ui::local_date(generation.created),
                "nixosVersion": facts.version,
                "kernelVersion": facts.kernel,
                "configurationRevision": facts.revision,
                "specialisations": facts.specialisations,
                "current": generations.current == Some(generation.number),
            }));
        }
        if self.json.json {
            return self.json.print(&json!(rows));
        }
        let cell = |row: &serde_json::Value, name: &str| match &row[name] {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(list) => {
                let words = list.iter().filter_map(|item| item.as_str());
                words.collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        };
        let mut text = format!(
            "{:<12} {:<20} {:<24} {:<12} {:<10} {}\n",
            "Generation", "Build date", "NixOS version", "Kernel", "Revision", "Specialisations"
        );
        for row in &rows {
            let current = if row["current"] == json!(true) {
                " current"
            } else {
                ""
            };
            let line = format!(
                "{:<12} {:<20} {:<24} {:<12} {:<10} {}",
                cell(row, "generation") + current,
                cell(row, "date"),
                cell(row, "nixosVersion"),
                cell(row, "kernelVersion"),
                cell(row, "configurationRevision"),
                cell(row, "specialisations"),
            );
            text += line.trim_end();
            text.push('\n');
        }
        ui::print(&text)
    }
}

/// What a generation says of itself.
struct Facts {
    version: String,
    kernel: String,
    revision: String,
    specialisations: Vec<String>,
}

impl Facts {
    fn of(store: &dyn Store, link: &Path) -> Facts {
        let file = |inside: &str| in_generation(store, link, inside);
        let read = |inside: &str| {
            let text = file(inside).and_then(|file| std::fs::read_to_string(file).ok());
            text.unwrap_or_default().trim().to_owned()
        };
        let names = |directory: Option<PathBuf>| -> Vec<String> {
            let entries = directory.and_then(|directory| std::fs::read_dir(directory).ok());
            let names = entries.into_iter().flatten().flatten();
            let mut names: Vec<String> = names
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        Facts {
            version: read("nixos-version"),
            kernel: names(file("kernel-modules/lib/modules"))
                .into_iter()
                .next()
                .unwrap_or_default(),
            revision: read("configuration-revision"),
            specialisations: names(file("specialisation")),
        }
    }
}

/// Arguments of `rx os option`.
#[derive(clap::Args)]
pub struct OsOption {
    #[command(flatten)]
    source: OsSource,
    #[command(flatten)]
    arguments: OptionArguments,
}

impl Subcommand for OsOption {
    const PATH: &'static str = "os option";
    const ABOUT: &'static str = "Show an option of a NixOS system: its value, type and description";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.source.with(invocation, true, |session, value| {
            self.arguments.print(session, value)
        })
    }
}

/// Arguments of `rx os repl`.
#[derive(clap::Args)]
pub struct OsRepl {
    #[command(flatten)]
    source: OsSource,
    #[command(flatten)]
    session: SessionArguments,
}

impl Subcommand for OsRepl {
    const PATH: &'static str = "os repl";
    const ABOUT: &'static str = "Ask about a NixOS system: config, options and pkgs are variables";
    const CATEGORY: Category = Category::Main;
    const IMPURE: bool = true;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (start, options) = self.source.start()?;
        self.session.run(invocation, &options, start)
    }
}
