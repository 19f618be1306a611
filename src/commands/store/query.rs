//! `--query`.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use rx_store::hash::Format;
use rx_store::path::StorePath;
use rx_store::store::closure::{ClosureOptions, topological_paths};
use rx_store::store::{DerivedPath, OutputsSpec, Store};

use super::{StoreCommand, graphs};
use crate::cli::Invocation;
use crate::store_session::{lines, open_store, store_path};
use crate::ui::{self, Failure, UsageError};

/// Flags that say what is asked.
const QUESTIONS: [&str; 15] = [
    "--outputs",
    "--requisites",
    "--references",
    "--referrers",
    "--referrers-closure",
    "--deriver",
    "--valid-derivers",
    "--binding",
    "--hash",
    "--size",
    "--tree",
    "--graph",
    "--graphml",
    "--resolve",
    "--roots",
];

/// How arguments become the paths that are asked about.
struct Selection<'a> {
    store: &'a dyn Store,
    use_output: bool,
    force_realise: bool,
}

impl Selection<'_> {
    /// The path itself, or the outputs if they are wanted and it is a derivation.
    fn paths(&self, argument: &OsStr) -> Result<BTreeSet<StorePath>, Failure> {
        let path = store_path(self.store, argument)?;
        if self.force_realise {
            let wanted = if path.is_derivation() {
                DerivedPath::built(path.clone(), OutputsSpec::All)
            } else {
                DerivedPath::Opaque(path.clone())
            };
            self.store
                .build_paths(&[wanted], Default::default())
                .map_err(crate::realise::build_failure)?;
        }
        if !self.use_output || !path.is_derivation() {
            return Ok(BTreeSet::from([path]));
        }
        if self.force_realise {
            let outputs = self.store.query_derivation_outputs(&path)?;
            return Ok(outputs.into_values().flatten().collect());
        }
        let derivation = self.store.read_derivation(&path)?;
        derivation
            .output_paths(self.store.dir())?
            .into_iter()
            .map(|(_, path)| {
                path.ok_or_else(|| {
                    UsageError::new(
                        "Cannot use output path of floating content-addressing derivation until we \
                         know what it is (e.g. by building it)",
                    )
                    .into()
                })
            })
            .collect()
    }
}

impl StoreCommand {
    pub(super) fn query(mut self, invocation: &Invocation) -> Result<(), Failure> {
        let mut question = None;
        for &flag in &self.flags {
            if QUESTIONS.contains(&flag) {
                if question.is_some_and(|before| before != flag) {
                    return Err(UsageError::new(format!(
                        "query type '{flag}' conflicts with earlier flag"
                    ))
                    .into());
                }
                question = Some(flag);
            } else if !["--use-output", "--force-realise", "--include-outputs"].contains(&flag) {
                return Err(UsageError::new(format!("unknown flag '{flag}'")).into());
            }
        }
        let question = question.unwrap_or("--outputs");
        let binding = if question == "--binding" {
            if self.arguments.is_empty() {
                return Err(UsageError::new("expected binding name").into());
            }
            self.arguments.remove(0)
        } else {
            Default::default()
        };
        let opened = open_store(invocation)?;
        let store = &*opened;
        let selection = Selection {
            store,
            use_output: self.has("--use-output") || question == "--outputs",
            force_realise: self.has("--force-realise"),
        };
        let arguments = &self.arguments;
        match question {
            "--outputs" => {
                for argument in arguments {
                    ui::print_bytes(&lines(store, &selection.paths(argument)?))?;
                }
                Ok(())
            }
            "--requisites" | "--references" | "--referrers" | "--referrers-closure" => {
                let include_outputs = self.has("--include-outputs");
                let mut wanted = BTreeSet::new();
                for argument in arguments {
                    wanted.extend(selection.paths(argument)?);
                }
                let found = related(store, question, &wanted, include_outputs)?;
                print_sorted(store, &found)
            }
            "--deriver" => {
                let mut out = Vec::new();
                for argument in arguments {
                    let info = store.path_info(&store_path(store, argument)?)?;
                    match &info.deriver {
                        Some(deriver) => out.extend_from_slice(&store.dir().print(deriver)),
                        None => out.extend_from_slice(b"unknown-deriver"),
                    }
                    out.push(b'\n');
                }
                ui::print_bytes(&out)
            }
            "--valid-derivers" => {
                let mut found = BTreeSet::new();
                for argument in arguments {
                    found.extend(store.query_valid_derivers(&store_path(store, argument)?)?);
                }
                print_sorted(store, &found)
            }
            "--binding" => print_binding(store, &binding, arguments),
            "--hash" | "--size" => {
                let mut text = String::new();
                for argument in arguments {
                    for path in selection.paths(argument)? {
                        let info = store.path_info(&path)?;
                        if question == "--hash" {
                            text += &info.nar_hash.format(Format::Nix32, true);
                        } else {
                            text += &info.nar_size.to_string();
                        }
                        text.push('\n');
                    }
                }
                ui::print(&text)
            }
            "--tree" => {
                let mut done = BTreeSet::new();
                for argument in arguments {
                    graphs::print_tree(store, &store_path(store, argument)?, &mut done)?;
                }
                Ok(())
            }
            "--graph" | "--graphml" => {
                let mut roots = BTreeSet::new();
                for argument in arguments {
                    roots.extend(selection.paths(argument)?);
                }
                if question == "--graph" {
                    graphs::print_dot(store, roots)
                } else {
                    graphs::print_graphml(store, roots)
                }
            }
            "--resolve" => {
                let mut found = Vec::new();
                for argument in arguments {
                    found.push(store_path(store, argument)?);
                }
                ui::print_bytes(&lines(store, &found))
            }
            _ => {
                let mut wanted = BTreeSet::new();
                for argument in arguments {
                    wanted.extend(selection.paths(argument)?);
                }
                print_roots_of(invocation, store, &wanted)
            }
        }
    }
}

