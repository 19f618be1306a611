//! `rx profile upgrade`: packages become what their flake, file or expression gives now.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use rx_store::fetch::flake_ref::FlakeRef;
use rx_store::profile::{Entry, FlakeSource, Manifest, Token, Turn};
use rx_store::progress;
use rx_store::store::Store;

use super::add::{Addition, Changed, addition, build};
use super::matchers::MatchArgs;
use super::origins::{Origin, Origins};
use super::{Dry, ProfileArgs, read_in};
use crate::cli::{Category, EvalOptions, Invocation, Subcommand};
use crate::eval_session::{EvalSession, with_session};
use crate::installables::{LockOptions, Lookup, SourceOptions};
use crate::ui::Failure;

/// Arguments of `rx profile upgrade`.
#[derive(clap::Args)]
pub struct ProfileUpgrade {
    #[command(flatten)]
    profile: ProfileArgs,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    packages: MatchArgs,
    #[command(flatten)]
    lock: LockOptions,
    #[command(flatten)]
    options: EvalOptions,
}

/// The new state of some packages.
struct Upgrades {
    /// Names of those that were looked at.
    names: Vec<String>,
    additions: Vec<Addition>,
    /// How many could be looked at.
    looked_at: usize,
}

impl Subcommand for ProfileUpgrade {
    const PATH: &'static str = "profile upgrade";
    const ABOUT: &'static str = "Upgrade packages";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let profile = self.profile.path(invocation)?;
        // What was downloaded an hour ago is not what an upgrade is to find.
        let mut invocation = invocation.clone();
        Arc::make_mut(&mut invocation.settings).tarball_ttl = 0;
        let dry = if self.dry_run { Dry::Yes } else { Dry::No };
        let mut turn = None;
        loop {
            let token = Token::of(&profile);
            let mut origins = Origins::of(&profile);
            let (store, mut manifest) =
                with_session(&invocation, &self.options, true, |session| {
                    let store = session.store()?;
                    self.packages.check(store.dir())?;
                    let manifest = read_in(session, &*store, &profile)?;
                    Ok((store, manifest))
                })?;
            let names = self.packages.names(store.dir(), &manifest)?;
            if names.is_empty() {
                progress::warn(format_args!(
                    "No packages to upgrade. Use '{} profile list' to see the current profile.",
                    invocation.base_program()
                ));
                return Ok(());
            }
            // Files are evaluated as they were when they were added: not purely.
            let from_files = names.iter().any(|name| {
                let entry = manifest.elements.get(name);
                entry.is_some_and(|entry| origins.get(store.dir(), name, entry).is_some())
            });
            let mut adapted = invocation.clone();
            if from_files {
                Arc::make_mut(&mut adapted.settings).pure_eval = false;
            }
            let upgrades = with_session(&adapted, &self.options, false, |session| {
                let names = names.iter().map(String::as_str);
                let mut upgrades = self.look(session, &*store, &manifest, &origins, names)?;
                build(session, &*store, &mut upgrades.additions, dry)?;
                Ok(upgrades)
            })?;
            if upgrades.looked_at == 0 {
                progress::warn("Found some packages but none of them could be upgraded.");
                return Ok(());
            }
            let mut new = BTreeMap::new();
            for (name, addition) in upgrades.names.iter().zip(upgrades.additions) {
                new.insert(name.clone(), addition.what);
                origins.set(store.dir(), name, &addition.entry, addition.origin);
                manifest.elements.insert(name.clone(), addition.entry);
            }
            let changed = Changed {
                manifest: &manifest,
                new: &new,
                origins: &origins,
            };
            if changed.commit(&invocation, &*store, &profile, &token, dry)? {
                return Ok(());
            }
            Turn::take(&mut turn, &profile)?;
        }
    }
}

impl ProfileUpgrade {
    /// Looks where packages came from for what they are now.
    fn look<'a>(
        &self,
        session: &mut EvalSession,
        store: &dyn Store,
        manifest: &Manifest,
        origins: &Origins,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Upgrades, Failure> {
        let mut upgrades = Upgrades {
            names: Vec::new(),
            additions: Vec::new(),
            looked_at: 0,
        };
        for name in names {
            let Some(entry) = manifest.elements.get(name) else {
                continue;
            };
            let found = match (&entry.source, origins.get(store.dir(), name, entry)) {
                (Some(source), _) => self.look_at_flake(session, entry, source)?,
                (None, Some(origin)) => Some(look_at_file(session, entry, origin)?),
                (None, None) => {
                    progress::warn(format_args!(
                        "Found package '{}', but it was not added from a flake, so it can't be checked for upgrades!",
                        entry.identifier()
                    ));
                    continue;
                }
            };
            if let Some(found) = found {
                upgrades.looked_at += 1;
                let same = match (&found.entry.source, &entry.source) {
                    (Some(new), Some(old)) => new.url == old.url,
                    _ => false,
                };
                if same {
                    continue;
                }
                if let (Some(new), Some(old)) = (&found.entry.source, &entry.source) {
                    progress::info(format_args!(
                        "upgrading '{}' from flake '{}' to '{}'",
                        old.attr_path, old.url, new.url
                    ));
                }
                upgrades.names.push(name.to_owned());
                upgrades.additions.push(found);
            }
        }
        Ok(upgrades)
    }

    /// What a flake gives now; nothing if it can only ever give the same.
    fn look_at_flake(
        &self,
        session: &mut EvalSession,
        entry: &Entry,
        source: &FlakeSource,
    ) -> Result<Option<Addition>, Failure> {
        let reference = FlakeRef::parse(&source.original_url, Default::default())?;
        if reference
            .input
            .is_locked(session.invocation.settings.trust_tarballs_from_git_forges)
        {
            progress::warn(format_args!(
                "Found package '{}', but it was added from a locked flake reference so it can't be upgraded!",
                entry.identifier()
            ));
            return Ok(None);
        }
        let options = SourceOptions {
            lock: self.lock.clone(),
            ..SourceOptions::default()
        };
        let lookup = Lookup::packages(&session.invocation);
        // A leading dot means exactly this attribute.
        let argument = OsString::from(format!(
            "{}#.{}{}",
            source.original_url,
            source.attr_path,
            source.outputs_suffix()
        ));
        let mut things = Vec::new();
        for named in options.name(session, &[argument], &lookup)? {
            things.extend(named.installables(session)?);
        }
        let mut found = addition(session, things, Some(entry.priority), None)?;
        found.entry.active = entry.active;
        found.entry.keep = entry.keep;
        Ok(Some(found))
    }
}

/// What a file or expression gives now.
fn look_at_file(
    session: &mut EvalSession,
    entry: &Entry,
    origin: &Origin,
) -> Result<Addition, Failure> {
    progress::info(format_args!(
        "looking for an upgrade at {}",
        origin.describe()
    ));
    let (source, argument) = origin.arguments();
    let things = source.resolve(session, &[argument])?;
    let mut found = addition(session, things, Some(entry.priority), Some(origin.clone()))?;
    found.entry.active = entry.active;
    found.entry.keep = entry.keep;
    Ok(found)
}
