//! What Home Manager's developers tell their users.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use rx_eval::Value;
use rx_eval::interp::CopyMode;
use rx_eval::value::Context;
use rx_store::progress::{self, Level};
use serde_json::{Value as Json, json};

use super::config::{HomeSource, data_directory};
use crate::cli::{Category, Invocation, JsonOptions, Subcommand};
use crate::eval_session::EvalSession;
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

/// The news of a configuration.
fn find(session: &mut EvalSession, configuration: Value) -> Result<News, Failure> {
    let known = read_ids(&session.invocation);
    let mut get = |path: &[u8]| -> Result<Json, Failure> {
        let found = session.vm.find_along(path, &[], configuration);
        let (value, pos) = session.check(found)?;
        let (mut out, mut context) = (Vec::new(), Context::EMPTY);
        let printed = session
            .vm
            .print_json(value, CopyMode::Name, pos, &mut out, &mut context);
        session.check(printed)?;
        Ok(serde_json::from_slice(&out)?)
    };
    let news = (get(b"config.news.entries")?, get(b"config.news.display")?);
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

/// What is to be said after a switch: that there is news, if the user wants that. News that cannot be read is no
/// reason for a failure.
pub fn announcement(session: &mut EvalSession, configuration: Value) -> Option<String> {
    let news = find(session, configuration).ok()?;
    let unread = news.items.iter().filter(|item| !item.is_read).count();
    if unread == 0 || news.display == "silent" {
        return None;
    }
    if news.display == "show" {
        let items = news.items.iter().filter(|item| !item.is_read);
        return Some(items.map(show).collect());
    }
    let what = match unread {
        1 => "is 1 unread and relevant news item".to_owned(),
        count => format!("are {count} unread and relevant news items"),
    };
    Some(format!("there {what}; 'rx home news' shows it"))
}

/// Says it.
pub fn announce(announcement: Option<String>) {
    if let Some(text) = announcement {
        progress::log(Level::Notice, text);
    }
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
        let news = self.source.with(invocation, true, find)?;
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
