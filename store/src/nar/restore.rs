//! Bytes to a tree of the file system.
//!
//! Everything is made with `mkdirat`, `openat(O_EXCL)` and `symlinkat` relative to descriptors of directories that
//! were just made, so nothing in the archive and nobody beside us can lead a write elsewhere. When anything
//! fails, what was made is removed again.

use std::ffi::CString;
use std::fs::File;
use std::io::{BufRead, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use rustix::fs::{self as rfs, AtFlags, Mode, OFlags, Timespec, Timestamps};

use super::{Event, NarError, Reader};
use crate::remove::remove_tree_at;

/// How a tree is made.
#[derive(Clone, Copy, Default, Debug)]
pub struct RestoreOptions {
    /// Give files the modes (0444, 0555) and the time (one second after the epoch) of store objects at once.
    pub canonical: bool,
    /// Keep names apart that differ only in case, by suffixes.
    pub case_hack: bool,
    /// When it fails, leave the directory that the root was to become, empty: a second try then fails in the same way
    /// as programs know it, instead of looking like a first one.
    pub keep_root: bool,
}

/// Makes the tree at `dest`, which must not exist.
pub fn restore(input: impl BufRead, dest: &Path, options: RestoreOptions) -> Result<(), NarError> {
    let mut reader = Reader::new(input);
    restore_at(&mut reader, dest, options)
}

/// Like [`restore`], for a reader that goes on being used.
pub fn restore_at<R: BufRead>(
    reader: &mut Reader<R>,
    dest: &Path,
    options: RestoreOptions,
) -> Result<(), NarError> {
    let (parent, name) = match (dest.parent(), dest.file_name()) {
        (Some(parent), Some(name)) => (parent, name),
        _ => return Err(NarError::BadName(dest.display().to_string())),
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let fd = rfs::openat(rfs::CWD, parent, flags, Mode::empty())
        .map_err(|e| NarError::file("opening directory", parent, e))?;
    let name =
        CString::new(name.as_bytes()).map_err(|_| NarError::BadName(dest.display().to_string()))?;
    restore_events(reader, fd.as_fd(), &name, dest, options)
}

/// Makes the tree as `name` in an open directory; `shown` is its path in messages.
pub fn restore_events<R: BufRead>(
    reader: &mut Reader<R>,
    parent: BorrowedFd<'_>,
    name: &CString,
    shown: &Path,
    options: RestoreOptions,
) -> Result<(), NarError> {
    let mut restorer = Restorer {
        open: Vec::new(),
        names: Vec::new(),
        path: shown.to_owned(),
        options,
        made_root: false,
        root_is_directory: false,
    };
    let result = restorer.run(reader, parent, name);
    if result.is_err() && restorer.made_root {
        let keep = options.keep_root && restorer.root_is_directory;
        drop(restorer);
        // What failed is reported; a failure to tidy up has nobody to hear it.
        let _ = remove_tree_at(parent, name);
        if keep {
            let _ = rfs::mkdirat(parent, name, Mode::from_raw_mode(0o777));
        }
    }
    result
}

/// Names in lower case: how each was first written, and how many differing in case followed.
type CaseNames = FxHashMap<Vec<u8>, (Vec<u8>, u32)>;

struct Restorer {
    open: Vec<OwnedFd>,
    /// With the case hack: names in every open directory.
    names: Vec<CaseNames>,
    path: PathBuf,
    options: RestoreOptions,
    made_root: bool,
    root_is_directory: bool,
}

/// The time that all files in a store have.
pub(crate) const STORE_TIME: Timestamps = Timestamps {
    last_access: Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    },
    last_modification: Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    },
};

/// The name with a suffix when one that differs only in case came before.
fn distinct_name(names: Option<&mut CaseNames>, name: &[u8]) -> Result<Vec<u8>, NarError> {
    let Some(names) = names else {
        return Ok(name.to_vec());
    };
    let Some((_, count)) = names.get_mut(&name.to_ascii_lowercase()) else {
        names.insert(name.to_ascii_lowercase(), (name.to_vec(), 0));
        return Ok(name.to_vec());
    };
    *count += 1;
    let suffixed = [name, super::CASE_HACK_SUFFIX, count.to_string().as_bytes()].concat();
    match names.get(&suffixed.to_ascii_lowercase()) {
        None => Ok(suffixed),
        Some((other, _)) => {
            let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
            Err(NarError::HackedCollision(text(name), text(other)))
        }
    }
}

