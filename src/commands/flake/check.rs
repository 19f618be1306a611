//! `rx flake check`: whether what a flake offers can be evaluated, and whether its checks can be built.
//!
//! Every kind of output has its rules (`outputs.rs`); what breaks one ends the command, or with `--keep-going` is told
//! while the others are looked at.

mod outputs;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use rx_eval::error::Context as _;
use rx_eval::{Error, ErrorKind, Pos, Result as Evaluated};
use rx_store::build::RunError;
use rx_store::path::StorePath;
use rx_store::progress::{self, Activity, ActivityKind, Level, warn};
use rx_store::store::{BuildMode, DerivedPath, OutputsSpec, SingleDerivedPath, Store, StoreError};

use super::FlakeOptions;
use crate::cli::{Category, Invocation, Subcommand};
use crate::eval_session::EvalSession;
use crate::installables::flake_outputs;
use crate::operands::Outputs;
use crate::realise::{link_outputs, plain_failure};
use crate::ui::{self, Failure};

/// Arguments of `rx flake check`.
#[derive(clap::Args)]
pub struct FlakeCheck {
    /// Only evaluate: build no checks.
    #[arg(long)]
    no_build: bool,
    /// Look at what is for other systems, too.
    #[arg(long)]
    all_systems: bool,
    /// Print the paths of the checks.
    #[arg(long)]
    print_out_paths: bool,
    /// Make links to the checks, whose names begin so.
    #[arg(long, short, value_name = "PATH")]
    out_link: Option<PathBuf>,
    #[command(flatten)]
    flakes: FlakeOptions,
    /// The flake; that of the working directory unless given.
    #[arg(value_name = "FLAKE")]
    flake: Option<String>,
}

impl Subcommand for FlakeCheck {
    const PATH: &'static str = "flake check";
    const ABOUT: &'static str = "Check what a flake offers, and build its checks";
    const CATEGORY: Category = Category::Main;
    const DETAILS: &'static str = "\
Packages, development environments, formatters and checks must be derivations; applications, templates, overlays, \
NixOS modules and configurations, bundlers and Hydra jobs must be what their users expect. Checks are built.\n";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let mut invocation = invocation.clone();
        if self.no_build {
            let settings = Arc::make_mut(&mut invocation.settings);
            if !settings.is_overridden("allow-import-from-derivation") {
                settings.allow_import_from_derivation = false;
            }
        }
        let (checks, store) = self.flakes.session(&invocation, self.no_build, |session| {
            let locked = self.flakes.locked(session, self.flake.as_deref(), |wish| {
                wish.apply_config = true;
            })?;
            let activity =
                Activity::start(Level::Info, ActivityKind::Unknown, "evaluating flake", &[]);
            let entered = activity.enter();
            let outputs = flake_outputs(session, &locked)?;
            let mut run = Run::new(session, &self);
            let checked = run.outputs(outputs);
            let checks = run.finish(checked)?;
            drop(entered);
            Ok((checks, session.store()?))
        })?;
        store.flush()?;
        let built = match self.no_build || checks.derivations.is_empty() {
            true => Vec::new(),
            false => self.build(&*store, &checks, invocation.settings.keep_going)?,
        };
        if checks.failed {
            return Err(Failure::message(
                "some errors were encountered during the evaluation",
            ));
        }
        progress::info("all checks passed!");
        if !checks.omitted.is_empty() {
            let omitted: Vec<_> = checks.omitted.into_iter().collect();
            warn(format_args!(
                "The check omitted these incompatible systems: {}\nUse '--all-systems' to check all.",
                omitted.join(", ")
            ));
        }
        self.show(&*store, &built)
    }
}

impl FlakeCheck {
    /// Builds the checks that no cache has. What is to be shown or linked is fetched as well.
    fn build(
        &self,
        store: &dyn Store,
        checks: &Checks,
        keep_going: bool,
    ) -> Result<Vec<(DerivedPath, Outputs)>, Failure> {
        let all = |drv: &StorePath| DerivedPath::Built {
            drv: Arc::new(SingleDerivedPath::Opaque(drv.clone())),
            outputs: OutputsSpec::All,
        };
        let paths: Vec<_> = checks.derivations.keys().map(all).collect();
        let missing = store.query_missing(&paths)?;
        let wanted = match self.print_out_paths || self.out_link.is_some() {
            true => paths,
            false => missing.build.iter().map(all).collect(),
        };
        let activity = Activity::start(
            Level::Info,
            ActivityKind::Unknown,
            match missing.build.len() {
                1 => "running 1 flake check".to_owned(),
                count => format!("running {count} flake checks"),
            },
            &[],
        );
        let entered = activity.enter();
        let made = store
            .build_outputs(&wanted, BuildMode::Normal)
            .map_err(|error| Self::failure(store, checks, keep_going, error))?;
        drop(entered);
        let named = |made: BTreeMap<String, StorePath>| {
            made.into_iter()
                .map(|(name, path)| (name, Some(path)))
                .collect()
        };
        Ok(wanted
            .into_iter()
            .zip(made.into_iter().map(named))
            .collect())
    }

