//! Names as small numbers: the process-wide table of interned attribute and variable names.
//!
//! A [`Symbol`] is an index. Ids appear in values of every thread, so there is one table for the process
//! ([`intern`] and [`name`]); [`Symbols`] is the table itself, for who wants a private one.
//!
//! Writing goes through `lasso`'s threaded interner. Reading a name takes no lock: an append-only table of
//! chunks maps the id to bytes that live as long as the process.
//!
//! Names are bytes. One that is not UTF-8 is interned under a reversible text form: the marker U+10FFFF and then one
//! character per byte. A text name that starts with the marker takes the same way, so no two names meet.

pub mod known;

use std::cell::Cell;
use std::hash::Hasher;
use std::sync::{LazyLock, OnceLock};

use lasso::{Key, Spur, ThreadedRodeo};
use rustc_hash::{FxBuildHasher, FxHasher};

/// An interned name. The order is the order of interning, not of the alphabet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub u32);

impl Symbol {
    /// The bytes of the name, from the process-wide table.
    #[inline]
    pub fn name(self) -> &'static [u8] {
        name(self)
    }

    /// The number, for use as an index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Debug for Symbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = Symbols::global().get(*self).unwrap_or(b"?");
        write!(f, "{}#{}", String::from_utf8_lossy(bytes), self.0)
    }
}

impl std::fmt::Display for Symbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.name()))
    }
}

/// Ids in the first chunk; every further chunk is twice as long.
const FIRST_CHUNK: usize = 4096;
/// Enough chunks for every 32-bit id.
const CHUNKS: usize = 21;
/// Marks the text form of a name that is not text.
const MARKER: char = '\u{10FFFF}';

type Slot = OnceLock<Name>;

/// The bytes of a name, and what decides most comparisons.
#[derive(Clone, Copy)]
struct Name {
    /// The first eight bytes as a number in their order, filled up with zeros.
    first: u64,
    bytes: &'static [u8],
}

impl Name {
    fn new(bytes: &'static [u8]) -> Name {
        let mut first = [0; 8];
        let len = bytes.len().min(8);
        first[..len].copy_from_slice(&bytes[..len]);
        Name {
            first: u64::from_be_bytes(first),
            bytes,
        }
    }
}

/// A table of names, shared by threads.
///
/// Names are never freed: a program meets a bounded number of them, and values carry bare ids.
pub struct Symbols {
    text: &'static ThreadedRodeo<Spur, FxBuildHasher>,
    chunks: [OnceLock<Box<[Slot]>>; CHUNKS],
}

impl Default for Symbols {
    fn default() -> Self {
        Self::new()
    }
}

impl Symbols {
    /// A new table that holds the names in [`known`].
    pub fn new() -> Self {
        let symbols = Symbols {
            text: Box::leak(Box::new(ThreadedRodeo::with_hasher(FxBuildHasher))),
            chunks: [const { OnceLock::new() }; CHUNKS],
        };
        for text in known::NAMES {
            symbols.intern(text.as_bytes());
        }
        symbols
    }

