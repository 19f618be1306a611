//! Reading strings of which the end was forgotten.
//!
//! A forgotten quote makes text of the program and a program of the text, up to the end of the file. So a program that is wrong
//! is read a second time, and by its lines: what plainly belongs behind a string ends it.
//!
//! - A string ends with a line, if the next one begins a binding or closes a bracket where the line of the first quote begins.
//! - A quote in an interpolation ends the string around it, if that began in the same line and no other quote follows there.
//! - An indented string ends before a binding or closing bracket that stands where the line with its begin does.
//! - `''` alone at the begin of a line, in an interpolation of an indented string, ends that string: the interpolation ended
//!   with the name that it began with.
//!
//! In place of what is missing comes a token of no length.

use super::{Lexer, Mode, Next};
use crate::syntax_kind::SyntaxKind as K;

/// Lines are looked at so far, in both directions.
const WIDTH: usize = 1024;
/// After so many repairs, the rest is read as it stands.
const MOST: usize = 100;

/// Something that the program lacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Missing {
    /// The token.
    pub(crate) what: K,
    /// Where it should stand.
    pub(crate) at: u32,
    /// Where that begins which it should end.
    pub(crate) open: u32,
}

/// What is known of the strings around.
#[derive(Default)]
pub(super) struct Careful {
    open: Vec<Open>,
    pub(super) missing: Vec<Missing>,
}

/// A string that is being read.
#[derive(Clone, Copy)]
struct Open {
    /// Where it begins.
    at: usize,
    /// How many modes there are with its own.
    modes: usize,
    /// The token of its last `${`.
    interpolation: usize,
}

impl Lexer<'_> {
    /// Notes that a string begins with the last token; unless that ends the string around it, then goes on behind that one.
    pub(super) fn begin_string(&mut self, mode: Mode) -> Option<Next> {
        let at = self
            .tokens
            .list
            .last()
            .map_or(0, |token| token.start as usize);
        let modes = self.modes.len() + 1;
        let careful = self.careful.as_mut()?;
        let around = careful.open.last().copied();
        if let Some(open) = around.filter(|_| careful.missing.len() < MOST)
            && self.modes.get(open.modes - 1) == Some(&mode)
        {
            if mode == Mode::String && self.is_last_quote_of_line(open.at, at) {
                return Some(self.end_string_around(open, at));
            }
            if mode == Mode::IndentedString && self.closes_by_its_place(open.at, at) {
                return Some(self.end_interpolation_early(open));
            }
        }
        let open = Open {
            at,
            modes,
            interpolation: 0,
        };
        self.careful.as_mut()?.open.push(open);
        None
    }

    /// Notes that the last token begins an interpolation.
    pub(super) fn begin_interpolation(&mut self) {
        let token = self.tokens.list.len() - 1;
        if let Some(open) = self.careful.as_mut().and_then(|all| all.open.last_mut()) {
            open.interpolation = token;
        }
    }

    /// Notes that a string ends.
    pub(super) fn end_string(&mut self) {
        if let Some(careful) = &mut self.careful {
            careful.open.pop();
        }
    }

    /// Where a string ends that has this text and more, if it should end there.
    pub(super) fn cut(&self, mode: Mode, start: usize, end: usize) -> Option<usize> {
        let careful = self.careful.as_ref()?;
        let open = careful.open.last()?.at;
        if careful.missing.len() >= MOST {
            return None;
        }
        let text = &self.source[start..end];
        memchr::memchr_iter(b'\n', text).find_map(|found| {
            let line = Line::after(self.source, start + found + 1)?;
            match mode {
                Mode::String if self.is_behind_string(open, &line) => {
                    Some(start + without_closers(&text[..found]))
                }
                Mode::IndentedString if self.is_behind_indented_string(open, &line) => {
                    Some(start + text[..found].trim_ascii_end().len())
                }
                _ => None,
            }
        })
    }

    /// Ends a string where [`cut`](Self::cut) says.
    pub(super) fn end_string_at(&mut self, what: K, at: usize) -> Next {
        self.emit(what, at, at);
        self.modes.pop();
        if let Some(careful) = &mut self.careful
            && let Some(open) = careful.open.pop()
        {
            careful.missing.push(Missing {
                what,
                at: at as u32,
                open: open.at as u32,
            });
        }
        Next::Switch(at)
    }

    fn is_last_quote_of_line(&self, open: usize, quote: usize) -> bool {
        memchr::memchr2(b'\n', b'"', &self.source[quote + 1..])
            .is_none_or(|next| self.source[quote + 1 + next] == b'\n')
            && memchr::memchr(b'\n', &self.source[open..quote]).is_none()
    }

    fn end_string_around(&mut self, open: Open, quote: usize) -> Next {
        let interpolation = self.tokens.list[open.interpolation].start;
        self.tokens.list.pop();
        for mode in self.modes.split_off(open.modes) {
            if mode == Mode::Plain {
                self.emit(K::RightBrace, quote, quote);
            }
        }
        self.miss(K::RightBrace, quote, interpolation);
        self.emit(K::Quote, quote, quote + 1);
        self.modes.pop();
        self.end_string();
        Next::Switch(quote + 1)
    }

    fn closes_by_its_place(&self, open: usize, at: usize) -> bool {
        let line = Line::of(self.source, at);
        line.start == at && line.indentation <= Line::of(self.source, open).indentation
    }

    /// Goes back to the names after the `${` and reads what follows as text.
    fn end_interpolation_early(&mut self, open: Open) -> Next {
        let list = &mut self.tokens.list;
        let mut last = open.interpolation;
        while let Some(next) = list.get(last + 1)
            && matches!(next.kind, K::Ident | K::Dot)
            && next.start == list[last].end
        {
            last += 1;
        }
        list.truncate(last + 1);
        let (interpolation, end) = (list[open.interpolation].start, list[last].end);
        self.tokens.docs.retain(|doc| doc.0 < end);
        self.tokens.errors.retain(|error| error.range.start < end);
        if let Some(careful) = &mut self.careful {
            careful.missing.retain(|missing| missing.at < end);
        }
        self.modes.truncate(open.modes);
        self.emit(K::RightBrace, end as usize, end as usize);
        self.miss(K::RightBrace, end as usize, interpolation);
        Next::Switch(end as usize)
    }

    fn miss(&mut self, what: K, at: usize, open: u32) {
        if let Some(careful) = &mut self.careful {
            careful.missing.push(Missing {
                what,
                at: at as u32,
                open,
            });
        }
    }

    fn is_behind_string(&self, open: usize, line: &Line<'_>) -> bool {
        let first = Line::of(self.source, open);
        let same = line.indentation == first.indentation;
        (line.closes() && line.indentation <= first.indentation)
            || (same && line.binds())
            // The next of the strings of a list.
            || (same && first.start == open && line.text.starts_with(b"\""))
    }

    fn is_behind_indented_string(&self, open: usize, line: &Line<'_>) -> bool {
        let first = Line::of(self.source, open);
        let goes_on = line.text.trim_ascii_end();
        (line.indentation <= first.indentation && line.text.starts_with(b";"))
            || (line.indentation < first.indentation && line.text.starts_with(b"}"))
            || (line.indentation == first.indentation
                && line.binds()
                && (goes_on.ends_with(b"''") || matches!(goes_on.last(), Some(b';' | b'{' | b'['))))
    }
}

