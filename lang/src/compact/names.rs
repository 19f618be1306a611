//! The names of one file, in front of the table of the process: a file uses the same few names again and again.

use crate::symbol::{self, Symbol, Symbols};

/// Places for the smallest file.
const FEWEST: usize = 64;
/// Places at the beginning for a large one.
const MOST_AT_FIRST: usize = 4096;
/// Places that are looked at for a name. One that has none of them is not remembered.
const PROBES: usize = 8;

#[derive(Clone, Copy)]
struct Slot {
    first: u64,
    last: u64,
    /// Zero in an empty place.
    len: u32,
    symbol: Symbol,
}

const EMPTY: Slot = Slot {
    first: 0,
    last: 0,
    len: 0,
    symbol: Symbol(0),
};

/// Symbols by their names: a hash table that grows with what is in it.
pub(super) struct NameCache {
    slots: Vec<Slot>,
    used: usize,
}

impl NameCache {
    /// For a source of so many bytes.
    pub(super) fn new(source: usize) -> Self {
        let places = (source / 16)
            .next_power_of_two()
            .clamp(FEWEST, MOST_AT_FIRST);
        NameCache {
            slots: vec![EMPTY; places],
            used: 0,
        }
    }

    #[inline(always)]
    pub(super) fn intern(&mut self, source: &[u8], start: u32, end: u32) -> Symbol {
        let name = &source[start as usize..end as usize];
        let key = Key::new(name);
        let at = key.place() & (self.slots.len() - 1);
        match self.slots[at].symbol_of(&key, name) {
            Some(symbol) => symbol,
            None => self.look_further(&key, name, at),
        }
    }

    #[inline(never)]
    fn look_further(&mut self, key: &Key, name: &[u8], at: usize) -> Symbol {
        let mask = self.slots.len() - 1;
        for at in (at..at + PROBES).map(|at| at & mask) {
            let slot = &mut self.slots[at];
            if let Some(symbol) = slot.symbol_of(key, name) {
                return symbol;
            }
            if slot.len == 0 && key.len != 0 {
                // In a large program, what is new here is new to the thread as well.
                let symbol = if mask < MOST_AT_FIRST {
                    symbol::intern(name)
                } else {
                    Symbols::global().intern(name)
                };
                *slot = Slot {
                    first: key.first,
                    last: key.last,
                    len: key.len,
                    symbol,
                };
                self.used += 1;
                if 2 * self.used > self.slots.len() {
                    self.grow();
                }
                return symbol;
            }
        }
        symbol::intern(name)
    }

    fn grow(&mut self) {
        // The larger the table, the dearer the memory that is not used.
        let times = if self.slots.len() < MOST_AT_FIRST {
            4
        } else {
            2
        };
        let larger = vec![EMPTY; times * self.slots.len()];
        let mask = larger.len() - 1;
        let old = std::mem::replace(&mut self.slots, larger);
        for slot in old.into_iter().filter(|slot| slot.len != 0) {
            let key = Key {
                first: slot.first,
                last: slot.last,
                len: slot.len,
            };
            let at = key.place();
            let free = (at..at + PROBES).find(|&at| self.slots[at & mask].len == 0);
            // One that finds no place is looked up again when it comes again.
            if let Some(free) = free {
                self.slots[free & mask] = slot;
            }
        }
    }
}

impl Slot {
    /// The symbol, if the name is this one. Names of up to 16 bytes are known by their ends.
    #[inline(always)]
    fn symbol_of(&self, key: &Key, name: &[u8]) -> Option<Symbol> {
        let same = self.first == key.first && self.last == key.last && self.len == key.len;
        (same && (key.len <= 16 || self.symbol.name() == name)).then_some(self.symbol)
    }
}

/// The first and the last bytes, up to eight of each: with the length, all that a short name is.
struct Key {
    first: u64,
    last: u64,
    len: u32,
}

impl Key {
    #[inline(always)]
    fn new(name: &[u8]) -> Key {
        let (first, last) = if name.len() >= 8 {
            (word(&name[..8]), word(&name[name.len() - 8..]))
        } else if name.len() >= 4 {
            (half(&name[..4]), half(&name[name.len() - 4..]))
        } else if let (Some(&first), Some(&last)) = (name.first(), name.last()) {
            let middle = u64::from(name[name.len() / 2]);
            (u64::from(first) | middle << 8, u64::from(last))
        } else {
            (0, 0)
        };
        Key {
            first,
            last,
            len: name.len() as u32,
        }
    }

    /// Mixes the ends and the length.
    #[inline(always)]
    fn place(&self) -> usize {
        let mixed = self.first ^ self.last.rotate_left(29) ^ u64::from(self.len);
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize
    }
}

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

#[inline(always)]
fn half(bytes: &[u8]) -> u64 {
    u64::from(bytes.try_into().map_or(0, u32::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_symbols_while_the_table_grows() {
        let mut cache = NameCache::new(0);
        // Short ones, long ones, and long ones with the same ends, which all belong in the same place.
        let names: Vec<String> = (0..3000)
            .map(|i| match i % 3 {
                0 => format!("n{i}"),
                1 => format!("a-rather-long-name-{i}"),
                _ => format!("the-same-{i:05}-at-both-ends"),
            })
            .collect();
        for _ in 0..2 {
            for name in &names {
                let symbol = cache.intern(name.as_bytes(), 0, name.len() as u32);
                assert_eq!(symbol.name(), name.as_bytes());
                assert_eq!(symbol, symbol::intern(name.as_bytes()));
            }
        }
    }
}
