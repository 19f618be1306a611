//! `rx-channel`: package collections that are followed by URL.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::Arc;

use rx_store::channel::Channels;
use rx_store::fetch::input::Fetcher;
use rx_store::profile::{Change, Generations};
use rx_store::store::Store;

use super::env::list_generations as list;
use crate::cli::{ClassicCommand, Flag, Invocation, Options};
use crate::store_session::open_local;
use crate::ui::{self, Failure, UsageError};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Add,
    Remove,
    List,
    Update,
    ListGenerations,
    Rollback,
}

/// Options of `rx-channel`.
#[derive(Default)]
pub struct Channel {
    operation: Option<Operation>,
    arguments: Vec<OsString>,
}

impl Options for Channel {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::switch("add", "Subscribe to a channel: URL [NAME].", |o| {
            o.operation = Some(Operation::Add)
        }),
        Flag::switch("remove", "Unsubscribe from a channel: NAME.", |o| {
            o.operation = Some(Operation::Remove)
        }),
        Flag::switch("list", "Print all channels.", |o| {
            o.operation = Some(Operation::List)
        }),
        Flag::switch(
            "update",
            "Download channels: all, or those that are named.",
            |o| {
                o.operation = Some(Operation::Update);
            },
        ),
        Flag::switch(
            "list-generations",
            "Print the generations of the channels.",
            |o| {
                o.operation = Some(Operation::ListGenerations);
            },
        ),
        Flag::switch(
            "rollback",
            "Go back to the generation before, or to NUMBER.",
            |o| {
                o.operation = Some(Operation::Rollback);
            },
        ),
    ];

    fn argument(&mut self, argument: OsString) -> Result<(), UsageError> {
        self.arguments.push(argument);
        Ok(())
    }
}

impl ClassicCommand for Channel {
    const NAME: &'static str = "channel";
    const ABOUT: &'static str = "follow package collections by URL";
    const USAGE: &'static [&'static str] = &[
        "--add URL [NAME]",
        "--remove NAME",
        "--list",
        "--update [NAME...]",
        "--list-generations",
        "--rollback [NUMBER]",
    ];

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let Some(operation) = self.operation else {
            return Err(UsageError::new("no command specified").into());
        };
        let words: Vec<String> = self
            .arguments
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let expect = |possible: std::ops::RangeInclusive<usize>, message: &str| {
            if possible.contains(&words.len()) {
                Ok(())
            } else {
                Err(UsageError::new(message))
            }
        };
        let settings = &invocation.settings;
        // Listing and subscribing need no store, only the place of its state.
        let mut channels = Channels::read(settings, &settings.places.state_dir)?;
        match operation {
            Operation::Add => {
                expect(1..=2, "'--add' requires one or two arguments")?;
                channels.add(&words[0], words.get(1).map(String::as_str))?;
            }
            Operation::List => {
                expect(0..=0, "'--list' expects no arguments")?;
                let text: String = channels
                    .urls
                    .iter()
                    .map(|(name, url)| format!("{name} {url}\n"))
                    .collect();
                ui::print(&text)?;
            }
            Operation::Remove => {
                expect(1..=1, "'--remove' requires one argument")?;
                let store = open_local(invocation)?;
                Channels::read(settings, &store.config().state_dir)?.remove(&*store, &words[0])?;
            }
            Operation::Update => {
                let store = open_local(invocation)?;
                let channels = Channels::read(settings, &store.config().state_dir)?;
                // A user who asks for an update does not mean what was downloaded an hour ago.
                let mut impatient = (**settings).clone();
                impatient.tarball_ttl = 0;
                let fetcher = Fetcher::new(store as Arc<dyn Store>, Arc::new(impatient));
                channels.update(&fetcher, &words.into_iter().collect::<BTreeSet<_>>())?;
            }
            Operation::ListGenerations => {
                expect(0..=0, "'--list-generations' expects no arguments")?;
                let store = open_local(invocation)?;
                let channels = Channels::read(settings, &store.config().state_dir)?;
                ui::print(&list(&channels.profile)?)?;
            }
            Operation::Rollback => {
                expect(0..=1, "'--rollback' has at most one argument")?;
                let number = match words.first() {
                    Some(word) => Some(word.parse().map_err(|_| {
                        UsageError::new(format!("invalid generation number '{word}'"))
                    })?),
                    None => None,
                };
                let store = open_local(invocation)?;
                let channels = Channels::read(settings, &store.config().state_dir)?;
                Generations::switch(&channels.profile, number, Change::Made)?;
            }
        }
        Ok(())
    }
}
