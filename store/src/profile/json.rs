//! `manifest.json`, the list of what is installed that `rx profile` keeps.
//!
//! ```text
//! { "elements": { NAME: { "active": true, "priority": 5, "storePaths": [ … ],
//!                         "attrPath", "originalUrl", "outputs", "url": of flakes } },
//!   "version": 3 }
//! ```
//!
//! Versions 1 and 2 have a list of elements without names; they are read and not written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::path::{StoreDir, StorePath};

/// The priority of what does not say otherwise.
pub const DEFAULT_PRIORITY: i64 = 5;

/// The flake that something was installed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlakeSource {
    /// As the user wrote it.
    pub original_url: String,
    /// What it meant then.
    pub url: String,
    /// The attribute in its outputs.
    pub attr_path: String,
    /// The outputs that were asked for; nothing for the package's own choice, `*` for all.
    pub outputs: Option<BTreeSet<String>>,
}

impl FlakeSource {
    /// `URL#ATTRIBUTE^OUTPUTS`.
    pub fn installable(&self) -> String {
        format!(
            "{}#{}{}",
            self.original_url,
            self.attr_path,
            self.outputs_suffix()
        )
    }

    /// `^OUTPUTS`, or nothing.
    pub fn outputs_suffix(&self) -> String {
        match &self.outputs {
            None => String::new(),
            Some(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                format!("^{}", names.join(","))
            }
        }
    }
}

/// Something installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is linked into the profile.
    pub store_paths: BTreeSet<StorePath>,
    /// Whether it is linked at all.
    pub active: bool,
    /// Files of lower numbers win.
    pub priority: i64,
    /// Where it came from.
    pub source: Option<FlakeSource>,
    /// Whether it is left alone by upgrades: a flag of the classic command, and only written if it is set.
    pub keep: bool,
}

/// The name and the version of a store object: the version begins after the first dash that no letter follows.
pub fn split_name(name: &str) -> (&str, &str) {
    let dash = name
        .as_bytes()
        .windows(2)
        .position(|pair| pair[0] == b'-' && !pair[1].is_ascii_alphabetic());
    dash.map_or((name, ""), |at| (&name[..at], &name[at + 1..]))
}

impl Entry {
    /// Store paths with the default priority.
    pub fn new(store_paths: BTreeSet<StorePath>) -> Self {
        Entry {
            store_paths,
            active: true,
            priority: DEFAULT_PRIORITY,
            source: None,
            keep: false,
        }
    }

    /// What the element is called in lists of changes: its flake, or the names of its store paths.
    pub fn identifier(&self) -> String {
        if let Some(source) = &self.source {
            return source.installable();
        }
        let names: BTreeSet<&str> = self
            .store_paths
            .iter()
            .map(|path| split_name(path.name()).0)
            .collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// The name that it gets in a manifest unless another has it.
    pub fn default_name(&self) -> String {
        self.source
            .as_ref()
            .and_then(|source| name_from_url(&source.installable()))
            .unwrap_or_else(|| self.identifier())
    }

    /// The versions of its store paths: `∅` if there are none, `ε` for an empty one.
    pub fn versions(&self) -> String {
        let versions: BTreeSet<&str> = self
            .store_paths
            .iter()
            .map(|path| split_name(path.name()).1)
            .collect();
        if versions.is_empty() {
            return "∅".to_owned();
        }
        let shown: Vec<&str> = versions
            .into_iter()
            .map(|version| if version.is_empty() { "ε" } else { version })
            .collect();
        shown.join(", ")
    }

    /// The one of its store paths that the others are outputs of: the one with the shortest name.
    pub fn main_path(&self) -> Option<&StorePath> {
        self.store_paths
            .iter()
            .min_by_key(|path| (path.name().len(), *path))
    }
}

/// The name of a package from the URL of a flake, if that tells.
pub fn name_from_url(url: &str) -> Option<String> {
    let is_segment = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'))
    };
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if let Some(dir) = query.split('&').find_map(|part| part.strip_prefix("dir=")) {
        return Some(dir.to_owned());
    }
    let attribute = fragment.split('^').next().unwrap_or_default();
    let parts: Vec<&str> = attribute.split('.').collect();
    if parts.iter().all(|part| is_segment(part))
        && let Some((last, before)) = parts.split_last()
        && *last != "default"
        && before != ["defaultPackage"]
    {
        return Some((*last).to_owned());
    }
    let (scheme, path) = rest.split_once(':').unwrap_or(("", rest));
    let path = match path.strip_prefix("//") {
        // The host is no part of the path.
        Some(path) => path.split_once('/').map_or("", |(_, path)| path),
        None => path,
    };
    let segments: Vec<&str> = path.split('/').collect();
    if matches!(scheme, "github" | "gitlab" | "sourcehut")
        && let [owner, repository, ..] = segments.as_slice()
        && is_segment(owner)
        && is_segment(repository)
    {
        return Some((*repository).to_owned());
    }
    match segments.as_slice() {
        [_, .., last] if is_segment(last) => Some((*last).to_owned()),
        _ => None,
    }
}

