//! `rx upgrade-check`: which installed packages have newer versions.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;

use rx_eval::text::version;
use rx_store::progress;
use serde_json::json;

use super::env::installed::Installed;
use super::profile::ProfileArgs;
use super::search::as_search;
use crate::cli::{Category, EvalOptions, Invocation, Subcommand};
use crate::eval_session::with_session;
use crate::search::{self, PackageRef, Root, RootKind, Searcher, default_roots};
use crate::store_session::open_store;
use crate::ui::{self, Failure, UsageError};

/// Arguments of `rx upgrade-check`.
#[derive(clap::Args)]
pub struct UpgradeCheck {
    #[command(flatten)]
    profile: ProfileArgs,
    /// Compare with the packages of this file, not with those of the channels and <nixpkgs>.
    #[arg(long, short, value_name = "FILE")]
    file: Option<OsString>,
    /// Print JSON about all installed packages.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: EvalOptions,
}

/// Something installed.
struct Installation {
    name: Vec<u8>,
    version: Vec<u8>,
    /// The attribute that it came from, if that is known.
    attribute: Option<Vec<u8>>,
}

/// A package that could be installed.
struct Available {
    version: Vec<u8>,
    attribute: Vec<u8>,
    /// Sets around it.
    depth: usize,
}

impl Subcommand for UpgradeCheck {
    const PATH: &'static str = "upgrade-check";
    const ABOUT: &'static str = "List installed packages of which there are newer versions";
    const CATEGORY: Category = Category::Main;
    const IMPURE: bool = true;
    const DETAILS: &'static str = "
Compares what a profile has installed, by `rx-env` or by `rx profile`, with the packages of the channels
and <nixpkgs>, or of a file. A package is known again by the attribute that it came from, or by its name.
Nothing is changed; `rx-env -u` and `rx profile upgrade` upgrade.";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let invocation = &as_search(invocation);
        if search::serve(invocation, &self.options)? {
            return Ok(());
        }
        let roots = match &self.file {
            Some(file) => vec![Root::of(RootKind::File(file.clone()))],
            None => default_roots(&invocation.settings, &self.options.include),
        };
        let searcher = Searcher {
            invocation,
            options: &self.options,
            roots: &roots,
        };
        if roots.is_empty() {
            return Err(
                UsageError::new("there are no packages to compare with")
                    .hint("subscribe to a channel with 'rx-channel --add URL' and 'rx-channel --update', set NIX_PATH, or name a file with --file")
                    .into(),
            );
        }
        let profile = self.profile.path(invocation)?;
        let store = open_store(invocation)?;
        let installed = with_session(invocation, &self.options, true, |session| {
            let installed = Installed::read(session, &*store, &profile)?;
            Ok(installed
                .items
                .iter()
                .map(|item| {
                    let (name, version) = item.split_name();
                    let source = item.entry.as_ref().and_then(|(_, e)| e.source.as_ref());
                    Installation {
                        name: name.to_vec(),
                        version: version.to_vec(),
                        attribute: source.map(|source| below_system(&source.attr_path)),
                    }
                })
                .collect::<Vec<_>>())
        })?;
        let mut available = Catalogue::default();
        for (number, root) in roots.iter().enumerate() {
            let index = searcher.index(number)?;
            for package in index.packages() {
                available.add(package, root, &installed);
            }
        }
        self.print(&installed, &available)
    }
}

/// An attribute path of a flake without the part that says for which system.
fn below_system(path: &str) -> Vec<u8> {
    let mut parts = path.splitn(3, '.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("legacyPackages" | "packages"), Some(_), Some(rest)) => rest.into(),
        _ => path.into(),
    }
}

/// What is available of what is installed.
#[derive(Default)]
struct Catalogue {
    by_name: HashMap<Vec<u8>, Available>,
    by_attribute: HashMap<Vec<u8>, Available>,
}

impl Catalogue {
    fn add(&mut self, package: PackageRef<'_>, root: &Root, installed: &[Installation]) {
        if package.broken {
            return;
        }
        let one = || Available {
            version: package.version.to_vec(),
            attribute: [&root.shown, package.path].concat(),
            depth: package.path.iter().filter(|&&b| b == b'.').count(),
        };
        for item in installed {
            if item.attribute.as_deref() == Some(package.path)
                && !self.by_attribute.contains_key(package.path)
            {
                self.by_attribute.insert(package.path.to_vec(), one());
            }
            if item.name == package.name {
                let new = one();
                // A package of the same name in a set of its own kind is another package, if there is a better one.
                let is_better = self.by_name.get(package.name).is_none_or(|old| {
                    new.depth
                        .cmp(&old.depth)
                        .reverse()
                        .then_with(|| version::compare(&new.version, &old.version))
                        == Ordering::Greater
                });
                if is_better {
                    self.by_name.insert(package.name.to_vec(), new);
                }
            }
        }
    }

    fn of(&self, item: &Installation) -> Option<&Available> {
        item.attribute
            .as_ref()
            .and_then(|attribute| self.by_attribute.get(attribute))
            .or_else(|| self.by_name.get(&item.name))
    }
}

impl UpgradeCheck {
    fn print(&self, installed: &[Installation], available: &Catalogue) -> Result<(), Failure> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut all = Vec::new();
        let mut rows = Vec::new();
        for item in installed {
            let found = available.of(item);
            let newer = found.filter(|found| {
                version::compare(&found.version, &item.version) == Ordering::Greater
            });
            let status = match (found, newer) {
                (None, _) => "unknown",
                (Some(_), None) => "current",
                (Some(_), Some(_)) => "outdated",
            };
            all.push(json!({
                "pname": text(&item.name),
                "version": text(&item.version),
                "status": status,
                "available": found.map(|found| text(&found.version)),
                "attribute": found.map(|found| text(&found.attribute)),
            }));
            if let Some(newer) = newer {
                rows.push([
                    text(&item.name),
                    text(&item.version),
                    text(&newer.version),
                    text(&newer.attribute),
                ]);
            }
        }
        if self.json {
            return ui::print_json(&serde_json::Value::Array(all));
        }
        if rows.is_empty() {
            progress::info(format_args!(
                "nothing newer is available for {} installed packages",
                installed.len()
            ));
        }
        let width = |column: usize| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let (name, old, new) = (width(0), width(1), width(2));
        let mut out = String::new();
        for row in &rows {
            let _ = writeln!(
                out,
                "{:name$}  {:old$} -> {:new$}  {}",
                row[0], row[1], row[2], row[3]
            );
        }
        ui::print(&out)
    }
}
