//! `rx store diff-closures`: what changed between two closures, by package and version.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;

use rx_store::path::StorePath;
use rx_store::profile::package_and_version;
use rx_store::store::Store;
use rx_store::store::closure::ClosureOptions;

use crate::cli::{Category, Invocation, Subcommand};
use crate::operands::{NameArgs, Wish};
use crate::ui::{self, Failure};

/// Arguments of `rx store diff-closures`.
#[derive(clap::Args)]
pub struct DiffClosures {
    /// Compare derivations, not their outputs.
    #[arg(long)]
    derivation: bool,
    #[command(flatten)]
    names: NameArgs,
    /// The path before.
    before: OsString,
    /// The path after.
    after: OsString,
}

/// Sizes by package and version.
type Packages = BTreeMap<String, BTreeMap<String, u64>>;

/// Changes below this many bytes are noise.
const NOTABLE: u64 = 8192;

fn packages(store: &dyn Store, path: StorePath) -> Result<Packages, Failure> {
    let start = BTreeSet::from([path]);
    let mut all = Packages::new();
    for path in store.closure(&start, ClosureOptions::default())? {
        let (package, version) = package_and_version(path.name());
        *all.entry(package.to_owned())
            .or_default()
            .entry(version.to_owned())
            .or_default() += store.path_info(&path)?.nar_size;
    }
    Ok(all)
}

fn versions(of: &BTreeSet<&str>) -> String {
    if of.is_empty() {
        return "∅".to_owned();
    }
    let words: Vec<&str> = of
        .iter()
        .map(|version| if version.is_empty() { "ε" } else { version })
        .collect();
    words.join(", ")
}

impl Subcommand for DiffClosures {
    const PATH: &'static str = "store diff-closures";
    const ABOUT: &'static str = "Show what packages changed between two closures";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let wish = if self.derivation {
            Wish::Derivations
        } else {
            Wish::Built
        };
        let (store, before) = self.names.find_one(invocation, &self.before, wish)?;
        let (_, after) = self.names.find_one(invocation, &self.after, wish)?;
        ui::print(&difference(&*store, before, after, "")?)
    }
}

/// What changed between the closures of two paths, a line for each package.
pub fn difference(
    store: &dyn Store,
    before: StorePath,
    after: StorePath,
    indent: &str,
) -> Result<String, Failure> {
    let before = packages(store, before)?;
    let after = packages(store, after)?;
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let none = BTreeMap::new();
    let mut text = String::new();
    for name in names {
        let (old, new) = (
            before.get(name).unwrap_or(&none),
            after.get(name).unwrap_or(&none),
        );
        let removed: BTreeSet<&str> = old
            .keys()
            .filter(|v| !new.contains_key(*v))
            .map(String::as_str)
            .collect();
        let added: BTreeSet<&str> = new
            .keys()
            .filter(|v| !old.contains_key(*v))
            .map(String::as_str)
            .collect();
        let (old_size, new_size): (u64, u64) = (old.values().sum(), new.values().sum());
        let changed = old_size.abs_diff(new_size) >= NOTABLE;
        if removed.is_empty() && added.is_empty() && !changed {
            continue;
        }
        let mut items = Vec::new();
        if !removed.is_empty() || !added.is_empty() {
            items.push(format!("{} → {}", versions(&removed), versions(&added)));
        }
        if changed {
            let sign = if new_size > old_size { '+' } else { '-' };
            let colour = if new_size > old_size { "31;1" } else { "32;1" };
            let size = ui::render_size(old_size.abs_diff(new_size));
            items.push(ui::coloured(colour, &format!("{sign}{size}")));
        }
        let _ = writeln!(text, "{indent}{name}: {}", items.join(", "));
    }
    Ok(text)
}
