//! Colours for what is being typed, from the lexer's tokens.

use rx_lang::ParseOptions;
use rx_lang::SyntaxKind as K;
use rx_lang::lexer::{lex, trivia};

const KEYWORD: &str = "35;1";
const STRING: &str = "32";
const NUMBER: &str = "36";
const PATH: &str = "33";
const COMMENT: &str = "2";
const CONSTANT: &str = "36;1";
const INVALID: &str = "31";
const COMMAND: &str = "34;1";
const BUILTIN: &str = "34";

/// The line with colours. A command at its beginning has one of its own.
pub(super) fn highlight(
    line: &str,
    options: &ParseOptions<'_>,
    is_builtin: impl Fn(&str) -> bool,
) -> String {
    let mut out = String::with_capacity(line.len() * 2);
    let trimmed = line.trim_start();
    let start = line.len() - trimmed.len();
    let code = if trimmed.starts_with(':') {
        let end = trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
        out += &line[..start];
        paint(&mut out, COMMAND, &trimmed[..end]);
        &trimmed[end..]
    } else {
        line
    };
    let bytes = code.as_bytes();
    let tokens = lex(bytes, options);
    let mut at = 0;
    for token in &tokens.list {
        let (from, to) = (token.start as usize, token.end as usize);
        if from > at {
            gap(&mut out, code, at..from);
            at = from;
        }
        let from = from.max(at);
        if to <= from {
            continue;
        }
        let text = slice(code, from..to);
        match colour(token.kind, text, &is_builtin) {
            Some(colour) => paint(&mut out, colour, text),
            None => out += text,
        }
        at = to;
    }
    gap(&mut out, code, at..code.len());
    out
}

/// Spaces and comments.
fn gap(out: &mut String, code: &str, range: std::ops::Range<usize>) {
    for (kind, part) in trivia::split(code.as_bytes(), range) {
        let text = slice(code, part);
        match kind {
            K::LineComment | K::BlockComment => paint(out, COMMENT, text),
            _ => *out += text,
        }
    }
}

/// A part of the text; tokens of a text that is UTF-8 end between characters.
fn slice(code: &str, range: std::ops::Range<usize>) -> &str {
    code.get(range).unwrap_or_default()
}

fn paint(out: &mut String, colour: &str, text: &str) {
    *out += "\x1b[";
    *out += colour;
    out.push('m');
    *out += text;
    *out += "\x1b[0m";
}

fn colour(kind: K, text: &str, is_builtin: impl Fn(&str) -> bool) -> Option<&'static str> {
    Some(match kind {
        K::If
        | K::Then
        | K::Else
        | K::Assert
        | K::With
        | K::Let
        | K::In
        | K::Rec
        | K::Inherit
        | K::Or => KEYWORD,
        K::StringText
        | K::IndentedText
        | K::IndentedEscape
        | K::Quote
        | K::IndentedOpen
        | K::IndentedClose
        | K::Uri => STRING,
        K::Integer | K::Float => NUMBER,
        K::Path | K::HomePath | K::SearchPath | K::PathText => PATH,
        K::Invalid => INVALID,
        K::DollarBrace => KEYWORD,
        K::Ident if matches!(text, "true" | "false" | "null") => CONSTANT,
        K::Ident if is_builtin(text) => BUILTIN,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        let mut out = String::new();
        let mut inside = false;
        for c in text.chars() {
            match c {
                '\x1b' => inside = true,
                'm' if inside => inside = false,
                c if !inside => out.push(c),
                _ => {}
            }
        }
        out
    }

    #[test]
    fn colours_change_nothing_of_the_text() {
        for text in [
            "let x = 1; in \"a ${toString x} b\" # done",
            ":p map (x: x) [ 1 ./foo <nixpkgs/lib> ]",
            "''\n  indented ${x}\n  ''${y}''",
            "\"unfinished ${x",
            "a /* comment */ b /* unfinished",
            "ä ö → ü",
            "\u{0}x",
            "  :t 1.5e3",
            "/a/${b}/c http://x.org/y",
        ] {
            let shown = highlight(text, &ParseOptions::default(), |name| name == "map");
            assert_eq!(plain(&shown), text);
        }
    }

    #[test]
    fn keywords_and_strings_have_colours() {
        let shown = highlight(
            "if true then \"x\" else map",
            &ParseOptions::default(),
            |name| name == "map",
        );
        assert!(shown.contains("\x1b[35;1mif\x1b[0m"), "{shown:?}");
        assert!(shown.contains("\x1b[32mx\x1b[0m"), "{shown:?}");
        assert!(shown.ends_with("\x1b[34mmap\x1b[0m"), "{shown:?}");
    }
}
