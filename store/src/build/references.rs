//! Finding references: which of a set of store paths a stream of bytes mentions.
//!
//! A path is mentioned when its hash part occurs, wherever that is: in contents, names, targets of
//! links. The stream is the archive of an output, so scanning and hashing are one pass.

use std::collections::BTreeSet;
use std::io::{self, Write};

use rustc_hash::FxHashMap;

use crate::path::{HashPart, StorePath};

/// Characters of a hash part.
const LENGTH: usize = StorePath::HASH_LEN;

/// Looks for hash parts in what is written to it.
#[derive(Debug)]
pub struct ReferenceScanner {
    wanted: FxHashMap<[u8; LENGTH], StorePath>,
    found: BTreeSet<StorePath>,
    /// The last bytes of what came before, too few for a whole hash part.
    tail: Vec<u8>,
}

/// Whether a byte can be part of a hash part.
const ALPHABET: [bool; 256] = {
    let mut table = [false; 256];
    let alphabet = b"0123456789abcdfghijklmnpqrsvwxyz";
    let mut i = 0;
    while i < alphabet.len() {
        table[alphabet[i] as usize] = true;
        i += 1;
    }
    table
};

impl ReferenceScanner {
    /// Looks for these paths.
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a StorePath>) -> Self {
        let wanted = paths
            .into_iter()
            .map(|path| (*HashPart::as_bytes(&path.hash_part()), path.clone()))
            .collect();
        Self {
            wanted,
            found: BTreeSet::new(),
            tail: Vec::with_capacity(2 * LENGTH),
        }
    }

    /// Looks at the next bytes.
    pub fn scan(&mut self, data: &[u8]) {
        if self.wanted.is_empty() || data.is_empty() {
            return;
        }
        // What begins in the tail ends within the first bytes that are new.
        let mut seam = std::mem::take(&mut self.tail);
        let overlap = data.len().min(LENGTH - 1);
        seam.extend_from_slice(&data[..overlap]);
        self.search(&seam);
        if data.len() >= LENGTH {
            self.search(data);
            seam.clear();
            seam.extend_from_slice(&data[data.len() - (LENGTH - 1)..]);
        } else {
            let excess = seam.len().saturating_sub(LENGTH - 1);
            seam.drain(..excess);
        }
        self.tail = seam;
    }

    /// Tests each window from its end, so that most bytes of ordinary text are never looked at.
    fn search(&mut self, data: &[u8]) {
        let mut at = 0;
        while let Some(window) = data.get(at..at + LENGTH) {
            if let Some(bad) = window.iter().rposition(|&b| !ALPHABET[usize::from(b)]) {
                at += bad + 1;
                continue;
            }
            if let Ok(hash) = <&[u8; LENGTH]>::try_from(window)
                && let Some(path) = self.wanted.remove(hash)
            {
                self.found.insert(path);
            }
            at += 1;
        }
    }

    /// The paths that were mentioned.
    pub fn finish(self) -> BTreeSet<StorePath> {
        self.found
    }
}

impl Write for ReferenceScanner {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.scan(data);
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

    const HASH: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q";

    fn path() -> StorePath {
        StorePath::parse(format!("{HASH}-foo")).unwrap()
    }

    fn mentions(chunks: &[&[u8]]) -> bool {
        let mut scanner = ReferenceScanner::new([&path()]);
        for chunk in chunks {
            scanner.scan(chunk);
        }
        !scanner.finish().is_empty()
    }

    #[test]
    fn a_hash_part_is_found_in_the_middle_of_anything() {
        assert!(mentions(&[format!("xx/nix/store/{HASH}-y").as_bytes()]));
        assert!(mentions(&[format!("aaaaaaaaaaaaaaaaaaaa{HASH}aaaaaaaaaaaaaaa").as_bytes()]));
        assert!(!mentions(&[&HASH.as_bytes()[..31]]));
        assert!(!mentions(&[HASH.to_uppercase().as_bytes()]));
    }

    #[test]
    fn a_hash_part_is_found_across_any_number_of_pieces() {
        let pieces: Vec<&[u8]> = HASH.as_bytes().chunks(1).collect();
        assert!(mentions(&pieces));
        assert!(mentions(&[&HASH.as_bytes()[..5], &HASH.as_bytes()[5..]]));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            before in "[a-z0-9/ -]{0,80}",
            after in "[a-z0-9/ -]{0,80}",
            cuts in proptest::collection::vec(0usize..192, 0..12),
        ) {
            let text = format!("{before}{HASH}{after}").into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            prop_assert!(mentions(&pieces));
        }
    }
}
