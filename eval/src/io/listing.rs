//! The entries of a directory, in one piece of memory.

use std::ops::Range;

use super::FileKind;

/// The entries of a directory, sorted by name.
#[derive(Debug, Default)]
pub struct Listing {
    names: Vec<u8>,
    entries: Vec<(Range<u32>, FileKind)>,
}

impl Listing {
    /// Adds an entry; [`Listing::sort`] comes after the last one.
    pub fn push(&mut self, name: &[u8], kind: FileKind) {
        let start = self.names.len() as u32;
        self.names.extend_from_slice(name);
        self.entries.push((start..self.names.len() as u32, kind));
    }

    /// Brings the entries into order.
    pub fn sort(&mut self) {
        let names = &self.names;
        let name = |range: &Range<u32>| &names[range.start as usize..range.end as usize];
        self.entries
            .sort_unstable_by(|a, b| name(&a.0).cmp(name(&b.0)));
    }

    fn name(&self, range: &Range<u32>) -> &[u8] {
        &self.names[range.start as usize..range.end as usize]
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], FileKind)> {
        self.entries
            .iter()
            .map(|(range, kind)| (self.name(range), *kind))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the entry with this name is.
    pub fn get(&self, name: &[u8]) -> Option<FileKind> {
        let at = self
            .entries
            .binary_search_by(|(range, _)| self.name(range).cmp(name))
            .ok()?;
        Some(self.entries[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_name_and_come_in_order() {
        let mut listing = Listing::default();
        for (name, kind) in [
            ("b", FileKind::Regular),
            ("a.nix", FileKind::Symlink),
            ("a", FileKind::Directory),
        ] {
            listing.push(name.as_bytes(), kind);
        }
        listing.sort();
        let names = listing.iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names, [&b"a"[..], b"a.nix", b"b"]);
        assert_eq!(listing.get(b"a.nix"), Some(FileKind::Symlink));
        assert_eq!(listing.get(b"c"), None);
        assert_eq!(listing.len(), 3);
    }
}
