//! Inputs: source trees as URLs and as attributes, the two spellings of one thing.
//!
//! ```text
//! github:owner/repo/ref   ⇄   { type = "github"; owner; repo; ref; }   ── fetch ──►  tree + attributes
//! ```
//!
//! An [`Input`] is a set of attributes of a known type. What it does not say (which commit, which
//! hash) a fetch finds out; the attributes that come back are *locked*: they fetch the same tree
//! for ever.

mod curl;
mod error;
mod fetch;
mod forge;
mod git;
mod indirect;
mod locks;
mod mercurial;
mod path;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use error::InputError;
pub use fetch::{Fetched, Fetcher, FileResult};

use super::attrs::{Attr, Attrs};
use super::url::{Url, split_scheme};
use crate::hash::{Algorithm, Hash};

/// The kinds of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// A file, downloaded as it is.
    File,
    /// A Git repository.
    Git,
    /// An archive that GitHub makes of a repository.
    GitHub,
    /// The same of GitLab.
    GitLab,
    /// A Mercurial repository.
    Mercurial,
    /// A name that a registry explains.
    Indirect,
    /// A directory on this machine.
    Path,
    /// An archive of SourceHut.
    SourceHut,
    /// An archive, unpacked.
    Tarball,
}

impl Scheme {
    /// All kinds, in the order in which URLs are offered to them.
    pub const ALL: [Scheme; 9] = [
        Scheme::File,
        Scheme::Git,
        Scheme::GitHub,
        Scheme::GitLab,
        Scheme::Mercurial,
        Scheme::Indirect,
        Scheme::Path,
        Scheme::SourceHut,
        Scheme::Tarball,
    ];

    /// The value of the attribute `type`.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::File => "file",
            Scheme::Git => "git",
            Scheme::GitHub => "github",
            Scheme::GitLab => "gitlab",
            Scheme::Mercurial => "hg",
            Scheme::Indirect => "indirect",
            Scheme::Path => "path",
            Scheme::SourceHut => "sourcehut",
            Scheme::Tarball => "tarball",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name() == name)
    }

    /// Attributes that inputs of this kind may have, besides `type` and `__final`.
    pub fn allowed_attributes(self) -> &'static [&'static str] {
        match self {
            Scheme::File | Scheme::Tarball => curl::ATTRIBUTES,
            Scheme::Git => git::ATTRIBUTES,
            Scheme::GitHub | Scheme::GitLab | Scheme::SourceHut => forge::ATTRIBUTES,
            Scheme::Mercurial => mercurial::ATTRIBUTES,
            Scheme::Indirect => &["id", "ref", "rev", "narHash"],
            Scheme::Path => path::ATTRIBUTES,
        }
    }

    /// Whether the kind belongs to the experimental feature `flakes`.
    pub fn needs_flakes(self) -> bool {
        matches!(
            self,
            Scheme::GitHub | Scheme::GitLab | Scheme::SourceHut | Scheme::Indirect | Scheme::Path
        )
    }
}

/// Whether a URL must stand for a tree (as a flake does) or may stand for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A tree: a plain `https` URL is an archive.
    Tree,
    /// A plain `https` URL is a file unless its name says that it is an archive.
    Anything,
}

/// A source tree, named by attributes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// The attributes, `type` among them.
    pub attrs: Attrs,
}

/// Where a tree in the store came from, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// A directory of this machine, or an address in guillemets.
    pub shown: String,
    /// The Git work tree whose tracked files it has.
    pub repository: Option<PathBuf>,
}

impl Input {
    /// Reads a URL.
    pub fn parse(url: &str, wanted: Wanted) -> Result<Self, InputError> {
        Self::from_url(&Url::parse(url)?, wanted)
    }

