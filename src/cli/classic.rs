//! The grammar of the classic commands: flags anywhere and repeated, letters combined, values of
//! flags taken as they are, every setting a flag.

use std::collections::VecDeque;
use std::ffi::OsString;

use rx_store::settings::{Feature, SettingsBuilder};

use super::common::{ClassicCommon, SettingFlag};
use super::flag::{AnyOptions, FlagDoc, Options, apply_matching};
use super::suggest;
use crate::ui::UsageError;

/// What a command line says.
#[derive(Debug)]
pub struct Parsed<T> {
    /// The command's own options.
    pub options: T,
    /// The options that every command has.
    pub common: ClassicCommon,
    /// Features that flags need which were given.
    pub features: Vec<Feature>,
}

/// Reads the arguments after the program's name into the options. Stops early at `--help` and `--version`.
pub fn parse<T: Options>(
    options: T,
    args: Vec<OsString>,
    builder: &mut SettingsBuilder,
) -> Result<Parsed<T>, UsageError> {
    let mut parsed = Parsed {
        options,
        common: ClassicCommon::default(),
        features: Vec::new(),
    };
    let mut rest: VecDeque<OsString> = args.into();
    let mut only_arguments = false;
    while let Some(arg) = rest.pop_front() {
        let text = arg.to_string_lossy().into_owned();
        if only_arguments || !text.starts_with('-') {
            parsed.options.argument(arg)?;
        } else if text == "--" {
            only_arguments = true;
        } else if let Some(long) = text.strip_prefix("--") {
            parse_flag(&mut parsed, Name::Long(long), &text, &mut rest, builder)?;
        } else {
            let mut letters = text[1..].chars();
            match letters.next() {
                Some(letter) if letter.is_ascii_alphabetic() => {
                    // What follows the letter: its value, or more letters.
                    let tail = letters.as_str();
                    if !tail.is_empty() {
                        let tail_bytes = &arg.as_encoded_bytes()[2..];
                        let tail = os_from(tail_bytes);
                        let more = tail
                            .to_string_lossy()
                            .starts_with(|c: char| c.is_ascii_alphabetic());
                        if more && takes_values::<T>(letter) == 0 {
                            let mut combined = OsString::from("-");
                            combined.push(tail);
                            rest.push_front(combined);
                        } else {
                            rest.push_front(tail);
                        }
                    }
                    let flag = format!("-{letter}");
                    parse_flag(&mut parsed, Name::Short(letter), &flag, &mut rest, builder)?;
                }
                // A lone dash and things like `-1` belong to the command.
                _ => {
                    let mut more = std::iter::from_fn(|| rest.pop_front());
                    if !parsed.options.other(&text, &mut more)? {
                        parsed.options.argument(arg)?;
                    }
                }
            }
        }
        if parsed.common.help || parsed.common.version {
            break;
        }
    }
    Ok(parsed)
}

fn os_from(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(bytes.to_vec())
}

#[derive(Clone, Copy)]
enum Name<'a> {
    Long(&'a str),
    Short(char),
}

impl Name<'_> {
    fn is(self, doc: &FlagDoc) -> bool {
        match self {
            Name::Long(name) => doc.is_called(name),
            Name::Short(letter) => doc.short == Some(letter),
        }
    }
}

/// All flags that a command understands except those of settings.
fn all_docs<T: Options>() -> Vec<&'static FlagDoc> {
    let mut options = T::default();
    let mut docs = options.docs();
    for group in T::GROUPS {
        docs.extend((group.part)(&mut options).docs());
    }
    docs.extend(ClassicCommon::default().docs());
    docs
}

/// How many values the flag with this letter takes.
fn takes_values<T: Options>(letter: char) -> usize {
    all_docs::<T>()
        .into_iter()
        .find(|doc| doc.short == Some(letter))
        .map_or(0, |doc| doc.values.len())
}

fn parse_flag<T: Options>(
    parsed: &mut Parsed<T>,
    name: Name<'_>,
    shown: &str,
    rest: &mut VecDeque<OsString>,
    builder: &mut SettingsBuilder,
) -> Result<(), UsageError> {
    let mut take = |doc: &'static FlagDoc| {
        let values = take_values(shown, doc.values.len(), rest)?;
        if let Some((setting, fixed)) = doc.setting {
            let value = match fixed {
                Some(value) => value.into(),
                None => values.first().cloned().unwrap_or_default(),
            };
            builder
                .set(setting, value.as_encoded_bytes())
                .map_err(|error| UsageError::new(error.to_string()))?;
        }
        Ok(values)
    };
    if apply_matching(&mut parsed.options, |doc| name.is(doc), &mut take)?
        || apply_matching(&mut parsed.common, |doc| name.is(doc), &mut take)?
    {
        return Ok(());
    }
    if let Name::Long(long) = name
        && let Some(flag) = SettingFlag::from_name(long)
    {
        let values = take_values(shown, flag.arity(), rest)?;
        parsed.features.extend(flag.feature());
        return flag.apply(builder, &mut values.into_iter());
    }
    let mut more = std::iter::from_fn(|| rest.pop_front());
    if parsed.options.other(shown, &mut more)? {
        return Ok(());
    }
    let error = UsageError::new(format!("unrecognised flag '{shown}'"));
    let Name::Long(long) = name else {
        return Err(error);
    };
    let docs = all_docs::<T>();
    let known = docs
        .iter()
        .map(|doc| doc.long)
        .chain(suggest::setting_flags());
    Err(match suggest::nearest(long, known) {
        Some(flag) => error.hint(format!("did you mean '--{flag}'?")),
        None => error,
    })
}

fn take_values(
    shown: &str,
    count: usize,
    rest: &mut VecDeque<OsString>,
) -> Result<Vec<OsString>, UsageError> {
    if rest.len() < count {
        return Err(UsageError::new(format!(
            "flag '{shown}' requires {count} argument(s), but only {} were given",
            rest.len()
        )));
    }
    Ok(rest.drain(..count).collect())
}
