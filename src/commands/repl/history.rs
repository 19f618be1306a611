//! The history file: `repl-history` in the user's data directory, one line an entry, as the reference has it.
//! Nobody else may read what was typed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rx_store::progress;

/// Entries that are kept.
pub(super) const MOST_ENTRIES: usize = 10_000;

/// The file with what was typed.
pub(super) struct History {
    path: PathBuf,
}

impl History {
    /// The history in a data directory.
    pub fn in_dir(data_dir: &Path) -> History {
        History {
            path: data_dir.join("repl-history"),
        }
    }

    /// What was typed before, oldest first.
    pub fn load(&self) -> Vec<String> {
        let text = match fs::read(&self.path) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.complain(&error);
                return Vec::new();
            }
        };
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let kept = &lines[lines.len().saturating_sub(MOST_ENTRIES)..];
        if lines.len() > MOST_ENTRIES * 2
            && let Err(error) = self.replace(kept)
        {
            self.complain(&error);
        }
        kept.iter().map(|&line| line.to_owned()).collect()
    }

    /// Adds what was typed. It is in the file at once: sessions beside this one and crashes lose nothing.
    pub fn add(&self, text: &str) {
        if let Err(error) = self.append(&one_line(text)) {
            self.complain(&error);
        }
    }

    fn append(&self, line: &str) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        file.write_all(format!("{line}\n").as_bytes())
    }

    fn replace(&self, lines: &[&str]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all((lines.join("\n") + "\n").as_bytes())?;
        fs::rename(new, &self.path)
    }

    fn complain(&self, error: &io::Error) {
        progress::talkative(format_args!(
            "cannot use the history file '{}': {error}",
            self.path.display()
        ));
    }
}

/// An entry on one line. Line ends matter in strings and comments; such entries become several.
fn one_line(text: &str) -> String {
    let text = text.trim_end();
    if text.contains('\n') && !text.contains('#') && !text.contains("''") {
        let parts: Vec<&str> = text.lines().map(str::trim).collect();
        parts.join(" ")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_loaded_again() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::in_dir(&dir.path().join("nix"));
        assert_eq!(history.load(), Vec::<String>::new());
        history.add("1 + 1");
        history.add("let\n  x = 1;\nin x\n");
        assert_eq!(history.load(), ["1 + 1", "let x = 1; in x"]);
        let file = fs::read_to_string(dir.path().join("nix/repl-history")).unwrap();
        assert_eq!(file, "1 + 1\nlet x = 1; in x\n");
    }

    #[test]
    fn a_long_history_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::in_dir(dir.path());
        let lines: String = (0..=MOST_ENTRIES * 2).map(|i| format!("{i}\n")).collect();
        fs::write(dir.path().join("repl-history"), lines).unwrap();
        assert_eq!(history.load().len(), MOST_ENTRIES);
        let file = fs::read_to_string(dir.path().join("repl-history")).unwrap();
        assert_eq!(file.lines().count(), MOST_ENTRIES);
        assert_eq!(file.lines().last(), Some("20000"));
    }
}
