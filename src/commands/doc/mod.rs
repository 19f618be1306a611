//! `rx doc NAME`: what a builtin, a function of `<rx>`, a setting or an experimental feature is for.

pub mod library;

use rx_eval::builtins::{self, Builtin, CONSTANTS, Constant};
use rx_store::settings::{Feature, INFOS, SettingInfo, info};

use self::library::Entry;
use crate::cli::{Category, Invocation, Subcommand, suggest};
use crate::ui::{self, Failure, UsageError};

/// Arguments of `rx doc`.
#[derive(clap::Args)]
pub struct Doc {
    /// A builtin (map, builtins.fetchurl), a function or package of `<rx>` (mkDerivation, lib.range), a setting (max-jobs) or an
    /// experimental feature (flakes); all names are listed if this is missing.
    name: Option<String>,
}

impl Subcommand for Doc {
    const PATH: &'static str = "doc";
    const ABOUT: &'static str =
        "Explain a builtin, a function of <rx>, a setting or an experimental feature";
    const CATEGORY: Category = Category::Own;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let Some(name) = self.name else {
            return ui::print(&list());
        };
        let plain = name.strip_prefix("builtins.").unwrap_or(&name);
        let plain = plain.strip_prefix("__").unwrap_or(plain);
        let mut text = String::new();
        if let Some(builtin) = builtins::all().find(|builtin| builtin.name == plain) {
            text += &builtin_text(builtin);
        }
        if let Some(constant) = CONSTANTS.iter().find(|constant| constant.name == plain) {
            text += &constant_text(constant);
        }
        let library = library::entries();
        for entry in library.iter().filter(|entry| entry.is_called(&name)) {
            text += &library_text(entry);
        }
        if let Some(setting) = info(&name) {
            let value = invocation
                .settings
                .value_text(setting.name)
                .unwrap_or_default();
            text += &setting_text(setting, value.trim());
        }
        if let Some(feature) = Feature::from_name(&name) {
            text += &format!(
                "# experimental feature {name}\n\n{}\n",
                feature.description()
            );
        }
        if !text.is_empty() {
            return ui::print(&ui::render_markdown(&text));
        }
        let error = UsageError::new(format!("nothing is called '{name}'"));
        let names = builtins::all()
            .map(|builtin| builtin.name)
            .chain(CONSTANTS.iter().map(|constant| constant.name))
            .chain(INFOS.iter().map(|info| info.name))
            .chain(Feature::ALL.iter().map(|feature| feature.name()))
            .chain(library.iter().map(|entry| entry.name.as_str()));
        Err(match suggest::nearest(plain, names) {
            Some(name) => error.hint(format!("did you mean '{name}'?")).into(),
            None => error.hint("'rx doc' lists all names").into(),
        })
    }
}

/// What a builtin is for as Markdown, as the REPL shows it.
pub fn synopsis(builtin: &Builtin) -> String {
    let arguments: String = builtin
        .arguments
        .iter()
        .map(|name| format!(" *{name}*"))
        .collect();
    let name = builtin.name;
    format!(
        "**Synopsis:** `builtins.{name}`{arguments}\n\n{}\n",
        builtin.doc.trim()
    )
}

/// The documentation of a builtin as Markdown.
fn builtin_text(builtin: &Builtin) -> String {
    let arguments: String = builtin
        .arguments
        .iter()
        .map(|name| format!(" *{name}*"))
        .collect();
    let mut text = format!(
        "# builtins.{}\n\n`{}`{arguments}\n\n",
        builtin.name, builtin.name
    );
    text += builtin.doc.trim();
    text.push('\n');
    if let Some(feature) = builtin.feature {
        text += &format!("\nOnly with the experimental feature `{feature}`.\n");
    }
    text
}

fn constant_text(constant: &Constant) -> String {
    let prefix = if constant.global { "" } else { "builtins." };
    let mut text = format!(
        "# {prefix}{}\n\nA constant ({}).\n\n{}\n",
        constant.name, constant.kind, constant.doc
    );
    if !constant.pure {
        text += "\nNot in pure evaluation.\n";
    }
    text
}

fn library_text(entry: &Entry) -> String {
    let from = match entry.name.as_str() {
        "<rx>" => "",
        name if name == "lib" || name.starts_with("lib.") => " of `import <rx/lib>`",
        _ => " of `import <rx> { }`",
    };
    format!("# {}{from}\n\n{}\n\n", entry.name, entry.text.trim())
}

fn setting_text(setting: &SettingInfo, value: &str) -> String {
    let mut text = format!("# setting {}\n\n{}\n\n", setting.name, setting.description);
    text += &format!("Type: {}. Value here: `{value}`\n", setting.kind);
    if !setting.aliases.is_empty() {
        text += &format!("Also called: {}\n", setting.aliases.join(", "));
    }
    let flags = match (setting.flag, setting.appendable) {
        (true, _) => format!("`--{0}`, `--no-{0}`", setting.name),
        (_, true) => format!("`--{0} VALUE`, `--extra-{0} VALUE`", setting.name),
        _ => format!("`--{} VALUE`", setting.name),
    };
    text += &format!("Options: {flags}\n");
    if let Some(feature) = setting.feature {
        text += &format!("Only with the experimental feature `{}`.\n", feature.name());
    }
    text
}

fn list() -> String {
    let mut names: Vec<&str> = builtins::all().map(|builtin| builtin.name).collect();
    names.extend(CONSTANTS.iter().map(|constant| constant.name));
    names.sort_unstable();
    let mut text = format!("builtins:\n{}\nthe package library:\n", wrapped(&names));
    for entry in library::entries() {
        text += &format!("  {:<34} {}\n", entry.name, entry.summary());
    }
    text += "\nsettings:\n";
    for setting in INFOS {
        let first = setting.description.lines().next().unwrap_or_default();
        text += &format!("  {:<34} {first}\n", setting.name);
    }
    text += "\nexperimental features:\n";
    for feature in Feature::ALL {
        text += &format!("  {:<34} {}\n", feature.name(), feature.description());
    }
    text
}

/// Words in lines of a readable width.
fn wrapped(words: &[&str]) -> String {
    const WIDTH: usize = 100;
    let mut text = String::new();
    let mut width = WIDTH;
    for word in words {
        if width + 1 + word.len() > WIDTH {
            text += if text.is_empty() { " " } else { "\n " };
            width = 1;
        }
        text.push(' ');
        text += word;
        width += 1 + word.len();
    }
    text.push('\n');
    text
}

/// The text of a doc comment without its marks and indentation.
pub fn inner_text(comment: &str) -> String {
    let inner = comment.strip_prefix("/**").unwrap_or(comment);
    let inner = inner.strip_suffix("*/").unwrap_or(inner);
    if inner.is_empty() {
        return String::new();
    }
    // The mark was as wide as three spaces.
    let text = format!("   {inner}");
    let indent = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .min()
        .unwrap_or(0);
    let mut result = String::new();
    for line in text.lines() {
        result += line.get(indent..).unwrap_or("");
        result.push('\n');
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_lose_their_marks_and_indentation() {
        assert_eq!(
            inner_text("/**\n    One.\n\n      two\n  */").trim(),
            "One.\n\n  two"
        );
        assert_eq!(inner_text("/** short */").trim(), "short");
        assert_eq!(inner_text("/***/"), "");
    }
}
