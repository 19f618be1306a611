//! `rx flake prefetch`, `archive` and `clone`: the source trees of flakes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rx_eval::flakes::{self, Edge, LockedFlake};
use rx_store::cache::{CopyOptions, copy_paths};
use rx_store::fetch::input::Scheme;
use rx_store::fetch::registry::Use;
use rx_store::path::StorePath;
use rx_store::progress::{self, Activity, ActivityKind, Level};
use serde_json::{Map, Value, json};

use super::{FlakeOptions, reference};
use crate::cli::{Category, Invocation, JsonOptions, Subcommand};
use crate::eval_session::EvalSession;
use crate::store_session::open_named;
use crate::ui::Failure;

/// Arguments of `rx flake prefetch`.
#[derive(clap::Args)]
pub struct FlakePrefetch {
    #[command(flatten)]
    json: JsonOptions,
    /// Make a link to the tree.
    #[arg(long, short, value_name = "PATH")]
    out_link: Option<PathBuf>,
    #[command(flatten)]
    flakes: FlakeOptions,
    /// The flake; that of the working directory unless given.
    #[arg(value_name = "FLAKE")]
    flake: Option<String>,
}

impl Subcommand for FlakePrefetch {
    const PATH: &'static str = "flake prefetch";
    const ABOUT: &'static str = "Fetch the source tree of a flake";
    const CATEGORY: Category = Category::Secondary;
    const IMPURE: bool = true;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.flakes.session(invocation, false, |session| {
            let reference = reference(self.flake.as_deref().unwrap_or("."))?;
            let resolved = flakes::resolve(&mut session.vm, &reference, Use::All);
            let mut resolved = session.check(resolved)?;
            let fetched = session.vm.fetch_input(&resolved.input);
            let fetched = session.check(fetched)?;
            let store = session.store()?;
            let hash = store.path_info(&fetched.store_path)?.nar_hash.sri();
            let path = store.dir().display(&fetched.store_path).to_string();
            let original = resolved.to_attrs();
            resolved.input = fetched.input;
            if self.json.json {
                let mut locked = resolved.to_attrs();
                locked.remove("__final");
                // Archives and files are known by it; elsewhere it only stands beside, unless it was asked for.
                let known_by_it = matches!(
                    resolved.input.scheme(),
                    Some(Scheme::Tarball | Scheme::File)
                );
                if !original.0.contains_key("narHash") && !known_by_it {
                    locked.remove("narHash");
                }
                self.json.print(&json!({
                    "hash": hash,
                    "locked": locked.to_json(),
                    "original": original.to_json(),
                    "storePath": path,
                }))?;
            } else {
                progress::log(
                    progress::Level::Notice,
                    format_args!("Downloaded '{resolved}' to '{path}' (hash '{hash}')."),
                );
            }
            if let Some(link) = &self.out_link {
                store.add_permanent_root(&fetched.store_path, &std::path::absolute(link)?)?;
            }
            Ok(())
        })
    }
}

/// Arguments of `rx flake archive`.
#[derive(clap::Args)]
pub struct FlakeArchive {
    #[command(flatten)]
    json: JsonOptions,
    /// Copy the trees to this store, too.
    #[arg(long, value_name = "STORE")]
    to: Option<String>,
    /// Say what would be copied, and copy nothing.
    #[arg(long)]
    dry_run: bool,
    /// Copy also what no trusted key has signed.
    #[arg(long)]
    no_check_sigs: bool,
    #[command(flatten)]
    flakes: FlakeOptions,
    /// The flake; that of the working directory unless given.
    #[arg(value_name = "FLAKE")]
    flake: Option<String>,
}

impl Subcommand for FlakeArchive {
    const PATH: &'static str = "flake archive";
    const ABOUT: &'static str = "Fetch a flake and all its inputs";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.flakes.session(invocation, false, |session| {
            let locked = self.flakes.locked(session, self.flake.as_deref(), |_| {})?;
            let mut paths = BTreeSet::from([locked.flake.store_path.clone()]);
            let mut seen = BTreeSet::new();
            let inputs = self.inputs(session, &locked, 0, &mut seen, &mut paths)?;
            let store = session.store()?;
            if self.json.json {
                self.json.print(&json!({
                    "inputs": inputs,
                    "path": store.dir().display(&locked.flake.store_path).to_string(),
                }))?;
            }
            if let Some(to) = self.to.as_ref().filter(|_| !self.dry_run) {
                let to = open_named(invocation, to)?;
                let options = CopyOptions {
                    check_signatures: !self.no_check_sigs,
                    ..CopyOptions::default()
                };
                copy_paths(&*store, &*to, &paths, options)?;
            }
            Ok(())
        })
    }
}

