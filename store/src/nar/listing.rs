//! What is where in an archive, without its contents: the `.ls` files of caches and the `nar ls` command.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Event, MAX_DEPTH, NarError, Reader};

/// A tree's names, sizes and places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// What stands here.
    pub kind: ListingKind,
}

/// What stands at one place of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListingKind {
    /// A regular file.
    Regular {
        /// Whether it may be executed.
        executable: bool,
        /// Bytes of contents.
        size: u64,
        /// Where in the archive they begin.
        offset: u64,
    },
    /// A symbolic link's target.
    Symlink(Vec<u8>),
    /// Entries by name.
    Directory(BTreeMap<Vec<u8>, Listing>),
}

/// The answer to looking a path up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup<'a> {
    /// It is there.
    Found(&'a Listing),
    /// It is not.
    Missing,
}

/// What the token `)` takes in an archive.
const END: u64 = 16;

impl Listing {
    /// Reads an archive through and notes what is where.
    pub fn read<R: BufRead>(reader: &mut Reader<R>) -> Result<Self, NarError> {
        let mut open: Vec<(Vec<u8>, BTreeMap<Vec<u8>, Listing>)> = Vec::new();
        loop {
            let (name, kind) = match reader.next_event()?.ok_or(NarError::Eof)? {
                Event::Directory { name } => {
                    open.push((name.to_vec(), BTreeMap::new()));
                    continue;
                }
                Event::EndDirectory => {
                    let (name, entries) = open.pop().ok_or(NarError::Order)?;
                    (name, ListingKind::Directory(entries))
                }
                Event::Symlink { name, target } => {
                    (name.to_vec(), ListingKind::Symlink(target.to_vec()))
                }
                Event::File {
                    name,
                    executable,
                    size,
                } => {
                    let name = name.to_vec();
                    // The end of an empty file, and of its entry in a directory, is already read here.
                    let read = match (size, open.is_empty()) {
                        (0, true) => END,
                        (0, false) => 2 * END,
                        _ => 0,
                    };
                    let offset = reader.position().saturating_sub(read);
                    (
                        name,
                        ListingKind::Regular {
                            executable,
                            size,
                            offset,
                        },
                    )
                }
            };
            let listing = Listing { kind };
            match open.last_mut() {
                None => {
                    // Contents of a root file must be read, or a cut archive would pass.
                    while reader.next_event()?.is_some() {}
                    return Ok(listing);
                }
                Some((_, entries)) => {
                    entries.insert(name, listing);
                }
            }
        }
    }

    /// Looks at a tree on disk without reading its files; they have no places in an archive.
    pub fn of_path(path: &Path) -> Result<Self, NarError> {
        Self::of_level(path, 0)
    }

    fn of_level(path: &Path, depth: usize) -> Result<Self, NarError> {
        let status = |e| NarError::file("getting status of", path, e);
        let meta = path.symlink_metadata().map_err(status)?;
        let kind = if meta.is_dir() {
            if depth >= MAX_DEPTH {
                return Err(NarError::TooDeep);
            }
            let reading = |e| NarError::file("reading directory", path, e);
            let mut entries = BTreeMap::new();
            for entry in path.read_dir().map_err(reading)? {
                let entry = entry.map_err(reading)?;
                let below = Self::of_level(&entry.path(), depth + 1)?;
                entries.insert(entry.file_name().into_vec(), below);
            }
            ListingKind::Directory(entries)
        } else if meta.is_symlink() {
            let target = path
                .read_link()
                .map_err(|e| NarError::file("reading symbolic link", path, e))?;
            ListingKind::Symlink(target.into_os_string().into_vec())
        } else if meta.is_file() {
            ListingKind::Regular {
                executable: meta.mode() & 0o100 != 0,
                size: meta.len(),
                offset: 0,
            }
        } else {
            return Err(NarError::UnsupportedType(path.display().to_string()));
        };
        Ok(Listing { kind })
    }

