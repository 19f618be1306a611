//! The path mode: what follows the first piece of a path.

use super::{Lexer, Mode, Next};
use crate::syntax_kind::SyntaxKind as K;

impl Lexer<'_> {
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
            let start = if at < self.source.len() { at } else { self.tokens.starts.last().map_or(at, |&start| start as usize) };
            self.error(start, at.max(start), "path has a trailing slash");
        }
        self.emit(K::PathEnd, at, at);
        Next::Switch(at)
    }
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+')
}

fn run_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| !is_path_byte(byte)).unwrap_or(bytes.len())
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
