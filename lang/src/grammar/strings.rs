//! Strings and paths, with their interpolations.

use super::{Grammar, Sink};
use crate::syntax_kind::SyntaxKind as K;

impl<S: Sink> Grammar<'_, S> {
    /// `"…"`, as a value or a name.
    #[inline(never)]
    pub(super) fn string(&mut self, mark: S::Mark, kind: K) {
        let open = self.position;
        self.bump_as(K::Quote);
        loop {
            match self.current() {
                K::StringText => self.bump_as(K::StringText),
                K::DollarBrace => self.interpolation(),
                K::Quote => {
                    self.bump_as(K::Quote);
                    break;
                }
                _ => {
                    self.unclosed("'\"'", open, "the string begins here");
                    break;
                }
            }
        }
        self.sink.node(mark, kind);
    }

    /// `''…''`
    #[inline(never)]
    pub(super) fn indented_string(&mut self, mark: S::Mark) {
        let open = self.position;
        self.bump_as(K::IndentedOpen);
        loop {
            match self.current() {
                K::IndentedText | K::IndentedEscape => self.bump(),
                K::DollarBrace => self.interpolation(),
                K::IndentedClose => {
                    self.bump_as(K::IndentedClose);
                    break;
                }
                _ => {
                    self.unclosed(
                        "indented string or '${' or end of an indented string",
                        open,
                        "the string begins here",
                    );
                    break;
                }
            }
        }
        self.sink.node(mark, K::IndentedString);
    }

    /// A path and its pieces. A piece of text can only stand after the first one if an interpolation follows or came before.
    #[inline(never)]
    pub(super) fn path(&mut self, mark: S::Mark) {
        self.bump();
        let mut interpolated = false;
        let mut pieces = 0;
        loop {
            match self.current() {
                K::DollarBrace => {
                    interpolated = true;
                    self.interpolation();
                }
                kind @ (K::PathText | K::PathEnd) => {
                    if !interpolated && pieces > 0 {
                        self.unexpected("'${'");
                        self.help("a path cannot have `//` in it");
                    }
                    pieces += 1;
                    self.bump_as(kind);
                    if kind == K::PathEnd {
                        break;
                    }
                }
                _ => {
                    self.unexpected("string or end of path or '${'");
                    break;
                }
            }
        }
        self.sink.node(mark, K::PathExpr);
    }

    fn interpolation(&mut self) {
        let mark = self.mark();
        let open = self.position;
        self.bump_as(K::DollarBrace);
        self.awaiting(K::RightBrace, Self::expression);
        self.close(K::RightBrace, "'}'", open);
        self.sink.node(mark, K::Interpolation);
    }
}
