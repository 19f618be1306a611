//! [`Store`], the interface that evaluator, builder and caches use.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::derived::{DerivedPath, SingleDerivedPath};
use super::error::StoreError;
use super::info::{ArchiveInfo, PathInfo};
use super::realisation::{DrvOutput, Realisation};
use super::signature::Signature;
use crate::content_address::Method;
use crate::derivation::{Derivation, HashModulo};
use crate::hash::Algorithm;
use crate::nar::Filter;
use crate::path::{StoreDir, StorePath};

/// Contents to be added to a store.
pub enum Contents<'a> {
    /// One regular file, not executable.
    Bytes(&'a [u8]),
    /// A file or tree on disk.
    Path(&'a Path),
    /// A tree on disk without what the filter drops.
    Filtered(&'a Path, &'a mut Filter<'a>),
    /// An archive.
    Nar(&'a mut dyn BufRead),
    /// One regular file, read to the end of the stream.
    Stream(&'a mut dyn BufRead),
}

/// How something is added or registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddFlags {
    /// Replace contents that are there already.
    pub repair: bool,
    /// Refuse what no trusted key has signed.
    pub check_signatures: bool,
}

impl AddFlags {
    /// Replace contents that are there already.
    pub const REPAIR: AddFlags = AddFlags {
        repair: true,
        check_signatures: false,
    };
}

/// What building does with outputs that exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuildMode {
    /// Nothing is done.
    #[default]
    Normal,
    /// They are built again when their contents are damaged.
    Repair,
    /// They are built again and compared.
    Check,
}

/// What realising some paths would take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Derivations to build.
    pub build: BTreeSet<StorePath>,
    /// Objects to fetch.
    pub substitute: BTreeSet<StorePath>,
    /// Objects nobody knows how to get.
    pub unknown: BTreeSet<StorePath>,
    /// Bytes to download.
    pub download_size: u64,
    /// Bytes that the fetched objects will take as archives.
    pub nar_size: u64,
}

/// Realises paths for a store: builds derivations and fetches from caches.
pub trait Builder: Send + Sync {
    /// Makes all paths valid.
    fn build_paths(&self, paths: &[DerivedPath], mode: BuildMode) -> Result<(), StoreError>;

    /// Makes all paths valid and says what each became: outputs by name, a path as it is under no name.
    fn build_outputs(
        &self,
        paths: &[DerivedPath],
        mode: BuildMode,
    ) -> Result<Vec<BTreeMap<String, StorePath>>, StoreError>;

    /// Makes a path valid by fetching it.
    fn ensure_path(&self, path: &StorePath) -> Result<(), StoreError>;

    /// Restores damaged or lost contents by fetching or building.
    fn repair_path(&self, path: &StorePath) -> Result<(), StoreError>;

    /// Tells what realising would take.
    fn query_missing(&self, paths: &[DerivedPath]) -> Result<Missing, StoreError>;

    /// Which of the objects caches have, and what they know of them.
    fn query_substitutable(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, Substitutable>, StoreError>;

    /// Names the store that derivations and their sources come from when they are not in this one.
    fn set_eval_store(&self, store: Arc<dyn Store>) {
        let _ = store;
    }

    /// Which of the objects caches have that may be asked about many, signed or not.
    fn query_substitutable_paths(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        Ok(self.query_substitutable(paths)?.into_keys().collect())
    }
}

/// What is to be added, but for its contents: name, kind of address, references.
#[derive(Clone, Copy, Debug)]
pub struct Addition<'a> {
    /// The name in the store.
    pub name: &'a str,
    /// How contents become an address.
    pub method: Method,
    /// What the address is hashed with.
    pub algorithm: Algorithm,
    /// Objects that the contents refer to.
    pub references: &'a BTreeSet<StorePath>,
    /// How to add.
    pub flags: AddFlags,
}

impl<'a> Addition<'a> {
    /// Something that refers to nothing.
    pub fn new(name: &'a str, method: Method, algorithm: Algorithm) -> Self {
        static NONE: BTreeSet<StorePath> = BTreeSet::new();
        Addition {
            name,
            method,
            algorithm,
            references: &NONE,
            flags: AddFlags::default(),
        }
    }
}

/// What a cache knows of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Substitutable {
    /// The derivation that built it.
    pub deriver: Option<StorePath>,
    /// Objects that it refers to.
    pub references: BTreeSet<StorePath>,
    /// Bytes to download; 0 when not known.
    pub download_size: u64,
    /// Size of its archive; 0 when not known.
    pub nar_size: u64,
}

/// What a garbage collection is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GcAction {
    /// Tell what is reachable from roots.
    ReturnLive,
    /// Tell what is not.
    ReturnDead,
    /// Delete what is not.
    DeleteDead,
    /// Delete the given paths, or fail.
    DeleteSpecific,
}

