//! Store paths: `<32 nix32 digits>-<name>` below a store directory.
//!
//! A [`StorePath`] is the part that does not depend on where the store is; a [`StoreDir`] is the directory.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::base32;

/// The longest name of a store object.
pub const MAX_NAME_LEN: usize = 211;

/// The suffix of derivations' names.
pub const DRV_EXTENSION: &str = ".drv";

/// Why a text is no store path or no name of one.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum PathError {
    /// The name is not allowed.
    #[error("{0}")]
    Name(#[from] NameError),
    /// The name inside a store path is not allowed.
    #[error("path '{path}' is not a valid store path: {reason}")]
    NameInPath {
        /// The base name as given.
        path: String,
        /// What is wrong with it.
        reason: NameError,
    },
    /// There is no room for digest, dash and name.
    #[error("'{0}' is too short to be a valid store path")]
    TooShort(String),
    /// The 33rd byte is not `-`.
    #[error("'{0}' can't name a store path because the hash part is not followed by a '-'")]
    NoDash(String),
    /// A digit of the digest is not one of the 32.
    #[error("store path '{path}' contains illegal base-32 character '{character}'")]
    BadDigit {
        /// The base name as given.
        path: String,
        /// The first wrong byte.
        character: char,
    },
    /// The empty text.
    #[error("empty path is not a valid store path")]
    Empty,
    /// The text does not begin with `/`.
    #[error("not an absolute path: '{0}'")]
    NotAbsolute(String),
    /// The path is not directly below the store directory.
    #[error("path \"{0}\" is not in the Nix store")]
    NotInStore(String),
    /// The store object is not a derivation.
    #[error("store path '{0}' is not a valid derivation path")]
    NotDerivation(String),
}

/// Why a text may not be a store object's name.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum NameError {
    /// No text.
    #[error("name must not be empty")]
    Empty,
    /// More than [`MAX_NAME_LEN`] bytes.
    #[error("name '{0}' must be no longer than {MAX_NAME_LEN} characters")]
    TooLong(String),
    /// `.` or `..`.
    #[error("name '{0}' is not valid")]
    Dots(String),
    /// Begins with `.-` or `..-`.
    #[error("name '{name}' is not valid: first dash-separated component must not be '{component}'")]
    DotComponent {
        /// The name as given.
        name: String,
        /// `.` or `..`.
        component: &'static str,
    },
    /// A byte outside of letters, digits and `+-._?=`.
    #[error("name '{name}' contains illegal character '{character}'")]
    IllegalCharacter {
        /// The name as given.
        name: String,
        /// The first wrong byte.
        character: char,
    },
}

const NAME_BYTE: [bool; 256] = {
    let mut map = [false; 256];
    let allowed = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-._?=";
    let mut i = 0;
    while i < allowed.len() {
        map[allowed[i] as usize] = true;
        i += 1;
    }
    map
};

/// Checks the name of a store object and returns it as text.
pub fn check_name(name: &[u8]) -> Result<&str, NameError> {
    let text = || String::from_utf8_lossy(name).into_owned();
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(NameError::TooLong(text()));
    }
    match name {
        b"." | b".." => return Err(NameError::Dots(text())),
        [b'.', b'-', ..] => {
            return Err(NameError::DotComponent {
                name: text(),
                component: ".",
            });
        }
        [b'.', b'.', b'-', ..] => {
            return Err(NameError::DotComponent {
                name: text(),
                component: "..",
            });
        }
        _ => {}
    }
    if let Some(&bad) = name.iter().find(|&&c| !NAME_BYTE[c as usize]) {
        return Err(NameError::IllegalCharacter {
            name: text(),
            character: bad.into(),
        });
    }
    std::str::from_utf8(name).map_err(|_| NameError::Dots(text()))
}

/// A store object's identity: 20 bytes of digest and a name. Cheap to clone.
///
/// Ordered as the printed base names are, since that order enters hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct StorePath {
    digest: [u8; 20],
    name: Arc<str>,
}

impl std::hash::Hash for StorePath {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // The digest alone tells paths apart; two names with one digest do not occur but compare unequal.
        let [a, b, c, d, e] = self.digest.as_chunks::<4>().0 else {
            return;
        };
        let word = |x: &[u8; 4], y: &[u8; 4]| {
            u64::from(u32::from_le_bytes(*x)) << 32 | u64::from(u32::from_le_bytes(*y))
        };
        state.write_u64(word(a, b));
        state.write_u64(word(c, d));
        state.write_u32(u32::from_le_bytes(*e));
    }
}

impl Ord for StorePath {
    fn cmp(&self, other: &Self) -> Ordering {
        // The last byte makes the first digits.
        self.digest
            .iter()
            .rev()
            .cmp(other.digest.iter().rev())
            .then_with(|| self.name.as_bytes().cmp(other.name.as_bytes()))
    }
}

impl PartialOrd for StorePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl StorePath {
    /// Length of the printed digest.
    pub const HASH_LEN: usize = 32;

