//! Completion while typing: `NIX_GET_COMPLETIONS=N rx WORDS…` answers what can stand in place of
//! word N, in the reference's format, so that its shell scripts work with rx as well.
//!
//! ```text
//! normal                 (or: filenames)
//! --from<TAB>The notation that the hashes must have
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;

use clap::Command;
use rx_eval::builtins;
use rx_store::settings::{INFOS, SettingsBuilder};

use super::attributes::{self, Root};
use super::common::SettingFlag;
use crate::commands;

/// The answer for word `number` (from 1) of the words after the program.
pub(super) fn complete(args: &[OsString], number: usize, builder: SettingsBuilder) -> String {
    let words: Vec<String> = args
        .iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let at = number.saturating_sub(1).min(words.len());
    let word = words.get(at).map_or("", String::as_str);
    let line = Line {
        before: &words[..at],
        word,
        after: words.get(at + 1..).unwrap_or_default(),
    };
    let answer = Answer::of(&line, builder);
    let mut text = format!("{}\n", answer.kind);
    for (candidate, about) in answer.candidates {
        if candidate.starts_with(word) {
            let about = about.trim_end_matches('.');
            let _ = writeln!(text, "{candidate}\t{about}");
        }
    }
    text
}

/// What is being typed.
struct Line<'a> {
    before: &'a [String],
    word: &'a str,
    after: &'a [String],
}

struct Answer {
    /// `normal`, `filenames` or `attrs`: how the shell goes on behind a candidate.
    kind: &'static str,
    candidates: BTreeMap<String, String>,
}

impl Answer {
    fn of(line: &Line<'_>, builder: SettingsBuilder) -> Answer {
        let (before, word) = (line.before, line.word);
        let mut answer = Answer {
            kind: "normal",
            candidates: BTreeMap::new(),
        };
        if let [.., option] = before
            && option == "--option"
        {
            answer.settings("");
            return answer;
        }
        if let [.., option] = before
            && option == "--override-input"
        {
            answer.inputs(line, builder);
            return answer;
        }
        let path = command_path(before);
        let entry = commands::modern().iter().find(|entry| entry.path == path);
        match entry {
            Some(entry) if word.starts_with('-') => {
                answer.flags(&entry.command());
                answer.settings("--");
            }
            Some(entry) if entry.path == "config show" => answer.settings(""),
            Some(entry) if entry.path == "help" => answer.commands(""),
            Some(entry) if entry.path == "doc" => answer.documented(),
            Some(entry) if entry.path == "flake update" && !after_value_flag(before) => {
                answer.inputs(line, builder);
            }
            Some(entry)
                if ["profile remove", "profile upgrade"].contains(&entry.path)
                    && !after_value_flag(before) =>
            {
                answer.candidates.extend(commands::profile::complete());
            }
            Some(_) => answer.things(line, builder),
            None if word.starts_with('-') => answer.settings("--"),
            None => answer.commands(&path),
        }
        answer
    }

    /// Attributes of what the line names, or files.
    fn things(&mut self, line: &Line<'_>, builder: SettingsBuilder) {
        let value_of = |flags: &[&str]| {
            let words = line.before;
            let at = words
                .iter()
                .rposition(|word| flags.contains(&word.as_str()))?;
            words.get(at + 1)
        };
        let root = if after_value_flag(line.before) {
            None
        } else if let Some(file) = value_of(&["--file", "-f"]) {
            Some(Root::File(file.clone()))
        } else if let Some(text) = value_of(&["--expr"]) {
            Some(Root::Expression(text.clone()))
        } else {
            let flake = line.word.split_once('#');
            flake.map(|(flake, _)| Root::Flake(flake.to_owned()))
        };
        match root {
            Some(root) => {
                self.kind = "attrs";
                let names = attributes::complete(&root, line.word, builder);
                self.candidates
                    .extend(names.into_iter().map(|name| (name, String::new())));
            }
            None => self.files(line.word),
        }
    }

    /// Files that begin with the word.
    fn files(&mut self, word: &str) {
        self.kind = "filenames";
        let (directory, name) = match word.rfind('/') {
            Some(slash) => word.split_at(slash + 1),
            None => ("", word),
        };
        let real = match directory.strip_prefix("~/") {
            Some(rest) => format!("{}/{rest}", std::env::var("HOME").unwrap_or_default()),
            None if directory.is_empty() => ".".to_owned(),
            None => directory.to_owned(),
        };
        for entry in std::fs::read_dir(real).into_iter().flatten().flatten() {
            let Ok(file) = entry.file_name().into_string() else {
                continue;
            };
            if file.starts_with(name) && (!file.starts_with('.') || name.starts_with('.')) {
                let path = format!("{directory}{file}");
                self.candidates.insert(path, String::new());
            }
        }
    }

