//! The two string modes: where text ends, what is an escape.

use super::{Lexer, Mode, Next};
use crate::syntax_kind::SyntaxKind as K;

impl Lexer<'_> {
    /// A string without escapes and interpolations, from behind its first quote to behind its last.
    #[inline(always)]
    pub(super) fn short_string(&mut self, start: usize) -> Option<usize> {
        let found = memchr::memchr3(b'"', b'\\', b'$', &self.source[start..])?;
        let end = start + found;
        if self.source[end] != b'"' {
            return None;
        }
        self.string_text(start, end);
        self.emit(K::Quote, end, end + 1);
        Some(end + 1)
    }

    /// From inside `"…"` to its end or the next interpolation.
    pub(super) fn string(&mut self, start: usize) -> Next {
        let source = self.source;
        let mut at = start;
        loop {
            let Some(found) = memchr::memchr3(b'"', b'\\', b'$', &source[at..]) else {
                return self.open_string(start, source.len());
            };
            at += found;
            match (source[at], source.get(at + 1)) {
                (b'"', _) => {
                    self.string_text(start, at);
                    self.emit(K::Quote, at, at + 1);
                    self.modes.pop();
                    return Next::Switch(at + 1);
                }
                (b'$', Some(b'{')) => {
                    self.string_text(start, at);
                    self.emit(K::DollarBrace, at, at + 2);
                    self.modes.push(Mode::Plain);
                    return Next::Switch(at + 2);
                }
                (b'$', Some(b'"')) => at += 1,
                // `$\x` is one piece: the escape is not an interpolation's.
                (b'$', Some(b'\\')) if at + 2 < source.len() => at += 3,
                (b'$', Some(b'\\')) | (_, None) => return self.open_string(start, at),
                _ => at += 2,
            }
        }
    }

    /// The source ended in a string whose text ended at `text_end`.
    fn open_string(&mut self, start: usize, text_end: usize) -> Next {
        self.string_text(start, text_end);
        self.end(self.source.len())
    }

    fn string_text(&mut self, start: usize, end: usize) {
        if start < end {
            self.emit(K::StringText, start, end);
        }
    }

    /// From inside `''…''` to its end or the next interpolation.
    pub(super) fn indented_string(&mut self, start: usize) -> Next {
        let source = self.source;
        let mut start = start;
        let mut at = start;
        loop {
            let Some(found) = memchr::memchr2(b'\'', b'$', &source[at..]) else {
                self.indented_text(start, source.len());
                return self.end(source.len());
            };
            at += found;
            let escape = match (source[at], source.get(at + 1)) {
                (b'$', Some(b'{')) => {
                    self.indented_text(start, at);
                    self.emit(K::DollarBrace, at, at + 2);
                    self.modes.push(Mode::Plain);
                    return Next::Switch(at + 2);
                }
                (b'$', Some(b'\'') | None) | (b'\'', Some(b'$') | None) => 1,
                (b'\'', Some(b'\'')) => match (source.get(at + 2), source.get(at + 3)) {
                    (Some(b'$' | b'\''), _) => 3,
                    // All of a character, so that a token never ends inside of one.
                    (Some(b'\\'), Some(_)) => 3 + character_len(&source[at + 3..]),
                    _ => {
                        self.indented_text(start, at);
                        self.emit(K::IndentedClose, at, at + 2);
                        self.modes.pop();
                        return Next::Switch(at + 2);
                    }
                },
                // A lone `$` or `'` takes the next byte with it, whatever that is.
                _ => {
                    at += 2;
                    continue;
                }
            };
            self.indented_text(start, at);
            self.emit(K::IndentedEscape, at, at + escape);
            at += escape;
            start = at;
        }
    }

    fn indented_text(&mut self, start: usize, end: usize) {
        if start < end {
            self.emit(K::IndentedText, start, end);
        }
    }
}

/// The length of the UTF-8 character at the beginning; 1 if there is none.
pub(super) fn character_len(bytes: &[u8]) -> usize {
    if bytes.first().is_none_or(u8::is_ascii) {
        return 1;
    }
    let first = bytes[..bytes.len().min(4)].utf8_chunks().next();
    first
        .and_then(|chunk| chunk.valid().chars().next())
        .map_or(1, char::len_utf8)
}
