//! Source files and positions in them.
//!
//! Every file that is read gets a range of one 32-bit number line, so a position is one small number that
//! says file and offset; line and column are found when somebody asks.

use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use rx_lang::LineIndex;

/// A place in some source, or nowhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Pos(pub u32);

impl Pos {
    /// No place.
    pub const NONE: Pos = Pos(0);

    /// Whether this is no place.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// This place, or the other when this is none.
    #[must_use]
    pub const fn or(self, other: Pos) -> Pos {
        if self.is_none() { other } else { self }
    }
}

/// Where a source comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A file with this absolute path.
    File(Box<[u8]>),
    /// Text from the command line or the REPL.
    String,
    /// Standard input.
    Stdin,
    /// Code that is part of rx.
    Internal(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::File(path) => f.write_str(&String::from_utf8_lossy(path)),
            Origin::String => f.write_str("«string»"),
            Origin::Stdin => f.write_str("«stdin»"),
            Origin::Internal(name) => write!(f, "«internal»/{name}"),
        }
    }
}

/// A source text with its range of positions.
#[derive(Debug)]
pub struct Source {
    /// Where it comes from.
    pub origin: Origin,
    /// The text.
    pub text: Arc<[u8]>,
    /// The position of its first byte.
    pub base: u32,
    lines: OnceLock<LineIndex>,
}

impl Source {
    /// The position of the byte at `offset`.
    pub fn pos(&self, offset: u32) -> Pos {
        Pos(self.base + offset)
    }

    /// A text to be read in the place of this one that has one byte before it, and something behind it: positions in it are
    /// positions of this one.
    pub(crate) fn framed(&self, before: u8, after: &[u8]) -> Source {
        Source {
            origin: self.origin.clone(),
            text: [&[before], &*self.text, after].concat().into(),
            base: self.base - 1,
            lines: OnceLock::new(),
        }
    }

    /// Line and column, both from 1, of the byte at `offset`.
    pub fn line_column(&self, offset: u32) -> (u32, u32) {
        let lines = self.lines.get_or_init(|| LineIndex::new(&self.text));
        let at = lines.line_column(offset);
        (at.line, at.column)
    }
}

/// A position with everything about it.
#[derive(Clone, Debug)]
pub struct Location {
    /// The source.
    pub source: Arc<Source>,
    /// Offset in bytes.
    pub offset: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// All sources that an evaluation has read.
#[derive(Debug)]
pub struct Sources {
    list: RwLock<Vec<Arc<Source>>>,
}

impl Default for Sources {
    fn default() -> Self {
        Sources {
            list: RwLock::new(Vec::new()),
        }
    }
}

impl Sources {
    /// Adds a source. `None` when there have been 4 GiB of them.
    pub fn add(&self, origin: Origin, text: Arc<[u8]>) -> Option<Arc<Source>> {
        let mut list = self.list.write();
        let base = list
            .last()
            .map_or(1, |s| u64::from(s.base) + s.text.len() as u64 + 1);
        if base + text.len() as u64 >= u64::from(u32::MAX) {
            return None;
        }
        let source = Arc::new(Source {
            origin,
            text,
            base: base as u32,
            lines: OnceLock::new(),
        });
        list.push(source.clone());
        Some(source)
    }

    /// What is known of a position.
    pub fn locate(&self, pos: Pos) -> Option<Location> {
        if pos.is_none() {
            return None;
        }
        let list = self.list.read();
        let at = list.partition_point(|s| s.base <= pos.0).checked_sub(1)?;
        let source = list[at].clone();
        let offset = pos.0 - source.base;
        let (line, column) = source.line_column(offset);
        Some(Location {
            source,
            offset,
            line,
            column,
        })
    }
}
