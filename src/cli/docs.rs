//! Help texts, from the same tables that the parsers use.

use clap::{Arg, ArgAction, Command, ValueHint};
use rx_store::settings::{Feature, INFOS};
use serde_json::{Map, Value, json};

use super::entry::ClassicEntry;
use super::examples;
use super::flag::FlagDoc;
use super::modern::Category;
use crate::commands;

/// The help of a classic command.
pub fn classic_help(program: &str, entry: &ClassicEntry) -> String {
    let mut text = format!("{program}: {}\n\nUsage:\n", entry.about);
    for usage in entry.usage {
        text += &format!("  {program} {usage}\n");
    }
    let more = examples::after_help(entry.details, &examples::of_classic(entry.name, program));
    if !more.is_empty() {
        text += &format!("\n{more}\n");
    }
    for (title, docs) in entry.docs() {
        if !docs.is_empty() {
            text += &format!("\n{title}:\n");
            docs.iter().for_each(|doc| text += &flag_help(doc));
        }
    }
    text + "\nEvery setting of nix.conf is an option as well: 'rx config show' lists them.\n"
}

fn flag_help(doc: &FlagDoc) -> String {
    let values: String = doc
        .values
        .iter()
        .map(|name| format!(" <{}>", name.to_uppercase()))
        .collect();
    let short = doc
        .short
        .map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    let left = format!("  {short}--{}{values}", doc.long);
    if left.len() < 30 {
        format!("{left:<30}{}\n", doc.help)
    } else {
        format!("{left}\n{:30}{}\n", "", doc.help)
    }
}

/// The help of a new command, of a group of them, or of all (the empty path).
pub fn modern_help(path: &str) -> String {
    if let Some(entry) = commands::modern().iter().find(|entry| entry.path == path) {
        return entry.command().render_help().to_string();
    }
    if path.is_empty() {
        return overview();
    }
    let about = GROUPS.iter().find(|(group, _)| *group == path);
    let about = about.map_or_else(String::new, |(_, about)| format!("rx {path}: {about}\n\n"));
    let mut text = format!("{about}Usage: rx {path} COMMAND\n\nCommands:\n");
    for entry in commands::modern() {
        if let Some(rest) = entry
            .path
            .strip_prefix(path)
            .and_then(|rest| rest.strip_prefix(' '))
        {
            text += &format!("  {rest:<28} {}\n", entry.about);
        }
    }
    text
}

/// What groups of commands are for.
const GROUPS: &[(&str, &str)] = &[
    ("config", "show and check the configuration"),
    ("derivation", "work with derivations, plans of builds"),
    ("env", "work with environments"),
    ("flake", "manage flakes"),
    ("formatter", "build or run the formatter"),
    ("hash", "compute and convert hashes"),
    ("home", "manage what a home directory consists of"),
    ("key", "make and convert keys for signatures"),
    ("nar", "look into archives of store objects"),
    ("os", "build the configuration of a NixOS system"),
    ("profile", "manage installed packages"),
    ("realisation", "look at what derivations were built to"),
    ("registry", "manage the names of flakes"),
    ("store", "work with a store"),
];

fn overview() -> String {
    let mut text = "rx: builds, installs and shares packages, as Nix does.\n\n\
         Usage: rx COMMAND [OPTIONS]\n       rx help COMMAND\n"
        .to_owned();
    for category in [
        Category::Main,
        Category::Secondary,
        Category::Utility,
        Category::Own,
    ] {
        let entries: Vec<_> = commands::modern()
            .iter()
            .filter(|entry| entry.category == category)
            .collect();
        if entries.is_empty() {
            continue;
        }
        text += &format!("\n{}:\n", category.title());
        for entry in entries {
            text += &format!("  {:<29} {}\n", entry.path, entry.about);
        }
    }
    text += "\nClassic commands:\n";
    for entry in commands::classic() {
        text += &format!("  rx-{:<26} {}\n", entry.name, entry.about);
    }
    for (name, command) in linked_commands() {
        let about = command.get_about().map(ToString::to_string);
        text += &format!(
            "  {name:<29} {}\n",
            about.unwrap_or_default().to_lowercase()
        );
    }
    text
}

/// New commands that have a name of their own among the classic ones.
pub fn linked_commands() -> impl Iterator<Item = (&'static str, Command)> {
    commands::modern()
        .iter()
        .filter(|entry| entry.path == "repl")
        .map(|entry| ("rx-repl", entry.command().bin_name("rx-repl")))
}

