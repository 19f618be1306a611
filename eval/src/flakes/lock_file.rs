//! `flake.lock`: which trees the inputs of a flake stand for.
//!
//! ```text
//! { "version": 7, "root": KEY, "nodes": { KEY: { "inputs": { NAME: KEY | [ NAME … ] }, "locked", "original", … } } }
//! ```
//!
//! In memory the nodes are numbered; their keys are made anew when a lock file is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rx_store::fetch::attrs::Attrs as InputAttrs;
use rx_store::fetch::flake_ref::FlakeRef;
use rx_store::fetch::input::Input;
use rx_store::fetch::time::date;
use serde_json::{Map, Value as Json};

use super::InputPath;
use crate::builtins::fetch_failed;
use crate::error::{Error, Result};

/// What an input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The node with this number.
    Node(usize),
    /// What another input is.
    Follows(InputPath),
}

/// What is locked of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The exact tree.
    pub locked: FlakeRef,
    /// What the flake asked for.
    pub original: FlakeRef,
    /// Whether it is a flake; else only a tree.
    pub is_flake: bool,
    /// For relative paths: the flake that they are relative to.
    pub parent: Option<InputPath>,
}

/// An input, or the flake itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Node {
    /// Its own inputs.
    pub inputs: BTreeMap<String, Edge>,
    /// What is locked; nothing for the flake itself.
    pub locked: Option<Locked>,
}

/// A lock file: the flake itself is the first node.
#[derive(Clone, Debug)]
pub struct LockFile {
    /// The nodes.
    pub nodes: Vec<Node>,
}

impl Default for LockFile {
    fn default() -> Self {
        LockFile {
            nodes: vec![Node::default()],
        }
    }
}

/// An input path as messages show it.
pub fn show_path(path: &[String]) -> String {
    path.join("/")
}

fn bad(name: &str, what: &str) -> Box<Error> {
    Error::other(format!("lock file '{name}' {what}"))
}

fn reference(node: &Json, attribute: &str, more: Option<&str>) -> Result<FlakeRef> {
    let Some(value) = node.get(attribute) else {
        let message = format!("attribute '{attribute}' missing in lock file");
        return Err(Error::other(message));
    };
    let wrong = |error| Error::other(format!("{error}"));
    let mut attrs = InputAttrs::from_json(value).map_err(wrong)?;
    if let Some(info) = more.and_then(|more| node.get(more)) {
        let info = InputAttrs::from_json(info).map_err(wrong)?;
        attrs.0.extend(info.0);
    }
    FlakeRef::from_attrs(attrs).map_err(fetch_failed)
}

fn names(path: &Json) -> Option<InputPath> {
    let names = path.as_array()?.iter();
    names.map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Reads the nodes that are reachable from the root.
struct Reader<'a> {
    name: &'a str,
    all: &'a Map<String, Json>,
    known: BTreeMap<&'a str, usize>,
    file: LockFile,
    /// Whether the archives of forges are believed to follow from their commit.
    trust_forges: bool,
}

impl<'a> Reader<'a> {
    fn malformed(&self) -> Box<Error> {
        bad(self.name, "is malformed")
    }

    fn locked(&self, node: &Json) -> Result<Locked> {
        let mut locked = reference(node, "locked", Some("info"))?;
        let original = reference(node, "original", None)?;
        if !locked.input.is_locked(self.trust_forges) && locked.input.relative_path().is_none() {
            if locked.input.nar_hash().map_err(fetch_failed)?.is_none() {
                return Err(Error::other(format!(
                    "Lock file contains unlocked input '{}'. Use '--allow-dirty-locks' to accept this lock file.",
                    locked.input.attrs.to_json()
                )));
            }
            rx_store::progress::warn(format_args!(
                "Lock file entry '{locked}' is unlocked (e.g. lacks a Git revision) but is checked by NAR hash. \
                 This is not reproducible and will break after garbage collection or when shared."
            ));
        }
        locked.input.attrs.set("__final", true);
        let parent = match node.get("parent") {
            Some(path) => Some(names(path).ok_or_else(|| self.malformed())?),
            None => None,
        };
        Ok(Locked {
            locked,
            original,
            is_flake: node.get("flake").and_then(Json::as_bool).unwrap_or(true),
            parent,
        })
    }

