//! `rx profile`: packages of a user by store path, file, expression and flake.
//!
//! The list of what is installed is `manifest.json`; a profile of `rx-env` is read and becomes one when it is changed.
//!
//! | file | what |
//! |---|---|
//! | `add`, `remove`, `upgrade` | changes |
//! | `list`, `history` | what is there, and was |
//! | `rollback` | going back and forgetting |
//! | `matchers` | naming packages of a profile |
//! | `origins` | which file or expression a package came from |

mod add;
mod history;
mod list;
mod matchers;
mod origins;
mod remove;
mod rollback;
mod upgrade;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rx_store::path::StorePath;
use rx_store::profile::{Entry, Generations, Manifest, Token, build_profile, default_profile};
use rx_store::progress;
use rx_store::store::Store;

pub use add::ProfileAdd;
pub use history::{ProfileDiffClosures, ProfileHistory};
pub use list::ProfileList;
pub use matchers::complete;
pub use remove::ProfileRemove;
pub use rollback::{ProfileRollback, ProfileWipeHistory};
pub use upgrade::ProfileUpgrade;

use super::env::installed::{Installed, json_manifest};
use crate::cli::{EvalOptions, Invocation};
use crate::eval_session::{EvalSession, with_session};
use crate::ui::{self, Failure};

/// Which profile a command works on.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ProfileArgs {
    /// The profile to work on, instead of the user's.
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
}

impl ProfileArgs {
    /// Its path.
    pub fn path(&self, invocation: &Invocation) -> Result<PathBuf, Failure> {
        Ok(match &self.profile {
            Some(path) => rx_store::settings::clean(&std::path::absolute(path)?),
            None => default_profile(&invocation.settings),
        })
    }
}

/// What a profile has, read with an evaluation that is at hand.
fn read_in(
    session: &mut EvalSession,
    store: &dyn Store,
    profile: &Path,
) -> Result<Manifest, Failure> {
    if let Some(manifest) = json_manifest(store, profile)? {
        return Ok(manifest);
    }
    let mut manifest = Manifest::default();
    for mut item in Installed::read(session, store, profile)?.items {
        let entry = item.to_entry(&mut session.vm);
        let entry = session.check(entry)?;
        let out_path = item.out_path(&mut session.vm);
        let out_path = session.check(out_path)?;
        // Other outputs do not give it other names.
        let name = Entry::new(BTreeSet::from([out_path])).default_name();
        manifest.add(&name, entry);
    }
    Ok(manifest)
}

/// What a profile has. Only that of `rx-env` takes an evaluation.
fn read(
    invocation: &Invocation,
    options: &EvalOptions,
    store: &dyn Store,
    profile: &Path,
) -> Result<Manifest, Failure> {
    match json_manifest(store, profile)? {
        Some(manifest) => Ok(manifest),
        None => with_session(invocation, options, true, |session| {
            read_in(session, store, profile)
        }),
    }
}

/// Whether a change is only told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dry {
    Yes,
    No,
}

/// Makes a profile have what a manifest says, unless it was changed since the token was taken. Errors of linking are
/// the caller's to explain.
fn commit(
    store: &dyn Store,
    profile: &Path,
    manifest: &Manifest,
    token: &Token,
    dry: Dry,
) -> Result<bool, rx_store::profile::ProfileError> {
    if dry == Dry::Yes {
        ui::show_changes(store, profile, &active_paths(manifest));
        return Ok(true);
    }
    for path in manifest.store_paths() {
        store.add_temp_root(&path)?;
    }
    let built = build_profile(store, manifest)?;
    store.add_temp_root(&built)?;
    if Token::of(profile) == *token {
        ui::show_changes(store, profile, &BTreeSet::from([built.clone()]));
    }
    let done = Generations::add_unless_changed(store, profile, &built, token)?;
    if done.is_none() {
        progress::info(format_args!(
            "profile '{}' changed while we were busy; restarting",
            profile.display()
        ));
    }
    Ok(done.is_some())
}

fn active_paths(manifest: &Manifest) -> BTreeSet<StorePath> {
    manifest.store_paths()
}