impl Restorer {
    fn run<R: BufRead>(
        &mut self,
        reader: &mut Reader<R>,
        root_parent: BorrowedFd<'_>,
        root: &CString,
    ) -> Result<(), NarError> {
        loop {
            let Some(event) = reader.next_event()? else {
                return Ok(());
            };
            if event == Event::EndDirectory {
                self.end_directory()?;
                continue;
            }
            let (Event::Directory { name }
            | Event::Symlink { name, .. }
            | Event::File { name, .. }) = event
            else {
                continue;
            };
            let at_root = self.open.is_empty();
            let name = if at_root {
                root.clone()
            } else {
                let name = distinct_name(self.names.last_mut(), name)?;
                self.path.push(std::ffi::OsStr::from_bytes(&name));
                CString::new(name)
                    .map_err(|_| NarError::BadName(self.path.display().to_string()))?
            };
            let parent = self.open.last().map_or(root_parent, |fd| fd.as_fd());
            match event {
                Event::Directory { .. } => {
                    rfs::mkdirat(parent, &name, Mode::from_raw_mode(0o777))
                        .map_err(|e| NarError::file("creating directory", &self.path, e))?;
                    self.made_root = true;
                    let flags =
                        OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
                    let fd = rfs::openat(parent, &name, flags, Mode::empty())
                        .map_err(|e| NarError::file("opening directory", &self.path, e))?;
                    self.open.push(fd);
                    self.root_is_directory |= at_root;
                    if self.options.case_hack {
                        self.names.push(CaseNames::default());
                    }
                    continue;
                }
                Event::Symlink { target, .. } => {
                    rfs::symlinkat(target, parent, &name)
                        .map_err(|e| NarError::file("creating symlink", &self.path, e))?;
                    self.made_root = true;
                    if self.options.canonical {
                        rfs::utimensat(parent, &name, &STORE_TIME, AtFlags::SYMLINK_NOFOLLOW)
                            .map_err(|e| {
                                NarError::file("changing modification time of", &self.path, e)
                            })?;
                    }
                }
                Event::File {
                    executable, size, ..
                } => {
                    let flags = OFlags::CREATE
                        | OFlags::EXCL
                        | OFlags::WRONLY
                        | OFlags::CLOEXEC
                        | OFlags::NOFOLLOW;
                    let mode = Mode::from_raw_mode(if executable { 0o777 } else { 0o666 });
                    let fd = rfs::openat(parent, &name, flags, mode)
                        .map_err(|e| NarError::file("creating file", &self.path, e))?;
                    self.made_root = true;
                    let mut file = File::from(fd);
                    let mut written = 0;
                    while written < size {
                        let data = reader.chunk()?;
                        file.write_all(data)
                            .map_err(|e| NarError::file("writing to file", &self.path, e))?;
                        let n = data.len();
                        written += n as u64;
                        reader.consume(n)?;
                    }
                    if self.options.canonical {
                        let mode = Mode::from_raw_mode(if executable { 0o555 } else { 0o444 });
                        rfs::fchmod(&file, mode)
                            .map_err(|e| NarError::file("changing mode of", &self.path, e))?;
                        rfs::futimens(&file, &STORE_TIME).map_err(|e| {
                            NarError::file("changing modification time of", &self.path, e)
                        })?;
                    }
                }
                Event::EndDirectory => {}
            }
            if !at_root {
                self.path.pop();
            }
        }
    }

