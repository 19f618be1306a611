//! Taking a home back to what it was without Home Manager.

use std::io::Write;

use rx_store::progress;

use super::config::{HomeSource, user_name};
use super::init::STATE_VERSION;
use super::switch::{Activation, switch};
use crate::cli::{Category, Invocation, Subcommand};
use crate::commands::configuration::quoted;
use crate::ui::{self, Failure};

/// Arguments of `rx home uninstall`.
#[derive(clap::Args)]
pub struct HomeUninstall {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Say what would be done and change nothing.
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    options: crate::cli::EvalOptions,
}

impl Subcommand for HomeUninstall {
    const PATH: &'static str = "home uninstall";
    const ABOUT: &'static str = "Remove all files and packages of the configuration from the home";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        if !self.yes
            && !self.dry_run
            && !ui::ask(
                "This removes what Home Manager has placed in your home, and its generations. Go on (y/N)?",
            )?
        {
            progress::info("nothing was changed");
            return Ok(());
        }
        let home = invocation.settings.places.home.display().to_string();
        let mut file = tempfile::Builder::new()
            .prefix("rx-home-")
            .suffix(".nix")
            .tempfile()?;
        write!(
            file,
            "{{\n  uninstall = true;\n  home.username = {};\n  home.homeDirectory = {};\n  home.stateVersion = \"{STATE_VERSION}\";\n}}\n",
            quoted(&user_name()),
            quoted(&home),
        )?;
        let source = HomeSource::of_file(file.path().to_owned()).with_options(self.options);
        switch(invocation, &source, &Activation::dry(self.dry_run))?;
        if !self.dry_run {
            progress::info("Home Manager is uninstalled; your configuration is where it was");
        }
        Ok(())
    }
}
