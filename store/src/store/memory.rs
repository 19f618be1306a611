//! A store that computes paths and keeps nothing on disk: `--readonly-mode`, `dummy://`, tests, the language server.
//!
//! It can lie on top of another store, whose objects it then sees. Texts that are added (derivations above all) are
//! remembered, so that they can be read back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write};
use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::address::StoreAddress;
use super::api::{AddFlags, Addition, Contents, Store};
use super::closure::ClosureOptions;
use super::error::StoreError;
use super::info::PathInfo;
use crate::content_address::{ContentAddress, Method, References};
use crate::derivation::{Derivation, HashModulo};
use crate::hash::{Algorithm, Hash, Hasher};
use crate::nar::{self, Event, Reader, Writer};
use crate::path::{StoreDir, StorePath};

/// A store that keeps nothing on disk.
pub struct MemoryStore {
    dir: StoreDir,
    below: Option<Arc<dyn Store>>,
    objects: RwLock<FxHashMap<StorePath, Object>>,
    modulos: RwLock<FxHashMap<StorePath, HashModulo>>,
    /// Whether contents other than texts are remembered, too.
    keep_contents: bool,
    /// Whether nothing can be added.
    read_only: bool,
}

struct Object {
    info: Arc<PathInfo>,
    nar: Option<Arc<[u8]>>,
}

impl MemoryStore {
    /// An empty store that remembers everything added.
    pub fn new(dir: StoreDir) -> Self {
        MemoryStore {
            dir,
            below: None,
            objects: RwLock::default(),
            modulos: RwLock::default(),
            keep_contents: true,
            read_only: false,
        }
    }

    /// The store `dummy://`: empty, and nothing can be added unless a parameter allows it.
    pub fn dummy(dir: StoreDir, address: &StoreAddress) -> Result<Self, StoreError> {
        let dir = match address.params.get("store") {
            Some(other) => StoreDir::new(other.as_bytes())?,
            None => dir,
        };
        let mut store = Self::new(dir);
        store.read_only = address.params.get("read-only").is_none_or(|v| v != "false");
        Ok(store)
    }

    /// A store that sees the objects of another one but adds nothing to it.
    pub fn above(below: Arc<dyn Store>) -> Self {
        MemoryStore {
            dir: below.dir().clone(),
            below: Some(below),
            objects: RwLock::default(),
            modulos: RwLock::default(),
            keep_contents: false,
            read_only: false,
        }
    }

    fn insert(&self, info: PathInfo, nar: Option<Arc<[u8]>>) {
        self.objects.write().insert(
            info.path.clone(),
            Object {
                info: Arc::new(info),
                nar,
            },
        );
    }

    fn missing(&self, path: &StorePath) -> StoreError {
        StoreError::InvalidPath(self.dir.display(path).to_string())
    }

    fn nar(&self, path: &StorePath) -> Option<Arc<[u8]>> {
        self.objects.read().get(path).and_then(|o| o.nar.clone())
    }
}

/// Turns contents into the archive they have.
fn to_nar(contents: Contents<'_>, out: &mut dyn Write) -> Result<(), StoreError> {
    match contents {
        Contents::Bytes(bytes) => {
            let mut writer = Writer::new(out);
            writer.file(b"", false, bytes.len() as u64)?;
            writer.contents(bytes)?;
            writer.finish()?;
        }
        Contents::Path(path) => {
            nar::dump(path, out)?;
        }
        Contents::Filtered(path, filter) => {
            nar::dump_filtered(path, out, filter)?;
        }
        Contents::Nar(input) => copy_nar(input, out)?,
        Contents::Stream(input) => {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes)?;
            return to_nar(Contents::Bytes(&bytes), out);
        }
    }
    Ok(())
}

/// Copies one archive from a stream, checking it.
pub(super) fn copy_nar(input: &mut dyn BufRead, out: &mut dyn Write) -> Result<(), StoreError> {
    let mut reader = Reader::new(input);
    let mut writer = Writer::new(out);
    loop {
        match reader.next_event()? {
            None => break,
            Some(Event::Directory { name }) => writer.directory(name)?,
            Some(Event::EndDirectory) => writer.end_directory()?,
            Some(Event::Symlink { name, target }) => writer.symlink(name, target)?,
            Some(Event::File {
                name,
                executable,
                size,
            }) => {
                writer.file(name, executable, size)?;
                loop {
                    let chunk = reader.chunk()?;
                    if chunk.is_empty() {
                        break;
                    }
                    writer.contents(chunk)?;
                    let n = chunk.len();
                    reader.consume(n)?;
                }
            }
        }
    }
    writer.finish()?;
    Ok(())
}

/// The contents of the one regular file in an archive; `None` when it holds something else.
pub(super) fn flat_contents(nar: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let mut reader = Reader::new(nar);
    match reader.next_event()? {
        Some(Event::File { .. }) => {
            let mut out = Vec::new();
            reader.copy_contents(&mut out)?;
            Ok(Some(out))
        }
        _ => Ok(None),
    }
}

