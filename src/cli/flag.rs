//! Flags as data: one table serves parsing, help, completion scripts and manual pages.
//!
//! A set of flags belongs to a struct that they fill in:
//!
//! ```ignore
//! impl Options for EvalOptions {
//!     const FLAGS: &'static [Flag<Self>] = &[
//!         Flag::value("include", &["path"], "Add a search path.", |options: &mut Self, values| {
//!             options.include.push(values.os());
//!             Ok(())
//!         })
//!         .short('I'),
//!         Flag::setting("impure", "pure-eval", Some("false"), "Allow access to mutable things."),
//!     ];
//! }
//! ```
//!
//! Structs with more than one set name the others in [`Options::GROUPS`].

use std::ffi::OsString;

use crate::ui::UsageError;

/// What is written about a flag.
#[derive(Clone, Copy, Debug)]
pub struct FlagDoc {
    /// The name after `--`.
    pub long: &'static str,
    /// The letter after `-`.
    pub short: Option<char>,
    /// Other names after `--`.
    pub aliases: &'static [&'static str],
    /// Names of its values; none for a switch.
    pub values: &'static [&'static str],
    /// A sentence that says what it does.
    pub help: &'static str,
    /// Does it count how often it is given?
    pub repeats: bool,
    /// The setting that it sets, and to what (to its value, if `None`).
    pub setting: Option<(&'static str, Option<&'static str>)>,
}

impl FlagDoc {
    /// Is `name` (without dashes) the flag's long name or an alias?
    pub fn is_called(&self, name: &str) -> bool {
        self.long == name || self.aliases.contains(&name)
    }
}

/// The values that were given to a flag, as many as it wants.
#[derive(Debug)]
pub struct Values<'a> {
    pub(super) flag: &'a str,
    pub(super) values: std::vec::IntoIter<OsString>,
}

impl Values<'_> {
    /// The next value as it is.
    pub fn os(&mut self) -> OsString {
        self.values.next().unwrap_or_default()
    }

    /// The next value, which must be text.
    pub fn text(&mut self) -> Result<String, UsageError> {
        let flag = self.flag;
        self.os().into_string().map_err(|value| {
            UsageError::new(format!(
                "flag '{flag}' needs text, but got '{}'",
                value.display()
            ))
        })
    }

    /// The next value, which must be a number; units K, M, G and T are understood.
    pub fn number(&mut self) -> Result<u64, UsageError> {
        rx_store::settings::parse_size(&self.text()?).map_err(UsageError::new)
    }
}

/// What a flag does to the options that it belongs to.
pub type Setter<T> = fn(&mut T, &mut Values<'_>) -> Result<(), UsageError>;

/// A flag that fills in a `T`.
pub struct Flag<T> {
    pub(super) doc: FlagDoc,
    pub(super) set: Action<T>,
}

pub(super) enum Action<T> {
    Switch(fn(&mut T)),
    Values(Setter<T>),
    Setting,
}

impl<T> Flag<T> {
    /// A flag without a value.
    pub const fn switch(long: &'static str, help: &'static str, set: fn(&mut T)) -> Flag<T> {
        Flag::with(long, &[], help, Action::Switch(set))
    }

    /// A flag with one or more values.
    pub const fn value(
        long: &'static str,
        values: &'static [&'static str],
        help: &'static str,
        set: Setter<T>,
    ) -> Flag<T> {
        Flag::with(long, values, help, Action::Values(set))
    }

    /// A flag that sets a setting: to `value`, or to its own value if that is `None`.
    pub const fn setting(
        long: &'static str,
        setting: &'static str,
        value: Option<&'static str>,
        help: &'static str,
    ) -> Flag<T> {
        let values: &'static [&'static str] = if value.is_none() { &["value"] } else { &[] };
        let mut flag = Flag::with(long, values, help, Action::Setting);
        flag.doc.setting = Some((setting, value));
        flag
    }

    const fn with(
        long: &'static str,
        values: &'static [&'static str],
        help: &'static str,
        set: Action<T>,
    ) -> Flag<T> {
        let doc = FlagDoc {
            long,
            short: None,
            aliases: &[],
            values,
            help,
            repeats: false,
            setting: None,
        };
        Flag { doc, set }
    }

    /// Adds the letter after `-`.
    pub const fn short(mut self, letter: char) -> Flag<T> {
        self.doc.short = Some(letter);
        self
    }

    /// Makes each use count.
    pub const fn repeats(mut self) -> Flag<T> {
        self.doc.repeats = true;
        self
    }

    /// Adds other names.
    pub const fn alias(mut self, names: &'static [&'static str]) -> Flag<T> {
        self.doc.aliases = names;
        self
    }

    /// Names the value of a [`Flag::setting`].
    pub const fn named(mut self, values: &'static [&'static str]) -> Flag<T> {
        self.doc.values = values;
        self
    }

    fn apply(&self, options: &mut T, mut values: Values<'_>) -> Result<(), UsageError> {
        match self.set {
            Action::Switch(set) => {
                set(options);
                Ok(())
            }
            Action::Values(set) => set(options, &mut values),
            // The parser has done it: settings are collected elsewhere.
            Action::Setting => Ok(()),
        }
    }
}

