//! The tree of links of a profile with `manifest.json`, which is made here and not by a derivation.

use std::path::{Path, PathBuf};

use super::generations::ProfileError;
use super::json::Manifest;
use crate::build::builtin::{Conflict, LinkError, Package, link_packages};
use crate::content_address::Method;
use crate::hash::Algorithm;
use crate::path::StorePath;
use crate::scratch::Scratch;
use crate::store::{Addition, Contents, Store};

/// Where the objects of a store are on this machine.
fn real_dir(store: &dyn Store) -> PathBuf {
    let any = StorePath::parse(b"00000000000000000000000000000000-x".as_slice()).ok();
    any.and_then(|path| store.real_path(&path))
        .and_then(|path| path.parent().map(Path::to_owned))
        .unwrap_or_else(|| store.dir().as_path().to_owned())
}

fn temporary() -> Result<Scratch, ProfileError> {
    Scratch::new("rx-profile-")
        .map_err(|e| ProfileError::file("creating a directory in", &std::env::temp_dir(), e))
}

/// Makes the profile of a manifest and adds it to the store.
pub fn build_profile(store: &dyn Store, manifest: &Manifest) -> Result<StorePath, ProfileError> {
    let temporary = temporary()?;
    let tree = temporary.path().join("profile");
    std::fs::create_dir(&tree).map_err(|e| ProfileError::file("creating directory", &tree, e))?;
    let packages = manifest
        .elements
        .values()
        .filter(|entry| entry.active)
        .flat_map(|entry| entry.store_paths.iter().map(|path| (path, entry.priority)))
        .map(|(path, priority)| Package {
            path: store.dir().display(path).to_string().into(),
            active: true,
            priority,
        })
        .collect();
    link_packages(store.dir(), &real_dir(store), packages, &tree).map_err(|error| match error {
        LinkError::Conflict(conflict) => ProfileError::Conflict(conflict),
        LinkError::Other(text) => ProfileError::Links(text),
    })?;
    let file = tree.join("manifest.json");
    std::fs::write(&file, manifest.to_json(store.dir()).to_string())
        .map_err(|e| ProfileError::file("writing", &file, e))?;
    Ok(store.add_to_store(
        Addition {
            references: &manifest.store_paths(),
            ..Addition::new("profile", Method::NixArchive, Algorithm::Sha256)
        },
        Contents::Path(&tree),
    )?)
}

/// Two files that keep packages from being linked together, if there are such.
pub fn find_conflict(
    store: &dyn Store,
    packages: Vec<Package>,
) -> Result<Option<Box<Conflict>>, ProfileError> {
    let temporary = temporary()?;
    match link_packages(store.dir(), &real_dir(store), packages, temporary.path()) {
        Err(LinkError::Conflict(conflict)) => Ok(Some(conflict)),
        _ => Ok(None),
    }
}
