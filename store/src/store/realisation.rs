//! What outputs of content-addressed derivations were built to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use super::error::StoreError;
use super::signature::{PublicKeys, SecretKey, Signature};
use crate::hash::{Format, Hash};
use crate::path::StorePath;

/// An output of a derivation, told by the derivation's hash modulo.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DrvOutput {
    /// The derivation's hash modulo.
    pub drv_hash: Hash,
    /// The output.
    pub output: String,
}

impl DrvOutput {
    /// Reads `sha256:<hex>!<output>`.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let (hash, output) = text.split_once('!').ok_or(StoreError::Format(
            "invalid derivation output id: missing '!'",
        ))?;
        Ok(DrvOutput {
            drv_hash: Hash::parse_any_prefixed(hash)?,
            output: output.to_owned(),
        })
    }
}

impl fmt::Display for DrvOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}!{}",
            self.drv_hash.format(Format::Base16, true),
            self.output
        )
    }
}

/// What an output was built to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Realisation {
    /// Which output.
    pub id: DrvOutput,
    /// The object.
    pub out_path: StorePath,
    /// Who vouches for that.
    pub signatures: BTreeSet<Signature>,
    /// Outputs that the build used, and what they were.
    pub dependent: BTreeMap<DrvOutput, StorePath>,
}

impl Realisation {
    /// A realisation without signatures.
    pub fn new(id: DrvOutput, out_path: StorePath) -> Self {
        Realisation {
            id,
            out_path,
            signatures: BTreeSet::new(),
            dependent: BTreeMap::new(),
        }
    }

    fn json(&self, with_signatures: bool) -> Value {
        let mut map = Map::new();
        let dependent: Map<String, Value> = self
            .dependent
            .iter()
            .map(|(id, path)| (id.to_string(), path.to_string().into()))
            .collect();
        map.insert("dependentRealisations".into(), dependent.into());
        map.insert("id".into(), self.id.to_string().into());
        map.insert("outPath".into(), self.out_path.to_string().into());
        if with_signatures {
            let list: Vec<Value> = self
                .signatures
                .iter()
                .map(|s| s.to_string().into())
                .collect();
            map.insert("signatures".into(), list.into());
        }
        map.into()
    }

    /// The JSON that caches and protocols carry.
    pub fn to_json(&self) -> Value {
        self.json(true)
    }

    /// Reads the JSON that caches and protocols carry.
    pub fn from_json(value: &Value) -> Result<Self, StoreError> {
        const BAD: StoreError = StoreError::Format("invalid JSON for a realisation");
        let text = |key: &str| value.get(key).and_then(Value::as_str).ok_or(BAD);
        let mut realisation = Realisation::new(
            DrvOutput::parse(text("id")?)?,
            StorePath::parse(text("outPath")?)?,
        );
        for signature in value
            .get("signatures")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let signature = signature.as_str().ok_or(BAD)?;
            realisation.signatures.insert(Signature::parse(signature)?);
        }
        let dependent = value
            .get("dependentRealisations")
            .and_then(Value::as_object);
        for (id, path) in dependent.into_iter().flatten() {
            let path = StorePath::parse(path.as_str().ok_or(BAD)?)?;
            realisation.dependent.insert(DrvOutput::parse(id)?, path);
        }
        Ok(realisation)
    }

    /// The text that is signed: the JSON without signatures.
    pub fn fingerprint(&self) -> Vec<u8> {
        self.json(false).to_string().into_bytes()
    }

    /// Adds a signature.
    pub fn sign(&mut self, key: &SecretKey) {
        let signature = key.sign(&self.fingerprint());
        self.signatures.insert(signature);
    }

    /// Whether a trusted key vouches for it.
    pub fn is_trusted(&self, keys: &PublicKeys) -> bool {
        let fingerprint = self.fingerprint();
        self.signatures.iter().any(|s| keys.verify(&fingerprint, s))
    }
}
