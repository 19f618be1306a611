//! `rx store gc` and `rx store delete`.

use rx_store::profile::Change;
use rx_store::store::closure::ClosureOptions;
use rx_store::store::{GcAction, GcOptions};

use super::collect_garbage::{Retention, Which, clean_profiles, parse_days};
use super::store::{delete_paths, print_freed};
use crate::cli::{Category, Invocation, Subcommand};
use crate::operands::PathArgs;
use crate::store_session::open_store;
use crate::ui::{Failure, UsageError};

/// Arguments of `rx store gc`.
#[derive(clap::Args)]
pub struct StoreGc {
    /// Stop when this many bytes are freed; K, M, G and T are understood.
    #[arg(long, value_name = "BYTES")]
    max: Option<String>,
    /// Only tell how many paths would go.
    #[arg(long)]
    dry_run: bool,
    /// First delete generations of profiles but the current and the newest of each, so many.
    #[arg(long, value_name = "COUNT")]
    keep: Option<u64>,
    /// First delete generations of profiles but the current and those that are younger: 14d.
    #[arg(long, value_name = "DAYSd", value_parser = days)]
    keep_since: Option<u64>,
}

fn days(text: &str) -> Result<u64, String> {
    parse_days(text).map_err(|error| error.message().to_owned())
}

impl Subcommand for StoreGc {
    const PATH: &'static str = "store gc";
    const ABOUT: &'static str = "Delete what no root needs";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let action = if self.dry_run {
            GcAction::ReturnDead
        } else {
            GcAction::DeleteDead
        };
        if self.dry_run && self.max.is_some() {
            return Err(UsageError::new("options --max and --dry-run cannot be combined").into());
        }
        let mut options = GcOptions::new(action);
        if let Some(max) = &self.max {
            options.max_freed = rx_store::settings::parse_size(max).map_err(UsageError::new)?;
        }
        let retention = Retention {
            keep: self.keep,
            since: self.keep_since,
        };
        if retention.is_given() {
            let change = Change::unless(self.dry_run);
            clean_profiles(invocation, Which::Unretained(retention), change)?;
        }
        let store = open_store(invocation)?;
        print_freed(self.dry_run, &store.collect_garbage(&options)?)
    }
}

/// Arguments of `rx store delete`.
#[derive(clap::Args)]
pub struct StoreDelete {
    /// Delete even what a root needs.
    #[arg(long)]
    ignore_liveness: bool,
    /// Pass over what a root needs, instead of failing; useful with --recursive.
    #[arg(long, alias = "skip-live")]
    skip_alive: bool,
    /// Also delete what refers to the paths.
    #[arg(long)]
    also_referrers: bool,
    #[command(flatten)]
    paths: PathArgs,
}

impl Subcommand for StoreDelete {
    const PATH: &'static str = "store delete";
    const ABOUT: &'static str = "Delete store paths that nothing needs";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (store, paths) = self.paths.find(invocation, false)?;
        let action = if self.skip_alive {
            GcAction::DeleteDead
        } else {
            GcAction::DeleteSpecific
        };
        let mut options = GcOptions::new(action);
        options.ignore_liveness = self.ignore_liveness;
        options.paths = paths.into_iter().collect();
        if self.also_referrers {
            let referrers = ClosureOptions {
                reverse: true,
                ..ClosureOptions::default()
            };
            options.paths = store.closure(&options.paths, referrers)?;
        }
        delete_paths(&*store, &options)
    }
}
