//! All inputs of a flake and of its inputs, each with the exact tree that it stands for.
//!
//! What `flake.nix` asks for is compared with what `flake.lock` says was asked for: where they agree, the lock
//! file's tree is taken, and its inputs from the lock file too, without fetching it. Other inputs are fetched, and
//! bring their own lock files. Inputs that follow others are resolved at last, over the finished graph.

use std::collections::BTreeMap;
use std::rc::Rc;

use rx_store::fetch::attrs::Attrs as InputAttrs;
use rx_store::fetch::flake_ref::FlakeRef;
use rx_store::fetch::input::Fetched;
use rx_store::fetch::registry::Use;
use rx_store::path::StorePath;

use super::inputs::{self, FlakeInput, FlakeInputs};
use super::lock_file::{LockFile, LockedEdge, LockedNode};
use super::{InputPath, below, fetch_tree_of, relative_to};
use crate::builtins::fetch_failed;
use crate::error::{Error, Result};
use crate::vm::Vm;

/// What an input is.
#[derive(Clone, Debug)]
pub(super) enum Edge {
    /// The node at this index.
    Node(usize),
    /// What another input is.
    Follows(InputPath),
}

/// The tree of a node.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    /// Fetched.
    Fetched(Fetched),
    /// Part of another tree that was fetched.
    Inside(StorePath),
    /// Fetched when it is needed; for relative paths, the tree of the parent.
    Later,
}

/// An input, or the flake itself.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Its inputs.
    pub inputs: BTreeMap<String, Edge>,
    /// The exact tree.
    pub locked: FlakeRef,
    /// Whether it is a flake.
    pub is_flake: bool,
    /// For relative paths: the flake that they are relative to.
    pub parent: Option<InputPath>,
    /// The tree.
    pub tree: Tree,
}

/// The flake (first) and all its inputs.
#[derive(Debug)]
pub(super) struct Graph {
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// Inputs that may follow each other.
const MOST_FOLLOWED: usize = 1000;

/// Where a flake is: what its relative inputs are relative to.
#[derive(Clone)]
struct Place {
    tree: StorePath,
    dir: Rc<[u8]>,
}

/// What an outer flake says of an input of an input.
#[derive(Clone)]
struct Override {
    input: FlakeInput,
    place: Place,
    parent: InputPath,
}

/// A part of a lock file: the inputs of one node.
struct Old<'a> {
    file: &'a LockFile,
    inputs: &'a BTreeMap<String, LockedEdge>,
}

/// The node whose inputs are computed.
struct At<'a> {
    node: usize,
    path: &'a InputPath,
    /// What `follows` in the lock file is relative to.
    follows_prefix: &'a InputPath,
    place: &'a Place,
    /// The inputs come from the lock file, so they agree with it.
    trusted: bool,
}

struct Computation {
    nodes: Vec<Node>,
    overrides: BTreeMap<InputPath, Override>,
    parents: Vec<FlakeRef>,
    registries: Use,
}

impl Graph {
    /// The graph of the flake that a reference names.
    pub fn of(vm: &mut Vm, reference: &FlakeRef) -> Result<Graph> {
        let named = vm.fetcher()?.settings().use_registries && !vm.ev.settings.pure;
        let which = if named { Use::All } else { Use::No };
        let (fetched, subdir) = fetch_tree_of(vm, reference, which)?;
        let place = place_of(vm, &fetched, &subdir);
        let root = Node {
            inputs: BTreeMap::new(),
            locked: FlakeRef {
                input: fetched.input.clone(),
                subdir,
            },
            is_flake: true,
            parent: None,
            tree: Tree::Fetched(fetched),
        };
        let inputs = inputs::read(vm, &place.dir, &[], reference)?;
        let lock = read_lock(vm, &place)?;
        let old = Old {
            file: &lock,
            inputs: &lock.root,
        };
        let mut computation = Computation {
            nodes: vec![root],
            overrides: BTreeMap::new(),
            parents: vec![reference.clone()],
            registries: if named { Use::Limited } else { Use::No },
        };
        let at = At {
            node: 0,
            path: &Vec::new(),
            follows_prefix: &Vec::new(),
            place: &place,
            trusted: false,
        };
        computation.inputs(vm, &inputs, Some(&old), &at)?;
        Ok(Graph {
            nodes: computation.nodes,
        })
    }

    /// The node at a path of inputs.
    pub fn find(&self, path: &[String]) -> Result<usize> {
        self.walk(path, &mut 0)
    }

    fn walk(&self, path: &[String], steps: &mut usize) -> Result<usize> {
        let shown = || path.join("/");
        *steps += 1;
        if *steps > MOST_FOLLOWED {
            return Err(Error::other(format!(
                "follow cycle detected: [{}]",
                shown()
            )));
        }
        let mut at = 0;
        for name in path {
            at = match self.nodes[at].inputs.get(name) {
                Some(Edge::Node(next)) => *next,
                Some(Edge::Follows(other)) => self.walk(other, steps)?,
                None => {
                    let message = format!("an input follows a non-existent input '{}'", shown());
                    return Err(Error::other(message));
                }
            };
        }
        Ok(at)
    }
}

