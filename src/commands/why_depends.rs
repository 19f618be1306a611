//! `rx why-depends`: how one path comes to need another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rx_store::path::StorePath;
use rx_store::progress;
use rx_store::store::Store;
use rx_store::store::closure::ClosureOptions;

use crate::cli::{Category, Invocation, Subcommand};
use crate::operands::{NameArgs, Outputs, Wish};
use crate::store_session::shown;
use crate::ui::{self, Failure, UsageError};

/// Arguments of `rx why-depends`.
#[derive(clap::Args)]
pub struct WhyDepends {
    /// Show all ways, not only the shortest.
    #[arg(short, long)]
    all: bool,
    /// Show the files and lines in which the references are.
    #[arg(long)]
    precise: bool,
    /// Work on derivations, not on their outputs.
    #[arg(long)]
    derivation: bool,
    #[command(flatten)]
    names: NameArgs,
    /// The path that needs the other.
    package: OsString,
    /// The path that is needed.
    dependency: OsString,
}

const NORMAL: &str = "\x1b[0m";
const FOUND: &str = "32;1";
const SEEN: &str = "\x1b[38;5;244m";

/// Bytes shown around a reference.
const MARGIN: usize = 32;

struct Node {
    references: Vec<StorePath>,
    distance: usize,
}

impl Subcommand for WhyDepends {
    const PATH: &'static str = "why-depends";
    const ABOUT: &'static str = "Show why a path needs another";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let wish = if self.derivation {
            Wish::Derivations
        } else {
            Wish::Built
        };
        let (store, package) = self.names.find_one(invocation, &self.package, wish)?;
        let dir = store.dir();
        let unneeded = |other: &str| {
            let package = dir.display(&package);
            let message = format!("'{package}' does not depend on '{other}'");
            progress::log(progress::Level::Error, message);
            Ok(())
        };
        // What is not built yet is needed by nothing.
        let names = std::slice::from_ref(&self.dependency);
        let named = self.names.find(invocation, None, names)?;
        let dependency = if self.derivation {
            named.derivations()?
        } else {
            let outputs = named.outputs()?;
            let known = |(_, outputs): &(_, Outputs)| outputs.values().all(Option::is_some);
            if !outputs.iter().all(known) {
                return unneeded(&self.dependency.to_string_lossy());
            }
            named.paths(false)?
        };
        let mut dependency = dependency.into_iter();
        let (Some(dependency), None) = (dependency.next(), dependency.next()) else {
            return Err(UsageError::new(format!(
                "argument '{}' should evaluate to one store path",
                self.dependency.display()
            ))
            .into());
        };
        let start = BTreeSet::from([package.clone()]);
        let closure = store.closure(&start, ClosureOptions::default())?;
        if !closure.contains(&dependency) {
            return unneeded(&dir.display(&dependency).to_string());
        }
        let graph = distances(&*store, &closure, &dependency)?;
        let mut printer = Printer {
            store: &*store,
            graph,
            package: &package,
            dependency: &dependency,
            all: self.all,
            precise: self.precise,
            visited: BTreeSet::new(),
            out: Vec::new(),
        };
        printer.print()?;
        ui::print_bytes(&printer.out)
    }
}

/// Steps from each path to the dependency.
fn distances(
    store: &dyn Store,
    closure: &BTreeSet<StorePath>,
    dependency: &StorePath,
) -> Result<BTreeMap<StorePath, Node>, Failure> {
    let mut graph = BTreeMap::new();
    let mut referrers: BTreeMap<StorePath, Vec<StorePath>> = BTreeMap::new();
    for path in closure {
        let references: Vec<StorePath> =
            store.path_info(path)?.references.iter().cloned().collect();
        for reference in &references {
            referrers
                .entry(reference.clone())
                .or_default()
                .push(path.clone());
        }
        graph.insert(
            path.clone(),
            Node {
                references,
                distance: usize::MAX,
            },
        );
    }
    if let Some(node) = graph.get_mut(dependency) {
        node.distance = 0;
    }
    let mut todo = VecDeque::from([dependency.clone()]);
    while let Some(path) = todo.pop_front() {
        let distance = graph.get(&path).map_or(0, |node| node.distance);
        for referrer in referrers.get(&path).into_iter().flatten() {
            if let Some(node) = graph.get_mut(referrer)
                && node.distance == usize::MAX
            {
                node.distance = distance + 1;
                todo.push_back(referrer.clone());
            }
        }
    }
    Ok(graph)
}

struct Printer<'a> {
    store: &'a dyn Store,
    graph: BTreeMap<StorePath, Node>,
    package: &'a StorePath,
    dependency: &'a StorePath,
    all: bool,
    precise: bool,
    visited: BTreeSet<StorePath>,
    out: Vec<u8>,
}

struct Step {
    path: StorePath,
    first: String,
    tail: String,
    /// Files with references to this path, printed before it.
    hits: Vec<String>,
    last: bool,
    above: String,
}

