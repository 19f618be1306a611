//! `rx flake metadata`: what a flake is, where it comes from, and its inputs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use rx_eval::flakes::{Edge, LockFile, LockedFlake, show_path};
use rx_store::fetch::input::Input;
use rx_store::fetch::time::date_and_time;
use serde_json::{Map, Value};

use super::FlakeOptions;
use crate::cli::{Category, Invocation, JsonOptions, Subcommand};
use crate::ui::{self, Failure};

/// Arguments of `rx flake metadata`.
#[derive(clap::Args)]
pub struct FlakeMetadata {
    #[command(flatten)]
    json: JsonOptions,
    #[command(flatten)]
    flakes: FlakeOptions,
    /// The flake; that of the working directory unless given.
    #[arg(value_name = "FLAKE")]
    flake: Option<String>,
}

impl Subcommand for FlakeMetadata {
    const PATH: &'static str = "flake metadata";
    const ABOUT: &'static str = "Show what a flake is and what it needs";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.flakes.session(invocation, false, |session| {
            let locked = self.flakes.locked(session, self.flake.as_deref(), |_| {})?;
            let settings = &session.invocation.settings;
            let trusted = settings.trust_tarballs_from_git_forges;
            let fingerprint = locked
                .fingerprint(trusted, settings.allow_dirty_locks)
                .map(|hash| hash.base16());
            let path = session
                .vm
                .ev
                .store_dir
                .display(&locked.flake.store_path)
                .to_string();
            if self.json.json {
                return self.json.print(&json(&locked, &path, fingerprint)?);
            }
            ui::print(&text(&locked, &path, trusted, fingerprint)?)
        })
    }
}

/// What is known of the commit of a tree: its hash, or that of the commit below changed files, and how many are before it.
fn revision(input: &Input) -> Result<(Option<String>, Option<String>, Option<u64>), Failure> {
    Ok((
        input.revision()?.map(|revision| revision.base16()),
        input.attrs.str_opt("dirtyRev")?.map(str::to_owned),
        input.attrs.int_opt("revCount")?,
    ))
}

fn json(locked: &LockedFlake, path: &str, fingerprint: Option<String>) -> Result<Value, Failure> {
    let flake = &locked.flake;
    let mut map = std::collections::BTreeMap::new();
    let mut set = |name: &str, value: Value| {
        map.insert(name.to_owned(), value);
    };
    if let Some(description) = &flake.manifest.description {
        set("description", String::from_utf8_lossy(description).into());
    }
    if let Some(fingerprint) = fingerprint {
        set("fingerprint", fingerprint.into());
    }
    let input = &flake.locked.input;
    let (clean, dirty, count) = revision(input)?;
    if let Some(revision) = clean {
        set("revision", revision.into());
    }
    if let Some(revision) = dirty {
        set("dirtyRevision", revision.into());
    }
    if let Some(count) = count {
        set("revCount", count.into());
    }
    if let Some(time) = input.last_modified()? {
        set("lastModified", time.into());
    }
    set("locked", flake.locked.to_attrs().to_json());
    set("locks", locked.lock_file.to_json());
    set("original", flake.original.to_attrs().to_json());
    set("originalUrl", flake.original.to_string().into());
    set("path", path.into());
    set("resolved", flake.resolved.to_attrs().to_json());
    set("resolvedUrl", flake.resolved.to_string().into());
    set("url", flake.locked.to_string().into());
    Ok(Value::Object(map.into_iter().collect::<Map<_, _>>()))
}

fn text(
    locked: &LockedFlake,
    path: &str,
    trusted: bool,
    fingerprint: Option<String>,
) -> Result<String, Failure> {
    let flake = &locked.flake;
    let bold = |text: &str| ui::coloured("1", text);
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        let space = " ".repeat(15usize.saturating_sub(name.len() + 1));
        let _ = writeln!(out, "{}{space}{value}", bold(&format!("{name}:")));
    };
    line("Resolved URL", &flake.resolved.to_string());
    let input = &flake.locked.input;
    if input.is_locked(trusted) {
        line("Locked URL", &flake.locked.to_string());
    }
    if let Some(description) = &flake.manifest.description {
        line("Description", &String::from_utf8_lossy(description));
    }
    line("Path", path);
    let (clean, dirty, count) = revision(input)?;
    for revision in clean.iter().chain(&dirty) {
        line("Revision", revision);
    }
    if let Some(count) = count {
        line("Revisions", &count.to_string());
    }
    if let Some(time) = input.last_modified()? {
        line("Last modified", &date_and_time(time));
    }
    if let Some(fingerprint) = fingerprint {
        line("Fingerprint", &fingerprint);
    }
    let file = &locked.lock_file;
    if !file.nodes[0].inputs.is_empty() {
        let _ = writeln!(out, "{}", bold("Inputs:"));
    }
    tree(file, &bold, &mut out)?;
    Ok(out)
}

/// The inputs as a tree; one that has been shown is not followed again.
fn tree(file: &LockFile, bold: &dyn Fn(&str) -> String, out: &mut String) -> Result<(), Failure> {
    let mut seen = BTreeSet::from([0]);
    let children = |node: usize, prefix: &str| {
        let inputs: Vec<_> = file.nodes[node].inputs.iter().collect();
        let last = inputs.len();
        let lines = inputs.into_iter().enumerate();
        let mut lines: Vec<_> = lines
            .map(|(i, (name, edge))| (prefix.to_owned(), i + 1 == last, name, edge))
            .collect();
        lines.reverse();
        lines
    };
    let mut waiting = children(0, "");
    while let Some((prefix, last, name, edge)) = waiting.pop() {
        let branch = if last { "└───" } else { "├───" };
        let name = bold(name);
        match edge {
            Edge::Follows(path) => {
                let _ = writeln!(
                    out,
                    "{prefix}{branch}{name} follows input '{}'",
                    show_path(path)
                );
            }
            Edge::Node(node) => {
                let Some(locked) = &file.nodes[*node].locked else {
                    continue;
                };
                let time = locked.locked.input.last_modified()?;
                let time =
                    time.map_or_else(String::new, |time| format!(" ({})", date_and_time(time)));
                let _ = writeln!(out, "{prefix}{branch}{name}: {}{time}", locked.locked);
                if seen.insert(*node) {
                    let prefix = format!("{prefix}{}", if last { "    " } else { "│   " });
                    waiting.extend(children(*node, &prefix));
                }
            }
        }
    }
    Ok(())
}
