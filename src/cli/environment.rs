//! Options that change the environment of a program that is started for the user.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::ui::UsageError;

/// Which variables a program gets.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentOptions {
    words: Words,
    /// Variables that were set before they were unset.
    unset_later: Vec<OsString>,
}

impl clap::Args for EnvironmentOptions {
    fn augment_args(command: clap::Command) -> clap::Command {
        Words::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Words::augment_args_for_update(command)
    }
}

impl clap::FromArgMatches for EnvironmentOptions {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let words = Words::from_arg_matches(matches)?;
        let places =
            |id: &str| -> Vec<usize> { matches.indices_of(id).into_iter().flatten().collect() };
        let (set, unset) = (places("set"), places("unset"));
        let mut unset_later = Vec::new();
        for (pair, set) in words.set.chunks(2).zip(set.chunks(2)) {
            let later = |(name, at): (&OsString, &usize)| *name == pair[0] && *at > set[0];
            if words.unset.iter().zip(&unset).any(later) {
                unset_later.push(pair[0].clone());
            }
        }
        Ok(EnvironmentOptions { words, unset_later })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The options as they are written.
#[derive(clap::Args, Clone, Debug, Default)]
struct Words {
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
        for pair in self.words.set.chunks(2) {
            let [name, value] = pair else { continue };
            let shown = name.display();
            if self.unset_later.contains(name) {
                return Err(UsageError::new(format!(
                    "Cannot unset environment variable '{shown}' that is set with '--set-env-var'"
                )));
            }
            if self.words.unset.contains(name) {
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
        if self.words.ignore && !self.words.unset.is_empty() {
            return Err(UsageError::new(
                "--unset-env-var does not make sense with --ignore-env",
            ));
        }
        if !self.words.ignore && !self.words.keep.is_empty() {
            return Err(UsageError::new(
                "--keep-env-var does not make sense without --ignore-env",
            ));
        }
        let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os()
            .filter(|(name, _)| !self.words.ignore || self.words.keep.contains(name))
            .collect();
        environment.extend(set);
        environment.retain(|name, _| !self.words.unset.contains(name));
        Ok(environment)
    }
}
