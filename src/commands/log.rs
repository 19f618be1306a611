//! `rx log`: build logs.

use std::ffi::OsString;

use rx_store::path::StorePath;
use rx_store::store::{DerivedPath, Store};

use crate::cli::{Category, Invocation, Subcommand};
use crate::operands::NameArgs;
use crate::ui::{self, Failure};

/// Arguments of `rx log`.
#[derive(clap::Args)]
pub struct Log {
    #[command(flatten)]
    names: NameArgs,
    /// A derivation, a store path that was built by one, or what evaluates to either.
    what: OsString,
}

impl Subcommand for Log {
    const PATH: &'static str = "log";
    const ABOUT: &'static str = "Print the log of a build";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let named = self
            .names
            .find(invocation, None, std::slice::from_ref(&self.what))?;
        let store = &named.store;
        let path = match &named.things[..] {
            [one] => match &one.path {
                DerivedPath::Opaque(path) => path.clone(),
                DerivedPath::Built { drv, .. } => {
                    store.known_path(drv)?.unwrap_or_else(|| drv.base().clone())
                }
            },
            _ => {
                return Err(Failure::message(format!(
                    "argument '{}' should evaluate to one store path",
                    self.what.display()
                )));
            }
        };
        let (log, place) = find(invocation, &**store, &path)?;
        rx_store::progress::info(format_args!(
            "got build log for '{}' from '{place}'",
            self.what.display()
        ));
        ui::print_bytes(&log)
    }
}

/// The log of a derivation's build, from the store or from a cache, with the address of that.
pub fn find(
    invocation: &Invocation,
    store: &dyn Store,
    path: &StorePath,
) -> Result<(Vec<u8>, String), Failure> {
    if let Some(log) = store.build_log(path)? {
        return Ok((log, store.url()));
    }
    for substituter in &invocation.settings.substituters {
        // A cache that cannot be asked has no log.
        let Ok(cache) = crate::store_session::open_named(invocation, substituter) else {
            continue;
        };
        if let Ok(Some(log)) = cache.build_log(path) {
            return Ok((log, cache.url()));
        }
    }
    Err(Failure::message(format!(
        "build log of '{}' is not available",
        store.dir().display(path)
    )))
}
