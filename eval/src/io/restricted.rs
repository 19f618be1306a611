//! Pure and restricted evaluation: only what was allowed can be read.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;
use rx_store::path::StorePath;

use super::{EvalIo, EvalStore, FileKind, Listing, TreeSource, internal};
use crate::error::{Error, ErrorKind, Result};

/// Which rules hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restriction {
    /// `pure-eval`: nothing that differs between machines or moments.
    Pure,
    /// `restrict-eval`: the search path, what the evaluation itself put into the store, and `allowed-uris`.
    Restricted,
}

/// Another outside, of which only a part can be reached.
pub struct RestrictedIo {
    inner: Box<dyn EvalIo>,
    restriction: Restriction,
    /// URIs must begin with one of these; nothing means that any URI may be fetched.
    uris: Option<Vec<String>>,
    allowed: RwLock<BTreeSet<Vec<u8>>>,
}

impl RestrictedIo {
    /// `inner` under these rules, with URIs limited to `uris` if there are any.
    pub fn new(
        inner: Box<dyn EvalIo>,
        restriction: Restriction,
        uris: Option<Vec<String>>,
    ) -> Self {
        RestrictedIo {
            inner,
            restriction,
            uris,
            allowed: RwLock::default(),
        }
    }

    /// Whether a path is at, below or above one that is allowed.
    fn is_allowed(&self, path: &[u8]) -> bool {
        if internal::is_internal(path) {
            return true;
        }
        let allowed = self.allowed.read();
        let below = (Bound::Included(path), Bound::Unbounded);
        let next = allowed.range::<[u8], _>(below).next();
        if next.is_some_and(|next| is_within(next, path)) {
            return true;
        }
        let mut at = path;
        while let Some(slash) = memchr::memrchr(b'/', at) {
            at = &at[..slash];
            let parent = if at.is_empty() { b"/" } else { at };
            if allowed.contains(parent) {
                return true;
            }
        }
        false
    }
}

/// Whether `path` is `dir` or something in it.
fn is_within(path: &[u8], dir: &[u8]) -> bool {
    match path.strip_prefix(dir) {
        Some(rest) => rest.is_empty() || rest[0] == b'/' || dir == b"/",
        None => false,
    }
}

/// Whether a URI is one of these, or below one of them.
fn is_allowed_uri(uri: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|prefix| {
        let Some(rest) = uri.strip_prefix(prefix.as_str()) else {
            return false;
        };
        let scheme_alone = prefix.ends_with(':') && !prefix.contains('/');
        rest.is_empty()
            || (!prefix.is_empty()
                && (scheme_alone || prefix.ends_with('/') || rest.starts_with('/')))
    })
}

impl EvalIo for RestrictedIo {
    fn forget_files(&self) {
        self.inner.forget_files();
    }

    fn check_access(&self, path: &[u8]) -> Result<()> {
        if self.is_allowed(path) {
            return Ok(());
        }
        let mode = match self.restriction {
            Restriction::Pure => "pure evaluation mode (use '--impure' to override)",
            Restriction::Restricted => "restricted mode",
        };
        let shown = String::from_utf8_lossy(path);
        Err(Error::new(
            ErrorKind::Restricted,
            format!("access to absolute path '{shown}' is forbidden in {mode}"),
        ))
    }

    fn read_file(&self, path: &[u8]) -> Result<Vec<u8>> {
        self.check_access(path)?;
        self.inner.read_file(path)
    }

    fn read_dir(&self, path: &[u8]) -> Result<Arc<Listing>> {
        self.check_access(path)?;
        let all = self.inner.read_dir(path)?;
        let prefix = if path == b"/" { b"" } else { path };
        let is_seen = |name: &[u8]| self.is_allowed(&[prefix, b"/", name].concat());
        if all.iter().all(|(name, _)| is_seen(name)) {
            return Ok(all);
        }
        let mut seen = Listing::default();
        for (name, kind) in all.iter().filter(|(name, _)| is_seen(name)) {
            seen.push(name, kind);
        }
        Ok(Arc::new(seen))
    }

    fn kind(&self, path: &[u8]) -> Result<Option<FileKind>> {
        if self.is_allowed(path) {
            self.inner.kind(path)
        } else {
            Ok(None)
        }
    }

    fn resolve(&self, path: &[u8]) -> Result<Vec<u8>> {
        if self.is_allowed(path) {
            self.inner.resolve(path)
        } else {
            Ok(path.to_vec())
        }
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        self.check_access(path)?;
        self.inner.read_link(path)
    }

    fn env(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn now(&self) -> i64 {
        self.inner.now()
    }

    fn store(&self) -> &dyn EvalStore {
        self.inner.store()
    }

    fn check_uri(&self, uri: &str) -> Result<()> {
        let Some(allowed) = &self.uris else {
            return Ok(());
        };
        if is_allowed_uri(uri, allowed) {
            return Ok(());
        }
        if let Some(path) = uri
            .strip_prefix("file://")
            .or(Some(uri))
            .filter(|p| p.starts_with('/'))
        {
            return self.check_access(&crate::compile::canonical(path.as_bytes()));
        }
        Err(Error::new(
            ErrorKind::Restricted,
            format!("access to URI '{uri}' is forbidden in restricted mode"),
        ))
    }

    fn allow(&self, path: &[u8]) {
        self.allowed.write().insert(path.to_vec());
    }

    fn add_tree(&self, source: &mut TreeSource<'_>) -> Result<StorePath> {
        self.check_access(source.path)?;
        self.inner.add_tree(source)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ComputedStore, SystemIo};
    use super::*;
    use rx_store::path::StoreDir;

    fn restricted(uris: &[&str]) -> RestrictedIo {
        let store = Box::new(ComputedStore::new(StoreDir::default()));
        let uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
        RestrictedIo::new(
            Box::new(SystemIo::new(store)),
            Restriction::Restricted,
            Some(uris),
        )
    }

    #[test]
    fn only_what_was_allowed_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        for name in ["a", "ab", "b"] {
            std::fs::write(root.join(name), name).unwrap();
        }
        let path = |name: &str| root.join(name).into_os_string().into_encoded_bytes();
        let io = restricted(&[]);
        assert!(io.read_file(&path("a")).is_err());
        io.allow(&path("a"));
        assert_eq!(io.read_file(&path("a")).unwrap(), b"a");
        assert_eq!(io.kind(&path("ab")).unwrap(), None);
        assert_eq!(
            io.read_dir(&path("")[..path("").len() - 1]).unwrap().len(),
            1
        );
        let message = io.read_file(&path("b")).unwrap_err().to_string();
        assert!(
            message.ends_with("is forbidden in restricted mode"),
            "{message}"
        );
    }

    #[test]
    fn uris_are_allowed_by_whole_components() {
        let io = restricted(&["https://example.org/a", "github:"]);
        for (uri, allowed) in [
            ("https://example.org/a", true),
            ("https://example.org/a/b", true),
            ("https://example.org/ab", false),
            ("github:x/y", true),
            ("http://example.org/a", false),
        ] {
            assert_eq!(io.check_uri(uri).is_ok(), allowed, "{uri}");
        }
    }
}
