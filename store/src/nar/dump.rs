//! A tree of the file system to bytes.
//!
//! Directories are walked with one descriptor a level, so no name is looked up twice and no symbolic link is
//! followed below the root, whatever happens to the tree meanwhile.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{self as rfs, AtFlags, FileType, Mode, OFlags};

use super::{CASE_HACK_SUFFIX, MAX_DEPTH, NarError, Sink, Writer};

/// What a file is, as filters see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Anything else; archives cannot hold it.
    Other,
}

impl FileKind {
    /// The name that `builtins.readFileType` gives.
    pub const fn name(self) -> &'static str {
        match self {
            FileKind::Regular => "regular",
            FileKind::Directory => "directory",
            FileKind::Symlink => "symlink",
            FileKind::Other => "unknown",
        }
    }
}

impl From<FileType> for FileKind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => FileKind::Regular,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Other,
        }
    }
}

/// Decides whether an entry (given by its whole path) goes into the archive; `None` gives up.
pub type Filter<'a> = dyn FnMut(&Path, FileKind) -> Option<bool> + 'a;

/// Writes the archive of the file, link or directory at `path`.
pub fn dump<W: Sink>(path: &Path, out: W) -> Result<W, NarError> {
    Dumper::new(path, out, None)?.run()
}

/// Writes the archive of a tree that was unpacked with [`super::RestoreOptions::case_hack`]: the suffixes that kept
/// names apart are removed again.
pub fn dump_case_hacked<W: Sink>(path: &Path, out: W) -> Result<W, NarError> {
    let mut dumper = Dumper::new(path, out, None)?;
    dumper.case_hack = true;
    dumper.run()
}

/// Writes the archive of the entries below `path` that the filter keeps.
pub fn dump_filtered<W: Sink>(path: &Path, out: W, filter: &mut Filter<'_>) -> Result<W, NarError> {
    Dumper::new(path, out, Some(filter))?.run()
}

struct Level {
    /// Shared, so that an entry can be opened while the dumper changes.
    fd: Rc<OwnedFd>,
    entries: std::vec::IntoIter<Entry>,
}

struct Entry {
    /// The name on disk.
    name: CString,
    /// The name in the archive, where it is another one.
    shown: Option<CString>,
    kind: FileType,
}

struct Dumper<'a, 'f, W: Sink> {
    writer: Writer<W>,
    path: PathBuf,
    levels: Vec<Level>,
    filter: Option<&'a mut Filter<'f>>,
    case_hack: bool,
}

impl<'a, 'f, W: Sink> Dumper<'a, 'f, W> {
    fn new(path: &Path, out: W, filter: Option<&'a mut Filter<'f>>) -> Result<Self, NarError> {
        Ok(Dumper {
            writer: Writer::new(out),
            path: path.to_owned(),
            levels: Vec::new(),
            filter,
            case_hack: false,
        })
    }

    fn run(mut self) -> Result<W, NarError> {
        let root = CString::new(self.path.as_os_str().as_bytes())
            .map_err(|_| NarError::BadName(self.path.display().to_string()))?;
        let stat = rfs::statat(rfs::CWD, &root, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| NarError::file("getting status of", &self.path, e))?;
        self.object(rfs::CWD, &root, b"", FileType::from_raw_mode(stat.st_mode))?;
        while let Some(level) = self.levels.last_mut() {
            let Some(Entry { name, shown, kind }) = level.entries.next() else {
                self.levels.pop();
                self.writer.end_directory()?;
                if !self.levels.is_empty() {
                    self.path.pop();
                }
                continue;
            };
            self.path.push(std::ffi::OsStr::from_bytes(name.as_bytes()));
            let parent = Rc::clone(&level.fd);
            let fd = parent.as_fd();
            let kind = if kind == FileType::Unknown {
                let stat = rfs::statat(fd, &name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|e| NarError::file("getting status of", &self.path, e))?;
                FileType::from_raw_mode(stat.st_mode)
            } else {
                kind
            };
            let keep = match &mut self.filter {
                None => true,
                Some(filter) => filter(&self.path, kind.into()).ok_or(NarError::Filter)?,
            };
            let shown = shown.as_ref().unwrap_or(&name).as_bytes();
            let entered = keep && self.object(fd, &name, shown, kind)?;
            if !entered {
                self.path.pop();
            }
        }
        self.writer.finish()
    }

