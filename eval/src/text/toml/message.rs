//! Errors with the place in the text.
//!
//! ```text
//! [error] title
//!  --> fromTOML
//!    |
//!  2 | a = 2
//!    | ^-- label
//! ```

use std::ops::Range;

/// What is wrong with a document: several lines, the first of which says it all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", String::from_utf8_lossy(.0))]
pub struct TomlError(pub Vec<u8>);

/// A place in the text with what there is to say about it.
pub(super) struct Label<'a> {
    pub(super) range: Range<usize>,
    pub(super) text: &'a str,
}

/// An error as it arises, before the text is at hand.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) title: &'static str,
    pub(super) labels: Vec<(Range<usize>, &'static str)>,
    pub(super) hints: &'static [&'static str],
}

pub(super) type Result<T> = std::result::Result<T, Box<Problem>>;

#[cold]
pub(super) fn fail<T>(title: &'static str, range: Range<usize>, label: &'static str) -> Result<T> {
    fail_with_hints(title, range, label, &[])
}

#[cold]
pub(super) fn fail_with_hints<T>(
    title: &'static str,
    range: Range<usize>,
    label: &'static str,
    hints: &'static [&'static str],
) -> Result<T> {
    Err(Box::new(Problem {
        title,
        labels: vec![(range, label)],
        hints,
    }))
}

impl Problem {
    /// The message, with excerpts of the text.
    pub(super) fn render(&self, text: &[u8]) -> TomlError {
        let lines: Vec<usize> = self
            .labels
            .iter()
            .map(|(range, _)| line_of(text, range.start).0)
            .collect();
        let width = lines.iter().max().map_or(1, |line| line.to_string().len());
        let margin = " ".repeat(width + 2);
        let mut out = format!("[error] {}\n --> fromTOML\n", self.title).into_bytes();
        for (index, (range, label)) in self.labels.iter().enumerate() {
            let label = Label {
                range: range.clone(),
                text: label,
            };
            if index > 0 {
                out.extend(format!("{margin}| ...\n").into_bytes());
            }
            out.extend(format!("{margin}|\n").into_bytes());
            excerpt(text, &label, width, &margin, &mut out);
        }
        for hint in self.hints {
            out.extend(format!("Hint: {hint}\n").into_bytes());
        }
        TomlError(out)
    }
}

/// The number of the line that holds a byte (from 1), and where it begins.
fn line_of(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let number = memchr::memchr_iter(b'\n', before).count() + 1;
    (
        number,
        before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |newline| newline + 1),
    )
}

fn excerpt(text: &[u8], label: &Label<'_>, width: usize, margin: &str, out: &mut Vec<u8>) {
    let (number, start) = line_of(text, label.range.start);
    let line = text[start..]
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    out.extend(format!(" {number:>width$} | ").into_bytes());
    for byte in line {
        show(*byte, out);
    }
    out.push(b'\n');
    let column = label.range.start.saturating_sub(start);
    let marked = label
        .range
        .len()
        .clamp(1, (line.len() + 1).saturating_sub(column).max(1));
    out.extend(
        format!(
            "{margin}| {}{}-- {}\n",
            " ".repeat(column),
            "^".repeat(marked),
            label.text
        )
        .into_bytes(),
    );
}

/// Bytes that a terminal would not show are spelled out.
fn show(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'\r' => out.extend_from_slice(b"0x0d(CARRIAGE RETURN)"),
        b'\t' => out.extend_from_slice(b"0x09(TAB)"),
        0x20..=0x7e => out.push(byte),
        byte => out.extend(format!("0x{byte:02x}").into_bytes()),
    }
}
