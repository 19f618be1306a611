//! The tree of a document. Nodes lie in one vector and refer to each other by index, so that no depth of nesting
//! can overflow a stack.

use std::collections::BTreeMap;
use std::ops::Range;

use super::message::{Problem, Result};

/// A node of a document.
pub type Id = usize;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `true` or `false`
    Bool(bool),
    /// An integer
    Int(i64),
    /// A float
    Float(f64),
    /// A string
    Text(Vec<u8>),
    /// A date, a time, or both, in its canonical form
    Timestamp(String),
    /// An array
    Array(Vec<Id>),
    /// A table
    Table(BTreeMap<Vec<u8>, Id>),
}

/// How a table or array came to be, which decides who may add to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A scalar, or an array in brackets: nobody adds to it.
    Value,
    /// `{ … }`: nobody adds to it once it is closed.
    Inline,
    /// It is on the way of a header: `a` in `[a.b]`.
    Implicit,
    /// It has its own header.
    Explicit,
    /// It is on the way of a key: `a` in `a.b = 1`.
    Dotted,
    /// The tables of `[[a]]`.
    Tables,
}

/// A parsed document.
#[derive(Debug)]
pub struct Document {
    nodes: Vec<Node>,
    origins: Vec<Origin>,
    /// Where each was written.
    ranges: Vec<Range<usize>>,
}

/// The table of the whole document.
const ROOT: Id = 0;

/// What is being added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adding {
    /// `key = value`
    Value(Id),
    /// `[key]`
    Table,
    /// `[[key]]`
    Tables,
}

impl Document {
    pub(super) fn new() -> Self {
        let mut document = Self {
            nodes: Vec::new(),
            origins: Vec::new(),
            ranges: Vec::new(),
        };
        document.add(Node::Table(BTreeMap::new()), Origin::Explicit, 0..0);
        document
    }

    /// The table of the whole document.
    pub fn root(&self) -> Id {
        ROOT
    }

    /// A value of the document.
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn add(&mut self, node: Node, origin: Origin, range: Range<usize>) -> Id {
        self.nodes.push(node);
        self.origins.push(origin);
        self.ranges.push(range);
        self.nodes.len() - 1
    }

    pub(super) fn table(&mut self, origin: Origin, range: Range<usize>) -> Id {
        self.add(Node::Table(BTreeMap::new()), origin, range)
    }

    /// Ends an inline table or an array.
    pub(super) fn close(&mut self, id: Id, end: usize) {
        self.ranges[id].end = end;
        if let Node::Table(_) = self.nodes[id] {
            self.origins[id] = Origin::Inline;
        }
    }

    pub(super) fn push_element(&mut self, array: Id, element: Id) {
        if let Node::Array(elements) = &mut self.nodes[array] {
            elements.push(element);
        }
    }

    fn child(&self, table: Id, key: &[u8]) -> Option<Id> {
        match &self.nodes[table] {
            Node::Table(entries) => entries.get(key).copied(),
            _ => None,
        }
    }

    fn put(&mut self, table: Id, key: &[u8], value: Id) {
        if let Node::Table(entries) = &mut self.nodes[table] {
            entries.insert(key.to_vec(), value);
        }
    }

    /// Adds something below `table` and says which table follows: the one of a header.
    pub(super) fn insert(
        &mut self,
        table: Id,
        path: &[Vec<u8>],
        range: Range<usize>,
        adding: Adding,
    ) -> Result<Id> {
        let Some((last, way)) = path.split_last() else {
            return Ok(table);
        };
        let mut at = table;
        for key in way {
            at = self.step(at, key, range.clone(), adding)?;
        }
        let known = self.child(at, last);
        match adding {
            Adding::Value(value) => match known {
                None => {
                    self.put(at, last, value);
                    Ok(value)
                }
                Some(known) => self.clash(
                    known,
                    range,
                    "toml::insert_value: failed to insert a value, value already exists",
                    ["inserting this", "but value already exists"],
                ),
            },
            Adding::Table => match known {
                None => {
                    let table = self.table(Origin::Explicit, range);
                    self.put(at, last, table);
                    Ok(table)
                }
                Some(known) if self.origins[known] == Origin::Implicit => {
                    self.origins[known] = Origin::Explicit;
                    self.ranges[known] = range;
                    Ok(known)
                }
                Some(known) => self.clash(
                    known,
                    range,
                    "toml::insert_value: failed to insert a table, table already defined",
                    ["inserting this", "this table is explicitly defined"],
                ),
            },
            Adding::Tables => self.insert_tables(at, last, range),
        }
    }

