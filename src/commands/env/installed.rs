//! What a profile has installed, read from either kind of manifest and written back as the same kind.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rx_eval::Origin;
use rx_eval::packages::Assertions;
use rx_store::path::StorePath;
use rx_store::profile::{
    Conflict, Element, Generations, LinkedPackage, Manifest, ProfileError, Token,
    build_environment, build_profile, current_object, find_conflict, split_name,
};
use rx_store::progress;
use rx_store::store::{BuildMode, DerivedPath, OutputsSpec, Store};

use super::item::Item;
use crate::eval_session::EvalSession;
use crate::realise::build_failure;
use crate::ui::{self, Failure};

/// Which list of installed packages a profile keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `manifest.nix`, the classic one.
    #[default]
    Nix,
    /// `manifest.json`, that of the new commands.
    Json,
}

/// What a profile has installed.
pub struct Installed {
    /// The packages.
    pub items: Vec<Item>,
    /// How they are listed.
    pub format: Format,
}

/// Where the files of a profile are on this machine.
pub fn directory_of(store: &dyn Store, profile: &Path) -> PathBuf {
    current_object(store, profile)
        .and_then(|object| store.real_path(&object))
        .unwrap_or_else(|| profile.to_owned())
}

/// The text of `manifest.json` of a profile, if it has one.
pub fn json_manifest(store: &dyn Store, profile: &Path) -> Result<Option<Manifest>, Failure> {
    let file = directory_of(store, profile).join("manifest.json");
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::message(format!(
                "reading '{}': {error}",
                file.display()
            )));
        }
    };
    let manifest =
        Manifest::parse(store.dir(), &text).map_err(|reason| ProfileError::Manifest {
            path: file.display().to_string(),
            reason,
        })?;
    Ok(Some(manifest))
}

impl Installed {
    /// Reads what a profile has. One that does not exist has nothing.
    pub fn read(
        session: &mut EvalSession,
        store: &dyn Store,
        profile: &Path,
    ) -> Result<Installed, Failure> {
        if let Some(manifest) = json_manifest(store, profile)? {
            let items = manifest
                .elements
                .iter()
                .filter_map(|(name, entry)| Item::of_entry(&mut session.vm, name, entry))
                .collect();
            return Ok(Installed {
                items,
                format: Format::Json,
            });
        }
        let mut items = Vec::new();
        let link = directory_of(store, profile).join("manifest.nix");
        let file = match std::fs::read_link(&link) {
            Ok(target) => store
                .dir()
                .parse(target.as_os_str().as_bytes())
                .ok()
                .and_then(|path| store.real_path(&path))
                .unwrap_or_else(|| link.parent().unwrap_or(Path::new("/")).join(target)),
            Err(_) => link,
        };
        match std::fs::read(&file) {
            Ok(text) => {
                let origin = Origin::File(file.as_os_str().as_bytes().into());
                let value = session.eval_text(origin, &text)?;
                let packages = session.vm.packages(value, b"", &[], Assertions::Fail);
                items = session
                    .check(packages)?
                    .into_iter()
                    .map(Item::from)
                    .collect();
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::message(format!(
                    "reading '{}': {error}",
                    file.display()
                )));
            }
        }
        Ok(Installed {
            items,
            format: Format::Nix,
        })
    }
}

/// Makes everything that the evaluation wrote known to those who build.
pub fn flush(session: &mut EvalSession, store: &dyn Store) -> Result<(), Failure> {
    let flushed = session.vm.ev.io.store().flush();
    session.check(flushed)?;
    Ok(store.flush()?)
}

/// Makes a profile have exactly these packages.
pub struct Commit<'a> {
    /// The store.
    pub store: std::sync::Arc<dyn Store>,
    /// The profile.
    pub profile: &'a Path,
    /// How packages are listed.
    pub format: Format,
    /// How missing ones are built.
    pub mode: BuildMode,
    /// Whether the classic list names derivations.
    pub keep_derivations: bool,
    /// So many at the beginning are new: a conflict message tells them from those that were there.
    pub new: usize,
}