    /// Reads the inputs of a node, and lists those that were not known yet.
    fn inputs(
        &mut self,
        at: usize,
        node: &'a Json,
        waiting: &mut Vec<(usize, &'a Json)>,
    ) -> Result<()> {
        let Some(inputs) = node.get("inputs") else {
            return Ok(());
        };
        for (name, value) in inputs.as_object().ok_or_else(|| self.malformed())? {
            let edge = match value {
                Json::Array(_) => Edge::Follows(names(value).ok_or_else(|| self.malformed())?),
                Json::String(key) => Edge::Node(match self.known.get(key.as_str()) {
                    Some(0) => return Err(Error::other("lock file contains cycle to root node")),
                    Some(&known) => known,
                    None => {
                        let Some(node) = self.all.get(key) else {
                            let message = format!("lock file references missing node '{key}'");
                            return Err(Error::other(message));
                        };
                        let locked = Some(self.locked(node)?);
                        let number = self.file.nodes.len();
                        self.file.nodes.push(Node {
                            inputs: BTreeMap::new(),
                            locked,
                        });
                        self.known.insert(key, number);
                        waiting.push((number, node));
                        number
                    }
                }),
                _ => return Err(self.malformed()),
            };
            self.file.nodes[at].inputs.insert(name.clone(), edge);
        }
        Ok(())
    }
}

impl LockFile {
    /// Reads the text of the lock file `name`.
    pub fn parse(text: &[u8], name: &str, trust_forges: bool) -> Result<LockFile> {
        let json: Json = serde_json::from_slice(text)
            .map_err(|error| Error::other(format!("Could not parse '{name}': {error}")))?;
        let version = json.get("version").and_then(Json::as_u64).unwrap_or(0);
        if !(5..=7).contains(&version) {
            return Err(bad(name, &format!("has unsupported version {version}")));
        }
        let malformed = || bad(name, "is malformed");
        let root = json
            .get("root")
            .and_then(Json::as_str)
            .ok_or_else(malformed)?;
        let all = json
            .get("nodes")
            .and_then(Json::as_object)
            .ok_or_else(malformed)?;
        let mut reader = Reader {
            name,
            all,
            known: BTreeMap::from([(root, 0)]),
            file: LockFile::default(),
            trust_forges,
        };
        let mut waiting = vec![(0, all.get(root).unwrap_or(&Json::Null))];
        while let Some((at, node)) = waiting.pop() {
            reader.inputs(at, node, &mut waiting)?;
        }
        Ok(reader.file)
    }

    /// Adds a node as an input of another.
    pub fn add(&mut self, parent: usize, name: &str, locked: Locked) -> usize {
        let child = self.nodes.len();
        self.nodes.push(Node {
            inputs: BTreeMap::new(),
            locked: Some(locked),
        });
        self.nodes[parent]
            .inputs
            .insert(name.to_owned(), Edge::Node(child));
        child
    }

    /// The node at a path of inputs, if there is one.
    pub fn find(&self, path: &[String]) -> Result<Option<usize>> {
        self.walk(path, &mut Vec::new())
    }

    fn walk<'a>(
        &'a self,
        path: &'a [String],
        visited: &mut Vec<&'a [String]>,
    ) -> Result<Option<usize>> {
        if let Some(start) = visited.iter().position(|other| *other == path) {
            let mut cycle: Vec<String> = visited[start..]
                .iter()
                .map(|path| show_path(path))
                .collect();
            cycle.push(show_path(path));
            let message = format!("follow cycle detected: [{}]", cycle.join(" -> "));
            return Err(Error::other(message));
        }
        visited.push(path);
        let mut at = 0;
        for name in path {
            at = match self.nodes[at].inputs.get(name) {
                Some(Edge::Node(next)) => *next,
                Some(Edge::Follows(other)) => {
                    match stacker::maybe_grow(1 << 16, 1 << 22, || self.walk(other, visited))? {
                        Some(node) => node,
                        None => return Ok(None),
                    }
                }
                None => return Ok(None),
            };
        }
        Ok(Some(at))
    }

    /// All inputs by their paths; a node that has several is followed on the first only.
    pub fn all_inputs(&self) -> BTreeMap<InputPath, &Edge> {
        let mut done = BTreeSet::new();
        let mut found = BTreeMap::new();
        let mut waiting = vec![(InputPath::new(), 0)];
        while let Some((prefix, node)) = waiting.pop() {
            if !done.insert(node) {
                continue;
            }
            let mut inside = Vec::new();
            for (name, edge) in &self.nodes[node].inputs {
                let mut path = prefix.clone();
                path.push(name.clone());
                if let Edge::Node(child) = edge {
                    inside.push((path.clone(), *child));
                }
                found.insert(path, edge);
            }
            waiting.extend(inside.into_iter().rev());
        }
        found
    }

    /// Checks that what inputs follow is there.
    pub fn check(&self) -> Result<()> {
        for (path, edge) in self.all_inputs() {
            if let Edge::Follows(target) = edge
                && !target.is_empty()
                && self.find(target)?.is_none()
            {
                return Err(Error::other(format!(
                    "input '{}' follows a non-existent input '{}'",
                    show_path(&path),
                    show_path(target)
                )));
            }
        }
        Ok(())
    }

