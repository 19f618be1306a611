//! `--gc` and `--delete`.

use std::collections::BTreeSet;

use rx_store::store::{GcAction, GcOptions, GcResults, Store};

use super::StoreCommand;
use crate::cli::Invocation;
use crate::store_session::{open_store, store_path};
use crate::ui::{self, Failure, UsageError};

/// Tells what was freed.
pub fn print_freed(dry_run: bool, results: &GcResults) -> Result<(), Failure> {
    let count = results.paths.len();
    if dry_run {
        return ui::print(&format!("{count} store paths would be deleted\n"));
    }
    let size = ui::render_size(results.bytes_freed);
    ui::print(&format!("{count} store paths deleted, {size} freed\n"))
}

impl StoreCommand {
    pub(super) fn collect_garbage(self, invocation: &Invocation) -> Result<(), Failure> {
        for flag in &self.flags {
            if !["--print-roots", "--print-live", "--print-dead"].contains(flag) {
                let message = format!("bad sub-operation '{flag}' in GC");
                return Err(UsageError::new(message).into());
            }
        }
        self.no_arguments()?;
        let action = match self.flags.iter().rfind(|flag| **flag != "--print-roots") {
            Some(&"--print-live") => GcAction::ReturnLive,
            Some(&"--print-dead") => GcAction::ReturnDead,
            _ => GcAction::DeleteDead,
        };
        if self.max_freed.is_some() && (action != GcAction::DeleteDead || self.has("--print-roots"))
        {
            return Err(UsageError::new(
                "option --max-freed cannot be combined with --print-live, --print-dead, or --print-roots",
            )
            .into());
        }
        let store = open_store(invocation)?;
        if self.has("--print-roots") {
            return print_roots(&*store);
        }
        let mut options = GcOptions::new(action);
        options.max_freed = self.max_freed.unwrap_or(u64::MAX);
        let results = store.collect_garbage(&options)?;
        if action == GcAction::DeleteDead {
            return print_freed(false, &results);
        }
        let mut out = Vec::new();
        for path in &results.paths {
            out.extend_from_slice(path);
            out.push(b'\n');
        }
        ui::print_bytes(&out)
    }

    pub(super) fn delete(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&["--ignore-liveness"])?;
        let store = open_store(invocation)?;
        let mut options = GcOptions::new(GcAction::DeleteSpecific);
        options.ignore_liveness = self.has("--ignore-liveness");
        for argument in &self.arguments {
            options.paths.insert(store_path(&*store, argument)?);
        }
        delete_paths(&*store, &options)
    }
}

/// Deletes paths and tells what was freed, also when it failed.
pub fn delete_paths(store: &dyn Store, options: &GcOptions) -> Result<(), Failure> {
    match store.collect_garbage(options) {
        Ok(results) => print_freed(false, &results),
        Err(error) => {
            print_freed(false, &GcResults::default())?;
            Err(error.into())
        }
    }
}

fn print_roots(store: &dyn Store) -> Result<(), Failure> {
    let mut lines = BTreeSet::new();
    for (path, links) in store.find_roots(false)? {
        for link in links {
            lines.insert((link, path.clone()));
        }
    }
    let mut out = Vec::new();
    for (link, path) in lines {
        out.extend_from_slice(&link);
        out.extend_from_slice(b" -> ");
        out.extend_from_slice(&store.dir().print(&path));
        out.push(b'\n');
    }
    ui::print_bytes(&out)
}
