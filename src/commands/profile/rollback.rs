//! `rx profile rollback` and `rx profile wipe-history`.

use rx_store::profile::{Change, Deletion, Generations};

use super::ProfileArgs;
use crate::cli::{Category, Invocation, Subcommand};
use crate::commands::env::{days_ago, switch_generation};
use crate::ui::Failure;

/// Arguments of `rx profile rollback`.
#[derive(clap::Args)]
pub struct ProfileRollback {
    #[command(flatten)]
    profile: ProfileArgs,
    /// The version to go to, instead of the one before.
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `rx profile wipe-history`.
#[derive(clap::Args)]
pub struct ProfileWipeHistory {
    #[command(flatten)]
    profile: ProfileArgs,
    /// Only versions that were replaced before: 30d.
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
    /// Only tell what would be deleted.
    #[arg(long)]
    dry_run: bool,
}

impl Subcommand for ProfileRollback {
    const PATH: &'static str = "profile rollback";
    const ABOUT: &'static str = "Go back to an earlier version of a profile";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let profile = self.profile.path(invocation)?;
        switch_generation(invocation, &profile, self.to, Change::unless(self.dry_run))
    }
}

impl Subcommand for ProfileWipeHistory {
    const PATH: &'static str = "profile wipe-history";
    const ABOUT: &'static str = "Delete versions of a profile that are not current";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let profile = self.profile.path(invocation)?;
        let which = match &self.older_than {
            Some(age) => Deletion::ReplacedBefore(days_ago(age)?),
            None => Deletion::Old,
        };
        Ok(Generations::delete(
            &profile,
            &which,
            Change::unless(self.dry_run),
        )?)
    }
}
