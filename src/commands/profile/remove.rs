//! `rx profile remove`.

use rx_store::profile::{Token, Turn};
use rx_store::progress::{self, Level};

use super::matchers::MatchArgs;
use super::{Dry, ProfileArgs, commit, read};
use crate::cli::{Category, EvalOptions, Invocation, Subcommand};
use crate::store_session::open_store;
use crate::ui::Failure;

/// Arguments of `rx profile remove`.
#[derive(clap::Args)]
pub struct ProfileRemove {
    #[command(flatten)]
    profile: ProfileArgs,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    packages: MatchArgs,
    #[command(flatten)]
    options: EvalOptions,
}

impl Subcommand for ProfileRemove {
    const PATH: &'static str = "profile remove";
    const ABOUT: &'static str = "Remove packages";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let profile = self.profile.path(invocation)?;
        let store = open_store(invocation)?;
        self.packages.check(store.dir())?;
        let mut turn = None;
        loop {
            let token = Token::of(&profile);
            let mut manifest = read(invocation, &self.options, &*store, &profile)?;
            let names = self.packages.names(store.dir(), &manifest)?;
            if names.is_empty() {
                progress::warn(format_args!(
                    "No packages to remove. Use '{} profile list' to see the current profile.",
                    invocation.base_program()
                ));
                return Ok(());
            }
            for name in &names {
                if let Some(entry) = manifest.elements.remove(name) {
                    progress::log(
                        Level::Notice,
                        format_args!("removing '{}'", entry.identifier()),
                    );
                }
            }
            progress::info(format_args!(
                "removed {} packages, kept {} packages",
                names.len(),
                manifest.elements.len()
            ));
            let dry = if self.dry_run { Dry::Yes } else { Dry::No };
            if commit(&*store, &profile, &manifest, &token, dry)? {
                return Ok(());
            }
            Turn::take(&mut turn, &profile)?;
        }
    }
}
