//! Hashes: the five algorithms of the field, their texts (base16, nix32, base64, SRI) and streaming computation.
//!
//! ```text
//! hash  = [algo ":"] (base16 | nix32 | base64)      which one is told by the length
//!       | algo "-" base64                           SRI
//! ```

use std::fmt;
use std::io::{self, Read, Write};

use sha1::Digest as _;
use thiserror::Error;

use crate::base32;

/// A hash algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Algorithm {
    /// MD5, 16 bytes; broken, still met in old fixed-output derivations.
    Md5,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes; what stores are made of.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
    /// BLAKE3, 32 bytes; behind the reference's `blake3-hashes` feature.
    Blake3,
}

/// A way to print a hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Lower-case hexadecimal.
    Base16,
    /// Nix's base-32.
    Nix32,
    /// RFC 4648 base-64 with padding.
    Base64,
    /// `algo-base64`, as in Subresource Integrity.
    Sri,
}

/// Why a text is no hash.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum HashError {
    /// The algorithm's name is not known.
    #[error("unknown hash algorithm '{0}', expect 'blake3', 'md5', 'sha1', 'sha256', or 'sha512'")]
    UnknownAlgorithm(String),
    /// The format's name is not known.
    #[error("unknown hash format '{0}', expect 'base16', 'base32', 'base64', or 'sri'")]
    UnknownFormat(String),
    /// No encoding of this algorithm has that length.
    #[error("hash '{text}' has wrong length for hash algorithm '{algorithm}'")]
    WrongLength {
        /// The digits as given.
        text: String,
        /// The algorithm asked for.
        algorithm: Algorithm,
    },
    /// The digits decode to another number of bytes (0 when a digit is invalid).
    #[error("invalid {format} hash '{text}', length {found} != expected length {expected}")]
    Invalid {
        /// The encoding that was tried.
        format: &'static str,
        /// The digits as given.
        text: String,
        /// Bytes decoded.
        found: usize,
        /// Bytes the algorithm has.
        expected: usize,
    },
    /// Neither the text nor the caller names an algorithm.
    #[error("hash '{0}' does not include a type, nor is the type otherwise known from context")]
    NoType(String),
    /// The text must name its algorithm.
    #[error("hash '{0}' does not include a type")]
    NoPrefix(String),
    /// The text names another algorithm than the caller.
    #[error("hash '{text}' should have type '{expected}'")]
    WrongType {
        /// The text as given.
        text: String,
        /// The algorithm the caller wants.
        expected: Algorithm,
    },
    /// The text has no `-`.
    #[error("hash '{0}' is not SRI")]
    NotSri(String),
}

impl Algorithm {
    /// All algorithms, in the order of their names.
    pub const ALL: [Algorithm; 5] = [
        Algorithm::Blake3,
        Algorithm::Md5,
        Algorithm::Sha1,
        Algorithm::Sha256,
        Algorithm::Sha512,
    ];

    /// Number of bytes of a digest.
    pub const fn size(self) -> usize {
        match self {
            Algorithm::Md5 => 16,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 | Algorithm::Blake3 => 32,
            Algorithm::Sha512 => 64,
        }
    }

    /// The name used everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "md5",
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
            Algorithm::Blake3 => "blake3",
        }
    }

    /// Finds an algorithm by its name.
    pub fn parse(name: impl AsRef<[u8]>) -> Result<Self, HashError> {
        let name = name.as_ref();
        Self::ALL
            .into_iter()
            .find(|a| a.name().as_bytes() == name)
            .ok_or_else(|| HashError::UnknownAlgorithm(lossy(name)))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Format {
    /// Finds a format by its name; `base32` is the old name of `nix32`.
    pub fn parse(name: impl AsRef<[u8]>) -> Result<Self, HashError> {
        match name.as_ref() {
            b"base16" => Ok(Format::Base16),
            b"nix32" | b"base32" => Ok(Format::Nix32),
            b"base64" => Ok(Format::Base64),
            b"sri" => Ok(Format::Sri),
            other => Err(HashError::UnknownFormat(lossy(other))),
        }
    }

    /// The name used on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Base16 => "base16",
            Format::Nix32 => "nix32",
            Format::Base64 => "base64",
            Format::Sri => "sri",
        }
    }
}