    /// The table of the process.
    #[inline]
    pub fn global() -> &'static Symbols {
        static GLOBAL: LazyLock<Symbols> = LazyLock::new(Symbols::new);
        &GLOBAL
    }

    /// The symbol of a name; the same name always gives the same symbol.
    pub fn intern(&self, name: &[u8]) -> Symbol {
        match std::str::from_utf8(name) {
            Ok(text) if !text.starts_with(MARKER) => self.intern_text(text, None),
            _ => {
                let mut text = String::with_capacity(4 + 2 * name.len());
                text.push(MARKER);
                text.extend(name.iter().map(|&byte| char::from(byte)));
                self.intern_text(&text, Some(name))
            }
        }
    }

    /// The symbol of a name that was interned before.
    pub fn find(&self, name: &[u8]) -> Option<Symbol> {
        let key = match std::str::from_utf8(name) {
            Ok(text) if !text.starts_with(MARKER) => self.text.get(text)?,
            _ => {
                let mut text = String::from(MARKER);
                text.extend(name.iter().map(|&byte| char::from(byte)));
                self.text.get(&text)?
            }
        };
        Some(Symbol(key.into_usize() as u32))
    }

    fn intern_text(&self, text: &str, raw: Option<&[u8]>) -> Symbol {
        let key = self.text.get_or_intern(text);
        let symbol = Symbol(key.into_usize() as u32);
        // Also when the name was known: another thread may be between interning it and publishing its bytes.
        let slot = self.slot(symbol);
        if slot.get().is_none() {
            slot.get_or_init(|| {
                Name::new(match raw {
                    Some(bytes) => Box::leak(bytes.to_vec().into_boxed_slice()),
                    None => self.text.resolve(&key).as_bytes(),
                })
            });
        }
        symbol
    }

    /// The bytes of a name.
    ///
    /// # Panics
    /// If the symbol is of another table.
    #[inline]
    pub fn name(&self, symbol: Symbol) -> &'static [u8] {
        self.get(symbol).expect("a symbol of this table")
    }

    /// Compares two names by their bytes.
    ///
    /// # Panics
    /// If a symbol is of another table.
    #[inline]
    pub fn compare(&self, a: Symbol, b: Symbol) -> std::cmp::Ordering {
        let a = self.entry(a).expect("a symbol of this table");
        let b = self.entry(b).expect("a symbol of this table");
        a.first.cmp(&b.first).then_with(|| a.bytes.cmp(b.bytes))
    }

    #[inline]
    fn get(&self, symbol: Symbol) -> Option<&'static [u8]> {
        self.entry(symbol).map(|name| name.bytes)
    }

    #[inline]
    fn entry(&self, symbol: Symbol) -> Option<&Name> {
        let (chunk, index) = place(symbol);
        self.chunks[chunk].get()?.get(index)?.get()
    }

    fn slot(&self, symbol: Symbol) -> &Slot {
        let (chunk, index) = place(symbol);
        let slots = self.chunks[chunk]
            .get_or_init(|| (0..FIRST_CHUNK << chunk).map(|_| Slot::new()).collect());
        &slots[index]
    }

    /// Bytes of all names together.
    pub fn bytes(&self) -> usize {
        self.text.strings().map(str::len).sum()
    }

    /// How many names the table holds.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether the table holds no name (it never does: [`known`] names are always there).
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Chunk and index in it: chunk `k` starts at id `FIRST_CHUNK * (2^k - 1)`.
#[inline]
fn place(symbol: Symbol) -> (usize, usize) {
    let id = symbol.0 as usize + FIRST_CHUNK;
    let level =
        (usize::BITS - 1 - id.leading_zeros()) as usize - FIRST_CHUNK.trailing_zeros() as usize;
    (level, id - (FIRST_CHUNK << level))
}

/// How many names a thread remembers.
const RECENT: usize = 32 * 1024;

thread_local! {
    /// Symbols plus one that this thread met last, by a hash of their names: most names come again and again, and
    /// looking here takes no lock.
    static RECENTLY: [Cell<u32>; RECENT] = const { [const { Cell::new(0) }; RECENT] };
}

/// The symbol of a name in the table of the process.
pub fn intern(name: &[u8]) -> Symbol {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    let at = (hasher.finish() >> 32) as usize % RECENT;
    RECENTLY.with(|recently| {
        if let Some(symbol) = recently[at].get().checked_sub(1).map(Symbol)
            && symbol.name() == name
        {
            return symbol;
        }
        let symbol = Symbols::global().intern(name);
        recently[at].set(symbol.0 + 1);
        symbol
    })
}

/// The bytes of a symbol of the table of the process.
#[inline]
pub fn name(symbol: Symbol) -> &'static [u8] {
    Symbols::global().name(symbol)
}

/// The bytes of a symbol of the table of the process, and the first eight of them as a number whose order is theirs.
#[inline]
pub(crate) fn ordered(symbol: Symbol) -> (u64, &'static [u8]) {
    let name = Symbols::global()
        .entry(symbol)
        .expect("a symbol of this table");
    (name.first, name.bytes)
}

/// Compares two names of the table of the process by their bytes.
#[inline]
pub fn compare(a: Symbol, b: Symbol) -> std::cmp::Ordering {
    if a == b {
        std::cmp::Ordering::Equal
    } else {
        Symbols::global().compare(a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_gives_the_same_symbol_in_every_thread() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    (0..20_000)
                        .map(|i| {
                            let text = format!("thread-test-{i}");
                            let symbol = intern(text.as_bytes());
                            assert_eq!(symbol.name(), text.as_bytes());
                            symbol
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let mut all = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        let first = all.next().expect("four threads");
        assert!(all.all(|other| other == first));
    }

    #[test]
    fn names_that_are_not_text_stay_apart_from_their_text_form() {
        let raw = intern(b"\xff\xfe");
        let lookalike = intern("\u{10FFFF}\u{ff}\u{fe}".as_bytes());
        let marker = intern("\u{10FFFF}".as_bytes());
        assert_eq!(raw.name(), b"\xff\xfe");
        assert_eq!(lookalike.name(), "\u{10FFFF}\u{ff}\u{fe}".as_bytes());
        assert_eq!(marker.name(), "\u{10FFFF}".as_bytes());
        assert_eq!(Symbols::global().find(b"\xff\xfe"), Some(raw));
        assert_ne!(raw, lookalike);
    }

    #[test]
    fn known_names_have_their_fixed_symbols() {
        assert_eq!(known::SUB.name(), b"__sub");
        assert_eq!(intern(b"derivation"), known::DERIVATION);
        assert_eq!(Symbols::new().intern(b"or"), known::OR);
    }
}
