//! Spaces and comments: what lies between tokens.

use std::ops::Range;

use crate::syntax_kind::SyntaxKind as K;

/// Where a block comment that begins at `start` ends, if it does.
pub fn block_comment_end(source: &[u8], start: usize) -> Option<usize> {
    let body = start + 2;
    memchr::memmem::find(source.get(body..)?, b"*/").map(|found| body + found + 2)
}

/// How many spaces, tabs and line ends come first.
#[inline(always)]
pub(super) fn spaces(source: &[u8]) -> usize {
    let mut len = 0;
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = source.get(len) {
        len += 1;
    }
    len
}

/// Whether a block comment documents what follows: `/** …`, but neither `/**/` nor `/***`.
pub fn is_doc_comment(comment: &[u8]) -> bool {
    comment.starts_with(b"/**") && !matches!(comment.get(3), None | Some(b'/' | b'*'))
}

/// Splits the gap between two tokens into its spaces and comments.
pub fn split(source: &[u8], gap: Range<usize>) -> impl Iterator<Item = (K, Range<usize>)> + '_ {
    let mut at = gap.start;
    std::iter::from_fn(move || {
        let rest = source.get(at..gap.end).filter(|rest| !rest.is_empty())?;
        let (kind, len) = match rest[0] {
            b' ' | b'\t' | b'\r' | b'\n' => {
                let len = rest
                    .iter()
                    .position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
                (K::Whitespace, len.unwrap_or(rest.len()))
            }
            b'#' => (
                K::LineComment,
                memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()),
            ),
            b'/' => (
                K::BlockComment,
                block_comment_end(rest, 0).unwrap_or(rest.len()),
            ),
            // After a NUL, or where reading stopped: all that is left, in one piece.
            _ => (K::Invalid, rest.len()),
        };
        let start = at;
        at += len;
        Some((kind, start..at))
    })
}