fn place_of(vm: &Vm, fetched: &Fetched, subdir: &str) -> Place {
    let tree = vm.ev.store_dir.print(&fetched.store_path);
    vm.ev.io.allow(&tree);
    Place {
        tree: fetched.store_path.clone(),
        dir: below(&tree, subdir).into(),
    }
}

fn read_lock(vm: &mut Vm, place: &Place) -> Result<LockFile> {
    let file = [&place.dir[..], b"/flake.lock"].concat();
    if vm.ev.io.kind(&file)?.is_none() {
        return Ok(LockFile::default());
    }
    let text = vm.ev.io.read_file(&file)?;
    LockFile::parse(&text, &String::from_utf8_lossy(&file))
}

fn joined(path: &InputPath, name: &str) -> InputPath {
    let mut path = path.clone();
    path.push(name.to_owned());
    path
}

impl Computation {
    /// Notes what an input says of its own inputs; what an outer flake says counts more.
    fn note_overrides(&mut self, input: &FlakeInput, path: &InputPath, at: &At<'_>) {
        for (name, inner) in &input.overrides {
            let path = joined(path, name);
            if inner.reference.is_some() || inner.follows.is_some() {
                self.overrides
                    .entry(path.clone())
                    .or_insert_with(|| Override {
                        input: inner.clone(),
                        place: at.place.clone(),
                        parent: at.path.clone(),
                    });
            }
            self.note_overrides(inner, &path, at);
        }
    }

    fn inputs(
        &mut self,
        vm: &mut Vm,
        inputs: &FlakeInputs,
        old: Option<&Old<'_>>,
        at: &At<'_>,
    ) -> Result<()> {
        vm.check()?;
        for (name, input) in inputs {
            self.note_overrides(input, &joined(at.path, name), at);
        }
        let unknown = self.overrides.keys().filter_map(|path| {
            let (name, parent) = path.split_last()?;
            (parent == &at.path[..] && !inputs.contains_key(name)).then_some(name)
        });
        for name in unknown {
            vm.ev.warn(&format!(
                "input '{}' has an override for a non-existent input '{name}'",
                at.path.join("/")
            ));
        }
        for (name, input) in inputs {
            let path = joined(at.path, name);
            vm.deeper(|vm| self.input(vm, name, input, &path, old, at))
                .map_err(|error| {
                    let text = format!("while updating the flake input '{}'", path.join("/"));
                    error.frame(crate::source::Pos::NONE, text)
                })?;
        }
        Ok(())
    }

    fn input(
        &mut self,
        vm: &mut Vm,
        name: &str,
        written: &FlakeInput,
        path: &InputPath,
        old: Option<&Old<'_>>,
        at: &At<'_>,
    ) -> Result<()> {
        let outer = self.overrides.get(path).cloned();
        let mut input = outer.as_ref().map_or(written, |outer| &outer.input).clone();
        input.is_flake = written.is_flake;
        if let Some(target) = input.follows {
            let edge = Edge::Follows(target);
            self.nodes[at.node].inputs.insert(name.to_owned(), edge);
            return Ok(());
        }
        let reference = match input.reference {
            Some(reference) => reference,
            None => {
                let attrs = InputAttrs::new().with("type", "indirect").with("id", name);
                FlakeRef::from_attrs(attrs).map_err(fetch_failed)?
            }
        };
        let place = outer.as_ref().map_or(at.place, |outer| &outer.place);
        let relative = reference.input.relative_path();
        let parent = relative.as_ref().map(|_| {
            outer
                .as_ref()
                .map_or(at.path, |outer| &outer.parent)
                .clone()
        });
        let locked = old
            .and_then(|old| old.file.node(old.inputs, name))
            .filter(|locked| {
                locked.original.canonical() == reference.canonical() && locked.parent == parent
            });
        if let (Some(locked), Some(old)) = (locked, old) {
            return self.keep(vm, name, locked, old.file, path, at);
        }
        let trusted = vm.fetcher()?.settings().trust_tarballs_from_git_forges;
        if vm.ev.settings.pure && relative.is_none() && !reference.input.is_locked(trusted) {
            let message = format!(
                "cannot update unlocked flake input '{}' in pure mode",
                path.join("/")
            );
            return Err(Error::other(message));
        }
        let (node, new_place) = self.fetched(vm, &reference, place, input.is_flake, parent)?;
        let child = self.add(at.node, name, node);
        if !input.is_flake {
            return Ok(());
        }
        if self.parents.contains(&reference) {
            return Err(Error::other(format!(
                "found circular import of flake '{reference}'"
            )));
        }
        let inputs = inputs::read(vm, &new_place.dir, path, &reference)?;
        let lock = read_lock(vm, &new_place)?;
        let old = Old {
            file: &lock,
            inputs: &lock.root,
        };
        let inside = At {
            node: child,
            path,
            follows_prefix: path,
            place: &new_place,
            trusted: false,
        };
        self.parents.push(reference);
        let result = self.inputs(vm, &inputs, Some(&old), &inside);
        self.parents.pop();
        result
    }

