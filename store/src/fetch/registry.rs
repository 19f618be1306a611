//! Registries: what a short name such as `nixpkgs` stands for.
//!
//! ```text
//! { "version": 2, "flakes": [ { "from": ATTRS, "to": ATTRS, "exact": BOOL } ] }
//! ```
//!
//! They are asked in this order: options of the command line, the user's, the system's, the global
//! one. Entries may lead to other entries.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::attrs::Attrs;
use super::input::{Fetcher, Input, InputError};

/// Where a registry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `--override-flake`.
    Flag,
    /// `~/.config/nix/registry.json`.
    User,
    /// `/etc/nix/registry.json`.
    System,
    /// The setting `flake-registry`.
    Global,
    /// A file that the user named.
    Custom,
}

/// One line of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is looked up.
    pub from: Input,
    /// What it stands for.
    pub to: Input,
    /// More about it: `dir`.
    pub extra: Attrs,
    /// Only exactly `from` is meant, not also its branches and commits.
    pub exact: bool,
}

/// A list of names and what they stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Where it comes from.
    pub kind: Kind,
    /// Its lines, the first that applies counts.
    pub entries: Vec<Entry>,
}

/// Which registries may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// None.
    No,
    /// All.
    All,
    /// Those of the command line and the global one: what does not depend on the machine.
    Limited,
}

impl Registry {
    /// An empty registry.
    pub fn new(kind: Kind) -> Self {
        Registry {
            kind,
            entries: Vec::new(),
        }
    }

    /// Reads a file; a missing one is empty, a damaged one is empty with a warning.
    pub fn read(path: &Path, kind: Kind) -> Self {
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(&bytes, &path.display().to_string(), kind),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::new(kind),
            Err(error) => {
                crate::progress::warn(format_args!(
                    "cannot read flake registry '{}': {error}",
                    path.display()
                ));
                Self::new(kind)
            }
        }
    }

    /// Reads the contents of a registry file.
    pub fn parse(bytes: &[u8], name: &str, kind: Kind) -> Self {
        let parsed = serde_json::from_slice(bytes)
            .map_err(|error| format!("cannot parse flake registry '{name}': {error}"))
            .and_then(|json: Json| {
                Self::from_json(&json, name, kind)
                    .map_err(|error| format!("cannot read flake registry '{name}': {error}"))
            });
        parsed.unwrap_or_else(|message| {
            crate::progress::warn(message);
            Self::new(kind)
        })
    }

    fn from_json(json: &Json, name: &str, kind: Kind) -> Result<Self, InputError> {
        let version = json["version"].as_u64().unwrap_or(0);
        if version != 2 {
            return Err(InputError::Other(format!(
                "flake registry '{name}' has unsupported version {version}"
            )));
        }
        let mut registry = Self::new(kind);
        for entry in json["flakes"].as_array().into_iter().flatten() {
            let mut to = Attrs::from_json(&entry["to"])?;
            let mut extra = Attrs::new();
            if let Some(dir) = to.remove("dir") {
                extra.0.insert("dir".into(), dir);
            }
            registry.entries.push(Entry {
                from: Input::from_attrs(Attrs::from_json(&entry["from"])?)?,
                to: Input::from_attrs(to)?,
                extra,
                exact: entry["exact"].as_bool().unwrap_or(false),
            });
        }
        Ok(registry)
    }

    /// The contents of the file.
    pub fn to_json(&self) -> Json {
        let flakes: Vec<Json> = self
            .entries
            .iter()
            .map(|entry| {
                let mut to = entry.to.attrs.clone();
                to.0.extend(entry.extra.0.clone());
                let mut object = Map::new();
                if entry.exact {
                    object.insert("exact".into(), true.into());
                }
                object.insert("from".into(), entry.from.attrs.to_json());
                object.insert("to".into(), to.to_json());
                object.into()
            })
            .collect();
        serde_json::json!({ "flakes": flakes, "version": 2 })
    }

    /// Writes the file, all or nothing.
    pub fn write(&self, path: &Path) -> Result<(), InputError> {
        let fail = |source| InputError::File {
            action: "writing",
            path: path.display().to_string(),
            source,
        };
        let parent = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(fail)?;
        let mut file = tempfile::NamedTempFile::new_in(parent).map_err(fail)?;
        let text = serde_json::to_vec_pretty(&self.to_json()).map_err(|e| fail(e.into()))?;
        std::io::Write::write_all(&mut file, &text).map_err(fail)?;
        file.as_file().sync_all().map_err(fail)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(fail)?;
        file.persist(path).map_err(|e| fail(e.error))?;
        Ok(())
    }

    /// Adds a line.
    pub fn add(&mut self, from: Input, to: Input, extra: Attrs) {
        self.entries.push(Entry {
            from,
            to,
            extra,
            exact: false,
        });
    }

    /// Removes the lines for exactly this input.
    pub fn remove(&mut self, from: &Input) {
        self.entries.retain(|entry| entry.from != *from);
    }
}

/// The user's registry file.
pub fn user_registry_path(settings: &crate::settings::Settings) -> PathBuf {
    settings.places.config_dir.join("registry.json")
}