/// A digest together with its algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash {
    algorithm: Algorithm,
    bytes: [u8; 64],
}

impl PartialOrd for Hash {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hash {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (a, b) = (self.as_bytes(), other.as_bytes());
        (a.len(), a, self.algorithm).cmp(&(b.len(), b, other.algorithm))
    }
}

impl Hash {
    /// Wraps a digest; `None` when its length is not the algorithm's.
    pub fn from_bytes(algorithm: Algorithm, digest: &[u8]) -> Option<Self> {
        if digest.len() != algorithm.size() {
            return None;
        }
        let mut bytes = [0; 64];
        bytes[..digest.len()].copy_from_slice(digest);
        Some(Hash { algorithm, bytes })
    }

    /// Wraps a SHA-256 digest.
    pub fn sha256(digest: [u8; 32]) -> Self {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&digest);
        Hash {
            algorithm: Algorithm::Sha256,
            bytes,
        }
    }

    /// The digest of zeros that stands for "not known yet" (`lib.fakeHash`).
    pub fn zero(algorithm: Algorithm) -> Self {
        Hash {
            algorithm,
            bytes: [0; 64],
        }
    }

    /// Hashes bytes in memory.
    pub fn of(algorithm: Algorithm, data: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(data);
        hasher.finish()
    }

    /// Hashes everything that a reader gives; also returns the number of bytes.
    pub fn of_reader(algorithm: Algorithm, mut reader: impl Read) -> io::Result<(Self, u64)> {
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; 1 << 17];
        let mut total = 0;
        loop {
            let n = match reader.read(&mut buffer) {
                Ok(0) => return Ok((hasher.finish(), total)),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            hasher.update(&buffer[..n]);
            total += n as u64;
        }
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.size()]
    }

    /// Folds the digest to 20 bytes by exclusive-or, as store paths need it.
    pub fn compress20(&self) -> [u8; 20] {
        compress20(self.as_bytes())
    }

    /// Prints the digest; `prefix` adds `algo:` (SRI always has its `algo-`).
    pub fn format(&self, format: Format, prefix: bool) -> String {
        let mut out = String::with_capacity(8 + self.algorithm.size() * 2);
        if format == Format::Sri {
            out.push_str(self.algorithm.name());
            out.push('-');
        } else if prefix {
            out.push_str(self.algorithm.name());
            out.push(':');
        }
        match format {
            Format::Base16 => data_encoding::HEXLOWER.encode_append(self.as_bytes(), &mut out),
            Format::Nix32 => out.push_str(&base32::encode(self.as_bytes())),
            Format::Base64 | Format::Sri => {
                data_encoding::BASE64.encode_append(self.as_bytes(), &mut out);
            }
        }
        out
    }

    /// Hexadecimal without prefix.
    pub fn base16(&self) -> String {
        self.format(Format::Base16, false)
    }

    /// Nix's base-32 without prefix.
    pub fn nix32(&self) -> String {
        self.format(Format::Nix32, false)
    }

    /// `algo-base64`.
    pub fn sri(&self) -> String {
        self.format(Format::Sri, true)
    }

    /// Reads any text of a hash. The algorithm comes from the text, from `expected`, or from both if they agree.
    pub fn parse_any(
        text: impl AsRef<[u8]>,
        expected: Option<Algorithm>,
    ) -> Result<Self, HashError> {
        Ok(Self::parse_any_with_format(text, expected)?.0)
    }

    /// Like [`Hash::parse_any`], and tells which format the text had.
    pub fn parse_any_with_format(
        text: impl AsRef<[u8]>,
        expected: Option<Algorithm>,
    ) -> Result<(Self, Format), HashError> {
        let text = text.as_ref();
        parse_prefixed(text, |found| match (found, expected) {
            (None, None) => Err(HashError::NoType(lossy(text))),
            (Some(a), Some(b)) if a != b => Err(HashError::WrongType {
                text: lossy(text),
                expected: b,
            }),
            (Some(a), _) | (None, Some(a)) => Ok(a),
        })
    }

    /// Reads a text that names its algorithm (`sha256:…` or SRI).
    pub fn parse_any_prefixed(text: impl AsRef<[u8]>) -> Result<Self, HashError> {
        let text = text.as_ref();
        let resolve =
            |found: Option<Algorithm>| found.ok_or_else(|| HashError::NoPrefix(lossy(text)));
        Ok(parse_prefixed(text, resolve)?.0)
    }

    /// Reads digits without prefix; the length tells the encoding.
    pub fn parse_unprefixed(
        text: impl AsRef<[u8]>,
        algorithm: Algorithm,
    ) -> Result<Self, HashError> {
        let text = text.as_ref();
        parse_digits(text, algorithm, format_from_length(text, algorithm)?)
    }

    /// Reads digits without prefix in one given encoding.
    pub fn parse_explicit(
        text: impl AsRef<[u8]>,
        algorithm: Algorithm,
        format: Format,
    ) -> Result<Self, HashError> {
        parse_digits(text.as_ref(), algorithm, format)
    }

    /// Reads `algo-base64`.
    pub fn parse_sri(text: impl AsRef<[u8]>) -> Result<Self, HashError> {
        let text = text.as_ref();
        let dash = memchr::memchr(b'-', text).ok_or_else(|| HashError::NotSri(lossy(text)))?;
        parse_digits(
            &text[dash + 1..],
            Algorithm::parse(&text[..dash])?,
            Format::Sri,
        )
    }
}

