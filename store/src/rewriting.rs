//! Replacing hash parts in a stream by others of the same length.
//!
//! Needed where a build ran under other paths than its final ones: content-addressed outputs, whose
//! paths follow from what was built, and builds without a root of their own beside valid outputs.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::content_address::Method;
use crate::git_hash;
use crate::hash::{Algorithm, Hash, Hasher};
use crate::nar::{self, NarError};
use crate::path::StorePath;

/// Texts and what replaces them; both of a pair have the same length.
#[derive(Clone, Debug, Default)]
pub struct Rewrites(Vec<(Vec<u8>, Vec<u8>)>);

impl Rewrites {
    /// Nothing to replace.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pair; of different lengths (which paths' hash parts never are) it is left out.
    pub fn insert(&mut self, from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) {
        let (from, to) = (from.into(), to.into());
        if from.len() != to.len() || from.is_empty() || from == to {
            return;
        }
        match self.0.iter_mut().find(|(known, _)| *known == from) {
            Some(pair) => pair.1 = to,
            None => self.0.push((from, to)),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What replaces a text.
    pub fn get(&self, from: &[u8]) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|(known, _)| known == from)
            .map(|(_, to)| to.as_slice())
    }

    fn longest(&self) -> usize {
        self.0.iter().map(|(from, _)| from.len()).max().unwrap_or(0)
    }

    /// Replaces every occurrence in place.
    pub fn apply(&self, data: &mut [u8]) {
        for (from, to) in &self.0 {
            let mut start = 0;
            while let Some(at) = data
                .get(start..)
                .and_then(|rest| memchr::memmem::find(rest, from))
            {
                let at = start + at;
                data[at..at + to.len()].copy_from_slice(to);
                start = at + to.len();
            }
        }
    }
}

/// Passes what is written to it on, with the replacements made.
#[derive(Debug)]
pub struct RewritingWriter<W: Write> {
    rewrites: Rewrites,
    held: Vec<u8>,
    out: W,
}

impl<W: Write> RewritingWriter<W> {
    /// Replaces and passes on to `out`.
    pub fn new(rewrites: Rewrites, out: W) -> Self {
        Self {
            rewrites,
            held: Vec::new(),
            out,
        }
    }

    /// Passes on what is held back and gives the receiver.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&self.held)?;
        self.held.clear();
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for RewritingWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(data);
        self.rewrites.apply(&mut self.held);
        // The last bytes may be the beginning of something to replace.
        let keep = self
            .rewrites
            .longest()
            .saturating_sub(1)
            .min(self.held.len());
        let ready = self.held.len() - keep;
        self.out.write_all(&self.held[..ready])?;
        self.held.drain(..ready);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The hash that a content address has: over the object's archive, its bytes or its git tree, without regard to its own
/// name in it if it has one.
pub fn hash_modulo(
    contents: &Path,
    method: Method,
    algorithm: Algorithm,
    own: Option<&StorePath>,
) -> Result<Hash, NarError> {
    let own = own.map(StorePath::hash_part);
    let own = own.as_ref().map_or(&b""[..], |own| own.as_bytes());
    let hasher = ModuloHasher::new(algorithm, own);
    let hasher = match method {
        Method::Git => return git_hash::hash_path(algorithm, contents),
        Method::NixArchive => nar::dump(contents, hasher)?,
        Method::Flat | Method::Text => {
            let mut hasher = hasher;
            io::copy(&mut open_regular(contents)?, &mut hasher)?;
            hasher
        }
    };
    Ok(hasher.finish()?)
}

fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file)
}

/// Hashes what is written to it as if every occurrence of a text were zeros: the hash of an output
/// that mentions itself, which cannot depend on its own result.
pub struct ModuloHasher(RewritingWriter<Hasher>);

impl ModuloHasher {
    /// Hashes without regard to `own`.
    pub fn new(algorithm: Algorithm, own: &[u8]) -> Self {
        let mut rewrites = Rewrites::new();
        rewrites.insert(own, vec![0; own.len()]);
        Self(RewritingWriter::new(rewrites, Hasher::new(algorithm)))
    }

    /// The hash.
    pub fn finish(self) -> io::Result<Hash> {
        Ok(self.0.finish()?.finish())
    }
}

impl Write for ModuloHasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(pieces: &[&[u8]]) -> Vec<u8> {
        let mut rewrites = Rewrites::new();
        rewrites.insert(*b"abcdef", *b"ABCDEF");
        rewrites.insert(*b"xyz", *b"XYZ");
        let mut writer = RewritingWriter::new(rewrites, Vec::new());
        for piece in pieces {
            writer.write_all(piece).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn replacements_are_made_across_pieces() {
        assert_eq!(rewritten(&[b"1abcdef2xyz3"]), b"1ABCDEF2XYZ3");
        assert_eq!(
            rewritten(&[b"1ab", b"cd", b"e", b"f2x", b"yz"]),
            b"1ABCDEF2XYZ"
        );
        assert_eq!(rewritten(&[b"ab"]), b"ab");
        assert_eq!(rewritten(&[]), b"");
    }

    #[test]
    fn a_hash_modulo_itself_does_not_depend_on_the_name() {
        let hash = |own: &[u8]| {
            let mut hasher = ModuloHasher::new(Algorithm::Sha256, own);
            hasher.write_all(b"I am ").unwrap();
            hasher.write_all(own).unwrap();
            hasher.finish().unwrap()
        };
        assert_eq!(hash(b"aaaa"), hash(b"bbbb"));
        assert_ne!(hash(b"aaaa"), hash(b"ccccc"));
    }
}
