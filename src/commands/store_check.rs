//! `rx store verify`, `repair`, `optimise`, `fsck`: is the store sound, and making it so.

use std::sync::Arc;

use rx_store::progress::{self, Level};
use rx_store::store::address::StoreAddress;
use rx_store::store::signature::PublicKeys;
use rx_store::store::{LocalConfig, LocalStore, PathInfo, Store};

use super::store::contents_are_intact;
use crate::cli::{Category, Invocation, Subcommand};
use crate::operands::PathArgs;
use crate::store_session::{open_named, open_store};
use crate::ui::{self, Failure};

/// Arguments of `rx store verify`.
#[derive(clap::Args)]
pub struct StoreVerify {
    /// Do not hash contents.
    #[arg(long)]
    no_contents: bool,
    /// Do not look at signatures.
    #[arg(long)]
    no_trust: bool,
    /// How many signatures a path needs.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 0)]
    sigs_needed: usize,
    /// Take signatures from this store, too; can be repeated.
    #[arg(short, long = "substituter", value_name = "STORE")]
    substituters: Vec<String>,
    #[command(flatten)]
    paths: PathArgs,
}

impl Subcommand for StoreVerify {
    const PATH: &'static str = "store verify";
    const ABOUT: &'static str = "Check contents and signatures of store paths";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (store, paths) = self.paths.find(invocation, false)?;
        let keys = PublicKeys::parse(&invocation.settings.trusted_public_keys)?;
        let others = self
            .substituters
            .iter()
            .map(|address| open_named(invocation, address))
            .collect::<Result<Vec<_>, _>>()?;
        let (mut corrupted, mut untrusted, mut failed) = (false, false, false);
        for path in paths {
            rx_store::interrupt::check()?;
            let shown = store.dir().display(&path).to_string();
            // One that is not there does not keep others from being looked at.
            let Some(info) = store.query_path_info(&path)? else {
                progress::error(&format!("path '{shown}' is not valid"));
                failed = true;
                continue;
            };
            progress::info(format_args!("checking '{shown}'..."));
            if !self.no_contents {
                match contents_are_intact(&*store, &path) {
                    Ok(intact) => corrupted |= !intact,
                    Err(failure) => {
                        ui::report_failure(&invocation.program, &failure);
                        failed = true;
                    }
                }
            }
            if !self.no_trust {
                let needed = self.sigs_needed.max(1);
                let trusted = (info.ultimate && self.sigs_needed == 0)
                    || with_signatures_of(&others, &info)
                        .count_valid_signatures(store.dir(), &keys)
                        >= needed;
                if !trusted {
                    untrusted = true;
                    progress::log(Level::Error, format_args!("path '{shown}' is untrusted"));
                }
            }
        }
        match u8::from(corrupted) | u8::from(untrusted) << 1 | u8::from(failed) << 2 {
            0 => Ok(()),
            status => Err(Failure::Status(status)),
        }
    }
}

/// What is known of a path, with the signatures that other stores have for the same contents.
fn with_signatures_of(others: &[Arc<dyn Store>], info: &PathInfo) -> PathInfo {
    let mut info = info.clone();
    for other in others {
        // A store that cannot be asked has no signature.
        if let Ok(Some(theirs)) = other.query_path_info(&info.path)
            && theirs.nar_hash == info.nar_hash
            && theirs.references == info.references
        {
            info.signatures.extend(theirs.signatures.iter().cloned());
        }
    }
    info
}

/// Arguments of `rx store repair`.
#[derive(clap::Args)]
pub struct StoreRepair {
    #[command(flatten)]
    paths: PathArgs,
}

impl Subcommand for StoreRepair {
    const PATH: &'static str = "store repair";
    const ABOUT: &'static str = "Restore damaged store paths";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (store, paths) = self.paths.find(invocation, false)?;
        for path in paths {
            match store.builder() {
                Some(builder) => builder.repair_path(&path)?,
                None => {
                    return Err(Failure::message(format!(
                        "cannot repair path '{}'",
                        store.dir().display(&path)
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Arguments of `rx store optimise`.
#[derive(clap::Args)]
pub struct StoreOptimise {}

impl Subcommand for StoreOptimise {
    const PATH: &'static str = "store optimise";
    const ABOUT: &'static str = "Save space by linking identical files together";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        Ok(open_store(invocation)?.optimise()?)
    }
}

/// Arguments of `rx store fsck`.
#[derive(clap::Args)]
pub struct StoreFsck {}

impl Subcommand for StoreFsck {
    const PATH: &'static str = "store fsck";
    const ABOUT: &'static str = "Rebuild the database from what is on disk";
    const CATEGORY: Category = Category::Secondary;
    const DETAILS: &'static str = "Entries whose contents are gone or damaged are removed. Paths without an entry \
        get one if their contents prove their name (derivations, sources) or if such a derivation says that it \
        builds them. What nothing vouches for stays without an entry; a garbage collection will remove it.\n\n\
        A database that is damaged itself is set aside and a new one begun; what can still be read of the old one \
        counts where the contents prove it.";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let address = StoreAddress::parse(&invocation.settings.store)?;
        let config = LocalConfig::from_settings(&invocation.settings, &address)?;
        let (store, claims) = LocalStore::open_damaged(config)?;
        let report = store.fsck(claims)?;
        for path in &report.removed {
            progress::info(format_args!(
                "removed entry of '{}'",
                store.dir().display(path)
            ));
        }
        for path in &report.restored {
            progress::info(format_args!(
                "restored entry of '{}'",
                store.dir().display(path)
            ));
        }
        for name in &report.unknown {
            progress::info(format_args!(
                "nothing vouches for '{}/{}'",
                store.dir(),
                String::from_utf8_lossy(name)
            ));
        }
        ui::print(&format!(
            "{} entries kept, {} restored, {} removed, {} paths unknown\n",
            report.kept,
            report.restored.len(),
            report.removed.len(),
            report.unknown.len()
        ))
    }
}
