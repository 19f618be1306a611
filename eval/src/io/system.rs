//! The machine itself, looked at no more often than needed.
//!
//! Kinds of files, directory listings and resolved links are remembered: an evaluation sees one state of the disk. A
//! listing answers for the kinds of its entries, so a tree of packages costs one listing a directory and no
//! status call a file. What is missing is only remembered outside of the store, where things appear while
//! an evaluation runs.

use std::ffi::OsStr;
use std::io::{Error as IoError, ErrorKind as IoErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;
use rx_store::path::StorePath;

use super::{EvalIo, EvalStore, FileKind, Listing, TreeSource, internal, outside};
use crate::compile::canonical;
use crate::error::{Error, ErrorKind, Result};
use crate::outside::does_not_exist;

/// Files, environment and clock of this machine, with a store.
pub struct SystemIo {
    store: Box<dyn EvalStore>,
    /// The store directory with a slash.
    store_prefix: Vec<u8>,
    /// Variables that only the evaluation sees.
    variables: Vec<(Vec<u8>, Vec<u8>)>,
    known: Known,
}

/// What has been seen of the disk, by path.
#[derive(Default)]
struct Known {
    kinds: RwLock<FxHashMap<Box<[u8]>, Option<FileKind>>>,
    listings: RwLock<FxHashMap<Box<[u8]>, Arc<Listing>>>,
    resolved: RwLock<FxHashMap<Box<[u8]>, Arc<[u8]>>>,
}

/// Links that may be followed for one path.
const MOST_LINKS: usize = 256;
/// The longest path that the system understands. Longer ones are not taken apart, as that takes stack.
const LONGEST_PATH: usize = 4096;
/// Bytes of a directory that are read at once.
const LISTING_BUFFER: usize = 32 * 1024;
/// A longer file is no program and no text.
const LARGEST_FILE: usize = 4 << 30;
/// A file of no size may be one that the kernel makes up; it is read in pieces of this size.
const PIECE: usize = 64 * 1024;

impl SystemIo {
    /// The machine with this store.
    pub fn new(store: Box<dyn EvalStore>) -> SystemIo {
        let store_prefix = [store.dir().as_bytes(), b"/"].concat();
        SystemIo {
            store,
            store_prefix,
            variables: Vec::new(),
            known: Known::default(),
        }
    }

    /// Adds a variable to the environment that the evaluation sees.
    pub fn with_variable(mut self, name: Vec<u8>, value: Vec<u8>) -> SystemIo {
        self.variables.push((name, value));
        self
    }

    /// Where a path really is: the store may be elsewhere than its paths say.
    fn real(&self, path: &[u8]) -> Option<Vec<u8>> {
        if path.starts_with(&self.store_prefix) {
            self.store.real_path(path)
        } else {
            None
        }
    }

    fn status(&self, path: &[u8]) -> Result<Option<FileKind>> {
        let real = self.real(path);
        let at = real.as_deref().unwrap_or(path);
        match fs::statat(fs::CWD, at, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode).into())),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(failed("getting status of", path, error)),
        }
    }

    fn resolve_links(&self, path: &[u8], left: &mut usize) -> Result<Arc<[u8]>> {
        if let Some(known) = self.known.resolved.read().get(path) {
            return Ok(known.clone());
        }
        let Some((parent, name)) = split(path).filter(|_| path.len() < LONGEST_PATH) else {
            return Ok(path.into());
        };
        let parent = self.resolve_links(parent, left)?;
        let here = join(&parent, name);
        let resolved: Arc<[u8]> = match self.kind(&here)? {
            Some(FileKind::Symlink) => {
                if *left == 0 {
                    return Err(too_many_links(path));
                }
                *left -= 1;
                let target = self.read_link(&here)?;
                let target = if target.first() == Some(&b'/') {
                    canonical(&target)
                } else {
                    canonical(&[&parent, &b"/"[..], &target].concat())
                };
                self.resolve_links(&target, left)?
            }
            Some(_) => here.into(),
            // What is not there may be there later.
            None => return Ok(here.into()),
        };
        self.known
            .resolved
            .write()
            .insert(path.into(), resolved.clone());
        Ok(resolved)
    }
}

/// The directory of a path and the name in it; nothing for the root.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = memchr::memrchr(b'/', path)?;
    let name = &path[slash + 1..];
    (!name.is_empty()).then(|| (&path[..slash.max(1)], name))
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir == b"/" {
        [b"/", name].concat()
    } else {
        [dir, b"/", name].concat()
    }
}

