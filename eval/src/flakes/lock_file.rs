//! `flake.lock`: which trees the inputs of a flake stood for when they were last looked at.

use std::collections::BTreeMap;

use rx_store::fetch::attrs::Attrs as InputAttrs;
use rx_store::fetch::flake_ref::FlakeRef;
use serde_json::Value as Json;

use super::InputPath;
use crate::builtins::fetch_failed;
use crate::error::{Error, Result};

/// What an input is.
#[derive(Clone, Debug)]
pub(super) enum LockedEdge {
    /// The node with this name.
    Node(String),
    /// What another input is.
    Follows(InputPath),
}

/// An input as it was locked.
#[derive(Clone, Debug)]
pub(super) struct LockedNode {
    /// The exact tree.
    pub locked: FlakeRef,
    /// What the flake asked for.
    pub original: FlakeRef,
    /// Whether it is a flake.
    pub is_flake: bool,
    /// For relative paths: the flake that they are relative to.
    pub parent: Option<InputPath>,
    /// Its own inputs.
    pub inputs: BTreeMap<String, LockedEdge>,
}

/// A lock file.
#[derive(Clone, Debug, Default)]
pub(super) struct LockFile {
    /// The inputs of the flake itself.
    pub root: BTreeMap<String, LockedEdge>,
    /// All nodes but the root.
    pub nodes: BTreeMap<String, LockedNode>,
}

fn bad(name: &str, what: &str) -> Box<Error> {
    Error::other(format!("lock file '{name}' {what}"))
}

fn edges(node: &Json) -> Option<BTreeMap<String, LockedEdge>> {
    let Some(inputs) = node.get("inputs") else {
        return Some(BTreeMap::new());
    };
    let edge = |value: &Json| match value {
        Json::String(node) => Some(LockedEdge::Node(node.clone())),
        Json::Array(path) => Some(LockedEdge::Follows(
            path.iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
        )),
        _ => None,
    };
    let inputs = inputs.as_object()?.iter();
    inputs
        .map(|(name, value)| Some((name.clone(), edge(value)?)))
        .collect()
}

fn reference(node: &Json, attribute: &str, more: Option<&str>) -> Result<FlakeRef> {
    let Some(value) = node.get(attribute) else {
        return Err(Error::other(format!(
            "attribute '{attribute}' missing in lock file"
        )));
    };
    let wrong = |error| Error::other(format!("{error}"));
    let mut attrs = InputAttrs::from_json(value).map_err(wrong)?;
    if let Some(info) = more.and_then(|more| node.get(more)) {
        attrs
            .0
            .extend(InputAttrs::from_json(info).map_err(wrong)?.0);
    }
    FlakeRef::from_attrs(attrs).map_err(fetch_failed)
}

impl LockFile {
    /// Reads the text of the lock file `name`.
    pub fn parse(text: &[u8], name: &str) -> Result<LockFile> {
        let json: Json = serde_json::from_slice(text)
            .map_err(|error| bad(name, &format!("is not valid JSON: {error}")))?;
        let version = json.get("version").and_then(Json::as_u64).unwrap_or(0);
        if !(5..=7).contains(&version) {
            return Err(bad(name, &format!("has unsupported version {version}")));
        }
        let malformed = || bad(name, "is malformed");
        let root_key = json
            .get("root")
            .and_then(Json::as_str)
            .ok_or_else(malformed)?;
        let all = json
            .get("nodes")
            .and_then(Json::as_object)
            .ok_or_else(malformed)?;
        let mut file = LockFile::default();
        for (key, node) in all {
            let inputs = edges(node).ok_or_else(malformed)?;
            if key == root_key {
                file.root = inputs;
                continue;
            }
            let parent = match node.get("parent") {
                Some(path) => Some(
                    path.as_array()
                        .and_then(|path| {
                            path.iter().map(|n| n.as_str().map(str::to_owned)).collect()
                        })
                        .ok_or_else(malformed)?,
                ),
                None => None,
            };
            let node = LockedNode {
                locked: reference(node, "locked", Some("info"))?,
                original: reference(node, "original", None)?,
                is_flake: node.get("flake").and_then(Json::as_bool).unwrap_or(true),
                parent,
                inputs,
            };
            file.nodes.insert(key.clone(), node);
        }
        Ok(file)
    }

    /// The node behind an input, if it is one of its own.
    pub fn node(&self, inputs: &BTreeMap<String, LockedEdge>, name: &str) -> Option<&LockedNode> {
        match inputs.get(name)? {
            LockedEdge::Node(key) => self.nodes.get(key),
            LockedEdge::Follows(_) => None,
        }
    }
}
