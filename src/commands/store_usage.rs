//! `rx store roots` and `rx store du`: who keeps what alive, and what takes the space.

use std::collections::BTreeMap;
use std::ffi::OsString;

use rx_store::path::StorePath;
use rx_store::store::{RootUsage, Store};
use serde_json::json;

use crate::cli::{Category, Invocation, JsonOptions, Subcommand};
use crate::operands::{NameArgs, Wish};
use crate::store_session::open_local;
use crate::ui::{self, Failure, render_size};

/// Arguments of `rx store roots`.
#[derive(clap::Args)]
pub struct StoreRoots {
    #[command(flatten)]
    names: NameArgs,
    #[command(flatten)]
    json: JsonOptions,
    /// Show which roots keep these, and by what way.
    #[arg(value_name = "WHAT")]
    what: Vec<OsString>,
}

impl Subcommand for StoreRoots {
    const PATH: &'static str = "store roots";
    const ABOUT: &'static str = "Show who keeps what in the store from being collected";
    const CATEGORY: Category = Category::Secondary;
    const DETAILS: &'static str = "\
Examples:\n  rx store roots                     all roots, with the size of what they keep\n  \
rx store roots /nix/store/…-glibc  by whom and why this is kept\n";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let store = open_local(invocation)?;
        if self.what.is_empty() {
            let mut roots = store.usage()?.roots;
            roots.sort_by_key(|root| std::cmp::Reverse(root.closure_size));
            return show_roots(&*store, &roots, self.json);
        }
        let mut text = String::new();
        let mut all = serde_json::Map::new();
        for what in &self.what {
            let (_, path) = self.names.find_one(invocation, what, Wish::Known)?;
            let shown = store.dir().display(&path).to_string();
            let ways = store.ways_from_roots(&path)?;
            if ways.is_empty() {
                text += &format!("{shown}: nothing keeps it\n");
            }
            let mut list = Vec::new();
            for (source, way) in ways {
                let source = String::from_utf8_lossy(&source).into_owned();
                let way: Vec<String> = way
                    .iter()
                    .map(|path| store.dir().display(path).to_string())
                    .collect();
                text += &format!("{source}\n");
                for (depth, path) in way.iter().enumerate() {
                    text += &format!("{}→ {path}\n", "  ".repeat(depth + 1));
                }
                list.push(json!({ "root": source, "way": way }));
            }
            all.insert(shown, json!(list));
        }
        if self.json.json {
            return self.json.print(&all.into());
        }
        ui::print(&text)
    }
}

fn show_roots(store: &dyn Store, roots: &[RootUsage], options: JsonOptions) -> Result<(), Failure> {
    if options.json {
        let list: Vec<_> = roots.iter().map(|root| root_json(store, root)).collect();
        return options.print(&json!(list));
    }
    let mut text = String::new();
    if !roots.is_empty() {
        text += &format!("{:>12} {:>12}  {}\n", "KEEPS", "ALONE", "ROOT");
    }
    for root in roots {
        text += &format!(
            "{:>12} {:>12}  {} → {}\n",
            render_size(root.closure_size).trim(),
            render_size(root.own_size).trim(),
            String::from_utf8_lossy(&root.source),
            store.dir().display(&root.path)
        );
    }
    ui::print(&text)
}

fn root_json(store: &dyn Store, root: &RootUsage) -> serde_json::Value {
    json!({
        "root": String::from_utf8_lossy(&root.source),
        "path": store.dir().display(&root.path).to_string(),
        "closurePaths": root.closure_paths,
        "closureSize": root.closure_size,
        "freedPaths": root.own_paths,
        "freedSize": root.own_size,
    })
}

/// Arguments of `rx store du`.
#[derive(clap::Args)]
pub struct StoreDu {
    /// So many roots and packages are shown; 0 means all.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 15)]
    limit: usize,
    #[command(flatten)]
    json: JsonOptions,
}

impl Subcommand for StoreDu {
    const PATH: &'static str = "store du";
    const ABOUT: &'static str = "Show what takes the space of the store, and what would be freed";
    const CATEGORY: Category = Category::Secondary;
    const DETAILS: &'static str = "\
Sizes are those of archives; files that are linked together count each time.\n\
FREES is what collecting garbage would free if the root went: 'rx-env --delete-generations',\n\
'rx profile wipe-history', 'rx-collect-garbage --keep COUNT', or removing a link 'result'.\n";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let store = open_local(invocation)?;
        let usage = store.usage()?;
        let total: u64 = usage.objects.iter().map(|(_, size, _)| size).sum();
        let dead: Vec<u64> = usage
            .objects
            .iter()
            .filter(|(_, _, kept)| !kept)
            .map(|(_, size, _)| *size)
            .collect();
        let mut roots = usage.roots;
        roots.sort_by_key(|root| std::cmp::Reverse((root.own_size, root.closure_size)));
        let packages = packages(&usage.objects);
        let limit = if self.limit == 0 {
            usize::MAX
        } else {
            self.limit
        };
        if self.json.json {
            let roots: Vec<_> = roots.iter().map(|root| root_json(&*store, root)).collect();
            let packages: Vec<_> = packages
                .iter()
                .map(|(name, (count, size))| json!({ "name": name, "paths": count, "size": size }))
                .collect();
            return self.json.print(&json!({
                "paths": usage.objects.len(),
                "size": total,
                "deadPaths": dead.len(),
                "deadSize": dead.iter().sum::<u64>(),
                "roots": roots,
                "packages": packages,
            }));
        }
        let size = |bytes: u64| render_size(bytes).trim().to_owned();
        let mut text = format!(
            "{} paths, {}; of these nothing needs {} paths, {} ('rx store gc' deletes them)\n",
            usage.objects.len(),
            size(total),
            dead.len(),
            size(dead.iter().sum())
        );
        if !roots.is_empty() {
            text += &format!("\n{:>12} {:>12}  {}\n", "FREES", "KEEPS", "ROOT");
        }
        for root in roots.iter().take(limit) {
            text += &format!(
                "{:>12} {:>12}  {}\n",
                size(root.own_size),
                size(root.closure_size),
                String::from_utf8_lossy(&root.source)
            );
        }
        if roots.len() > limit {
            text += &format!(
                "{:>27} {} more; '-n 0' shows all\n",
                "…",
                roots.len() - limit
            );
        }
        if !packages.is_empty() {
            text += &format!("\n{:>12} {:>12}  {}\n", "SIZE", "PATHS", "PACKAGE");
        }
        for (name, (count, bytes)) in packages.iter().take(limit) {
            text += &format!("{:>12} {count:>12}  {name}\n", size(*bytes));
        }
        ui::print(&text)
    }
}

/// Packages by name without version, the largest first, with how many objects and bytes they are.
fn packages(objects: &[(StorePath, u64, bool)]) -> Vec<(String, (usize, u64))> {
    let mut found: BTreeMap<&[u8], (usize, u64)> = BTreeMap::new();
    for (path, size, _) in objects {
        let (name, _) = rx_eval::text::version::split_name(path.name().as_bytes());
        let entry = found.entry(name).or_default();
        entry.0 += 1;
        entry.1 += size;
    }
    let mut list: Vec<(String, (usize, u64))> = found
        .into_iter()
        .map(|(name, entry)| (String::from_utf8_lossy(name).into_owned(), entry))
        .collect();
    list.sort_by_key(|(_, (_, size))| std::cmp::Reverse(*size));
    list
}
