//! Store objects copied under paths that follow from their contents.
//!
//! The references among them change with their paths, so what refers to something is copied after it, with the new
//! hash parts in place of the old ones. An object that mentions itself is hashed as if it did not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Seek, Write};

use crate::content_address::{ContentAddress, Method, References};
use crate::hash::{Algorithm, Hash, Hasher};
use crate::path::StorePath;
use crate::rewriting::{ModuloHasher, Rewrites, RewritingWriter};
use crate::store::closure::{ClosureOptions, topological_paths};
use crate::store::{AddFlags, PathInfo, Store, StoreError};

/// Copies some objects with all that they need under content addresses. Gives the new path of each.
///
/// # Errors
/// When something cannot be read or written.
pub fn make_content_addressed(
    from: &dyn Store,
    to: &dyn Store,
    paths: &BTreeSet<StorePath>,
) -> Result<BTreeMap<StorePath, StorePath>, StoreError> {
    let closure = from.closure(paths, ClosureOptions::default())?;
    let mut order = topological_paths(from, &closure)?;
    order.reverse();
    let mut renamed = BTreeMap::new();
    for path in order {
        crate::interrupt::check()?;
        let new = copy_one(from, to, &path, &renamed)?;
        renamed.insert(path, new);
    }
    Ok(renamed)
}

fn failed(error: std::io::Error) -> StoreError {
    StoreError::Layer(Box::new(error))
}

fn copy_one(
    from: &dyn Store,
    to: &dyn Store,
    path: &StorePath,
    renamed: &BTreeMap<StorePath, StorePath>,
) -> Result<StorePath, StoreError> {
    let old = from.path_info(path)?;
    let mut references = References::default();
    let mut rewrites = Rewrites::new();
    for reference in &old.references {
        if reference == path {
            references.self_reference = true;
            continue;
        }
        let new = renamed.get(reference).unwrap_or(reference);
        rewrites.insert(reference.to_string(), new.to_string());
        references.others.insert(new.clone());
    }
    // First under the old name, to know the hash from which the new name follows.
    let own = path.hash_part();
    let mut spool = tempfile::tempfile().map_err(failed)?;
    let mut writer = RewritingWriter::new(rewrites, std::io::BufWriter::new(&mut spool));
    from.nar_from_path(path, &mut writer)?;
    writer.finish().map_err(failed)?;
    spool.rewind().map_err(failed)?;
    let mut modulo = ModuloHasher::new(Algorithm::Sha256, own.as_bytes());
    std::io::copy(&mut BufReader::new(&mut spool), &mut modulo).map_err(failed)?;
    let address = ContentAddress {
        method: Method::NixArchive,
        hash: modulo.finish().map_err(failed)?,
    };
    let new = to
        .dir()
        .make_content_path(path.name(), &address, &references)
        .map_err(|error| StoreError::Layer(Box::new(error)))?;
    // Then with its own new name inside.
    let mut rewrites = Rewrites::new();
    rewrites.insert(own.as_bytes(), new.hash_part().as_bytes());
    spool.rewind().map_err(failed)?;
    let mut result = tempfile::tempfile().map_err(failed)?;
    let mut writer = RewritingWriter::new(rewrites, Measure::new(&mut result));
    std::io::copy(&mut BufReader::new(&mut spool), &mut writer).map_err(failed)?;
    let (nar_hash, nar_size) = writer.finish().map_err(failed)?.finish().map_err(failed)?;
    let mut info = PathInfo::new(new.clone(), nar_hash, nar_size);
    info.references = references.others;
    if references.self_reference {
        info.references.insert(new.clone());
    }
    info.content_address = Some(address);
    if !to.is_valid(&new)? {
        result.rewind().map_err(failed)?;
        to.add_nar(&info, &mut BufReader::new(result), AddFlags::default())?;
    }
    Ok(new)
}

/// Hashes and counts what passes through.
struct Measure<W: Write> {
    out: std::io::BufWriter<W>,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Measure<W> {
    fn new(out: W) -> Self {
        Measure {
            out: std::io::BufWriter::new(out),
            hasher: Hasher::new(Algorithm::Sha256),
            size: 0,
        }
    }

    fn finish(mut self) -> std::io::Result<(Hash, u64)> {
        self.out.flush()?;
        Ok((self.hasher.finish(), self.size))
    }
}

impl<W: Write> Write for Measure<W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.out.write_all(data)?;
        self.hasher.update(data);
        self.size += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