/// Options of a garbage collection.
#[derive(Clone, Debug)]
pub struct GcOptions {
    /// What to do.
    pub action: GcAction,
    /// Delete even what roots need.
    pub ignore_liveness: bool,
    /// Only these paths; empty means the whole store.
    pub paths: BTreeSet<StorePath>,
    /// Stop when more bytes than this are freed.
    pub max_freed: u64,
}

impl GcOptions {
    /// The whole store, without limit.
    pub fn new(action: GcAction) -> Self {
        GcOptions {
            action,
            ignore_liveness: false,
            paths: BTreeSet::new(),
            max_freed: u64::MAX,
        }
    }
}

/// What a garbage collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcResults {
    /// Live, dead or deleted paths, as full paths: what is deleted need not have a valid name.
    pub paths: BTreeSet<Vec<u8>>,
    /// Bytes freed.
    pub bytes_freed: u64,
}

/// Roots: objects with the links, processes or files that keep them.
pub type Roots = BTreeMap<StorePath, BTreeSet<Vec<u8>>>;

/// A store.
///
/// Methods that a kind of store does not have fail with [`StoreError::Unsupported`].
pub trait Store: Send + Sync {
    /// The logical store directory.
    fn dir(&self) -> &StoreDir;

    /// The text that names this store.
    fn url(&self) -> String;

    /// What is known of an object; `None` when it is not valid.
    fn query_path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError>;

    /// Adds contents under the path that follows from them, and returns it.
    fn add_to_store(
        &self,
        what: Addition<'_>,
        contents: Contents<'_>,
    ) -> Result<StorePath, StoreError>;

    /// Adds an archive under a given path.
    fn add_nar(
        &self,
        info: &PathInfo,
        nar: &mut dyn BufRead,
        flags: AddFlags,
    ) -> Result<(), StoreError> {
        let _ = (info, nar, flags);
        Err(self.unsupported("addToStore"))
    }

    /// Writes the archive of a valid object.
    fn nar_from_path(&self, path: &StorePath, out: &mut dyn Write) -> Result<(), StoreError>;

    /// Reads one file inside a valid object; `inside` is empty or begins with `/`.
    fn read_file(&self, path: &StorePath, inside: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// The error of an operation that this store does not have.
    fn unsupported(&self, operation: &'static str) -> StoreError {
        StoreError::Unsupported {
            operation,
            store: self.url(),
        }
    }

    /// How an object is packed where it comes from; nothing but caches knows.
    fn archive_info(&self, path: &StorePath) -> Result<Option<ArchiveInfo>, StoreError> {
        let _ = path;
        Ok(None)
    }

    /// What is known of an object, which must be valid.
    fn path_info(&self, path: &StorePath) -> Result<Arc<PathInfo>, StoreError> {
        self.query_path_info(path)?
            .ok_or_else(|| StoreError::InvalidPath(self.dir().display(path).to_string()))
    }

    /// Whether the store has the object.
    fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        Ok(self.query_path_info(path)?.is_some())
    }

    /// Those of the paths that are valid.
    fn query_valid(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, StoreError> {
        let mut valid = BTreeSet::new();
        for path in paths {
            if self.is_valid(path)? {
                valid.insert(path.clone());
            }
        }
        Ok(valid)
    }

    /// All valid objects.
    fn all_valid_paths(&self) -> Result<BTreeSet<StorePath>, StoreError> {
        Err(self.unsupported("queryAllValidPaths"))
    }

    /// Objects that refer to this one.
    fn query_referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        let _ = path;
        Err(self.unsupported("queryReferrers"))
    }

    /// Everything reachable from the paths, themselves included, along references; or against them.
    fn closure(
        &self,
        paths: &BTreeSet<StorePath>,
        options: super::closure::ClosureOptions,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        super::closure::closure_by_walking(self, paths, options)
    }

    /// Orders paths so that each comes before what it refers to; see [`super::closure::topological_order`].
    fn sort_topologically(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<Vec<StorePath>, StoreError> {
        super::closure::sort_by_walking(self, paths)
    }

    /// Valid derivations that have this object as output.
    fn query_valid_derivers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        let _ = path;
        Ok(BTreeSet::new())
    }

    /// A derivation's outputs with their paths as far as known.
    fn query_derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> Result<BTreeMap<String, Option<StorePath>>, StoreError> {
        let derivation = self.read_derivation(drv)?;
        let mut outputs = BTreeMap::new();
        for (name, path) in derivation.output_paths(self.dir())? {
            let path = match path {
                Some(path) => Some(path),
                None => {
                    let id = super::drv_hash::drv_output(self, drv, name)?;
                    self.query_realisation(&id)?.map(|known| known.out_path)
                }
            };
            outputs.insert(name.to_owned(), path);
        }
        Ok(outputs)
    }