/// What is installed, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The elements.
    pub elements: BTreeMap<String, Entry>,
}

impl Manifest {
    /// Reads a manifest of version 1, 2 or 3; the error says what is wrong.
    pub fn parse(dir: &StoreDir, text: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let (url, original_url) = match json.get("version").and_then(Value::as_u64).unwrap_or(0) {
            1 => ("uri", "originalUri"),
            2 | 3 => ("url", "originalUrl"),
            version => return Err(format!("unsupported version {version}")),
        };
        let mut manifest = Manifest::default();
        match json.get("elements") {
            Some(Value::Object(elements)) => {
                for (name, element) in elements {
                    let entry = read_entry(dir, element, url, original_url)?;
                    manifest.add(name, entry);
                }
            }
            Some(Value::Array(elements)) => {
                for element in elements {
                    let entry = read_entry(dir, element, url, original_url)?;
                    manifest.add(&entry.default_name(), entry);
                }
            }
            Some(Value::Null) | None => {}
            Some(_) => return Err("'elements' is neither a set nor a list".to_owned()),
        }
        Ok(manifest)
    }

    /// Adds an element; if the name is taken, with a number after it. Gives the name.
    pub fn add(&mut self, name: &str, entry: Entry) -> String {
        let mut free = name.to_owned();
        let mut number = 1;
        while self.elements.contains_key(&free) {
            free = format!("{name}-{number}");
            number += 1;
        }
        self.elements.insert(free.clone(), entry);
        free
    }

    /// The manifest as JSON, with members in alphabetical order.
    pub fn to_json(&self, dir: &StoreDir) -> Value {
        let elements: Map<String, Value> = self
            .elements
            .iter()
            .map(|(name, entry)| (name.clone(), write_entry(dir, entry)))
            .collect();
        json!({ "elements": elements, "version": 3 })
    }

    /// Everything that is installed.
    pub fn store_paths(&self) -> BTreeSet<StorePath> {
        let all = self.elements.values();
        all.flat_map(|entry| entry.store_paths.iter().cloned())
            .collect()
    }
}

fn write_entry(dir: &StoreDir, entry: &Entry) -> Value {
    let paths: Vec<String> = entry
        .store_paths
        .iter()
        .map(|path| dir.display(path).to_string())
        .collect();
    let mut members = BTreeMap::from([
        ("active", json!(entry.active)),
        ("priority", json!(entry.priority)),
        ("storePaths", json!(paths)),
    ]);
    if entry.keep {
        members.insert("keep", json!(true));
    }
    if let Some(source) = &entry.source {
        members.insert("originalUrl", json!(source.original_url));
        members.insert("url", json!(source.url));
        members.insert("attrPath", json!(source.attr_path));
        members.insert("outputs", json!(source.outputs));
    }
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<Map<_, _>>()
        .into()
}