    fn end_directory(&mut self) -> Result<(), NarError> {
        self.names.pop();
        if let Some(fd) = self.open.pop()
            && self.options.canonical
        {
            rfs::fchmod(&fd, Mode::from_raw_mode(0o555))
                .map_err(|e| NarError::file("changing mode of", &self.path, e))?;
            rfs::futimens(&fd, &STORE_TIME)
                .map_err(|e| NarError::file("changing modification time of", &self.path, e))?;
        }
        if !self.open.is_empty() {
            self.path.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Tree, dump};
    use super::*;
    use std::collections::BTreeMap;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn sample() -> Tree {
        let inner = BTreeMap::from([
            (b"empty".to_vec(), Tree::file("")),
            (b"link".to_vec(), Tree::Symlink(b"../run".to_vec())),
            (b"nested".to_vec(), Tree::Directory(BTreeMap::new())),
        ]);
        Tree::Directory(BTreeMap::from([
            (b"dir".to_vec(), Tree::Directory(inner)),
            (b"file\xff".to_vec(), Tree::file(vec![7; 300_000])),
            (
                b"run".to_vec(),
                Tree::File {
                    executable: true,
                    contents: b"#!".to_vec(),
                },
            ),
        ]))
    }

    #[test]
    fn a_tree_survives_restoring_and_dumping() {
        let temp = tempfile::tempdir().unwrap();
        let nar = sample().to_nar().unwrap();
        for canonical in [false, true] {
            let dest = temp.path().join(format!("x{canonical}"));
            restore(
                &nar[..],
                &dest,
                RestoreOptions {
                    canonical,
                    ..Default::default()
                },
            )
            .unwrap();
            assert_eq!(dump(&dest, Vec::new()).unwrap(), nar);
        }
        let made = temp.path().join("xtrue");
        let stat = std::fs::metadata(made.join("run")).unwrap();
        assert_eq!(
            (stat.permissions().mode() & 0o7777, stat.mtime()),
            (0o555, 1)
        );
        let stat = std::fs::metadata(made.join("dir/empty")).unwrap();
        assert_eq!(
            (stat.permissions().mode() & 0o7777, stat.mtime()),
            (0o444, 1)
        );
        assert_eq!(
            std::fs::metadata(&made).unwrap().permissions().mode() & 0o7777,
            0o555
        );
        let parent = File::open(temp.path()).unwrap();
        remove_tree_at(parent.as_fd(), &CString::new("xtrue").unwrap()).unwrap();
        assert!(!made.exists());
    }

    #[test]
    fn nothing_is_left_behind_when_the_archive_is_cut_short_or_hostile() {
        let temp = tempfile::tempdir().unwrap();
        let nar = sample().to_nar().unwrap();
        let dest = temp.path().join("x");
        for end in (0..nar.len()).step_by(if nar.len() > 4000 { 977 } else { 1 }) {
            assert!(
                restore(
                    &nar[..end],
                    &dest,
                    RestoreOptions {
                        canonical: true,
                        ..Default::default()
                    }
                )
                .is_err()
            );
            assert!(std::fs::symlink_metadata(&dest).is_err(), "left at {end}");
        }
    }

    #[test]
    fn an_existing_destination_is_neither_overwritten_nor_removed() {
        let temp = tempfile::tempdir().unwrap();
        let dest = temp.path().join("x");
        std::fs::write(&dest, "mine").unwrap();
        for tree in [sample(), Tree::file("new"), Tree::Symlink(b"y".to_vec())] {
            let nar = tree.to_nar().unwrap();
            assert!(restore(&nar[..], &dest, RestoreOptions::default()).is_err());
        }
        assert_eq!(std::fs::read(&dest).unwrap(), b"mine");
    }

    #[test]
    fn names_that_differ_only_in_case_can_be_kept_apart_and_put_back() {
        let temp = tempfile::tempdir().unwrap();
        let dest = temp.path().join("x");
        let tree = Tree::Directory(BTreeMap::from([
            (b"FOO".to_vec(), Tree::file("1")),
            (b"Foo".to_vec(), Tree::Directory(BTreeMap::new())),
            (b"foo".to_vec(), Tree::file("3")),
        ]));
        let nar = tree.to_nar().unwrap();
        let options = RestoreOptions {
            case_hack: true,
            ..RestoreOptions::default()
        };
        restore(&nar[..], &dest, options).unwrap();
        assert!(dest.join("Foo~nix~case~hack~1").is_dir());
        assert!(dest.join("foo~nix~case~hack~2").is_file());
        assert_eq!(
            super::super::dump_case_hacked(&dest, Vec::new()).unwrap(),
            nar
        );
        std::fs::write(dest.join("foo~nix~case~hack~3"), "").unwrap();
        assert!(super::super::dump_case_hacked(&dest, Vec::new()).is_err());
    }

    #[test]
    fn filters_decide_what_goes_into_an_archive() {
        let temp = tempfile::tempdir().unwrap();
        let dest = temp.path().join("x");
        restore(
            &sample().to_nar().unwrap()[..],
            &dest,
            RestoreOptions::default(),
        )
        .unwrap();
        let mut seen = Vec::new();
        let nar = super::super::dump_filtered(&dest, Vec::new(), &mut |path, kind| {
            seen.push((path.strip_prefix(&dest).unwrap().to_owned(), kind));
            Some(!path.ends_with("dir"))
        })
        .unwrap();
        let Tree::Directory(entries) = Tree::read(&mut Reader::new(&nar[..])).unwrap() else {
            panic!("a directory")
        };
        assert_eq!(entries.len(), 2);
        assert_eq!(seen.len(), 3);
    }
}
