//! Expressions, from the loosest forms to the tightest.
//!
//! ```text
//! expression  = name ":" expression | pattern ":" expression | "with" expression ";" expression
//!             | "assert" expression ";" expression | "let" bindings "in" expression
//!             | "if" expression "then" expression "else" expression | pipes
//! application = selection { selection }
//! selection   = simple [ "." path [ "or" selection ] ] | simple "or"
//! simple      = name | number | string | path | uri | "(" expression ")" | "[" { selection } "]" | set
//! ```

use super::{Grammar, Sink};
use crate::syntax_kind::SyntaxKind as K;

impl<S: Sink> Grammar<'_, S> {
    /// A whole expression, with room on the stack.
    pub(super) fn expression(&mut self) {
        self.nested(Self::expression_here);
    }

    fn expression_here(&mut self) {
        let base = self.pending.len();
        loop {
            let mark = self.mark();
            match self.current() {
                K::Ident if self.peek(1) == K::Colon => {
                    self.bump_as(K::Ident);
                    self.bump_as(K::Colon);
                    self.pending.push((mark, K::Lambda));
                }
                K::Ident if self.peek(1) == K::At => {
                    self.bump_as(K::Ident);
                    self.bump_as(K::At);
                    self.pattern_after_name(mark);
                    self.expect(K::Colon, "':'");
                    self.pending.push((mark, K::Lambda));
                }
                K::LeftBrace if self.at_pattern() => {
                    self.pattern_first(mark);
                    self.pending.push((mark, K::Lambda));
                }
                K::With => {
                    self.bump_as(K::With);
                    self.head(K::Semicolon, "';'");
                    self.pending.push((mark, K::WithExpr));
                }
                K::Assert => {
                    self.bump_as(K::Assert);
                    self.head(K::Semicolon, "';'");
                    self.pending.push((mark, K::AssertExpr));
                }
                K::If => {
                    let open = self.position;
                    self.bump_as(K::If);
                    self.head(K::Then, "'then'");
                    self.awaiting(K::Else, Self::expression);
                    self.expect_else(open);
                    self.pending.push((mark, K::IfExpr));
                }
                K::Let if self.peek(1) != K::LeftBrace => {
                    let open = self.position;
                    self.bump_as(K::Let);
                    self.awaiting(K::In, |this| {
                        this.bindings(K::In, "'in' or 'inherit'", open)
                    });
                    self.expect_in(open);
                    self.pending.push((mark, K::LetIn));
                }
                _ => {
                    self.pipes(mark);
                    break;
                }
            }
        }
        while self.pending.len() > base {
            if let Some((mark, kind)) = self.pending.pop() {
                self.sink.node(mark, kind);
            }
        }
    }

    /// The part of `with`, `assert` and `if` before the keyword or semicolon.
    fn head(&mut self, end: K, expected: &str) {
        self.awaiting(end, Self::expression);
        self.expect(end, expected);
    }

    /// `f a b`
    #[inline(always)]
    pub(super) fn application(&mut self, mark: S::Mark) {
        self.selection(mark, true);
        if !self.current().begins_operand() {
            return;
        }
        while self.current().begins_operand() {
            let argument = self.mark();
            self.selection(argument, false);
        }
        self.sink.node(mark, K::Apply);
    }

    /// A simple expression and what is selected from it. `first`: it is not an argument or element, where the legacy use of `or` as
    /// a name is worth a warning.
    #[inline]
    pub(super) fn selection(&mut self, mark: S::Mark, first: bool) {
        self.simple(mark);
        match self.current() {
            K::Dot | K::Or => self.selection_rest(mark, first),
            _ => {}
        }
    }

    fn selection_rest(&mut self, mark: S::Mark, first: bool) {
        let base = self.pending.len();
        let (mut mark, mut first) = (mark, first);
        loop {
            if self.at(K::Dot) {
                self.bump_as(K::Dot);
                self.attr_path();
                if self.at(K::Or) {
                    self.bump_as(K::Or);
                    self.pending.push((mark, K::Select));
                    first = false;
                    mark = self.mark();
                    self.simple(mark);
                    continue;
                }
                self.sink.node(mark, K::Select);
            } else if self.at(K::Or) {
                if !first {
                    self.warn_legacy_or();
                }
                let name = self.mark();
                self.bump_as(K::Ident);
                self.sink.node(name, K::Variable);
                self.sink.node(mark, K::Apply);
            }
            break;
        }
        while self.pending.len() > base {
            if let Some((mark, kind)) = self.pending.pop() {
                self.sink.node(mark, kind);
            }
        }
    }

    #[inline(always)]
    fn simple(&mut self, mark: S::Mark) {
        match self.current() {
            K::Ident => {
                self.bump_as(K::Ident);
                self.sink.node(mark, K::Variable);
            }
            K::Quote => self.string(mark, K::String),
            K::LeftParen => self.paren(mark),
            K::LeftBrace => self.set(mark),
            K::LeftBracket => self.list(mark),
            K::IndentedOpen => self.indented_string(mark),
            K::Path | K::HomePath => self.path(mark),
            K::Integer | K::Float | K::Uri | K::SearchPath => {
                self.bump();
                self.sink.node(mark, K::Literal);
            }
            _ => self.rare_simple(mark),
        }
    }

    #[inline(never)]
    fn rare_simple(&mut self, mark: S::Mark) {
        match self.current() {
            K::Rec => {
                self.bump_as(K::Rec);
                self.recursive_set(mark, K::AttrSet);
            }
            K::Let => {
                self.bump_as(K::Let);
                self.recursive_set(mark, K::LegacyLet);
            }
            _ => self.missing_operand(mark),
        }
    }

    #[inline(never)]
    fn paren(&mut self, mark: S::Mark) {
        let open = self.position;
        self.bump_as(K::LeftParen);
        self.awaiting(K::RightParen, Self::expression);
        self.close(K::RightParen, "')'", open);
        self.sink.node(mark, K::Paren);
    }

    #[inline(never)]
    fn set(&mut self, mark: S::Mark) {
        let open = self.position;
        self.bump_as(K::LeftBrace);
        self.nested(|this| {
            this.awaiting(K::RightBrace, |this| {
                this.bindings(K::RightBrace, "'inherit'", open)
            })
        });
        self.close(K::RightBrace, "'inherit'", open);
        self.sink.node(mark, K::AttrSet);
    }

    /// After `rec`, or the `let` of a legacy `let { … }`.
    fn recursive_set(&mut self, mark: S::Mark, kind: K) {
        let open = self.position;
        if !self.at(K::LeftBrace) {
            if kind == K::LegacyLet {
                return self.misplaced_let(mark);
            }
            if self.unexpected("'{'") {
                self.help("`rec` stands before a set: `rec { … }`");
            }
            self.sink.missing_expression();
            self.sink.node(mark, K::Error);
            return;
        }
        self.bump_as(K::LeftBrace);
        self.nested(|this| {
            this.awaiting(K::RightBrace, |this| {
                this.bindings(K::RightBrace, "'inherit' or '}'", open)
            })
        });
        self.close(K::RightBrace, "'inherit' or '}'", open);
        self.sink.node(mark, kind);
    }

    #[inline(never)]
    fn list(&mut self, mark: S::Mark) {
        self.nested(|this| this.list_here(mark));
    }

    fn list_here(&mut self, mark: S::Mark) {
        let open = self.position;
        self.bump_as(K::LeftBracket);
        self.awaited[K::RightBracket as usize] += 1;
        loop {
            if self.current().begins_operand() {
                let element = self.mark();
                self.selection(element, false);
            } else if self.at(K::RightBracket) || !self.recover_in_list(open) {
                break;
            }
        }
        self.awaited[K::RightBracket as usize] -= 1;
        if self.at(K::RightBracket) {
            self.bump_as(K::RightBracket);
        }
        self.sink.node(mark, K::List);
    }

    /// Whether the brace at the current token opens a set pattern.
    #[inline(always)]
    fn at_pattern(&self) -> bool {
        match self.peek(1) {
            K::Ident => match self.peek(2) {
                K::Comma | K::Question | K::RightBrace => true,
                K::Ident => self.at_pattern_without_comma(),
                _ => false,
            },
            K::Ellipsis => true,
            K::RightBrace => matches!(self.peek(2), K::Colon | K::At),
            _ => false,
        }
    }

    /// `{ … } [ "@" name ] ":"`
    fn pattern_first(&mut self, mark: S::Mark) {
        self.formals();
        let mut expected = "':' or '@'";
        if self.at(K::At) {
            self.bump_as(K::At);
            self.expect_name();
            expected = "':'";
        }
        self.sink.node(mark, K::Pattern);
        self.expect(K::Colon, expected);
    }

    /// `{ … }` after `name "@"`
    fn pattern_after_name(&mut self, mark: S::Mark) {
        if self.at(K::LeftBrace) {
            self.formals();
            if self.at(K::At) {
                self.unexpected("':'");
                self.help("the argument set has one name, before or after the pattern");
                let second = self.mark();
                self.bump_as(K::Invalid);
                self.bump_as(K::Invalid);
                self.sink.node(second, K::Error);
            }
        } else {
            self.unexpected("'{'");
        }
        self.sink.node(mark, K::Pattern);
    }

    fn formals(&mut self) {
        let open = self.position;
        self.bump_as(K::LeftBrace);
        self.awaited[K::RightBrace as usize] += 1;
        loop {
            match self.current() {
                K::Ident => {
                    let mark = self.mark();
                    self.bump_as(K::Ident);
                    if self.at(K::Question) {
                        self.bump_as(K::Question);
                        self.awaiting(K::Comma, Self::expression);
                    }
                    self.sink.node(mark, K::Formal);
                    if self.at(K::Comma) {
                        self.bump_as(K::Comma);
                    } else if !self.at(K::RightBrace) && !self.recover_after_formal(open) {
                        break;
                    }
                }
                K::Ellipsis => {
                    self.bump_as(K::Ellipsis);
                    if !self.at(K::RightBrace) && !self.recover_after_ellipsis(open) {
                        break;
                    }
                }
                K::RightBrace => break,
                _ => {
                    if !self.recover_formal(open) {
                        break;
                    }
                }
            }
        }
        self.awaited[K::RightBrace as usize] -= 1;
        if self.at(K::RightBrace) {
            self.bump_as(K::RightBrace);
        }
    }
}