fn read_entry(
    dir: &StoreDir,
    json: &Value,
    url: &str,
    original_url: &str,
) -> Result<Entry, String> {
    let text = |name: &str| {
        json.get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| format!("'{name}' of an element is missing or no string"))
    };
    let mut store_paths = BTreeSet::new();
    for path in json
        .get("storePaths")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let path = path.as_str().ok_or("a store path is no string")?;
        let path = dir
            .parse(path.as_bytes())
            .map_err(|error| error.to_string())?;
        store_paths.insert(path);
    }
    let flag = |name: &str| json.get(name).and_then(Value::as_bool);
    let source = match json.get(url).and_then(Value::as_str) {
        Some(locked) if !locked.is_empty() => Some(FlakeSource {
            original_url: text(original_url)?,
            url: locked.to_owned(),
            attr_path: text("attrPath")?,
            outputs: json.get("outputs").and_then(Value::as_array).map(|names| {
                let names = names.iter().filter_map(Value::as_str);
                names.map(str::to_owned).collect()
            }),
        }),
        _ => None,
    };
    Ok(Entry {
        store_paths,
        active: flag("active").ok_or("'active' of an element is missing")?,
        priority: json
            .get("priority")
            .and_then(Value::as_i64)
            .unwrap_or(DEFAULT_PRIORITY),
        source,
        keep: flag("keep").unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_telling_part_of_a_url() {
        for (url, name) in [
            ("path:/home/user/project", Some("project")),
            ("git+https://git.example.org/user/project", Some("project")),
            ("github:edolstra/nix-warez?dir=blender", Some("blender")),
            ("github:edolstra/nix-warez", Some("nix-warez")),
            (
                "github:edolstra/hello/main#packages.x86_64-linux.default",
                Some("hello"),
            ),
            (
                "github:edolstra/hello#packages.x86_64-linux.Hello",
                Some("Hello"),
            ),
            ("path:/x/y#packages.x.default^man", Some("y")),
            ("path:.#nonStandardAttr.mylaptop", Some("mylaptop")),
            ("path:.#defaultPackage.x86_64-linux", None),
            (
                "path:./repos/myflake#nonStandardAttr.mylaptop",
                Some("mylaptop"),
            ),
            ("path:.", None),
        ] {
            assert_eq!(name_from_url(url).as_deref(), name, "{url}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_taken_names_get_numbers() {
        let dir = StoreDir::default();
        let path = |name: &str| {
            StorePath::parse(format!("y7yjfsiba1x083622d4nl9c9b8v809qv-{name}").as_bytes()).unwrap()
        };
        let mut manifest = Manifest::default();
        let entry = Entry::new(BTreeSet::from([path("foo-1.0"), path("foo-1.0-man")]));
        assert_eq!(entry.default_name(), "foo");
        assert_eq!(entry.versions(), "1.0, 1.0-man");
        assert_eq!(entry.main_path().unwrap().name(), "foo-1.0");
        assert_eq!(manifest.add("foo", entry.clone()), "foo");
        let mut flake = entry.clone();
        flake.source = Some(FlakeSource {
            original_url: "flake:nixpkgs".to_owned(),
            url: "github:NixOS/nixpkgs/0123".to_owned(),
            attr_path: "legacyPackages.x86_64-linux.foo".to_owned(),
            outputs: None,
        });
        assert_eq!(manifest.add("foo", flake), "foo-1");
        let text = manifest.to_json(&dir).to_string();
        assert_eq!(Manifest::parse(&dir, text.as_bytes()).unwrap(), manifest);
        let old = format!(
            r#"{{"version": 2, "elements": [{{"active": true, "attrPath": "a.b.hello",
            "originalUrl": "flake:nixpkgs", "outputs": null, "priority": 5,
            "storePaths": ["{}"], "url": "github:NixOS/nixpkgs/00"}}]}}"#,
            dir.display(&path("hello-1"))
        );
        let old = Manifest::parse(&dir, old.as_bytes()).unwrap();
        assert!(old.elements.contains_key("hello"));
        for bad in [
            "",
            "{}",
            r#"{"version":4}"#,
            r#"{"version":3,"elements":7}"#,
        ] {
            assert!(Manifest::parse(&dir, bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
