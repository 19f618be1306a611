//! What is asked of a run, and how it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::build::backend::Backend;
use crate::build::error::{BuildError, FailureKind};
use crate::path::StorePath;
use crate::progress;

/// Something to realise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A path as it is.
    Path(StorePath),
    /// Outputs of a derivation; none named means all.
    Outputs {
        /// The derivation.
        derivation: StorePath,
        /// The outputs.
        outputs: Option<BTreeSet<String>>,
    },
    /// Outputs of a derivation that is built first; none named means all.
    Dynamic {
        /// The derivation that builds the first.
        base: StorePath,
        /// Which output of it is the next derivation, and so on.
        chain: Vec<String>,
        /// The outputs.
        outputs: Option<BTreeSet<String>>,
    },
}

/// How a run ended, target by target.
#[derive(Debug)]
pub struct Outcome {
    /// What each target became: outputs, or why there are none.
    pub targets: Vec<(Target, Result<BTreeMap<String, StorePath>, BuildError>)>,
    /// Every derivation or path that failed by itself, not through another.
    pub failures: Vec<(StorePath, BuildError)>,
    /// Derivations that were built.
    pub built: u64,
    /// Paths that were fetched.
    pub fetched: u64,
    /// How long it took.
    pub duration: Duration,
}

impl Outcome {
    /// What happened, for the end of a run in which several things failed.
    pub fn summary(&self, store: &dyn Backend) -> Option<String> {
        let count = |count: u64, one: &str, several: &str| {
            format!("{count} {}", if count == 1 { one } else { several })
        };
        let failed = self.failures.len() as u64;
        // One failure among few things is told anyhow.
        if failed == 0 || (failed == 1 && self.built + self.fetched < 3) {
            return None;
        }
        let mut text = format!(
            "{} failed, {} built, {} fetched, in {} s:",
            count(failed, "derivation", "derivations"),
            count(self.built, "was", "were"),
            count(self.fetched, "path was", "paths were"),
            self.duration.as_secs()
        );
        for (path, error) in &self.failures {
            let mut lines = error.message.lines();
            let first = lines.next().unwrap_or_default();
            let reason = lines
                .find_map(|line| line.strip_prefix("Reason: "))
                .unwrap_or(first);
            let reason = reason.trim_end_matches(':');
            text += &format!("\n  {}: {reason}", store.dir().display(path));
        }
        Some(text)
    }

    /// The one error that stands for all failures, if there are any.
    pub fn into_result(self, store: &dyn Backend) -> Result<(), RunError> {
        let failed: Vec<_> = self
            .targets
            .into_iter()
            .filter_map(|(target, result)| result.err().map(|error| (target, error)))
            .collect();
        let kinds = failed
            .iter()
            .map(|(_, error)| error.kind)
            .chain(self.failures.iter().map(|(_, error)| error.kind));
        let code = crate::build::error::exit_code(kinds);
        if failed
            .iter()
            .any(|(_, error)| error.kind == FailureKind::Cancelled)
            && crate::interrupt::is_set()
        {
            return Err(RunError {
                code,
                kind: FailureKind::Cancelled,
                message: BuildError::cancelled().message,
                by_path: None,
                failed: Vec::new(),
            });
        }
        // What another target's failure has stopped has nothing to say of its own.
        let (failed, stopped): (Vec<_>, Vec<_>) = failed
            .into_iter()
            .partition(|(_, error)| error.kind != FailureKind::Cancelled);
        let failed = if failed.is_empty() { stopped } else { failed };
        let each =
            |(target, error): &(Target, BuildError)| (target.path().clone(), error.message.clone());
        let each = failed.iter().map(each).collect();
        match failed.as_slice() {
            [] => Ok(()),
            [(_, error)] => Err(RunError {
                code,
                kind: error.kind,
                message: error.message.clone(),
                by_path: None,
                failed: each,
            }),
            several => {
                let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
                let mut told = BTreeSet::new();
                for (target, error) in several {
                    if told.insert(&error.message) {
                        progress::error(&error.message);
                    }
                    names.insert(format!("'{}'", target.show(store)));
                    paths.insert(format!("'{}'", store.dir().display(target.path())));
                }
                let message = |names: BTreeSet<String>| {
                    let names: Vec<String> = names.into_iter().collect();
                    format!("build of {} failed", names.join(", "))
                };
                Err(RunError {
                    code,
                    kind: FailureKind::Misc,
                    message: message(names),
                    by_path: Some(message(paths)),
                    failed: each,
                })
            }
        }
    }
}

/// A run that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    /// The exit code that tells what kind of failures there were.
    pub code: u8,
    /// The kind of the one failure, or `Misc` for several.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
    /// The same for commands that name derivations without their outputs, if that makes a difference.
    pub by_path: Option<String>,
    /// The paths and derivations that were asked for and failed, with the reason of each.
    pub failed: Vec<(StorePath, String)>,
}

impl Target {
    /// The path, or the derivation with which it begins.
    fn path(&self) -> &StorePath {
        match self {
            Self::Path(path)
            | Self::Outputs {
                derivation: path, ..
            }
            | Self::Dynamic { base: path, .. } => path,
        }
    }

    pub(super) fn show(&self, store: &dyn Backend) -> String {
        let (chain, outputs) = match self {
            Self::Path(_) => return store.dir().display(self.path()).to_string(),
            Self::Outputs { outputs, .. } => (&[][..], outputs),
            Self::Dynamic { chain, outputs, .. } => (&chain[..], outputs),
        };
        let outputs = match outputs {
            None => "*".to_owned(),
            Some(names) => names.iter().cloned().collect::<Vec<_>>().join(","),
        };
        format!("{}^{outputs}", show_chain(store, self.path(), chain))
    }
}

/// A derivation with the outputs that lead on from it.
pub(super) fn show_chain(store: &dyn Backend, base: &StorePath, chain: &[String]) -> String {
    let mut text = store.dir().display(base).to_string();
    for output in chain {
        text.push('^');
        text += output;
    }
    text
}
