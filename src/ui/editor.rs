//! The user's editor.

use std::path::Path;
use std::process::Command;

use rx_store::progress;

use super::Failure;

/// Runs `$VISUAL` or `$EDITOR` on a file, at a line if it is known how to tell it; shows it when neither is set.
pub fn open_editor(file: &Path, line: u32) -> Result<(), Failure> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()))
        .unwrap_or_else(|| "cat".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("cat");
    let mut command = Command::new(program);
    command.args(words);
    let knows_lines = ["emacs", "nano", "vi", "kak", "micro", "ne"];
    let name = Path::new(program).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    if line > 0 && knows_lines.iter().any(|known| name.contains(known)) {
        command.arg(format!("+{line}"));
    }
    let _pause = progress::pause();
    let status = command
        .arg(file)
        .status()
        .map_err(|error| Failure::message(format!("cannot run the editor '{program}': {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::message(format!(
        "the editor '{program}' failed with {status}"
    )))
}