    fn insert_tables(&mut self, at: Id, key: &[u8], range: Range<usize>) -> Result<Id> {
        let array = match self.child(at, key) {
            None => {
                let array = self.add(Node::Array(Vec::new()), Origin::Tables, range.clone());
                self.put(at, key, array);
                array
            }
            Some(known) if self.origins[known] == Origin::Tables => known,
            Some(known) if self.holds_tables(known) => {
                return self.clash(
                    known,
                    range,
                    "toml::insert_value: failed to insert a table, inline array of tables is immutable",
                    ["while inserting this", "this is inline array-of-tables"],
                );
            }
            Some(known) => {
                return self.clash(
                    known,
                    range,
                    "toml::insert_value: failed to insert an array of tables, value already exists",
                    ["while inserting this", "non-table value already exists"],
                );
            }
        };
        let table = self.table(Origin::Explicit, range);
        self.push_element(array, table);
        Ok(table)
    }

    /// The table below `table` that a path goes through; made if it is not there.
    fn step(&mut self, table: Id, key: &[u8], range: Range<usize>, adding: Adding) -> Result<Id> {
        let dotted = matches!(adding, Adding::Value(_));
        let Some(known) = self.child(table, key) else {
            let origin = if dotted {
                Origin::Dotted
            } else {
                Origin::Implicit
            };
            let new = self.table(origin, range);
            self.put(table, key, new);
            return Ok(new);
        };
        match (&self.nodes[known], self.origins[known]) {
            (Node::Table(_), Origin::Inline) => self.clash(
                known,
                range,
                "toml::insert_value: failed to insert a value: inline table is immutable",
                ["inserting this", "to this table"],
            ),
            (Node::Table(_), Origin::Explicit | Origin::Implicit) if dotted => self.clash(
                known,
                range,
                "toml::insert_value: reopening a table using dotted keys",
                [
                    "dotted key cannot reopen a table",
                    "this table is already closed",
                ],
            ),
            (Node::Table(_), _) => Ok(known),
            (Node::Array(_), Origin::Tables) if dotted => self.clash(
                known,
                range,
                "toml::insert_value:dotted key cannot reopen an array-of-tables",
                ["inserting this", "to this array-of-tables."],
            ),
            (Node::Array(elements), Origin::Tables) => {
                Ok(elements.last().copied().unwrap_or(known))
            }
            _ if self.holds_tables(known) => self.clash(
                known,
                range,
                "toml::insert_value:inline array of tables are immutable",
                ["inserting this", "inline array of tables"],
            ),
            _ => self.clash(
                known,
                range,
                "toml::insert_value: failed to insert a value, value already exists",
                ["while inserting this", "non-table value already exists"],
            ),
        }
    }

    fn holds_tables(&self, id: Id) -> bool {
        match &self.nodes[id] {
            Node::Array(elements) => {
                !elements.is_empty()
                    && elements
                        .iter()
                        .all(|element| matches!(self.nodes[*element], Node::Table(_)))
            }
            _ => false,
        }
    }

    #[cold]
    fn clash(
        &self,
        known: Id,
        range: Range<usize>,
        title: &'static str,
        labels: [&'static str; 2],
    ) -> Result<Id> {
        let labels = vec![(range, labels[0]), (self.ranges[known].clone(), labels[1])];
        Err(Box::new(Problem {
            title,
            labels,
            hints: &[],
        }))
    }
}
