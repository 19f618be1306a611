//! Telling Git of a file that was written into a work tree.

use std::path::Path;

use super::command::{Git, GitError};

/// Lets Git know of a file, unless it ignores it, and commits it if there is a message.
pub fn record(root: &Path, file: &Path, message: Option<&str>) -> Result<(), GitError> {
    let git = || Git::at(root, false);
    let ignored = git()
        .args(["check-ignore", "--quiet", "--"])
        .args([file])
        .output()?;
    if ignored.status.success() {
        return Ok(());
    }
    git()
        .args(["add", "--intent-to-add", "--"])
        .args([file])
        .run()?;
    if let Some(message) = message {
        git()
            .args(["commit", "--quiet", "-m", message, "--"])
            .args([file])
            .run()?;
    }
    Ok(())
}
