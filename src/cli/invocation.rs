//! One run of the program: what it was called as, its settings, how it talks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rx_store::fetch::input::{Fetched, Input};
use rx_store::settings::Settings;

/// The version of the reference whose behaviour rx has.
pub const COMPATIBLE_VERSION: &str = "2.34.8";

/// What every command gets besides its own options.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The name to use in messages: `nix-build`, `rx-build`, `rx store gc`.
    pub program: String,
    /// The settings; nothing changes any more.
    pub settings: Arc<Settings>,
    /// Network use was switched off (`--offline`).
    pub offline: bool,
    /// What was fetched before counts as stale (`--refresh`).
    pub refresh: bool,
    /// Whole build logs were asked for (`-L`, or a classic command without `-Q`).
    pub print_build_logs: bool,
    /// Warn about results without a root.
    pub gc_warning: bool,
    /// What was found out about flakes before the run began anew.
    pub flakes: Arc<FlakeKnowledge>,
    /// What relative paths in expressions are relative to, if not the working directory: that of a script.
    pub base_dir: Option<PathBuf>,
}

/// What is known of flakes when a run begins anew with settings that a flake asked for.
#[derive(Clone, Debug, Default)]
pub struct FlakeKnowledge {
    /// Whether a setting with this value is accepted from flakes.
    pub decisions: BTreeMap<(String, String), bool>,
    /// Trees that were fetched.
    pub fetched: BTreeMap<Input, Fetched>,
}

impl Invocation {
    /// The program without its subcommand: `rx`, or `nix` if it is called so.
    pub fn base_program(&self) -> &str {
        self.program.split(' ').next().unwrap_or("rx")
    }
}

/// Who the program is called as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A classic command: `instantiate`, `build`, `store`.
    Classic(String),
    /// `rx` or `nix` with subcommands.
    Modern,
}

/// The classic commands.
pub const CLASSIC_NAMES: [&str; 12] = [
    "build",
    "channel",
    "collect-garbage",
    "copy-closure",
    "daemon",
    "env",
    "hash",
    "instantiate",
    "prefetch-url",
    "shell",
    "store",
    "build-remote",
];

impl Role {
    /// The role of a program with this file name.
    pub fn from_program(name: &str) -> Role {
        let short = name
            .strip_prefix("nix-")
            .or_else(|| name.strip_prefix("rx-"));
        match short {
            Some(short) if CLASSIC_NAMES.contains(&short) => Role::Classic(short.to_owned()),
            _ => Role::Modern,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_what_the_program_is() {
        let classic = |name: &str| Role::Classic(name.to_owned());
        assert_eq!(Role::from_program("nix-build"), classic("build"));
        assert_eq!(
            Role::from_program("rx-collect-garbage"),
            classic("collect-garbage")
        );
        assert_eq!(Role::from_program("nix"), Role::Modern);
        assert_eq!(Role::from_program("rx"), Role::Modern);
        assert_eq!(Role::from_program("rx-something"), Role::Modern);
    }
}
