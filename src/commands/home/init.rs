//! A first configuration of a home, and editing it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use rx_store::progress;

use super::config::{HomeSource, configuration_directory, user_name};
use super::switch::{Activation, switch};
use crate::cli::{Category, Invocation, Subcommand};
use crate::commands::configuration::quoted;
use crate::ui::{Failure, UsageError};

/// The release whose defaults a new configuration gets.
pub(super) const STATE_VERSION: &str = "25.11";

/// Arguments of `rx home init`.
#[derive(clap::Args)]
pub struct HomeInit {
    /// Build and activate the configuration at once.
    #[arg(long)]
    switch: bool,
    /// Write a flake, too.
    #[arg(long, overrides_with = "no_flake")]
    flake: bool,
    /// Write no flake (the default).
    #[arg(long, overrides_with = "flake")]
    no_flake: bool,
    /// With --flake: where Home Manager is fetched from.
    #[arg(
        long,
        value_name = "URL",
        default_value = "github:nix-community/home-manager"
    )]
    home_manager_url: String,
    /// With --flake: where nixpkgs is fetched from.
    #[arg(
        long,
        value_name = "URL",
        default_value = "github:nixos/nixpkgs/nixpkgs-unstable"
    )]
    nixpkgs_url: String,
    /// Where to write it, instead of home-manager in the configuration directory.
    directory: Option<PathBuf>,
}

impl Subcommand for HomeInit {
    const PATH: &'static str = "home init";
    const ABOUT: &'static str = "Write a first configuration of a home";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let directory = self
            .directory
            .clone()
            .unwrap_or_else(|| configuration_directory(invocation).join("home-manager"));
        std::fs::create_dir_all(&directory)?;
        let home = invocation.settings.places.home.display().to_string();
        let file = directory.join("home.nix");
        write_new(&file, &first_configuration(&user_name(), &home))?;
        if self.flake {
            let system = invocation.settings.current_system();
            let text = first_flake(&self.nixpkgs_url, &self.home_manager_url, system);
            write_new(&directory.join("flake.nix"), &text)?;
        }
        if !self.switch {
            return Ok(());
        }
        let source = if self.flake {
            HomeSource::of_flake(directory.into_os_string())
        } else {
            HomeSource::of_file(file)
        };
        switch(invocation, &source, &Activation::default())
    }
}

/// Writes a file unless there is one.
fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match std::fs::File::create_new(file) {
        Ok(mut created) => {
            created.write_all(text.as_bytes())?;
            progress::info(format_args!("created '{}'", file.display()));
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            progress::info(format_args!(
                "'{}' is there already and stays as it is",
                file.display()
            ));
        }
        Err(error) => {
            return Err(Failure::message(format!(
                "cannot write '{}': {error}",
                file.display()
            )));
        }
    }
    Ok(())
}

fn first_configuration(user: &str, home: &str) -> String {
    format!(
        r#"{{ config, pkgs, ... }}:

{{
  # Whose home this is, and where.
  home.username = {user};
  home.homeDirectory = {home};

  # The release whose defaults count. It stays as it is when Home Manager is updated; its release notes say what a
  # newer one would change.
  home.stateVersion = "{STATE_VERSION}";

  # Packages to install.
  home.packages = [
    # pkgs.hello
  ];

  # Files to place in the home.
  home.file = {{
    # ".screenrc".source = ./screenrc;
    # ".config/example/settings".text = "key = value";
  }};

  # Variables of login shells.
  home.sessionVariables = {{
    # EDITOR = "vi";
  }};

  # Programs with a module of their own are configured here; 'rx home option programs' lists them.
  programs.home-manager.enable = true;
}}
"#,
        user = quoted(user),
        home = quoted(home),
    )
}

fn first_flake(nixpkgs: &str, home_manager: &str, system: &str) -> String {
    format!(
        r#"{{
  description = "A home";

  inputs.nixpkgs.url = {nixpkgs};
  inputs.home-manager = {{
    url = {home_manager};
    inputs.nixpkgs.follows = "nixpkgs";
  }};

  outputs =
    {{ nixpkgs, home-manager, ... }}:
    {{
      homeConfigurations.{user} = home-manager.lib.homeManagerConfiguration {{
        pkgs = nixpkgs.legacyPackages.{system};
        modules = [ ./home.nix ];
      }};
    }};
}}
"#,
        nixpkgs = quoted(nixpkgs),
        home_manager = quoted(home_manager),
        user = quoted(&user_name()),
    )
}

/// Arguments of `rx home edit`.
#[derive(clap::Args)]
pub struct HomeEdit {
    #[command(flatten)]
    source: HomeSource,
}

impl Subcommand for HomeEdit {
    const PATH: &'static str = "home edit";
    const ABOUT: &'static str = "Open the configuration of the home in an editor";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let editor: OsString = set("VISUAL").or_else(|| set("EDITOR")).ok_or_else(|| {
            UsageError::new("Please set the $EDITOR or $VISUAL environment variable")
        })?;
        let file = self.source.file(invocation)?;
        crate::cli::restore_umask();
        // The variable may have options in it.
        let status = Command::new("/bin/sh")
            .arg("-c")
            .arg("exec $0 \"$1\"")
            .arg(editor)
            .arg(file)
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(Failure::Status(1)),
        }
    }
}
