//! The new command line, `rx SUBCOMMAND …`: a tree of `clap` commands, of which only the one that
//! is called gets built, and the sets of flags that they share with the classic commands.

use std::collections::VecDeque;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{Arg, ArgAction, ArgMatches, Command};
use rx_store::settings::{Feature, SettingsBuilder};

use super::common::{CommonOptions, SettingFlag};
use super::examples;
use super::flag::{AnyOptions, FlagDoc, Options, Values};
use super::invocation::Invocation;
use super::suggest;
use crate::ui::{Failure, UsageError};

/// Where a command stands in the overview.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// What people use every day.
    Main,
    /// What is needed now and then.
    Secondary,
    /// For scripts and for looking inside.
    Utility,
    /// About rx itself.
    Own,
}

impl Category {
    /// The heading in the overview.
    pub fn title(self) -> &'static str {
        match self {
            Category::Main => "Main commands",
            Category::Secondary => "Less frequent commands",
            Category::Utility => "Utilities and scripting",
            Category::Own => "Help and installation",
        }
    }
}

/// A subcommand of `rx`: its arguments are a `clap` struct, and it runs.
pub trait Subcommand: clap::Args {
    /// The words after `rx`: `store gc`.
    const PATH: &'static str;
    /// One line for the overview, in the imperative, without a full stop.
    const ABOUT: &'static str;
    /// Where it stands in the overview.
    const CATEGORY: Category = Category::Secondary;
    /// Longer text for its help: what it does, examples.
    const DETAILS: &'static str = "";
    /// Does it evaluate impurely unless told otherwise?
    const IMPURE: bool = false;

    /// Runs it.
    fn run(self, invocation: &Invocation) -> Result<(), Failure>;
}

/// A [`Subcommand`] whose type is not known.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The words after `rx`.
    pub path: &'static str,
    /// One line for the overview.
    pub about: &'static str,
    /// Longer text.
    pub details: &'static str,
    /// Where it stands in the overview.
    pub category: Category,
    /// Does it evaluate impurely unless told otherwise?
    pub impure: bool,
    augment: fn(Command) -> Command,
    run: fn(&ArgMatches, &Invocation) -> Result<(), Failure>,
}

impl Entry {
    /// The table's entry of a subcommand.
    pub const fn of<T: Subcommand>() -> Entry {
        Entry {
            path: T::PATH,
            about: T::ABOUT,
            details: T::DETAILS,
            category: T::CATEGORY,
            impure: T::IMPURE,
            augment: T::augment_args,
            run: |matches, invocation| T::from_arg_matches(matches).map_err(usage)?.run(invocation),
        }
    }

    /// Runs it.
    pub fn run(&self, matches: &ArgMatches, invocation: &Invocation) -> Result<(), Failure> {
        (self.run)(matches, invocation)
    }

    /// Its `clap` command, with the common flags.
    pub fn command(&self) -> Command {
        let name = format!("rx {}", self.path);
        let command = Command::new(self.path)
            .bin_name(name)
            .disable_help_flag(true)
            .disable_version_flag(true)
            .disable_help_subcommand(true)
            .args_override_self(true);
        // The struct's own documentation is for those who read the code.
        let command = (self.augment)(command)
            .about(self.about)
            .long_about(Resettable::Reset);
        let after = examples::after_help(self.details, &examples::of_subcommand(self.path));
        let command = match after.as_str() {
            "" => command,
            after => command.after_help(after.to_owned()),
        };
        add_flags::<CommonOptions>(command, "Common options")
    }
}

/// The error of `clap` as ours: what the reference says where it has the same error.
fn usage(error: clap::Error) -> Failure {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let rendered = error.to_string();
    let first = rendered.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    let invalid = text(ContextKind::InvalidArg);
    match (error.kind(), invalid) {
        (ErrorKind::UnknownArgument, Some(arg)) if arg.starts_with('-') => {
            let result = UsageError::new(format!("unrecognised flag '{arg}'"));
            match text(ContextKind::SuggestedArg) {
                Some(flag) => result.hint(format!("did you mean '{flag}'?")).into(),
                None => result.into(),
            }
        }
        (ErrorKind::UnknownArgument, Some(arg)) => {
            UsageError::new(format!("unexpected argument '{arg}'")).into()
        }
        (ErrorKind::MissingRequiredArgument, Some(arg)) => {
            UsageError::new(format!("more arguments are needed: {arg}")).into()
        }
        _ => UsageError::new(first).into(),
    }
}

