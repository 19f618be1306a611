//! Pattern → automaton.
//!
//! ```text
//! disjunction = sequence { "|" sequence }
//! sequence    = { "^" | "$" | atom { "*" | "+" | "?" | "{" n [ "," [ m ] ] "}" } }
//! atom        = byte | "." | "\" special | "(" disjunction ")" | "[" bracket "]"
//! ```
//!
//! A counted repetition copies its atom. The number of states, counted as the reference's library counts them,
//! must stay under a limit; that makes `(a{1000}){1000}` an error and not a matter of available memory.

use rustc_hash::FxHashMap;

use super::RegexError;
use super::bracket::{self, ByteSet};

/// Index of a state.
pub(super) type Id = u32;
/// No state.
pub(super) const NONE: Id = Id::MAX;
const STATE_LIMIT: usize = 100_000;

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Consumes a byte of the set with this index.
    Set(u32),
    /// Does nothing.
    Dummy,
    /// Tries the state in the field first, then `next`; the longer match wins.
    Alternative(Id),
    /// Tries the state in the field (one more round); only if that fails, `next`.
    Repeat(Id),
    Open(u32),
    Close(u32),
    LineBegin,
    LineEnd,
    Accept,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) kind: Kind,
    pub(super) next: Id,
}

#[derive(Debug, Default)]
pub(super) struct Automaton {
    pub(super) states: Vec<State>,
    pub(super) sets: Vec<ByteSet>,
    /// Groups, the whole match included.
    pub(super) groups: u32,
    pub(super) start: Id,
    set_index: FxHashMap<ByteSet, u32>,
}

/// A piece of automaton with one entry and one open exit.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: Id,
    end: Id,
}

impl Automaton {
    fn add(&mut self, kind: Kind) -> Result<Id, RegexError> {
        self.add_state(State { kind, next: NONE })
    }

    fn add_state(&mut self, state: State) -> Result<Id, RegexError> {
        self.states.push(state);
        if self.states.len() > STATE_LIMIT {
            return Err(RegexError::TooLarge);
        }
        Ok((self.states.len() - 1) as Id)
    }

    fn piece(&mut self, kind: Kind) -> Result<Piece, RegexError> {
        let id = self.add(kind)?;
        Ok(Piece { start: id, end: id })
    }

    fn set_piece(&mut self, set: ByteSet) -> Result<Piece, RegexError> {
        let sets = &mut self.sets;
        let index = *self.set_index.entry(set).or_insert_with(|| {
            sets.push(set);
            (sets.len() - 1) as u32
        });
        self.piece(Kind::Set(index))
    }

    fn append(&mut self, piece: &mut Piece, more: Piece) {
        self.states[piece.end as usize].next = more.start;
        piece.end = more.end;
    }

    fn append_state(&mut self, piece: &mut Piece, id: Id) {
        self.append(piece, Piece { start: id, end: id });
    }

    /// A copy of a piece. A state that is reached twice before it was copied is copied twice; the first copy
    /// stays unused, but counts.
    fn copy(&mut self, piece: Piece) -> Result<Piece, RegexError> {
        let mut copies: FxHashMap<Id, Id> = FxHashMap::default();
        let mut todo = vec![piece.start];
        while let Some(id) = todo.pop() {
            let state = self.states[id as usize];
            let copy = self.add_state(state)?;
            copies.insert(id, copy);
            if let Kind::Alternative(other) | Kind::Repeat(other) = state.kind
                && other != NONE
                && !copies.contains_key(&other)
            {
                todo.push(other);
            }
            if id != piece.end && state.next != NONE && !copies.contains_key(&state.next) {
                todo.push(state.next);
            }
        }
        for copy in copies.values() {
            let state = &mut self.states[*copy as usize];
            if let Some(next) = copies.get(&state.next) {
                state.next = *next;
            }
            if let Kind::Alternative(other) | Kind::Repeat(other) = &mut state.kind
                && let Some(known) = copies.get(other)
            {
                *other = *known;
            }
        }
        Ok(Piece {
            start: copies[&piece.start],
            end: copies[&piece.end],
        })
    }
}

/// An open parenthesis (or the whole pattern) whose content is being read.
struct Level {
    /// The piece that opens the group.
    head: Piece,
    group: u32,
    alternatives: Option<Piece>,
    sequence: Option<Piece>,
}

impl Level {
    fn open(automaton: &mut Automaton) -> Result<Self, RegexError> {
        let group = automaton.groups;
        automaton.groups += 1;
        let head = automaton.piece(Kind::Open(group))?;
        Ok(Self {
            head,
            group,
            alternatives: None,
            sequence: None,
        })
    }

    fn push(&mut self, automaton: &mut Automaton, piece: Piece) {
        match &mut self.sequence {
            Some(sequence) => automaton.append(sequence, piece),
            empty => *empty = Some(piece),
        }
    }

