//! The commands that build: `:b`, `:bl`, `:i`, `:sh`, `:u`, and `:log`.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rx_eval::Value;
use rx_eval::packages::Assertions;
use rx_lang::symbol::known;
use rx_store::path::StorePath;
use rx_store::store::{BuildMode, DerivedPath, OutputsSpec, SingleDerivedPath};

use super::pager;
use super::session::Repl;
use crate::commands::log;
use crate::realise::{Run, plain_failure, realise};
use crate::ui::{self, Failure};

impl Repl<'_> {
    /// `:b` and `:bl`: builds a derivation, the latter with links to the outputs.
    pub fn build(&mut self, expression: &str, links: bool) -> Result<(), Failure> {
        let value = self.eval(expression)?;
        let drv = self.derivation(value)?;
        let store = self.store()?;
        let wanted = DerivedPath::Built {
            drv: Arc::new(SingleDerivedPath::Opaque(drv.clone())),
            outputs: OutputsSpec::All,
        };
        let settings = &self.host.invocation.settings;
        realise(
            &*store,
            settings,
            &[wanted],
            BuildMode::Normal,
            Run::Real,
            plain_failure,
        )?;
        let mut text = String::from("\nThis derivation produced the following outputs:\n");
        for (output, path) in store.query_derivation_outputs(&drv)? {
            let Some(path) = path else { continue };
            let shown = store.dir().display(&path);
            if links {
                let link = format!("repl-result-{output}");
                let place = std::path::absolute(&link)?;
                store.add_permanent_root(&path, Path::new(&place))?;
                text += &format!("  ./{link} -> {shown}\n");
            } else {
                text += &format!("  {output} -> {shown}\n");
            }
        }
        ui::print(&text)
    }

    /// `:i`: builds a derivation and puts it into the user's profile.
    pub fn install(&mut self, expression: &str) -> Result<(), Failure> {
        let value = self.eval(expression)?;
        let drv = self.derivation(value)?;
        self.run_command("env", &["-i"], &drv)
    }

    /// `:sh`: a shell with what a derivation's build has.
    pub fn shell_of(&mut self, expression: &str) -> Result<(), Failure> {
        let value = self.eval(expression)?;
        let drv = self.derivation(value)?;
        self.run_command("shell", &[], &drv)
    }

    /// `:u`: a shell in which a package can be used: one of nixpkgs, or of rx itself if there is no nixpkgs.
    pub fn shell_with(&mut self, expression: &str) -> Result<(), Failure> {
        let package = self.eval(expression)?;
        let text = "package: let found = builtins.tryEval <nixpkgs>; in \
             if found.success \
             then (import found.value {}).runCommand \"shell\" { buildInputs = [ package ]; } \"\" \
             else (import <rx> {}).mkShell { packages = [ package ]; }";
        let function = self.eval(text)?;
        let shell = self.vm.call(function, &[package]);
        let shell = self.check(shell)?;
        let drv = self.derivation(shell)?;
        self.run_command("shell", &[], &drv)
    }

    /// `:log`: what a derivation's builder printed.
    pub fn log(&mut self, expression: &str) -> Result<(), Failure> {
        let value = self.eval(expression)?;
        let drv = self.derivation(value)?;
        let store = self.store()?;
        let (mut text, _) = log::find(&self.host.invocation, &*store, &drv)?;
        if text.last().is_some_and(|&byte| byte != b'\n') {
            text.push(b'\n');
        }
        pager::show(&text)
    }

    /// The derivation that a value is.
    fn derivation(&mut self, value: Value) -> Result<StorePath, Failure> {
        let package = self.vm.as_package(value, Assertions::Fail);
        let Some(package) = self.check(package)? else {
            return Err(Failure::message(
                "expression does not evaluate to a derivation, so I can't build it",
            ));
        };
        if package.attrs.get(known::DRV_PATH).is_none() {
            return Err(Failure::message(
                "expression did not evaluate to a valid derivation (no 'drvPath' attribute)",
            ));
        }
        let drv = package.drv_path(self.vm);
        let drv = self.check(drv)?;
        let store = self.store()?;
        if !store.is_valid(&drv)? {
            return Err(Failure::message(format!(
                "expression evaluated to invalid derivation '{}'",
                store.dir().display(&drv)
            )));
        }
        Ok(drv)
    }

    /// Runs a classic command on a derivation, with this session's settings and terminal.
    fn run_command(&mut self, name: &str, args: &[&str], drv: &StorePath) -> Result<(), Failure> {
        let store = self.store()?;
        store.flush()?;
        let invocation = &self.host.invocation;
        let settings = &invocation.settings;
        let mut configuration = String::new();
        if let Some(given) = &settings.places.nix_config {
            configuration += &given.to_string_lossy();
            configuration.push('\n');
        }
        for (name, value) in settings.overrides() {
            configuration += &format!("{name} = {value}\n");
        }
        let prefix = if invocation.program.starts_with("rx") {
            "rx-"
        } else {
            "nix-"
        };
        let _pause = rx_store::progress::pause();
        let status = Command::new(std::env::current_exe()?)
            .arg0(format!("{prefix}{name}"))
            .args(args)
            .arg(store.dir().display(drv).to_string())
            .env("NIX_CONFIG", configuration)
            .status()?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::message(format!(
            "'{prefix}{name}' failed with {status}"
        )))
    }
}
