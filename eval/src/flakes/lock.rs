//! All inputs of a flake and of its inputs, each with the exact tree that it stands for.
//!
//! What `flake.nix` asks for is compared with what `flake.lock` says was asked for: where they agree, the lock
//! file's tree is taken, and its inputs from the lock file too, without fetching it. Other inputs are fetched, and
//! bring their own lock files. Inputs that follow others are resolved at last, over the finished lock file.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rx_store::fetch::attrs::Attrs as InputAttrs;
use rx_store::fetch::flake_ref::FlakeRef;
use rx_store::fetch::input::Fetched;
use rx_store::fetch::registry::Use;
use rx_store::hash::{Algorithm, Hash};
use rx_store::path::StorePath;

use super::flake::{self, FlakeInput, FlakeInputs, Manifest};
use super::lock_file::{Edge, LockFile, Locked, show_path};
use super::{Flake, InputPath, below, fetch_tree_of, fetch_with_dir, relative_to};
use crate::builtins::fetch_failed;
use crate::error::{Error, Result};
use crate::source::Pos;
use crate::vm::Vm;

/// How a flake is locked.
#[derive(Clone, Debug)]
pub struct LockFlags {
    /// Forget the old lock file.
    pub recreate: bool,
    /// Inputs may be asked for that are not fixed by a commit or hash.
    pub allow_unlocked: bool,
    /// Names may be looked up in registries.
    pub use_registries: bool,
    /// Inputs that the command line replaces.
    pub overrides: BTreeMap<InputPath, FlakeRef>,
    /// Inputs that are looked at anew.
    pub updates: BTreeSet<InputPath>,
    /// The old lock file, instead of the flake's own.
    pub reference_lock_file: Option<Vec<u8>>,
}

/// A flake with all its inputs.
#[derive(Clone, Debug)]
pub struct LockedFlake {
    /// The flake.
    pub flake: Flake,
    /// What its lock file should be.
    pub lock_file: LockFile,
    /// What its lock file was.
    pub old_lock_file: LockFile,
    /// The trees of nodes that have been fetched.
    pub(super) trees: BTreeMap<usize, Tree>,
}

impl LockedFlake {
    /// Whether the lock file has to be written.
    pub fn is_changed(&self) -> bool {
        self.lock_file.to_json() != self.old_lock_file.to_json()
    }

    /// A hash of all that its outputs follow from, if the flake and all inputs are exactly known.
    pub fn fingerprint(&self, trust_forges: bool, allow_dirty: bool) -> Option<Hash> {
        if self.lock_file.unlocked(trust_forges, allow_dirty).is_some() {
            return None;
        }
        let locked = &self.flake.locked;
        let mut text = format!(
            "{};{};{:#}",
            locked.input.fingerprint()?,
            locked.subdir,
            self.lock_file.to_json()
        );
        if let Ok(Some(count)) = locked.input.attrs.int_opt("revCount") {
            text += &format!(";revCount={count}");
        }
        if let Ok(Some(time)) = locked.input.last_modified() {
            text += &format!(";lastModified={time}");
        }
        Some(Hash::of(Algorithm::Sha256, text.as_bytes()))
    }
}

/// A tree that was fetched.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// The store object.
    pub store_path: StorePath,
    /// The flake's directory in it.
    pub dir: String,
}

/// How deep inputs of inputs may go.
const DEEPEST: usize = 200;

/// Where a flake is: what its relative inputs are relative to.
#[derive(Clone)]
struct Place {
    tree: StorePath,
    dir: Rc<[u8]>,
}

impl Place {
    fn of(vm: &Vm, tree: &StorePath, subdir: &str) -> Place {
        let path = vm.ev.store_dir.print(tree);
        Place {
            tree: tree.clone(),
            dir: below(&path, subdir).into(),
        }
    }

    /// The tree with the flake's directory in it.
    fn in_tree(&self, vm: &Vm) -> Tree {
        let tree = vm.ev.store_dir.print(&self.tree);
        let inside = self.dir.strip_prefix(&tree[..]).unwrap_or_default();
        let inside = String::from_utf8_lossy(inside);
        Tree {
            store_path: self.tree.clone(),
            dir: inside.trim_start_matches('/').to_owned(),
        }
    }

    fn lock_file(&self, vm: &mut Vm) -> Result<LockFile> {
        read_lock(vm, &[&self.dir[..], b"/flake.lock"].concat())
    }
}

