//! `rx derivation …`: derivations as JSON.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Read;

use rx_store::derivation::{Derivation, pretty_json};
use rx_store::path::StorePath;
use rx_store::store::closure::ClosureOptions;
use rx_store::store::{AddFlags, Store, StoreError};

use crate::cli::{Category, Invocation, Subcommand};
use crate::store_session::{lines, open_store, store_path};
use crate::ui::{self, Failure};

/// Arguments of `rx derivation show`.
#[derive(clap::Args)]
pub struct DerivationShow {
    /// Also show everything that the derivations need.
    #[arg(short, long)]
    recursive: bool,
    /// Indent the JSON (the default on a terminal).
    #[arg(long, overrides_with = "no_pretty")]
    pretty: bool,
    /// Print the JSON on one line (the default elsewhere).
    #[arg(long, overrides_with = "pretty")]
    no_pretty: bool,
    /// Derivations, or store paths that were built by one.
    #[arg(required = true)]
    paths: Vec<OsString>,
}

/// The derivation itself, or the one that built the path.
fn deriver_of(store: &dyn Store, path: StorePath) -> Result<StorePath, Failure> {
    if path.is_derivation() {
        return Ok(path);
    }
    if let Some(deriver) = &store.path_info(&path)?.deriver
        && store.is_valid(deriver)?
    {
        return Ok(deriver.clone());
    }
    Err(Failure::message(format!(
        "'{}' does not have a known deriver",
        store.dir().display(&path)
    )))
}

impl Subcommand for DerivationShow {
    const PATH: &'static str = "derivation show";
    const ABOUT: &'static str = "Print derivations as JSON";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let store = open_store(invocation)?;
        let mut wanted = BTreeSet::new();
        for argument in &self.paths {
            // What follows a caret are outputs, which do not matter here.
            let bytes = argument.as_encoded_bytes();
            let end = bytes.iter().position(|&c| c == b'^').unwrap_or(bytes.len());
            let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
            wanted.insert(deriver_of(&*store, store_path(&*store, text.as_ref())?)?);
        }
        if self.recursive {
            wanted = store.closure(&wanted, ClosureOptions::default())?;
        }
        let mut text = String::from("{\"derivations\":{");
        let mut first = true;
        for path in wanted.iter().filter(|path| path.is_derivation()) {
            if !first {
                text.push(',');
            }
            first = false;
            text += &format!("\"{path}\":");
            text += &store.read_derivation(path)?.to_json()?;
        }
        text += "},\"version\":4}";
        if self.pretty || (!self.no_pretty && ui::stdout_is_terminal()) {
            text = pretty_json(&text);
        }
        text.push('\n');
        ui::print(&text)
    }
}

/// Arguments of `rx derivation add`.
#[derive(clap::Args)]
pub struct DerivationAdd {}

impl Subcommand for DerivationAdd {
    const PATH: &'static str = "derivation add";
    const ABOUT: &'static str = "Read a derivation as JSON and add it to the store";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let store = open_store(invocation)?;
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        let mut derivation = Derivation::from_json(&serde_json::from_str(&text)?)?;
        let modulo = derivation.fill_in_output_paths::<Inner>(store.dir(), &mut |input| {
            store.derivation_modulo(input).map_err(Inner::Store)
        })?;
        let path = store.write_derivation(&derivation, AddFlags::default())?;
        store.remember_modulo(&path, modulo);
        store.flush()?;
        ui::print_bytes(&lines(&*store, [&path]))
    }
}

/// A failure of the derivation, or of the store while its inputs are read.
#[derive(Debug, thiserror::Error)]
enum Inner {
    #[error(transparent)]
    Derivation(#[from] rx_store::derivation::DerivationError),
    #[error(transparent)]
    Store(StoreError),
}
