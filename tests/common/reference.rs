//! A real Nix to compare with, where there is one.
//!
//! Either `nix-build` of version 2.34 is on the path, or `RX_REFERENCE` holds a command that runs what follows it where such a
//! Nix is installed (a script around `chroot`, say). Then `RX_REFERENCE_ROOT` tells where that place sees this machine's
//! root, if it is another; temporary files must be visible there under the same name.

use std::process::{Command, Stdio};

use super::{Outcome, Place};

/// How the other Nix is started.
#[derive(Clone, Debug)]
pub struct Reference {
    prefix: Vec<String>,
    /// Where it sees this machine's root; empty where that is the same.
    pub root: String,
    /// The user to be there; nothing for the one who runs the tests.
    pub user: Option<u32>,
}

const VARIABLES: [&str; 5] = [
    "HOME",
    "NIX_STORE_DIR",
    "NIX_STATE_DIR",
    "NIX_LOG_DIR",
    "NIX_CONF_DIR",
];

impl Reference {
    /// The one that this machine has; without one, the reason for going on without it is printed.
    pub fn find() -> Option<Reference> {
        let words = std::env::var("RX_REFERENCE").unwrap_or_default();
        let reference = Reference {
            prefix: words.split_whitespace().map(str::to_owned).collect(),
            root: std::env::var("RX_REFERENCE_ROOT").unwrap_or_default(),
            user: None,
        };
        let version = reference
            .words(&["nix-build", "--version"])
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        if version.contains("2.34") {
            return Some(reference);
        }
        println!(
            "not compared: there is no nix-build 2.34 here, and RX_REFERENCE does not run one"
        );
        None
    }

    fn words(&self, rest: &[&str]) -> Command {
        let mut words = self
            .prefix
            .iter()
            .map(String::as_str)
            .chain(rest.iter().copied());
        let mut command = Command::new(words.next().unwrap_or("false"));
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Runs one of its programs on the store of a place, with these settings.
    pub fn run(&self, place: &Place, settings: &str, line: &[&str]) -> Outcome {
        let ours = place.command("rx");
        let mut words = Vec::new();
        if let Some(user) = self.user {
            let ids = [format!("--reuid={user}"), format!("--regid={user}")];
            words.push("setpriv".to_owned());
            words.extend(ids);
            words.push("--clear-groups".to_owned());
        }
        words.push("env".to_owned());
        for (name, value) in ours.get_envs() {
            let (name, value) = (name.to_string_lossy(), value.map(|v| v.to_string_lossy()));
            if let Some(value) = value
                && VARIABLES.contains(&&*name)
            {
                words.push(format!("{name}={value}"));
            }
        }
        words.push(format!("TMPDIR={}", place.root().join("tmp").display()));
        words.push(format!("NIX_CONFIG={settings}"));
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .chain(line.iter().copied())
            .collect();
        let mut command = self.words(&words);
        command.current_dir("/");
        place.outcome(&command.output().expect("the other Nix can be started"))
    }
}
