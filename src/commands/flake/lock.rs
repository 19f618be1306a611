//! `rx flake lock` and `rx flake update`: lock files.

use rx_eval::flakes::input_path;
use rx_store::progress::warn;

use super::FlakeOptions;
use crate::cli::{Category, Invocation, Subcommand};
use crate::ui::{Failure, UsageError};

/// Arguments of `rx flake lock`.
#[derive(clap::Args)]
pub struct FlakeLock {
    #[command(flatten)]
    flakes: FlakeOptions,
    /// The flake; that of the working directory unless given.
    #[arg(value_name = "FLAKE")]
    flake: Option<String>,
}

impl Subcommand for FlakeLock {
    const PATH: &'static str = "flake lock";
    const ABOUT: &'static str = "Add what is missing in a flake's lock file";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let invocation = fresh(invocation);
        self.flakes.session(&invocation, false, |session| {
            self.flakes.locked(session, self.flake.as_deref(), |wish| {
                wish.write = true;
                wish.apply_config = true;
                wish.fail_on_unlocked = true;
            })?;
            Ok(())
        })
    }
}

/// Arguments of `rx flake update`.
#[derive(clap::Args)]
pub struct FlakeUpdate {
    /// The flake; that of the working directory unless given.
    #[arg(long, value_name = "FLAKE")]
    flake: Option<String>,
    #[command(flatten)]
    flakes: FlakeOptions,
    /// The inputs to look at anew; all unless given.
    #[arg(value_name = "INPUT")]
    inputs: Vec<String>,
}

impl Subcommand for FlakeUpdate {
    const PATH: &'static str = "flake update";
    const ABOUT: &'static str = "Look at the inputs of a flake anew and write its lock file";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let invocation = fresh(invocation);
        let mut updates = Vec::new();
        for input in &self.inputs {
            let path = input_path(input).ok();
            if path.as_ref().is_some_and(Vec::is_empty) {
                return Err(UsageError::new(
                    "input path to be updated cannot be zero-length; it would refer to the flake itself, not an input",
                )
                .into());
            }
            let Some(path) = path else {
                warn(format_args!(
                    "Invalid flake input '{input}'. To update a specific flake, use 'nix flake update --flake {input}' instead."
                ));
                return Err(UsageError::new(format!(
                    "invalid flake input attribute path element '{input}'"
                ))
                .into());
            };
            if updates.contains(&path) {
                warn(format_args!(
                    "Input '{input}' was specified multiple times. You may have done this by accident."
                ));
            }
            updates.push(path);
        }
        self.flakes.session(&invocation, false, |session| {
            self.flakes.locked(session, self.flake.as_deref(), |wish| {
                wish.write = true;
                wish.apply_config = true;
                wish.flags.recreate = updates.is_empty() && wish.flags.updates.is_empty();
                wish.flags.updates.extend(updates);
            })?;
            Ok(())
        })
    }
}

/// What was downloaded before is not good enough for a lock file.
fn fresh(invocation: &Invocation) -> Invocation {
    let mut invocation = invocation.clone();
    std::sync::Arc::make_mut(&mut invocation.settings).tarball_ttl = 0;
    invocation
}