    /// Finds a path of names separated by `/`.
    pub fn lookup(&self, path: &[u8]) -> Lookup<'_> {
        let mut here = self;
        for name in path
            .split(|&c| c == b'/')
            .filter(|n| !n.is_empty() && *n != b".")
        {
            match &here.kind {
                ListingKind::Directory(entries) => match entries.get(name) {
                    Some(child) => here = child,
                    None => return Lookup::Missing,
                },
                _ => return Lookup::Missing,
            }
        }
        Lookup::Found(here)
    }

    /// The JSON of `.ls` files; `deep` lists directories inside directories, too.
    pub fn to_json(&self, deep: bool) -> Value {
        self.json(true, deep)
    }

    fn json(&self, expand: bool, deep: bool) -> Value {
        let mut map = Map::new();
        match &self.kind {
            ListingKind::Regular {
                executable,
                size,
                offset,
            } => {
                if *executable {
                    map.insert("executable".into(), true.into());
                }
                if *offset != 0 {
                    map.insert("narOffset".into(), (*offset).into());
                }
                map.insert("size".into(), (*size).into());
                map.insert("type".into(), "regular".into());
            }
            ListingKind::Symlink(target) => {
                map.insert("target".into(), String::from_utf8_lossy(target).into());
                map.insert("type".into(), "symlink".into());
            }
            ListingKind::Directory(entries) => {
                if expand {
                    // At most 64 levels, so this recursion is bounded.
                    let entries: Map<String, Value> = entries
                        .iter()
                        .map(|(name, child)| {
                            let name = String::from_utf8_lossy(name).into_owned();
                            (name, child.json(deep, deep))
                        })
                        .collect();
                    map.insert("entries".into(), entries.into());
                }
                map.insert("type".into(), "directory".into());
            }
        }
        map.into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tree;
    use super::*;

    #[test]
    fn a_tree_on_disk_is_listed_as_its_archive_is() {
        let temp = tempfile::tempdir().unwrap();
        let tree = temp.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        std::fs::write(tree.join("a/file"), "12345").unwrap();
        std::os::unix::fs::symlink("a/file", tree.join("link")).unwrap();
        let nar = crate::nar::dump(&tree, Vec::new()).unwrap();
        let read = Listing::read(&mut Reader::new(&nar[..])).unwrap();
        let listed = Listing::of_path(&tree).unwrap();
        // Contents on disk have no place in an archive.
        let mut expected = read.to_json(true);
        expected["entries"]["a"]["entries"]["file"]
            .as_object_mut()
            .unwrap()
            .remove("narOffset");
        assert_eq!(listed.to_json(true), expected);
        let mut deep = tree;
        for _ in 0..=MAX_DEPTH {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        assert!(matches!(
            Listing::of_path(&temp.path().join("tree")),
            Err(NarError::TooDeep)
        ));
    }

    #[test]
    fn a_listing_tells_where_contents_are() {
        let tree = Tree::Directory(BTreeMap::from([
            (b"a".to_vec(), Tree::file("hello")),
            (b"b".to_vec(), Tree::Symlink(b"a".to_vec())),
            (
                b"c".to_vec(),
                Tree::Directory(BTreeMap::from([(b"d".to_vec(), Tree::file(""))])),
            ),
        ]));
        let nar = tree.to_nar().unwrap();
        let listing = Listing::read(&mut Reader::new(&nar[..])).unwrap();
        let Lookup::Found(Listing {
            kind: ListingKind::Regular {
                size: 5, offset, ..
            },
        }) = listing.lookup(b"/a")
        else {
            panic!("a file of five bytes")
        };
        assert_eq!(&nar[*offset as usize..][..5], b"hello");
        assert_eq!(listing.lookup(b"/c/x"), Lookup::Missing);
        assert_eq!(
            listing.to_json(false)["entries"]["c"],
            serde_json::json!({"type": "directory"})
        );
        assert!(listing.to_json(true)["entries"]["c"]["entries"]["d"].is_object());
    }
}
