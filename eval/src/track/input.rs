//! Inputs: what evaluation looked at, what it saw, and whether it would see the same now.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::hash::Hasher;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};

use crate::io::{FileKind, Listing};

/// What was looked at of a path (or variable).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum InputKind {
    /// The bytes of a file.
    Contents = 0,
    /// The names and kinds in a directory.
    Listing = 1,
    /// What the path is, if anything; links are not followed.
    Kind = 2,
    /// Where the path leads when all links are followed.
    Link = 3,
    /// A file or directory with all that is in it.
    Tree = 4,
    /// A variable of the environment.
    Variable = 5,
    /// Something that may be different every time, such as what the network gives.
    Volatile = 6,
}

impl InputKind {
    /// The kind with this number.
    pub fn from_u8(number: u8) -> Option<InputKind> {
        use InputKind::{Contents, Kind, Link, Listing, Tree, Variable, Volatile};
        [Contents, Listing, Kind, Link, Tree, Variable, Volatile]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// Something that evaluation looked at.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Input {
    /// What of it.
    pub kind: InputKind,
    /// The path, or the variable's name.
    pub path: Box<[u8]>,
}

/// What an input was like, in two hashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// Of what the file system says about it (inode, size, times): when this is the same, so is the input.
    /// Zero if the file was so new that a change in the same moment would not be seen.
    pub quick: u64,
    /// Of the bytes or names, if it has any: when this is the same, the input is, whatever `quick` says.
    pub contents: u64,
}

/// What became of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// Nothing.
    Same,
    /// It has the same contents, but another `quick` state.
    Touched(State),
    /// It is another.
    Changed,
}

/// The `quick` state of what is not there.
const ABSENT: u64 = 1;
/// Times of files are this coarse on the file systems that we know.
const COARSE: Duration = Duration::from_millis(50);
/// Directories below each other that a tree may have.
const DEEPEST: usize = 500;

impl Input {
    /// An input.
    pub fn new(kind: InputKind, path: &[u8]) -> Input {
        Input {
            kind,
            path: path.into(),
        }
    }

    /// What the file system says about it now.
    pub fn quick(&self) -> u64 {
        quick(self.kind, &self.path, None)
    }

    /// What it is like now.
    pub fn observe(&self) -> State {
        let quick = self.quick();
        let contents = match self.kind {
            InputKind::Contents => {
                std::fs::read(os_path(&self.path)).map_or(0, |bytes| hash_contents(&bytes))
            }
            InputKind::Listing => {
                list(os_path(&self.path)).map_or(0, |listing| hash_listing(&listing))
            }
            _ => 0,
        };
        State { quick, contents }
    }

    /// Whether it is still as it was.
    pub fn check(&self, state: State) -> Check {
        check(self.kind, &self.path, state, None)
    }
}

fn os_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// An open directory: files in it are found faster from there.
#[derive(Debug)]
pub struct Near {
    dir: OwnedFd,
    /// Its path with a slash.
    prefix: Vec<u8>,
}

impl Near {
    /// Opens a directory.
    pub fn open(path: &[u8]) -> Option<Near> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = fs::open(path, flags, Mode::empty()).ok()?;
        Some(Near {
            dir,
            prefix: [path, b"/"].concat(),
        })
    }
}

fn stat(path: &[u8], near: Option<&Near>, flags: AtFlags) -> rustix::io::Result<Stat> {
    if let Some(near) = near
        && let Some(rest) = path
            .strip_prefix(&near.prefix[..])
            .filter(|r| !r.is_empty())
    {
        fs::statat(&near.dir, rest, flags)
    } else {
        fs::statat(fs::CWD, path, flags)
    }
}

/// What the file system says about an input now.
fn quick(kind: InputKind, path: &[u8], near: Option<&Near>) -> u64 {
    match kind {
        InputKind::Contents | InputKind::Listing => match stat(path, near, AtFlags::empty()) {
            Ok(stat) => quick_of(&stat),
            Err(_) => ABSENT,
        },
        InputKind::Kind => match stat(path, near, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => quick_of_kind(Some(FileType::from_raw_mode(stat.st_mode).into())),
            Err(_) => quick_of_kind(None),
        },
        InputKind::Link => match std::fs::canonicalize(os_path(path)) {
            Ok(target) => hash_words(target.as_os_str().as_bytes(), &[]),
            Err(_) => ABSENT,
        },
        InputKind::Tree => {
            let mut hasher = DefaultHasher::new();
            hash_tree(os_path(path), &mut hasher, DEEPEST);
            hasher.finish()
        }
        InputKind::Variable => match std::env::var_os(OsStr::from_bytes(path)) {
            Some(value) => hash_words(value.as_bytes(), &[]),
            None => ABSENT,
        },
        InputKind::Volatile => 0,
    }
}

/// Whether an input is still as it was. What is near is found from there.
pub fn check(kind: InputKind, path: &[u8], state: State, near: Option<&Near>) -> Check {
    if kind == InputKind::Volatile {
        return Check::Changed;
    }
    let quick = quick(kind, path, near);
    if quick == state.quick && quick != 0 {
        return Check::Same;
    }
    let contents = match kind {
        InputKind::Contents => match std::fs::read(os_path(path)) {
            Ok(bytes) => hash_contents(&bytes),
            Err(_) => return Check::Changed,
        },
        InputKind::Listing => match list(os_path(path)) {
            Ok(listing) => hash_listing(&listing),
            Err(_) => return Check::Changed,
        },
        _ => return Check::Changed,
    };
    if contents == state.contents {
        Check::Touched(State { quick, contents })
    } else {
        Check::Changed
    }
}