    /// The inputs of the flakes that the line names; of the one here if it names none.
    fn inputs(&mut self, line: &Line<'_>, builder: SettingsBuilder) {
        let words = line.before.iter().chain(line.after);
        let mut flakes: Vec<&str> = words
            .map(|word| word.split('#').next().unwrap_or_default())
            .filter(|word| word.starts_with(['.', '/', '~']))
            .collect();
        if flakes.is_empty() {
            flakes.push(".");
        }
        for name in attributes::inputs(&flakes, builder) {
            self.candidates.insert(name, String::new());
        }
    }

    /// The next words of all commands below a group.
    fn commands(&mut self, group: &str) {
        let prefix = if group.is_empty() {
            String::new()
        } else {
            format!("{group} ")
        };
        for entry in commands::modern() {
            let Some(rest) = entry.path.strip_prefix(&prefix) else {
                continue;
            };
            match rest.split_once(' ') {
                // The reference's scripts compare the whole answer: commands come without a text.
                Some((word, _)) => {
                    self.candidates.entry(word.to_owned()).or_default();
                }
                None => {
                    self.candidates.insert(rest.to_owned(), String::new());
                }
            }
        }
    }

    /// What `rx doc` explains.
    fn documented(&mut self) {
        let builtins = builtins::all().map(|it| (it.name.to_owned(), String::new()));
        let library = commands::doc::library::entries()
            .into_iter()
            .map(|it| (it.name, String::new()));
        self.candidates.extend(builtins.chain(library));
        self.settings("");
    }

    fn flags(&mut self, command: &Command) {
        for arg in command.get_arguments() {
            if let Some(long) = arg.get_long() {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                self.candidates.insert(format!("--{long}"), help);
            }
        }
    }

    fn settings(&mut self, dashes: &str) {
        for info in INFOS {
            let name = format!("{dashes}{}", info.name);
            self.candidates
                .entry(name)
                .or_insert_with(|| info.description.to_owned());
        }
    }
}

/// Whether the word after these is the value of a flag that takes a file.
fn after_value_flag(before: &[String]) -> bool {
    const FLAGS: [&str; 6] = ["--file", "-f", "--flake", "--out-link", "-o", "--profile"];
    before
        .last()
        .is_some_and(|word| FLAGS.contains(&word.as_str()))
}

/// The subcommand that the words name, without flags and their values.
pub(super) fn command_path(words: &[String]) -> String {
    let mut path: Vec<&str> = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(flag) = word.strip_prefix("--").and_then(SettingFlag::from_name) {
            words.by_ref().take(flag.arity()).for_each(drop);
            continue;
        }
        if word.starts_with('-') {
            continue;
        }
        path.push(word);
        let name = path.join(" ");
        if commands::modern().iter().any(|entry| entry.path == name) {
            break;
        }
    }
    path.join(" ")
}

#[cfg(test)]
mod tests {
    use rx_store::settings::Places;

    use super::*;

    fn builder() -> SettingsBuilder {
        SettingsBuilder::load(Places::from_lookup(|_| None)).unwrap()
    }

    fn answer(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        complete(&words, words.len(), builder())
    }

    #[test]
    fn commands_flags_and_settings_are_offered() {
        assert_eq!(answer("hash conv"), "normal\nconvert\t\n");
        assert!(answer("--cores 3 ha").contains("\nhash\t"));
        assert!(answer("hash convert --fr").contains("\n--from\t"));
        assert!(answer("config show max-j").contains("\nmax-jobs\t"));
        assert!(answer("hash path --option max-j").contains("\nmax-jobs\t"));
        assert_eq!(answer("hash path nonexistent"), "filenames\n");
        assert_eq!(
            answer("hash path ./Cargo.tom"),
            "filenames\n./Cargo.toml\t\n"
        );
        assert_eq!(
            answer("build --file"),
            "normal\n--file\tTake attributes of this file; `-` is standard input\n"
        );
        assert_eq!(answer("nonsense x"), "normal\n");
    }

    #[test]
    fn a_word_beyond_the_end_is_empty() {
        assert!(complete(&[], 1, builder()).contains("\nconfig\t"));
        assert!(complete(&[], 99, builder()).contains("\nconfig\t"));
    }
}
