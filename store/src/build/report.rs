//! What is said of a build that failed.

use super::backend::Backend;
use super::log::BuildLog;
use crate::derivation::BasicDerivation;
use crate::path::StorePath;

/// The outputs that would have been, for the report of a failure.
pub fn known_output_list(store: &dyn Backend, derivation: &BasicDerivation) -> String {
    let mut paths: Vec<StorePath> = derivation
        .output_paths(store.dir())
        .into_iter()
        .flatten()
        .filter_map(|(_, path)| path)
        .collect();
    paths.sort();
    if paths.is_empty() {
        return String::new();
    }
    paths
        .iter()
        .fold("\nOutput paths:".to_owned(), |text, path| {
            text + &format!("\n  {}", store.dir().display(path))
        })
}

/// The log from its first error on, at least the last `least` lines, at most a few hundred.
pub(super) fn log_excerpt(log: &BuildLog, least: u64) -> String {
    const MOST: usize = 500;
    let (lines, before) = log.tail();
    let lines: Vec<&str> = lines.collect();
    if lines.is_empty() {
        return String::new();
    }
    let least = usize::try_from(least).unwrap_or(MOST);
    let first_error = lines
        .iter()
        .position(|line| looks_like_error(line))
        // What came just before an error often explains it.
        .map_or(lines.len(), |at| at.saturating_sub(3));
    let start = first_error
        .min(lines.len().saturating_sub(least))
        .max(lines.len().saturating_sub(MOST.max(least)));
    let shown = &lines[start..];
    let heading = if start == 0 && before == 0 {
        format!("\nLog ({} lines):\n", shown.len())
    } else {
        format!("\nLast {} log lines:\n", shown.len())
    };
    shown
        .iter()
        .fold(heading, |text, line| text + "> " + line + "\n")
}

fn looks_like_error(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    [
        "error:",
        "error ",
        "fatal:",
        "failed",
        "undefined reference",
        "no such file",
        "not found",
    ]
    .iter()
    .any(|sign| lower.contains(sign))
}
