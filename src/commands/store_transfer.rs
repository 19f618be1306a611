//! `rx store copy-log` and `rx store make-content-addressed`: from one store to another.

use std::collections::BTreeMap;
use std::sync::Arc;

use rx_store::progress::{self, Level};
use rx_store::store::Store;
use rx_store::store::rewrite::make_content_addressed;
use serde_json::{Map, Value, json};

use crate::cli::{Category, Invocation, JsonOptions, Subcommand};
use crate::operands::{Operands, PathArgs};
use crate::store_session::{open_named, open_store};
use crate::ui::Failure;

/// The two stores.
#[derive(clap::Args)]
struct Stores {
    /// The store to copy from.
    #[arg(long, value_name = "STORE")]
    from: Option<String>,
    /// The store to copy to.
    #[arg(long, value_name = "STORE")]
    to: Option<String>,
}

impl Stores {
    fn source(&self, invocation: &Invocation) -> Result<Option<Arc<dyn Store>>, Failure> {
        let open = |address| open_named(invocation, address);
        self.from.as_deref().map(open).transpose()
    }

    fn target(&self, invocation: &Invocation) -> Result<Arc<dyn Store>, Failure> {
        match &self.to {
            Some(address) => open_named(invocation, address),
            None => open_store(invocation),
        }
    }
}

/// Arguments of `rx store copy-log`.
#[derive(clap::Args)]
pub struct StoreCopyLog {
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    operands: Operands,
}

impl Subcommand for StoreCopyLog {
    const PATH: &'static str = "store copy-log";
    const ABOUT: &'static str = "Copy build logs between stores";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        if self.stores.from.is_none() && self.stores.to.is_none() {
            return Err(Failure::message("you must pass '--from' and/or '--to'"));
        }
        let source = self.stores.source(invocation)?;
        let to = self.stores.target(invocation)?;
        // What is named is found here; only the log comes from elsewhere.
        let named = self.operands.find(invocation, None)?;
        let from = source.unwrap_or_else(|| Arc::clone(&named.store));
        for drv in named.derivations()? {
            match from.build_log(&drv)? {
                Some(log) => to.add_build_log(&drv, &log)?,
                None => {
                    return Err(Failure::message(format!(
                        "build log for '{}' is not available",
                        from.dir().display(&drv)
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Arguments of `rx store make-content-addressed`.
#[derive(clap::Args)]
pub struct StoreMakeContentAddressed {
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    json: JsonOptions,
    #[command(flatten)]
    paths: PathArgs,
}

impl Subcommand for StoreMakeContentAddressed {
    const PATH: &'static str = "store make-content-addressed";
    const ABOUT: &'static str = "Rename paths with all they need after their contents";
    const CATEGORY: Category = Category::Utility;
    const DETAILS: &'static str = "
What is named after its contents needs no signature: whoever receives it can check it by itself.
";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let source = self.stores.source(invocation)?;
        let (from, paths) = self.paths.find_in(invocation, source, true)?;
        let to = self.stores.target(invocation)?;
        let wanted = paths.iter().cloned().collect();
        let renamed = make_content_addressed(&*from, &*to, &wanted)?;
        let pairs: BTreeMap<String, String> = paths
            .iter()
            .filter_map(|path| Some((path, renamed.get(path)?)))
            .map(|(old, new)| {
                (
                    from.dir().display(old).to_string(),
                    to.dir().display(new).to_string(),
                )
            })
            .collect();
        if self.json.json {
            let map: Map<String, Value> = pairs
                .into_iter()
                .map(|(old, new)| (old, new.into()))
                .collect();
            return self.json.print(&json!({ "rewrites": map }));
        }
        for (old, new) in pairs {
            progress::log(Level::Notice, format_args!("rewrote '{old}' to '{new}'"));
        }
        Ok(())
    }
}
