//! Finding store paths in bytes.
//!
//! A reference is the 32 digits of a store path's digest, anywhere. The scanner looks at every 32nd byte first:
//! where that is no digit, no digest can cover it. It is a sink, so that scanning, hashing and writing are one pass.

use std::collections::BTreeSet;
use std::io::{self, Write};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::base32;
use crate::path::{StoreDir, StorePath};

/// Remembers which of the given digests went by.
pub struct ReferenceScanner {
    wanted: FxHashMap<[u8; 32], StorePath>,
    found: FxHashSet<[u8; 32]>,
    /// The last bytes seen, fewer than a digest.
    tail: Vec<u8>,
}

impl ReferenceScanner {
    /// Looks for these paths.
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a StorePath>) -> Self {
        let wanted = paths
            .into_iter()
            .map(|p| (*p.hash_part().as_bytes(), p.clone()))
            .collect();
        ReferenceScanner {
            wanted,
            found: FxHashSet::default(),
            tail: Vec::with_capacity(64),
        }
    }

    /// Looks at more bytes; digests that span calls are found.
    pub fn update(&mut self, data: &[u8]) {
        if self.wanted.is_empty() || data.is_empty() {
            return;
        }
        // What spans the border: the tail and up to 31 bytes of the new data.
        let head = data.len().min(31);
        if !self.tail.is_empty() {
            let mut border = std::mem::take(&mut self.tail);
            border.extend_from_slice(&data[..head]);
            self.search(&border);
            self.tail = border;
        }
        self.search(data);
        if data.len() >= 31 {
            self.tail.clear();
            self.tail.extend_from_slice(&data[data.len() - 31..]);
        } else {
            if self.tail.is_empty() {
                self.tail.extend_from_slice(data);
            }
            let excess = self.tail.len().saturating_sub(31);
            self.tail.drain(..excess);
        }
    }

    fn search(&mut self, data: &[u8]) {
        let mut start = 0;
        while start + 32 <= data.len() {
            // From the end backwards: a byte that is no digit rules out every window over it.
            let window = &data[start..start + 32];
            if let Some(bad) = window.iter().rposition(|&c| !base32::is_digit(c)) {
                start += bad + 1;
                continue;
            }
            if let Ok(digest) = <[u8; 32]>::try_from(window)
                && self.wanted.contains_key(&digest)
            {
                self.found.insert(digest);
            }
            start += 1;
        }
    }

    /// The paths found so far.
    pub fn found(&self) -> BTreeSet<StorePath> {
        self.found
            .iter()
            .filter_map(|digest| self.wanted.get(digest))
            .cloned()
            .collect()
    }
}

impl Write for ReferenceScanner {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to two sinks.
pub struct Tee<A, B>(pub A, pub B);

impl<A: Write, B: Write> Write for Tee<A, B> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write_all(data)?;
        self.1.write_all(data)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        self.1.flush()
    }
}

/// All whole store paths (`/nix/store/<digest>-<name>`) in a text, as environments of processes hold them.
pub fn store_paths_in(dir: &StoreDir, text: &[u8]) -> BTreeSet<StorePath> {
    let mut prefix = dir.as_bytes().to_vec();
    prefix.push(b'/');
    let mut found = BTreeSet::new();
    for at in memchr::memmem::find_iter(text, &prefix) {
        let rest = &text[at + prefix.len()..];
        let end = rest
            .iter()
            .position(|c| !(c.is_ascii_alphanumeric() || b"+-._?=".contains(c)))
            .unwrap_or(rest.len());
        if let Ok(path) = StorePath::parse(&rest[..end]) {
            found.insert(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reference_is_found_however_the_stream_is_cut() {
        let path = StorePath::parse("syd87l2rxw8cbsxmxl853h0r6pdwhwjr-hello").unwrap();
        let other = StorePath::parse("00000000000000000000000000000000-x").unwrap();
        let text = b"abcdsyd87l2rxw8cbsxmxl853h0r6pdwhwjr-hello and more".to_vec();
        for size in 1..text.len() {
            let mut scanner = ReferenceScanner::new([&path, &other]);
            for piece in text.chunks(size) {
                scanner.update(piece);
            }
            assert_eq!(
                scanner.found(),
                BTreeSet::from([path.clone()]),
                "pieces of {size}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_scanner_finds_exactly_what_a_plain_search_finds(
            noise in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'a'), Just(b'0')], 0..200),
            at in 0usize..200, plant in any::<bool>(), cut in 1usize..50,
        ) {
            let path = StorePath::parse("a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0-x").unwrap();
            let mut text = noise;
            if plant {
                let at = at.min(text.len());
                text.splice(at..at, path.hash_part().as_bytes().iter().copied());
            }
            let mut scanner = ReferenceScanner::new([&path]);
            for piece in text.chunks(cut) {
                scanner.update(piece);
            }
            let plain = memchr::memmem::find(&text, path.hash_part().as_bytes()).is_some();
            prop_assert_eq!(!scanner.found().is_empty(), plain);
        }
    }
}
