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
use rx_store::settings::INFOS;

use super::common::SettingFlag;
use crate::commands;

/// The answer for word `number` (from 1) of the words after the program.
pub(super) fn complete(args: &[OsString], number: usize) -> String {
    let words: Vec<String> = args
        .iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let at = number.saturating_sub(1).min(words.len());
    let word = words.get(at).map_or("", String::as_str);
    let answer = Answer::of(&words[..at], word);
    let mut text = String::from(if answer.filenames {
        "filenames\n"
    } else {
        "normal\n"
    });
    for (candidate, about) in answer.candidates {
        if candidate.starts_with(word) {
            let about = about.trim_end_matches('.');
            let _ = writeln!(text, "{candidate}\t{about}");
        }
    }
    text
}

#[derive(Default)]
struct Answer {
    candidates: BTreeMap<String, String>,
    /// The shell is to offer files.
    filenames: bool,
}

impl Answer {
    fn of(before: &[String], word: &str) -> Answer {
        let mut answer = Answer::default();
        if let [.., option] = before
            && option == "--option"
        {
            answer.settings("");
            return answer;
        }
        let path = command_path(before);
        match commands::modern().iter().find(|entry| entry.path == path) {
            Some(entry) if word.starts_with('-') => {
                answer.flags(&entry.command());
                answer.settings("--");
            }
            Some(entry) if matches!(entry.path, "profile remove" | "profile upgrade") => {
                answer.candidates.extend(commands::profile::complete());
            }
            Some(entry) if entry.path == "config show" => answer.settings(""),
            Some(entry) if entry.path == "help" => answer.commands(""),
            Some(_) => answer.filenames = true,
            None if word.starts_with('-') => answer.settings("--"),
            None => answer.commands(&path),
        }
        answer
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
                Some((word, _)) => {
                    self.candidates.entry(word.to_owned()).or_default();
                }
                None => {
                    self.candidates
                        .insert(rest.to_owned(), entry.about.to_owned());
                }
            }
        }
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

/// The subcommand that the words name, without flags and their values.
fn command_path(words: &[String]) -> String {
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
    use super::*;

    fn answer(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        complete(&words, words.len())
    }

    #[test]
    fn commands_flags_and_settings_are_offered() {
        assert_eq!(
            answer("hash conv"),
            "normal\nconvert\tWrite hashes in another notation\n"
        );
        assert!(answer("--cores 3 ha").contains("\nhash\t"));
        assert!(answer("hash convert --fr").contains("\n--from\t"));
        assert!(answer("config show max-j").contains("\nmax-jobs\t"));
        assert!(answer("hash path --option max-j").contains("\nmax-jobs\t"));
        assert_eq!(answer("hash path fi"), "filenames\n");
        assert_eq!(answer("nonsense x"), "normal\n");
    }

    #[test]
    fn a_word_beyond_the_end_is_empty() {
        assert!(complete(&[], 1).contains("\nconfig\t"));
        assert!(complete(&[], 99).contains("\nconfig\t"));
    }
}