fn related(
    store: &dyn Store,
    question: &str,
    wanted: &BTreeSet<StorePath>,
    include_outputs: bool,
) -> Result<BTreeSet<StorePath>, Failure> {
    let mut found = BTreeSet::new();
    match question {
        "--requisites" => {
            let options = ClosureOptions {
                include_outputs,
                ..ClosureOptions::default()
            };
            found = store.closure(wanted, options)?;
        }
        "--referrers-closure" => {
            let options = ClosureOptions {
                reverse: true,
                ..ClosureOptions::default()
            };
            found = store.closure(wanted, options)?;
        }
        "--references" => {
            for path in wanted {
                found.extend(store.path_info(path)?.references.iter().cloned());
            }
        }
        _ => {
            for path in wanted {
                found.extend(store.query_referrers(path)?);
            }
        }
    }
    Ok(found)
}

/// Prints paths, each after what it refers to.
fn print_sorted(store: &dyn Store, paths: &BTreeSet<StorePath>) -> Result<(), Failure> {
    let mut order = topological_paths(store, paths)?;
    order.reverse();
    ui::print_bytes(&lines(store, &order))
}

fn print_binding(
    store: &dyn Store,
    name: &OsStr,
    arguments: &[std::ffi::OsString],
) -> Result<(), Failure> {
    let mut out = Vec::new();
    for argument in arguments {
        let mut path = store_path(store, argument)?;
        if !path.is_derivation() {
            let Some(deriver) = store.path_info(&path)?.deriver.clone() else {
                return Err(Failure::message(format!(
                    "deriver of path '{}' is not known",
                    store.dir().display(&path)
                )));
            };
            path = deriver;
        }
        let derivation = store.read_derivation(&path)?;
        match derivation.env.get(name.as_encoded_bytes()) {
            Some(value) => out.extend_from_slice(value),
            None => {
                return Err(Failure::message(format!(
                    "derivation '{}' has no environment binding named '{}'",
                    store.dir().display(&path),
                    name.display()
                )));
            }
        }
        out.push(b'\n');
    }
    ui::print_bytes(&out)
}

fn print_roots_of(
    invocation: &Invocation,
    store: &dyn Store,
    wanted: &BTreeSet<StorePath>,
) -> Result<(), Failure> {
    let options = ClosureOptions {
        reverse: true,
        include_outputs: invocation.settings.keep_outputs,
        include_derivers: invocation.settings.keep_derivations,
    };
    let needing = store.closure(wanted, options)?;
    let mut out = Vec::new();
    for (path, links) in store.find_roots(false)? {
        if !needing.contains(&path) {
            continue;
        }
        for link in links {
            out.extend_from_slice(&link);
            out.extend_from_slice(b" -> ");
            out.extend_from_slice(&store.dir().print(&path));
            out.push(b'\n');
        }
    }
    ui::print_bytes(&out)
}
