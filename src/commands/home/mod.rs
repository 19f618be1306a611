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

use self::config::HomeSource;
use super::configuration::SessionArguments;
use super::module_options::OptionArguments;
use crate::cli::{Category, Invocation, Subcommand};
use crate::ui::Failure;

/// Arguments of `rx home option`.
#[derive(clap::Args)]
pub struct HomeOption {
    #[command(flatten)]
    source: HomeSource,
    #[command(flatten)]
    arguments: OptionArguments,
}

impl Subcommand for HomeOption {
    const PATH: &'static str = "home option";
    const ABOUT: &'static str =
        "Show an option of the configuration: its value, type and description";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.source.with(invocation, true, |session, value| {
            self.arguments.print(session, value)
        })
    }
}

/// Arguments of `rx home repl`.
#[derive(clap::Args)]
pub struct HomeRepl {
    #[command(flatten)]
    source: HomeSource,
    #[command(flatten)]
    session: SessionArguments,
}

impl Subcommand for HomeRepl {
    const PATH: &'static str = "home repl";
    const ABOUT: &'static str =
        "Ask about the configuration: config, options and pkgs are variables";
    const CATEGORY: Category = Category::Main;
    const IMPURE: bool = true;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (start, options) = self.source.start(invocation)?;
        self.session.run(invocation, &options, start)
    }
}
