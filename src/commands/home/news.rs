//! What Home Manager's developers tell their users.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use rx_eval::interp::CopyMode;
use rx_eval::value::Context;
use rx_store::progress::{self, Level};
use serde_json::{Value as Json, json};

use super::config::{HomeSource, data_directory};
use crate::cli::{Category, Invocation, JsonOptions, Subcommand};
use crate::ui::{self, Failure};

/// One piece of news.
struct Item {
    id: String,
    time: String,
    message: String,
    is_read: bool,
}

/// What there is to tell, the newest first, and how it is to be told: `silent`, `notify`, `show`.
struct News {
    items: Vec<Item>,
    display: String,
}

fn read_file(invocation: &Invocation) -> PathBuf {
    data_directory(invocation).join("news-read-ids")
}

fn read_ids(invocation: &Invocation) -> BTreeSet<String> {
    let text = std::fs::read_to_string(read_file(invocation)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn find(source: &HomeSource, invocation: &Invocation) -> Result<News, Failure> {
    let known = read_ids(invocation);
    let news = source.with(invocation, true, |session, value| {
        let mut get = |path: &[u8]| -> Result<Json, Failure> {
            let found = session.vm.find_along(path, &[], value);
            let (value, pos) = session.check(found)?;
            let (mut out, mut context) = (Vec::new(), Context::EMPTY);
            let printed = session
                .vm
                .print_json(value, CopyMode::Name, pos, &mut out, &mut context);
            session.check(printed)?;
            Ok(serde_json::from_slice(&out)?)
        };
        Ok((get(b"config.news.entries")?, get(b"config.news.display")?))
    })?;
    let text = |entry: &Json, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let mut items: Vec<Item> = news
        .0
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["condition"] == json!(true))
        .map(|entry| {
            let id = text(entry, "id");
            Item {
                is_read: known.contains(&id),
                time: text(entry, "time"),
                message: text(entry, "message"),
                id,
            }
        })
        .collect();
    items.sort_by(|a, b| b.time.cmp(&a.time));
    Ok(News {
        items,
        display: news.1.as_str().unwrap_or("notify").to_owned(),
    })
}

/// After a switch: says that there is news, if the user wants that.
pub fn announce(source: &HomeSource, invocation: &Invocation) {
    // News that cannot be read is no reason for a failure.
    let Ok(news) = find(source, invocation) else {
        return;
    };
    let unread = news.items.iter().filter(|item| !item.is_read).count();
    if unread == 0 || news.display == "silent" {
        return;
    }
    if news.display == "show" {
        let text: String = news
            .items
            .iter()
            .filter(|item| !item.is_read)
            .map(show)
            .collect();
        progress::log(Level::Notice, text);
        return;
    }
    let what = match unread {
        1 => "is 1 unread and relevant news item".to_owned(),
        count => format!("are {count} unread and relevant news items"),
    };
    progress::log(
        Level::Notice,
        format_args!("there {what}; 'rx home news' shows it"),
    );
}

fn show(item: &Item) -> String {
    let state = if item.is_read { "read" } else { "unread" };
    let time = item.time.replace('T', " ").replace("+00:00", "");
    let message = item.message.trim_end().replace('\n', "\n  ");
    format!("* {time} [{state}]\n\n  {message}\n\n")
}

/// Arguments of `rx home news`.
#[derive(clap::Args)]
pub struct HomeNews {
    #[command(flatten)]
    source: HomeSource,
    /// Show what was read before, too.
    #[arg(long)]
    all: bool,
    /// Leave what is shown unread.
    #[arg(long)]
    keep_unread: bool,
    #[command(flatten)]
    json: JsonOptions,
}

impl Subcommand for HomeNews {
    const PATH: &'static str = "home news";
    const ABOUT: &'static str = "Show what is new in Home Manager for this configuration";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let news = find(&self.source, invocation)?;
        let shown: Vec<&Item> = news
            .items
            .iter()
            .filter(|item| self.all || !item.is_read)
            .collect();
        if self.json.json {
            let list: Vec<Json> = shown
                .iter()
                .map(|item| {
                    json!({
                        "id": item.id,
                        "time": item.time,
                        "message": item.message,
                        "read": item.is_read,
                    })
                })
                .collect();
            self.json.print(&json!(list))?;
        } else {
            ui::print(&shown.iter().map(|item| show(item)).collect::<String>())?;
        }
        let fresh: Vec<&Item> = shown.into_iter().filter(|item| !item.is_read).collect();
        if self.keep_unread || fresh.is_empty() {
            return Ok(());
        }
        let file = read_file(invocation);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)?;
        for item in fresh {
            writeln!(file, "{}", item.id)?;
        }
        Ok(())
    }
}