    /// What a URL stands for.
    pub fn from_url(url: &Url, wanted: Wanted) -> Result<Self, InputError> {
        for scheme in Scheme::ALL {
            let attrs = match scheme {
                Scheme::File | Scheme::Tarball => curl::from_url(scheme, url, wanted),
                Scheme::Git => git::from_url(url)?,
                Scheme::GitHub | Scheme::GitLab | Scheme::SourceHut => {
                    forge::from_url(scheme, url)?
                }
                Scheme::Mercurial => mercurial::from_url(url)?,
                Scheme::Indirect => indirect::from_url(url)?,
                Scheme::Path => path::from_url(url)?,
            };
            if let Some(attrs) = attrs {
                let input = Input { attrs };
                input.check_common()?;
                return Ok(input);
            }
        }
        if split_scheme(&url.scheme) == (Some("file"), "git") {
            return Err(InputError::Other(format!(
                "input '{url}' is unsupported; did you mean 'git+file' instead of 'file+git'?"
            )));
        }
        Err(InputError::Other(format!("input '{url}' is unsupported")))
    }

    /// What attributes stand for. An unknown `type` is kept, but cannot be fetched.
    pub fn from_attrs(attrs: Attrs) -> Result<Self, InputError> {
        let Some(name) = attrs.str_opt("type")? else {
            return Err(InputError::Other(
                "'type' attribute to specify input scheme is required but not provided".into(),
            ));
        };
        let Some(scheme) = Scheme::from_name(name) else {
            let input = Input { attrs };
            input.check_common()?;
            return Ok(input);
        };
        let allowed = scheme.allowed_attributes();
        for name in attrs.0.keys() {
            if name != "type" && name != "__final" && !allowed.contains(&name.as_str()) {
                return Err(InputError::Other(format!(
                    "input attribute '{name}' not supported by scheme '{}'",
                    scheme.name()
                )));
            }
        }
        let attrs = match scheme {
            Scheme::File | Scheme::Tarball => attrs,
            Scheme::Git => git::check(attrs)?,
            Scheme::GitHub | Scheme::GitLab | Scheme::SourceHut => forge::check(attrs)?,
            Scheme::Mercurial => mercurial::check(attrs)?,
            Scheme::Indirect => indirect::check(attrs)?,
            Scheme::Path => {
                attrs.str("path")?;
                attrs
            }
        };
        let input = Input { attrs };
        input.check_common()?;
        Ok(input)
    }

    fn check_common(&self) -> Result<(), InputError> {
        self.attrs.str("type")?;
        self.reference()?;
        self.attrs.int_opt("revCount")?;
        self.last_modified()?;
        Ok(())
    }

    /// The kind, if it is a known one.
    pub fn scheme(&self) -> Option<Scheme> {
        self.attrs.str("type").ok().and_then(Scheme::from_name)
    }

    fn known_scheme(&self) -> Result<Scheme, InputError> {
        self.scheme().ok_or_else(|| {
            InputError::Other(format!(
                "cannot show unsupported input '{}'",
                self.attrs.to_json()
            ))
        })
    }

    /// The URL of this input.
    pub fn to_url(&self) -> Result<Url, InputError> {
        match self.known_scheme()? {
            Scheme::File | Scheme::Tarball => curl::to_url(self),
            Scheme::Git => git::to_url(self),
            scheme @ (Scheme::GitHub | Scheme::GitLab | Scheme::SourceHut) => {
                forge::to_url(scheme, self)
            }
            Scheme::Mercurial => mercurial::to_url(self),
            Scheme::Indirect => indirect::to_url(self),
            Scheme::Path => path::to_url(self),
        }
    }

    /// The URL as a text; for an unknown kind, the attributes.
    pub fn show(&self) -> String {
        self.to_url()
            .map_or_else(|_| self.attrs.to_json().to_string(), |url| url.to_string())
    }

    /// The attribute `ref`: a branch or tag.
    pub fn reference(&self) -> Result<Option<&str>, InputError> {
        Ok(self.attrs.str_opt("ref")?)
    }

    /// The attribute `rev`: a commit.
    pub fn revision(&self) -> Result<Option<Hash>, InputError> {
        let Some(text) = self.attrs.str_opt("rev")? else {
            return Ok(None);
        };
        let hash = Hash::parse_any_prefixed(text)
            .or_else(|_| Hash::parse_any(text, Some(Algorithm::Sha1)))?;
        Ok(Some(hash))
    }