    /// The valid object with these 32 digits.
    fn query_path_from_hash_part(&self, hash: &[u8]) -> Result<Option<StorePath>, StoreError> {
        let _ = hash;
        Err(self.unsupported("queryPathFromHashPart"))
    }

    /// Adds a text that refers to `references`.
    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
        flags: AddFlags,
    ) -> Result<StorePath, StoreError> {
        let contents = Contents::Bytes(text);
        self.add_to_store(
            Addition {
                references,
                flags,
                ..Addition::new(name, Method::Text, Algorithm::Sha256)
            },
            contents,
        )
    }

    /// Reads a `.drv` file, valid or not.
    fn read_derivation(&self, path: &StorePath) -> Result<Derivation, StoreError> {
        let name = path.derivation_name()?;
        let text = self.read_file(path, b"")?;
        Derivation::parse(self.dir(), &text, name).map_err(|error| {
            let path = self.dir().display(path).to_string();
            StoreError::ParseDerivation { path, error }
        })
    }

    /// Writes a `.drv` file.
    fn write_derivation(
        &self,
        derivation: &Derivation,
        flags: AddFlags,
    ) -> Result<StorePath, StoreError> {
        let name = format!("{}.drv", derivation.name);
        let text = derivation.to_aterm(self.dir());
        self.add_text(&name, &text, &derivation.references(), flags)
    }

    /// What stands for a derivation in hashes of others; the store remembers it.
    fn derivation_modulo(&self, drv: &StorePath) -> Result<HashModulo, StoreError>;

    /// Lets the caller remember a hash that it has just computed.
    fn remember_modulo(&self, drv: &StorePath, modulo: HashModulo) {
        let _ = (drv, modulo);
    }

    /// Makes an object valid if it is not.
    fn ensure_path(&self, path: &StorePath) -> Result<(), StoreError> {
        if self.is_valid(path)? {
            return Ok(());
        }
        match self.builder() {
            Some(builder) => builder.ensure_path(path),
            None => Err(StoreError::InvalidPath(
                self.dir().display(path).to_string(),
            )),
        }
    }

    /// The object that is meant, if it is known: an output of a derivation that is not built may not be.
    fn known_path(&self, path: &SingleDerivedPath) -> Result<Option<StorePath>, StoreError> {
        let mut here = path.base().clone();
        for output in path.outputs() {
            if !self.is_valid(&here)? {
                return Ok(None);
            }
            match self.query_derivation_outputs(&here)?.remove(output) {
                Some(Some(path)) => here = path,
                Some(None) => return Ok(None),
                None => {
                    return Err(StoreError::NoSuchOutput {
                        derivation: self.dir().display(&here).to_string(),
                        output: output.to_owned(),
                    });
                }
            }
        }
        Ok(Some(here))
    }

    /// Who builds and fetches for this store.
    fn builder(&self) -> Option<Arc<dyn Builder>> {
        None
    }

    /// Builds and fetches.
    fn build_paths(&self, paths: &[DerivedPath], mode: BuildMode) -> Result<(), StoreError> {
        match self.builder() {
            Some(builder) => builder.build_paths(paths, mode),
            None if mode == BuildMode::Normal && missing_of(self, paths)?.is_empty() => Ok(()),
            None if mode == BuildMode::Normal => Err(cannot_realise(self, paths)),
            None => Err(self.unsupported("buildPaths")),
        }
    }

    /// Builds and fetches, and says what each path became: outputs by name, a path as it is under no name.
    fn build_outputs(
        &self,
        paths: &[DerivedPath],
        mode: BuildMode,
    ) -> Result<Vec<BTreeMap<String, StorePath>>, StoreError> {
        match self.builder() {
            Some(builder) => builder.build_outputs(paths, mode),
            None => {
                self.build_paths(paths, mode)?;
                Ok(vec![BTreeMap::new(); paths.len()])
            }
        }
    }

    /// Tells what realising would take.
    fn query_missing(&self, paths: &[DerivedPath]) -> Result<Missing, StoreError> {
        match self.builder() {
            Some(builder) => builder.query_missing(paths),
            None => Ok(Missing {
                unknown: missing_of(self, paths)?,
                ..Missing::default()
            }),
        }
    }

    /// Which of the objects caches have.
    fn query_substitutable(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, Substitutable>, StoreError> {
        match self.builder() {
            Some(builder) => builder.query_substitutable(paths),
            None => Ok(BTreeMap::new()),
        }
    }

    /// Which of the objects caches have that may be asked about many, signed or not: for lists of what there is.
    fn query_substitutable_paths(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        match self.builder() {
            Some(builder) => builder.query_substitutable_paths(paths),
            None => Ok(BTreeSet::new()),
        }
    }

    /// Registers objects whose contents are in place, all or none.
    fn register_valid_paths(&self, infos: &[PathInfo]) -> Result<(), StoreError> {
        let _ = infos;
        Err(self.unsupported("registerValidPaths"))
    }

    /// Adds signatures to a valid object.
    fn add_signatures(
        &self,
        path: &StorePath,
        signatures: &BTreeSet<Signature>,
    ) -> Result<(), StoreError> {
        let _ = (path, signatures);
        Err(self.unsupported("addSignatures"))
    }

    /// What an output was built to.
    fn query_realisation(&self, id: &DrvOutput) -> Result<Option<Realisation>, StoreError> {
        let _ = id;
        Ok(None)
    }

    /// Records what an output was built to.
    fn register_realisation(
        &self,
        realisation: &Realisation,
        check_signatures: bool,
    ) -> Result<(), StoreError> {
        let _ = (realisation, check_signatures);
        Err(self.unsupported("registerDrvOutput"))
    }

    /// Keeps an object from being collected while this process lives.
    fn add_temp_root(&self, path: &StorePath) -> Result<(), StoreError> {
        let _ = path;
        Ok(())
    }

    /// Makes the link at `link`, which points into the store, a root.
    fn add_indirect_root(&self, link: &Path) -> Result<(), StoreError> {
        let _ = link;
        Err(self.unsupported("addIndirectRoot"))
    }

    /// Makes `link` point to an object and be a root; returns the link's absolute path.
    fn add_permanent_root(&self, path: &StorePath, link: &Path) -> Result<PathBuf, StoreError> {
        let _ = (path, link);
        Err(self.unsupported("addPermRoot"))
    }

    /// Finds roots. `censor` hides what processes reveal of other users.
    fn find_roots(&self, censor: bool) -> Result<Roots, StoreError> {
        let _ = censor;
        Err(self.unsupported("findRoots"))
    }

    /// Collects garbage.
    fn collect_garbage(&self, options: &GcOptions) -> Result<GcResults, StoreError> {
        let _ = options;
        Err(self.unsupported("collectGarbage"))
    }

    /// Links identical files together.
    fn optimise(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Checks the store; true when errors remain.
    fn verify(&self, check_contents: bool, repair: bool) -> Result<bool, StoreError> {
        let _ = (check_contents, repair);
        Ok(false)
    }

    /// The build log of an object or derivation.
    fn build_log(&self, path: &StorePath) -> Result<Option<Vec<u8>>, StoreError> {
        let _ = path;
        Ok(None)
    }

    /// Keeps a build log that was made elsewhere.
    fn add_build_log(&self, drv: &StorePath, log: &[u8]) -> Result<(), StoreError> {
        let _ = (drv, log);
        Err(self.unsupported("addBuildLog"))
    }

    /// Where an object is on disk, for stores that are on disk.
    fn real_path(&self, path: &StorePath) -> Option<PathBuf> {
        let _ = path;
        None
    }

    /// This store as one on the local disk.
    fn as_local(&self) -> Option<&super::local::LocalStore> {
        None
    }

    /// Makes everything added so far visible to other processes.
    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What is not valid of the paths, for a store that cannot build: derivations stand for their outputs.
/// Why a store that nobody builds for cannot realise paths that it does not all have.
fn cannot_realise<S: Store + ?Sized>(store: &S, paths: &[DerivedPath]) -> StoreError {
    let opaque = paths.iter().find_map(|path| match path {
        DerivedPath::Opaque(path) if !store.is_valid(path).unwrap_or(true) => Some(path),
        _ => None,
    });
    match opaque {
        Some(path) => StoreError::Unobtainable(store.dir().display(path).to_string()),
        None => StoreError::NoBuilder,
    }
}

fn missing_of<S: Store + ?Sized>(
    store: &S,
    paths: &[DerivedPath],
) -> Result<BTreeSet<StorePath>, StoreError> {
    let mut missing = BTreeSet::new();
    for path in paths {
        let (path, wanted) = match path {
            DerivedPath::Opaque(path) => {
                if !store.is_valid(path)? {
                    missing.insert(path.clone());
                }
                continue;
            }
            DerivedPath::Built { drv, outputs } => (drv.base(), outputs),
        };
        if !store.is_valid(path)? {
            missing.insert(path.clone());
            continue;
        }
        for (name, output) in store.query_derivation_outputs(path)? {
            match output {
                Some(output) if store.is_valid(&output)? => {}
                _ if wanted.contains(&name) => {
                    missing.insert(path.clone());
                }
                _ => {}
            }
        }
    }
    Ok(missing)
}
