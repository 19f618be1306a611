//! `rx completions` and `rx man`: files for shells and for `man`, from the commands' own tables.
//!
//! The scripts for rx ask the running program (`cli/complete.rs`), so attributes of what is named on the line are completed,
//! too; those of the classic commands list the options.

use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

use crate::cli::{Category, Invocation, Subcommand, docs};
use crate::commands;
use crate::ui::{self, Failure, UsageError};

/// The scripts for rx itself.
const SCRIPTS: [(Shell, &str); 3] = [
    (Shell::Bash, include_str!("rx.bash")),
    (Shell::Zsh, include_str!("rx.zsh")),
    (Shell::Fish, include_str!("rx.fish")),
];

/// Arguments of `rx completions`.
#[derive(clap::Args)]
pub struct Completions {
    /// bash, zsh or fish.
    shell: String,
    /// Print the script of one classic command, such as rx-build, instead of that of rx.
    #[arg(long, value_name = "NAME")]
    command: Option<String>,
}

impl Subcommand for Completions {
    const PATH: &'static str = "completions";
    const ABOUT: &'static str = "Print a completion script for a shell";
    const CATEGORY: Category = Category::Own;
    const DETAILS: &'static str = "bash:  rx completions bash > ~/.local/share/bash-completion/completions/rx\n\
         zsh:   rx completions zsh > ~/.zfunc/_rx   (with ~/.zfunc in fpath)\n\
         fish:  rx completions fish > ~/.config/fish/completions/rx.fish\n\n\
         Scripts of the classic commands are made with '--command rx-build' and so on.";

    fn run(self, _: &Invocation) -> Result<(), Failure> {
        let shell = match self.shell.as_str() {
            "bash" => Shell::Bash,
            "zsh" => Shell::Zsh,
            "fish" => Shell::Fish,
            "elvish" => Shell::Elvish,
            other => {
                let error = UsageError::new(format!("there is no completion script for '{other}'"));
                return Err(error.hint("known are bash, zsh, fish and elvish").into());
            }
        };
        let whole = self.command.as_deref().is_none_or(|name| name == "rx");
        if whole && let Some((_, script)) = SCRIPTS.iter().find(|(name, _)| *name == shell) {
            return ui::print(script);
        }
        let (name, mut command) = match self.command.as_deref() {
            None | Some("rx") => ("rx".to_owned(), docs::command_tree()),
            Some(name) => {
                let bare = name
                    .strip_prefix("rx-")
                    .or_else(|| name.strip_prefix("nix-"))
                    .unwrap_or(name);
                let classic = commands::classic().iter().find(|entry| entry.name == bare);
                let linked = || {
                    let mut all = docs::linked_commands();
                    all.find(|(own, _)| own.strip_prefix("rx-") == Some(bare))
                };
                let command = classic
                    .map(|entry| docs::classic_command(name, entry))
                    .or_else(|| linked().map(|(_, command)| command.name(name.to_owned())));
                let command = command.ok_or_else(|| {
                    UsageError::new(format!("there is no classic command '{name}'"))
                })?;
                (name.to_owned(), command)
            }
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, name, &mut script);
        ui::print_bytes(&script)
    }
}

/// Arguments of `rx man`.
#[derive(clap::Args)]
pub struct Man {
    /// Where to write the pages; the page of rx itself is printed if this is missing.
    directory: Option<PathBuf>,
}

impl Subcommand for Man {
    const PATH: &'static str = "man";
    const ABOUT: &'static str = "Write manual pages of all commands into a directory";
    const CATEGORY: Category = Category::Own;
    const DETAILS: &'static str = "rx man ~/.local/share/man/man1, then 'man rx', 'man rx-build', 'man rx-store-gc' show them.";

    fn run(self, _: &Invocation) -> Result<(), Failure> {
        let Some(directory) = self.directory else {
            return ui::print_bytes(&page("rx", docs::command_tree())?);
        };
        std::fs::create_dir_all(&directory)?;
        let mut written = Vec::new();
        write_page(&directory, "rx", docs::command_tree(), &mut written)?;
        for entry in commands::modern() {
            // `rx build` and `rx-build` are two commands with one page name.
            let name = format!("rx3-{}", entry.path.replace(' ', "-"));
            write_page(&directory, &name, entry.command(), &mut written)?;
        }
        for entry in commands::classic() {
            let name = format!("rx-{}", entry.name);
            let command = docs::classic_command(&name, entry);
            write_page(&directory, &name, command, &mut written)?;
        }
        for (name, command) in docs::linked_commands() {
            write_page(&directory, name, command, &mut written)?;
        }
        ui::print(&written.concat())
    }
}

fn write_page(
    directory: &Path,
    name: &str,
    command: Command,
    written: &mut Vec<String>,
) -> Result<(), Failure> {
    let file = directory.join(format!("{name}.1"));
    std::fs::write(&file, page(name, command)?)?;
    written.push(format!("{}\n", file.display()));
    Ok(())
}

/// The day on which the pages were last looked through.
const REVISED: &str = "2026-11-23";

/// A page; commands below the command are listed, not described.
fn page(name: &str, command: Command) -> Result<Vec<u8>, Failure> {
    let command = command
        .name(name.to_owned())
        .version(env!("CARGO_PKG_VERSION"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .date(REVISED)
        .render(&mut page)?;
    Ok(page)
}