    /// Ends the current sequence and joins it to the alternatives read before.
    fn end_sequence(&mut self, automaton: &mut Automaton) -> Result<Piece, RegexError> {
        let tail = automaton.piece(Kind::Dummy)?;
        self.push(automaton, tail);
        let mut right = self.sequence.take().unwrap_or(tail);
        let joined = match self.alternatives.take() {
            None => right,
            Some(mut left) => {
                let end = automaton.add(Kind::Dummy)?;
                automaton.append_state(&mut left, end);
                automaton.append_state(&mut right, end);
                let start = automaton.add(Kind::Alternative(left.start))?;
                automaton.states[start as usize].next = right.start;
                Piece { start, end }
            }
        };
        self.alternatives = Some(joined);
        Ok(joined)
    }

    fn close(mut self, automaton: &mut Automaton) -> Result<Piece, RegexError> {
        let content = self.end_sequence(automaton)?;
        let mut piece = self.head;
        automaton.append(&mut piece, content);
        let end = automaton.add(Kind::Close(self.group))?;
        automaton.append_state(&mut piece, end);
        Ok(piece)
    }
}

/// Reads a pattern.
pub(super) fn parse(pattern: &[u8]) -> Result<Automaton, RegexError> {
    let mut automaton = Automaton::default();
    let mut reader = Reader { rest: pattern };
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::open(&mut automaton)?;
    while let Some(byte) = reader.next() {
        let atom = match byte {
            b'|' => {
                level.end_sequence(&mut automaton)?;
                continue;
            }
            b'^' | b'$' => {
                let kind = if byte == b'^' {
                    Kind::LineBegin
                } else {
                    Kind::LineEnd
                };
                let piece = automaton.piece(kind)?;
                level.push(&mut automaton, piece);
                continue;
            }
            b'(' => {
                outer.push(std::mem::replace(&mut level, Level::open(&mut automaton)?));
                continue;
            }
            b')' => {
                let parent = outer.pop().ok_or(RegexError::Invalid)?;
                std::mem::replace(&mut level, parent).close(&mut automaton)?
            }
            b'.' => {
                let mut any = ByteSet::ALL;
                any.remove(0);
                automaton.set_piece(any)?
            }
            b'[' => {
                let set = read_bracket(&mut reader)?;
                automaton.set_piece(set)?
            }
            b'*' | b'+' | b'?' | b'{' | 0 => return Err(RegexError::Invalid),
            b'\\' => {
                let escaped = reader
                    .next()
                    .filter(|byte| is_special(*byte))
                    .ok_or(RegexError::Invalid)?;
                automaton.set_piece(single(escaped))?
            }
            byte => automaton.set_piece(single(byte))?,
        };
        let piece = read_quantifiers(&mut reader, &mut automaton, atom)?;
        level.push(&mut automaton, piece);
    }
    if !outer.is_empty() {
        return Err(RegexError::Invalid);
    }
    let mut whole = level.close(&mut automaton)?;
    let accept = automaton.add(Kind::Accept)?;
    automaton.append_state(&mut whole, accept);
    automaton.start = whole.start;
    Ok(automaton)
}

fn single(byte: u8) -> ByteSet {
    let mut set = ByteSet::default();
    set.insert(byte);
    set
}

/// The bytes that a backslash may precede.
fn is_special(byte: u8) -> bool {
    b".[\\()*+?{|^$".contains(&byte)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn number(&mut self) -> Result<Option<i32>, RegexError> {
        let digits = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if number.is_empty() {
            return Ok(None);
        }
        number
            .iter()
            .try_fold(0_i32, |value, digit| {
                value.checked_mul(10)?.checked_add(i32::from(digit - b'0'))
            })
            .map(Some)
            .ok_or(RegexError::Invalid)
    }
}

/// The repetitions behind an atom; there may be several (`a{2}*`).
fn read_quantifiers(
    reader: &mut Reader<'_>,
    nfa: &mut Automaton,
    mut atom: Piece,
) -> Result<Piece, RegexError> {
    loop {
        if reader.eat(b'*') {
            let repeat = nfa.piece(Kind::Repeat(atom.start))?;
            nfa.append(&mut atom, repeat);
            atom = repeat;
        } else if reader.eat(b'+') {
            let repeat = nfa.piece(Kind::Repeat(atom.start))?;
            nfa.append(&mut atom, repeat);
        } else if reader.eat(b'?') {
            let end = nfa.add(Kind::Dummy)?;
            let mut repeat = nfa.piece(Kind::Repeat(atom.start))?;
            nfa.append_state(&mut atom, end);
            nfa.append_state(&mut repeat, end);
            atom = repeat;
        } else if reader.eat(b'{') {
            atom = read_count(reader, nfa, atom)?;
        } else {
            return Ok(atom);
        }
    }
}

