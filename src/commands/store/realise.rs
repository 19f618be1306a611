//! `--realise`: builds and fetches, and makes roots.

use std::ffi::OsString;
use std::path::PathBuf;

use rx_store::progress::{self, Level};
use rx_store::store::{BuildMode, DerivedPath, OutputsSpec, Store};

use super::StoreCommand;
use crate::cli::Invocation;
use crate::realise::{build_failure, show_missing};
use crate::store_session::{open_store, path_with_outputs, shown};
use crate::ui::{self, Failure};

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
            let level = if self.has("--dry-run") {
                Level::Error
            } else {
                Level::Info
            };
            show_missing(&*store, &missing, level)?;
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
        store.build_paths(&paths, mode).map_err(build_failure)?;
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