    /// The attribute `narHash`. The empty text is the zero hash, which people use to learn the right one.
    pub fn nar_hash(&self) -> Result<Option<Hash>, InputError> {
        let Some(text) = self.attrs.str_opt("narHash")? else {
            return Ok(None);
        };
        if text.is_empty() {
            return Ok(Some(Hash::zero(Algorithm::Sha256)));
        }
        let hash = Hash::parse_sri(text)?;
        if hash.algorithm() != Algorithm::Sha256 {
            return Err(InputError::Other("narHash must use SHA-256".into()));
        }
        Ok(Some(hash))
    }

    /// The attribute `lastModified`.
    pub fn last_modified(&self) -> Result<Option<u64>, InputError> {
        Ok(self.attrs.int_opt("lastModified")?)
    }

    /// The name of the store path.
    pub fn name(&self) -> Result<&str, InputError> {
        Ok(self.attrs.str_opt("name")?.unwrap_or("source"))
    }

    /// Whether it can be fetched without a registry.
    pub fn is_direct(&self) -> bool {
        self.scheme() != Some(Scheme::Indirect)
    }

    /// Whether it fetches the same tree for ever. With `trust_forges`, archives of the forges are
    /// believed to follow from their commit.
    pub fn is_locked(&self, trust_forges: bool) -> bool {
        let has_hash = matches!(self.nar_hash(), Ok(Some(_)));
        match self.scheme() {
            Some(Scheme::File | Scheme::Tarball | Scheme::Path) => has_hash,
            Some(Scheme::Git | Scheme::Mercurial) => {
                matches!(self.revision(), Ok(Some(rev)) if rev.as_bytes().iter().any(|b| *b != 0))
            }
            Some(Scheme::GitHub | Scheme::GitLab | Scheme::SourceHut) => {
                self.attrs.has("rev") && (trust_forges || has_hash)
            }
            Some(Scheme::Indirect) | None => false,
        }
    }

    /// Whether all attributes are final: a fetch neither adds nor changes any.
    pub fn is_final(&self) -> bool {
        self.attrs.flag("__final").unwrap_or(false)
    }

    /// A text that is the same for the same tree, fetched in the same way.
    pub fn fingerprint(&self) -> Option<String> {
        let revision = || {
            self.revision()
                .ok()
                .flatten()
                .map(|revision| revision.base16())
        };
        let nar_hash = || self.nar_hash().ok().flatten().map(|hash| hash.sri());
        match self.scheme()? {
            Scheme::Path if self.relative_path().is_some() => None,
            Scheme::Path => nar_hash().map(|hash| format!("path:{hash}")),
            Scheme::File | Scheme::Tarball => nar_hash().or_else(revision),
            Scheme::Git => {
                let flag = |name, letter| match self.attrs.flag(name) {
                    Ok(true) => letter,
                    _ => "",
                };
                let flags = [
                    flag("submodules", ";s"),
                    flag("exportIgnore", ";e"),
                    flag("lfs", ";l"),
                ];
                let (revision, changes) = match revision() {
                    Some(revision) => (revision, String::new()),
                    None => git::changes(self)?,
                };
                Some(revision + &flags.concat() + &changes)
            }
            Scheme::GitHub | Scheme::GitLab | Scheme::SourceHut | Scheme::Mercurial => revision(),
            Scheme::Indirect => None,
        }
    }

    /// The path of a `path` input that is relative to the flake that names it.
    pub fn relative_path(&self) -> Option<PathBuf> {
        let path = PathBuf::from(self.attrs.str("path").ok()?);
        (self.scheme() == Some(Scheme::Path) && path.is_relative()).then_some(path)
    }

    /// Where its tree came from; `fetched` is what the fetch made of it.
    pub fn provenance(&self, fetched: &Input) -> Provenance {
        let place = match self.scheme() {
            Some(Scheme::Git | Scheme::Path)
                if !self.attrs.has("rev") && !self.attrs.has("ref") =>
            {
                self.source_path()
            }
            _ => None,
        };
        let shown = match &place {
            Some(path) => path.display().to_string(),
            None => format!("«{}»", fetched.show()),
        };
        let repository = place.filter(|_| self.scheme() == Some(Scheme::Git));
        Provenance { shown, repository }
    }