impl FlakeArchive {
    /// Fetches the inputs of a node, and says where they are.
    fn inputs(
        &self,
        session: &mut EvalSession,
        flake: &LockedFlake,
        node: usize,
        seen: &mut BTreeSet<usize>,
        paths: &mut BTreeSet<StorePath>,
    ) -> Result<Value, Failure> {
        let mut shown = Map::new();
        for (name, edge) in &flake.lock_file.nodes[node].inputs {
            let Edge::Node(child) = edge else { continue };
            let Some(locked) = flake.lock_file.nodes[*child]
                .locked
                .as_ref()
                .filter(|_| seen.insert(*child))
            else {
                continue;
            };
            let mut entry = Map::new();
            if locked.locked.input.relative_path().is_none() {
                let fetched = session.vm.fetch_input(&locked.locked.input);
                let path = session.check(fetched)?.store_path;
                let printed = session.vm.ev.store_dir.display(&path).to_string();
                entry.insert("path".into(), printed.into());
                paths.insert(path);
            }
            let inside = stacker::maybe_grow(1 << 17, 1 << 22, || {
                self.inputs(session, flake, *child, seen, paths)
            })?;
            entry.insert("inputs".into(), inside);
            entry.sort_keys();
            shown.insert(name.clone(), entry.into());
        }
        Ok(shown.into())
    }
}

/// Arguments of `rx flake clone`.
#[derive(clap::Args)]
pub struct FlakeClone {
    /// Where to clone to.
    #[arg(long, short = 'f', value_name = "DIRECTORY")]
    dest: PathBuf,
    #[command(flatten)]
    flakes: FlakeOptions,
    /// The flake; that of the working directory unless given.
    #[arg(value_name = "FLAKE")]
    flake: Option<String>,
}

impl Subcommand for FlakeClone {
    const PATH: &'static str = "flake clone";
    const ABOUT: &'static str = "Clone the repository of a flake";
    const CATEGORY: Category = Category::Secondary;
    const IMPURE: bool = true;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.flakes.session(invocation, false, |session| {
            let reference = reference(self.flake.as_deref().unwrap_or("."))?;
            let resolved = flakes::resolve(&mut session.vm, &reference, Use::All);
            let resolved = session.check(resolved)?;
            let fetcher = session.vm.fetcher();
            session
                .check(fetcher)?
                .clone_to(&resolved.input, &self.dest)?;
            Ok(())
        })
    }
}

/// Arguments of `rx flake prefetch-inputs`.
#[derive(clap::Args)]
pub struct FlakePrefetchInputs {
    #[command(flatten)]
    flakes: FlakeOptions,
    /// The flake; that of the working directory unless given.
    #[arg(value_name = "FLAKE")]
    flake: Option<String>,
}

impl Subcommand for FlakePrefetchInputs {
    const PATH: &'static str = "flake prefetch-inputs";
    const ABOUT: &'static str = "Fetch the inputs of a flake";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.flakes.session(invocation, false, |session| {
            let locked = self.flakes.locked(session, self.flake.as_deref(), |_| {})?;
            let inputs: Vec<_> = locked
                .lock_file
                .nodes
                .iter()
                .filter_map(|node| node.locked.as_ref())
                // A path inside of the flake is there already.
                .filter(|node| node.locked.input.relative_path().is_none())
                .map(|node| node.locked.clone())
                .collect();
            let fetcher = session.vm.fetcher();
            let fetcher = session.check(fetcher)?;
            let next = AtomicUsize::new(0);
            let failed = AtomicBool::new(false);
            let work = || {
                while let Some(reference) = inputs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _activity = Activity::start(
                        Level::Info,
                        ActivityKind::Unknown,
                        format!("fetching '{reference}'"),
                        &[],
                    );
                    if let Err(error) = fetcher.fetch(&reference.input) {
                        progress::error(&error.to_string());
                        failed.store(true, Ordering::Relaxed);
                    }
                }
            };
            // What is fetched comes from servers that answer slowly rather than from this machine.
            let workers = inputs.len().min(8);
            std::thread::scope(|scope| {
                for _ in 0..workers {
                    scope.spawn(work);
                }
            });
            match failed.into_inner() {
                true => Err(Failure::Status(1)),
                false => Ok(()),
            }
        })
    }
}
