//! The files that are part of rx: `<nix/…>`, and the package library `<rx>`.
//!
//! Their paths are written as they are looked up: `<nix/fetchurl.nix>` is a file, `<rx>` a directory with
//! `<rx>/default.nix` in it.

use std::path::Path;

use super::{FileKind, Listing, outside};
use crate::error::Result;
use crate::outside::does_not_exist;

/// The directory of the package library.
pub(crate) const LIBRARY: &[u8] = b"<rx>";

/// Files by their path below `stdlib/`.
macro_rules! files {
    ($($path:literal)*) => {
        &[$((
            $path.as_bytes(),
            include_bytes!(concat!("../../../stdlib/", $path)),
        )),*]
    };
}

/// In the order of their names.
const LIBRARY_FILES: &[(&[u8], &[u8])] = files! {
    "rx/default.nix"
    "rx/fetchers.nix"
    "rx/lib/attrs.nix"
    "rx/lib/customisation.nix"
    "rx/lib/default.nix"
    "rx/lib/fixed-points.nix"
    "rx/lib/lists.nix"
    "rx/lib/options.nix"
    "rx/lib/strings.nix"
    "rx/lib/trivial.nix"
    "rx/mk-derivation.nix"
    "rx/packages/banner/default.nix"
    "rx/packages/calc/default.nix"
    "rx/packages/calc/src/Makefile"
    "rx/packages/calc/src/calc.c"
    "rx/packages/calc/src/check.sh"
    "rx/packages/gnu-hello/default.nix"
    "rx/packages/greet/default.nix"
    "rx/packages/greet/src/Makefile"
    "rx/packages/greet/src/main.c"
    "rx/packages/handbook/default.nix"
    "rx/packages/hello/default.nix"
    "rx/packages/hello/hello.c"
    "rx/packages/hexview/default.nix"
    "rx/packages/hexview/hexview.1"
    "rx/packages/hexview/hexview.c"
    "rx/packages/jsonfmt/default.nix"
    "rx/packages/jsonfmt/jsonfmt.c"
    "rx/packages/libgreet/default.nix"
    "rx/packages/libgreet/src/Makefile"
    "rx/packages/libgreet/src/check.c"
    "rx/packages/libgreet/src/greet.c"
    "rx/packages/libgreet/src/greet.h"
    "rx/packages/lua/default.nix"
    "rx/packages/showtree/default.nix"
    "rx/packages/slugify/default.nix"
    "rx/packages/tools/default.nix"
    "rx/packages/wordfreq/default.nix"
    "rx/stdenv/setup"
    "rx/writers.nix"
};

const FILES: &[(&[u8], &[u8])] = files! {
    "buildenv.nix"
    "fetchurl.nix"
    "unpack-channel.nix"
};

/// What a path of ours stands for.
pub(crate) enum Internal {
    /// A file with this text.
    File(&'static [u8]),
    /// A directory, by its path below `<rx>`, with a slash at its end unless it is the root.
    Directory(Vec<u8>),
    /// Nothing.
    Missing,
}

/// What is at a path; nothing if the path is an ordinary one.
pub(crate) fn find(path: &[u8]) -> Option<Internal> {
    // Nearly all paths are ordinary.
    if path.first() != Some(&b'<') {
        return None;
    }
    if let Some(name) = path.strip_prefix(b"<nix/") {
        let name = name.strip_suffix(b">")?;
        return Some(file(FILES, name));
    }
    let below = path.strip_prefix(LIBRARY)?;
    if below.is_empty() {
        return Some(Internal::Directory(Vec::new()));
    }
    let below = below.strip_prefix(b"/")?;
    let found = file(LIBRARY_FILES, &[b"rx/", below].concat());
    if !matches!(found, Internal::Missing) {
        return Some(found);
    }
    let prefix = [below, b"/"].concat();
    let is_directory = library().any(|(name, _)| name.starts_with(&prefix));
    Some(if is_directory {
        Internal::Directory(prefix)
    } else {
        Internal::Missing
    })
}

/// Whether a path is one of ours, there or not.
pub(crate) fn is_internal(path: &[u8]) -> bool {
    find(path).is_some()
}

/// The text of an internal file; nothing if the path is an ordinary one, an error if there is no such file.
pub(crate) fn text(path: &[u8]) -> Option<Result<&'static [u8]>> {
    Some(match find(path)? {
        Internal::File(text) => Ok(text),
        Internal::Directory(_) => Err(outside(format_args!(
            "cannot read '{}': Is a directory",
            String::from_utf8_lossy(path)
        ))),
        Internal::Missing => Err(does_not_exist(path)),
    })
}

