//! The index: columns of bytes, read and written whole.
//!
//! ```text
//! inputs  what was looked at: place of the path, kind, base?, state, the input that implies it
//! groups  sets: their node, what all in them depends on
//! nodes   attributes in the order of their paths: group, place of the texts, kind, what it depends on
//! deps    numbers of inputs
//! text    paths, names, versions, descriptions
//! ```
//!
//! A file with a checksum that does not fit, or of another version, is no index.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use rustc_hash::FxHashMap;
use rx_eval::track::{Input, InputKind, State};
use rx_store::hash::{Algorithm, Hasher};

use super::scan::{Body, Found, Package};
use super::wire::NewInput;

const MAGIC: &[u8; 8] = b"rxsearch";
/// Changes with the format and with what is recorded.
const VERSION: u32 = 2;
const COLUMNS: usize = 5;
const HEAD: usize = 8 + 4 + 32 + COLUMNS * 8;
/// Bytes of one input, group, node.
const INPUT: usize = 32;
const GROUP: usize = 12;
const NODE: usize = 32;
/// No node, no input.
pub(super) const NONE: u32 = u32::MAX;

const NOTHING: u8 = 0;
const SET: u8 = 1;
const PACKAGE: u8 = 2;
const BROKEN: u8 = 3;

/// All packages of a root, with what each depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    inputs: Vec<u8>,
    groups: Vec<u8>,
    nodes: Vec<u8>,
    deps: Vec<u8>,
    text: Vec<u8>,
}

/// A package of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackageRef<'a> {
    /// The attribute path, joined with dots.
    pub path: &'a [u8],
    /// The name without the version.
    pub name: &'a [u8],
    /// The version; may be empty.
    pub version: &'a [u8],
    /// One line; may be empty.
    pub description: &'a [u8],
    /// `meta.broken`
    pub broken: bool,
    /// How well known it is; more is better.
    pub popularity: u8,
}

/// A node as its record says it.
#[derive(Clone, Copy)]
pub(super) struct Node {
    group: u32,
    text: u32,
    path: u16,
    package_name: u16,
    version: u16,
    kind: u8,
    description: u32,
    deps: (u32, u32),
    name: u16,
    popularity: u8,
}

fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

pub(super) fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}

fn u64_at(record: &[u8], at: usize) -> u64 {
    u64::from(u32_at(record, at)) | u64::from(u32_at(record, at + 4)) << 32
}

impl Node {
    fn read(record: &[u8]) -> Node {
        Node {
            group: u32_at(record, 0),
            text: u32_at(record, 4),
            path: u16_at(record, 8),
            package_name: u16_at(record, 10),
            version: u16_at(record, 12),
            kind: record[14],
            description: u32_at(record, 16),
            deps: (u32_at(record, 20), u32_at(record, 24)),
            name: u16_at(record, 28),
            popularity: record[30],
        }
    }

    fn to_bytes(self) -> [u8; NODE] {
        let mut record = [0; NODE];
        record[0..4].copy_from_slice(&self.group.to_le_bytes());
        record[4..8].copy_from_slice(&self.text.to_le_bytes());
        record[8..10].copy_from_slice(&self.path.to_le_bytes());
        record[10..12].copy_from_slice(&self.package_name.to_le_bytes());
        record[12..14].copy_from_slice(&self.version.to_le_bytes());
        record[14] = self.kind;
        record[16..20].copy_from_slice(&self.description.to_le_bytes());
        record[20..24].copy_from_slice(&self.deps.0.to_le_bytes());
        record[24..28].copy_from_slice(&self.deps.1.to_le_bytes());
        record[28..30].copy_from_slice(&self.name.to_le_bytes());
        record[30] = self.popularity;
        record
    }
}

impl Index {
    // ---- files -------------------------------------------------------------------------------------------

    fn columns(&self) -> [&Vec<u8>; COLUMNS] {
        [
            &self.inputs,
            &self.groups,
            &self.nodes,
            &self.deps,
            &self.text,
        ]
    }

