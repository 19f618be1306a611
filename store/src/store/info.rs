//! What a store knows of an object.

use std::collections::BTreeSet;

use super::signature::{PublicKeys, SecretKey, Signature};
use crate::content_address::{ContentAddress, ContentAddressError, References};
use crate::hash::{Format, Hash};
use crate::path::{StoreDir, StorePath};

/// What a store knows of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathInfo {
    /// The object.
    pub path: StorePath,
    /// SHA-256 of its archive.
    pub nar_hash: Hash,
    /// Size of its archive; 0 when not known.
    pub nar_size: u64,
    /// Objects that its contents name, maybe itself.
    pub references: BTreeSet<StorePath>,
    /// The derivation that built it, as far as is known.
    pub deriver: Option<StorePath>,
    /// Seconds since the epoch; 0 means now, when registering.
    pub registration_time: i64,
    /// It was built here, so it is trusted without signature.
    pub ultimate: bool,
    /// Who vouches for it.
    pub signatures: BTreeSet<Signature>,
    /// The claim that its path follows from its contents.
    pub content_address: Option<ContentAddress>,
}

/// How an object is packed in a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveInfo {
    /// Where the archive is, usually relative to the cache.
    pub url: String,
    /// How it is compressed.
    pub compression: &'static str,
    /// Its hash, as it is there.
    pub hash: Option<crate::hash::Hash>,
    /// Its size; 0 when not known.
    pub size: u64,
}

impl PathInfo {
    /// An object of which only path, hash and size are known.
    pub fn new(path: StorePath, nar_hash: Hash, nar_size: u64) -> Self {
        PathInfo {
            path,
            nar_hash,
            nar_size,
            references: BTreeSet::new(),
            deriver: None,
            registration_time: 0,
            ultimate: false,
            signatures: BTreeSet::new(),
            content_address: None,
        }
    }

    /// The text that is signed: `1;path;hash;size;references`. `None` when the size is not known.
    pub fn fingerprint(&self, dir: &StoreDir) -> Option<Vec<u8>> {
        if self.nar_size == 0 {
            return None;
        }
        let mut out = b"1;".to_vec();
        dir.append_to(&self.path, &mut out);
        let hash = self.nar_hash.format(Format::Nix32, true);
        out.extend_from_slice(format!(";{hash};{};", self.nar_size).as_bytes());
        for (i, reference) in self.references.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            dir.append_to(reference, &mut out);
        }
        Some(out)
    }

    /// Adds a signature; does nothing when the size is not known.
    pub fn sign(&mut self, dir: &StoreDir, key: &SecretKey) {
        if let Some(fingerprint) = self.fingerprint(dir) {
            self.signatures.insert(key.sign(&fingerprint));
        }
    }

    /// References split into others and itself.
    pub fn split_references(&self) -> References {
        let mut others = self.references.clone();
        let self_reference = others.remove(&self.path);
        References {
            others,
            self_reference,
        }
    }

    /// Whether the path follows from the content address; an error when no path can follow from it.
    pub fn is_content_addressed(&self, dir: &StoreDir) -> Result<bool, ContentAddressError> {
        let Some(address) = &self.content_address else {
            return Ok(false);
        };
        let path = dir.make_content_path(self.path.name(), address, &self.split_references())?;
        Ok(path == self.path)
    }

    /// How many trusted keys vouch for it; `usize::MAX` when it vouches for itself by its content address.
    pub fn count_valid_signatures(&self, dir: &StoreDir, keys: &PublicKeys) -> usize {
        if self.is_content_addressed(dir).unwrap_or(false) {
            return usize::MAX;
        }
        let Some(fingerprint) = self.fingerprint(dir) else {
            return 0;
        };
        self.signatures
            .iter()
            .filter(|s| keys.verify(&fingerprint, s))
            .count()
    }
}
