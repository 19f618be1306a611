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
    positions: Positions,
}

/// Where the attributes of a set were defined.
///
/// Few positions are ever asked for, so layouts that come from others say only from which.
#[derive(Clone, Copy, Debug)]
pub(super) enum Positions {
    /// Nobody knows.
    None,
    /// In the order of the names.
    Listed(&'static [Pos]),
    /// Those of `a // b`.
    United(&'static Layout, &'static Layout),
    /// Those of a set with more names.
    PartOf(&'static Layout),
}

impl Layout {
    /// A permanent layout.
    pub(super) fn new(keys: &'static Keys, positions: Positions) -> &'static Layout {
        Box::leak(Box::new(Layout {
            keys,
            keys_id: keys.id,
            len: keys.names().len() as u32,
            positions,
        }))
    }

    /// A layout with these positions, in the order of the names.
    pub(super) fn with_positions(keys: &'static Keys, positions: &[Pos]) -> &'static Layout {
        Layout::new(keys, Positions::Listed(Box::leak(positions.into())))
    }

    /// The layout of a literal whose attributes stand in this order in the source, without duplicates; also
    /// for each word the index of its attribute in the source.
    pub(crate) fn of_literal(attributes: &[(Symbol, Pos)]) -> (&'static Layout, Box<[u32]>) {
        let mut order = (0..attributes.len() as u32).collect::<Box<[_]>>();
        order.sort_unstable_by(|&a, &b| {
            keys::compare(attributes[a as usize].0, attributes[b as usize].0)
        });
        let names = order
            .iter()
            .map(|&i| attributes[i as usize].0)
            .collect::<Vec<_>>();
        let positions = order
            .iter()
            .map(|&i| attributes[i as usize].1)
            .collect::<Vec<_>>();
        let layout = Layout::with_positions(Keys::of(&names), &positions);
        (layout, order)
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

    /// Where the attribute at `index` was defined.
    pub(super) fn pos(&self, index: usize) -> Pos {
        let Some(&name) = self.keys.names().get(index) else {
            return Pos::NONE;
        };
        let (mut layout, mut index) = (self, index);
        // A chain of `//` can be long: this goes along it without recursion.
        loop {
            let next = match layout.positions {
                Positions::None => return Pos::NONE,
                Positions::Listed(list) => return list.get(index).copied().unwrap_or(Pos::NONE),
                Positions::United(a, b) => {
                    let right = b.keys.find(name).map(|i| (b, i));
                    right.or_else(|| a.keys.find(name).map(|i| (a, i)))
                }
                Positions::PartOf(whole) => whole.keys.find(name).map(|i| (whole, i)),
            };
            match next {
                Some(next) => (layout, index) = next,
                None => return Pos::NONE,
            }
        }
    }

    pub(super) fn has_positions(&self) -> bool {
        !matches!(self.positions, Positions::None)
    }
}