    /// Where the tree lies on this machine, if it can be changed there.
    pub fn source_path(&self) -> Option<PathBuf> {
        match self.scheme()? {
            Scheme::Path => self
                .attrs
                .str("path")
                .ok()
                .map(PathBuf::from)
                .filter(|path| path.is_absolute()),
            Scheme::Git => git::local_path(self),
            Scheme::Mercurial => mercurial::local_path(self),
            _ => None,
        }
    }

    /// Writes a file into the tree, where it lies on this machine. In a Git repository, Git gets to know of it, and
    /// with a message it is committed.
    pub fn put_file(
        &self,
        file: &Path,
        contents: &[u8],
        message: Option<&str>,
    ) -> Result<(), InputError> {
        let Some(root) = self.source_path() else {
            return Err(InputError::Other(format!(
                "input '{}' does not support modifying file '{}'",
                self.show(),
                file.display()
            )));
        };
        let path = root.join(file);
        std::fs::write(&path, contents).map_err(|source| InputError::File {
            action: "writing",
            path: path.display().to_string(),
            source,
        })?;
        match self.scheme() {
            Some(Scheme::Git) => Ok(super::git::record(&root, file, message)?),
            Some(Scheme::Mercurial) => mercurial::record(&root, file, message),
            _ => Ok(()),
        }
    }

    /// The same input with another branch or commit.
    pub fn with_overrides(
        &self,
        reference: Option<&str>,
        revision: Option<&Hash>,
    ) -> Result<Self, InputError> {
        let mut input = self.clone();
        match self.scheme() {
            Some(Scheme::GitHub | Scheme::GitLab | Scheme::SourceHut) => {
                if let (Some(reference), Some(revision)) = (reference, revision) {
                    return Err(InputError::Other(format!(
                        "cannot apply both a commit hash ({}) and a branch/tag name ('{reference}') to input '{}'",
                        revision.base16(),
                        self.show()
                    )));
                }
                if let Some(revision) = revision {
                    input.attrs.set("rev", revision.base16());
                    input.attrs.remove("ref");
                }
                if let Some(reference) = reference {
                    input.attrs.set("ref", reference);
                    input.attrs.remove("rev");
                }
            }
            Some(Scheme::Git | Scheme::Mercurial | Scheme::Indirect) => {
                if let Some(revision) = revision {
                    input.attrs.set("rev", revision.base16());
                }
                if let Some(reference) = reference {
                    input.attrs.set("ref", reference);
                }
                if self.scheme() == Some(Scheme::Git)
                    && input.attrs.has("rev")
                    && !input.attrs.has("ref")
                {
                    return Err(InputError::Other(format!(
                        "Git input '{}' has a commit hash but no branch/tag name",
                        input.show()
                    )));
                }
            }
            _ => {
                if let Some(reference) = reference {
                    return Err(InputError::Other(format!(
                        "don't know how to set branch/tag name of input '{}' to '{reference}'",
                        self.show()
                    )));
                }
                if let Some(revision) = revision {
                    return Err(InputError::Other(format!(
                        "don't know how to set revision of input '{}' to '{}'",
                        self.show(),
                        revision.base16()
                    )));
                }
            }
        }
        Ok(input)
    }

    /// Whether a registry entry for this input applies to `other`: equal, or equal without the branch
    /// and commit that `other` names.
    pub fn contains(&self, other: &Input) -> bool {
        if self == other {
            return true;
        }
        let mut general = other.clone();
        general.attrs.remove("ref");
        general.attrs.remove("rev");
        *self == general
    }
}

/// Reads an optional number out of a query; what is no number is left out.
fn query_number(url: &Url, name: &str) -> Option<u64> {
    url.query.get(name)?.parse().ok()
}

/// A flag of a query: `1` is true.
fn query_flag(value: &str) -> Attr {
    Attr::Bool(value == "1")
}

/// Forty hexadecimal digits.
fn is_revision(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|c| c.is_ascii_hexdigit())
}