    /// A failure of building, which names the attributes that it concerns.
    fn failure(store: &dyn Store, checks: &Checks, keep_going: bool, error: StoreError) -> Failure {
        let failed = match &error {
            StoreError::Layer(error) => match error.downcast_ref::<RunError>() {
                Some(error) => error.failed.clone(),
                None => Vec::new(),
            },
            _ => Vec::new(),
        };
        let several = failed.len() > 1;
        let mut messages = Vec::new();
        for (drv, reason) in &failed {
            let shown = store.dir().display(drv);
            for attribute in checks.derivations.get(drv).into_iter().flatten() {
                let message =
                    format!("failed to build attribute '{attribute}', build of '{shown}^*' failed");
                // Several reasons have been told one by one.
                messages.push(match several {
                    true => message,
                    false => format!("{message}: {reason}"),
                });
            }
        }
        let end = match (messages.is_empty(), keep_going) {
            (true, _) => return plain_failure(error),
            (false, true) => "some errors were encountered during the evaluation".to_owned(),
            (false, false) => messages.pop().unwrap_or_default(),
        };
        messages.iter().for_each(|message| progress::error(message));
        Failure::message(end)
    }

    fn show(&self, store: &dyn Store, built: &[(DerivedPath, Outputs)]) -> Result<(), Failure> {
        if self.print_out_paths {
            let paths = built
                .iter()
                .flat_map(|(_, outputs)| outputs.values().flatten());
            let lines: String = paths
                .map(|path| format!("{}\n", store.dir().display(path)))
                .collect();
            ui::print(&lines)?;
        }
        match &self.out_link {
            Some(base) => link_outputs(store, base, built),
            None => Ok(()),
        }
    }
}

/// What was found out.
#[derive(Default)]
struct Checks {
    /// Derivations to build, with the attribute paths that lead to them.
    derivations: BTreeMap<StorePath, Vec<String>>,
    /// Systems that were passed over.
    omitted: BTreeSet<String>,
    /// Whether errors were told.
    failed: bool,
}

/// A check that is under way.
struct Run<'a> {
    session: &'a mut EvalSession,
    all_systems: bool,
    keep_going: bool,
    /// Whether the user says what may be built during evaluation.
    import_is_chosen: bool,
    system: String,
    checks: Checks,
}

impl<'a> Run<'a> {
    fn new(session: &'a mut EvalSession, command: &FlakeCheck) -> Run<'a> {
        let settings = Arc::clone(&session.invocation.settings);
        Run {
            session,
            all_systems: command.all_systems,
            keep_going: settings.keep_going,
            import_is_chosen: settings.is_overridden("allow-import-from-derivation"),
            system: settings.current_system().to_owned(),
            checks: Checks::default(),
        }
    }

    fn finish(self, result: Evaluated<()>) -> Result<Checks, Failure> {
        self.session.check(result)?;
        Ok(self.checks)
    }

    /// Passes a result on; with `--keep-going` an error is told, and there is no result.
    fn told<T>(&mut self, result: Evaluated<T>) -> Evaluated<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error)
                if self.keep_going
                    && !matches!(error.kind, ErrorKind::Interrupted | ErrorKind::Quit) =>
            {
                ui::report::show_report(&ui::eval_report(self.session.vm.ev, &error));
                self.checks.failed = true;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs a rule; errors say what was looked at.
    fn rule<T>(
        &mut self,
        what: &str,
        pos: Pos,
        run: impl FnOnce(&mut Self) -> Evaluated<T>,
    ) -> Evaluated<Option<T>> {
        let activity = Activity::start(
            Level::Info,
            ActivityKind::Unknown,
            format!("checking {what}"),
            &[],
        );
        let entered = activity.enter();
        let result = run(self).context(pos, || format!("while checking the {what}"));
        drop(entered);
        self.told(result)
    }
}

/// An error of a rule.
fn broken<T>(message: String) -> Evaluated<T> {
    Err(Error::other(message))
}
