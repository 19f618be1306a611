//! The store as evaluation needs it.

use std::collections::{BTreeMap, BTreeSet};

use rx_store::content_address::Method;
use rx_store::derivation::Derivation;
use rx_store::fetch::input::Fetcher;
use rx_store::hash::{Algorithm, Hash};
use rx_store::path::{StoreDir, StorePath};

use super::FileKind;
use crate::error::{Error, ErrorKind, Result};
use crate::value::ContextElement;

/// Decides whether the entry with this whole path goes into the store.
pub type KeepEntry<'a> = dyn FnMut(&[u8], FileKind) -> Result<bool> + 'a;

/// A file or directory that is to be copied to the store.
pub struct TreeSource<'a> {
    /// The name of the store object.
    pub name: &'a [u8],
    /// What is copied.
    pub path: &'a [u8],
    /// How it is hashed: [`Method::NixArchive`], [`Method::Flat`] …
    pub method: Method,
    /// With what.
    pub algorithm: Algorithm,
    /// What is left out; nothing unless given.
    pub filter: Option<&'a mut KeepEntry<'a>>,
    /// The hash that the contents should have; when an object with it is valid, nothing is read.
    pub expected: Option<Hash>,
    /// What the object refers to.
    pub references: BTreeSet<StorePath>,
}

impl<'a> TreeSource<'a> {
    /// All of a file or directory, as path literals in strings are copied.
    pub fn plain(name: &'a [u8], path: &'a [u8]) -> TreeSource<'a> {
        TreeSource {
            name,
            path,
            method: Method::NixArchive,
            algorithm: Algorithm::Sha256,
            filter: None,
            expected: None,
            references: BTreeSet::new(),
        }
    }
}

/// What became of context elements that were realised.
#[derive(Clone, Debug, Default)]
pub struct Realised {
    /// Placeholders, with the paths to put in their place.
    pub rewrites: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The outputs that were asked for.
    pub outputs: Vec<StorePath>,
}

/// What evaluation adds to the store and wants from it. Implementations may only compute.
pub trait EvalStore: Send + Sync {
    /// The store directory.
    fn dir(&self) -> &StoreDir;
    /// Adds a text, as `builtins.toFile` does.
    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath>;
    /// Puts a derivation whose file has these contents and therefore this path into the store.
    fn write_derivation(
        &self,
        derivation: &Derivation,
        path: &StorePath,
        aterm: &[u8],
    ) -> Result<()>;
    /// Reads a derivation that is in the store, or was written before by this evaluation.
    fn read_derivation(&self, path: &StorePath) -> Result<Derivation>;
    /// Copies a file or directory.
    fn add_tree(&self, source: &mut TreeSource<'_>) -> Result<StorePath>;
    /// Makes sure that an object exists, fetching it if need be.
    fn ensure(&self, path: &StorePath) -> Result<()>;
    /// Whether an object exists.
    fn is_valid(&self, path: &StorePath) -> Result<bool>;
    /// What an object refers to.
    fn references(&self, path: &StorePath) -> Result<BTreeSet<StorePath>>;
    /// An object and all that it refers to, and these refer to.
    fn closure(&self, path: &StorePath) -> Result<BTreeSet<StorePath>>;
    /// Builds or fetches what a context names.
    fn realise(&self, elements: &[&ContextElement]) -> Result<Realised>;
    /// Who fetches into this store.
    fn fetcher(&self) -> Result<&Fetcher> {
        Err(super::outside("nothing can be fetched in this evaluation"))
    }
    /// Where a store path is really to be read, when that is elsewhere.
    fn real_path(&self, path: &[u8]) -> Option<Vec<u8>> {
        let _ = path;
        None
    }
    /// Makes what was added so far visible to others.
    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// Turns the bytes of a name into a text that can be a store object's name.
pub(crate) fn object_name(name: &[u8]) -> Result<&str> {
    rx_store::path::check_name(name)
        .map_err(|error| Error::new(ErrorKind::Other, error.to_string()))
}