    fn digest(&self) -> [u8; 32] {
        let mut hasher = Hasher::new(Algorithm::Blake3);
        for column in self.columns() {
            hasher.update(&(column.len() as u64).to_le_bytes());
            hasher.update(column);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(hasher.finish().as_bytes());
        digest
    }

    /// Reads an index; nothing if there is none that can be used.
    pub fn load(file: &Path) -> Option<Index> {
        let mut file = File::open(file).ok()?;
        let size = file.metadata().ok()?.len();
        let mut head = [0; HEAD];
        file.read_exact(&mut head).ok()?;
        if &head[..8] != MAGIC || u32_at(&head, 8) != VERSION {
            return None;
        }
        let lengths: [u64; COLUMNS] = std::array::from_fn(|i| u64_at(&head, 44 + 8 * i));
        let total = lengths
            .iter()
            .try_fold(HEAD as u64, |sum, len| sum.checked_add(*len))?;
        if total != size {
            return None;
        }
        let mut column = |i: usize| {
            let len = usize::try_from(lengths[i]).ok()?;
            let mut bytes = Vec::with_capacity(len);
            let mut part = Read::by_ref(&mut file).take(lengths[i]);
            part.read_to_end(&mut bytes).ok()?;
            (bytes.len() == len).then_some(bytes)
        };
        let index = Index {
            inputs: column(0)?,
            groups: column(1)?,
            nodes: column(2)?,
            deps: column(3)?,
            text: column(4)?,
        };
        let whole = index.inputs.len().is_multiple_of(INPUT)
            && index.groups.len().is_multiple_of(GROUP)
            && index.nodes.len().is_multiple_of(NODE)
            && index.deps.len().is_multiple_of(4);
        (whole && index.digest() == head[12..44]).then_some(index)
    }

    /// Writes the index in one step: whoever reads sees the old one or this.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let dir = file.parent().unwrap_or(Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(dir)?;
        let mut head = Vec::with_capacity(HEAD);
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&self.digest());
        for column in self.columns() {
            head.extend_from_slice(&(column.len() as u64).to_le_bytes());
        }
        temporary.write_all(&head)?;
        for column in self.columns() {
            temporary.write_all(column)?;
        }
        temporary.persist(file).map_err(|error| error.error)?;
        Ok(())
    }

    // ---- packages ----------------------------------------------------------------------------------------

    /// All packages, sorted by attribute path within each set.
    pub fn packages(&self) -> impl Iterator<Item = PackageRef<'_>> {
        self.numbered_packages().map(|(_, package)| package)
    }

    /// All packages, with the numbers of their nodes.
    pub(super) fn numbered_packages(&self) -> impl Iterator<Item = (usize, PackageRef<'_>)> {
        let records = self.nodes.chunks_exact(NODE).enumerate();
        records.filter_map(|(at, record)| {
            let node = Node::read(record);
            (node.kind >= PACKAGE).then(|| (at, self.package(node)))
        })
    }

    fn package(&self, node: Node) -> PackageRef<'_> {
        let rest = self.text.get(node.text as usize..).unwrap_or_default();
        let mut at = 0;
        let mut next = |len: usize| {
            let piece = rest.get(at..at + len).unwrap_or_default();
            at += len;
            piece
        };
        PackageRef {
            path: next(node.path as usize),
            name: next(node.package_name as usize),
            version: next(node.version as usize),
            description: next(node.description as usize),
            broken: node.kind == BROKEN,
            popularity: node.popularity,
        }
    }

    /// Whether a node is an attribute of the root.
    pub(super) fn is_at_root(&self, at: usize) -> bool {
        self.node(at).group == 0
    }

    pub(super) fn set_popularity(&mut self, at: usize, popularity: u8) {
        self.nodes[at * NODE + 30] = popularity;
    }

    pub(super) fn node(&self, at: usize) -> Node {
        Node::read(&self.nodes[at * NODE..(at + 1) * NODE])
    }

    pub(super) fn node_count(&self) -> usize {
        self.nodes.len() / NODE
    }

    fn path_of(&self, node: Node) -> &[u8] {
        let start = node.text as usize;
        self.text
            .get(start..start + node.path as usize)
            .unwrap_or_default()
    }

    /// The names from the root to a node.
    pub(super) fn names(&self, at: usize) -> Vec<Vec<u8>> {
        let mut names = Vec::new();
        let mut at = Some(at);
        while let Some(index) = at {
            let node = self.node(index);
            let path = self.path_of(node);
            names.push(path[path.len().saturating_sub(node.name as usize)..].to_vec());
            at = self.group_node(node.group);
        }
        names.reverse();
        names
    }

    fn group_node(&self, group: u32) -> Option<usize> {
        let record = self.groups.chunks_exact(GROUP).nth(group as usize)?;
        Some(u32_at(record, 0))
            .filter(|&node| node != NONE)
            .map(|node| node as usize)
    }

    // ---- inputs ------------------------------------------------------------------------------------------

    pub(super) fn input_count(&self) -> usize {
        self.inputs.len() / INPUT
    }

    pub(super) fn input_record(&self, at: usize) -> &[u8] {
        &self.inputs[at * INPUT..(at + 1) * INPUT]
    }

    pub(super) fn input_parts(&self, at: usize) -> Option<(InputKind, &[u8], State)> {
        let record = self.input_record(at);
        let start = u32_at(record, 0) as usize;
        let path = self.text.get(start..start + u16_at(record, 4) as usize)?;
        let state = State {
            quick: u64_at(record, 8),
            contents: u64_at(record, 16),
        };
        Some((InputKind::from_u8(record[6])?, path, state))
    }

    pub(super) fn input(&self, at: usize) -> Option<NewInput> {
        let (kind, path, state) = self.input_parts(at)?;
        Some(NewInput {
            input: Input::new(kind, path),
            state,
            base: self.is_base(at),
        })
    }

    pub(super) fn is_base(&self, at: usize) -> bool {
        self.input_record(at)[7] != 0
    }

    pub(super) fn inputs(&self) -> impl Iterator<Item = NewInput> {
        (0..self.input_count()).filter_map(|at| self.input(at))
    }

    pub(super) fn set_state(&mut self, at: usize, state: State) {
        let record = &mut self.inputs[at * INPUT..(at + 1) * INPUT];
        record[8..16].copy_from_slice(&state.quick.to_le_bytes());
        record[16..24].copy_from_slice(&state.contents.to_le_bytes());
    }

    /// The numbers of some inputs.
    pub(super) fn numbers_of(&self, wanted: &[&Input]) -> FxHashMap<Input, u32> {
        let wanted: FxHashMap<(InputKind, &[u8]), ()> = wanted
            .iter()
            .map(|input| ((input.kind, &*input.path), ()))
            .collect();
        let mut numbers = FxHashMap::default();
        if wanted.is_empty() {
            return numbers;
        }
        for at in 0..self.input_count() {
            if let Some((kind, path, _)) = self.input_parts(at)
                && wanted.contains_key(&(kind, path))
            {
                numbers.insert(Input::new(kind, path), at as u32);
            }
        }
        numbers
    }

    /// Adds an input, and gives its number.
    pub(super) fn push_input(&mut self, new: &NewInput) -> u32 {
        let number = self.input_count() as u32;
        // Longer paths than the system takes are no paths; variables may be longer, but are not looked for.
        let path = &new.input.path[..new.input.path.len().min(usize::from(u16::MAX))];
        let mut record = [0; INPUT];
        record[0..4].copy_from_slice(&(self.text.len() as u32).to_le_bytes());
        record[4..6].copy_from_slice(&(path.len() as u16).to_le_bytes());
        record[6] = new.input.kind as u8;
        record[7] = u8::from(new.base);
        record[8..16].copy_from_slice(&new.state.quick.to_le_bytes());
        record[16..24].copy_from_slice(&new.state.contents.to_le_bytes());
        record[24..28].copy_from_slice(&NONE.to_le_bytes());
        self.text.extend_from_slice(path);
        self.inputs.extend_from_slice(&record);
        number
    }

    /// Notes which inputs cannot have changed when another has not: what a path is, when its contents are
    /// looked at anyway.
    fn note_implied(&mut self) {
        let mut looked_at: FxHashMap<Vec<u8>, u32> = FxHashMap::default();
        for at in 0..self.input_count() {
            if let Some((InputKind::Contents | InputKind::Listing, path, state)) =
                self.input_parts(at)
                && state.quick != 0
            {
                looked_at.insert(path.to_vec(), at as u32);
            }
        }
        for at in 0..self.input_count() {
            if let Some((InputKind::Kind, path, _)) = self.input_parts(at)
                && let Some(by) = looked_at.get(path).copied()
            {
                self.inputs[at * INPUT + 24..at * INPUT + 28].copy_from_slice(&by.to_le_bytes());
            }
        }
    }

    // ---- dependencies ------------------------------------------------------------------------------------

    fn deps_of(&self, (start, len): (u32, u32)) -> impl Iterator<Item = u32> {
        let start = start as usize * 4;
        let bytes = self
            .deps
            .get(start..start + len as usize * 4)
            .unwrap_or_default();
        bytes.chunks_exact(4).map(|bytes| u32_at(bytes, 0))
    }

    fn push_deps(&mut self, inputs: &[u32]) -> (u32, u32) {
        let start = (self.deps.len() / 4) as u32;
        for input in inputs {
            self.deps.extend_from_slice(&input.to_le_bytes());
        }
        (start, inputs.len() as u32)
    }

    /// The nodes that depend on changed inputs; those below such a node are not named.
    pub(super) fn stale(&self, changed: &[bool]) -> Vec<usize> {
        let is_changed = |input: u32| changed.get(input as usize).copied().unwrap_or(true);
        let mut stale = Vec::new();
        // Whether a set is scanned again anyway.
        let mut groups = vec![false; self.groups.len() / GROUP];
        let mut next_group = 1;
        for at in 0..self.node_count() {
            let node = self.node(at);
            let inherited = groups.get(node.group as usize).copied().unwrap_or(true);
            let mut own = !inherited && self.deps_of(node.deps).any(is_changed);
            if node.kind == SET {
                let record = &self.groups[next_group * GROUP..(next_group + 1) * GROUP];
                let all = (u32_at(record, 4), u32_at(record, 8));
                own = own || (!inherited && self.deps_of(all).any(is_changed));
                groups[next_group] = inherited || own;
                next_group += 1;
            }
            if own {
                stale.push(at);
            }
        }
        stale
    }

    /// For each node whether it is one of these or below one.
    pub(super) fn at_and_below(&self, nodes: &[usize]) -> Vec<bool> {
        let mut marked = vec![false; self.node_count()];
        for &at in nodes {
            marked[at] = true;
        }
        // A set stands before what is in it.
        for at in 0..marked.len() {
            if let Some(set) = self.group_node(self.node(at).group) {
                marked[at] = marked[at] || marked.get(set).copied().unwrap_or(false);
            }
        }
        marked
    }

    /// Whether the root, which has this path, is no set.
    pub(super) fn is_alone(&self, path: &[u8]) -> bool {
        self.node_count() == 1 && self.path_of(self.node(0)) == path
    }

    /// How many attributes there are at a node and below.
    pub(super) fn size_of(&self, at: usize) -> usize {
        if !self.is_set(at) {
            return 1;
        }
        let path = [self.path_of(self.node(at)), b"."].concat();
        let below = (at + 1..self.node_count())
            .take_while(|&next| self.path_of(self.node(next)).starts_with(&path));
        1 + below.count()
    }

    /// Whether a node is a set.
    pub(super) fn is_set(&self, at: usize) -> bool {
        self.node(at).kind == SET
    }

    // ---- making ------------------------------------------------------------------------------------------

    /// An index of these inputs, with no attributes yet.
    pub(super) fn new(inputs: &[NewInput]) -> Index {
        let mut index = Index::default();
        for new in inputs {
            index.push_input(new);
        }
        index.note_implied();
        index.push_group(NONE, &[]);
        index
    }

    fn push_group(&mut self, node: u32, inputs: &[u32]) -> u32 {
        let number = (self.groups.len() / GROUP) as u32;
        let (start, len) = self.push_deps(inputs);
        for word in [node, start, len] {
            self.groups.extend_from_slice(&word.to_le_bytes());
        }
        number
    }

    /// Adds what was found at an attribute of the root; `prefix` is the root's own path.
    pub(super) fn push_found(&mut self, prefix: &[u8], found: &[Found]) {
        let common = common_inputs(found);
        let mut groups: FxHashMap<u32, (u32, Vec<u8>)> = FxHashMap::default();
        for (at, one) in found.iter().enumerate() {
            let (group, parent) = match one.parent.and_then(|parent| groups.get(&parent)) {
                Some((group, path)) => (*group, path.as_slice()),
                None => (0, prefix),
            };
            let path = joined(parent, &one.name);
            let shared = one.parent.and_then(|parent| common.get(&parent));
            let own: Vec<u32> = one
                .inputs
                .iter()
                .copied()
                .filter(|input| shared.is_none_or(|shared| shared.binary_search(input).is_err()))
                .collect();
            let number = self.node_count() as u32;
            let deps = self.push_deps(&own);
            let record = self.record(group, &path, one.name.len(), &one.body, deps);
            self.nodes.extend_from_slice(&record.to_bytes());
            if one.body == Body::Set {
                let shared = common.get(&(at as u32)).cloned().unwrap_or_default();
                let group = self.push_group(number, &shared);
                groups.insert(at as u32, (group, path));
            }
        }
    }

    /// The record of a node; its texts are added.
    fn record(
        &mut self,
        group: u32,
        path: &[u8],
        name: usize,
        body: &Body,
        deps: (u32, u32),
    ) -> Node {
        let empty = Package::default();
        let short = |text: &[u8]| u16::try_from(text.len()).is_ok();
        let (kind, package) = match body {
            Body::Package(package)
                if short(path) && short(&package.name) && short(&package.version) =>
            {
                (if package.broken { BROKEN } else { PACKAGE }, package)
            }
            Body::Set if short(path) => (SET, &empty),
            _ => (NOTHING, &empty),
        };
        let path = if short(path) { path } else { b"" };
        let text = self.text.len() as u32;
        for piece in [path, &package.name, &package.version, &package.description] {
            self.text.extend_from_slice(piece);
        }
        Node {
            group,
            text,
            path: path.len() as u16,
            package_name: package.name.len() as u16,
            version: package.version.len() as u16,
            kind,
            description: package.description.len() as u32,
            deps,
            name: name.min(path.len()) as u16,
            popularity: 0,
        }
    }

    /// Puts something else that is no set in the place of a node that is none.
    pub(super) fn replace(&mut self, at: usize, body: &Body, inputs: &[u32]) {
        let old = self.node(at);
        let path = self.path_of(old).to_vec();
        let deps = self.push_deps(inputs);
        let mut record = self.record(old.group, &path, old.name as usize, body, deps);
        // The others name it as before.
        record.popularity = old.popularity;
        self.nodes[at * NODE..(at + 1) * NODE].copy_from_slice(&record.to_bytes());
    }

    /// What had been found at each attribute of the root, as it was given to [`Index::push_found`].
    pub(super) fn found(&self) -> Vec<Vec<Found>> {
        let mut all: Vec<Vec<Found>> = Vec::new();
        // For each group, the place of its node in the last of `all`, and what all in it depends on.
        let mut places: Vec<(u32, Vec<u32>)> = vec![(0, Vec::new())];
        for at in 0..self.node_count() {
            let node = self.node(at);
            let path = self.path_of(node);
            let name = path[path.len().saturating_sub(node.name as usize)..].to_vec();
            let mut inputs: Vec<u32> = self.deps_of(node.deps).collect();
            let parent = if node.group == 0 {
                all.push(Vec::new());
                None
            } else {
                let (place, shared) = &places[node.group as usize];
                inputs.extend(shared);
                inputs.sort_unstable();
                inputs.dedup();
                Some(*place)
            };
            let Some(last) = all.last_mut() else {
                continue;
            };
            let body = match node.kind {
                NOTHING => Body::Nothing,
                SET => {
                    let group = places.len();
                    let record = &self.groups[group * GROUP..(group + 1) * GROUP];
                    let shared = (u32_at(record, 4), u32_at(record, 8));
                    places.push((last.len() as u32, self.deps_of(shared).collect()));
                    Body::Set
                }
                _ => {
                    let package = self.package(node);
                    Body::Package(Package {
                        name: package.name.to_vec(),
                        version: package.version.to_vec(),
                        description: package.description.to_vec(),
                        broken: package.broken,
                    })
                }
            };
            last.push(Found {
                parent,
                name,
                body,
                inputs,
            });
        }
        all
    }
}

