//! `rx help`: what commands there are and what they do.

use crate::cli::{Category, Invocation, Subcommand, docs, suggest};
use crate::commands;
use crate::ui::{self, Failure, UsageError};

/// Arguments of `rx help`.
#[derive(clap::Args)]
pub struct Help {
    /// The command to explain.
    command: Vec<String>,
}

impl Subcommand for Help {
    const PATH: &'static str = "help";
    const ABOUT: &'static str = "Explain a command, or list them all";
    const CATEGORY: Category = Category::Own;

    fn run(self, _: &Invocation) -> Result<(), Failure> {
        let path = self.command.join(" ");
        let group = format!("{path} ");
        let known = path.is_empty()
            || commands::modern()
                .iter()
                .any(|entry| entry.path == path || entry.path.starts_with(&group));
        if known {
            return ui::print(&docs::modern_help(&path));
        }
        let bare = path
            .strip_prefix("rx-")
            .or_else(|| path.strip_prefix("nix-"))
            .unwrap_or(&path);
        if let Some(entry) = commands::classic().iter().find(|entry| entry.name == bare) {
            return ui::print(&docs::classic_help(&format!("rx-{bare}"), entry));
        }
        let error = UsageError::new(format!("there is no command '{path}'"));
        let names = commands::modern().iter().map(|entry| entry.path);
        Err(match suggest::nearest(&path, names) {
            Some(name) => error.hint(format!("did you mean '{name}'?")).into(),
            None => error.hint("'rx help' lists all commands").into(),
        })
    }
}