    /// Puts a digest and a name together.
    pub fn new(digest: [u8; 20], name: &[u8]) -> Result<Self, PathError> {
        match check_name(name) {
            Ok(name) => Ok(StorePath {
                digest,
                name: name.into(),
            }),
            Err(reason) => {
                let hash = base32::encode(&digest);
                let path = format!("{hash}-{}", String::from_utf8_lossy(name));
                Err(PathError::NameInPath { path, reason })
            }
        }
    }

    /// Reads `<digits>-<name>`.
    pub fn parse(base_name: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let base_name = base_name.as_ref();
        let text = || String::from_utf8_lossy(base_name).into_owned();
        let Some((hash, rest)) = base_name.split_first_chunk::<32>() else {
            return Err(PathError::TooShort(text()));
        };
        let Some((dash, name)) = rest.split_first() else {
            return Err(PathError::TooShort(text()));
        };
        if *dash != b'-' {
            return Err(PathError::NoDash(text()));
        }
        let Some(digest) = base32::decode_digest(hash) else {
            let bad = hash
                .iter()
                .find(|&&c| !base32::is_digit(c))
                .copied()
                .unwrap_or(b'?');
            return Err(PathError::BadDigit {
                path: text(),
                character: bad.into(),
            });
        };
        let name = check_name(name).map_err(|reason| PathError::NameInPath {
            path: text(),
            reason,
        })?;
        Ok(StorePath {
            digest,
            name: name.into(),
        })
    }

    /// The digest's bytes.
    pub fn digest(&self) -> &[u8; 20] {
        &self.digest
    }

    /// The digest's 32 digits.
    pub fn hash_part(&self) -> HashPart {
        HashPart(base32::encode_digest(&self.digest))
    }

    /// What follows the first dash.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the name ends in `.drv`.
    pub fn is_derivation(&self) -> bool {
        self.name.ends_with(DRV_EXTENSION)
    }

    /// The name without `.drv`, or an error when it has none.
    pub fn derivation_name(&self) -> Result<&str, PathError> {
        self.name
            .strip_suffix(DRV_EXTENSION)
            .ok_or_else(|| PathError::NotDerivation(self.to_string()))
    }

    /// `<digits>-<name>`; also what `Display` prints.
    pub fn base_name(&self) -> String {
        self.to_string()
    }

    /// Appends `<digits>-<name>` to `out`.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&base32::encode_digest(&self.digest));
        out.push(b'-');
        out.extend_from_slice(self.name.as_bytes());
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.hash_part().as_str(), self.name)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The 32 printed digits of a store path.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HashPart([u8; 32]);

impl HashPart {
    /// As text.
    pub fn as_str(&self) -> &str {
        // Only digits are ever put in, so the fallback is unreachable.
        std::str::from_utf8(&self.0).unwrap_or("")
    }

    /// As bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for HashPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for HashPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The logical directory of a store, `/nix/store` nearly always: no trailing slash. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreDir(Arc<[u8]>);

impl Default for StoreDir {
    fn default() -> Self {
        StoreDir(Arc::from(&b"/nix/store"[..]))
    }
}

impl StoreDir {
    /// Takes an absolute path and makes it canonical.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let path = canonical(path.as_ref())?;
        Ok(StoreDir(path.into()))
    }

    /// The directory.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directory as a path.
    pub fn as_path(&self) -> &std::path::Path {
        use std::os::unix::ffi::OsStrExt;
        std::path::Path::new(std::ffi::OsStr::from_bytes(&self.0))
    }

    /// Reads an absolute path directly below the store directory, after making it canonical.
    pub fn parse(&self, path: impl AsRef<[u8]>) -> Result<StorePath, PathError> {
        let path = path.as_ref();
        if let Some(base) = self.strip(path)
            && !base.contains(&b'/')
            && !base.starts_with(b".")
            && !base.is_empty()
        {
            return StorePath::parse(base);
        }
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        let path = canonical(path)?;
        match self.strip(&path) {
            Some(base) if !base.contains(&b'/') && !base.is_empty() => StorePath::parse(base),
            _ => Err(PathError::NotInStore(
                String::from_utf8_lossy(&path).into_owned(),
            )),
        }
    }

    /// Reads an absolute path that must be written canonically, as in derivations.
    pub fn parse_canonical(&self, path: &[u8]) -> Result<StorePath, PathError> {
        match self.strip(path) {
            Some(base) => StorePath::parse(base),
            None => Err(PathError::NotInStore(
                String::from_utf8_lossy(path).into_owned(),
            )),
        }
    }

    /// Splits a path at or below a store object into the object and the rest (empty or beginning with `/`).
    pub fn split(&self, path: impl AsRef<[u8]>) -> Result<(StorePath, Vec<u8>), PathError> {
        let path = path.as_ref();
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        let path = canonical(path)?;
        let Some(below) = self.strip(&path).filter(|b| !b.is_empty()) else {
            return Err(PathError::NotInStore(
                String::from_utf8_lossy(&path).into_owned(),
            ));
        };
        let end = memchr::memchr(b'/', below).unwrap_or(below.len());
        Ok((StorePath::parse(&below[..end])?, below[end..].to_vec()))
    }