/// A line of the program.
struct Line<'a> {
    indentation: usize,
    /// Where it begins, without the indentation.
    start: usize,
    /// What follows.
    text: &'a [u8],
}

impl Line<'_> {
    /// The line around an offset.
    fn of(source: &[u8], at: usize) -> Line<'_> {
        let from = at.saturating_sub(WIDTH);
        let begin =
            memchr::memrchr(b'\n', &source[from..at]).map_or(from, |found| from + found + 1);
        Line::beginning_at(source, begin)
    }

    /// The first line from this begin of one on that is not empty.
    fn after(source: &[u8], begin: usize) -> Option<Line<'_>> {
        let blank = source[begin..]
            .iter()
            .position(|byte| !byte.is_ascii_whitespace())?;
        Some(Line::of(source, begin + blank))
    }

    fn beginning_at(source: &[u8], begin: usize) -> Line<'_> {
        let rest = &source[begin..source.len().min(begin + 2 * WIDTH)];
        let indentation = rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t'))
            .unwrap_or(rest.len());
        let rest = &rest[indentation..];
        let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        Line {
            indentation,
            start: begin + indentation,
            text: &rest[..len],
        }
    }

    /// Whether it begins with the end of something.
    fn closes(&self) -> bool {
        matches!(self.text.first(), Some(b'}' | b']' | b')'))
            || self.text.trim_ascii_end() == b"in"
            || self.text.starts_with(b"in ")
    }

    /// Whether it looks like `name = …`, perhaps with the colon of another language, or `inherit …`.
    fn binds(&self) -> bool {
        if self.text.starts_with(b"inherit ") || self.text.starts_with(b"inherit(") {
            return true;
        }
        let Some(sign) = memchr::memchr2(b'=', b':', self.text) else {
            return false;
        };
        let name = self.text[..sign].trim_ascii_end();
        let after = self.text.get(sign + 1);
        let spaced = after == Some(&b' ') || (self.text[sign] == b'=' && name.len() < sign);
        let is_name_byte = |byte: &u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'-' | b'\'' | b'.' | b'"' | b'$' | b'{' | b'}')
        };
        spaced
            && after != Some(&b'=')
            && name
                .first()
                .is_some_and(|byte| !byte.is_ascii_digit() && *byte != b'-' && *byte != b'.')
            && name.iter().all(is_name_byte)
    }
}

/// The length of the last line of a string without what closes the constructs around it: `;`, and brackets that are not opened
/// in it.
fn without_closers(text: &[u8]) -> usize {
    let mut rest = text.trim_ascii_end();
    if let Some(before) = rest.strip_suffix(b";") {
        rest = before.trim_ascii_end();
    }
    let line = memchr::memrchr(b'\n', rest).map_or(0, |found| found + 1);
    while let [before @ .., last @ (b')' | b']' | b'}')] = rest
        && before.len() >= line
    {
        let opener = match last {
            b')' => b'(',
            b']' => b'[',
            _ => b'{',
        };
        let count = |byte| rest[line..].iter().filter(|&&one| one == byte).count();
        if count(*last) <= count(opener) {
            break;
        }
        rest = before.trim_ascii_end();
    }
    rest.len()
}
