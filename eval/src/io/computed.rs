//! A store that is never written: it knows where things would be (`--readonly-mode`).

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use parking_lot::Mutex;
use rx_store::content_address::{ContentAddress, Method, References};
use rx_store::derivation::Derivation;
use rx_store::hash::{Hash, Hasher, sha256};
use rx_store::nar;
use rx_store::path::{StoreDir, StorePath};

use super::store::object_name;
use super::{EvalStore, FileKind, Realised, TreeSource, outside};
use crate::error::{Error, ErrorKind, Result};
use crate::value::ContextElement;

/// Computes store paths and writes nothing.
#[derive(Debug, Default)]
pub struct ComputedStore {
    dir: StoreDir,
    /// The texts that would have been written, so that they can be read back within the evaluation.
    texts: Mutex<BTreeMap<StorePath, Box<[u8]>>>,
}

impl ComputedStore {
    /// A store with this directory.
    pub fn new(dir: StoreDir) -> ComputedStore {
        ComputedStore {
            dir,
            texts: Mutex::default(),
        }
    }

    /// Whether the evaluation would have written this text.
    pub(super) fn knows(&self, path: &StorePath) -> bool {
        self.texts.lock().contains_key(path)
    }
}

/// Counts and hashes what is written to it.
struct HashWriter(Hasher);

impl std::io::Write for HashWriter {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl From<nar::FileKind> for FileKind {
    fn from(kind: nar::FileKind) -> Self {
        match kind {
            nar::FileKind::Regular => FileKind::Regular,
            nar::FileKind::Directory => FileKind::Directory,
            nar::FileKind::Symlink => FileKind::Symlink,
            nar::FileKind::Other => FileKind::Unknown,
        }
    }
}

/// The hash of a tree as its store object would have it.
pub(crate) fn hash_tree(source: &mut TreeSource<'_>) -> Result<Hash> {
    let path = Path::new(std::ffi::OsStr::from_bytes(source.path));
    match source.method {
        Method::Flat | Method::Text => {
            let file = std::fs::File::open(path)
                .map_err(|e| outside(format_args!("opening file '{}': {e}", path.display())))?;
            let (hash, _) = Hash::of_reader(source.algorithm, file)
                .map_err(|e| outside(format_args!("reading file '{}': {e}", path.display())))?;
            Ok(hash)
        }
        Method::NixArchive => {
            let out = HashWriter(Hasher::new(source.algorithm));
            let mut failure = None;
            let result = match &mut source.filter {
                None => nar::dump(path, out),
                Some(filter) => nar::dump_filtered(path, out, &mut |path, kind| match filter(
                    path.as_os_str().as_bytes(),
                    kind.into(),
                ) {
                    Ok(keep) => Some(keep),
                    Err(error) => {
                        failure = Some(error);
                        None
                    }
                }),
            };
            match (failure, result) {
                (Some(error), _) => Err(error),
                (None, result) => Ok(result.map_err(outside)?.0.finish()),
            }
        }
        Method::Git => Err(outside(
            "git hashes of trees need a store that can be written",
        )),
    }
}

impl EvalStore for ComputedStore {
    fn dir(&self) -> &StoreDir {
        &self.dir
    }

    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath> {
        let path = self
            .dir
            .make_text_path(name, sha256(text), references)
            .map_err(outside)?;
        self.texts.lock().insert(path.clone(), text.into());
        Ok(path)
    }

    fn write_derivation(&self, _: &Derivation, _: &StorePath, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn read_derivation(&self, path: &StorePath) -> Result<Derivation> {
        let file = self.dir.print(path);
        let text = std::fs::read(Path::new(std::ffi::OsStr::from_bytes(&file))).map_err(|e| {
            outside(format_args!(
                "opening file '{}': {e}",
                String::from_utf8_lossy(&file)
            ))
        })?;
        let name = path.derivation_name().map_err(outside)?;
        Derivation::parse(&self.dir, &text, name).map_err(outside)
    }

    fn add_tree(&self, source: &mut TreeSource<'_>) -> Result<StorePath> {
        let name = object_name(source.name)?;
        let address = ContentAddress {
            method: source.method,
            hash: hash_tree(source)?,
        };
        self.dir
            .make_content_path(name, &address, &References::to(source.references.clone()))
            .map_err(outside)
    }

    fn ensure(&self, _: &StorePath) -> Result<()> {
        Ok(())
    }

    fn is_valid(&self, path: &StorePath) -> Result<bool> {
        let file = self.dir.print(path);
        Ok(Path::new(std::ffi::OsStr::from_bytes(&file))
            .symlink_metadata()
            .is_ok())
    }

    fn references(&self, _: &StorePath) -> Result<BTreeSet<StorePath>> {
        Ok(BTreeSet::new())
    }

    fn closure(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        Ok(BTreeSet::from([path.clone()]))
    }

    fn realise(&self, elements: &[&ContextElement]) -> Result<Realised> {
        for element in elements {
            let path = self.dir.parse(element.store_path()).map_err(outside)?;
            match element {
                ContextElement::Opaque(_) if self.texts.lock().contains_key(&path) => {}
                ContextElement::Opaque(_) | ContextElement::DrvDeep(_) => {
                    if !self.is_valid(&path)? {
                        let shown = self.dir.display(&path);
                        return Err(outside(format_args!("path '{shown}' is not valid")));
                    }
                }
                ContextElement::Built { .. } => {
                    return Err(Error::new(
                        ErrorKind::Outside,
                        format!(
                            "cannot build '{}' during evaluation because the store is only read",
                            self.dir.display(&path)
                        ),
                    ));
                }
            }
        }
        Ok(Realised::default())
    }
}
