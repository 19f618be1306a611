//! Source bytes to tokens.
//!
//! The language has modes: plain text, strings, indented strings, paths. `{` and `${` stack a plain mode, `}` takes it away and
//! returns to the mode below, so `"a ${ { b = "c"; }.b } d"` nests as deep as one likes.
//!
//! Tokens are ranges of the source. Spaces and comments are not kept: they are what lies between tokens
//! (see [`trivia`]).

pub(crate) mod careful;
mod path;
mod text;
pub mod trivia;

use std::ops::Range;

use logos::Logos;

use crate::ast::DocComment;
use crate::diagnostic::Diagnostic;
use crate::options::ParseOptions;
use crate::syntax_kind::SyntaxKind as K;
use careful::{Careful, Missing};

/// The tokens of a source. The last one is [`Eof`](K::Eof), and it is the only one of its kind.
#[derive(Debug, Default)]
pub struct Tokens {
    /// In their order.
    pub list: Vec<Token>,
    /// Doc comments, by the offset of the token that follows each.
    pub docs: Vec<(u32, DocComment)>,
    /// What is wrong with single tokens.
    pub errors: Vec<Diagnostic>,
    /// Whether the caller's check asked to stop; then the tokens are incomplete.
    pub interrupted: bool,
    /// Whether the source ends in a string.
    pub(crate) ends_in_string: bool,
}

/// A token: a range of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: K,
    /// Where it begins.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
}

impl Token {
    /// Stands where no token is yet.
    pub(crate) const NONE: Token = Token {
        kind: K::Invalid,
        start: 0,
        end: 0,
    };
}

/// What a `}` returns to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plain,
    String,
    IndentedString,
    Path,
}

/// What comes next in plain mode.
enum Next {
    /// More of the same mode at this offset.
    Here(usize),
    /// Another mode begins, or one is returned to, at this offset.
    Switch(usize),
    /// The source is at its end.
    End,
}

/// Tokens of one byte with which no other token begins.
const ALONE: [Option<K>; 256] = {
    let mut table = [None; 256];
    table[b';' as usize] = Some(K::Semicolon);
    table[b',' as usize] = Some(K::Comma);
    table[b':' as usize] = Some(K::Colon);
    table[b'@' as usize] = Some(K::At);
    table[b'?' as usize] = Some(K::Question);
    table[b'(' as usize] = Some(K::LeftParen);
    table[b')' as usize] = Some(K::RightParen);
    table[b'[' as usize] = Some(K::LeftBracket);
    table[b']' as usize] = Some(K::RightBracket);
    table[b'{' as usize] = Some(K::LeftBrace);
    table[b'}' as usize] = Some(K::RightBrace);
    table[b'"' as usize] = Some(K::Quote);
    table
};

struct Lexer<'a> {
    source: &'a [u8],
    modes: Vec<Mode>,
    tokens: Tokens,
    pending_doc: Option<DocComment>,
    /// The last run of bytes that looked for a slash, and the last that looked for a colon.
    path_run: Range<usize>,
    scheme_run: Range<usize>,
    /// No block comment ends from here on.
    no_comment_end: bool,
    /// So many tokens are a piece.
    piece: usize,
    /// There, if strings end where they plainly should.
    careful: Option<Careful>,
    options: &'a ParseOptions<'a>,
}

/// Splits a source into tokens. Only the first 4 GiB minus one byte of it can be addressed; callers refuse longer ones.
pub fn lex(source: &[u8], options: &ParseOptions<'_>) -> Tokens {
    let capacity = source.len() / 6 + 16;
    let mut tokens = Tokens {
        list: options.room(capacity),
        ..Tokens::default()
    };
    Pieces::new(source, options, usize::MAX).next(&mut tokens);
    tokens
}

/// The tokens of a source in which the ends of strings may be missing, and what is missing.
pub(crate) fn lex_carefully(source: &[u8], options: &ParseOptions<'_>) -> (Tokens, Vec<Missing>) {
    let mut tokens = Tokens::default();
    let mut pieces = Pieces::new(source, options, usize::MAX);
    pieces.lexer.careful = Some(Careful::default());
    pieces.next(&mut tokens);
    let missing = pieces.lexer.careful.map(|careful| careful.missing);
    (tokens, missing.unwrap_or_default())
}

