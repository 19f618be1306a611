//! `rx profile add`: what arguments name gets into a profile.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rx_store::profile::{
    Conflict, DEFAULT_PRIORITY, Entry, FlakeSource, Manifest, ProfileError, Token, Turn,
};
use rx_store::progress;
use rx_store::store::{BuildMode, DerivedPath, OutputsSpec, Store};

use super::origins::{Origin, Origins};
use super::{Dry, ProfileArgs, commit, read_in};
use crate::cli::{Category, EvalOptions, Invocation, Subcommand};
use crate::commands::env::installed::flush;
use crate::eval_session::{EvalSession, with_session};
use crate::installables::{Installable, Lookup, SourceOptions};
use crate::realise::{Run, plain_failure, realise};
use crate::ui::Failure;

/// Arguments of `rx profile add`.
#[derive(clap::Args)]
pub struct ProfileAdd {
    #[command(flatten)]
    profile: ProfileArgs,
    /// The priority of what is added; files of lower numbers win.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    priority: Option<i64>,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    options: EvalOptions,
    /// Store paths, attributes of a file or expression, flakes; perhaps with outputs (WHAT^OUTPUT).
    #[arg(value_name = "WHAT")]
    what: Vec<OsString>,
}

/// Something to be added.
pub struct Addition {
    /// As it was named.
    pub what: String,
    /// What has to be realised.
    pub wanted: Vec<DerivedPath>,
    /// What is installed.
    pub entry: Entry,
    /// The file or expression that it came from.
    pub origin: Option<Origin>,
}

impl Subcommand for ProfileAdd {
    const PATH: &'static str = "profile add";
    const ABOUT: &'static str = "Install packages";
    const CATEGORY: Category = Category::Main;
    const DETAILS: &'static str = "\
Adding a package again from where it came from upgrades it. Store paths replace earlier store paths of the same name.

Examples:
  rx profile add nixpkgs#hello
  rx profile add --file ./packages.nix hello
  rx profile add /nix/store/...-hello-2.12";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let profile = self.profile.path(invocation)?;
        let adapted = self.source.adapt(invocation)?;
        with_session(&adapted, &self.options, false, |session| {
            let store = session.store()?;
            let mut additions = Vec::new();
            let lookup = Lookup::packages(&session.invocation);
            for (argument, named) in self
                .arguments()
                .iter()
                .zip(self.source.name(session, &self.what, &lookup)?)
            {
                let things = named.installables(session)?;
                let origin = Origin::of(&self.source, argument);
                additions.push(addition(session, things, self.priority, origin)?);
            }
            let dry = if self.dry_run { Dry::Yes } else { Dry::No };
            build(session, &*store, &mut additions, dry)?;
            let mut turn = None;
            loop {
                let token = Token::of(&profile);
                let before = read_in(session, &*store, &profile)?;
                let mut origins = Origins::of(&profile);
                let (manifest, new) = join(&*store, &before, &additions, &mut origins);
                let changed = Changed {
                    manifest: &manifest,
                    new: &new,
                    origins: &origins,
                };
                if changed.commit(invocation, &*store, &profile, &token, dry)? {
                    return Ok(());
                }
                Turn::take(&mut turn, &profile)?;
            }
        })
    }
}

/// What a profile is to become.
pub(super) struct Changed<'a> {
    pub(super) manifest: &'a Manifest,
    /// The names of what is new in it, with how the user called it.
    pub(super) new: &'a BTreeMap<String, String>,
    pub(super) origins: &'a Origins,
}

impl Changed<'_> {
    /// Makes the profile so, unless it was changed since the token was taken.
    pub(super) fn commit(
        &self,
        invocation: &Invocation,
        store: &dyn Store,
        profile: &Path,
        token: &Token,
        dry: Dry,
    ) -> Result<bool, Failure> {
        match commit(store, profile, self.manifest, token, dry) {
            Ok(true) => {
                if dry == Dry::No {
                    self.origins.write();
                }
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(ProfileError::Conflict(conflict)) => Err(explain(
                invocation,
                store,
                self.manifest,
                self.new,
                &conflict,
            )),
            Err(error) => Err(error.into()),
        }
    }
}

impl ProfileAdd {
    fn arguments(&self) -> Vec<OsString> {
        if self.what.is_empty() {
            vec![".".into()]
        } else {
            self.what.clone()
        }
    }
}

/// The one element that an argument becomes.
pub fn addition(
    session: &mut EvalSession,
    things: Vec<Installable>,
    priority: Option<i64>,
    origin: Option<Origin>,
) -> Result<Addition, Failure> {
    let mut addition = Addition {
        what: String::new(),
        wanted: Vec::new(),
        entry: Entry::new(BTreeSet::new()),
        origin,
    };
    for thing in things {
        addition.entry.priority = match (priority, thing.value) {
            (Some(priority), _) => priority,
            (None, Some(value)) => own_priority(session, value)?,
            (None, None) => DEFAULT_PRIORITY,
        };
        if let Some(origin) = &thing.origin {
            addition.entry.source = Some(FlakeSource {
                original_url: origin.original.to_string(),
                url: origin.locked.to_string(),
                attr_path: origin.attr_path.clone(),
                outputs: thing.outputs.as_ref().map(|outputs| match outputs {
                    OutputsSpec::All => BTreeSet::from(["*".to_owned()]),
                    OutputsSpec::Names(names) => names.clone(),
                }),
            });
        }
        addition.what = thing.what;
        addition.wanted.push(thing.path);
    }
    Ok(addition)
}

