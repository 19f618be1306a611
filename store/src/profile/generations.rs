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
    /// Nothing would be left.
    #[error("Must keep at least one generation, otherwise the current one would be deleted")]
    KeepNone,
    /// A manifest cannot be read.
    #[error("the manifest '{path}' cannot be read: {reason}")]
    Manifest {
        /// Its path.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Two packages have a file of the same name and neither comes first.
    #[error(transparent)]
    Conflict(#[from] Box<crate::build::builtin::Conflict>),
    /// A tree of links could not be made.
    #[error("{0}")]
    Links(String),
}

/// Which generations are to be deleted; the current one always stays, or is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// All but the current one.
    Old,
    /// These. To name the current one is an error.
    Numbers(std::collections::BTreeSet<u64>),
    /// All that are older than the current one and the `n - 1` before it.
    AllButNewest(u64),
    /// Those that were replaced before this time, in seconds since 1970.
    ReplacedBefore(u64),
}

/// Whether a change is made or only announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is only announced.
    Announced,
    /// It is made.
    Made,
}

impl Change {
    /// What an option `--dry-run` asks for.
    pub fn unless(dry: bool) -> Change {
        if dry { Change::Announced } else { Change::Made }
    }
}

impl ProfileError {
    pub(super) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
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
pub fn replace_link(target: &Path, link: &Path) -> Result<(), ProfileError> {
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
    remove_leftovers(profile, &directory);
    Ok(locks)
}

/// Removes links that a killed process was about to rename. Whoever holds the lock knows that nobody needs them.
fn remove_leftovers(profile: &Path, directory: &Path) {
    let prefix = format!("{}.tmp-", name_of(profile));
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix)
            && entry.file_type().is_ok_and(|kind| kind.is_symlink())
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// What a profile pointed to at some moment; tells whether it was changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(Option<PathBuf>);

impl Token {
    /// What the profile points to now.
    pub fn of(profile: &Path) -> Self {
        Token(std::fs::read_link(profile).ok())
    }
}

/// A turn at changing a profile: nobody else has one while it lives.
///
/// Whoever finds that a profile was changed meanwhile takes a turn for the next attempts: a hundred at once would
/// otherwise undo each other's work again and again.
#[derive(Debug)]
pub struct Turn {
    _locks: PathLocks,
}

impl Turn {
    /// Waits for a turn, unless there is one already.
    pub fn take(turn: &mut Option<Turn>, profile: &Path) -> Result<(), ProfileError> {
        if turn.is_some() {
            return Ok(());
        }
        let mut name = profile.as_os_str().to_owned();
        name.push(".turn");
        let mut locks = PathLocks::acquire([PathBuf::from(name)], &mut |_| {})
            .map_err(|e| ProfileError::file("locking", profile, e))?;
        locks.set_deletion(true);
        *turn = Some(Turn { _locks: locks });
        Ok(())
    }
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
        Self::add_locked(store, profile, path)
    }

    /// As [`Generations::add`], unless the profile was changed after the token was taken.
    pub fn add_unless_changed(
        store: &dyn Store,
        profile: &Path,
        path: &StorePath,
        token: &Token,
    ) -> Result<Option<Generation>, ProfileError> {
        let _lock = lock(profile)?;
        if Token::of(profile) != *token {
            return Ok(None);
        }
        Self::add_locked(store, profile, path).map(Some)
    }

