//! The generations of a home, and what is in it.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;

use rx_store::profile::{Change, Deletion, Generations};
use rx_store::progress::{self, Level};
use serde_json::json;

use super::config::{home_profile, in_generation};
use crate::cli::{Category, Invocation, JsonOptions, Subcommand};
use crate::store_session::open_store;
use crate::ui::{self, Failure, UsageError};

/// Arguments of `rx home generations`.
#[derive(clap::Args)]
pub struct HomeGenerations {
    #[command(flatten)]
    json: JsonOptions,
}

impl Subcommand for HomeGenerations {
    const PATH: &'static str = "home generations";
    const ABOUT: &'static str = "List the generations of the home, the newest first";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let generations = Generations::of(&home_profile(invocation))?;
        let mut text = String::new();
        let mut list = Vec::new();
        for generation in generations.all.iter().rev() {
            let target = std::fs::read_link(&generation.link).unwrap_or_default();
            let current = generations.current == Some(generation.number);
            let date = ui::local_date(generation.created);
            text += &format!(
                "{} : id {} -> {}{}\n",
                date.get(..16).unwrap_or(&date),
                generation.number,
                target.display(),
                if current { " (current)" } else { "" }
            );
            list.push(json!({
                "id": generation.number,
                "date": date,
                "path": target.display().to_string(),
                "current": current,
            }));
        }
        if self.json.json {
            return self.json.print(&json!(list));
        }
        if list.is_empty() {
            progress::log(
                Level::Notice,
                "the home has no generations yet; 'rx home switch' makes the first",
            );
        }
        ui::print(&text)
    }
}

/// Arguments of `rx home remove-generations`.
#[derive(clap::Args)]
pub struct HomeRemoveGenerations {
    /// Only say what would be removed.
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Numbers; or `old`, `+COUNT`, `DAYSd` as for profiles.
    #[arg(required = true, value_name = "NUMBER")]
    numbers: Vec<String>,
}

impl Subcommand for HomeRemoveGenerations {
    const PATH: &'static str = "home remove-generations";
    const ABOUT: &'static str = "Remove generations of the home";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let change = Change::unless(self.dry_run);
        let which = crate::commands::env::deletion(&self.numbers)?;
        Ok(Generations::delete(
            &home_profile(invocation),
            &which,
            change,
        )?)
    }
}

/// Arguments of `rx home expire-generations`.
#[derive(clap::Args)]
pub struct HomeExpireGenerations {
    /// Only say what would be removed.
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Days: what was replaced before goes.
    #[arg(value_name = "DAYSd")]
    age: String,
}

impl Subcommand for HomeExpireGenerations {
    const PATH: &'static str = "home expire-generations";
    const ABOUT: &'static str = "Remove old generations of the home";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let change = Change::unless(self.dry_run);
        let time = crate::commands::env::days_ago(&self.age)?;
        Ok(Generations::delete(
            &home_profile(invocation),
            &Deletion::ReplacedBefore(time),
            change,
        )?)
    }
}

/// Arguments of `rx home packages`.
#[derive(clap::Args)]
pub struct HomePackages {
    #[command(flatten)]
    json: JsonOptions,
}

impl Subcommand for HomePackages {
    const PATH: &'static str = "home packages";
    const ABOUT: &'static str = "List the packages of the current generation of the home";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let store = open_store(invocation)?;
        let generations = Generations::of(&home_profile(invocation))?;
        let current = generations
            .current
            .and_then(|number| generations.get(number).ok())
            .ok_or_else(|| UsageError::new("No home-manager packages seem to be installed."))?;
        let link = in_generation(&*store, &current.link, "home-path")
            .ok_or_else(|| Failure::message("the current generation has no packages"))?;
        let target = std::fs::read_link(link)?;
        let path = store.dir().parse(target.as_os_str().as_bytes())?;
        let info = store.path_info(&path)?;
        let names: BTreeSet<(String, String)> = info
            .references
            .iter()
            .filter(|reference| **reference != path)
            .map(|reference| {
                let name = reference.name().to_owned();
                (name.to_lowercase(), name)
            })
            .collect();
        let names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
        if self.json.json {
            return self.json.print(&json!(names));
        }
        ui::print(
            &names
                .iter()
                .map(|name| format!("{name}\n"))
                .collect::<String>(),
        )
    }
}
