//! Bindings of sets and `let`, and attribute paths.
//!
//! ```text
//! bindings = { path "=" expression ";" | "inherit" [ "(" expression ")" ] { name } ";" }
//! path     = name { "." name }
//! name     = identifier | "or" | string | "${" expression "}"
//! ```

use super::{Grammar, Sink};
use crate::syntax_kind::SyntaxKind as K;

const A_NAME: &str = "identifier or 'or' or '${' or '\"'";

impl<S: Sink> Grammar<'_, S> {
    /// Bindings up to, not with, the closing token. `expected`: what a message says when none begins.
    pub(super) fn bindings(&mut self, closing: K, expected: &str, open: usize) {
        loop {
            match self.current() {
                K::Ident | K::Or | K::Quote | K::DollarBrace => self.binding(closing, open),
                K::Inherit => self.inherit(),
                kind if kind == closing => break,
                _ => {
                    if !self.recover_binding(closing, expected, open) {
                        break;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn binding(&mut self, closing: K, open: usize) {
        let mark = self.mark();
        self.attr_path();
        if self.at(K::Equal) {
            self.bump_as(K::Equal);
        } else if !self.recover_equal(closing, open) {
            self.sink.missing_expression();
            self.sink.node(mark, K::Binding);
            return;
        }
        self.awaiting(K::Semicolon, Self::expression);
        if self.at(K::Semicolon) {
            self.bump_as(K::Semicolon);
            self.sink.node(mark, K::Binding);
        } else {
            self.sink.node(mark, K::Binding);
            self.recover_semicolon();
        }
    }

    fn inherit(&mut self) {
        let mark = self.mark();
        self.bump_as(K::Inherit);
        self.awaited[K::Semicolon as usize] += 1;
        if self.at(K::LeftParen) {
            let source = self.mark();
            let open = self.position;
            self.bump_as(K::LeftParen);
            self.awaiting(K::RightParen, Self::expression);
            self.close(K::RightParen, "')'", open);
            self.sink.node(source, K::InheritSource);
        }
        while self.current().begins_name() {
            self.attr_name();
        }
        self.awaited[K::Semicolon as usize] -= 1;
        if self.at(K::Semicolon) {
            self.bump_as(K::Semicolon);
            self.sink.node(mark, K::InheritBinding);
        } else {
            self.sink.node(mark, K::InheritBinding);
            self.recover_inherit();
        }
    }

    /// `a.b.c`
    #[inline(always)]
    pub(super) fn attr_path(&mut self) {
        let mark = self.mark();
        self.attr_name();
        while self.at(K::Dot) {
            self.bump_as(K::Dot);
            self.attr_name();
        }
        self.sink.node(mark, K::AttrPath);
    }

    #[inline(always)]
    fn attr_name(&mut self) {
        match self.current() {
            K::Ident | K::Or => self.bump_as(K::Ident),
            K::Quote => {
                let mark = self.mark();
                self.string(mark, K::StringName);
            }
            K::DollarBrace => self.dynamic_name(),
            _ => self.recover_name(A_NAME),
        }
    }

    #[inline(never)]
    fn dynamic_name(&mut self) {
        let mark = self.mark();
        let open = self.position;
        self.bump_as(K::DollarBrace);
        self.awaiting(K::RightBrace, Self::expression);
        self.close(K::RightBrace, "'}'", open);
        self.sink.node(mark, K::DynamicName);
    }
}