fn read_lock(vm: &mut Vm, file: &[u8]) -> Result<LockFile> {
    if vm.ev.io.kind(file)?.is_none() {
        return Ok(LockFile::default());
    }
    let text = vm.ev.io.read_file(file)?;
    let trusted = vm.fetcher()?.settings().trust_tarballs_from_git_forges;
    LockFile::parse(&text, &String::from_utf8_lossy(file), trusted)
}

/// What an outer flake or the command line says of an input.
#[derive(Clone)]
struct Override {
    input: FlakeInput,
    place: Place,
    parent: Option<InputPath>,
    /// Whether the command line says so.
    explicit: bool,
}

/// The node whose inputs are computed.
struct At<'a> {
    node: usize,
    path: &'a InputPath,
    /// The same node of a lock file, from which locks can be kept.
    old: Option<(&'a LockFile, usize)>,
    /// What `follows` in the lock file is relative to.
    follows_prefix: &'a InputPath,
    place: &'a Place,
    /// The inputs come from the lock file, so they agree with it.
    trusted: bool,
}

struct Computation<'a> {
    flags: &'a LockFlags,
    registries: Use,
    file: LockFile,
    trees: BTreeMap<usize, Tree>,
    overrides: BTreeMap<InputPath, Override>,
    overrides_used: BTreeSet<InputPath>,
    updates_used: BTreeSet<InputPath>,
    parents: Vec<FlakeRef>,
}

/// Finds the exact trees of all inputs of a flake.
pub fn lock(vm: &mut Vm, flake: Flake, flags: &LockFlags) -> Result<LockedFlake> {
    let shown = flake.locked.to_string();
    lock_here(vm, flake, flags).map_err(|error| {
        error.frame(
            Pos::NONE,
            format!("while updating the lock file of flake '{shown}'"),
        )
    })
}

fn lock_here(vm: &mut Vm, flake: Flake, flags: &LockFlags) -> Result<LockedFlake> {
    let place = Place::of(vm, &flake.store_path, &flake.locked.subdir);
    let old_lock_file = match &flags.reference_lock_file {
        Some(file) => read_lock(vm, file)?,
        None => place.lock_file(vm)?,
    };
    let mut computation = Computation {
        flags,
        registries: if flags.use_registries {
            Use::Limited
        } else {
            Use::No
        },
        file: LockFile::default(),
        trees: BTreeMap::new(),
        overrides: BTreeMap::new(),
        overrides_used: BTreeSet::new(),
        updates_used: BTreeSet::new(),
        parents: Vec::new(),
    };
    for (path, reference) in &flags.overrides {
        let input = FlakeInput {
            reference: Some(reference.clone()),
            ..FlakeInput::default()
        };
        computation.overrides.insert(
            path.clone(),
            Override {
                input,
                place: place.clone(),
                parent: None,
                explicit: true,
            },
        );
    }
    let tree = place.in_tree(vm);
    computation.trees.insert(0, tree);
    let at = At {
        node: 0,
        path: &Vec::new(),
        old: (!flags.recreate).then_some((&old_lock_file, 0)),
        follows_prefix: &Vec::new(),
        place: &place,
        trusted: false,
    };
    computation.inputs(vm, &flake.manifest.inputs, &at)?;
    for (path, reference) in &flags.overrides {
        if !computation.overrides_used.contains(path) {
            vm.ev.warn(&format!(
                "the flag '--override-input {} {reference}' does not match any input",
                show_path(path)
            ));
        }
    }
    for path in &flags.updates {
        if !computation.updates_used.contains(path) {
            vm.ev.warn(&format!(
                "'{}' does not match any input of this flake",
                show_path(path)
            ));
        }
    }
    computation.file.check()?;
    Ok(LockedFlake {
        flake,
        lock_file: computation.file,
        trees: computation.trees,
        old_lock_file,
    })
}

fn joined(path: &[String], name: &str) -> InputPath {
    let mut path = path.to_vec();
    path.push(name.to_owned());
    path
}