/// The registries in the order in which they are asked.
pub fn registries(fetcher: &Fetcher) -> Result<Vec<Registry>, InputError> {
    let settings = fetcher.settings();
    let user = Registry::read(&user_registry_path(settings), Kind::User);
    let system = Registry::read(
        &settings.places.conf_dir.join("registry.json"),
        Kind::System,
    );
    let location = settings.flake_registry.as_str();
    let global = if location.is_empty() {
        Registry::new(Kind::Global)
    } else if Path::new(location).is_absolute() {
        Registry::read(Path::new(location), Kind::Global)
    } else {
        let file = fetcher.download_file(location, "flake-registry.json", &[])?;
        // It stays for the time when its server cannot be reached. Not every store has such roots.
        let link = settings.places.cache_dir.join("flake-registry.json");
        if std::fs::create_dir_all(&settings.places.cache_dir).is_ok() {
            let _ = fetcher.store().add_permanent_root(&file.store_path, &link);
        }
        let bytes = fetcher.store().read_file(&file.store_path, b"")?;
        Registry::parse(&bytes, location, Kind::Global)
    };
    Ok(vec![fetcher.flag_registry(), user, system, global])
}

/// What an input stands for, with what the entries say besides; inputs that need no registry stand
/// for themselves unless an entry says otherwise.
pub fn lookup(
    input: &Input,
    registries: &[Registry],
    which: Use,
) -> Result<(Input, Attrs), InputError> {
    const MOST: usize = 100;
    let mut found = input.clone();
    let mut extra = Attrs::new();
    if which == Use::No {
        return Ok((found, extra));
    }
    for _ in 0..MOST {
        let entry = registries
            .iter()
            .filter(|registry| {
                which == Use::All || matches!(registry.kind, Kind::Flag | Kind::Global)
            })
            .flat_map(|registry| &registry.entries)
            .find(|entry| {
                if entry.exact {
                    entry.from == found
                } else {
                    entry.from.contains(&found)
                }
            });
        let Some(entry) = entry else {
            if found.is_direct() {
                return Ok((found, extra));
            }
            return Err(InputError::Other(format!(
                "cannot find flake '{}' in the flake registries",
                found.show()
            )));
        };
        found = if entry.exact {
            entry.to.clone()
        } else {
            let reference = found.reference()?.filter(|_| !entry.from.attrs.has("ref"));
            let revision = found.revision()?.filter(|_| !entry.from.attrs.has("rev"));
            entry.to.with_overrides(reference, revision.as_ref())?
        };
        extra = entry.extra.clone();
    }
    Err(InputError::Other(format!(
        "cycle detected in flake registry for '{}'",
        found.show()
    )))
}

#[cfg(test)]
mod tests {
    use super::super::input::Wanted;
    use super::*;

    fn input(url: &str) -> Input {
        Input::parse(url, Wanted::Tree).unwrap()
    }

    fn registry(kind: Kind, lines: &[(&str, &str)]) -> Registry {
        let mut registry = Registry::new(kind);
        for (from, to) in lines {
            registry.add(input(from), input(to), Attrs::new());
        }
        registry
    }

    #[test]
    fn names_lead_to_what_they_stand_for_with_branch_and_commit() {
        let all = [
            registry(Kind::User, &[("flake:n", "flake:nixpkgs")]),
            registry(Kind::Global, &[("flake:nixpkgs", "github:o/r")]),
        ];
        let found =
            |url: &str, which| lookup(&input(url), &all, which).map(|(input, _)| input.show());
        assert_eq!(found("flake:n", Use::All).unwrap(), "github:o/r");
        assert_eq!(
            found("flake:n/branch", Use::All).unwrap(),
            "github:o/r/branch"
        );
        assert_eq!(
            found("flake:n", Use::Limited).unwrap_err().to_string(),
            "cannot find flake 'flake:n' in the flake registries"
        );
        assert_eq!(found("flake:n", Use::No).unwrap(), "flake:n");
        assert_eq!(found("github:x/y", Use::All).unwrap(), "github:x/y");
    }

    #[test]
    fn circles_are_noticed() {
        let all = [registry(
            Kind::User,
            &[("flake:a", "flake:b"), ("flake:b", "flake:a")],
        )];
        let error = lookup(&input("flake:a"), &all, Use::All)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("cycle detected in flake registry"),
            "{error}"
        );
    }

    #[test]
    fn registries_survive_being_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x/registry.json");
        let mut registry = registry(Kind::User, &[("flake:a", "github:o/r")]);
        registry.entries[0].exact = true;
        registry.entries[0].extra.set("dir", "sub");
        registry.write(&path).unwrap();
        assert_eq!(Registry::read(&path, Kind::User), registry);
        registry.remove(&input("flake:a"));
        assert!(registry.entries.is_empty());
    }

    #[test]
    fn damaged_registries_are_empty() {
        for text in [
            "",
            "{}",
            "{\"version\":3}",
            "{\"version\":2,\"flakes\":[{}]}",
            "[1]",
        ] {
            assert!(
                Registry::parse(text.as_bytes(), "test", Kind::User)
                    .entries
                    .is_empty()
            );
        }
        assert!(
            Registry::parse(b"{\"version\":2}", "test", Kind::User)
                .entries
                .is_empty()
        );
    }
}