    /// Whether a canonical path lies at or below a child of the store directory.
    pub fn contains(&self, path: &[u8]) -> bool {
        self.strip(path).is_some_and(|rest| !rest.is_empty())
    }

    fn strip<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        path.strip_prefix(&*self.0)?.strip_prefix(b"/")
    }

    /// The absolute path as bytes.
    pub fn print(&self, path: &StorePath) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() + 34 + path.name.len());
        self.append_to(path, &mut out);
        out
    }

    /// The absolute path as text for people and for protocols that are text (a store directory is nearly always UTF-8).
    pub fn display<'a>(&'a self, path: &'a StorePath) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| write!(f, "{self}/{path}"))
    }

    /// Appends the absolute path to `out`.
    #[inline]
    pub fn append_to(&self, path: &StorePath, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
        out.push(b'/');
        path.append_to(out);
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Removes empty, `.` and `..` components of an absolute path without looking at the file system.
pub fn canonical(path: &[u8]) -> Result<Vec<u8>, PathError> {
    if path.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute(
            String::from_utf8_lossy(path).into_owned(),
        ));
    }
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    for component in path.split(|&c| c == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                let cut = memchr::memrchr(b'/', &out).unwrap_or(0);
                out.truncate(cut);
            }
            _ => {
                out.push(b'/');
                out.extend_from_slice(component);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HELLO: &str = "syd87l2rxw8cbsxmxl853h0r6pdwhwjr-hello-2.12";

    #[test]
    fn a_store_path_reads_and_prints_unchanged() {
        let dir = StoreDir::default();
        let path = dir.parse(format!("/nix/store/{HELLO}")).unwrap();
        assert_eq!(path.name(), "hello-2.12");
        assert_eq!(
            path.hash_part().as_str(),
            "syd87l2rxw8cbsxmxl853h0r6pdwhwjr"
        );
        assert_eq!(
            dir.display(&path).to_string(),
            format!("/nix/store/{HELLO}")
        );
        assert_eq!(
            dir.parse(format!("//nix/./store/x/../{HELLO}/")).unwrap(),
            path
        );
    }

    #[test]
    fn a_file_inside_a_store_object_is_split_from_it() {
        let dir = StoreDir::default();
        let (path, rest) = dir.split(format!("/nix/store/{HELLO}/bin/hello")).unwrap();
        assert_eq!(path.to_string(), HELLO);
        assert_eq!(rest, b"/bin/hello");
        assert!(dir.split("/nix/store").is_err());
    }

    #[test]
    fn bad_paths_get_the_messages_that_people_search_for() {
        let dir = StoreDir::default();
        let message = |path: &str| dir.parse(path).unwrap_err().to_string();
        let zs = "z".repeat(32);
        assert_eq!(message("/tmp/x"), "path \"/tmp/x\" is not in the Nix store");
        assert_eq!(message("foo"), "not an absolute path: 'foo'");
        assert_eq!(message(""), "empty path is not a valid store path");
        assert_eq!(
            message("/nix/store/abc"),
            "'abc' is too short to be a valid store path"
        );
        assert_eq!(
            message(&format!("/nix/store/{zs}a-b")),
            format!(
                "'{zs}a-b' can't name a store path because the hash part is not followed by a '-'"
            )
        );
        assert_eq!(
            message(&format!("/nix/store/{zs}-a b")),
            format!(
                "path '{zs}-a b' is not a valid store path: name 'a b' contains illegal character ' '"
            )
        );
        let es = "e".repeat(32);
        assert_eq!(
            message(&format!("/nix/store/{es}-a")),
            format!("store path '{es}-a' contains illegal base-32 character 'e'")
        );
    }

    #[test]
    fn names_that_could_walk_out_of_the_store_are_refused() {
        for name in [".", "..", ".-a", "..-a", "", "a/b", "a b", "a\0", "é"] {
            assert!(check_name(name.as_bytes()).is_err(), "{name:?}");
        }
        for name in [".a", "..a", "a", "A+b-c.d_e?f=g", "...", ".gitignore"] {
            assert!(check_name(name.as_bytes()).is_ok(), "{name:?}");
        }
        assert!(check_name(&[b'a'; 211]).is_ok());
        assert!(check_name(&[b'a'; 212]).is_err());
    }

    proptest! {
        #[test]
        fn paths_sort_as_their_texts_do(a in any::<[u8; 20]>(), b in any::<[u8; 20]>(), n in "[a-z]{1,3}", m in "[a-z]{1,3}") {
            let x = StorePath::new(a, n.as_bytes()).unwrap();
            let y = StorePath::new(b, m.as_bytes()).unwrap();
            prop_assert_eq!(x.cmp(&y), x.to_string().cmp(&y.to_string()));
        }
    }
}
