//! The hash of a tree as git names it: blobs and trees.

use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::hash::{Algorithm, Hash, Hasher};
use crate::nar::MAX_DEPTH;

/// The hash of what is at a path. A single executable or link has the hash of its contents.
pub fn git_hash(path: &Path, algorithm: Algorithm) -> io::Result<Hash> {
    Ok(object(path, algorithm, 0)?.1)
}

/// Mode and hash of one object.
fn object(path: &Path, algorithm: Algorithm, depth: usize) -> io::Result<(&'static str, Hash)> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other("directories are nested too deeply"));
    }
    let status = fs::symlink_metadata(path)?;
    if status.is_symlink() {
        let target = fs::read_link(path)?.into_os_string().into_vec();
        return Ok(("120000", hash("blob", &target, algorithm)));
    }
    if !status.is_dir() {
        let executable = status.permissions().mode() & 0o100 != 0;
        let mode = if executable { "100755" } else { "100644" };
        let mut hasher = Hasher::new(algorithm);
        hasher.update(format!("blob {}\0", status.len()).as_bytes());
        let mut file = fs::File::open(path)?;
        let copied = io::copy(&mut file, &mut HashWriter(&mut hasher))?;
        if copied != status.len() {
            return Err(io::Error::other("file changed while it was read"));
        }
        return Ok((mode, hasher.finish()));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let (mode, hash) = object(&entry.path(), algorithm, depth + 1)?;
        let name = entry.file_name().as_bytes().to_vec();
        // Git compares directories as if their names ended with a slash.
        let mut key = name.clone();
        if mode == "40000" {
            key.push(b'/');
        }
        entries.push((key, mode, name, hash));
    }
    entries.sort();
    let mut body = Vec::new();
    for (_, mode, name, hash) in entries {
        body.extend_from_slice(mode.as_bytes());
        body.push(b' ');
        body.extend_from_slice(&name);
        body.push(0);
        body.extend_from_slice(hash.as_bytes());
    }
    Ok(("40000", hash("tree", &body, algorithm)))
}

fn hash(kind: &str, body: &[u8], algorithm: Algorithm) -> Hash {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(format!("{kind} {}\0", body.len()).as_bytes());
    hasher.update(body);
    hasher.finish()
}

struct HashWriter<'a>(&'a mut Hasher);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_and_trees_have_the_hashes_that_git_gives_them() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("hello"), "hello\n").unwrap();
        let blob = git_hash(&dir.path().join("hello"), Algorithm::Sha1).unwrap();
        assert_eq!(blob.base16(), "ce013625030ba8dba906f756967f9e9ca394464a");
        let tree = git_hash(dir.path(), Algorithm::Sha1).unwrap();
        assert_eq!(tree.base16(), "b4d01e9b0c4a9356736dfddf8830ba9a54f5271c");
    }
}