/// A classic command as a `clap` command, for completion scripts and manual pages.
pub fn classic_command(program: &str, entry: &ClassicEntry) -> Command {
    let usage: Vec<String> = entry
        .usage
        .iter()
        .map(|usage| format!("{program} {usage}"))
        .collect();
    let mut command = Command::new(program.to_owned())
        .about(entry.about)
        .override_usage(usage.join("\n"))
        .after_help(examples::after_help(
            entry.details,
            &examples::of_classic(entry.name, program),
        ))
        .disable_help_flag(true)
        .disable_version_flag(true);
    let mut letters: Vec<char> = Vec::new();
    for (title, docs) in entry.docs() {
        for doc in docs {
            let mut arg = Arg::new(doc.long)
                .long(doc.long)
                .visible_aliases(doc.aliases)
                .help(doc.help)
                .help_heading(title);
            // The first of two equal letters counts, as it does when parsing.
            if let Some(letter) = doc.short.filter(|letter| !letters.contains(letter)) {
                letters.push(letter);
                arg = arg.short(letter);
            }
            command = command.arg(match doc.values {
                [] if doc.repeats => arg.action(ArgAction::Count),
                [] => arg.action(ArgAction::SetTrue),
                names => arg
                    .action(ArgAction::Append)
                    .num_args(names.len())
                    .value_names(names),
            });
        }
    }
    command.arg(
        Arg::new("arguments")
            .num_args(0..)
            .value_hint(ValueHint::AnyPath),
    )
}

/// All new commands as one `clap` tree, for completion scripts and manual pages.
pub fn command_tree() -> Command {
    let mut root = Command::new("rx")
        .about("Builds, installs and shares packages, as Nix does")
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .disable_version_flag(true);
    for entry in commands::modern() {
        root = insert(root, entry.path, entry.command());
    }
    root
}

fn insert(parent: Command, path: &'static str, command: Command) -> Command {
    match path.split_once(' ') {
        None => parent.subcommand(command.name(path)),
        Some((group, rest)) => {
            let old = parent
                .get_subcommands()
                .find(|child| child.get_name() == group)
                .cloned();
            let about = format!("Commands about '{group}'");
            let old_exists = old.is_some();
            let child = old.unwrap_or_else(|| {
                Command::new(group)
                    .about(about)
                    .disable_help_subcommand(true)
                    .disable_help_flag(true)
                    .disable_version_flag(true)
            });
            let child = insert(child, rest, command);
            if old_exists {
                parent.mut_subcommand(group, |_| child)
            } else {
                parent.subcommand(child)
            }
        }
    }
}

/// The answers to `rx __dump-cli` and its kin: JSON for tools.
pub fn dump(word: &str) -> Option<String> {
    let value = match word {
        "__dump-cli" => json!({ "args": dump_commands(), "settings": dump_settings() }),
        "__dump-language" => rx_eval::builtins::all()
            .map(|builtin| {
                let mut value = Map::new();
                value.insert("args".into(), json!(builtin.arguments));
                value.insert("doc".into(), json!(builtin.doc));
                if let Some(feature) = builtin.feature {
                    value.insert("experimental-feature".into(), json!(feature));
                }
                (builtin.name.to_owned(), value.into())
            })
            .collect::<std::collections::BTreeMap<String, Value>>()
            .into_iter()
            .collect::<Map<_, _>>()
            .into(),
        "__dump-xp-features" => Feature::ALL
            .iter()
            .map(|feature| (feature.name().to_owned(), json!(feature.description())))
            .collect::<Map<_, _>>()
            .into(),
        _ => return None,
    };
    Some(format!("{value}\n"))
}

fn dump_commands() -> Value {
    dump_command(&command_tree())
}

fn dump_command(command: &Command) -> Value {
    let mut flags = Map::new();
    let mut args = Vec::new();
    for arg in command.get_arguments() {
        let arity = arg.get_num_args().map_or(0, |range| range.min_values());
        let takes = arg.get_action().takes_values();
        let labels: Vec<&str> = arg
            .get_value_names()
            .unwrap_or_default()
            .iter()
            .map(|name| name.as_str())
            .collect();
        match arg.get_long() {
            Some(long) => {
                let mut flag = Map::new();
                flag.insert("arity".into(), json!(if takes { arity.max(1) } else { 0 }));
                flag.insert(
                    "category".into(),
                    json!(arg.get_help_heading().unwrap_or_default()),
                );
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                flag.insert("description".into(), json!(help));
                if !labels.is_empty() && takes {
                    flag.insert("labels".into(), json!(labels));
                }
                if let Some(letter) = arg.get_short() {
                    flag.insert("shortName".into(), json!(letter.to_string()));
                }
                flags.insert(long.to_owned(), flag.into());
            }
            None => args.push(json!({
                "label": arg.get_id().as_str(),
                "optional": !arg.is_required_set(),
            })),
        }
    }
    let mut value = Map::new();
    value.insert("args".into(), args.into());
    let children: Map<String, Value> = command
        .get_subcommands()
        .map(|child| (child.get_name().to_owned(), dump_command(child)))
        .collect();
    if !children.is_empty() {
        value.insert("commands".into(), children.into());
    }
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    value.insert("description".into(), json!(about));
    value.insert("flags".into(), flags.into());
    value.into()
}

fn dump_settings() -> Value {
    INFOS
        .iter()
        .map(|info| {
            let value = json!({
                "aliases": info.aliases,
                "description": info.description,
                "documentDefault": info.fixed_default,
                "experimentalFeature": info.feature.map(Feature::name),
            });
            (info.name.to_owned(), value)
        })
        .collect::<Map<_, _>>()
        .into()
}