/// The identity of a flag's `clap` argument. Settings are found again by their identity.
fn arg_id(doc: &FlagDoc) -> String {
    match doc.setting {
        Some((setting, Some(value))) => format!("set {setting}={value} {}", doc.long),
        Some((setting, None)) => format!("set {setting} {}", doc.long),
        None => doc.long.to_owned(),
    }
}

/// Adds a set of flags to a `clap` command.
pub(super) fn add_flags<T: Options>(command: Command, title: &'static str) -> Command {
    let taken: Vec<String> = command
        .get_arguments()
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .collect();
    let letters: Vec<char> = command.get_arguments().filter_map(Arg::get_short).collect();
    command.args(
        T::default()
            .docs()
            .into_iter()
            // A command's own flag comes before a shared one of the same name.
            .filter(|doc| !taken.iter().any(|long| long == doc.long))
            .map(|doc| {
                let arg = Arg::new(arg_id(doc))
                    .long(doc.long)
                    .visible_aliases(doc.aliases)
                    .help(doc.help)
                    .help_heading(title);
                let arg = match doc.short {
                    Some(letter) if !letters.contains(&letter) => arg.short(letter),
                    _ => arg,
                };
                match doc.values {
                    [] if doc.repeats => arg.action(ArgAction::Count),
                    [] => arg.action(ArgAction::SetTrue),
                    names => arg
                        .action(ArgAction::Append)
                        .num_args(names.len())
                        .value_names(names)
                        .value_parser(clap::value_parser!(OsString))
                        .allow_hyphen_values(true),
                }
            }),
    )
}

/// Fills in a set of flags from what `clap` found.
pub(super) fn read_flags<T: Options>(matches: &ArgMatches) -> Result<T, clap::Error> {
    let mut options = T::default();
    let mut given: Vec<(usize, usize, Vec<OsString>)> = Vec::new();
    for (place, doc) in options.docs().into_iter().enumerate() {
        for (index, values) in occurrences(matches, &arg_id(doc), doc.values.len()) {
            given.push((index, place, values));
        }
    }
    // The flags count in the order of the command line.
    given.sort_by_key(|(index, ..)| *index);
    for (_, place, values) in given {
        let docs = options.docs();
        let flag = docs.get(place).map_or("", |doc| doc.long);
        options
            .set(
                place,
                Values {
                    flag,
                    values: values.into_iter(),
                },
            )
            .map_err(|error| {
                clap::Error::raw(clap::error::ErrorKind::InvalidValue, error.message())
            })?;
    }
    Ok(options)
}

/// Each use of a flag: its place on the command line and its values.
fn occurrences(matches: &ArgMatches, id: &str, arity: usize) -> Vec<(usize, Vec<OsString>)> {
    if !matches!(matches.try_contains_id(id), Ok(true)) {
        return Vec::new();
    }
    if arity == 0 {
        let count = match matches.try_get_one::<u8>(id) {
            Ok(count) => usize::from(count.copied().unwrap_or(0)),
            Err(_) => usize::from(matches.get_flag(id)),
        };
        let index = matches.index_of(id).unwrap_or(0);
        return (0..count).map(|_| (index, Vec::new())).collect();
    }
    let Ok(Some(all)) = matches.try_get_occurrences::<OsString>(id) else {
        return Vec::new();
    };
    let indices: Vec<usize> = matches.indices_of(id).into_iter().flatten().collect();
    all.enumerate()
        .map(|(number, values)| {
            (
                indices.get(number * arity).copied().unwrap_or(0),
                values.cloned().collect(),
            )
        })
        .collect()
}

/// A command line that has been read.
pub struct ParsedCommand {
    /// The command that was named; `None` if there was none before `--help` or the end.
    pub entry: Option<&'static Entry>,
    /// The words that name a group of commands, if no command was reached.
    pub group: String,
    /// The command's arguments.
    pub matches: Option<ArgMatches>,
    /// The options that every command has.
    pub common: CommonOptions,
    /// Features that flags need which were given.
    pub features: Vec<Feature>,
}