    /// Writes one object; true when it is a directory that was entered.
    fn object(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CString,
        shown: &[u8],
        kind: FileType,
    ) -> Result<bool, NarError> {
        match kind {
            FileType::RegularFile => {
                let fd = open(parent, name, OFlags::empty())
                    .map_err(|e| NarError::file("opening", &self.path, e))?;
                self.regular(shown, fd)?;
                Ok(false)
            }
            FileType::Symlink => {
                let target = rfs::readlinkat(parent, name, Vec::new())
                    .map_err(|e| NarError::file("reading symbolic link", &self.path, e))?;
                self.writer.symlink(shown, target.as_bytes())?;
                Ok(false)
            }
            FileType::Directory => {
                if self.levels.len() >= MAX_DEPTH {
                    return Err(NarError::TooDeep);
                }
                let fd = open(parent, name, OFlags::DIRECTORY)
                    .map_err(|e| NarError::file("opening directory", &self.path, e))?;
                let entries = read_directory(fd.as_fd())
                    .map_err(|e| NarError::file("reading directory", &self.path, e))?;
                let entries = self.sorted(entries)?;
                self.writer.directory(shown)?;
                self.levels.push(Level {
                    fd: Rc::new(fd),
                    entries: entries.into_iter(),
                });
                Ok(true)
            }
            _ => Err(NarError::UnsupportedType(self.path.display().to_string())),
        }
    }

    /// Entries in the order of their names in the archive.
    fn sorted(&self, entries: Vec<(CString, FileType)>) -> Result<Vec<Entry>, NarError> {
        let mut entries: Vec<Entry> = entries
            .into_iter()
            .map(|(name, kind)| {
                let end = memchr::memmem::find(name.as_bytes(), CASE_HACK_SUFFIX);
                let shown = match end {
                    Some(end) if self.case_hack => CString::new(&name.as_bytes()[..end]).ok(),
                    _ => None,
                };
                Entry { name, shown, kind }
            })
            .collect();
        entries.sort_unstable_by(|a, b| {
            a.shown
                .as_ref()
                .unwrap_or(&a.name)
                .cmp(b.shown.as_ref().unwrap_or(&b.name))
        });
        for pair in entries.windows(2) {
            let [a, b] = pair else { continue };
            if a.shown.as_ref().unwrap_or(&a.name) == b.shown.as_ref().unwrap_or(&b.name) {
                let place = |entry: &Entry| {
                    self.path
                        .join(std::ffi::OsStr::from_bytes(entry.name.as_bytes()))
                        .display()
                        .to_string()
                };
                return Err(NarError::Collision(place(a), place(b)));
            }
        }
        Ok(entries)
    }

    fn regular(&mut self, name: &[u8], fd: OwnedFd) -> Result<(), NarError> {
        let stat =
            rfs::fstat(&fd).map_err(|e| NarError::file("getting status of", &self.path, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(NarError::Changed(self.path.display().to_string()));
        }
        let size = stat.st_size as u64;
        self.writer.file(name, stat.st_mode & 0o100 != 0, size)?;
        let mut left = size;
        while left > 0 {
            let read = self.writer.contents_of(fd.as_fd()).map_err(|e| match e {
                NarError::Io(e) => NarError::file("reading", &self.path, e),
                other => other,
            })?;
            if read == 0 {
                return Err(NarError::Changed(self.path.display().to_string()));
            }
            left -= read as u64;
        }
        Ok(())
    }
}

fn open(parent: BorrowedFd<'_>, name: &CString, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    // Non-blocking, so that a file replaced by a fifo in the meantime cannot hang us.
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rfs::openat(parent, name, flags, Mode::empty())
}

/// Entries of an open directory without `.` and `..`, in no order.
pub(crate) fn read_directory(fd: BorrowedFd<'_>) -> rustix::io::Result<Vec<(CString, FileType)>> {
    let mut entries = Vec::new();
    for entry in rfs::Dir::read_from(fd)? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            entries.push((name.to_owned(), entry.file_type()));
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::super::{RestoreOptions, restore};
    use super::*;
    use crate::hash::{Algorithm, Hash};
    use crate::parallel_hash::{HashedBlocks, ParallelHasher};

    #[test]
    fn files_of_all_sizes_arrive_whole_whatever_the_archive_goes_to() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let mut sizes: Vec<usize> = vec![0, 1, 7, 8, 9, 4096];
        for edge in [1 << 16, 1 << 17, 1 << 19, (1 << 19) * 3] {
            sizes.extend([edge - 300, edge - 1, edge, edge + 1]);
        }
        // Small ones between large ones, so that blocks end anywhere.
        for (number, size) in sizes.iter().chain(&sizes).enumerate() {
            let contents: Vec<u8> = (0..*size).map(|n| ((n * 7 + number) % 251) as u8).collect();
            std::fs::write(tree.join(format!("{:03}", number * 37 % 101)), contents).unwrap();
        }
        let archive = dump(&tree, Vec::new()).unwrap();
        let blocks = HashedBlocks(ParallelHasher::new(Algorithm::Sha256));
        let hasher = dump(&tree, blocks).unwrap().0.finish().unwrap();
        assert_eq!(hasher.bytes(), archive.len() as u64);
        assert_eq!(hasher.finish(), Hash::of(Algorithm::Sha256, &archive));
        let copy = place.path().join("copy");
        restore(&archive[..], &copy, RestoreOptions::default()).unwrap();
        for entry in std::fs::read_dir(&tree).unwrap() {
            let name = entry.unwrap().file_name();
            let same = std::fs::read(tree.join(&name)).unwrap()
                == std::fs::read(copy.join(&name)).unwrap();
            assert!(same, "{}", name.display());
        }
    }
}
