//! Ed25519 keys and signatures in the text form `name:base64`.

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use thiserror::Error;

use crate::hash::decode_base64;

/// Why a text is no key or signature.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum KeyError {
    /// There is no name, no colon or no base-64.
    #[error("key is corrupt")]
    Corrupt,
    /// There is no name, no colon or no base-64.
    #[error("signature is corrupt")]
    CorruptSignature,
    /// The bytes are no secret key.
    #[error("secret key is not valid")]
    Secret,
    /// The bytes are no public key.
    #[error("public key is not valid")]
    Public,
    /// The system gives no random bytes.
    #[error("key generation failed")]
    Generate,
}

fn split(text: &str) -> Option<(&str, Vec<u8>)> {
    let (name, data) = text.split_once(':')?;
    let data = decode_base64(data.as_bytes())?;
    (!name.is_empty() && !data.is_empty()).then_some((name, data))
}

fn join(name: &str, data: &[u8]) -> String {
    format!("{name}:{}", data_encoding::BASE64.encode(data))
}

/// A signature with the name of its key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    /// The key's name.
    pub key_name: String,
    /// The signature's bytes.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// Reads `name:base64`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = split(text).ok_or(KeyError::CorruptSignature)?;
        Ok(Signature {
            key_name: name.to_owned(),
            bytes,
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(&self.key_name, &self.bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key to sign with.
#[derive(Clone)]
pub struct SecretKey {
    name: String,
    key: SigningKey,
}

impl SecretKey {
    /// Reads `name:base64` of 64 bytes: seed and public key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, data) = split(text).ok_or(KeyError::Corrupt)?;
        let data: [u8; 64] = data.try_into().map_err(|_| KeyError::Secret)?;
        let key = SigningKey::from_keypair_bytes(&data).map_err(|_| KeyError::Secret)?;
        Ok(SecretKey {
            name: name.to_owned(),
            key,
        })
    }

    /// Makes a new key.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        use std::io::Read as _;
        let mut seed = [0; 32];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut seed))
            .map_err(|_| KeyError::Generate)?;
        Ok(SecretKey {
            name: name.to_owned(),
            key: SigningKey::from_bytes(&seed),
        })
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key to verify with.
    pub fn public(&self) -> PublicKey {
        PublicKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// Signs a text.
    pub fn sign(&self, text: &[u8]) -> Signature {
        let bytes = self.key.sign(text).to_bytes().to_vec();
        Signature {
            key_name: self.name.clone(),
            bytes,
        }
    }
}

impl fmt::Display for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(&self.name, &self.key.to_keypair_bytes()))
    }
}

/// A key to verify with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

impl PublicKey {
    /// Reads `name:base64` of 32 bytes.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, data) = split(text).ok_or(KeyError::Corrupt)?;
        let data: [u8; 32] = data.try_into().map_err(|_| KeyError::Public)?;
        let key = VerifyingKey::from_bytes(&data).map_err(|_| KeyError::Public)?;
        Ok(PublicKey {
            name: name.to_owned(),
            key,
        })
    }

    /// Whether the signature is this key's for the text.
    pub fn verify(&self, text: &[u8], signature: &Signature) -> bool {
        let Ok(bytes) = <[u8; 64]>::try_from(signature.bytes.as_slice()) else {
            return false;
        };
        let bytes = ed25519_dalek::Signature::from_bytes(&bytes);
        signature.key_name == self.name && self.key.verify_strict(text, &bytes).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(&self.name, self.key.as_bytes()))
    }
}

/// Trusted keys by name.
#[derive(Clone, Default, Debug)]
pub struct PublicKeys(BTreeMap<String, PublicKey>);

impl PublicKeys {
    /// Reads keys; the later of two with one name counts.
    pub fn parse<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Self, KeyError> {
        let mut keys = PublicKeys::default();
        for text in texts {
            keys.add(PublicKey::parse(text.as_ref())?);
        }
        Ok(keys)
    }

    /// Trusts one more key.
    pub fn add(&mut self, key: PublicKey) {
        self.0.insert(key.name.clone(), key);
    }

    /// Whether a trusted key made the signature for the text.
    pub fn verify(&self, text: &[u8], signature: &Signature) -> bool {
        self.0
            .get(&signature.key_name)
            .is_some_and(|key| key.verify(text, signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_signs_its_public_half_verifies() {
        let key = SecretKey::generate("test-1").unwrap();
        let again = SecretKey::parse(&key.to_string()).unwrap();
        let signature = Signature::parse(&again.sign(b"text").to_string()).unwrap();
        let keys = PublicKeys::parse([key.public().to_string()]).unwrap();
        assert!(keys.verify(b"text", &signature));
        assert!(!keys.verify(b"other", &signature));
        let other = SecretKey::generate("test-1").unwrap();
        assert!(!keys.verify(b"text", &other.sign(b"text")));
    }

    #[test]
    fn damaged_keys_are_refused() {
        for text in ["", "name", ":AAAA", "name:", "name:!!", "name:AAAA"] {
            assert!(SecretKey::parse(text).is_err());
            assert!(PublicKey::parse(text).is_err());
        }
    }
}