/// `meta.priority` of a package.
fn own_priority(session: &mut EvalSession, value: rx_eval::Value) -> Result<i64, Failure> {
    let is_package = session.vm.is_package(value.peel());
    if !session.check(is_package)? {
        return Ok(DEFAULT_PRIORITY);
    }
    let Ok((value, _)) = session.vm.find_along(b"meta.priority", &[], value) else {
        return Ok(DEFAULT_PRIORITY);
    };
    let forced = session.vm.force(value);
    Ok(session.check(forced)?.as_int().unwrap_or(DEFAULT_PRIORITY))
}

/// Builds what is missing, and fills in what additions have become.
pub fn build(
    session: &mut EvalSession,
    store: &dyn Store,
    additions: &mut [Addition],
    dry: Dry,
) -> Result<(), Failure> {
    flush(session, store)?;
    let wanted: Vec<DerivedPath> = additions
        .iter()
        .flat_map(|addition| addition.wanted.iter().cloned())
        .collect();
    let run = if dry == Dry::Yes { Run::Dry } else { Run::Real };
    let settings = session.invocation.settings.clone();
    realise(
        store,
        &settings,
        &wanted,
        BuildMode::Normal,
        run,
        plain_failure,
    )?;
    for addition in additions {
        addition.entry.store_paths.clear();
        for path in &addition.wanted {
            match path {
                DerivedPath::Opaque(path) => {
                    addition.entry.store_paths.insert(path.clone());
                }
                DerivedPath::Built { drv, outputs } => {
                    for (name, path) in store.query_derivation_outputs(drv.base())? {
                        if outputs.contains(&name) {
                            addition.entry.store_paths.extend(path);
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Adds elements to a manifest, or replaces those that came from the same place. Gives also the names of the new ones.
fn join(
    store: &dyn Store,
    before: &Manifest,
    additions: &[Addition],
    origins: &mut Origins,
) -> (Manifest, BTreeMap<String, String>) {
    let mut manifest = before.clone();
    let mut new = BTreeMap::new();
    for addition in additions {
        let entry = addition.entry.clone();
        let wanted = entry.default_name();
        let same =
            manifest
                .elements
                .get(&wanted)
                .filter(|old| match (&old.source, &entry.source) {
                    (Some(old), Some(new)) => {
                        old.original_url == new.original_url && old.attr_path == new.attr_path
                    }
                    (None, None) => {
                        origins.get(store.dir(), &wanted, old) == addition.origin.as_ref()
                    }
                    _ => false,
                });
        let name = match same {
            Some(old) if old.store_paths == entry.store_paths && old.priority == entry.priority => {
                progress::warn(format_args!("'{wanted}' is already added"));
                continue;
            }
            Some(old) => {
                progress::info(format_args!(
                    "replacing '{wanted}' {} by {}",
                    old.versions(),
                    entry.versions()
                ));
                manifest.elements.insert(wanted.clone(), entry.clone());
                wanted
            }
            None => manifest.add(&wanted, entry.clone()),
        };
        origins.set(store.dir(), &name, &entry, addition.origin.clone());
        new.insert(name, addition.what.clone());
    }
    (manifest, new)
}

/// Two packages have a file of the same name: which is the one that was there, and what to do.
fn explain(
    invocation: &Invocation,
    store: &dyn Store,
    manifest: &Manifest,
    new: &BTreeMap<String, String>,
    conflict: &Conflict,
) -> Failure {
    let owner = |file: &Path| {
        let all = manifest.elements.iter();
        all.filter(|(_, entry)| entry.active).find(|(_, entry)| {
            entry.store_paths.iter().any(|path| {
                let prefix = std::ffi::OsString::from(store.dir().display(path).to_string());
                file.starts_with(&prefix)
            })
        })
    };
    let (Some(a), Some(b)) = (owner(&conflict.first), owner(&conflict.second)) else {
        return conflict.clone().into();
    };
    let mut sides = [(a, &conflict.first), (b, &conflict.second)];
    sides.sort_by_key(|((name, _), _)| new.contains_key(*name));
    let [((old_name, _), old_file), ((new_name, new_entry), new_file)] = sides;
    let again = match &new_entry.source {
        Some(source) => source.installable(),
        None => {
            let paths = new_entry.store_paths.iter();
            let shown: Vec<String> = paths
                .map(|path| store.dir().display(path).to_string())
                .collect();
            shown.join(" ")
        }
    };
    let quote = |path: &Path| {
        format!(
            "\"{}\"",
            String::from_utf8_lossy(path.as_os_str().as_bytes())
        )
    };
    let priority = conflict.priority;
    let program = invocation.base_program();
    let heading = if new.contains_key(old_name) || !new.contains_key(new_name) {
        format!("The packages '{old_name}' and '{new_name}' both provide the following file:")
    } else {
        "An existing package already provides the following file:".to_owned()
    };
    let text = format!(
        "{heading}\n\n  {}\n\nThis is the conflicting file from the new package:\n\n  {}\n\n\
         To remove the existing package:\n\n  {program} profile remove {old_name}\n\n\
         The new package can also be added next to the existing one by assigning a different priority.\n\
         The conflicting packages have a priority of {priority}.\n\
         To prioritise the new package:\n\n  {program} profile add {again} --priority {}\n\n\
         To prioritise the existing package:\n\n  {program} profile add {again} --priority {}\n",
        quote(old_file),
        quote(new_file),
        priority.saturating_sub(1),
        priority.saturating_add(1),
    );
    // Only the first line stands beside 'error:'.
    let mut lines = text.lines();
    let mut indented = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        indented.push('\n');
        if !line.is_empty() {
            indented.push_str("       ");
            indented.push_str(line);
        }
    }
    Failure::message(indented)
}