/// The tokens of a source, one piece after another: a piece stays in the processor's cache until it has been read.
pub(crate) struct Pieces<'a> {
    lexer: Lexer<'a>,
    position: usize,
}

impl<'a> Pieces<'a> {
    /// Of about so many tokens.
    pub(crate) fn new(source: &'a [u8], options: &'a ParseOptions<'a>, piece: usize) -> Self {
        Pieces {
            lexer: Lexer {
                source,
                modes: Vec::new(),
                tokens: Tokens::default(),
                pending_doc: None,
                path_run: 0..0,
                scheme_run: 0..0,
                no_comment_end: false,
                piece,
                careful: None,
                options,
            },
            position: 0,
        }
    }

    /// Appends the next piece; the last one ends with [`Eof`](K::Eof).
    pub(crate) fn next(&mut self, tokens: &mut Tokens) {
        let lexer = &mut self.lexer;
        std::mem::swap(&mut lexer.tokens, tokens);
        loop {
            let next = match lexer.modes.last() {
                None | Some(Mode::Plain) => lexer.plain(self.position),
                Some(Mode::String) => lexer.string(self.position),
                Some(Mode::IndentedString) => lexer.indented_string(self.position),
                Some(Mode::Path) => lexer.path(self.position, false),
            };
            match next {
                Next::Here(at) | Next::Switch(at) => self.position = at,
                Next::End => break,
            }
            if lexer.tokens.list.len() >= lexer.piece {
                if lexer.asked_to_stop() {
                    lexer.end(self.position);
                }
                break;
            }
        }
        std::mem::swap(&mut lexer.tokens, tokens);
    }
}

