//! `--realise`: builds and fetches, and makes roots.

use std::ffi::OsString;
use std::path::PathBuf;

use rx_store::progress;
use rx_store::store::{BuildMode, DerivedPath, Missing, OutputsSpec, Store};

use super::StoreCommand;
use crate::cli::Invocation;
use crate::store_session::{open_store, path_with_outputs, shown};
use crate::ui::{self, Failure};

/// Tells people what will be built and fetched.
pub fn print_missing(store: &dyn Store, missing: &Missing) {
    let list = |paths: &std::collections::BTreeSet<rx_store::path::StorePath>| {
        for path in paths {
            progress::info(format_args!("  {}", store.dir().display(path)));
        }
    };
    if !missing.build.is_empty() {
        progress::info(match missing.build.len() {
            1 => "this derivation will be built:".to_owned(),
            n => format!("these {n} derivations will be built:"),
        });
        list(&missing.build);
    }
    if !missing.substitute.is_empty() {
        let (down, size) = (
            ui::render_size(missing.download_size),
            ui::render_size(missing.nar_size),
        );
        progress::info(match missing.substitute.len() {
            1 => format!("this path will be fetched ({down} download, {size} unpacked):"),
            n => format!("these {n} paths will be fetched ({down} download, {size} unpacked):"),
        });
        list(&missing.substitute);
    }
    if !missing.unknown.is_empty() {
        progress::info("don't know how to build these paths:");
        list(&missing.unknown);
    }
}

impl StoreCommand {
    pub(super) fn realise(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&["--dry-run", "--repair", "--check", "--ignore-unknown"])?;
        let store = open_store(invocation)?;
        let mut paths = Vec::new();
        for argument in &self.arguments {
            paths.push(path_with_outputs(&*store, argument, '!')?);
        }
        let mut missing = store.query_missing(&paths)?;
        if self.has("--ignore-unknown") {
            paths.retain(|path| !missing.unknown.contains(path.base()));
            missing.unknown.clear();
        }
        if invocation.settings.print_missing {
            print_missing(&*store, &missing);
        }
        if self.has("--dry-run") {
            return Ok(());
        }
        let mode = if self.has("--repair") {
            BuildMode::Repair
        } else if self.has("--check") {
            BuildMode::Check
        } else {
            BuildMode::Normal
        };
        store.build_paths(&paths, mode)?;
        if self.has("--ignore-unknown") {
            return Ok(());
        }
        let mut roots = 0;
        for path in &paths {
            roots += 1;
            for result in self.results(invocation, &*store, path, roots)? {
                if !self.no_output {
                    ui::print_bytes(&[result.as_os_str().as_encoded_bytes(), b"\n"].concat())?;
                }
            }
        }
        Ok(())
    }

    /// What was realised, or links to it when roots are wanted.
    fn results(
        &self,
        invocation: &Invocation,
        store: &dyn Store,
        path: &DerivedPath,
        number: usize,
    ) -> Result<std::collections::BTreeSet<PathBuf>, Failure> {
        let mut found = Vec::new();
        match path {
            DerivedPath::Opaque(path) => found.push(("out".to_owned(), path.clone())),
            DerivedPath::Built { drv, outputs } => {
                let known = store.query_derivation_outputs(drv.base())?;
                if let OutputsSpec::Names(names) = outputs
                    && let Some(name) = names.iter().find(|name| !known.contains_key(*name))
                {
                    return Err(rx_store::store::StoreError::NoSuchOutput {
                        derivation: store.dir().display(drv.base()).to_string(),
                        output: name.clone(),
                    }
                    .into());
                }
                for (name, path) in known {
                    if let Some(path) = path
                        && outputs.contains(&name)
                    {
                        found.push((name, path));
                    }
                }
            }
        }
        let Some(root) = &self.root else {
            if invocation.gc_warning {
                progress::warn(
                    "you did not specify '--add-root'; the result might be removed by the garbage collector",
                );
            }
            return Ok(found.iter().map(|(_, path)| shown(store, path)).collect());
        };
        found
            .into_iter()
            .map(|(name, path)| {
                let mut link = OsString::from(root);
                if number > 1 {
                    link.push(format!("-{number}"));
                }
                if name != "out" {
                    link.push(format!("-{name}"));
                }
                Ok(store.add_permanent_root(&path, &PathBuf::from(link))?)
            })
            .collect()
    }
}
