//! Git's names of blobs and trees, for objects that are addressed the way git addresses them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::hash::{Algorithm, Hash, Hasher};
use crate::nar::{self, NarError, Reader, Tree};

fn mode(tree: &Tree) -> &'static str {
    match tree {
        Tree::Directory(_) => "40000",
        Tree::File {
            executable: false, ..
        } => "100644",
        Tree::File {
            executable: true, ..
        } => "100755",
        Tree::Symlink(_) => "120000",
    }
}

fn object(algorithm: Algorithm, kind: &str, contents: &[u8]) -> Hash {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(format!("{kind} {}\0", contents.len()).as_bytes());
    hasher.update(contents);
    hasher.finish()
}

/// Hashes a tree as git does. Trees from archives are at most 64 levels deep, so the recursion is bounded.
pub fn hash_tree(algorithm: Algorithm, tree: &Tree) -> Hash {
    match tree {
        Tree::File { contents, .. } => object(algorithm, "blob", contents),
        Tree::Symlink(target) => object(algorithm, "blob", target),
        Tree::Directory(entries) => {
            // Git sorts directories as if their names ended in a slash.
            let sorted: BTreeMap<Vec<u8>, (&Vec<u8>, &Tree)> = entries
                .iter()
                .map(|(name, child)| {
                    let mut key = name.clone();
                    if matches!(child, Tree::Directory(_)) {
                        key.push(b'/');
                    }
                    (key, (name, child))
                })
                .collect();
            let mut contents = Vec::new();
            for (name, child) in sorted.into_values() {
                contents.extend_from_slice(mode(child).as_bytes());
                contents.push(b' ');
                contents.extend_from_slice(name);
                contents.push(0);
                contents.extend_from_slice(hash_tree(algorithm, child).as_bytes());
            }
            object(algorithm, "tree", &contents)
        }
    }
}

/// The name of what an archive contains.
pub fn hash_archive(algorithm: Algorithm, archive: &[u8]) -> Result<Hash, NarError> {
    Ok(hash_tree(
        algorithm,
        &Tree::read(&mut Reader::new(archive))?,
    ))
}

/// The name of a file or tree on disk.
pub fn hash_path(algorithm: Algorithm, path: &Path) -> Result<Hash, NarError> {
    hash_archive(algorithm, &nar::dump(path, Vec::new())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_and_trees_have_gits_names() {
        let blob = Tree::file("hello\n");
        assert_eq!(
            hash_tree(Algorithm::Sha1, &blob).base16(),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
        let empty = Tree::Directory(BTreeMap::new());
        assert_eq!(
            hash_tree(Algorithm::Sha1, &empty).base16(),
            "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        );
    }
}
