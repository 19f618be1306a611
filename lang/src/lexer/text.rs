//! The two string modes: where text ends, what is an escape.

use super::{Lexer, Mode, Next};
use crate::syntax_kind::SyntaxKind as K;

/// What follows a piece of text.
enum After {
    /// An escape of so many bytes.
    Escape(usize),
    Interpolation,
    Close,
    Nothing,
}

impl Lexer<'_> {
    /// A string without escapes and interpolations, from behind its first quote to behind its last.
    #[inline(always)]
    pub(super) fn short_string(&mut self, start: usize) -> Option<usize> {
        let found = memchr::memchr3(b'"', b'\\', b'$', &self.source[start..])?;
        let end = start + found;
        if self.source[end] != b'"' || self.careful.is_some() {
            return None;
        }
        self.string_text(start, end);
        self.emit(K::Quote, end, end + 1);
        Some(end + 1)
    }

    /// From inside `"…"` to its end or the next interpolation.
    pub(super) fn string(&mut self, start: usize) -> Next {
        let (end, after) = self.string_end(start);
        if let Some(cut) = self.cut(Mode::String, start, end) {
            self.string_text(start, cut);
            return self.end_string_at(K::Quote, cut);
        }
        self.string_text(start, end);
        match after {
            Some(b'"') => {
                self.emit(K::Quote, end, end + 1);
                self.modes.pop();
                self.end_string();
                Next::Switch(end + 1)
            }
            Some(_) => {
                self.emit(K::DollarBrace, end, end + 2);
                self.begin_interpolation();
                self.modes.push(Mode::Plain);
                Next::Switch(end + 2)
            }
            None => self.end(self.source.len()),
        }
    }

    /// Where the text of a string ends, and with which byte what follows begins: a quote, a dollar, or nothing.
    fn string_end(&self, start: usize) -> (usize, Option<u8>) {
        let source = self.source;
        let mut at = start;
        loop {
            let Some(found) = memchr::memchr3(b'"', b'\\', b'$', &source[at..]) else {
                return (source.len(), None);
            };
            at += found;
            match (source[at], source.get(at + 1)) {
                (b'"', _) => return (at, Some(b'"')),
                (b'$', Some(b'{')) => return (at, Some(b'$')),
                (b'$', Some(b'"')) => at += 1,
                // `$\x` is one piece: the escape is not an interpolation's.
                (b'$', Some(b'\\')) if at + 2 < source.len() => at += 3,
                (b'$', Some(b'\\')) | (_, None) => return (at, None),
                _ => at += 2,
            }
        }
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
        loop {
            let (end, after) = self.indented_end(start);
            if let Some(cut) = self.cut(Mode::IndentedString, start, end) {
                self.indented_text(start, cut);
                return self.end_string_at(K::IndentedClose, cut);
            }
            self.indented_text(start, end);
            match after {
                After::Escape(len) => {
                    self.emit(K::IndentedEscape, end, end + len);
                    start = end + len;
                }
                After::Interpolation => {
                    self.emit(K::DollarBrace, end, end + 2);
                    self.begin_interpolation();
                    self.modes.push(Mode::Plain);
                    return Next::Switch(end + 2);
                }
                After::Close => {
                    self.emit(K::IndentedClose, end, end + 2);
                    self.modes.pop();
                    self.end_string();
                    return Next::Switch(end + 2);
                }
                After::Nothing => return self.end(source.len()),
            }
        }
    }

    /// Where a piece of the text of an indented string ends, and what follows.
    fn indented_end(&self, start: usize) -> (usize, After) {
        let source = self.source;
        let mut at = start;
        loop {
            let Some(found) = memchr::memchr2(b'\'', b'$', &source[at..]) else {
                return (source.len(), After::Nothing);
            };
            at += found;
            let after = match (source[at], source.get(at + 1)) {
                (b'$', Some(b'{')) => After::Interpolation,
                (b'$', Some(b'\'') | None) | (b'\'', Some(b'$') | None) => After::Escape(1),
                (b'\'', Some(b'\'')) => match (source.get(at + 2), source.get(at + 3)) {
                    (Some(b'$' | b'\''), _) => After::Escape(3),
                    // All of a character, so that a token never ends inside of one.
                    (Some(b'\\'), Some(_)) => After::Escape(3 + character_len(&source[at + 3..])),
                    _ => After::Close,
                },
                // A lone `$` or `'` takes the next byte with it, whatever that is.
                _ => {
                    at += 2;
                    continue;
                }
            };
            return (at, after);
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
