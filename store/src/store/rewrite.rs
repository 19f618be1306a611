//! Closures under other names: each object gets the path that follows from its contents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, Write};

use super::api::{AddFlags, Store};
use super::closure::{ClosureOptions, topological_paths};
use super::error::StoreError;
use super::info::PathInfo;
use crate::content_address::{ContentAddress, Method, References};
use crate::hash::{Algorithm, Hasher};
use crate::path::StorePath;
use crate::progress;
use crate::rewriting::{ModuloHasher, Rewrites, RewritingWriter};

/// Writes to two places.
struct Both<A, B>(A, B);

impl<A: Write, B: Write> Write for Both<A, B> {
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

/// Hashes and counts.
struct Measure(Hasher, u64);

impl Write for Measure {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.update(data);
        self.1 += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn scratch() -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(tempfile::tempfile()?))
}

fn rewound(file: BufWriter<File>) -> io::Result<BufReader<File>> {
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(BufReader::new(file))
}

/// Adds paths and all they refer to under the paths that follow from their contents. Gives the new path of each.
pub fn make_content_addressed(
    from: &dyn Store,
    to: &dyn Store,
    paths: &BTreeSet<StorePath>,
) -> Result<BTreeMap<StorePath, StorePath>, StoreError> {
    let closure = from.closure(paths, ClosureOptions::default())?;
    let mut renamed = BTreeMap::new();
    // What is referred to comes first.
    for path in topological_paths(from, &closure)?.into_iter().rev() {
        crate::interrupt::check()?;
        let new = rewrite(from, to, &path, &renamed)?;
        progress::info(format_args!(
            "rewriting '{}' to '{}'",
            from.dir().display(&path),
            to.dir().display(&new)
        ));
        renamed.insert(path, new);
    }
    Ok(renamed)
}

fn rewrite(
    from: &dyn Store,
    to: &dyn Store,
    path: &StorePath,
    renamed: &BTreeMap<StorePath, StorePath>,
) -> Result<StorePath, StoreError> {
    let old = from.path_info(path)?;
    let mut rewrites = Rewrites::new();
    let mut references = References::default();
    for reference in &old.references {
        if reference == path {
            references.self_reference = true;
            continue;
        }
        let new = renamed.get(reference).unwrap_or(reference);
        rewrites.insert(from.dir().print(reference), from.dir().print(new));
        references.others.insert(new.clone());
    }
    // First the names of others are changed, which decides its own.
    let own = path.hash_part();
    let modulo = ModuloHasher::new(Algorithm::Sha256, own.as_bytes());
    let mut writer = RewritingWriter::new(rewrites, Both(scratch()?, modulo));
    from.nar_from_path(path, &mut writer)?;
    let Both(file, modulo) = writer.finish()?;
    let address = ContentAddress {
        method: Method::NixArchive,
        hash: modulo.finish()?,
    };
    let new = to
        .dir()
        .make_content_path(path.name(), &address, &references)?;

    let mut rewrites = Rewrites::new();
    rewrites.insert(own.as_bytes(), new.hash_part().as_bytes());
    let measure = Measure(Hasher::new(Algorithm::Sha256), 0);
    let mut writer = RewritingWriter::new(rewrites, Both(scratch()?, measure));
    io::copy(&mut rewound(file)?, &mut writer)?;
    let Both(file, Measure(hasher, size)) = writer.finish()?;

    let mut info = PathInfo::new(new.clone(), hasher.finish(), size);
    info.references = references.others;
    if references.self_reference {
        info.references.insert(new.clone());
    }
    info.content_address = Some(address);
    to.add_nar(&info, &mut rewound(file)?, AddFlags::default())?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;
    use crate::path::StoreDir;
    use crate::store::MemoryStore;

    fn add(store: &MemoryStore, path: &StorePath, text: &str, references: &[&StorePath]) {
        let mut nar = Vec::new();
        let mut writer = crate::nar::Writer::new(&mut nar);
        writer.file(b"", false, text.len() as u64).unwrap();
        writer.contents(text.as_bytes()).unwrap();
        writer.finish().unwrap();
        let hash = Hash::of(Algorithm::Sha256, &nar);
        let mut info = PathInfo::new(path.clone(), hash, nar.len() as u64);
        info.references = references.iter().map(|path| (*path).clone()).collect();
        store
            .add_nar(&info, &mut &nar[..], AddFlags::default())
            .unwrap();
    }

    #[test]
    fn a_closure_keeps_its_shape_and_no_longer_needs_signatures() {
        let dir = StoreDir::default();
        let store = MemoryStore::new(dir.clone());
        let below = StorePath::new([1; 20], b"below").unwrap();
        let above = StorePath::new([2; 20], b"above").unwrap();
        add(&store, &below, "hello", &[]);
        let text = format!("{} and {}", dir.display(&below), dir.display(&above));
        add(&store, &above, &text, &[&below, &above]);

        let to = MemoryStore::new(dir.clone());
        let renamed =
            make_content_addressed(&store, &to, &BTreeSet::from([above.clone()])).unwrap();
        let (new_below, new_above) = (&renamed[&below], &renamed[&above]);
        let info = to.path_info(new_above).unwrap();
        assert_eq!(
            info.references,
            BTreeSet::from([new_below.clone(), new_above.clone()])
        );
        assert!(info.is_content_addressed(&dir).unwrap());
        let contents = to.read_file(new_above, b"").unwrap();
        let expected = format!("{} and {}", dir.display(new_below), dir.display(new_above));
        assert_eq!(String::from_utf8(contents).unwrap(), expected);

        // Doing it again changes nothing.
        let again = make_content_addressed(&to, &to, &BTreeSet::from([new_above.clone()])).unwrap();
        assert_eq!(&again[new_above], new_above);
    }
}
