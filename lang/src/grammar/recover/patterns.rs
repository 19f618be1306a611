//! Mistakes in set patterns.

use super::super::{Grammar, Sink};
use crate::syntax_kind::SyntaxKind as K;

impl<S: Sink> Grammar<'_, S> {
    /// Whether the brace at the current token, with two names after it, opens a set pattern: a colon follows its end.
    #[cold]
    pub(in crate::grammar) fn at_pattern_without_comma(&self) -> bool {
        let mut depth = 0_u32;
        for (at, token) in self.tokens[self.position..].iter().enumerate() {
            match token.kind {
                K::LeftBrace | K::DollarBrace => depth += 1,
                K::RightBrace if depth == 1 => {
                    return matches!(self.peek(at + 1), K::Colon | K::At);
                }
                K::RightBrace => depth -= 1,
                K::Semicolon if depth == 1 => return false,
                _ => {}
            }
        }
        false
    }

    /// Neither `,` nor `}` after a formal. Gives whether the pattern goes on.
    #[cold]
    pub(in crate::grammar) fn recover_after_formal(&mut self, open: usize) -> bool {
        // C++ Nix takes the first name for one of a set as long as no comma came.
        let after_name = open > 0 && self.tokens[open - 1].kind == K::At;
        let first = self.position == open + 2 && !after_name;
        let fresh = self.unexpected(if first { "'.' or '='" } else { "'}' or ','" });
        match self.current() {
            K::Ident | K::Ellipsis => {
                if fresh {
                    let place = self.previous_end();
                    self.label(place, place, "',' is missing");
                }
                true
            }
            K::Equal | K::Colon => {
                if fresh {
                    self.help("a default is written `name ? value`");
                }
                self.skip();
                self.awaited[K::Comma as usize] += 1;
                self.skip_to(K::Comma);
                self.awaited[K::Comma as usize] -= 1;
                if self.at(K::Comma) {
                    self.bump();
                }
                !self.at(K::Eof) && (self.at(K::RightBrace) || !self.is_awaited(self.current()))
            }
            _ => self.skip_in_pattern(open, fresh),
        }
    }

    /// Something other than `}` after `...`. Gives whether the pattern goes on.
    #[cold]
    pub(in crate::grammar) fn recover_after_ellipsis(&mut self, open: usize) -> bool {
        let fresh = self.unexpected("'}'");
        if self.at(K::Comma) {
            if fresh {
                self.help("`...` stands last and without a comma after it");
            }
            self.skip();
            return true;
        }
        self.skip_in_pattern(open, fresh)
    }

    /// No formal begins here. Gives whether the pattern goes on.
    #[cold]
    pub(in crate::grammar) fn recover_formal(&mut self, open: usize) -> bool {
        let fresh = self.unexpected("identifier or '...' or '}'");
        if fresh && self.current().is_keyword() {
            self.help("a keyword cannot be a parameter");
        }
        self.skip_in_pattern(open, fresh)
    }

    fn skip_in_pattern(&mut self, open: usize, fresh: bool) -> bool {
        let kind = self.current();
        if kind == K::Eof || (kind != K::Comma && self.is_awaited(kind) && kind != K::RightBrace) {
            if fresh {
                self.label_token(open, "'{' is not closed");
            }
            return false;
        }
        if kind == K::Comma {
            self.skip();
        } else {
            self.skip_group();
            if self.at(K::Comma) {
                self.bump();
            }
        }
        true
    }
}