/// The `quick` state of a file or directory.
fn quick_of(stat: &Stat) -> u64 {
    let changed = stat.st_mtime.max(stat.st_ctime);
    let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(changed).unwrap_or(0));
    let now = SystemTime::now();
    // Only whole seconds are compared here; a second more costs one reading of the file later.
    if changed + Duration::from_secs(1) + COARSE > now {
        return 0;
    }
    let words = [
        stat.st_ino,
        stat.st_size as u64,
        stat.st_mtime as u64,
        stat.st_mtime_nsec,
        stat.st_ctime as u64,
        stat.st_ctime_nsec,
    ];
    hash_words(b"", &words)
}

/// The `quick` state of an [`InputKind::Kind`].
pub(super) fn quick_of_kind(kind: Option<FileKind>) -> u64 {
    match kind {
        None => ABSENT,
        Some(FileKind::Regular) => 2,
        Some(FileKind::Directory) => 3,
        Some(FileKind::Symlink) => 4,
        Some(FileKind::Unknown) => 5,
    }
}

fn hash_words(bytes: &[u8], words: &[u64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    for word in words {
        hasher.write_u64(*word);
    }
    // Small numbers have meanings of their own.
    hasher.finish() | 1 << 63
}

/// The hash of a file's bytes.
pub(super) fn hash_contents(bytes: &[u8]) -> u64 {
    let digest = rx_store::hash::sha256(bytes);
    u64::from_le_bytes([
        digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
    ])
}

/// The hash of the names and kinds in a directory.
pub(super) fn hash_listing(listing: &Listing) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, kind) in listing.iter() {
        hasher.write(name);
        hasher.write_u8(0);
        hasher.write_u64(quick_of_kind(Some(kind)));
    }
    hasher.finish()
}

fn list(dir: &Path) -> std::io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        listing.push(entry.file_name().as_bytes(), file_kind(entry.file_type()?));
    }
    listing.sort();
    Ok(listing)
}

fn file_kind(kind: std::fs::FileType) -> FileKind {
    if kind.is_file() {
        FileKind::Regular
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Unknown
    }
}

/// Adds what the file system says about a tree to a hash.
fn hash_tree(path: &Path, hasher: &mut DefaultHasher, deeper: usize) {
    let Ok(stat) = fs::statat(fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW) else {
        return hasher.write_u64(ABSENT);
    };
    for word in [
        u64::from(stat.st_mode),
        stat.st_ino,
        stat.st_size as u64,
        stat.st_mtime as u64,
        stat.st_mtime_nsec,
        stat.st_ctime as u64,
        stat.st_ctime_nsec,
    ] {
        hasher.write_u64(word);
    }
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory || deeper == 0 {
        return;
    }
    let mut names: Vec<_> = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    names.sort();
    for name in names {
        hasher.write(name.as_bytes());
        hash_tree(&path.join(name), hasher, deeper - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(kind: InputKind, path: &Path) -> Input {
        Input::new(kind, path.as_os_str().as_bytes())
    }

    #[test]
    fn a_file_is_the_same_as_long_as_its_bytes_are() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "one").unwrap();
        let input = input(InputKind::Contents, &file);
        let state = State {
            quick: input.quick(),
            contents: hash_contents(b"one"),
        };
        // It is too new for its times to be trusted, so its bytes are compared.
        assert_eq!(state.quick, 0);
        assert!(matches!(input.check(state), Check::Touched(_)));
        std::fs::write(&file, "two").unwrap();
        assert_eq!(input.check(state), Check::Changed);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(input.check(state), Check::Changed);
    }

    #[test]
    fn what_is_missing_is_the_same_until_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        for kind in [InputKind::Kind, InputKind::Contents, InputKind::Link] {
            let input = input(kind, &file);
            let state = State {
                quick: input.quick(),
                contents: 0,
            };
            assert_eq!(input.check(state), Check::Same);
            std::fs::create_dir(&file).unwrap();
            assert_eq!(input.check(state), Check::Changed);
            std::fs::remove_dir(&file).unwrap();
        }
    }

    #[test]
    fn a_directory_changes_with_its_names() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "").unwrap();
        let input = input(InputKind::Listing, dir.path());
        let state = State {
            quick: input.quick(),
            contents: hash_listing(&list(dir.path()).unwrap()),
        };
        assert_ne!(input.check(state), Check::Changed);
        std::fs::write(dir.path().join("b"), "").unwrap();
        assert_eq!(input.check(state), Check::Changed);
    }

    #[test]
    fn a_tree_changes_with_anything_in_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("d/a"), "").unwrap();
        let input = input(InputKind::Tree, dir.path());
        let state = State {
            quick: input.quick(),
            contents: 0,
        };
        assert_eq!(input.check(state), Check::Same);
        std::fs::write(dir.path().join("d/a"), "more").unwrap();
        assert_eq!(input.check(state), Check::Changed);
    }
}
