//! `rx profile history` and `rx profile diff-closures`: what changed from generation to generation.

use std::cmp::Ordering;
use std::fmt::Write as _;

use rx_store::profile::{Generations, Manifest, current_object};

use super::{ProfileArgs, read};
use crate::cli::{Category, EvalOptions, Invocation, Subcommand};
use crate::commands::diff_closures::difference;
use crate::store_session::open_store;
use crate::ui::{self, Failure};

/// Arguments of `rx profile history`.
#[derive(clap::Args)]
pub struct ProfileHistory {
    #[command(flatten)]
    profile: ProfileArgs,
    #[command(flatten)]
    options: EvalOptions,
}

/// Arguments of `rx profile diff-closures`.
#[derive(clap::Args)]
pub struct ProfileDiffClosures {
    #[command(flatten)]
    profile: ProfileArgs,
}

impl Subcommand for ProfileHistory {
    const PATH: &'static str = "profile history";
    const ABOUT: &'static str = "Show what changed from version to version of a profile";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let profile = self.profile.path(invocation)?;
        let store = open_store(invocation)?;
        let generations = Generations::of(&profile)?;
        let mut text = String::new();
        let mut before: Option<(u64, Manifest)> = None;
        for generation in &generations.all {
            let manifest = read(invocation, &self.options, &*store, &generation.link)?;
            if before.is_some() {
                text.push('\n');
            }
            let colour = if generations.current == Some(generation.number) {
                "32;1"
            } else {
                "1"
            };
            let since = before
                .as_ref()
                .map_or_else(String::new, |(number, _)| format!(" <- {number}"));
            let _ = writeln!(
                text,
                "Version {} ({}){since}:",
                ui::coloured(colour, &generation.number.to_string()),
                ui::utc_day(generation.created)
            );
            let none = Manifest::default();
            let old = before.as_ref().map_or(&none, |(_, manifest)| manifest);
            changes(old, &manifest, &mut text);
            before = Some((generation.number, manifest));
        }
        ui::print(&text)
    }
}

/// The changes between two manifests, in the order of names.
fn changes(before: &Manifest, after: &Manifest, text: &mut String) {
    let (mut old, mut new) = (
        before.elements.iter().peekable(),
        after.elements.iter().peekable(),
    );
    let line = |text: &mut String, name: String, from: String, to: String| {
        let _ = writeln!(text, "  {name}: {from} -> {to}");
    };
    let none = || "∅".to_owned();
    let start = text.len();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let gone = (order != Ordering::Greater).then(|| old.next()).flatten();
        let come = (order != Ordering::Less).then(|| new.next()).flatten();
        match (gone, come) {
            (Some((_, a)), Some((_, b))) => {
                if a.versions() != b.versions() {
                    line(text, a.identifier(), a.versions(), b.versions());
                }
            }
            (Some((_, a)), None) => line(text, a.identifier(), a.versions(), none()),
            (None, Some((_, b))) => line(text, b.identifier(), none(), b.versions()),
            (None, None) => {}
        }
    }
    if text.len() == start {
        text.push_str("  No changes.\n");
    }
}

impl Subcommand for ProfileDiffClosures {
    const PATH: &'static str = "profile diff-closures";
    const ABOUT: &'static str = "Show how closures changed from version to version of a profile";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let profile = self.profile.path(invocation)?;
        let store = open_store(invocation)?;
        let generations = Generations::of(&profile)?;
        let mut text = String::new();
        for pair in generations.all.windows(2) {
            let [before, after] = pair else { continue };
            if !text.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "Version {} -> {}:", before.number, after.number);
            let object = |link: &std::path::Path| {
                current_object(&*store, link).ok_or_else(|| {
                    Failure::message(format!("'{}' leads to no store path", link.display()))
                })
            };
            let (before, after) = (object(&before.link)?, object(&after.link)?);
            text.push_str(&difference(&*store, before, after, "  ")?);
        }
        ui::print(&text)
    }
}