    fn add_locked(
        store: &dyn Store,
        profile: &Path,
        path: &StorePath,
    ) -> Result<Generation, ProfileError> {
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
    pub fn switch(
        profile: &Path,
        number: Option<u64>,
        change: Change,
    ) -> Result<Generation, ProfileError> {
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
                generations.current.unwrap_or(0),
                chosen.number
            ),
        );
        if change == Change::Made {
            switch_to(profile, chosen)?;
        }
        Ok(chosen.clone())
    }

    /// Deletes generations, saying which.
    pub fn delete(profile: &Path, which: &Deletion, change: Change) -> Result<(), ProfileError> {
        let _lock = lock(profile)?;
        let generations = Self::of(profile)?;
        for generation in generations.chosen(profile, which)? {
            let number = generation.number;
            let level = crate::progress::Level::Notice;
            if change == Change::Announced {
                let text = format_args!("would remove profile version {number}");
                crate::progress::log(level, text);
                continue;
            }
            crate::progress::log(level, format_args!("removing profile version {number}"));
            std::fs::remove_file(&generation.link)
                .map_err(|e| ProfileError::file("removing", &generation.link, e))?;
        }
        Ok(())
    }

    /// The generations that a deletion means, in the order in which they go.
    fn chosen(&self, profile: &Path, which: &Deletion) -> Result<Vec<&Generation>, ProfileError> {
        let is_current = |generation: &Generation| self.current == Some(generation.number);
        let chosen: Vec<&Generation> = match which {
            Deletion::Old => self.all.iter().collect(),
            Deletion::Numbers(numbers) => {
                if self.current.is_some_and(|number| numbers.contains(&number)) {
                    return Err(ProfileError::Current(profile.display().to_string()));
                }
                let named = |generation: &&Generation| numbers.contains(&generation.number);
                self.all.iter().filter(named).collect()
            }
            Deletion::AllButNewest(0) => return Err(ProfileError::KeepNone),
            Deletion::AllButNewest(count) => {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                let from_current = self.all.iter().rev().skip_while(|it| !is_current(it));
                from_current.skip(count).collect()
            }
            // The one that was current at that time can still be gone back to.
            Deletion::ReplacedBefore(time) => {
                let older = self.all.iter().rev().skip_while(|it| it.created >= *time);
                older.skip(1).collect()
            }
        };
        Ok(chosen.into_iter().filter(|it| !is_current(it)).collect())
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
        let switch = |number| Generations::switch(&profile, number, Change::Made);
        let delete = |number| {
            let numbers = Deletion::Numbers(BTreeSet::from([number]));
            Generations::delete(&profile, &numbers, Change::Made)
        };
        assert_eq!(switch(None).unwrap().number, 2);
        assert_eq!(std::fs::read_link(&profile).unwrap(), Path::new("p-2-link"));
        assert!(delete(2).is_err());
        delete(1).unwrap();
        assert_eq!(
            switch(None).unwrap_err().to_string(),
            "no profile version older than the current (2) exists"
        );
        assert_eq!(
            switch(Some(9)).unwrap_err().to_string(),
            "profile version 9 does not exist"
        );
        let roots = store.find_roots(false).unwrap();
        assert!(roots.contains_key(&a) && roots.contains_key(&b));
    }

    #[test]
    fn old_generations_are_chosen_by_count_and_age() {
        let generation = |number, created| Generation {
            number,
            link: PathBuf::from(format!("p-{number}-link")),
            created,
        };
        let generations = Generations {
            all: (1..=6).map(|n| generation(n, n * 10)).collect(),
            current: Some(5),
        };
        let numbers = |which| -> Vec<u64> {
            let chosen = generations.chosen(Path::new("p"), &which).unwrap();
            chosen.into_iter().map(|it| it.number).collect()
        };
        assert_eq!(numbers(Deletion::Old), [1, 2, 3, 4, 6]);
        assert_eq!(numbers(Deletion::AllButNewest(2)), [3, 2, 1]);
        assert_eq!(numbers(Deletion::ReplacedBefore(35)), [2, 1]);
        assert_eq!(numbers(Deletion::ReplacedBefore(99)), [4, 3, 2, 1]);
        assert!(
            generations
                .chosen(Path::new("p"), &Deletion::AllButNewest(0))
                .is_err()
        );
    }

    #[test]
    fn a_change_by_somebody_else_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(LocalConfig::at_root(dir.path())).unwrap();
        let profile = dir.path().join("profiles/p");
        let (a, b) = (text(&store, "a"), text(&store, "b"));
        let token = Token::of(&profile);
        Generations::add(&store, &profile, &a).unwrap();
        let late = Generations::add_unless_changed(&store, &profile, &b, &token).unwrap();
        assert_eq!(late, None);
        let token = Token::of(&profile);
        // What a killed process left does not stay.
        std::os::unix::fs::symlink("x", dir.path().join("profiles/p.tmp-1-0")).unwrap();
        let now = Generations::add_unless_changed(&store, &profile, &b, &token).unwrap();
        assert_eq!(now.unwrap().number, 2);
        assert!(
            dir.path()
                .join("profiles/p.tmp-1-0")
                .symlink_metadata()
                .is_err()
        );
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
