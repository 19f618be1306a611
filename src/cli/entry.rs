//! The table of classic commands: what each is called, what it understands, how it runs.

use std::ffi::OsString;

use rx_store::settings::{Feature, SettingsBuilder};

use super::classic;
use super::common::ClassicCommon;
use super::flag::{AnyOptions, FlagDoc, Options};
use super::invocation::Invocation;
use crate::ui::Failure;

/// A classic command: its options, and it runs.
pub trait ClassicCommand: Options {
    /// The name after `rx-` and `nix-`.
    const NAME: &'static str;
    /// One line that says what it is for.
    const ABOUT: &'static str;
    /// The ways of calling it, without the program's name.
    const USAGE: &'static [&'static str];
    /// Longer text for its help.
    const DETAILS: &'static str = "";
    /// The options before any argument is read, and the arguments to read: a script's are written in it.
    fn begin(args: Vec<OsString>) -> Result<(Self, Vec<OsString>), Failure> {
        Ok((Self::default(), args))
    }
    /// Runs it.
    fn run(self, invocation: &Invocation) -> Result<(), Failure>;
}

/// A command line that was read and can be run.
pub struct Call {
    /// Runs the command.
    pub run: Box<dyn FnOnce(&Invocation) -> Result<(), Failure>>,
    /// The options that every command has.
    pub common: ClassicCommon,
    /// Features that flags need which were given.
    pub features: Vec<Feature>,
}

/// A [`ClassicCommand`] whose type is not known.
#[derive(Clone, Copy)]
pub struct ClassicEntry {
    /// The name after `rx-` and `nix-`.
    pub name: &'static str,
    /// One line that says what it is for.
    pub about: &'static str,
    /// The ways of calling it, without the program's name.
    pub usage: &'static [&'static str],
    /// Longer text for its help.
    pub details: &'static str,
    docs: fn() -> Vec<(&'static str, Vec<&'static FlagDoc>)>,
    parse: fn(Vec<OsString>, &mut SettingsBuilder) -> Result<Call, Failure>,
}

impl ClassicEntry {
    /// The table's entry of a command.
    pub const fn of<T: ClassicCommand>() -> ClassicEntry {
        ClassicEntry {
            name: T::NAME,
            about: T::ABOUT,
            usage: T::USAGE,
            details: T::DETAILS,
            docs: docs::<T>,
            parse: parse::<T>,
        }
    }

    /// Its flags, by headings.
    pub fn docs(&self) -> Vec<(&'static str, Vec<&'static FlagDoc>)> {
        (self.docs)()
    }

    /// Reads the arguments.
    pub fn parse(
        &self,
        args: Vec<OsString>,
        builder: &mut SettingsBuilder,
    ) -> Result<Call, Failure> {
        (self.parse)(args, builder)
    }
}

fn docs<T: ClassicCommand>() -> Vec<(&'static str, Vec<&'static FlagDoc>)> {
    let mut options = T::default();
    let mut all = vec![("Options", options.docs())];
    for group in T::GROUPS {
        all.push((group.title, (group.part)(&mut options).docs()));
    }
    all.push(("Common options", ClassicCommon::default().docs()));
    let mut seen: Vec<&str> = Vec::new();
    for (_, docs) in &mut all {
        docs.retain(|doc| !seen.contains(&doc.long));
        seen.extend(docs.iter().map(|doc| doc.long));
    }
    all
}

fn parse<T: ClassicCommand>(
    args: Vec<OsString>,
    builder: &mut SettingsBuilder,
) -> Result<Call, Failure> {
    let (options, args) = T::begin(args)?;
    let parsed = classic::parse(options, args, builder)?;
    let options = parsed.options;
    Ok(Call {
        run: Box::new(move |invocation| options.run(invocation)),
        common: parsed.common,
        features: parsed.features,
    })
}
