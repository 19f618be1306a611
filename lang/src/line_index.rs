//! Byte offsets to lines and columns, as C++ Nix counts them.
//!
//! LF, CR LF and CR alone end a line. Lines and columns begin at 1; a column counts bytes.

/// Where the lines of a source begin.
#[derive(Debug, Clone)]
pub struct LineIndex {
    starts: Vec<u32>,
    len: u32,
}

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineColumn {
    /// The line.
    pub line: u32,
    /// The column, in bytes.
    pub column: u32,
}

impl LineIndex {
    /// Looks through a source once.
    pub fn new(source: &[u8]) -> Self {
        let mut starts = vec![0];
        for end in memchr::memchr2_iter(b'\n', b'\r', source) {
            if source[end] == b'\r' && source.get(end + 1) == Some(&b'\n') {
                continue;
            }
            starts.push(end as u32 + 1);
        }
        LineIndex {
            starts,
            len: source.len() as u32,
        }
    }

    /// The line and column of an offset.
    pub fn line_column(&self, offset: u32) -> LineColumn {
        let line = self.starts.partition_point(|&start| start <= offset);
        LineColumn {
            line: line as u32,
            column: 1 + offset - self.starts[line - 1],
        }
    }

    /// The offset of a line and column, if the source is long enough. A column past the end of its line is moved to it.
    pub fn offset(&self, place: LineColumn) -> Option<u32> {
        let line = place.line.checked_sub(1)? as usize;
        let start = *self.starts.get(line)?;
        let end = self.starts.get(line + 1).map_or(self.len, |next| next - 1);
        Some(
            start
                .saturating_add(place.column.saturating_sub(1))
                .min(end),
        )
    }

    /// How many lines there are; one more than there are line ends.
    pub fn lines(&self) -> usize {
        self.starts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lf_cr_and_crlf_each_end_one_line() {
        let index = LineIndex::new(b"a\nb\r\nc\rd\n");
        let at = |offset| {
            let place = index.line_column(offset);
            (place.line, place.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(1), (1, 2));
        assert_eq!(at(2), (2, 1));
        assert_eq!(at(4), (2, 3));
        assert_eq!(at(5), (3, 1));
        assert_eq!(at(7), (4, 1));
        assert_eq!(at(9), (5, 1));
        assert_eq!(index.lines(), 5);
        assert_eq!(index.offset(LineColumn { line: 3, column: 1 }), Some(5));
        assert_eq!(index.offset(LineColumn { line: 6, column: 1 }), None);
    }
}