/// The kind of an internal file; nothing if the path is an ordinary one.
pub(crate) fn kind(path: &[u8]) -> Option<Option<FileKind>> {
    Some(match find(path)? {
        Internal::File(_) => Some(FileKind::Regular),
        Internal::Directory(_) => Some(FileKind::Directory),
        Internal::Missing => None,
    })
}

/// The names in an internal directory; nothing if the path is an ordinary one.
pub(crate) fn list(path: &[u8]) -> Option<Result<Listing>> {
    let prefix = match find(path)? {
        Internal::Directory(prefix) => prefix,
        Internal::File(_) | Internal::Missing => return Some(Err(does_not_exist(path))),
    };
    let mut listing = Listing::default();
    let mut last: &[u8] = b"";
    for (name, _) in library() {
        let Some(rest) = name.strip_prefix(&prefix[..]) else {
            continue;
        };
        let slash = memchr::memchr(b'/', rest);
        let entry = &rest[..slash.unwrap_or(rest.len())];
        if entry != last {
            let kind = slash.map_or(FileKind::Regular, |_| FileKind::Directory);
            listing.push(entry, kind);
            last = entry;
        }
    }
    listing.sort();
    Some(Ok(listing))
}

/// Writes what is at an internal path to the disk, so that it can be copied to the store as other trees are.
pub(crate) fn write_out(path: &[u8], target: &Path) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let failed =
        |error: std::io::Error| outside(format_args!("writing '{}': {error}", target.display()));
    let prefix = match find(path) {
        Some(Internal::File(text)) => return std::fs::write(target, text).map_err(failed),
        Some(Internal::Directory(prefix)) => prefix,
        _ => return Err(does_not_exist(path)),
    };
    for (name, text) in library() {
        let Some(rest) = name.strip_prefix(&prefix[..]) else {
            continue;
        };
        let file = target.join(std::ffi::OsStr::from_bytes(rest));
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&file, text).map_err(failed)?;
    }
    Ok(())
}

/// The files of the library by their path below `<rx>`.
pub fn library() -> impl Iterator<Item = (&'static [u8], &'static [u8])> {
    LIBRARY_FILES
        .iter()
        .filter_map(|(name, text)| Some((name.strip_prefix(b"rx/")?, *text)))
}

fn file(files: &[(&[u8], &'static [u8])], name: &[u8]) -> Internal {
    match files.iter().find(|(file, _)| *file == name) {
        Some((_, text)) => Internal::File(text),
        None => Internal::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_library_is_embedded() {
        fn collect(dir: &Path, prefix: &str, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
                if entry.file_type().unwrap().is_dir() {
                    collect(&entry.path(), &name, found);
                } else {
                    found.push(name);
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stdlib/rx");
        let mut found = Vec::new();
        collect(&root, "rx", &mut found);
        found.sort();
        let embedded: Vec<String> = LIBRARY_FILES
            .iter()
            .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
            .collect();
        assert_eq!(embedded, found);
    }

    #[test]
    fn the_library_looks_like_a_directory() {
        let root = list(LIBRARY).unwrap().unwrap();
        assert_eq!(root.get(b"default.nix"), Some(FileKind::Regular));
        assert_eq!(root.get(b"lib"), Some(FileKind::Directory));
        assert!(matches!(find(b"<rx>/lib"), Some(Internal::Directory(_))));
        assert!(matches!(find(b"<rx>/none"), Some(Internal::Missing)));
        assert!(find(b"<rxx>").is_none());
        assert!(find(b"/rx").is_none());
    }
}
