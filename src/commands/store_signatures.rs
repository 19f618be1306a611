//! `rx store sign` and `rx store copy-sigs`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rx_store::store::signature::SecretKey;
use rx_store::store::{Store, StoreError};

use crate::cli::{Category, Invocation, Subcommand};
use crate::operands::PathArgs;
use crate::store_session::open_named;
use crate::ui::Failure;

/// Arguments of `rx store sign`.
#[derive(clap::Args)]
pub struct StoreSign {
    /// The file with the secret key.
    #[arg(short, long, value_name = "FILE")]
    key_file: PathBuf,
    #[command(flatten)]
    paths: PathArgs,
}

impl Subcommand for StoreSign {
    const PATH: &'static str = "store sign";
    const ABOUT: &'static str = "Sign store paths with a key";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let text = std::fs::read_to_string(&self.key_file)
            .map_err(|error| StoreError::file("opening file", &self.key_file, error))?;
        let key = SecretKey::parse(text.trim())?;
        let (store, paths) = self.paths.find(invocation, false)?;
        let mut added = 0;
        for path in paths {
            let mut info = (*store.path_info(&path)?).clone();
            info.signatures.clear();
            info.sign(store.dir(), &key);
            added += add(&*store, &path, &info.signatures)?;
        }
        rx_store::progress::info(format_args!("added {added} signatures"));
        Ok(())
    }
}

/// Adds the signatures that the path does not have, and counts them.
fn add(
    store: &dyn Store,
    path: &rx_store::path::StorePath,
    signatures: &BTreeSet<rx_store::store::signature::Signature>,
) -> Result<usize, Failure> {
    let known = &store.path_info(path)?.signatures;
    let new: BTreeSet<_> = signatures.difference(known).cloned().collect();
    if !new.is_empty() {
        store.add_signatures(path, &new)?;
    }
    Ok(new.len())
}

/// Arguments of `rx store copy-sigs`.
#[derive(clap::Args)]
pub struct StoreCopySigs {
    /// Take signatures from this store; can be repeated.
    #[arg(short, long = "substituter", value_name = "STORE")]
    substituters: Vec<String>,
    #[command(flatten)]
    paths: PathArgs,
}

impl Subcommand for StoreCopySigs {
    const PATH: &'static str = "store copy-sigs";
    const ABOUT: &'static str = "Copy signatures of store paths from other stores";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (store, paths) = self.paths.find(invocation, false)?;
        let sources = if self.substituters.is_empty() {
            invocation.settings.substituters.clone()
        } else {
            self.substituters.clone()
        };
        let mut others = Vec::new();
        for source in &sources {
            others.push(open_named(invocation, source)?);
        }
        let mut added = 0;
        for path in paths {
            let own = store.path_info(&path)?;
            for other in &others {
                let Some(info) = other.query_path_info(&path)? else {
                    continue;
                };
                // A signature is for certain contents and references.
                if info.nar_hash == own.nar_hash
                    && info.nar_size == own.nar_size
                    && info.references == own.references
                {
                    added += add(&*store, &path, &info.signatures)?;
                }
            }
        }
        rx_store::progress::info(format_args!("imported {added} signatures"));
        Ok(())
    }
}