impl fmt::Display for Hash {
    /// Prints as SRI.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sri())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sri())
    }
}

/// Folds a digest to 20 bytes by exclusive-or.
pub fn compress20(digest: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    for (i, byte) in digest.iter().enumerate() {
        out[i % 20] ^= byte;
    }
    out
}

/// SHA-256 of bytes in memory.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(data).into()
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn parse_prefixed(
    text: &[u8],
    resolve: impl FnOnce(Option<Algorithm>) -> Result<Algorithm, HashError>,
) -> Result<(Hash, Format), HashError> {
    let (prefix, rest, sri) = match (memchr::memchr(b':', text), memchr::memchr(b'-', text)) {
        (Some(i), _) => (Some(&text[..i]), &text[i + 1..], false),
        (None, Some(i)) => (Some(&text[..i]), &text[i + 1..], true),
        (None, None) => (None, text, false),
    };
    let algorithm = resolve(prefix.map(Algorithm::parse).transpose()?)?;
    let format = if sri {
        Format::Sri
    } else {
        format_from_length(rest, algorithm)?
    };
    Ok((parse_digits(rest, algorithm, format)?, format))
}

fn format_from_length(text: &[u8], algorithm: Algorithm) -> Result<Format, HashError> {
    let size = algorithm.size();
    match text.len() {
        n if n == size * 2 => Ok(Format::Base16),
        n if n == base32::encoded_len(size) => Ok(Format::Nix32),
        n if n == size.div_ceil(3) * 4 => Ok(Format::Base64),
        _ => Err(HashError::WrongLength {
            text: lossy(text),
            algorithm,
        }),
    }
}

fn parse_digits(text: &[u8], algorithm: Algorithm, format: Format) -> Result<Hash, HashError> {
    let (bytes, name) = match format {
        Format::Base16 => (
            data_encoding::HEXLOWER_PERMISSIVE
                .decode(text)
                .unwrap_or_default(),
            "base16",
        ),
        Format::Nix32 => (base32::decode(text).unwrap_or_default(), "nix32"),
        Format::Base64 => (decode_base64(text).unwrap_or_default(), "Base64"),
        Format::Sri => (decode_base64(text).unwrap_or_default(), "SRI"),
    };
    Hash::from_bytes(algorithm, &bytes).ok_or_else(|| HashError::Invalid {
        format: name,
        text: lossy(text),
        found: bytes.len(),
        expected: algorithm.size(),
    })
}

/// Reads base-64 as leniently as the reference: line feeds are skipped, `=` ends the text, padding may be absent.
pub fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut word, mut bits) = (0u32, 0);
    for &c in text {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            b'\n' => continue,
            _ => return None,
        };
        word = word << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    Some(out)
}

/// A hash under computation; also an [`io::Write`] sink that never fails.
#[derive(Clone)]
pub struct Hasher {
    state: State,
    bytes: u64,
}

