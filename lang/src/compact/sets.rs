//! Bindings to sets.
//!
//! Most sets have only plain names and no name twice: their bindings are sorted and that is all. Else the bindings are put
//! together one after another, as the language defines it:
//!
//! - `a.b = x;` makes the set `a` or adds to it;
//! - a name may come twice if both values are written as sets, which then become one (a `rec` of the second is lost);
//! - whatever else comes twice is an error, which names the whole path.

use rustc_hash::FxHashMap;

use super::{Compact, Item, Mark};
use crate::ast::{
    AttrName, AttrPath, AttrSet, AttrSetId, Binding, BindingValue, DocComment, DynamicBinding,
    Expr, ExprId, Exprs, LambdaId,
};
use crate::diagnostic::Diagnostic;
use crate::symbol::{Symbol, known};

/// From so many bindings on, a set under construction has an index.
const INDEXED: usize = 16;

#[derive(Clone, Copy)]
enum Value {
    Expr(ExprId),
    /// A set under construction.
    Set(usize),
    Inherit,
    InheritFrom(u32),
}

struct Entry {
    name: Symbol,
    offset: u32,
    value: Value,
}

/// A set under construction.
#[derive(Default)]
struct Draft {
    recursive: bool,
    offset: Option<u32>,
    /// The node and the set that it came from and goes back to.
    origin: Option<(ExprId, AttrSetId)>,
    entries: Vec<Entry>,
    index: FxHashMap<Symbol, usize>,
    dynamics: Vec<(ExprId, Value, u32)>,
    sources: Vec<ExprId>,
}

impl Draft {
    fn find(&mut self, name: Symbol) -> Option<usize> {
        if self.entries.len() < INDEXED {
            return self.entries.iter().position(|entry| entry.name == name);
        }
        if self.index.len() < self.entries.len() {
            self.index.extend(
                self.entries
                    .iter()
                    .enumerate()
                    .map(|(position, entry)| (entry.name, position)),
            );
        }
        self.index.get(&name).copied()
    }

    fn push(&mut self, name: Symbol, offset: u32, value: Value) {
        if !self.index.is_empty() {
            self.index.insert(name, self.entries.len());
        }
        self.entries.push(Entry {
            name,
            offset,
            value,
        });
    }
}