/// A struct that is filled in by flags.
pub trait Options: Default + 'static {
    /// Its own flags. They come before those of the groups and before the common ones.
    const FLAGS: &'static [Flag<Self>];

    /// Other sets of flags inside of it.
    const GROUPS: &'static [Group<Self>] = &[];

    /// Takes an argument that is not a flag.
    fn argument(&mut self, argument: OsString) -> Result<(), UsageError> {
        Err(UsageError::new(format!(
            "unexpected argument '{}'",
            argument.display()
        )))
    }

    /// Takes a flag that no table knows, with its dashes; says whether it did. More values can be
    /// taken from `rest`. For commands whose flags depend on an operation.
    fn other(
        &mut self,
        _flag: &str,
        _rest: &mut dyn Iterator<Item = OsString>,
    ) -> Result<bool, UsageError> {
        Ok(false)
    }
}

/// A set of flags within a bigger one.
pub struct Group<T> {
    /// What the flags are about, for the help: `Evaluation`.
    pub title: &'static str,
    /// Finds the part.
    pub part: fn(&mut T) -> &mut dyn AnyOptions,
}

impl<T> Group<T> {
    /// A set of flags under a title.
    pub const fn new(title: &'static str, part: fn(&mut T) -> &mut dyn AnyOptions) -> Group<T> {
        Group { title, part }
    }
}

/// [`Options`] whose type is not known.
pub trait AnyOptions {
    /// The flags with their places in the table.
    fn docs(&self) -> Vec<&'static FlagDoc>;
    /// Applies the flag at a place in the table.
    fn set(&mut self, place: usize, values: Values<'_>) -> Result<(), UsageError>;
}

impl<T: Options> AnyOptions for T {
    fn docs(&self) -> Vec<&'static FlagDoc> {
        T::FLAGS.iter().map(|flag| &flag.doc).collect()
    }

    fn set(&mut self, place: usize, values: Values<'_>) -> Result<(), UsageError> {
        match T::FLAGS.get(place) {
            Some(flag) => flag.apply(self, values),
            None => Ok(()),
        }
    }
}

/// Looks for a flag in the options' own table and in those of its groups, and applies it.
/// `take` provides the values once it is known how many there are.
pub(super) fn apply_matching<T: Options>(
    options: &mut T,
    matches: impl Fn(&FlagDoc) -> bool,
    take: impl FnOnce(&'static FlagDoc) -> Result<Vec<OsString>, UsageError>,
) -> Result<bool, UsageError> {
    let found = |part: &dyn AnyOptions| {
        part.docs()
            .into_iter()
            .enumerate()
            .find(|(_, doc)| matches(doc))
    };
    let mut target: Option<(&mut dyn AnyOptions, usize, &'static FlagDoc)> = None;
    if let Some((place, doc)) = found(options) {
        target = Some((options, place, doc));
    } else {
        for group in T::GROUPS {
            if let Some((place, doc)) = found((group.part)(options)) {
                target = Some(((group.part)(options), place, doc));
                break;
            }
        }
    }
    let Some((part, place, doc)) = target else {
        return Ok(false);
    };
    let values = take(doc)?;
    part.set(
        place,
        Values {
            flag: doc.long,
            values: values.into_iter(),
        },
    )?;
    Ok(true)
}
