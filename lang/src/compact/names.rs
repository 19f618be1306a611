//! A small cache in front of the table of names: a file uses the same few names again and again.

use crate::symbol::{self, Symbol};

/// Places for a file of ordinary size, and for the largest.
const SLOTS: std::ops::RangeInclusive<usize> = 4096..=32 * 1024;

#[derive(Clone, Copy)]
struct Slot {
    first: u64,
    last: u64,
    start: u32,
    len: u32,
    symbol: Symbol,
}

/// Remembers where in the source a name was last seen, by a hash of its bytes. A slot holds one name.
pub(super) struct NameCache {
    slots: Box<[Slot]>,
}

impl NameCache {
    /// For a source of so many bytes.
    pub(super) fn new(source: usize) -> Self {
        let slots = (source / 256)
            .next_power_of_two()
            .clamp(*SLOTS.start(), *SLOTS.end());
        NameCache {
            slots: vec![
                Slot {
                    first: 0,
                    last: 0,
                    start: 0,
                    len: 0,
                    symbol: Symbol(0)
                };
                slots
            ]
            .into_boxed_slice(),
        }
    }

    #[inline(always)]
    pub(super) fn intern(&mut self, source: &[u8], start: u32, end: u32) -> Symbol {
        let name = &source[start as usize..end as usize];
        let (first, last) = ends(name);
        let at = hash(first, last, name.len()) & (self.slots.len() - 1);
        let slot = &mut self.slots[at];
        // Names of up to 16 bytes are known by their ends.
        if slot.len == end - start
            && slot.first == first
            && slot.last == last
            && (name.len() <= 16 || source[slot.start as usize..][..name.len()] == *name)
        {
            return slot.symbol;
        }
        let symbol = symbol::intern(name);
        *slot = Slot {
            first,
            last,
            start,
            len: end - start,
            symbol,
        };
        symbol
    }
}

/// The first and the last bytes, up to eight of each: with the length, all that a short name is.
#[inline(always)]
fn ends(name: &[u8]) -> (u64, u64) {
    if name.len() >= 8 {
        (word(&name[..8]), word(&name[name.len() - 8..]))
    } else if name.len() >= 4 {
        (half(&name[..4]), half(&name[name.len() - 4..]))
    } else if let (Some(&first), Some(&last)) = (name.first(), name.last()) {
        (
            u64::from(first) | u64::from(name[name.len() / 2]) << 8,
            u64::from(last),
        )
    } else {
        (0, 0)
    }
}

/// Mixes the ends and the length.
#[inline(always)]
fn hash(first: u64, last: u64, len: usize) -> usize {
    let mixed = (first ^ last.rotate_left(29) ^ len as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 48) as usize
}

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

#[inline(always)]
fn half(bytes: &[u8]) -> u64 {
    u64::from(bytes.try_into().map_or(0, u32::from_le_bytes))
}