/// A path with one more name.
pub(super) fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        name.to_vec()
    } else {
        [path, b".", name].concat()
    }
}

/// For each set, the inputs that more than half of what is in it depends on: they are kept once, with the set.
fn common_inputs(found: &[Found]) -> FxHashMap<u32, Vec<u32>> {
    /// Smaller sets are not worth it.
    const FEW: u32 = 8;
    let mut children: FxHashMap<u32, u32> = FxHashMap::default();
    let mut counts: FxHashMap<(u32, u32), u32> = FxHashMap::default();
    for one in found {
        if let Some(parent) = one.parent {
            *children.entry(parent).or_default() += 1;
            for &input in &one.inputs {
                *counts.entry((parent, input)).or_default() += 1;
            }
        }
    }
    let mut common: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    for ((parent, input), count) in counts {
        let all = children[&parent];
        if all >= FEW && count > all / 2 {
            common.entry(parent).or_default().push(input);
        }
    }
    for inputs in common.values_mut() {
        inputs.sort_unstable();
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(path: &str) -> NewInput {
        NewInput {
            input: Input::new(InputKind::Contents, path.as_bytes()),
            state: State {
                quick: 2,
                contents: 3,
            },
            base: false,
        }
    }

    fn found(parent: Option<u32>, name: &str, body: Body, inputs: &[u32]) -> Found {
        Found {
            parent,
            name: name.into(),
            body,
            inputs: inputs.to_vec(),
        }
    }

    fn package(name: &str) -> Body {
        Body::Package(Package {
            name: name.into(),
            version: b"1".to_vec(),
            description: b"text".to_vec(),
            broken: false,
        })
    }

    /// `a`, and a set `s` of ten packages that all depend on input 1 and each on one more.
    fn sample() -> (Index, Vec<Vec<Found>>) {
        let inputs: Vec<NewInput> = (0..20).map(|n| input(&format!("/{n}"))).collect();
        let mut index = Index::new(&inputs);
        let mut set = vec![found(None, "s", Body::Set, &[1])];
        for n in 0..10u32 {
            let name = format!("p.{n}");
            set.push(found(Some(0), &name, package(&name), &[1, 2 + n]));
        }
        let all = vec![vec![found(None, "a", package("a"), &[0])], set];
        for one in &all {
            index.push_found(b"", one);
        }
        (index, all)
    }

    #[test]
    fn an_index_is_read_as_it_was_written_and_not_at_all_when_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.index");
        let (index, all) = sample();
        index.save(&file).unwrap();
        let loaded = Index::load(&file).unwrap();
        assert_eq!(loaded, index);
        assert_eq!(loaded.found(), all);
        let paths: Vec<_> = loaded.packages().map(|p| p.path.to_vec()).collect();
        assert_eq!(paths[..2], [b"a".to_vec(), b"s.p.0".to_vec()]);
        let bytes = std::fs::read(&file).unwrap();
        for at in [0, 9, 20, 50, 90, bytes.len() / 2, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&file, &damaged).unwrap();
            assert_eq!(Index::load(&file), None, "at {at}");
        }
        std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(Index::load(&file), None);
    }

    #[test]
    fn only_what_depends_on_an_input_is_stale() {
        let (index, _) = sample();
        let stale = |input: usize| {
            let mut changed = vec![false; 20];
            changed[input] = true;
            let nodes = index.stale(&changed);
            nodes.iter().map(|&at| index.names(at)).collect::<Vec<_>>()
        };
        assert_eq!(stale(0), [[b"a".to_vec()]]);
        assert_eq!(stale(4), [[b"s".to_vec(), b"p.2".to_vec()]]);
        // The whole set depends on this one.
        assert_eq!(stale(1), [[b"s".to_vec()]]);
        assert!(stale(19).is_empty());
        let below = index.at_and_below(&[1]);
        assert_eq!(below.iter().filter(|marked| **marked).count(), 11);
        assert!(!below[0]);
        assert_eq!(index.at_and_below(&[4]).iter().position(|m| *m), Some(4));
    }

    #[test]
    fn a_package_is_replaced_in_its_place() {
        let (mut index, mut all) = sample();
        index.replace(3, &package("other"), &[7]);
        all[1][2] = found(Some(0), "p.1", package("other"), &[1, 7]);
        assert_eq!(index.found(), all);
    }
}