    fn add(&mut self, parent: usize, name: &str, node: Node) -> usize {
        let child = self.nodes.len();
        self.nodes.push(node);
        self.nodes[parent]
            .inputs
            .insert(name.to_owned(), Edge::Node(child));
        child
    }

    /// Fetches an input, or finds it in the tree of the flake that names it by a relative path.
    fn fetched(
        &mut self,
        vm: &mut Vm,
        reference: &FlakeRef,
        place: &Place,
        is_flake: bool,
        parent: Option<InputPath>,
    ) -> Result<(Node, Place)> {
        let (locked, tree, place) = match reference.input.relative_path() {
            Some(relative) => {
                let dir = relative_to(&place.dir, &relative);
                let inside = Place {
                    tree: place.tree.clone(),
                    dir: below(&dir, &reference.subdir).into(),
                };
                (reference.clone(), Tree::Inside(place.tree.clone()), inside)
            }
            None => {
                let (fetched, subdir) = fetch_tree_of(vm, reference, self.registries)?;
                let place = place_of(vm, &fetched, &subdir);
                let input = fetched.input.clone();
                (FlakeRef { input, subdir }, Tree::Fetched(fetched), place)
            }
        };
        let mut node = Node {
            inputs: BTreeMap::new(),
            locked,
            is_flake,
            parent,
            tree,
        };
        if let Tree::Inside(tree) = &node.tree {
            // From the tree's root to the input.
            let tree = vm.ev.store_dir.print(tree);
            let inside = place.dir.strip_prefix(&tree[..]).unwrap_or_default();
            let inside = String::from_utf8_lossy(inside);
            inside
                .trim_start_matches('/')
                .clone_into(&mut node.locked.subdir);
        }
        Ok((node, place))
    }

    /// Takes an input from the lock file.
    fn keep(
        &mut self,
        vm: &mut Vm,
        name: &str,
        locked: &LockedNode,
        file: &LockFile,
        path: &InputPath,
        at: &At<'_>,
    ) -> Result<()> {
        let child = self.add(
            at.node,
            name,
            Node {
                inputs: BTreeMap::new(),
                locked: locked.locked.clone(),
                is_flake: locked.is_flake,
                parent: locked.parent.clone(),
                tree: Tree::Later,
            },
        );
        let old = Old {
            file,
            inputs: &locked.inputs,
        };
        // Its inputs are those of the lock file, unless the flake may have others by now.
        if let Some(inputs) = self.locked_inputs(locked, file, path, at) {
            let inside = At {
                node: child,
                path,
                trusted: true,
                ..*at
            };
            return self.inputs(vm, &inputs, Some(&old), &inside);
        }
        let (node, place) = self.fetched(
            vm,
            &locked.locked,
            at.place,
            locked.is_flake,
            locked.parent.clone(),
        )?;
        let inputs = inputs::read(vm, &place.dir, path, &locked.locked)?;
        self.nodes[child].locked = node.locked;
        self.nodes[child].tree = node.tree;
        let inside = At {
            node: child,
            path,
            place: &place,
            trusted: false,
            ..*at
        };
        self.inputs(vm, &inputs, Some(&old), &inside)
    }

    /// The inputs that the lock file knows of a node; nothing if an input follows another one that no flake names
    /// any more, so that the node has to be read again.
    fn locked_inputs(
        &self,
        locked: &LockedNode,
        file: &LockFile,
        path: &InputPath,
        at: &At<'_>,
    ) -> Option<FlakeInputs> {
        let mut inputs = FlakeInputs::new();
        for (name, edge) in &locked.inputs {
            let mut input = FlakeInput {
                is_flake: true,
                ..FlakeInput::default()
            };
            match edge {
                LockedEdge::Node(key) => {
                    let node = file.nodes.get(key)?;
                    input.reference = Some(node.original.clone());
                    input.is_flake = node.is_flake;
                }
                LockedEdge::Follows(target) => {
                    if !at.trusted && !self.overrides.contains_key(&joined(path, name)) {
                        return None;
                    }
                    let mut follows = at.follows_prefix.clone();
                    follows.extend(target.iter().cloned());
                    input.follows = Some(follows);
                }
            }
            inputs.insert(name.clone(), input);
        }
        Some(inputs)
    }
}