/// Hashes contents as `method` says, and tells the path; nothing is written.
pub fn compute_path(
    dir: &StoreDir,
    what: Addition<'_>,
    contents: Contents<'_>,
) -> Result<(StorePath, ContentAddress), StoreError> {
    let (method, algorithm) = (what.method, what.algorithm);
    let hash = match (method, contents) {
        (Method::Flat | Method::Text, Contents::Bytes(bytes)) => Hash::of(algorithm, bytes),
        (Method::Flat | Method::Text, Contents::Path(path)) => {
            let file = super::local::open_regular(path)?;
            Hash::of_reader(algorithm, file)?.0
        }
        (Method::Flat | Method::Text, Contents::Stream(input)) => {
            Hash::of_reader(algorithm, input)?.0
        }
        (Method::Flat | Method::Text, contents) => {
            let mut nar = Vec::new();
            to_nar(contents, &mut nar)?;
            let flat = flat_contents(&nar)?
                .ok_or(StoreError::Format("a flat hash needs a regular file"))?;
            Hash::of(algorithm, &flat)
        }
        (Method::NixArchive, contents) => {
            let mut hasher = Hasher::new(algorithm);
            to_nar(contents, &mut hasher)?;
            hasher.finish()
        }
        (Method::Git, contents) => {
            let mut nar = Vec::new();
            to_nar(contents, &mut nar)?;
            crate::git_hash::hash_archive(algorithm, &nar)?
        }
    };
    let address = ContentAddress { method, hash };
    let references = References::to(what.references.clone());
    let path = dir.make_content_path(what.name, &address, &references)?;
    Ok((path, address))
}

impl Store for MemoryStore {
    fn dir(&self) -> &StoreDir {
        &self.dir
    }

    fn url(&self) -> String {
        self.below
            .as_ref()
            .map_or_else(|| "dummy://".to_owned(), |below| below.url())
    }

    fn query_path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError> {
        if let Some(object) = self.objects.read().get(path) {
            return Ok(Some(Arc::clone(&object.info)));
        }
        match &self.below {
            Some(below) => below.query_path_info(path),
            None => Ok(None),
        }
    }

    fn add_to_store(
        &self,
        what: Addition<'_>,
        contents: Contents<'_>,
    ) -> Result<StorePath, StoreError> {
        if self.read_only {
            return Err(self.unsupported("addToStoreFromDump"));
        }
        let keep = self.keep_contents || matches!(contents, Contents::Bytes(_));
        if !keep {
            let (path, _) = compute_path(&self.dir, what, contents)?;
            return Ok(path);
        }
        let mut nar = Vec::new();
        let (path, address) = if let Contents::Bytes(bytes) = contents {
            to_nar(Contents::Bytes(bytes), &mut nar)?;
            let contents = Contents::Bytes(bytes);
            compute_path(&self.dir, what, contents)?
        } else {
            to_nar(contents, &mut nar)?;
            let contents = Contents::Nar(&mut &nar[..]);
            compute_path(&self.dir, what, contents)?
        };
        let mut info = PathInfo::new(
            path.clone(),
            Hash::of(Algorithm::Sha256, &nar),
            nar.len() as u64,
        );
        info.references.clone_from(what.references);
        info.content_address = Some(address);
        self.insert(info, Some(nar.into()));
        Ok(path)
    }

    fn add_nar(
        &self,
        info: &PathInfo,
        input: &mut dyn BufRead,
        _flags: AddFlags,
    ) -> Result<(), StoreError> {
        if self.read_only {
            return Err(self.unsupported("addToStore"));
        }
        let mut nar = Vec::new();
        copy_nar(input, &mut nar)?;
        self.insert(info.clone(), Some(nar.into()));
        Ok(())
    }

    fn nar_from_path(&self, path: &StorePath, out: &mut dyn Write) -> Result<(), StoreError> {
        if let Some(nar) = self.nar(path) {
            out.write_all(&nar)?;
            return Ok(());
        }
        match &self.below {
            Some(below) => below.nar_from_path(path, out),
            None => Err(self.missing(path)),
        }
    }

    fn read_file(&self, path: &StorePath, inside: &[u8]) -> Result<Vec<u8>, StoreError> {
        let Some(nar) = self.nar(path) else {
            return match &self.below {
                Some(below) => below.read_file(path, inside),
                None => Err(self.missing(path)),
            };
        };
        let listing = nar::Listing::read(&mut Reader::new(&nar[..]))?;
        match listing.lookup(inside) {
            nar::Lookup::Found(nar::Listing {
                kind: nar::ListingKind::Regular { size, offset, .. },
            }) => Ok(nar[*offset as usize..][..*size as usize].to_vec()),
            _ => Err(StoreError::Io(std::io::Error::from(
                std::io::ErrorKind::NotFound,
            ))),
        }
    }

