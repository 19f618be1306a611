//! Paths and URIs: whether a word begins one, and the path mode, for what follows the first piece of a path.

use super::{Lexer, Mode, Next};
use crate::syntax_kind::SyntaxKind as K;

impl Lexer<'_> {
    /// Whether the bytes after a token could make a path or URI of it.
    #[inline(always)]
    pub(super) fn continues(&self, start: usize, end: usize) -> bool {
        self.source
            .get(end)
            .is_some_and(|&byte| CLASS[byte as usize] & CONTINUES != 0)
            && CLASS[self.source[start] as usize] & PATH != 0
    }

    /// The path or URI that begins at `start`, which is longer than any other token there.
    pub(super) fn longer_token(&mut self, start: usize) -> Option<(K, usize)> {
        let source = self.source;
        if !self.path_run.contains(&start) {
            self.path_run = start..start + run_len(&source[start..]);
        }
        let slash = self.path_run.end;
        if source.get(slash) == Some(&b'/') {
            let rest = &source[slash + 1..];
            if rest.first().is_some_and(|&byte| is_path_byte(byte)) {
                return Some((K::Path, slash + piece_len(&source[slash..])));
            }
            if rest.starts_with(b"${") {
                return Some((K::Path, slash + 1));
            }
        }
        if !source[start].is_ascii_alphabetic() {
            return None;
        }
        if !self.scheme_run.contains(&start) {
            let len = source[start..]
                .iter()
                .position(|&byte| CLASS[byte as usize] & SCHEME == 0);
            self.scheme_run = start..len.map_or(source.len(), |len| start + len);
        }
        let colon = self.scheme_run.end;
        if source.get(colon) != Some(&b':') {
            return None;
        }
        let rest = &source[colon + 1..];
        let len = rest
            .iter()
            .position(|&byte| CLASS[byte as usize] & URI == 0)
            .unwrap_or(rest.len());
        (len > 0).then_some((K::Uri, colon + 1 + len))
    }

    /// Goes on with a path. `slash`: the piece before ends with a slash, which may not be the end of the path.
    pub(super) fn path(&mut self, from: usize, slash: bool) -> Next {
        if self.modes.last() == Some(&Mode::Path) {
            self.modes.pop();
        }
        let (mut at, mut slash) = (from, slash);
        loop {
            if self.source[at..].starts_with(b"${") {
                self.emit(K::DollarBrace, at, at + 2);
                self.modes.push(Mode::Path);
                self.modes.push(Mode::Plain);
                return Next::Switch(at + 2);
            }
            let piece = piece_len(&self.source[at..]);
            if piece == 0 {
                break;
            }
            self.emit(K::PathText, at, at + piece);
            at += piece;
            slash = self.source[at - 1] == b'/';
        }
        if slash {
            let start = if at < self.source.len() {
                at
            } else {
                self.tokens
                    .list
                    .last()
                    .map_or(at, |token| token.start as usize)
            };
            self.error(start, at.max(start), "path has a trailing slash");
        }
        self.emit(K::PathEnd, at, at);
        Next::Switch(at)
    }
}

/// Bytes of paths.
const PATH: u8 = 1;
/// Bytes of the scheme of a URI.
const SCHEME: u8 = 2;
/// Bytes of the rest of a URI.
const URI: u8 = 4;
/// Bytes after which a word can still become a path or URI.
const CONTINUES: u8 = 8;

const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        if character.is_ascii_alphanumeric() {
            table[byte] = PATH | SCHEME | URI | CONTINUES;
        } else {
            table[byte] = match character {
                b'.' | b'-' | b'+' => PATH | SCHEME | URI | CONTINUES,
                b'_' => PATH | URI | CONTINUES,
                b'/' | b':' => URI | CONTINUES,
                b'%' | b'?' | b'@' | b'&' | b'=' | b'$' | b',' | b'!' | b'~' | b'*' | b'\'' => URI,
                _ => 0,
            };
        }
        byte += 1;
    }
    table
};

fn is_path_byte(byte: u8) -> bool {
    CLASS[byte as usize] & PATH != 0
}

fn run_len(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|&byte| !is_path_byte(byte))
        .unwrap_or(bytes.len())
}

/// The longest of: path characters; those and a slash; a whole path.
fn piece_len(bytes: &[u8]) -> usize {
    let mut len = run_len(bytes);
    while bytes.get(len) == Some(&b'/') {
        let run = run_len(&bytes[len + 1..]);
        if run == 0 {
            return len + 1;
        }
        len += 1 + run;
    }
    len
}
