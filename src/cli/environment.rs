//! Options that change the environment of a program that is started for the user.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::ui::UsageError;

/// Which variables a program gets.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct EnvironmentOptions {
    /// Clear the environment, except for what --keep-env-var names.
    #[arg(
        long = "ignore-env",
        alias = "ignore-environment",
        short = 'i',
        help_heading = "Environment"
    )]
    ignore: bool,
    /// With --ignore-env: keep this variable; can be repeated.
    #[arg(
        long = "keep-env-var",
        alias = "keep",
        short = 'k',
        value_name = "NAME",
        action = clap::ArgAction::Append,
        help_heading = "Environment"
    )]
    keep: Vec<OsString>,
    /// Remove this variable; can be repeated.
    #[arg(
        long = "unset-env-var",
        alias = "unset",
        short = 'u',
        value_name = "NAME",
        action = clap::ArgAction::Append,
        help_heading = "Environment"
    )]
    unset: Vec<OsString>,
    /// Set a variable; can be repeated.
    #[arg(
        long = "set-env-var",
        short = 's',
        num_args = 2,
        value_names = ["NAME", "VALUE"],
        action = clap::ArgAction::Append,
        help_heading = "Environment"
    )]
    set: Vec<OsString>,
}

impl EnvironmentOptions {
    /// The environment of this process with the changes that were asked for.
    pub fn apply(&self) -> Result<BTreeMap<OsString, OsString>, UsageError> {
        let mut set = BTreeMap::new();
        for pair in self.set.chunks(2) {
            let [name, value] = pair else { continue };
            let shown = name.display();
            if self.unset.contains(name) {
                return Err(UsageError::new(format!(
                    "Cannot set environment variable '{shown}' that is unset with '--unset-env-var'"
                )));
            }
            if set.insert(name.clone(), value.clone()).is_some() {
                return Err(UsageError::new(format!(
                    "Duplicate definition of environment variable '{shown}' with '--set-env-var' is ambiguous"
                )));
            }
        }
        if self.ignore && !self.unset.is_empty() {
            return Err(UsageError::new(
                "--unset-env-var does not make sense with --ignore-env",
            ));
        }
        if !self.ignore && !self.keep.is_empty() {
            return Err(UsageError::new(
                "--keep-env-var does not make sense without --ignore-env",
            ));
        }
        let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os()
            .filter(|(name, _)| !self.ignore || self.keep.contains(name))
            .collect();
        environment.extend(set);
        environment.retain(|name, _| !self.unset.contains(name));
        Ok(environment)
    }
}
