//! Layouts: the names of a set with the places where they were defined.

use std::sync::OnceLock;

use rx_lang::symbol::Symbol;

use super::keys::{self, Keys};
use crate::source::Pos;

/// What sets made at the same place in the code have in common.
#[derive(Debug)]
pub struct Layout {
    pub(super) keys: &'static Keys,
    pub(super) keys_id: u32,
    len: u32,
    positions: Option<Box<[Pos]>>,
}

impl Layout {
    /// A permanent layout; positions stand in the order of the names.
    pub(super) fn new(keys: &'static Keys, positions: Option<Box<[Pos]>>) -> &'static Layout {
        Box::leak(Box::new(Layout {
            keys,
            keys_id: keys.id,
            len: keys.names().len() as u32,
            positions,
        }))
    }

    /// The layout of a literal whose attributes stand in this order in the source, without duplicates; also
    /// for each attribute of the source the index of its word.
    pub(crate) fn of_literal(attributes: &[(Symbol, Pos)]) -> (&'static Layout, Box<[u32]>) {
        let mut order = (0..attributes.len() as u32).collect::<Vec<_>>();
        order.sort_unstable_by(|&a, &b| {
            keys::compare(attributes[a as usize].0, attributes[b as usize].0)
        });
        let names = order
            .iter()
            .map(|&i| attributes[i as usize].0)
            .collect::<Vec<_>>();
        let positions = order.iter().map(|&i| attributes[i as usize].1).collect();
        let mut words = vec![0; attributes.len()].into_boxed_slice();
        for (word, &i) in order.iter().enumerate() {
            words[i as usize] = word as u32;
        }
        (Layout::new(Keys::of(&names), Some(positions)), words)
    }

    /// The layout of `{ }`.
    pub(crate) fn empty() -> &'static Layout {
        static EMPTY: OnceLock<&'static Layout> = OnceLock::new();
        EMPTY.get_or_init(|| Keys::of(&[]).plain())
    }

    /// Number of names.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The list of names.
    pub(crate) fn keys(&self) -> &'static Keys {
        self.keys
    }

    pub(super) fn pos(&self, index: usize) -> Pos {
        self.positions.as_ref().map_or(Pos::NONE, |p| p[index])
    }

    pub(super) fn has_positions(&self) -> bool {
        self.positions.is_some()
    }
}
