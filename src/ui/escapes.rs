//! Control sequences in texts of others: what builders print, and messages that quote it.
//!
//! ```text
//! ESC [ parameters intermediates final      cursor, screen; colours end in `m`
//! ESC ] text BEL, ESC P|X|^|_ text ESC \    titles, links, whatever a terminal keeps
//! ESC intermediates final                   character sets, reset
//! ```
//!
//! A sequence ends with its line at the latest, so that nothing after it can be hidden.

/// Removes control sequences and control characters; tabs become the spaces that they show as.
pub(super) fn without_escapes(text: &str) -> String {
    filter(text, Colours::Drop)
}

/// Removes all of them but colours, which end with the text.
pub(super) fn only_colours(text: &str) -> String {
    filter(text, Colours::Keep)
}

/// Is there anything to remove?
pub(super) fn has_escapes(text: &str) -> bool {
    text.contains(is_control)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colours {
    Keep,
    Drop,
}

fn is_control(char: char) -> bool {
    char.is_control() && char != '\n' && char != '\t'
}

fn filter(text: &str, colours: Colours) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut column = 0usize;
    let mut coloured = false;
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let length = match char {
            '\x1b' => sequence_length(rest),
            char => char.len_utf8(),
        };
        let (piece, after) = rest.split_at(length);
        rest = after;
        match char {
            '\x1b' if colours == Colours::Keep && is_colour(piece) => {
                clean += piece;
                coloured = !matches!(piece, "\x1b[m" | "\x1b[0m");
            }
            '\t' => {
                let width = 8 - column % 8;
                clean.extend(std::iter::repeat_n(' ', width));
                column += width;
            }
            '\n' => {
                clean.push('\n');
                column = 0;
            }
            char if is_control(char) => {}
            char => {
                clean.push(char);
                column += 1;
            }
        }
    }
    if coloured {
        clean += "\x1b[0m";
    }
    clean
}

/// How long the sequence is with which a text begins.
fn sequence_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.get(1) {
        Some(b'[') => {
            let parameters = bytes[2..].iter().take_while(|b| matches!(b, 0x20..=0x3f));
            let end = 2 + parameters.count();
            end + usize::from(matches!(bytes.get(end), Some(0x40..=0x7e)))
        }
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let body = &bytes[2..];
            let end = body.iter().enumerate().find_map(|(at, byte)| match byte {
                b'\x07' => Some(at + 1),
                b'\x1b' if body.get(at + 1) == Some(&b'\\') => Some(at + 2),
                b'\n' => Some(at),
                _ => None,
            });
            2 + end.unwrap_or(body.len())
        }
        Some(0x20..=0x2f) => {
            let intermediates = bytes[1..].iter().take_while(|b| matches!(b, 0x20..=0x2f));
            let end = 1 + intermediates.count();
            end + usize::from(matches!(bytes.get(end), Some(0x30..=0x7e)))
        }
        Some(0x30..=0x7e) => 2,
        _ => 1,
    }
}

fn is_colour(sequence: &str) -> bool {
    sequence
        .strip_prefix("\x1b[")
        .and_then(|rest| rest.strip_suffix('m'))
        .is_some_and(|codes| {
            codes
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b';' | b':'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_cursor_movements_do_not_reach_log_files() {
        for (text, clean) in [
            ("\x1b[31;1mred\x1b[0m\r plain\x1b[2K", "red plain"),
            ("\x1b[", ""),
            ("a\tb\n\tc", "a       b\n        c"),
            (
                "\x1b]0;title\x07on \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
                "on link",
            ),
            (
                "\x1b(Bset \x1bcreset \x1b7\x08\x0e\u{9b}31m",
                "set reset 31m",
            ),
        ] {
            assert_eq!(without_escapes(text), clean, "{text:?}");
        }
    }

    #[test]
    fn a_sequence_without_end_hides_no_other_line() {
        assert_eq!(without_escapes("\x1b]0;no end"), "");
        assert_eq!(without_escapes("a\x1b]0;no end\nb"), "a\nb");
        assert_eq!(without_escapes("a\x1bP\nb\x1b[31\nc\x1b"), "a\nb\nc");
        assert_eq!(without_escapes("\x1b[31äb"), "äb");
        assert_eq!(without_escapes("\x1bä"), "ä");
    }

    #[test]
    fn colours_on_a_terminal_end_with_their_text_and_nothing_else_moves() {
        for (text, clean) in [
            ("\x1b[1mbold", "\x1b[1mbold\x1b[0m"),
            ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
            ("\x1b[38:2::1:2:3mred\x1b[m", "\x1b[38:2::1:2:3mred\x1b[m"),
            ("\x1b[2J\x1b[Hcleared\x07", "cleared"),
            ("\x1b[?25lhidden\x1b[>4;2m", "hidden"),
        ] {
            assert_eq!(only_colours(text), clean, "{text:?}");
        }
    }

    #[test]
    fn plain_texts_have_nothing_to_remove() {
        assert!(!has_escapes("plain\n\ttext ä"));
        assert!(has_escapes("bell\x07"));
        assert!(has_escapes("\x1b[1m"));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_moves_a_cursor_is_left(text in "[\\x00-\\x7f\u{80}-\u{9f}ä\\x1b\\[\\]m0-9;]{0,40}") {
            assert!(!has_escapes(&without_escapes(&text)));
            let mut rest = only_colours(&text);
            while let Some(at) = rest.find('\x1b') {
                let length = sequence_length(&rest[at..]);
                assert!(is_colour(&rest[at..at + length]), "{text:?}");
                rest.replace_range(at..at + length, "");
            }
            assert!(!has_escapes(&rest));
        }
    }
}