impl Commit<'_> {
    /// Builds what is missing, makes the new generation and switches to it. False if the profile was changed meanwhile,
    /// and all is to be done again.
    pub fn run(
        &self,
        session: &mut EvalSession,
        items: &mut [Item],
        token: &Token,
    ) -> Result<bool, Failure> {
        let mut wanted = Vec::new();
        for item in items.iter_mut() {
            let derivation = item.drv_path(&mut session.vm);
            if let Some(derivation) = session.check(derivation)? {
                wanted.push(DerivedPath::built(derivation, OutputsSpec::All));
            }
        }
        flush(session, &*self.store)?;
        progress::debug("building user environment dependencies");
        self.store
            .build_paths(&wanted, self.mode)
            .map_err(build_failure)?;
        for item in items.iter_mut() {
            let outputs = item.outputs_to_install(&mut session.vm);
            for path in session.check(outputs)?.values() {
                self.store.add_temp_root(path)?;
                self.store.ensure_path(path)?;
            }
        }
        let environment = match self.format {
            Format::Nix => self.classic_environment(session, items)?,
            Format::Json => self.profile(session, items)?,
        };
        self.store.add_temp_root(&environment)?;
        if Token::of(self.profile) == *token {
            ui::show_changes(
                &*self.store,
                self.profile,
                &BTreeSet::from([environment.clone()]),
            );
        }
        let done =
            Generations::add_unless_changed(&*self.store, self.profile, &environment, token)?;
        if done.is_none() {
            progress::info(format_args!(
                "profile '{}' changed while we were busy; restarting",
                self.profile.display()
            ));
        }
        Ok(done.is_some())
    }

    fn classic_environment(
        &self,
        session: &mut EvalSession,
        items: &mut [Item],
    ) -> Result<StorePath, Failure> {
        let mut elements = Vec::new();
        for item in items.iter_mut() {
            let element = item.element(&mut session.vm, self.keep_derivations);
            elements.push(session.check(element)?);
        }
        match build_environment(&*self.store, &elements) {
            Ok(path) => Ok(path),
            Err(ProfileError::Store(error)) => {
                let packages =
                    elements
                        .iter()
                        .flat_map(linked_packages)
                        .map(|(path, priority, active)| LinkedPackage {
                            path: self.store.dir().display(&path).to_string().into(),
                            active,
                            priority,
                        });
                Err(match find_conflict(&*self.store, packages.collect())? {
                    Some(conflict) => {
                        Failure::with_status(self.explain(session, items, &conflict)?, 100)
                    }
                    None => build_failure(error),
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn profile(&self, session: &mut EvalSession, items: &mut [Item]) -> Result<StorePath, Failure> {
        let mut manifest = Manifest::default();
        // Those that were there keep their names.
        let (old, new): (Vec<_>, Vec<_>) =
            (0..items.len()).partition(|&i| items[i].entry.is_some());
        for index in old.into_iter().chain(new) {
            let item = &mut items[index];
            let entry = item.to_entry(&mut session.vm);
            let entry = session.check(entry)?;
            let name = match &item.entry {
                Some((name, _)) => name.clone(),
                None => split_name(&item.shown_name()).0.to_owned(),
            };
            manifest.add(&name, entry);
        }
        match build_profile(&*self.store, &manifest) {
            Ok(path) => Ok(path),
            Err(ProfileError::Conflict(conflict)) => Err(Failure::with_status(
                self.explain(session, items, &conflict)?,
                100,
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Says which packages have a file of the same name, and what to do.
    fn explain(
        &self,
        session: &mut EvalSession,
        items: &mut [Item],
        conflict: &Conflict,
    ) -> Result<Clash, Failure> {
        let mut owners: [Option<usize>; 2] = [None, None];
        for (index, item) in items.iter_mut().enumerate() {
            let outputs = item.outputs_to_install(&mut session.vm);
            for path in session.check(outputs)?.into_values() {
                let prefix = PathBuf::from(self.store.dir().display(&path).to_string());
                for (owner, file) in owners.iter_mut().zip([&conflict.first, &conflict.second]) {
                    if file.starts_with(&prefix) {
                        owner.get_or_insert(index);
                    }
                }
            }
        }
        let mut sides = [
            Side::of(items, owners[0], &conflict.first, self.new),
            Side::of(items, owners[1], &conflict.second, self.new),
        ];
        // The one that was there comes first.
        sides.sort_by_key(|side| side.is_new);
        let [old, new] = sides;
        Ok(Clash {
            program: session.invocation.program.clone(),
            old,
            new,
            priority: conflict.priority,
        })
    }
}

/// The paths of an element with priority and whether they are linked.
fn linked_packages(element: &Element) -> Vec<(StorePath, i64, bool)> {
    let priority = std::str::from_utf8(&element.priority).ok();
    let priority = priority.and_then(|text| text.parse().ok()).unwrap_or(5);
    let active = element.active != b"false";
    let paths = element.outputs.values();
    paths.map(|path| (path.clone(), priority, active)).collect()
}

/// One of two packages that have a file of the same name.
#[derive(Debug)]
struct Side {
    name: String,
    file: PathBuf,
    is_new: bool,
}

impl Side {
    fn of(items: &[Item], owner: Option<usize>, file: &Path, new: usize) -> Side {
        Side {
            name: owner.map_or_else(
                || "a package that another brings along".to_owned(),
                |index| items[index].shown_name(),
            ),
            file: file.to_owned(),
            is_new: owner.is_some_and(|index| index < new),
        }
    }

    fn origin(&self) -> &'static str {
        if self.is_new {
            "to be installed"
        } else {
            "installed"
        }
    }
}

/// Two packages that cannot be in one environment.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{}' ({}) and '{}' ({}) have a file of the same name:\n\n  {}\n  {}\n\n\
     Both have priority {priority}. To have both, prefer one by a lower number: \
     '{program} -i --priority {} {}' (or {} to prefer the other), or \
     '{program} --set-flag priority {} {}' for what is installed. \
     To have only the second, remove the first: '{program} -e {}'.",
    old.name, old.origin(), new.name, new.origin(),
    old.file.display(), new.file.display(),
    priority.saturating_sub(1), new.name, priority.saturating_add(1),
    priority.saturating_add(1), old.name, old.name
)]
pub struct Clash {
    /// What the program is called.
    program: String,
    old: Side,
    new: Side,
    priority: i64,
}