impl Computation<'_> {
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
                        parent: Some(at.path.clone()),
                        explicit: false,
                    });
            }
            self.note_overrides(inner, &path, at);
        }
    }

    fn inputs(&mut self, vm: &mut Vm, inputs: &FlakeInputs, at: &At<'_>) -> Result<()> {
        vm.check()?;
        if at.path.len() > DEEPEST {
            let message = format!("the inputs of '{}' are too deep", show_path(at.path));
            return Err(Error::other(message));
        }
        for (name, input) in inputs {
            self.note_overrides(input, &joined(at.path, name), at);
        }
        for path in self.overrides.keys() {
            if let Some((name, parent)) = path.split_last()
                && parent == &at.path[..]
                && !inputs.contains_key(name)
            {
                vm.ev.warn(&format!(
                    "input '{}' has an override for a non-existent input '{name}'",
                    show_path(at.path)
                ));
            }
        }
        for (name, input) in inputs {
            let path = joined(at.path, name);
            vm.deeper(|vm| self.input(vm, name, input, &path, at))
                .map_err(|error| {
                    let text = format!("while updating the flake input '{}'", show_path(&path));
                    error.frame(Pos::NONE, text)
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
        at: &At<'_>,
    ) -> Result<()> {
        let outer = self.overrides.get(path).cloned();
        let explicit = outer.as_ref().is_some_and(|outer| outer.explicit);
        let mut input = written.clone();
        if let Some(outer) = &outer {
            self.overrides_used.insert(path.clone());
            input = outer.input.clone();
            input.is_flake = written.is_flake;
        }
        if let Some(target) = input.follows {
            self.file.nodes[at.node]
                .inputs
                .insert(name.to_owned(), Edge::Follows(target));
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
        let parent = reference.input.relative_path().and_then(|_| match &outer {
            Some(outer) => outer.parent.clone(),
            None => Some(at.path.clone()),
        });
        self.updates_used.insert(path.clone());
        let kept = at
            .old
            .filter(|_| !explicit && !self.flags.updates.contains(path));
        let kept = kept.and_then(|(file, node)| {
            let Some(Edge::Node(node)) = file.nodes[node].inputs.get(name) else {
                return None;
            };
            let locked = file.nodes[*node].locked.as_ref()?;
            let same =
                locked.original.canonical() == reference.canonical() && locked.parent == parent;
            same.then_some((file, *node, locked))
        });
        if let Some((file, node, locked)) = kept {
            return self.keep(vm, name, file, node, locked, path, place, at);
        }
        let trusted = vm.fetcher()?.settings().trust_tarballs_from_git_forges;
        let is_relative = reference.input.relative_path().is_some();
        if !self.flags.allow_unlocked && !is_relative && !reference.input.is_locked(trusted) {
            let path = show_path(path);
            return Err(Error::other(format!(
                "cannot update unlocked flake input '{path}' in pure mode"
            )));
        }
        // An override lasts for this run only: what the flake asks for stays as it is.
        let original = match &written.reference {
            Some(reference) if explicit => reference.clone(),
            _ => reference.clone(),
        };
        let registries = if explicit { Use::All } else { self.registries };
        let (locked, new_place, manifest) =
            self.fetched(vm, &reference, place, input.is_flake, registries, path)?;
        let locked = Locked {
            locked,
            original,
            is_flake: input.is_flake,
            parent,
        };
        let child = self.file.add(at.node, name, locked);
        let tree = new_place.in_tree(vm);
        self.trees.insert(child, tree);
        let Some(manifest) = manifest else {
            return Ok(());
        };
        if self.parents.contains(&reference) {
            return Err(Error::other(format!(
                "found circular import of flake '{reference}'"
            )));
        }
        let old = new_place.lock_file(vm)?;
        let inside = At {
            node: child,
            path,
            old: Some((&old, 0)),
            follows_prefix: path,
            place: &new_place,
            trusted: false,
        };
        self.parents.push(reference);
        let result = self.inputs(vm, &manifest.inputs, &inside);
        self.parents.pop();
        result
    }

    /// Fetches an input, or finds it in the tree of the flake that names it by a relative path.
    fn fetched(
        &self,
        vm: &mut Vm,
        reference: &FlakeRef,
        place: &Place,
        is_flake: bool,
        registries: Use,
        path: &InputPath,
    ) -> Result<(FlakeRef, Place, Option<Manifest>)> {
        if let Some(relative) = reference.input.relative_path() {
            let dir = relative_to(&place.dir, &relative);
            let inside = Place {
                tree: place.tree.clone(),
                dir: below(&dir, &reference.subdir).into(),
            };
            let manifest = match is_flake {
                true => Some(flake::read(vm, &inside.dir, path, reference)?),
                false => None,
            };
            return Ok((reference.clone(), inside, manifest));
        }
        if is_flake {
            let flake = get(vm, reference, registries, path)?;
            let place = Place::of(vm, &flake.store_path, &flake.locked.subdir);
            return Ok((flake.locked, place, Some(flake.manifest)));
        }
        let (Fetched { store_path, input }, _) = fetch_tree_of(vm, &reference.input, registries)?;
        let subdir = reference.subdir.clone();
        let place = Place::of(vm, &store_path, "");
        Ok((FlakeRef { input, subdir }, place, None))
    }

    /// Takes an input from the lock file.
    #[expect(
        clippy::too_many_arguments,
        reason = "all of them say which input it is"
    )]
    fn keep(
        &mut self,
        vm: &mut Vm,
        name: &str,
        file: &LockFile,
        old: usize,
        locked: &Locked,
        path: &InputPath,
        place: &Place,
        at: &At<'_>,
    ) -> Result<()> {
        let child = self.file.add(at.node, name, locked.clone());
        let inside_is_updated = self
            .flags
            .updates
            .iter()
            .any(|update| update.len() > path.len() && update.starts_with(path));
        // Its inputs are those of the lock file, unless the flake may have others by now.
        let inputs = match inside_is_updated {
            true => None,
            false => self.locked_inputs(file, old, path, at),
        };
        if let Some(inputs) = inputs {
            let inside = At {
                node: child,
                path,
                old: Some((file, old)),
                trusted: true,
                ..*at
            };
            return self.inputs(vm, &inputs, &inside);
        }
        let (_, new_place, manifest) =
            self.fetched(vm, &locked.locked, place, true, self.registries, path)?;
        let tree = new_place.in_tree(vm);
        self.trees.insert(child, tree);
        let inside = At {
            node: child,
            path,
            old: Some((file, old)),
            place: &new_place,
            trusted: false,
            ..*at
        };
        self.inputs(vm, &manifest.unwrap_or_default().inputs, &inside)
    }

    /// The inputs that the lock file knows of a node; nothing if an input follows another one that no flake names
    /// any more, so that the node has to be read again.
    fn locked_inputs(
        &self,
        file: &LockFile,
        node: usize,
        path: &InputPath,
        at: &At<'_>,
    ) -> Option<FlakeInputs> {
        let mut inputs = FlakeInputs::new();
        for (name, edge) in &file.nodes[node].inputs {
            let mut input = FlakeInput::default();
            match edge {
                Edge::Node(node) => {
                    let locked = file.nodes[*node].locked.as_ref()?;
                    input.reference = Some(locked.original.clone());
                    input.is_flake = locked.is_flake;
                }
                Edge::Follows(target) => {
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

/// Fetches a flake and reads its `flake.nix`; `root` is where it is among the inputs of the root.
pub(super) fn get(
    vm: &mut Vm,
    original: &FlakeRef,
    registries: Use,
    root: &[String],
) -> Result<Flake> {
    let (resolved, mut fetched) = fetch_with_dir(vm, original, registries)?;
    let read = |vm: &mut Vm, fetched: &Fetched| {
        let place = Place::of(vm, &fetched.store_path, &resolved.subdir);
        flake::read(vm, &place.dir, root, &resolved)
    };
    let mut manifest = read(vm, &fetched)?;
    // The flake may say that its own tree is to be fetched in another way.
    let mut wanted = fetched.input.clone();
    for (name, value) in &manifest.self_attrs.0 {
        if !matches!(name.as_str(), "submodules" | "lfs") {
            return Err(Error::other(format!(
                "flake 'self' attribute '{name}' is not supported"
            )));
        }
        wanted.attrs.0.insert(name.clone(), value.clone());
    }
    if wanted != fetched.input {
        wanted.attrs.remove("narHash");
        wanted.attrs.remove("__final");
        rx_store::progress::debug(format_args!(
            "refetching input '{}' due to self attribute",
            wanted.show()
        ));
        fetched = fetch_tree_of(vm, &wanted, Use::No)?.0;
        manifest = read(vm, &fetched)?;
    }
    Ok(Flake {
        original: original.clone(),
        locked: FlakeRef {
            input: fetched.input,
            subdir: resolved.subdir.clone(),
        },
        resolved,
        store_path: fetched.store_path,
        manifest,
        force_dirty: false,
    })
}
