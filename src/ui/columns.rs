//! How many columns of a terminal a text takes, and as much of it as fits.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that a text takes: some signs take two, some none.
pub(super) fn columns_of(text: &str) -> usize {
    text.width()
}

/// As much of a text as fits into so many columns; what is cut off shows.
pub(super) fn clip(text: &str, columns: usize) -> String {
    if columns_of(text) <= columns {
        return text.to_owned();
    }
    let mut left = match columns.checked_sub(1) {
        Some(left) => left,
        None => return String::new(),
    };
    let fitting = text.chars().take_while(|char| {
        let needed = char.width().unwrap_or(0);
        let fits = needed <= left;
        left = left.saturating_sub(needed);
        fits
    });
    let mut clipped: String = fitting.collect();
    clipped.push('…');
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_terminal() {
        for (text, columns, shown) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("äöüß", 3, "äö…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("e\u{301}e\u{301}", 2, "e\u{301}e\u{301}"),
            ("ab", 0, ""),
        ] {
            assert_eq!(clip(text, columns), shown, "{text} in {columns}");
        }
    }
}