impl Lexer<'_> {
    #[inline(always)]
    fn emit(&mut self, kind: K, start: usize, end: usize) {
        self.tokens.list.push(Token {
            kind,
            start: start as u32,
            end: end as u32,
        });
        if self.pending_doc.is_some() {
            self.attach_doc(start);
        }
    }

    #[cold]
    fn attach_doc(&mut self, start: usize) {
        if let Some(doc) = self.pending_doc.take() {
            self.tokens.docs.push((start as u32, doc));
        }
    }

    /// Ends the tokens. `at` is where a message would point.
    fn end(&mut self, at: usize) -> Next {
        self.tokens.ends_in_string = self
            .modes
            .iter()
            .any(|mode| matches!(mode, Mode::String | Mode::IndentedString));
        self.emit(K::Eof, at, at);
        Next::End
    }

    fn plain(&mut self, from: usize) -> Next {
        let source = self.source;
        let mut at = from;
        let mut count = 0_u32;
        loop {
            at += trivia::spaces(&source[at..]);
            count += 1;
            if count.is_multiple_of(0x1000) {
                if self.asked_to_stop() {
                    return self.end(at);
                }
                if self.tokens.list.len() >= self.piece {
                    return Next::Switch(at);
                }
            }
            let Some(&first) = source.get(at) else {
                return self.end(source.len());
            };
            // Half of all tokens are a byte that begins no other.
            if let Some(kind) = ALONE[first as usize] {
                self.emit(kind, at, at + 1);
                at += 1;
                match kind {
                    K::LeftBrace => self.modes.push(Mode::Plain),
                    K::RightBrace => {
                        self.modes.pop();
                        if !matches!(self.modes.last(), None | Some(Mode::Plain)) {
                            return Next::Switch(at);
                        }
                    }
                    K::Quote => match self.short_string(at) {
                        Some(end) => at = end,
                        None => {
                            if let Some(next) = self.begin_string(Mode::String) {
                                return next;
                            }
                            self.modes.push(Mode::String);
                            return Next::Switch(at);
                        }
                    },
                    _ => {}
                }
                continue;
            }
            match self.longer(at) {
                Next::Here(next) => at = next,
                next => return next,
            }
        }
    }

    /// A token or comment that logos finds.
    #[inline(always)]
    fn longer(&mut self, start: usize) -> Next {
        let mut lexer = K::lexer(&self.source[start..]);
        let kind = match lexer.next() {
            None => return self.end(start),
            Some(Ok(kind)) => kind,
            Some(Err(())) => {
                // One character is one unexpected token, however long the attempt was.
                let end = start + text::character_len(&self.source[start..]);
                self.emit(K::Invalid, start, end);
                return Next::Here(end);
            }
        };
        let end = start + lexer.span().end;
        if self.continues(start, end)
            && let Some((kind, end)) = self.longer_token(start)
        {
            self.emit(kind, start, end);
            if kind == K::Path {
                return self.path(end, self.source[end - 1] == b'/');
            }
            return Next::Here(end);
        }
        match kind {
            K::Whitespace => {}
            K::LineComment => {
                let rest = &self.source[end..];
                let len = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                return Next::Here(end + len);
            }
            K::BlockComment => return self.block_comment(start),
            K::DollarBrace => {
                self.modes.push(Mode::Plain);
                self.emit(kind, start, end);
            }
            K::IndentedOpen => {
                self.emit(kind, start, end);
                if let Some(next) = self.begin_string(Mode::IndentedString) {
                    return next;
                }
                self.modes.push(Mode::IndentedString);
                return Next::Switch(end);
            }
            K::Path | K::HomePath => {
                self.emit(kind, start, end);
                return self.path(end, self.source[end - 1] == b'/');
            }
            K::PathBeforeInterpolation | K::HomePathBeforeInterpolation => {
                let kind = if kind == K::PathBeforeInterpolation {
                    K::Path
                } else {
                    K::HomePath
                };
                self.emit(kind, start, end - 2);
                return self.path(end - 2, true);
            }
            K::PipeFrom | K::PipeInto => {
                if !self.options.pipe_operators {
                    self.error(
                        start,
                        end,
                        "experimental Nix feature 'pipe-operators' is disabled; add '--extra-experimental-features pipe-operators' to enable it",
                    );
                }
                self.emit(kind, start, end);
            }
            K::Eof => return self.end(start),
            _ => self.emit(kind, start, end),
        }
        Next::Here(end)
    }

    /// A comment that ends is passed over; the begin of one that does not is a slash.
    fn block_comment(&mut self, start: usize) -> Next {
        let Some(close) = self.block_comment_end(start) else {
            self.emit(K::Slash, start, start + 1);
            return Next::Here(start + 1);
        };
        if trivia::is_doc_comment(&self.source[start..close]) {
            self.pending_doc = Some(DocComment {
                start: start as u32,
                end: close as u32,
            });
        }
        Next::Here(close)
    }

    fn block_comment_end(&mut self, start: usize) -> Option<usize> {
        if self.no_comment_end {
            return None;
        }
        let end = trivia::block_comment_end(self.source, start);
        self.no_comment_end = end.is_none();
        end
    }

    fn asked_to_stop(&mut self) -> bool {
        if self.options.interrupted.is_some_and(|check| check()) {
            self.tokens.interrupted = true;
        }
        self.tokens.interrupted
    }

    fn error(&mut self, start: usize, end: usize, message: impl Into<String>) {
        if self.tokens.errors.len() < crate::diagnostic::MOST {
            self.tokens
                .errors
                .push(Diagnostic::error(start as u32..end as u32, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(K, &str)> {
        let tokens = lex(source.as_bytes(), &ParseOptions::default());
        tokens.list[..tokens.list.len() - 1]
            .iter()
            .map(|token| {
                let text = &source[token.start as usize..token.end as usize];
                (token.kind, text)
            })
            .collect()
    }

    #[test]
    fn the_longest_token_wins() {
        assert_eq!(kinds("a/b"), [(K::Path, "a/b"), (K::PathEnd, "")]);
        assert_eq!(
            kinds("a /b"),
            [(K::Ident, "a"), (K::Path, "/b"), (K::PathEnd, "")]
        );
        assert_eq!(kinds("a:b"), [(K::Uri, "a:b")]);
        assert_eq!(
            kinds("a: b"),
            [(K::Ident, "a"), (K::Colon, ":"), (K::Ident, "b")]
        );
        assert_eq!(kinds("1/2"), [(K::Path, "1/2"), (K::PathEnd, "")]);
        assert_eq!(
            kinds("a-b' -c"),
            [(K::Ident, "a-b'"), (K::Minus, "-"), (K::Ident, "c")]
        );
        assert_eq!(kinds("ifx if"), [(K::Ident, "ifx"), (K::If, "if")]);
        assert_eq!(
            kinds("1.5.5 00.5"),
            [
                (K::Float, "1.5"),
                (K::Float, ".5"),
                (K::Integer, "00"),
                (K::Float, ".5")
            ]
        );
        assert_eq!(
            kinds("a<b>c"),
            [(K::Ident, "a"), (K::SearchPath, "<b>"), (K::Ident, "c")]
        );
        assert_eq!(
            kinds("a...b"),
            [(K::Ident, "a"), (K::Ellipsis, "..."), (K::Ident, "b")]
        );
        assert_eq!(
            kinds("a ++/b"),
            [(K::Ident, "a"), (K::Path, "++/b"), (K::PathEnd, "")]
        );
        assert_eq!(
            kinds("a.b/c d"),
            [(K::Path, "a.b/c"), (K::PathEnd, ""), (K::Ident, "d")]
        );
        assert_eq!(kinds("1.e"), [(K::Float, "1."), (K::Ident, "e")]);
    }

    #[test]
    fn modes_nest() {
        assert_eq!(
            kinds(r#""a${{b="c";}.b}d"e"#),
            [
                (K::Quote, "\""),
                (K::StringText, "a"),
                (K::DollarBrace, "${"),
                (K::LeftBrace, "{"),
                (K::Ident, "b"),
                (K::Equal, "="),
                (K::Quote, "\""),
                (K::StringText, "c"),
                (K::Quote, "\""),
                (K::Semicolon, ";"),
                (K::RightBrace, "}"),
                (K::Dot, "."),
                (K::Ident, "b"),
                (K::RightBrace, "}"),
                (K::StringText, "d"),
                (K::Quote, "\""),
                (K::Ident, "e"),
            ]
        );
    }

    #[test]
    fn dollars_and_quotes_in_strings_follow_the_language() {
        assert_eq!(
            kinds(r#""$${a}$""#),
            [
                (K::Quote, "\""),
                (K::StringText, "$${a}$"),
                (K::Quote, "\"")
            ]
        );
        assert_eq!(
            kinds("''a'$ $''b"),
            [
                (K::IndentedOpen, "''"),
                (K::IndentedText, "a"),
                (K::IndentedEscape, "'"),
                (K::IndentedText, "$ "),
                (K::IndentedEscape, "$"),
                (K::IndentedClose, "''"),
                (K::Ident, "b"),
            ]
        );
        assert_eq!(
            kinds("''a''${b}'''c''\\n$$''"),
            [
                (K::IndentedOpen, "''"),
                (K::IndentedText, "a"),
                (K::IndentedEscape, "''$"),
                (K::IndentedText, "{b}"),
                (K::IndentedEscape, "'''"),
                (K::IndentedText, "c"),
                (K::IndentedEscape, "''\\n"),
                (K::IndentedText, "$$"),
                (K::IndentedClose, "''"),
            ]
        );
    }

    #[test]
    fn a_path_ends_with_a_token_of_its_own() {
        assert_eq!(
            kinds("./a/${b}c/d;"),
            [
                (K::Path, "./a/"),
                (K::DollarBrace, "${"),
                (K::Ident, "b"),
                (K::RightBrace, "}"),
                (K::PathText, "c/d"),
                (K::PathEnd, ""),
                (K::Semicolon, ";"),
            ]
        );
    }

    #[test]
    fn an_open_comment_is_a_slash() {
        assert_eq!(
            kinds("/* a"),
            [(K::Slash, "/"), (K::Star, "*"), (K::Ident, "a")]
        );
    }
}
