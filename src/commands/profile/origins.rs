//! Which file or expression a package came from, remembered beside the profile.
//!
//! `manifest.json` only tells this of flakes. With it, installing again from the same place is an upgrade, and
//! `rx profile upgrade` can look there for something new. Nothing depends on the file: what it does not know, or what
//! another program has changed since, counts as a plain store path.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rx_store::path::{StoreDir, StorePath};
use rx_store::profile::Entry;
use rx_store::scratch::replace_file;
use serde::{Deserialize, Serialize};

use crate::installables::SourceOptions;

/// Where a package came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file, from the root, or a URL or `<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// The expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expr: Option<String>,
    /// The attribute path, with outputs.
    attribute: String,
}

impl Origin {
    /// The origin of an argument; nothing if it is a store path or flake.
    pub fn of(source: &SourceOptions, argument: &OsStr) -> Option<Origin> {
        let file = source.file.as_deref();
        if file == Some(OsStr::new("-")) || (file.is_none() && source.expr.is_none()) {
            return None;
        }
        let file = file.and_then(OsStr::to_str).map(|file| {
            let path = Path::new(file);
            let is_path = !file.contains("://") && !file.starts_with('<');
            match std::path::absolute(path) {
                Ok(full) if is_path => full.to_string_lossy().into_owned(),
                _ => file.to_owned(),
            }
        });
        Some(Origin {
            file,
            expr: source
                .expr
                .as_ref()
                .map(|text| text.to_string_lossy().into_owned()),
            attribute: argument.to_string_lossy().into_owned(),
        })
    }

    /// Options and argument that name it again.
    pub fn arguments(&self) -> (SourceOptions, OsString) {
        let source = SourceOptions {
            file: self.file.clone().map(OsString::from),
            expr: self.expr.clone().map(OsString::from),
            ..SourceOptions::default()
        };
        (source, OsString::from(&self.attribute))
    }

    /// How it is shown.
    pub fn describe(&self) -> String {
        match (&self.file, &self.expr) {
            (Some(place), _) | (None, Some(place)) => format!("'{}' of '{place}'", self.attribute),
            (None, None) => format!("'{}'", self.attribute),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    origin: Origin,
    /// What it was then: if the profile has something else under this name, the origin is no longer its own.
    paths: BTreeSet<String>,
}

/// The origins of a profile's packages, by name.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    file: PathBuf,
    known: BTreeMap<String, Known>,
}

impl Origins {
    /// Reads what is known of a profile.
    pub fn of(profile: &Path) -> Origins {
        let mut file = profile.as_os_str().as_bytes().to_vec();
        file.extend_from_slice(b".origins.json");
        let file = PathBuf::from(OsString::from_vec(file));
        let text = std::fs::read(&file).unwrap_or_default();
        let known = serde_json::from_slice(&text).unwrap_or_default();
        Origins { file, known }
    }

    /// Where an element came from.
    pub fn get(&self, dir: &StoreDir, name: &str, entry: &Entry) -> Option<&Origin> {
        let known = self.known.get(name)?;
        (known.paths == shown(dir, &entry.store_paths)).then_some(&known.origin)
    }

    /// Remembers where an element came from.
    pub fn set(&mut self, dir: &StoreDir, name: &str, entry: &Entry, origin: Option<Origin>) {
        match origin {
            Some(origin) => {
                let paths = shown(dir, &entry.store_paths);
                self.known.insert(name.to_owned(), Known { origin, paths });
            }
            None => {
                self.known.remove(name);
            }
        }
    }

    /// Writes it all. What cannot be written is forgotten.
    pub fn write(&self) {
        if self.known.is_empty() && !self.file.exists() {
            return;
        }
        if let Ok(text) = serde_json::to_vec_pretty(&self.known) {
            let _ = replace_file(&self.file, &text, 0o600);
        }
    }
}

fn shown(dir: &StoreDir, paths: &BTreeSet<StorePath>) -> BTreeSet<String> {
    paths
        .iter()
        .map(|path| dir.display(path).to_string())
        .collect()
}