#[derive(Clone)]
enum State {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Starts with no input.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Md5 => State::Md5(md5::Md5::new()),
            Algorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
            Algorithm::Blake3 => State::Blake3(Box::default()),
        };
        Hasher { state, bytes: 0 }
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match self.state {
            State::Md5(_) => Algorithm::Md5,
            State::Sha1(_) => Algorithm::Sha1,
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
            State::Blake3(_) => Algorithm::Blake3,
        }
    }

    /// Adds input.
    pub fn update(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        match &mut self.state {
            State::Md5(h) => h.update(data),
            State::Sha1(h) => h.update(data),
            State::Sha256(h) => h.update(data),
            State::Sha512(h) => h.update(data),
            State::Blake3(h) => {
                h.update(data);
            }
        }
    }

    /// Bytes given so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The hash of everything given.
    pub fn finish(self) -> Hash {
        let mut bytes = [0; 64];
        let algorithm = self.algorithm();
        match self.state {
            State::Md5(h) => bytes[..16].copy_from_slice(&h.finalize()),
            State::Sha1(h) => bytes[..20].copy_from_slice(&h.finalize()),
            State::Sha256(h) => bytes[..32].copy_from_slice(&h.finalize()),
            State::Sha512(h) => bytes[..64].copy_from_slice(&h.finalize()),
            State::Blake3(h) => bytes[..32].copy_from_slice(h.finalize().as_bytes()),
        }
        Hash { algorithm, bytes }
    }
}

impl Write for Hasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_format_of_the_empty_sha256_is_the_well_known_one() {
        let hash = Hash::of(Algorithm::Sha256, b"");
        assert_eq!(
            hash.sri(),
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        assert_eq!(
            hash.nix32(),
            "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
        );
        assert_eq!(
            hash.format(Format::Base16, true),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            Hash::of(Algorithm::Md5, b"").base16(),
            "d41d8cd98f00b204e9800998ecf8427e"
        );
        assert_eq!(
            Hash::of(Algorithm::Blake3, b"").base16(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }

    #[test]
    fn bad_texts_get_the_messages_that_people_search_for() {
        let message = |text: &str| Hash::parse_any(text, None).unwrap_err().to_string();
        assert_eq!(
            message("zz"),
            "hash 'zz' does not include a type, nor is the type otherwise known from context"
        );
        assert_eq!(
            message("sha256:zzzz"),
            "hash 'zzzz' has wrong length for hash algorithm 'sha256'"
        );
        assert_eq!(
            message("sha256-AAAA"),
            "invalid SRI hash 'AAAA', length 3 != expected length 32"
        );
        assert_eq!(
            message("sha256-!!!!"),
            "invalid SRI hash '!!!!', length 0 != expected length 32"
        );
        assert_eq!(
            message("md5:eeeeeeeeeeeeeeeeeeeeeeeeee"),
            "invalid nix32 hash 'eeeeeeeeeeeeeeeeeeeeeeeeee', length 0 != expected length 16"
        );
        assert_eq!(
            message("foo:abc"),
            "unknown hash algorithm 'foo', expect 'blake3', 'md5', 'sha1', 'sha256', or 'sha512'"
        );
        let wrong = Hash::parse_any(
            "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
            Some(Algorithm::Sha256),
        );
        assert_eq!(
            wrong.unwrap_err().to_string(),
            "hash 'sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709' should have type 'sha256'"
        );
    }

    #[test]
    fn a_nix32_text_with_too_many_bits_is_refused() {
        let text = "z".repeat(52);
        let error = Hash::parse_unprefixed(&text, Algorithm::Sha256).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("invalid nix32 hash '{text}', length 33 != expected length 32")
        );
    }

    #[test]
    fn an_sri_text_may_lack_its_padding() {
        let hash = Hash::parse_any("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", None);
        assert_eq!(hash.unwrap(), Hash::of(Algorithm::Sha256, b""));
    }

    proptest! {
        #[test]
        fn every_printed_hash_reads_back(data in any::<[u8; 64]>(), which in 0usize..5) {
            let algorithm = Algorithm::ALL[which];
            let hash = Hash::from_bytes(algorithm, &data[..algorithm.size()]).unwrap();
            for format in [Format::Base16, Format::Nix32, Format::Base64, Format::Sri] {
                let text = hash.format(format, true);
                prop_assert_eq!(Hash::parse_any(&text, None).unwrap(), hash);
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 0..140)) {
            let _ = Hash::parse_any(&text, None);
            for algorithm in Algorithm::ALL {
                let _ = Hash::parse_any(&text, Some(algorithm));
            }
        }
    }
}
