//! Content addresses, and the store paths that follow from contents, texts and derivations.
//!
//! ```text
//! address = "text:" hash | "fixed:" ["r:" | "git:"] hash          hash = algo ":" nix32
//! path    = nix32(fold20(sha256(type ":" innerhash ":" storedir ":" name))) "-" name
//! type    = "text" refs | "source" refs | "output:" id            refs = (":" path)* [":self"]
//! ```

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

use crate::hash::{self, Algorithm, Format, Hash, HashError};
use crate::path::{PathError, StoreDir, StorePath};

/// How a store object's contents are turned into bytes to hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Method {
    /// The bytes of one regular file.
    Flat,
    /// The archive of a file tree.
    NixArchive,
    /// A git blob or tree.
    Git,
    /// The bytes of one regular file, with references entering the path.
    Text,
}

/// Why a text is no content address or an address cannot become a path.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum ContentAddressError {
    /// No colon at all.
    #[error("not a content address because it is not in the form '<prefix>:<rest>': {0}")]
    NoPrefix(String),
    /// No colon after the method.
    #[error("content address hash must be in form '<algo>:<hash>', but found: {0}")]
    NoAlgorithm(String),
    /// Neither `text` nor `fixed`.
    #[error(
        "content address prefix '{0}' is unrecognized. Recogonized prefixes are 'text' or 'fixed'"
    )]
    UnknownPrefix(String),
    /// Neither `flat`, `nar`, `git` nor `text`.
    #[error("Unknown file ingestion method '{0}', expect `flat`, `nar`, or `git`")]
    UnknownMethod(String),
    /// The hash is malformed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The name does not make a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Only recursive SHA-256 objects and texts can have references.
    #[error(
        "fixed output derivation '{0}' is not allowed to refer to other store paths.\n\
         You may need to use the 'unsafeDiscardReferences' derivation attribute, see the manual for more details."
    )]
    ReferencesNotAllowed(String),
    /// A text that contains its own path cannot exist.
    #[error("self-reference not allowed with text hashing")]
    SelfReferenceInText,
    /// Git trees are named by SHA-1 or SHA-256 only.
    #[error("Git file ingestion must use SHA-1 or SHA-256 hash, but instead using: {0}")]
    GitAlgorithm(Algorithm),
}

impl Method {
    /// The name in JSON: `flat`, `nar`, `git`, `text`.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Flat => "flat",
            Method::NixArchive => "nar",
            Method::Git => "git",
            Method::Text => "text",
        }
    }

    /// Reads the name used in JSON and in options.
    pub fn parse(name: impl AsRef<[u8]>) -> Result<Self, ContentAddressError> {
        match name.as_ref() {
            b"flat" => Ok(Method::Flat),
            b"nar" => Ok(Method::NixArchive),
            b"git" => Ok(Method::Git),
            b"text" => Ok(Method::Text),
            other => Err(ContentAddressError::UnknownMethod(lossy(other))),
        }
    }

    /// The prefix before the algorithm in derivations: nothing, `r:`, `git:`, `text:`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Method::Flat => "",
            Method::NixArchive => "r:",
            Method::Git => "git:",
            Method::Text => "text:",
        }
    }

    /// Splits the prefix used in derivations from what follows it.
    pub fn split_prefix(text: &[u8]) -> (Self, &[u8]) {
        for method in [Method::NixArchive, Method::Git, Method::Text] {
            if let Some(rest) = text.strip_prefix(method.prefix().as_bytes()) {
                return (method, rest);
            }
        }
        (Method::Flat, text)
    }

    /// `text:sha256`, `fixed:r:sha256` …: method and algorithm as the worker protocol sends them.
    pub fn with_algorithm(self, algorithm: Algorithm) -> String {
        let fixed = if self == Method::Text { "" } else { "fixed:" };
        format!("{fixed}{}{algorithm}", self.prefix())
    }

    /// Reads what [`Method::with_algorithm`] prints.
    pub fn parse_with_algorithm(text: &[u8]) -> Result<(Self, Algorithm), ContentAddressError> {
        let mut whole = text.to_vec();
        whole.push(b':');
        let (method, algorithm, _) = split_address(&whole)?;
        Ok((method, algorithm))
    }
}

