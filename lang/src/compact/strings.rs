//! Strings: escapes, indentation, interpolation.

use super::{Compact, Item, Mark};
use crate::ast::{Expr, Part, Text};
use crate::diagnostic::Diagnostic;
use crate::symbol::Symbols;

/// More indentation than this is not looked for.
const NO_INDENTATION: usize = 1_000_000;

/// Whether only spaces came since the line began, and how many.
#[derive(Default)]
struct LineStart {
    here: bool,
    dropped: usize,
}

impl Compact<'_> {
    /// A piece of `"…"`, unescaped: `\n`, `\r`, `\t`, any other escaped byte as it is; CR and CR LF become LF.
    #[inline(always)]
    pub(super) fn string_text(&mut self, start: u32, end: u32) {
        let source = &self.source[start as usize..end as usize];
        let begin = self.ast.text.len();
        if memchr::memchr3(b'\\', b'\r', 0, source).is_some() {
            self.unescape(source, start, end);
        } else {
            self.ast.text.extend_from_slice(source);
        }
        let text = Text {
            start: begin as u32,
            len: (self.ast.text.len() - begin) as u32,
        };
        self.items.push(Item::Text {
            text,
            offset: start,
        });
    }

    fn unescape(&mut self, source: &[u8], start: u32, end: u32) {
        let mut rest = source;
        while let Some(found) = memchr::memchr3(b'\\', b'\r', 0, rest) {
            self.ast.text.extend_from_slice(&rest[..found]);
            let next = rest.get(found + 1).copied();
            let taken = match (rest[found], next) {
                (b'\\', Some(escaped)) => {
                    self.ast.text.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => other,
                    });
                    2
                }
                (b'\r', next) => {
                    self.ast.text.push(b'\n');
                    1 + usize::from(next == Some(b'\n'))
                }
                (0, _) => {
                    self.null_byte(source, start, end);
                    1
                }
                _ => 1,
            };
            rest = &rest[found + taken..];
        }
        self.ast.text.extend_from_slice(rest);
    }

    #[cold]
    fn null_byte(&mut self, text: &[u8], start: u32, end: u32) {
        if self.errors.last().is_some_and(|&(at, _)| at == start) {
            return;
        }
        let shown = String::from_utf8_lossy(text).replace('\0', "␀");
        let message = format!(
            "input string '{shown}' cannot be represented as Nix string because it contains null bytes"
        );
        self.error(start, Diagnostic::error(start..end, message));
    }

    /// The items above the mark as an expression: text alone is a string, else there are parts.
    #[inline(always)]
    pub(super) fn string_node(&mut self, mark: Mark) {
        let index = mark.items as usize;
        let expr = match self.items[index.min(self.items.len())..] {
            [] => Expr::Str(Text::default()),
            [Item::Text { text, .. }] => Expr::Str(text),
            _ => Expr::Interp(self.collect_parts(index)),
        };
        self.replace(mark.items, expr, mark.start);
    }

    fn collect_parts(&mut self, index: usize) -> crate::ast::Parts {
        let start = self.ast.parts.len();
        for index in index..self.items.len() {
            match self.items[index] {
                Item::Text { text, offset } => {
                    let id = self.add(Expr::Str(text), offset);
                    self.push_part(offset, id);
                }
                Item::Part { expr, offset } => self.push_part(offset, expr),
                _ => {}
            }
        }
        self.parts_from(start)
    }

    /// A path: alone, or with interpolations.
    pub(super) fn path_node(&mut self, mark: Mark) {
        let index = mark.items as usize;
        let first = self.expr_at(index);
        if self.items.len() == index + 1 {
            return;
        }
        let start = self.ast.parts.len();
        self.push_part(mark.start, first);
        self.collect_parts(index + 1);
        let parts = self.parts_from(start);
        self.replace(mark.items, Expr::PathInterp(parts), mark.start);
    }

    /// `"…"` as a name: known now unless it has interpolations.
    pub(super) fn string_name(&mut self, mark: Mark) {
        self.string_node(mark);
        self.name_from_expression(mark);
    }

    /// `${…}` as a name: known now if it is a string without interpolations.
    pub(super) fn dynamic_name(&mut self, mark: Mark) {
        self.name_from_expression(mark);
    }

    fn name_from_expression(&mut self, mark: Mark) {
        let expr = self.expr_at(mark.items as usize);
        self.items.truncate(mark.items as usize);
        let item = match self.ast.expr(expr) {
            Expr::Str(text) => Item::Name {
                symbol: Symbols::global().intern(self.ast.text(text)),
                offset: mark.start,
            },
            _ => Item::Dynamic {
                expr,
                offset: mark.start,
            },
        };
        self.items.push(item);
    }

    /// `''…''`: the indentation that all lines share is taken away.
    pub(super) fn indented_node(&mut self, mark: Mark) {
        let index = (mark.items as usize).min(self.items.len());
        let indentation = self.shared_indentation(index);
        let first_part = self.ast.parts.len();
        let mut line = LineStart {
            here: true,
            dropped: 0,
        };
        let count = self.items.len();
        for position in index..count {
            match self.items[position] {
                Item::Part { expr, offset } => {
                    line = LineStart::default();
                    self.push_part(offset, expr);
                }
                Item::Indented { start, end, escape } => {
                    let begin = self.ast.text.len();
                    if escape {
                        self.indented_escape(start, end, indentation, &mut line);
                    } else {
                        self.strip(start, end, indentation, &mut line);
                    }
                    if position + 1 == count {
                        self.drop_blank_last_line(begin);
                    }
                    let len = self.ast.text.len() - begin;
                    if len > 0 {
                        let id = self.add(
                            Expr::Str(Text {
                                start: begin as u32,
                                len: len as u32,
                            }),
                            start,
                        );
                        self.push_part(start, id);
                    }
                }
                _ => {}
            }
        }
        self.items.truncate(index);
        let parts = self.parts_from(first_part);
        match *self.ast.parts(parts) {
            [] => self.push(Expr::Str(Text::default()), mark.start),
            [Part { expr, .. }] if matches!(self.ast.expr(expr), Expr::Str(_)) => {
                self.ast.parts.truncate(first_part);
                self.items.push(Item::Expr(expr));
            }
            _ => self.push(Expr::Interp(parts), mark.start),
        }
    }

    /// The least number of spaces before the first other character of a line. Lines of spaces alone do not count;
    /// an interpolation or an escape is such a character.
    fn shared_indentation(&self, index: usize) -> usize {
        let mut least = NO_INDENTATION;
        let mut current = 0;
        let mut at_line_start = true;
        for item in &self.items[index..] {
            let Item::Indented {
                start,
                end,
                escape: false,
            } = *item
            else {
                if at_line_start {
                    at_line_start = false;
                    least = least.min(current);
                }
                continue;
            };
            let mut rest = &self.source[start as usize..end as usize];
            loop {
                if !at_line_start {
                    match memchr::memchr(b'\n', rest) {
                        Some(found) => rest = &rest[found + 1..],
                        None => break,
                    }
                    at_line_start = true;
                    current = 0;
                }
                let spaces = rest
                    .iter()
                    .position(|&byte| byte != b' ')
                    .unwrap_or(rest.len());
                current += spaces;
                rest = &rest[spaces..];
                match rest.first() {
                    None => break,
                    Some(b'\n') => {
                        current = 0;
                        rest = &rest[1..];
                    }
                    Some(_) => {
                        at_line_start = false;
                        least = least.min(current);
                    }
                }
            }
        }
        least
    }

    /// Copies text without the indentation.
    fn strip(&mut self, start: u32, end: u32, indentation: usize, line: &mut LineStart) {
        let mut rest = &self.source[start as usize..end as usize];
        if memchr::memchr(0, rest).is_some() {
            self.null_byte(rest, start, end);
        }
        while !rest.is_empty() {
            if line.here {
                let spaces = rest
                    .iter()
                    .position(|&byte| byte != b' ')
                    .unwrap_or(rest.len());
                let dropped = spaces.min(indentation.saturating_sub(line.dropped));
                self.ast.text.extend_from_slice(&rest[dropped..spaces]);
                line.dropped += spaces;
                rest = &rest[spaces..];
                if rest.is_empty() {
                    return;
                }
            }
            let len = memchr::memchr(b'\n', rest).map_or(rest.len(), |found| found + 1);
            self.ast.text.extend_from_slice(&rest[..len]);
            *line = LineStart {
                here: rest[len - 1] == b'\n',
                dropped: 0,
            };
            rest = &rest[len..];
        }
    }

    /// `''$`, `'''`, `''\x`, or a lone `$` or `'`. What it stands for is stripped like other text.
    fn indented_escape(&mut self, start: u32, end: u32, indentation: usize, line: &mut LineStart) {
        let source = self.source;
        let begin = self.ast.text.len();
        match &source[start as usize..end as usize] {
            b"'''" => self.ast.text.extend_from_slice(b"''"),
            [b'\'', b'\'', escaped @ ..] if escaped.len() > 1 => self.unescape(escaped, start, end),
            [.., last] => self.ast.text.push(*last),
            [] => {}
        }
        match self.ast.text.last() {
            Some(b' ') if line.here => {
                if line.dropped < indentation {
                    self.ast.text.truncate(begin);
                }
                line.dropped += 1;
            }
            last => {
                *line = LineStart {
                    here: last == Some(&b'\n'),
                    dropped: 0,
                }
            }
        }
    }

    /// A last line of spaces alone goes, its line end stays.
    fn drop_blank_last_line(&mut self, begin: usize) {
        let text = &self.ast.text[begin..];
        let trimmed = text.len() - text.iter().rev().take_while(|&&byte| byte == b' ').count();
        if trimmed > 0 && text[trimmed - 1] == b'\n' {
            self.ast.text.truncate(begin + trimmed);
        }
    }
}