#[cold]
fn too_many_links(path: &[u8]) -> Box<Error> {
    let shown = String::from_utf8_lossy(path);
    outside(format_args!("infinite symlink recursion in path '{shown}'"))
}

/// What the system says of an error.
fn reason(error: Errno) -> String {
    let text = IoError::from(error).to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

#[cold]
fn failed(what: &str, path: &[u8], error: Errno) -> Box<Error> {
    if IoError::from(error).kind() == IoErrorKind::NotFound {
        return does_not_exist(path);
    }
    let shown = String::from_utf8_lossy(path);
    outside(format_args!("{what} '{shown}': {}", reason(error)))
}

impl From<FileType> for FileKind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => FileKind::Regular,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Unknown,
        }
    }
}

/// All bytes of an open file.
fn read_all(file: &OwnedFd, path: &[u8]) -> Result<Vec<u8>> {
    let stat = fs::fstat(file).map_err(|e| failed("getting status of", path, e))?;
    let size = usize::try_from(stat.st_size).unwrap_or(0);
    let mut bytes = vec![0; if size == 0 { PIECE } else { size }];
    if size > PIECE {
        crate::heap::prefer_large_pages(bytes.as_ptr().addr(), size);
    }
    let mut len = 0;
    loop {
        if rx_store::interrupt::is_set() {
            return Err(Error::new(
                ErrorKind::Interrupted,
                "interrupted by the user",
            ));
        }
        if bytes.len() > LARGEST_FILE {
            let shown = String::from_utf8_lossy(path);
            return Err(outside(format_args!("file '{shown}' is too large")));
        }
        match rustix::io::read(file, &mut bytes[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(Errno::INTR) => {}
            Err(Errno::ISDIR) => {
                return Err(outside(format_args!(
                    "read of {size} bytes: {}",
                    reason(Errno::ISDIR)
                )));
            }
            Err(error) => return Err(failed("reading file", path, error)),
        }
        if len == bytes.len() {
            if size != 0 {
                break;
            }
            bytes.resize(2 * len, 0);
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

impl EvalIo for SystemIo {
    fn forget_files(&self) {
        self.known.kinds.write().clear();
        self.known.listings.write().clear();
        self.known.resolved.write().clear();
    }

    fn read_file(&self, path: &[u8]) -> Result<Vec<u8>> {
        if let Some(text) = internal::text(path) {
            return text.map(<[u8]>::to_vec);
        }
        let real = self.real(path);
        let at = real.as_deref().unwrap_or(path);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file =
            fs::open(at, flags, Mode::empty()).map_err(|e| failed("opening file", path, e))?;
        read_all(&file, path)
    }

    fn read_dir(&self, path: &[u8]) -> Result<Arc<Listing>> {
        if let Some(listing) = internal::list(path) {
            return listing.map(Arc::new);
        }
        if let Some(known) = self.known.listings.read().get(path) {
            return Ok(known.clone());
        }
        let listing = Arc::new(self.list(path)?);
        if path.len() + 1 != self.store_prefix.len() || !self.store_prefix.starts_with(path) {
            self.known
                .listings
                .write()
                .insert(path.into(), listing.clone());
        }
        Ok(listing)
    }

    fn kind(&self, path: &[u8]) -> Result<Option<FileKind>> {
        if let Some(kind) = internal::kind(path) {
            return Ok(kind);
        }
        if let Some(known) = self.known.kinds.read().get(path) {
            return Ok(*known);
        }
        if let Some((dir, name)) = split(path)
            && let Some(listing) = self.known.listings.read().get(dir)
        {
            return Ok(listing.get(name));
        }
        let kind = self.status(path)?;
        if kind.is_some() || !path.starts_with(&self.store_prefix) {
            self.known.kinds.write().insert(path.into(), kind);
        }
        Ok(kind)
    }

    fn resolve(&self, path: &[u8]) -> Result<Vec<u8>> {
        if path.first() != Some(&b'/') {
            return Ok(path.to_vec());
        }
        let mut left = MOST_LINKS;
        Ok(self.resolve_links(path, &mut left)?.to_vec())
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let real = self.real(path);
        let at = real.as_deref().unwrap_or(path);
        fs::readlinkat(fs::CWD, at, Vec::new())
            .map(|target| target.into_bytes())
            .map_err(|e| failed("reading symbolic link", path, e))
    }

    fn env(&self, name: &[u8]) -> Option<Vec<u8>> {
        // Names that no variable can have.
        if name.is_empty() || name.contains(&b'=') || name.contains(&0) {
            return None;
        }
        if let Some((_, value)) = self.variables.iter().find(|(own, _)| own == name) {
            return Some(value.clone());
        }
        std::env::var_os(OsStr::from_bytes(name)).map(OsStringExt::into_vec)
    }

    fn now(&self) -> i64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_secs() as i64)
    }

    fn store(&self) -> &dyn EvalStore {
        &*self.store
    }

    fn add_tree(&self, source: &mut TreeSource<'_>) -> Result<StorePath> {
        let written;
        let real = if internal::is_internal(source.path) {
            // A directory of its own, so that nobody else can have put something there.
            written = tempfile::tempdir().map_err(outside)?;
            let copy = written.path().join("copy");
            internal::write_out(source.path, &copy)?;
            Some(copy.into_os_string().into_encoded_bytes())
        } else {
            self.real(source.path)
        };
        let Some(real) = real else {
            return self.store.add_tree(source);
        };
        let (logical, path) = (source.path, real);
        let mut filter = source.filter.take();
        // Filters see paths as the program knows them.
        let mut renamed = |entry: &[u8], kind| {
            let below = entry.strip_prefix(&path[..]).unwrap_or(entry);
            match &mut filter {
                Some(filter) => filter(&[logical, below].concat(), kind),
                None => Ok(true),
            }
        };
        self.store.add_tree(&mut TreeSource {
            name: source.name,
            path: &path,
            method: source.method,
            algorithm: source.algorithm,
            filter: Some(&mut renamed),
            expected: source.expected,
            references: std::mem::take(&mut source.references),
        })
    }
}

impl SystemIo {
    fn list(&self, path: &[u8]) -> Result<Listing> {
        let fail = |error: Errno| {
            if IoError::from(error).kind() == IoErrorKind::NotFound {
                return does_not_exist(path);
            }
            let shown = String::from_utf8_lossy(path);
            outside(format_args!(
                "cannot read directory \"{shown}\": {}",
                reason(error)
            ))
        };
        let real = self.real(path);
        let at = real.as_deref().unwrap_or(path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = fs::open(at, flags, Mode::empty()).map_err(fail)?;
        let mut buffer = Vec::with_capacity(LISTING_BUFFER);
        let mut entries = RawDir::new(&dir, buffer.spare_capacity_mut());
        let mut listing = Listing::default();
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                // Some file systems do not tell in listings.
                let stat = fs::statat(&dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
                kind = FileType::from_raw_mode(stat.map_err(fail)?.st_mode);
            }
            listing.push(name, kind.into());
        }
        listing.sort();
        Ok(listing)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ComputedStore;
    use super::*;
    use rx_store::path::StoreDir;

    fn machine() -> SystemIo {
        SystemIo::new(Box::new(ComputedStore::new(StoreDir::default())))
    }

    fn bytes(path: &std::path::Path) -> Vec<u8> {
        path.as_os_str().as_bytes().to_vec()
    }

    #[test]
    fn links_are_followed_wherever_they_stand() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::fs::write(root.join("real/file"), "text").unwrap();
        std::os::unix::fs::symlink("real", root.join("alias")).unwrap();
        std::os::unix::fs::symlink("../alias/file", root.join("real/again")).unwrap();
        let io = machine();
        let found = io.resolve(&bytes(&root.join("alias/again"))).unwrap();
        assert_eq!(found, bytes(&root.join("real/file")));
        assert_eq!(
            io.read_file(&bytes(&root.join("alias/again"))).unwrap(),
            b"text"
        );
        let missing = bytes(&root.join("alias/none/x"));
        assert_eq!(
            io.resolve(&missing).unwrap(),
            bytes(&root.join("real/none/x"))
        );
    }

    #[test]
    fn links_in_a_circle_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        std::os::unix::fs::symlink("b", root.join("a")).unwrap();
        std::os::unix::fs::symlink("a", root.join("b")).unwrap();
        assert!(machine().resolve(&bytes(&root.join("a"))).is_err());
    }

    #[test]
    fn a_listing_answers_for_its_entries() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x"), "").unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        let io = machine();
        let path = bytes(dir.path());
        let listing = io.read_dir(&path).unwrap();
        assert_eq!(listing.get(b"d"), Some(FileKind::Directory));
        let kind = |name: &str| io.kind(&bytes(&dir.path().join(name))).unwrap();
        assert_eq!(kind("x"), Some(FileKind::Regular));
        assert_eq!(kind("y"), None);
    }

    #[test]
    fn files_that_the_kernel_makes_up_are_read_whole() {
        let text = machine().read_file(b"/proc/self/status").unwrap();
        assert!(text.starts_with(b"Name:"));
    }
}
