//! `rx log`: build logs.

use std::ffi::OsString;

use rx_store::store::DerivedPath;

use crate::cli::{Category, Invocation, Subcommand};
use crate::store_session::{open_store, path_with_outputs};
use crate::ui::{self, Failure};

/// Arguments of `rx log`.
#[derive(clap::Args)]
pub struct Log {
    /// A derivation, or a store path that was built by one.
    path: OsString,
}

impl Subcommand for Log {
    const PATH: &'static str = "log";
    const ABOUT: &'static str = "Print the log of a build";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let store = open_store(invocation)?;
        let path = match path_with_outputs(&*store, &self.path, '^')? {
            DerivedPath::Opaque(path) => path,
            DerivedPath::Built { drv, .. } => drv.base().clone(),
        };
        if let Some(log) = store.build_log(&path)? {
            return ui::print_bytes(&log);
        }
        for substituter in &invocation.settings.substituters {
            // A cache that cannot be asked has no log.
            let Ok(cache) = crate::store_session::open_named(invocation, substituter) else {
                continue;
            };
            if let Ok(Some(log)) = cache.build_log(&path) {
                return ui::print_bytes(&log);
            }
        }
        Err(Failure::message(format!(
            "build log of '{}' is not available",
            store.dir().display(&path)
        )))
    }
}
