//! The names of attribute sets, in alphabetical order, interned.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
pub(super) use rx_lang::symbol::compare;
use rx_lang::symbol::{self, Symbol};

use super::Layout;
use super::layout::Positions;

/// Sets with at most this many names are searched name by name.
const LINEAR: usize = 8;
/// Larger lists of names are not interned: they are made once each, and hashing them would be the larger part.
const INTERNED: usize = 256;

/// A list of names in alphabetical order of their bytes, with an index.
#[derive(Debug)]
pub struct Keys {
    /// Distinguishes it from all others.
    pub(super) id: u32,
    names: Box<[Symbol]>,
    index: OnceLock<Index>,
    plain: OnceLock<&'static Layout>,
}

/// An open-addressing table from names to their index plus one.
#[derive(Debug)]
struct Index {
    table: Box<[u32]>,
    shift: u32,
}

#[inline(always)]
fn bucket(name: Symbol, shift: u32) -> usize {
    (name.0.wrapping_mul(0x9E37_79B1) >> shift) as usize
}

impl Index {
    fn new(names: &[Symbol]) -> Index {
        let bits = (names.len() * 2)
            .next_power_of_two()
            .trailing_zeros()
            .max(1);
        let shift = 32 - bits;
        let mut table = vec![0; 1 << bits].into_boxed_slice();
        for (i, &name) in names.iter().enumerate() {
            let mut at = bucket(name, shift);
            while table[at] != 0 {
                at = (at + 1) & (table.len() - 1);
            }
            table[at] = i as u32 + 1;
        }
        Index { table, shift }
    }
}

impl Keys {
    /// The list with exactly these names, which must be sorted (see [`sort`]) and without duplicates.
    pub(crate) fn of(names: &[Symbol]) -> &'static Keys {
        static TABLE: OnceLock<Mutex<FxHashMap<&'static [Symbol], &'static Keys>>> =
            OnceLock::new();
        if names.len() > INTERNED {
            return Keys::new(names);
        }
        let mut table = TABLE.get_or_init(Mutex::default).lock();
        if let Some(known) = table.get(names) {
            return known;
        }
        let new = Keys::new(names);
        table.insert(&new.names, new);
        new
    }

    fn new(names: &[Symbol]) -> &'static Keys {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        debug_assert!(
            names
                .windows(2)
                .all(|w| symbol::name(w[0]) < symbol::name(w[1]))
        );
        Box::leak(Box::new(Keys {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            names: names.into(),
            index: OnceLock::new(),
            plain: OnceLock::new(),
        }))
    }

    /// The names in order.
    pub fn names(&self) -> &[Symbol] {
        &self.names
    }

    /// Where the name stands.
    #[inline]
    pub(crate) fn find(&self, name: Symbol) -> Option<usize> {
        if self.names.len() <= LINEAR {
            return self.names.iter().position(|&n| n == name);
        }
        let index = self.index.get_or_init(|| Index::new(&self.names));
        let mut at = bucket(name, index.shift);
        loop {
            match index.table[at] {
                0 => return None,
                i if self.names[i as usize - 1] == name => return Some(i as usize - 1),
                _ => at = (at + 1) & (index.table.len() - 1),
            }
        }
    }

    /// The layout with these names and no positions.
    pub(crate) fn plain(&'static self) -> &'static Layout {
        self.plain
            .get_or_init(|| Layout::new(self, Positions::None))
    }
}