/// The rest of `{n}`, `{n,}` or `{n,m}`.
fn read_count(
    reader: &mut Reader<'_>,
    nfa: &mut Automaton,
    atom: Piece,
) -> Result<Piece, RegexError> {
    let mut piece = nfa.piece(Kind::Dummy)?;
    let least = reader.number()?.ok_or(RegexError::Invalid)?;
    let most = if reader.eat(b',') {
        reader.number()?
    } else {
        Some(least)
    };
    if !reader.eat(b'}') {
        return Err(RegexError::Invalid);
    }
    for _ in 0..least {
        let copy = nfa.copy(atom)?;
        nfa.append(&mut piece, copy);
    }
    let Some(most) = most else {
        let mut copy = nfa.copy(atom)?;
        let repeat = nfa.add(Kind::Repeat(copy.start))?;
        nfa.append_state(&mut copy, repeat);
        nfa.append_state(&mut piece, repeat);
        return Ok(piece);
    };
    if most < least {
        return Err(RegexError::Invalid);
    }
    let end = nfa.add(Kind::Dummy)?;
    for _ in least..most {
        let copy = nfa.copy(atom)?;
        let repeat = nfa.add(Kind::Repeat(copy.start))?;
        nfa.states[repeat as usize].next = end;
        nfa.append(
            &mut piece,
            Piece {
                start: repeat,
                end: copy.end,
            },
        );
    }
    nfa.append_state(&mut piece, end);
    Ok(piece)
}

/// What stands before the current place in a bracket expression, and so may begin a range.
enum Before {
    Nothing,
    Byte(u8),
    Class,
}

/// One thing in a bracket expression.
enum Item {
    Byte(u8),
    Dash,
    End,
    Collating(Vec<u8>),
    Class(Vec<u8>),
    Equivalence(Vec<u8>),
}

/// The rest of `[…]`.
fn read_bracket(reader: &mut Reader<'_>) -> Result<ByteSet, RegexError> {
    let negated = reader.eat(b'^');
    let mut set = ByteSet::default();
    let mut before = Before::Nothing;
    // A `]` or `-` in the first place stands for itself.
    let mut item = if reader.eat(b']') {
        Item::Byte(b']')
    } else {
        read_item(reader)?
    };
    if matches!(item, Item::Dash) {
        item = Item::Byte(b'-');
    }
    loop {
        match item {
            Item::End => break,
            Item::Byte(byte) => remember(&mut set, &mut before, Before::Byte(byte)),
            Item::Collating(name) => {
                let byte = bracket::collating_element(&name).ok_or(RegexError::Invalid)?;
                set.insert(byte);
                remember(&mut set, &mut before, Before::Byte(byte));
            }
            Item::Class(name) => {
                remember(&mut set, &mut before, Before::Class);
                if !bracket::add_class(&mut set, &name) {
                    return Err(RegexError::Invalid);
                }
            }
            Item::Equivalence(name) => {
                remember(&mut set, &mut before, Before::Class);
                if !bracket::add_equivalents(&mut set, &name) {
                    return Err(RegexError::Invalid);
                }
            }
            Item::Dash => match (read_item(reader)?, &before) {
                (Item::End, _) => {
                    remember(&mut set, &mut before, Before::Byte(b'-'));
                    break;
                }
                (Item::Byte(last), Before::Byte(first)) => {
                    add_range(&mut set, *first, last)?;
                    before = Before::Nothing;
                }
                (Item::Dash, Before::Byte(first)) => {
                    add_range(&mut set, *first, b'-')?;
                    before = Before::Nothing;
                }
                _ => return Err(RegexError::Invalid),
            },
        }
        item = read_item(reader)?;
    }
    remember(&mut set, &mut before, Before::Nothing);
    Ok(if negated { set.complement() } else { set })
}

fn remember(set: &mut ByteSet, before: &mut Before, now: Before) {
    if let Before::Byte(byte) = std::mem::replace(before, now) {
        set.insert(byte);
    }
}

/// Bytes are compared as the C type `char` is where the reference runs: signed.
fn add_range(set: &mut ByteSet, first: u8, last: u8) -> Result<(), RegexError> {
    let (first, last) = (first as i8, last as i8);
    if first > last {
        return Err(RegexError::Invalid);
    }
    set.extend(|byte| (first..=last).contains(&(byte as i8)));
    Ok(())
}

fn read_item(reader: &mut Reader<'_>) -> Result<Item, RegexError> {
    Ok(match reader.next().ok_or(RegexError::Invalid)? {
        b'-' => Item::Dash,
        b']' => Item::End,
        b'[' => match reader.peek().ok_or(RegexError::Invalid)? {
            b'.' => Item::Collating(read_name(reader)?),
            b':' => Item::Class(read_name(reader)?),
            b'=' => Item::Equivalence(read_name(reader)?),
            _ => Item::Byte(b'['),
        },
        byte => Item::Byte(byte),
    })
}

/// The name in `[:name:]`, from its first delimiter on.
fn read_name(reader: &mut Reader<'_>) -> Result<Vec<u8>, RegexError> {
    let delimiter = reader.next().ok_or(RegexError::Invalid)?;
    let length = memchr::memchr(delimiter, reader.rest).ok_or(RegexError::Invalid)?;
    let name = reader.rest[..length].to_vec();
    reader.rest = &reader.rest[length + 1..];
    if reader.eat(b']') {
        Ok(name)
    } else {
        Err(RegexError::Invalid)
    }
}