/// Reads the arguments after `rx`. Common flags and settings may stand before the subcommand.
pub fn parse(
    args: Vec<OsString>,
    entries: &'static [Entry],
    aliases: &[(&str, &'static str)],
    builder: &mut SettingsBuilder,
) -> Result<ParsedCommand, Failure> {
    let mut parsed = ParsedCommand {
        entry: None,
        group: String::new(),
        matches: None,
        common: CommonOptions::default(),
        features: Vec::new(),
    };
    let mut rest: VecDeque<OsString> = args.into();
    while parsed.entry.is_none() {
        let Some(arg) = rest.pop_front() else { break };
        let text = arg.to_string_lossy().into_owned();
        if text.starts_with('-') && text.len() > 1 {
            leading_flag(&text, &mut rest, &mut parsed, builder)?;
            continue;
        }
        let mut path = parsed.group.clone();
        if !path.is_empty() {
            path.push(' ');
        }
        path.push_str(&text);
        if let Some((old, new)) = aliases.iter().find(|(old, _)| *old == path) {
            if *old != "shell" {
                parsed_alias_notice(builder, old, new);
            }
            path = (*new).to_owned();
        }
        if let Some(entry) = entries.iter().find(|entry| entry.path == path) {
            parsed.entry = Some(entry);
        } else if entries.iter().any(|entry| is_below(entry.path, &path)) {
            parsed.group = path;
        } else {
            return Err(unknown_command(&text, &parsed.group, entries).into());
        }
    }
    let Some(entry) = parsed.entry else {
        return Ok(parsed);
    };
    let command = with_setting_flags(entry.command(), &rest);
    let name = OsString::from("rx");
    let matches = command
        .try_get_matches_from(std::iter::once(name).chain(rest.clone()))
        .or_else(|error| {
            // `--help` counts although something required is missing.
            let asks = |flag: &str| {
                rest.iter()
                    .take_while(|arg| *arg != "--")
                    .any(|arg| arg == flag)
            };
            if asks("--help") {
                parsed.common.help = true;
                Ok(ArgMatches::default())
            } else {
                Err(usage(error))
            }
        })?;
    if !parsed.common.help {
        merge_common(&mut parsed.common, read_flags(&matches).map_err(usage)?);
        apply_settings(&matches, &mut parsed.features, builder)?;
        parsed.matches = Some(matches);
    }
    Ok(parsed)
}

fn parsed_alias_notice(builder: &mut SettingsBuilder, old: &str, new: &str) {
    let program = if old.starts_with("flake ") {
        "nix "
    } else {
        ""
    };
    builder.notice(format!(
        "'{program}{old}' is a deprecated alias for '{program}{new}'"
    ));
}

fn is_below(path: &str, group: &str) -> bool {
    path.strip_prefix(group)
        .is_some_and(|rest| rest.starts_with(' '))
}

fn unknown_command(word: &str, group: &str, entries: &[Entry]) -> UsageError {
    let error = UsageError::new(format!("'{word}' is not a recognised command"));
    let prefix = if group.is_empty() {
        String::new()
    } else {
        format!("{group} ")
    };
    let known = entries
        .iter()
        .filter_map(|entry| entry.path.strip_prefix(&prefix))
        .filter_map(|rest| rest.split(' ').next());
    match suggest::nearest(word, known) {
        Some(found) => error.hint(format!("did you mean '{prefix}{found}'?")),
        None if group.is_empty() => error.hint("'rx help' lists all commands"),
        None => error.hint(format!("'rx help {group}' lists what there is")),
    }
}

/// A flag before the subcommand.
fn leading_flag(
    text: &str,
    rest: &mut VecDeque<OsString>,
    parsed: &mut ParsedCommand,
    builder: &mut SettingsBuilder,
) -> Result<(), Failure> {
    let take = |count: usize, rest: &mut VecDeque<OsString>| -> Result<Vec<OsString>, UsageError> {
        if rest.len() < count {
            return Err(UsageError::new(format!(
                "flag '{text}' requires {count} argument(s), but only {} were given",
                rest.len()
            )));
        }
        Ok(rest.drain(..count).collect())
    };
    // `--name=value`, as clap has it.
    let (name, attached) = match text.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
        _ => (text, None),
    };
    if let Some(value) = attached {
        rest.push_front(value);
    }
    if let Some(long) = name.strip_prefix("--")
        && let Some(flag) = SettingFlag::from_name(long)
    {
        let values = take(flag.arity(), rest)?;
        parsed.features.extend(flag.feature());
        return Ok(flag.apply(builder, &mut values.into_iter())?);
    }
    let letters = name.strip_prefix('-').filter(|name| !name.starts_with('-'));
    let docs = parsed.common.docs();
    let find = |matches: &dyn Fn(&FlagDoc) -> bool| docs.iter().position(|doc| matches(doc));
    let places: Option<Vec<usize>> = match letters {
        Some(letters) => letters
            .chars()
            .map(|letter| find(&|doc| doc.short == Some(letter)))
            .collect(),
        None => name
            .strip_prefix("--")
            .and_then(|long| find(&|doc| doc.is_called(long)))
            .map(|it| vec![it]),
    };
    let Some(places) = places else {
        return Err(UsageError::new(format!("unrecognised flag '{text}'")).into());
    };
    for place in places {
        let doc = docs[place];
        let values = take(doc.values.len(), rest)?;
        if let Some((setting, fixed)) = doc.setting {
            let value =
                fixed.map_or_else(|| values.first().cloned().unwrap_or_default(), Into::into);
            builder
                .set(setting, value.as_encoded_bytes())
                .map_err(setting_error)?;
        }
        parsed.common.set(
            place,
            Values {
                flag: doc.long,
                values: values.into_iter(),
            },
        )?;
    }
    Ok(())
}

fn setting_error(error: rx_store::settings::ValueError) -> UsageError {
    UsageError::new(error.to_string())
}

fn merge_common(before: &mut CommonOptions, after: CommonOptions) {
    before.verbosity += after.verbosity;
    before.debug |= after.debug;
    before.log_format = after.log_format.or(before.log_format);
    before.print_build_logs |= after.print_build_logs;
    before.offline |= after.offline;
    before.refresh |= after.refresh;
    before.help |= after.help;
    before.version |= after.version;
}

/// Adds the flags of settings, but only of those that the arguments mention: there are hundreds.
fn with_setting_flags(command: Command, args: &VecDeque<OsString>) -> Command {
    let mut command = command;
    let mut seen: Vec<String> = command
        .get_arguments()
        .flat_map(|arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long()
                .into_iter()
                .chain(aliases)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    for arg in args {
        let Some(long) = arg.to_str().and_then(|arg| arg.strip_prefix("--")) else {
            continue;
        };
        let long = long.split('=').next().unwrap_or(long);
        if seen.iter().any(|name| name == long) {
            continue;
        }
        let Some(flag) = SettingFlag::from_name(long) else {
            continue;
        };
        seen.push(long.to_owned());
        let arg = Arg::new(format!("flag {long}"))
            .long(long.to_owned())
            .hide(true);
        command = command.arg(match flag.arity() {
            0 => arg.action(ArgAction::SetTrue),
            count => arg
                .action(ArgAction::Append)
                .num_args(count)
                .value_parser(clap::value_parser!(OsString))
                .allow_hyphen_values(true),
        });
    }
    command
}

/// Applies the settings among the flags, in the order of the command line.
fn apply_settings(
    matches: &ArgMatches,
    features: &mut Vec<Feature>,
    builder: &mut SettingsBuilder,
) -> Result<(), UsageError> {
    enum Given {
        Flag(SettingFlag, Vec<OsString>),
        Value(String, OsString),
    }
    let mut given: Vec<(usize, Given)> = Vec::new();
    for id in matches.ids() {
        if let Some(long) = id.as_str().strip_prefix("flag ") {
            let Some(flag) = SettingFlag::from_name(long) else {
                continue;
            };
            for (index, values) in occurrences(matches, id.as_str(), flag.arity()) {
                given.push((index, Given::Flag(flag, values)));
            }
        } else if let Some(rest) = id.as_str().strip_prefix("set ") {
            let assignment = rest.split(' ').next().unwrap_or(rest);
            let (name, fixed) = match assignment.split_once('=') {
                Some((name, value)) => (name, Some(OsString::from(value))),
                None => (assignment, None),
            };
            let arity = usize::from(fixed.is_none());
            for (index, values) in occurrences(matches, id.as_str(), arity) {
                let value = fixed
                    .clone()
                    .or(values.into_iter().next())
                    .unwrap_or_default();
                given.push((index, Given::Value(name.to_owned(), value)));
            }
        }
    }
    given.sort_by_key(|(index, _)| *index);
    for (_, given) in given {
        match given {
            Given::Value(name, value) => {
                builder
                    .set(&name, value.as_encoded_bytes())
                    .map_err(setting_error)?;
            }
            Given::Flag(flag, values) => {
                features.extend(flag.feature());
                flag.apply(builder, &mut values.into_iter())?;
            }
        }
    }
    Ok(())
}
