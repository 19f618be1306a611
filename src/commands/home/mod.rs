//! `rx home`: a user's files and packages from one configuration, by the modules of Home Manager.
//!
//! The modules say what a home is; rx evaluates, builds, keeps the generations and runs their activation. They are
//! found as `<home-manager>` in the search path, or come with a flake. Generations are where Home Manager's own
//! program has them, so both can be used on the same home.

pub mod config;
mod generations;
mod init;
mod news;
mod switch;
mod uninstall;

pub use generations::{
    HomeExpireGenerations, HomeGenerations, HomePackages, HomeRemoveGenerations,
};
pub use init::{HomeEdit, HomeInit};
pub use news::HomeNews;
pub use switch::{HomeBuild, HomeInstantiate, HomeRollback, HomeSwitch, build_output};
pub use uninstall::HomeUninstall;

use std::ffi::OsString;

use self::config::{HomeSource, describe_option};
use crate::cli::{Category, Invocation, Subcommand};
use crate::ui::{self, Failure};

/// Arguments of `rx home option`.
#[derive(clap::Args)]
pub struct HomeOption {
    #[command(flatten)]
    source: HomeSource,
    /// The path of an option or of a set of options.
    #[arg(default_value = "")]
    path: OsString,
}

impl Subcommand for HomeOption {
    const PATH: &'static str = "home option";
    const ABOUT: &'static str =
        "Show an option of the configuration: its value, type and description";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let text = self.source.with(invocation, true, |session, value| {
            describe_option(session, value, &self.path)
        })?;
        ui::print_bytes(&text)
    }
}