/// An assertion about the contents of a store object from which its path follows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ContentAddress {
    /// How the contents are hashed.
    pub method: Method,
    /// Their hash.
    pub hash: Hash,
}

impl ContentAddress {
    /// Reads `text:…` and `fixed:…`.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ContentAddressError> {
        let (method, algorithm, digits) = split_address(text.as_ref())?;
        Ok(ContentAddress {
            method,
            hash: Hash::parse_unprefixed(digits, algorithm)?,
        })
    }

    /// Like [`ContentAddress::parse`]; the empty text is none.
    pub fn parse_optional(text: &[u8]) -> Result<Option<Self>, ContentAddressError> {
        if text.is_empty() {
            Ok(None)
        } else {
            Self::parse(text).map(Some)
        }
    }

    /// `r:sha256` and the like: how derivations name method and algorithm.
    pub fn method_algorithm(&self) -> String {
        format!("{}{}", self.method.prefix(), self.hash.algorithm())
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = self.hash.algorithm();
        write!(
            f,
            "{}:{}",
            self.method.with_algorithm(algorithm),
            self.hash.nix32()
        )
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn split_address(text: &[u8]) -> Result<(Method, Algorithm, &[u8]), ContentAddressError> {
    let colon =
        memchr::memchr(b':', text).ok_or_else(|| ContentAddressError::NoPrefix(lossy(text)))?;
    let (prefix, rest) = (&text[..colon], &text[colon + 1..]);
    let (method, rest) = match prefix {
        b"text" => (Method::Text, rest),
        b"fixed" if rest.starts_with(b"r:") => (Method::NixArchive, &rest[2..]),
        b"fixed" if rest.starts_with(b"git:") => (Method::Git, &rest[4..]),
        b"fixed" => (Method::Flat, rest),
        other => return Err(ContentAddressError::UnknownPrefix(lossy(other))),
    };
    let colon =
        memchr::memchr(b':', rest).ok_or_else(|| ContentAddressError::NoAlgorithm(lossy(text)))?;
    Ok((
        method,
        Algorithm::parse(&rest[..colon])?,
        &rest[colon + 1..],
    ))
}

/// What a store object refers to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct References {
    /// Other store objects.
    pub others: BTreeSet<StorePath>,
    /// Whether it contains its own path.
    pub self_reference: bool,
}

impl References {
    /// References to others only.
    pub fn to(others: BTreeSet<StorePath>) -> Self {
        References {
            others,
            self_reference: false,
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.others.is_empty() && !self.self_reference
    }
}

/// The name of an output's store object: the derivation's name, with `-<output>` unless that is `out`.
pub fn output_path_name(derivation_name: &str, output: &str) -> String {
    if output == "out" {
        derivation_name.to_owned()
    } else {
        format!("{derivation_name}-{output}")
    }
}

impl StoreDir {
    /// The general rule: folds `type:innerhash:storedir:name`.
    pub fn make_store_path(
        &self,
        kind: &[u8],
        inner: &Hash,
        name: &str,
    ) -> Result<StorePath, PathError> {
        let mut text = Vec::with_capacity(kind.len() + 140 + self.as_bytes().len() + name.len());
        text.extend_from_slice(kind);
        text.push(b':');
        text.extend_from_slice(inner.format(Format::Base16, true).as_bytes());
        text.push(b':');
        text.extend_from_slice(self.as_bytes());
        text.push(b':');
        text.extend_from_slice(name.as_bytes());
        StorePath::new(hash::compress20(&hash::sha256(&text)), name.as_bytes())
    }

    /// The path of an input-addressed output, from the derivation's hash modulo.
    pub fn make_output_path(
        &self,
        output: &str,
        modulo: &[u8; 32],
        derivation_name: &str,
    ) -> Result<StorePath, PathError> {
        let name = output_path_name(derivation_name, output);
        self.make_store_path(
            format!("output:{output}").as_bytes(),
            &Hash::sha256(*modulo),
            &name,
        )
    }

    /// The path of a text (`builtins.toFile`, derivations) with SHA-256 `digest` of its bytes.
    pub fn make_text_path<'a>(
        &self,
        name: &str,
        digest: [u8; 32],
        references: impl IntoIterator<Item = &'a StorePath>,
    ) -> Result<StorePath, PathError> {
        let mut kind = b"text".to_vec();
        for reference in references {
            kind.push(b':');
            self.append_to(reference, &mut kind);
        }
        self.make_store_path(&kind, &Hash::sha256(digest), name)
    }