    /// An input that the lock file cannot hold, since nobody could fetch the same again.
    pub fn unlocked(&self, trust_forges: bool, allow_dirty: bool) -> Option<&FlakeRef> {
        let is_locked = |input: &Input| {
            input.is_locked(trust_forges)
                || (allow_dirty && matches!(input.nar_hash(), Ok(Some(_))))
        };
        self.nodes
            .iter()
            .filter_map(|node| Some(&node.locked.as_ref()?.locked))
            .find(|locked| {
                let input = &locked.input;
                (!is_locked(input) || !input.is_final()) && input.relative_path().is_none()
            })
    }

    /// The names that the nodes have in the file.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = vec![String::new(); self.nodes.len()];
        let mut used = BTreeSet::new();
        let mut waiting = vec![("root", 0)];
        while let Some((name, node)) = waiting.pop() {
            if !keys[node].is_empty() {
                continue;
            }
            let mut key = name.to_owned();
            let mut number = 2;
            while !used.insert(key.clone()) {
                key = format!("{name}_{number}");
                number += 1;
            }
            keys[node] = key;
            let inputs = self.nodes[node].inputs.iter().rev();
            waiting.extend(inputs.filter_map(|(name, edge)| match edge {
                Edge::Node(child) => Some((name.as_str(), *child)),
                Edge::Follows(_) => None,
            }));
        }
        keys
    }

    /// The contents of the file.
    pub fn to_json(&self) -> Json {
        let keys = self.keys();
        let mut nodes = BTreeMap::new();
        for (node, key) in self
            .nodes
            .iter()
            .zip(&keys)
            .filter(|(_, key)| !key.is_empty())
        {
            let mut object = BTreeMap::new();
            if !node.inputs.is_empty() {
                let inputs: Map<String, Json> = node
                    .inputs
                    .iter()
                    .map(|(name, edge)| {
                        (
                            name.clone(),
                            match edge {
                                Edge::Node(child) => keys[*child].clone().into(),
                                Edge::Follows(path) => path.clone().into(),
                            },
                        )
                    })
                    .collect();
                object.insert("inputs", Json::from(inputs));
            }
            if let Some(locked) = &node.locked {
                let mut attrs = locked.locked.to_attrs();
                attrs.remove("__final");
                object.insert("locked", attrs.to_json());
                object.insert("original", locked.original.to_attrs().to_json());
                if !locked.is_flake {
                    object.insert("flake", false.into());
                }
                if let Some(parent) = &locked.parent {
                    object.insert("parent", parent.clone().into());
                }
            }
            let object: Map<String, Json> = object
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            nodes.insert(key.clone(), Json::from(object));
        }
        let nodes: Map<String, Json> = nodes.into_iter().collect();
        serde_json::json!({ "nodes": nodes, "root": keys[0], "version": 7 })
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        format!("{:#}\n", self.to_json())
    }

    /// What has changed since another lock file, for people.
    pub fn changes_since(&self, old: &LockFile) -> String {
        let (before, after) = (old.all_inputs(), self.all_inputs());
        let paths: BTreeSet<&InputPath> = before.keys().chain(after.keys()).collect();
        let mut text = String::new();
        for path in paths {
            let shown = show_path(path);
            let _ = match (before.get(path), after.get(path)) {
                (None, Some(new)) => {
                    writeln!(text, "• Added input '{shown}':\n    {}", self.describe(new))
                }
                (Some(_), None) => writeln!(text, "• Removed input '{shown}'"),
                (Some(was), Some(new)) if !same(old, was, self, new) => writeln!(
                    text,
                    "• Updated input '{shown}':\n    {}\n  → {}",
                    old.describe(was),
                    self.describe(new)
                ),
                _ => Ok(()),
            };
        }
        text
    }

    fn describe(&self, edge: &Edge) -> String {
        match edge {
            Edge::Follows(path) => format!("follows '{}'", show_path(path)),
            Edge::Node(node) => match &self.nodes[*node].locked {
                None => String::new(),
                Some(locked) => {
                    let time = locked.locked.input.last_modified().ok().flatten();
                    let time = time.map_or_else(String::new, |time| format!(" ({})", date(time)));
                    format!("'{}'{time}", locked.locked)
                }
            },
        }
    }
}

/// Whether two inputs of two lock files stand for the same.
fn same(old: &LockFile, a: &Edge, new: &LockFile, b: &Edge) -> bool {
    match (a, b) {
        (Edge::Follows(a), Edge::Follows(b)) => a == b,
        (Edge::Node(a), Edge::Node(b)) => {
            let locked = |file: &LockFile, node: usize| {
                file.nodes[node].locked.as_ref().map(|l| l.locked.clone())
            };
            locked(old, *a) == locked(new, *b)
        }
        _ => false,
    }
}