impl Compact<'_> {
    /// `path = value;`
    #[inline(always)]
    pub(super) fn binding(&mut self, mark: Mark) {
        let index = mark.items as usize;
        let last = self.items.len().max(1) - 1;
        let value = self.expr_at(last);
        if !self.ast.docs.is_empty() {
            self.document_binding(value, mark.start);
        }
        if let (Some(&Item::Name { symbol, .. }), true) = (self.items.get(index), last == index + 1)
        {
            self.items.truncate(index);
            self.items.push(Item::Bind {
                name: symbol,
                offset: mark.start,
                value,
            });
            return;
        }
        let start = self.path_names.len() as u32;
        for item in &self.items[index.min(last)..last] {
            match *item {
                Item::Name { symbol, .. } => self.path_names.push(AttrName::Static(symbol)),
                Item::Dynamic { expr, .. } => self.path_names.push(AttrName::Dynamic(expr)),
                _ => {}
            }
        }
        self.items.truncate(index);
        let len = self.path_names.len() as u32 - start;
        if len > 0 {
            let path = self.paths.len() as u32;
            self.paths.push((start, len));
            self.items.push(Item::BindPath {
                path,
                offset: mark.start,
                value,
            });
        }
    }

    /// `inherit a b;`, `inherit (source) a b;`
    pub(super) fn inherit_binding(&mut self, mark: Mark) {
        let index = (mark.items as usize).min(self.items.len());
        let from_source = matches!(self.items.get(index), Some(Item::Source(_)));
        for position in index..self.items.len() {
            match self.items[position] {
                Item::Name {
                    symbol: name,
                    offset,
                } => {
                    self.items[position] = if from_source {
                        Item::InheritFrom { name, offset }
                    } else {
                        Item::Inherit { name, offset }
                    };
                }
                Item::Dynamic { offset, .. } => {
                    let end = self.end;
                    let found = Diagnostic::error(
                        offset..offset + 1,
                        "dynamic attributes not allowed in inherit",
                    );
                    self.error(end, found.with_help("write `${name} = …;` instead"));
                }
                _ => {}
            }
        }
    }

    pub(super) fn attr_set(&mut self, mark: Mark) {
        let index = mark.items as usize;
        let recursive = matches!(self.items.get(index), Some(Item::Rec));
        let set = self.set(index, recursive, Some(mark.start));
        self.replace(mark.items, Expr::Attrs(set), mark.start);
    }

    /// `let { …; body = e; }` is `rec { …; body = e; }.body`.
    pub(super) fn legacy_let(&mut self, mark: Mark) {
        let set = self.set(mark.items as usize, true, Some(mark.start));
        let base = self.add(Expr::Attrs(set), mark.start);
        let start = self.ast.path_names.len() as u32;
        self.ast.path_names.push(AttrName::Static(known::BODY));
        let path = AttrPath(self.ast.path_ranges.len() as u32);
        self.ast.path_ranges.push((start, 1));
        self.replace(mark.items, Expr::Select { base, path }, mark.start);
    }

    pub(super) fn let_in(&mut self, mark: Mark) {
        let last = self.items.len().max(1) - 1;
        let body = self.expr_at(last);
        self.items.truncate(last);
        let set = self.set(mark.items as usize, true, None);
        if self.ast.sets[set.0 as usize].dynamics.1 > 0 {
            let end = self.end;
            let mut found = Diagnostic::error(
                mark.start..mark.start + 3,
                "dynamic attributes not allowed in let",
            );
            if let Some(dynamic) = self.ast.dynamics(&self.ast.sets[set.0 as usize]).first() {
                found =
                    found.with_label(dynamic.offset..dynamic.offset + 1, "this name is computed");
            }
            self.error(end, found);
        }
        self.replace(mark.items, Expr::Let { set, body }, mark.start);
    }

    /// The set of the bindings from item `index` on.
    #[inline(always)]
    fn set(&mut self, index: usize, recursive: bool, offset: Option<u32>) -> AttrSetId {
        let index = index.min(self.items.len());
        let first = self.ast.bindings.len();
        let first_source = self.ast.lists.len();
        let mut simple = true;
        for item in &self.items[index..] {
            let (name, offset, value) = match *item {
                Item::Bind {
                    name,
                    offset,
                    value,
                } => (name, offset, BindingValue::Plain(value)),
                Item::Inherit { name, offset } => (name, offset, BindingValue::Inherit),
                Item::Source(source) => {
                    self.ast.lists.push(source);
                    continue;
                }
                Item::InheritFrom { name, offset } => (
                    name,
                    offset,
                    BindingValue::InheritFrom((self.ast.lists.len() - first_source) as u32 - 1),
                ),
                Item::BindPath { .. } => {
                    simple = false;
                    break;
                }
                _ => continue,
            };
            self.ast.bindings.push(Binding {
                name,
                offset,
                value,
            });
        }
        if simple {
            let bindings = &mut self.ast.bindings[first..];
            bindings.sort_unstable_by_key(|binding| (binding.name, binding.offset));
            simple = bindings.windows(2).all(|pair| pair[0].name != pair[1].name);
        }
        if !simple {
            self.ast.bindings.truncate(first);
            self.ast.lists.truncate(first_source);
            return self.assemble(index, recursive, offset);
        }
        for position in first..self.ast.bindings.len() {
            let binding = self.ast.bindings[position];
            if let BindingValue::Plain(value) = binding.value {
                self.name_lambdas(value, binding.name);
            }
        }
        let id = AttrSetId(self.ast.sets.len() as u32);
        self.ast.sets.push(AttrSet {
            recursive,
            offset,
            bindings: (first as u32, (self.ast.bindings.len() - first) as u32),
            dynamics: (0, 0),
            sources: Exprs {
                start: first_source as u32,
                len: (self.ast.lists.len() - first_source) as u32,
            },
        });
        id
    }

    /// A function bound to a name has that name, and so have the functions it returns at once.
    #[inline(always)]
    fn name_lambdas(&mut self, mut value: ExprId, name: Symbol) {
        while let Expr::Lambda(id) = self.ast.exprs[value.0 as usize] {
            let lambda = &mut self.ast.lambdas[id.0 as usize];
            lambda.name = Some(name);
            value = lambda.body;
        }
    }

    #[cold]
    fn document_binding(&mut self, value: ExprId, offset: u32) {
        // Few values are functions; looking for a comment takes longer than seeing that.
        if let Expr::Lambda(id) = self.ast.expr(value)
            && let Some(doc) = self.ast.doc_comment_before(offset)
        {
            self.document(id, doc);
        }
    }

    /// A comment documents a function and those it returns at once, up to one with its own.
    pub(super) fn document(&mut self, mut id: LambdaId, doc: DocComment) {
        loop {
            let lambda = &mut self.ast.lambdas[id.0 as usize];
            if lambda.doc.is_some() {
                return;
            }
            lambda.doc = Some(doc);
            match self.ast.exprs[lambda.body.0 as usize] {
                Expr::Lambda(inner) => id = inner,
                _ => return,
            }
        }
    }

    /// The careful way: nested paths, names that come twice.
    #[cold]
    fn assemble(&mut self, index: usize, recursive: bool, offset: Option<u32>) -> AttrSetId {
        let mut drafts = Drafts {
            all: vec![Draft {
                recursive,
                offset,
                ..Draft::default()
            }],
            path: Vec::new(),
        };
        let mut first_path = None;
        for position in index..self.items.len() {
            // Where C++ Nix has read when it adds this binding, as far as it matters: before the next one.
            let item = self.items[position];
            let read = self.items[position + 1..]
                .iter()
                .take(2)
                .find_map(Item::binding_offset)
                .or_else(|| offset.and_then(|_| self.end_of_last_binding()))
                .or(item.binding_offset())
                .unwrap_or(0);
            match item {
                // The name alone breaks the grammar; it is not also a duplicate.
                Item::Bind { value, .. } | Item::BindPath { value, .. }
                    if self.missing.contains(&value) => {}
                Item::Bind {
                    name,
                    offset,
                    value,
                } => {
                    drafts.path.clear();
                    drafts.path.push(AttrName::Static(name));
                    self.add_value(&mut drafts, 0, name, offset, Value::Expr(value), read);
                }
                Item::BindPath {
                    path,
                    offset,
                    value,
                } => {
                    first_path.get_or_insert(path);
                    self.add_path(&mut drafts, path, offset, value, read);
                }
                Item::Inherit { name, offset } => {
                    self.add_inherited(&mut drafts, name, offset, Value::Inherit, read)
                }
                Item::Source(source) => drafts.all[0].sources.push(source),
                Item::InheritFrom { name, offset } => {
                    let source = drafts.all[0].sources.len() as u32 - 1;
                    self.add_inherited(&mut drafts, name, offset, Value::InheritFrom(source), read);
                }
                _ => {}
            }
        }
        if let Some(path) = first_path {
            let (start, _) = self.paths[path as usize];
            self.paths.truncate(path as usize);
            self.path_names.truncate(start as usize);
        }
        self.write(drafts)
    }

    fn add_inherited(
        &mut self,
        drafts: &mut Drafts,
        name: Symbol,
        offset: u32,
        value: Value,
        read: u32,
    ) {
        match drafts.all[0].find(name) {
            Some(found) => {
                let before = drafts.all[0].entries[found].offset;
                self.duplicate(&[AttrName::Static(name)], offset, before, read);
            }
            None => drafts.all[0].push(name, offset, value),
        }
    }

    fn add_path(&mut self, drafts: &mut Drafts, path: u32, offset: u32, value: ExprId, read: u32) {
        let (start, len) = self.paths[path as usize];
        let (start, end) = (start as usize, (start + len) as usize);
        let mut current = 0;
        for position in start..end - 1 {
            match self.path_names[position] {
                AttrName::Static(name) => match drafts.all[current].find(name) {
                    Some(found) => {
                        let entry = &drafts.all[current].entries[found];
                        let before = entry.offset;
                        match self.as_draft(drafts, current, found) {
                            Some(nested) => current = nested,
                            None => {
                                let names = self.path_names[start..=position].to_vec();
                                return self.duplicate(&names, offset, before, read);
                            }
                        }
                    }
                    None => {
                        let nested = drafts.new_draft();
                        drafts.all[current].push(name, offset, Value::Set(nested));
                        current = nested;
                    }
                },
                AttrName::Dynamic(name) => {
                    let nested = drafts.new_draft();
                    drafts.all[current]
                        .dynamics
                        .push((name, Value::Set(nested), offset));
                    current = nested;
                }
            }
        }
        match self.path_names[end - 1] {
            AttrName::Static(name) => {
                drafts.path.clear();
                drafts.path.extend_from_slice(&self.path_names[start..end]);
                self.add_value(drafts, current, name, offset, Value::Expr(value), read);
            }
            AttrName::Dynamic(name) => {
                drafts.all[current]
                    .dynamics
                    .push((name, Value::Expr(value), offset))
            }
        }
    }

    /// Adds a binding whose whole path is in `drafts.path`; two sets become one.
    fn add_value(
        &mut self,
        drafts: &mut Drafts,
        into: usize,
        name: Symbol,
        offset: u32,
        value: Value,
        read: u32,
    ) {
        let Some(found) = drafts.all[into].find(name) else {
            drafts.all[into].push(name, offset, value);
            if let Value::Expr(expr) = value {
                self.name_lambdas(expr, name);
            }
            return;
        };
        let added = match value {
            Value::Expr(expr) => match self.ast.expr(expr) {
                Expr::Attrs(id) => Some(id),
                _ => None,
            },
            _ => None,
        };
        let before = drafts.all[into].entries[found].offset;
        let existing = added.and_then(|id| Some((id, self.as_draft(drafts, into, found)?)));
        match existing {
            Some((id, target)) => stacker::maybe_grow(64 * 1024, 1024 * 1024, || {
                self.merge(drafts, target, id, read)
            }),
            None => {
                let names = drafts.path.clone();
                self.duplicate(&names, offset, before, read);
            }
        }
    }

    /// Moves the bindings of a finished set into one under construction.
    fn merge(&mut self, drafts: &mut Drafts, target: usize, id: AttrSetId, read: u32) {
        let set = self.ast.sets[id.0 as usize];
        let shift = drafts.all[target].sources.len() as u32;
        for position in set.bindings.0..set.bindings.0 + set.bindings.1 {
            let binding = self.ast.bindings[position as usize];
            let value = match binding.value {
                BindingValue::Plain(expr) => Value::Expr(expr),
                BindingValue::Inherit => Value::Inherit,
                BindingValue::InheritFrom(source) => Value::InheritFrom(source + shift),
            };
            drafts.path.push(AttrName::Static(binding.name));
            self.add_value(drafts, target, binding.name, binding.offset, value, read);
            drafts.path.pop();
        }
        let dynamics = self
            .ast
            .dynamics(&set)
            .iter()
            .map(|dynamic| (dynamic.name, Value::Expr(dynamic.value), dynamic.offset));
        drafts.all[target].dynamics.extend(dynamics);
        drafts.all[target]
            .sources
            .extend_from_slice(self.ast.list(set.sources));
    }

    /// The draft of a binding's value, if that is written as a set.
    fn as_draft(&self, drafts: &mut Drafts, draft: usize, entry: usize) -> Option<usize> {
        let expr = match drafts.all[draft].entries[entry].value {
            Value::Set(nested) => return Some(nested),
            Value::Expr(expr) => expr,
            Value::Inherit | Value::InheritFrom(_) => return None,
        };
        let Expr::Attrs(id) = self.ast.expr(expr) else {
            return None;
        };
        let set = self.ast.set(id);
        let mut loaded = Draft {
            recursive: set.recursive,
            offset: set.offset,
            origin: Some((expr, id)),
            sources: self.ast.list(set.sources).to_vec(),
            ..Draft::default()
        };
        for binding in self.ast.bindings(set) {
            let value = match binding.value {
                BindingValue::Plain(expr) => Value::Expr(expr),
                BindingValue::Inherit => Value::Inherit,
                BindingValue::InheritFrom(source) => Value::InheritFrom(source),
            };
            loaded.push(binding.name, binding.offset, value);
        }
        loaded.dynamics.extend(
            self.ast
                .dynamics(set)
                .iter()
                .map(|dynamic| (dynamic.name, Value::Expr(dynamic.value), dynamic.offset)),
        );
        drafts.all.push(loaded);
        let nested = drafts.all.len() - 1;
        drafts.all[draft].entries[entry].value = Value::Set(nested);
        Some(nested)
    }

    /// Writes the drafts out, inner ones first: an inner one always has the larger number.
    fn write(&mut self, drafts: Drafts) -> AttrSetId {
        let count = drafts.all.len();
        let mut written = vec![ExprId(0); count];
        let mut root = AttrSetId(0);
        for (number, mut draft) in drafts.all.into_iter().enumerate().rev() {
            draft.entries.sort_unstable_by_key(|entry| entry.name);
            let first = self.ast.bindings.len() as u32;
            for entry in &draft.entries {
                let value = match entry.value {
                    Value::Expr(expr) => BindingValue::Plain(expr),
                    Value::Set(nested) => BindingValue::Plain(written[nested]),
                    Value::Inherit => BindingValue::Inherit,
                    Value::InheritFrom(source) => BindingValue::InheritFrom(source),
                };
                self.ast.bindings.push(Binding {
                    name: entry.name,
                    offset: entry.offset,
                    value,
                });
            }
            let first_dynamic = self.ast.dynamics.len() as u32;
            for &(name, value, offset) in &draft.dynamics {
                let value = match value {
                    Value::Set(nested) => written[nested],
                    Value::Expr(expr) => expr,
                    Value::Inherit | Value::InheritFrom(_) => continue,
                };
                self.ast.dynamics.push(DynamicBinding {
                    name,
                    value,
                    offset,
                });
            }
            let first_source = self.ast.lists.len() as u32;
            self.ast.lists.extend_from_slice(&draft.sources);
            let set = AttrSet {
                recursive: draft.recursive,
                offset: draft.offset,
                bindings: (first, self.ast.bindings.len() as u32 - first),
                dynamics: (
                    first_dynamic,
                    self.ast.dynamics.len() as u32 - first_dynamic,
                ),
                sources: Exprs {
                    start: first_source,
                    len: draft.sources.len() as u32,
                },
            };
            if let Some((expr, id)) = draft.origin {
                self.ast.sets[id.0 as usize] = set;
                written[number] = expr;
                continue;
            }
            let id = AttrSetId(self.ast.sets.len() as u32);
            self.ast.sets.push(set);
            if number == 0 {
                root = id;
            } else {
                let offset = draft.entries.first().map_or(self.end, |entry| entry.offset);
                written[number] = self.add(Expr::Attrs(id), offset);
            }
        }
        root
    }

    /// Where the last binding of the set in braces that was just read ends, if nothing stands between it and the brace.
    fn end_of_last_binding(&self) -> Option<u32> {
        let set = self.source.get(..self.end as usize)?.strip_suffix(b"}")?;
        let set = set.trim_ascii_end();
        set.ends_with(b";").then_some(set.len() as u32)
    }

    fn duplicate(&mut self, path: &[AttrName], offset: u32, before: u32, read: u32) {
        let mut shown = Vec::new();
        for (position, name) in path.iter().enumerate() {
            if position > 0 {
                shown.push(b'.');
            }
            crate::print::attr_name(&self.ast, *name, &mut shown);
        }
        let shown = String::from_utf8_lossy(&shown).into_owned();
        let end = offset + self.token_len(offset);
        let mut found =
            Diagnostic::error(offset..end, format!("attribute '{shown}' already defined"));
        found.at = Some(before);
        let before_end = before + self.token_len(before);
        self.error(
            read,
            found.with_label(before..before_end, "defined here first"),
        );
    }

    /// The length of the word at an offset, to underline.
    fn token_len(&self, offset: u32) -> u32 {
        let rest = &self.source[offset as usize..];
        let len = rest.iter().position(|byte| {
            !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'\''))
        });
        (len.unwrap_or(rest.len()) as u32).max(1)
    }
}

/// All sets under construction that belong to one set of the source; the first is that set.
struct Drafts {
    all: Vec<Draft>,
    /// The names on the way to the binding that is being added.
    path: Vec<AttrName>,
}

impl Drafts {
    fn new_draft(&mut self) -> usize {
        self.all.push(Draft::default());
        self.all.len() - 1
    }
}

impl Item {
    fn binding_offset(&self) -> Option<u32> {
        match *self {
            Item::Bind { offset, .. }
            | Item::BindPath { offset, .. }
            | Item::Inherit { offset, .. }
            | Item::InheritFrom { offset, .. } => Some(offset),
            _ => None,
        }
    }
}