impl Printer<'_> {
    fn print(&mut self) -> Result<(), Failure> {
        let mut todo = vec![Step {
            path: self.package.clone(),
            first: String::new(),
            tail: String::new(),
            hits: Vec::new(),
            last: true,
            above: String::new(),
        }];
        while let Some(step) = todo.pop() {
            for (n, hit) in step.hits.iter().enumerate() {
                let joint = match (n, step.last) {
                    (0, true) => "└───",
                    (0, false) => "├───",
                    (_, true) => "    ",
                    (_, false) => "│   ",
                };
                writeln!(self.out, "{}{joint}{hit}", step.above)?;
            }
            let known = self.visited.contains(&step.path);
            let dim = if known { mark(SEEN) } else { "" };
            let arrow = if self.precise && !step.first.is_empty() {
                "→ "
            } else {
                ""
            };
            let end = if self.precise || !step.first.is_empty() {
                mark(NORMAL)
            } else {
                ""
            };
            write!(self.out, "{}{dim}{arrow}", step.first)?;
            self.out
                .extend_from_slice(&self.store.dir().print(&step.path));
            writeln!(self.out, "{end}")?;
            if step.path == *self.dependency && !self.all && self.package != self.dependency {
                return Ok(());
            }
            if known {
                continue;
            }
            self.visited.insert(step.path.clone());
            let mut steps = self.steps(&step)?;
            steps.reverse();
            todo.extend(steps);
        }
        Ok(())
    }

    /// What the path refers to on the way to the dependency, the shortest way first.
    fn steps(&self, step: &Step) -> Result<Vec<Step>, Failure> {
        let mut next: Vec<(usize, StorePath)> = Vec::new();
        for reference in self
            .graph
            .get(&step.path)
            .into_iter()
            .flat_map(|n| &n.references)
        {
            if *reference == step.path && self.package != self.dependency {
                continue;
            }
            match self.graph.get(reference) {
                Some(node) if node.distance != usize::MAX => {
                    next.push((node.distance, reference.clone()));
                }
                _ => {}
            }
        }
        next.sort_by_key(|(distance, _)| *distance);
        let hits = if self.precise {
            let wanted: Vec<&StorePath> = next.iter().map(|(_, path)| path).collect();
            let place = self
                .store
                .real_path(&step.path)
                .unwrap_or_else(|| shown(self.store, &step.path));
            find_references(&place, &wanted)?
        } else {
            BTreeMap::new()
        };
        let count = next.len();
        Ok(next
            .into_iter()
            .enumerate()
            .take(if self.all { count } else { 1 })
            .map(|(n, (_, path))| {
                let last = !self.all || n + 1 == count;
                let below = if last { "    " } else { "│   " };
                let joint = if last { "└───" } else { "├───" };
                Step {
                    hits: hits.get(&path).cloned().unwrap_or_default(),
                    first: if self.precise {
                        format!("{}{below}", step.tail)
                    } else {
                        format!("{}{joint}", step.tail)
                    },
                    tail: format!("{}{below}", step.tail),
                    last,
                    above: step.tail.clone(),
                    path,
                }
            })
            .collect())
    }
}

/// Files and links below a path that hold references, with what stands around them.
fn find_references(
    root: &Path,
    wanted: &[&StorePath],
) -> Result<BTreeMap<StorePath, Vec<String>>, Failure> {
    let mut found: BTreeMap<StorePath, Vec<String>> = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let inside = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        let inside = if inside.is_empty() {
            "/".to_owned()
        } else {
            inside
        };
        let stat = path.symlink_metadata()?;
        if stat.is_dir() {
            let mut entries = Vec::new();
            for entry in std::fs::read_dir(&path)? {
                entries.push(entry?.path());
            }
            entries.sort();
            entries.reverse();
            todo.extend(entries);
            continue;
        }
        let link = stat.file_type().is_symlink();
        let contents = if link {
            std::fs::read_link(&path)?.as_os_str().as_bytes().to_vec()
        } else {
            std::fs::read(&path)?
        };
        for reference in wanted {
            let digits = reference.hash_part();
            let Some(at) = contents.windows(32).position(|w| w == digits.as_bytes()) else {
                continue;
            };
            let (start, end) = if link {
                (0, contents.len())
            } else {
                (
                    at.saturating_sub(MARGIN),
                    (at + 32 + MARGIN).min(contents.len()),
                )
            };
            let before = printable(&contents[start..at]);
            let after = printable(&contents[at + 32..end]);
            let digits = ui::coloured(FOUND, &digits.to_string());
            let context = format!("{before}{digits}{after}");
            found
                .entry((*reference).clone())
                .or_default()
                .push(if link {
                    format!("{inside} -> {context}")
                } else {
                    format!("{inside}: …{context}…")
                });
        }
    }
    Ok(found)
}

fn printable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&c| {
            if c.is_ascii_graphic() || c == b' ' {
                char::from(c)
            } else {
                '.'
            }
        })
        .collect()
}

/// An escape sequence, if standard output may be coloured.
fn mark(code: &'static str) -> &'static str {
    if ui::stdout_colours() { code } else { "" }
}
