//! `rx flake …`: flakes, their lock files and what they offer.

mod check;
mod lock;
mod metadata;
mod show;
mod template;
mod tree;

use std::path::PathBuf;

use rx_eval::flakes::LockedFlake;
use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};

pub use check::FlakeCheck;
pub use lock::{FlakeLock, FlakeUpdate};
pub use metadata::FlakeMetadata;
pub use show::FlakeShow;
pub use template::{FlakeInit, FlakeNew};
pub use tree::{FlakeArchive, FlakeClone, FlakePrefetch, FlakePrefetchInputs};

use crate::cli::{EvalOptions, Invocation};
use crate::eval_session::{EvalSession, with_session};
use crate::installables::{LockOptions, LockWish, lock_flake};
use crate::ui::Failure;

/// How flakes are found and locked.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct FlakeOptions {
    #[command(flatten)]
    lock: LockOptions,
    #[command(flatten)]
    options: EvalOptions,
}

impl FlakeOptions {
    /// Runs something with an evaluation in which names stand for what the options say.
    fn session<T>(
        &self,
        invocation: &Invocation,
        read_only: bool,
        run: impl FnOnce(&mut EvalSession) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        with_session(invocation, &self.options, read_only, |session| {
            self.lock.override_names(session)?;
            run(session)
        })
    }

    /// Locks a flake; its lock file is written unless the options say otherwise.
    fn locked(
        &self,
        session: &mut EvalSession,
        flake: Option<&str>,
        change: impl FnOnce(&mut LockWish),
    ) -> Result<LockedFlake, Failure> {
        let reference = reference(flake.unwrap_or("."))?;
        let mut wish = self.lock.wish(session)?;
        change(&mut wish);
        lock_flake(session, &reference, &wish)
    }
}

/// A flake reference as it stands on the command line.
fn reference(text: &str) -> Result<FlakeRef, Failure> {
    let base = std::env::current_dir()?;
    let options = ParseOptions {
        base: Some(&base),
        ..ParseOptions::default()
    };
    Ok(FlakeRef::parse(text, options)?)
}

/// A reference with what follows `#`.
fn reference_with_fragment(text: &str) -> Result<(FlakeRef, String), Failure> {
    let base: PathBuf = std::env::current_dir()?;
    let options = ParseOptions {
        base: Some(&base),
        ..ParseOptions::default()
    };
    Ok(FlakeRef::parse_with_fragment(text, options)?)
}