    fn all_valid_paths(&self) -> Result<BTreeSet<StorePath>, StoreError> {
        let mut paths = match &self.below {
            Some(below) => below.all_valid_paths()?,
            None => BTreeSet::new(),
        };
        paths.extend(self.objects.read().keys().cloned());
        Ok(paths)
    }

    fn closure(
        &self,
        paths: &BTreeSet<StorePath>,
        options: ClosureOptions,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        super::closure::closure_by_walking(self, paths, options)
    }

    fn query_derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> Result<BTreeMap<String, Option<StorePath>>, StoreError> {
        let derivation = self.read_derivation(drv)?;
        Ok(derivation
            .output_paths(&self.dir)?
            .into_iter()
            .map(|(name, path)| (name.to_owned(), path))
            .collect())
    }

    fn write_derivation(
        &self,
        derivation: &Derivation,
        flags: AddFlags,
    ) -> Result<StorePath, StoreError> {
        if self.read_only {
            return Err(self.unsupported("writeDerivation"));
        }
        let name = format!("{}.drv", derivation.name);
        let text = derivation.to_aterm(&self.dir);
        self.add_text(&name, &text, &derivation.references(), flags)
    }

    fn derivation_modulo(&self, drv: &StorePath) -> Result<HashModulo, StoreError> {
        modulo_of(self, drv, |path| self.modulos.read().get(path).copied())
    }

    fn remember_modulo(&self, drv: &StorePath, modulo: HashModulo) {
        self.modulos.write().insert(drv.clone(), modulo);
    }
}

/// Computes a derivation's hash modulo, reading what is not remembered. Depth of the graph costs no stack.
pub(crate) fn modulo_of<S: Store + ?Sized>(
    store: &S,
    drv: &StorePath,
    known: impl Fn(&StorePath) -> Option<HashModulo>,
) -> Result<HashModulo, StoreError> {
    if let Some(modulo) = known(drv) {
        return Ok(modulo);
    }
    let mut stack = vec![(drv.clone(), store.read_derivation(drv)?)];
    let mut result = HashModulo::Deferred;
    // A path is the hash of what it refers to, so honest derivations have no circles; dishonest ones are noticed.
    let mut open: rustc_hash::FxHashSet<StorePath> = std::iter::once(drv.clone()).collect();
    while let Some((path, derivation)) = stack.last() {
        let unknown = derivation
            .input_derivations
            .keys()
            .find(|input| known(input).is_none());
        if let Some(input) = unknown {
            let input = input.clone();
            if !open.insert(input.clone()) {
                return Err(StoreError::Cycle {
                    path: input.to_string(),
                    parent: path.to_string(),
                });
            }
            let derivation = store.read_derivation(&input)?;
            stack.push((input, derivation));
            continue;
        }
        result = derivation
            .hash_modulo::<crate::derivation::DerivationError>(store.dir(), &mut |input| {
                Ok(known(input).unwrap_or(HashModulo::Deferred))
            })?;
        store.remember_modulo(path, result);
        open.remove(path);
        stack.pop();
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_get_their_paths_and_can_be_read_back() {
        let store = MemoryStore::new(StoreDir::default());
        let path = store
            .add_text("foo", b"bar", &BTreeSet::new(), AddFlags::default())
            .unwrap();
        assert_eq!(path.to_string(), "vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo");
        assert_eq!(store.read_file(&path, b"").unwrap(), b"bar");
        let info = store.path_info(&path).unwrap();
        assert_eq!(info.nar_size, 120);
        assert!(info.is_content_addressed(store.dir()).unwrap());
        let mut nar = Vec::new();
        store.nar_from_path(&path, &mut nar).unwrap();
        assert_eq!(Hash::of(Algorithm::Sha256, &nar), info.nar_hash);
    }

    #[test]
    fn a_derivation_can_be_read_back_and_hashed() {
        let store = MemoryStore::new(StoreDir::default());
        let text = br#"Derive([("out","/nix/store/ysaxs29agsiw8y1xcflr86jw57xpbmd3-c","","")],[],[],"c","x",[],[("builder","x"),("name","c"),("out","/nix/store/ysaxs29agsiw8y1xcflr86jw57xpbmd3-c"),("system","c")])"#;
        let drv = Derivation::parse(store.dir(), text, "c").unwrap();
        let path = store.write_derivation(&drv, AddFlags::default()).unwrap();
        assert_eq!(path.to_string(), "bmf27niw5nk0zz6mnq9hwhdjd0psl3r4-c.drv");
        assert_eq!(store.read_derivation(&path).unwrap(), drv);
        assert!(matches!(
            store.derivation_modulo(&path).unwrap(),
            HashModulo::InputAddressed(_)
        ));
    }
}