    /// The path of a content-addressed object that is not a text.
    fn make_fixed_path(
        &self,
        name: &str,
        address: &ContentAddress,
        references: &References,
    ) -> Result<StorePath, ContentAddressError> {
        let algorithm = address.hash.algorithm();
        if address.method == Method::Git
            && !matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256)
        {
            return Err(ContentAddressError::GitAlgorithm(algorithm));
        }
        if algorithm == Algorithm::Sha256 && address.method == Method::NixArchive {
            let mut kind = b"source".to_vec();
            for reference in &references.others {
                kind.push(b':');
                self.append_to(reference, &mut kind);
            }
            if references.self_reference {
                kind.extend_from_slice(b":self");
            }
            return Ok(self.make_store_path(&kind, &address.hash, name)?);
        }
        if !references.is_empty() {
            return Err(ContentAddressError::ReferencesNotAllowed(name.to_owned()));
        }
        let payload = format!(
            "fixed:out:{}{}:",
            address.method.prefix(),
            address.hash.format(Format::Base16, true)
        );
        let inner = Hash::of(Algorithm::Sha256, payload.as_bytes());
        Ok(self.make_store_path(b"output:out", &inner, name)?)
    }

    /// The path of any content-addressed object.
    pub fn make_content_path(
        &self,
        name: &str,
        address: &ContentAddress,
        references: &References,
    ) -> Result<StorePath, ContentAddressError> {
        match address.method {
            Method::Text => {
                if references.self_reference {
                    return Err(ContentAddressError::SelfReferenceInText);
                }
                let mut kind = b"text".to_vec();
                for reference in &references.others {
                    kind.push(b':');
                    self.append_to(reference, &mut kind);
                }
                Ok(self.make_store_path(&kind, &address.hash, name)?)
            }
            Method::Flat | Method::NixArchive | Method::Git => {
                self.make_fixed_path(name, address, references)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_gets_the_path_that_every_nix_gives_it() {
        let dir = StoreDir::default();
        let path = dir.make_text_path("foo", hash::sha256(b"bar"), []).unwrap();
        assert_eq!(path.to_string(), "vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo");
    }

    #[test]
    fn a_recursive_sha256_output_gets_the_path_that_every_nix_gives_it() {
        let dir = StoreDir::default();
        let hash = Hash::of(Algorithm::Sha256, b"");
        let address = ContentAddress {
            method: Method::NixArchive,
            hash,
        };
        let path = dir
            .make_content_path("b", &address, &References::default())
            .unwrap();
        assert_eq!(path.to_string(), "zzrzwwl7wi19zrj7n0w80kadhf5bdq10-b");
    }

    #[test]
    fn addresses_print_and_read_unchanged() {
        for text in [
            "text:sha256:1fcgpy7vc4ammr7s17j2xq88scswkgz23dqzc04g8sx5vcp2pppw",
            "fixed:sha1:kpcd173cq987hw957sx6m0868wv3x6d9",
            "fixed:r:sha256:1fcgpy7vc4ammr7s17j2xq88scswkgz23dqzc04g8sx5vcp2pppw",
            "fixed:git:sha1:kpcd173cq987hw957sx6m0868wv3x6d9",
        ] {
            assert_eq!(ContentAddress::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(ContentAddress::parse_optional(b"").unwrap(), None);
        assert!(ContentAddress::parse("foo:sha256:x").is_err());
        assert!(ContentAddress::parse("fixed:sha256").is_err());
    }

    #[test]
    fn only_recursive_sha256_objects_may_have_references() {
        let dir = StoreDir::default();
        let others = BTreeSet::from([StorePath::new([0; 20], b"x").unwrap()]);
        let references = References::to(others);
        let flat = ContentAddress {
            method: Method::Flat,
            hash: Hash::of(Algorithm::Sha256, b""),
        };
        assert!(matches!(
            dir.make_content_path("n", &flat, &references),
            Err(ContentAddressError::ReferencesNotAllowed(_))
        ));
    }
}
