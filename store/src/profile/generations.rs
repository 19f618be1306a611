//! The generations of a profile.
//!
//! Each is a link `NAME-NUMBER-link` beside the profile and a root of the garbage collector. The
//! profile itself is a link to one of them, and a switch replaces it in one step: whoever looks sees
//! the old generation or the new one. A lock file keeps two processes from numbering alike.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::lock::PathLocks;
use crate::path::StorePath;
use crate::store::{Store, StoreError};

/// Why a profile cannot be changed or read.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// A file could not be read or written.
    #[error("{action} '{path}': {source}")]
    File {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such generation.
    #[error("profile version {0} does not exist")]
    NoGeneration(u64),
    /// There is nothing to go back to.
    #[error("no profile version older than the current ({0}) exists")]
    NoOlder(u64),
    /// The current generation stays.
    #[error("cannot delete current version of profile \"{0}\"")]
    Current(String),
}

impl ProfileError {
    fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        ProfileError::File {
            action,
            path: path.display().to_string(),
            source,
        }
    }
}

/// One generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// Its link.
    pub link: PathBuf,
    /// When it was made, in seconds since 1970.
    pub created: u64,
}

/// A profile's generations, by number, and which of them is current.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generations {
    /// All that exist.
    pub all: Vec<Generation>,
    /// The number of the one that the profile points to.
    pub current: Option<u64>,
}

/// The number in `NAME-NUMBER-link`.
fn number_of(profile_name: &str, link_name: &str) -> Option<u64> {
    link_name
        .strip_prefix(profile_name)?
        .strip_prefix('-')?
        .strip_suffix("-link")?
        .parse()
        .ok()
}

