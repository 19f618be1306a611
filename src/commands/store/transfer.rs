//! Contents in and out: `--add`, `--add-fixed`, `--dump`, `--restore`, `--export`, `--import`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use rx_store::content_address::Method;
use rx_store::hash::Algorithm;
use rx_store::nar;
use rx_store::path::StorePath;
use rx_store::store::export::{export_paths, import_paths};
use rx_store::store::{Addition, Contents, Store};

use super::{StoreCommand, algorithm_of};
use crate::cli::Invocation;
use crate::store_session::{canonical_name, lines, open_store, store_path};
use crate::ui::{self, Failure, UsageError};

/// The last component of a path, however it is written.
pub fn base_name(path: &OsStr) -> String {
    let text = path.to_string_lossy();
    let text = text.trim_end_matches('/');
    text.rsplit('/').next().unwrap_or("").to_owned()
}

/// Copies a file or tree to the store.
pub fn add_path(
    store: &dyn Store,
    name: &str,
    path: &Path,
    method: Method,
    algorithm: Algorithm,
) -> Result<StorePath, Failure> {
    let absolute = canonical_name(path)?;
    let contents = Contents::Path(&absolute);
    Ok(store.add_to_store(Addition::new(name, method, algorithm), contents)?)
}

impl StoreCommand {
    pub(super) fn add(self, invocation: &Invocation) -> Result<(), Failure> {
        if !self.flags.is_empty() {
            return Err(UsageError::new("unknown flag").into());
        }
        let store = open_store(invocation)?;
        for argument in &self.arguments {
            let name = base_name(argument);
            let path = Path::new(argument);
            let added = add_path(&*store, &name, path, Method::NixArchive, Algorithm::Sha256)?;
            ui::print_bytes(&lines(&*store, [&added]))?;
        }
        Ok(())
    }

    pub(super) fn add_fixed(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&["--recursive"])?;
        let Some((algorithm, files)) = self.arguments.split_first() else {
            return Err(UsageError::new("first argument must be hash algorithm").into());
        };
        let algorithm = algorithm_of(invocation, algorithm)?;
        let method = if self.has("--recursive") {
            Method::NixArchive
        } else {
            Method::Flat
        };
        let store = open_store(invocation)?;
        for file in files {
            let added = add_path(
                &*store,
                &base_name(file),
                Path::new(file),
                method,
                algorithm,
            )?;
            ui::print_bytes(&lines(&*store, [&added]))?;
        }
        Ok(())
    }

    pub(super) fn dump(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&[])?;
        let [path] = self.arguments.as_slice() else {
            return Err(UsageError::new("only one argument allowed").into());
        };
        dump_to_stdout(Path::new(path), invocation)
    }

    pub(super) fn restore(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&[])?;
        let [path] = self.arguments.as_slice() else {
            return Err(UsageError::new("only one argument allowed").into());
        };
        let destination = destination(path)?;
        let options = nar::RestoreOptions {
            case_hack: invocation.settings.use_case_hack,
            keep_root: true,
            ..nar::RestoreOptions::default()
        };
        Ok(nar::restore(
            std::io::stdin().lock(),
            &destination,
            options,
        )?)
    }

    pub(super) fn export(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&[])?;
        let store = open_store(invocation)?;
        let mut paths = BTreeSet::new();
        for argument in &self.arguments {
            paths.insert(store_path(&*store, argument)?);
        }
        let mut out = ui::stdout();
        export_paths(&*store, &paths, &mut out)?;
        out.flush()?;
        Ok(())
    }

    pub(super) fn import(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&[])?;
        self.no_arguments()?;
        let store = open_store(invocation)?;
        let imported = import_paths(&*store, &mut std::io::stdin().lock(), false)?;
        ui::print_bytes(&lines(&*store, &imported))
    }
}

/// A path that something new can be made at: its last component must be a name.
fn destination(path: &OsStr) -> Result<PathBuf, Failure> {
    let bytes = path.as_encoded_bytes();
    if bytes.is_empty() {
        return Err(Failure::message("destination path is empty"));
    }
    for last in ["..", "."] {
        if bytes.ends_with(format!("/{last}").as_bytes()) || bytes == last.as_bytes() {
            return Err(Failure::message(format!(
                "path \"{}\" ends in '{last}', which is not a valid filename",
                path.display()
            )));
        }
    }
    canonical_name(Path::new(path))
}

/// Writes the archive of a file or tree to standard output.
fn dump_to_stdout(path: &Path, invocation: &Invocation) -> Result<(), Failure> {
    let mut out = if invocation.settings.use_case_hack {
        nar::dump_case_hacked(path, ui::stdout())?
    } else {
        nar::dump(&canonical_name(Path::new(path))?, ui::stdout())?
    };
    out.flush()?;
    Ok(())
}