fn name_of(profile: &Path) -> String {
    profile
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn directory_of(profile: &Path) -> PathBuf {
    match profile.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Replaces a link in one step.
fn replace_link(target: &Path, link: &Path) -> Result<(), ProfileError> {
    let fail = |e| ProfileError::file("creating symbolic link", link, e);
    for attempt in 0..1000u32 {
        let mut name = link.as_os_str().to_owned();
        name.push(format!(".tmp-{}-{attempt}", std::process::id()));
        let temporary = PathBuf::from(name);
        match std::os::unix::fs::symlink(target, &temporary) {
            Ok(()) => {
                return std::fs::rename(&temporary, link).map_err(|e| {
                    let _ = std::fs::remove_file(&temporary);
                    fail(e)
                });
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(fail(e)),
        }
    }
    Err(fail(io::ErrorKind::AlreadyExists.into()))
}

/// Nobody else numbers or deletes generations while the result lives.
fn lock(profile: &Path) -> Result<PathLocks, ProfileError> {
    let directory = directory_of(profile);
    std::fs::create_dir_all(&directory)
        .map_err(|e| ProfileError::file("creating directory", &directory, e))?;
    let mut locks = PathLocks::acquire([profile.to_owned()], &mut |path| {
        crate::progress::info(format_args!(
            "waiting for lock on profile '{}'",
            path.display()
        ));
    })
    .map_err(|e| ProfileError::file("locking", profile, e))?;
    locks.set_deletion(true);
    Ok(locks)
}

impl Generations {
    /// Reads which generations a profile has. A profile that does not exist has none.
    pub fn of(profile: &Path) -> Result<Self, ProfileError> {
        let (directory, name) = (directory_of(profile), name_of(profile));
        let mut found = Generations::default();
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(e) => return Err(ProfileError::file("reading directory", &directory, e)),
        };
        for entry in entries {
            let entry =
                entry.map_err(|e| ProfileError::file("reading directory", &directory, e))?;
            if let Some(number) = entry
                .file_name()
                .to_str()
                .and_then(|link| number_of(&name, link))
                && let Ok(metadata) = entry.path().symlink_metadata()
            {
                let created = metadata.mtime().max(0) as u64;
                found.all.push(Generation {
                    number,
                    link: entry.path(),
                    created,
                });
            }
        }
        found.all.sort_by_key(|generation| generation.number);
        found.current = std::fs::read_link(profile)
            .ok()
            .and_then(|target| number_of(&name, target.file_name()?.to_str()?));
        Ok(found)
    }

    /// The generation with this number.
    pub fn get(&self, number: u64) -> Result<&Generation, ProfileError> {
        self.all
            .iter()
            .find(|generation| generation.number == number)
            .ok_or(ProfileError::NoGeneration(number))
    }

    /// The newest generation that is older than the current one.
    pub fn before_current(&self) -> Result<&Generation, ProfileError> {
        let current = self.current.unwrap_or(0);
        self.all
            .iter()
            .rev()
            .find(|generation| generation.number < current)
            .ok_or(ProfileError::NoOlder(current))
    }

    /// Makes a store path the newest generation and switches to it. If it is that already, nothing
    /// is made.
    pub fn add(
        store: &dyn Store,
        profile: &Path,
        path: &StorePath,
    ) -> Result<Generation, ProfileError> {
        let _lock = lock(profile)?;
        let existing = Self::of(profile)?;
        let wanted = PathBuf::from(std::ffi::OsString::from(
            store.dir().display(path).to_string(),
        ));
        if let Some(newest) = existing.all.last()
            && std::fs::read_link(&newest.link).is_ok_and(|target| target == wanted)
        {
            switch_to(profile, newest)?;
            return Ok(newest.clone());
        }
        let number = existing.all.last().map_or(0, |newest| newest.number) + 1;
        let link = directory_of(profile).join(format!("{}-{number}-link", name_of(profile)));
        // What a crash left under this name was never a generation.
        let _ = std::fs::remove_file(&link);
        store.add_permanent_root(path, &link)?;
        let generation = Generation {
            number,
            link,
            created: crate::fetch::time::now(),
        };
        switch_to(profile, &generation)?;
        Ok(generation)
    }

    /// Switches a profile to a generation, or without number to the one before the current.
    pub fn switch(profile: &Path, number: Option<u64>) -> Result<Generation, ProfileError> {
        let _lock = lock(profile)?;
        let generations = Self::of(profile)?;
        let chosen = match number {
            Some(number) => generations.get(number)?,
            None => generations.before_current()?,
        };
        crate::progress::log(
            crate::progress::Level::Notice,
            format_args!(
                "switching profile from version {} to {}",
                generations
                    .current
                    .map_or_else(|| "none".to_owned(), |number| number.to_string()),
                chosen.number
            ),
        );
        switch_to(profile, chosen)?;
        Ok(chosen.clone())
    }

    /// Deletes a generation; the current one is refused.
    pub fn delete(profile: &Path, number: u64) -> Result<(), ProfileError> {
        let _lock = lock(profile)?;
        let generations = Self::of(profile)?;
        if generations.current == Some(number) {
            return Err(ProfileError::Current(profile.display().to_string()));
        }
        let generation = generations.get(number)?;
        std::fs::remove_file(&generation.link)
            .map_err(|e| ProfileError::file("removing", &generation.link, e))
    }
}

fn switch_to(profile: &Path, generation: &Generation) -> Result<(), ProfileError> {
    // Relative, so that the directory can be moved or seen under another root.
    let target = generation
        .link
        .file_name()
        .map_or_else(|| generation.link.clone(), PathBuf::from);
    if std::fs::read_link(profile).is_ok_and(|current| current == target) {
        return Ok(());
    }
    replace_link(&target, profile)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::{AddFlags, LocalConfig, LocalStore};

    fn text(store: &dyn Store, name: &str) -> StorePath {
        store
            .add_text(name, name.as_bytes(), &BTreeSet::new(), AddFlags::default())
            .unwrap()
    }

    #[test]
    fn generations_are_numbered_switched_and_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(LocalConfig::at_root(dir.path())).unwrap();
        let profile = dir.path().join("profiles/p");
        assert_eq!(Generations::of(&profile).unwrap(), Generations::default());
        let (a, b) = (text(&store, "a"), text(&store, "b"));
        for (path, number) in [(&a, 1), (&a, 1), (&b, 2), (&a, 3)] {
            assert_eq!(
                Generations::add(&store, &profile, path).unwrap().number,
                number
            );
        }
        let generations = Generations::of(&profile).unwrap();
        assert_eq!((generations.all.len(), generations.current), (3, Some(3)));
        assert_eq!(Generations::switch(&profile, None).unwrap().number, 2);
        assert_eq!(std::fs::read_link(&profile).unwrap(), Path::new("p-2-link"));
        assert!(Generations::delete(&profile, 2).is_err());
        Generations::delete(&profile, 1).unwrap();
        assert_eq!(
            Generations::switch(&profile, None).unwrap_err().to_string(),
            "no profile version older than the current (2) exists"
        );
        assert_eq!(
            Generations::switch(&profile, Some(9))
                .unwrap_err()
                .to_string(),
            "profile version 9 does not exist"
        );
        let roots = store.find_roots(false).unwrap();
        assert!(roots.contains_key(&a) && roots.contains_key(&b));
    }

    #[test]
    fn many_at_once_get_different_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(LocalConfig::at_root(dir.path())).unwrap();
        let profile = dir.path().join("profiles/p");
        let paths: Vec<StorePath> = (0..8).map(|i| text(&store, &format!("t{i}"))).collect();
        std::thread::scope(|scope| {
            for path in &paths {
                let (store, profile) = (&store, &profile);
                scope.spawn(move || Generations::add(store, profile, path).unwrap());
            }
        });
        let generations = Generations::of(&profile).unwrap();
        assert_eq!(generations.all.len(), 8);
        assert_eq!(generations.current, Some(8));
    }
}
