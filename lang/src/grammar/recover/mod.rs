//! What to say about a mistake, and where to go on.
//!
//! Every function here is off the path of a correct program. The rule of all of them: stop at a token that something around is
//! waiting for, else skip it, whole bracketed groups at a time; and report one mistake once.

mod bindings;
mod patterns;

use super::{Grammar, Sink};
use crate::diagnostic::{Diagnostic, Label, MOST, Severity};
use crate::syntax_kind::SyntaxKind as K;

const COMMENTS: &str =
    "comments begin with `#` or stand between `/*` and `*/`; `//` joins two sets";

const LET: &str = "the bindings of a `let` end with `in` and the value: `let x = 1; in x`";

impl<S: Sink> Grammar<'_, S> {
    /// Reports the current token. Gives whether that was news.
    #[cold]
    pub(in crate::grammar) fn unexpected(&mut self, expected: &str) -> bool {
        if self.reported == Some(self.position) || self.interrupted {
            return false;
        }
        if self.ends_invalid_pair() {
            self.reported = Some(self.position);
            return false;
        }
        if self.in_pieces {
            self.mistaken = true;
            self.abandon();
            return false;
        }
        self.reported = Some(self.position);
        let kind = self.current();
        let mut message = format!("syntax error, unexpected {}", kind.describe());
        if !expected.is_empty() {
            message.push_str(", expecting ");
            message.push_str(expected);
        }
        let mut diagnostic = Diagnostic::error(self.range(self.position), message);
        if !expected.is_empty() {
            diagnostic.label = Some(format!("expected {expected}"));
        }
        if kind.is_keyword() && expected.starts_with("identifier") {
            diagnostic.help = Some("a keyword is a name only in quotes".to_owned());
        }
        if kind == K::Invalid {
            diagnostic.help = self.invalid_character().map(str::to_owned);
        } else if kind == K::Update && (expected.is_empty() || expected.starts_with("'inherit'")) {
            diagnostic.help = Some(COMMENTS.to_owned());
        }
        let in_comment = self.is_open_comment();
        if in_comment {
            diagnostic.help = Some("a comment that begins with `/*` ends with `*/`".to_owned());
        }
        self.diagnostics.push(diagnostic);
        // All that follows an open comment would be in it.
        let mistakes = self
            .diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error);
        if in_comment || mistakes.count() >= MOST {
            self.abandon();
        }
        true
    }

    /// What was meant by the current character, which belongs to no token.
    fn invalid_character(&self) -> Option<&'static str> {
        Some(
            match self.source.get(self.tokens[self.position].start as usize)? {
                b'&' => "the operator is `&&`",
                b'|' => "the operator is `||`",
                b'%' => "there is no operator for the remainder; nixpkgs has `lib.mod`",
                b'^' => "there is no operator `^`",
                b'\'' | b'`' => {
                    "strings stand in double quotes, or in two single quotes on each side"
                }
                b'\\' => "a function is `parameter: body`",
                b'$' => {
                    "`${…}` belongs in a string, a path or an attribute path; a variable has no `$`"
                }
                _ => return None,
            },
        )
    }

    /// Whether the current character is the second of a pair around something, of which the first was reported.
    fn ends_invalid_pair(&self) -> bool {
        let here = self.tokens[self.position].start as usize;
        let Some(before) = self.diagnostics.last() else {
            return false;
        };
        let before = before.range.start as usize;
        self.current() == K::Invalid
            && before < here
            && matches!(self.source[here], b'\'' | b'`')
            && self.source[before] == self.source[here]
            && !self.source[before..here].contains(&b'\n')
    }

    /// Whether the next token begins where the current one ends.
    fn next_is_adjacent(&self, kind: K) -> bool {
        self.peek(1) == kind
            && self.tokens[self.position].end == self.tokens[self.position + 1].start
    }

    /// Whether the current token is part of the begin of a comment that does not end.
    fn is_open_comment(&self) -> bool {
        let (kind, start) = (self.current(), self.tokens[self.position].start as usize);
        match kind {
            K::Slash => self.source[start..].starts_with(b"/*"),
            K::Star => self.source[..start].ends_with(b"/"),
            _ => false,
        }
    }

    /// Adds advice to the last report.
    pub(in crate::grammar) fn help(&mut self, text: &str) {
        if let Some(last) = self.diagnostics.last_mut() {
            last.help.get_or_insert_with(|| text.to_owned());
        }
    }

    fn label(&mut self, start: u32, end: u32, text: &str) {
        if let Some(last) = self.diagnostics.last_mut() {
            last.labels.push(Label {
                range: start..end,
                text: text.to_owned(),
            });
        }
    }

    fn label_token(&mut self, index: usize, text: &str) {
        let range = self.range(index);
        self.label(range.start, range.end, text);
    }

    /// Takes the current token as one that has no place here.
    fn skip(&mut self) {
        let mark = self.mark();
        self.bump_as(K::Invalid);
        self.sink.node(mark, K::Error);
    }

    /// Skips the current token, and if it opens a group, all of the group.
    fn skip_group(&mut self) {
        let mark = self.mark();
        let mut depth = 0_u32;
        loop {
            match self.current() {
                K::Eof => break,
                K::LeftParen | K::LeftBrace | K::LeftBracket | K::DollarBrace | K::IndentedOpen => {
                    depth += 1
                }
                K::RightParen | K::RightBrace | K::RightBracket | K::IndentedClose => {
                    depth = depth.saturating_sub(1)
                }
                K::Quote => {
                    // Opens when text, an interpolation or the other quote follows; the lexer has made sure that it closes.
                    self.bump_as(K::Invalid);
                    let mut inner = 0_u32;
                    loop {
                        match self.current() {
                            K::Eof => break,
                            K::Quote if inner == 0 => break,
                            K::DollarBrace | K::LeftBrace => inner += 1,
                            K::RightBrace => inner = inner.saturating_sub(1),
                            _ => {}
                        }
                        self.bump_as(K::Invalid);
                    }
                }
                _ => {}
            }
            self.bump_as(K::Invalid);
            if depth == 0 {
                break;
            }
        }
        self.sink.node(mark, K::Error);
    }

    /// Skips up to a token of this kind, or one that something around waits for.
    fn skip_to(&mut self, kind: K) {
        while !self.at(kind) && !self.at(K::Eof) && !self.is_awaited(self.current()) {
            self.skip_group();
        }
    }

    /// Takes a token of this kind, or reports that it is missing.
    #[inline(always)]
    pub(in crate::grammar) fn expect(&mut self, kind: K, expected: &str) {
        if self.at(kind) {
            self.bump_as(kind);
        } else {
            self.expect_failed(kind, expected);
        }
    }

    #[cold]
    fn expect_failed(&mut self, kind: K, expected: &str) {
        let (place, current) = (self.previous_end(), self.current());
        if self.unexpected(expected) {
            if kind == K::Then && current == K::Equal {
                self.help("values are compared with `==`");
            } else {
                self.label(place, place, &format!("{} is missing", kind.describe()));
            }
        }
        // What was forgotten was the token alone if an expression or an outer token follows.
        if self.is_awaited(current)
            || current == K::Eof
            || current.begins_operand()
            || current.is_keyword()
        {
            return;
        }
        if kind == K::Colon && current == K::Equal && self.next_is_adjacent(K::Greater) {
            self.help("a function is `parameter: body`");
            self.skip();
            self.skip();
            return;
        }
        if self.peek(1) == kind {
            self.skip();
            self.bump_as(kind);
            return;
        }
        self.awaited[kind as usize] += 1;
        self.skip_to(kind);
        self.awaited[kind as usize] -= 1;
        if self.at(kind) {
            self.bump_as(kind);
        }
    }

    /// Takes the token that closes what token `open` opened.
    #[inline(always)]
    pub(in crate::grammar) fn close(&mut self, kind: K, expected: &str, open: usize) {
        if self.at(kind) {
            self.bump_as(kind);
        } else {
            self.close_failed(kind, expected, open);
        }
    }

    #[cold]
    fn close_failed(&mut self, kind: K, expected: &str, open: usize) {
        if self.unexpected(expected) {
            let text = format!("{} is not closed", self.tokens[open].kind.describe());
            self.label_token(open, &text);
            if kind == K::RightParen && self.at(K::Comma) {
                self.help("arguments are separated by spaces: `f a b`");
            }
        }
        // The name of a binding that goes on.
        if self.tokens[open].kind == K::DollarBrace && self.at(K::Equal) {
            return;
        }
        self.awaited[kind as usize] += 1;
        loop {
            let current = self.current();
            if current == kind {
                self.awaited[kind as usize] -= 1;
                self.bump_as(kind);
                return;
            }
            if current == K::Eof || (self.is_awaited(current) && self.awaited[current as usize] > 0)
            {
                break;
            }
            self.skip_group();
        }
        self.awaited[kind as usize] -= 1;
    }

    /// The end of the file came, or something else that has no place in a string.
    #[cold]
    pub(in crate::grammar) fn unclosed(&mut self, expected: &str, open: usize, text: &str) {
        if self.unexpected(expected) {
            self.label_token(open, text);
            // Perhaps it was to be the end of another string, and something in that one is open.
            if let Some(interpolation) = self.interpolation_around(open) {
                self.label_token(interpolation, "'${' is not closed before it");
            }
        }
    }

    /// The innermost `${` that is open where a token stands.
    fn interpolation_around(&self, token: usize) -> Option<usize> {
        let mut open = Vec::new();
        for (at, token) in self.tokens[..token].iter().enumerate() {
            match token.kind {
                K::LeftBrace | K::DollarBrace => open.push(at),
                K::RightBrace => {
                    open.pop();
                }
                _ => {}
            }
        }
        open.retain(|&at| self.tokens[at].kind == K::DollarBrace);
        open.pop()
    }

    /// The end of the program.
    pub(in crate::grammar) fn expect_end(&mut self) {
        while !self.at(K::Eof) {
            let after_set = self.position > 0
                && self.tokens[self.position - 1].kind == K::RightBrace
                && self.at(K::Semicolon)
                && self.binding_follows();
            if self.unexpected("end of file") {
                self.explain_rest(after_set);
            }
            if after_set {
                return self.bindings_behind_program();
            }
            self.skip_group();
            // What follows is read for further mistakes only.
            if self.current().begins_operand() || self.current().is_keyword() {
                self.reported = Some(self.position);
                let mark = self.mark();
                self.expression();
                self.sink.node(mark, K::Error);
            }
        }
    }

    fn explain_rest(&mut self, after_set: bool) {
        match self.current() {
            _ if after_set => {
                self.label_token(self.position - 1, "this '}' ends the whole program");
                self.help("a `}` before it is perhaps one too many");
            }
            K::Semicolon => self.help("a program is one expression; no `;` follows it"),
            K::RightParen | K::RightBrace | K::RightBracket => {
                self.help("nothing is open here that this could close")
            }
            K::Equal if self.next_is_adjacent(K::Greater) => {
                self.help("a function is `parameter: body`")
            }
            K::Equal => self.help("bindings stand in `{ … }` or between `let` and `in`"),
            K::Colon => {
                self.help("a function is `parameter: body`, in parentheses where it is an operand")
            }
            _ => {}
        }
    }

    /// A set was closed too early: what follows are its bindings, up to the brace that was to close it.
    fn bindings_behind_program(&mut self) {
        self.skip();
        let mark = self.mark();
        let open = self.position;
        self.reported = Some(self.tokens.len() - 1);
        self.awaiting(K::RightBrace, |this| {
            this.bindings(K::RightBrace, "'inherit'", open)
        });
        while !self.at(K::Eof) {
            self.bump_as(K::Invalid);
        }
        self.sink.node(mark, K::Error);
    }

    #[cold]
    pub(in crate::grammar) fn expect_in(&mut self, open: usize) {
        if self.at(K::In) {
            self.bump_as(K::In);
        } else if self.unexpected("'in' or 'inherit'") {
            self.label_token(open, "this `let` has no `in`");
            self.help(LET);
        }
    }

    pub(in crate::grammar) fn expect_else(&mut self, open: usize) {
        if self.at(K::Else) {
            self.bump_as(K::Else);
            return;
        }
        if self.unexpected("'else'") {
            self.label_token(open, "this `if` has no `else`");
            if self.elseif_before() {
                self.help("it is two words: `else if`");
            }
            self.help("every `if` has an `else`: it is an expression and always has a value");
        }
        let current = self.current();
        if !self.is_awaited(current) {
            self.awaited[K::Else as usize] += 1;
            self.skip_to(K::Else);
            self.awaited[K::Else as usize] -= 1;
        }
        if self.at(K::Else) {
            self.bump_as(K::Else);
        }
    }

    /// Whether the word of another language for `else if` was just read as a name.
    fn elseif_before(&self) -> bool {
        let first = self.position.saturating_sub(8);
        self.at(K::Then)
            && self.tokens[first..self.position].iter().any(|token| {
                let text = &self.source[token.start as usize..token.end as usize];
                matches!(text, b"elseif" | b"elsif" | b"elif")
            })
    }

    pub(in crate::grammar) fn expect_name(&mut self) {
        if self.at(K::Ident) {
            self.bump_as(K::Ident);
        } else {
            self.unexpected("identifier");
            if self.current().is_keyword() || self.at(K::Or) {
                self.skip();
            }
            self.sink.missing_name();
        }
    }

    /// No expression begins where one should.
    #[cold]
    pub(in crate::grammar) fn missing_operand(&mut self, mark: S::Mark) {
        let kind = self.current();
        let fresh = self.unexpected("");
        match kind {
            K::If | K::With | K::Assert => {
                if fresh {
                    self.help("put parentheses around it: here only an operand can stand");
                }
                self.reported = Some(self.position);
                self.expression();
                self.sink.node(mark, K::Error);
                return;
            }
            K::DollarBrace => {
                if fresh {
                    self.help("`${…}` belongs in a string, a path or an attribute path");
                }
                self.skip_group();
            }
            K::Invalid => {
                while self.at(K::Invalid) {
                    self.skip();
                }
                if self.wrong_before_operand(mark) {
                    return;
                }
            }
            K::Or
            | K::Ellipsis
            | K::Question
            | K::At
            | K::Equal
            | K::Colon
            | K::Dot
            | K::PathEnd
            | K::PathText
                if !self.is_awaited(kind) =>
            {
                if fresh && kind == K::Equal {
                    self.help("a binding has one `=`; `==` compares");
                }
                self.skip();
                if self.wrong_before_operand(mark) {
                    return;
                }
            }
            K::Semicolon if fresh => self.help("an expression is missing before `;`"),
            _ => {}
        }
        self.sink.missing_expression();
        self.sink.node(mark, K::Error);
    }

    /// Reads the operand that follows what was wrong before it, and makes both one error; false if none follows.
    fn wrong_before_operand(&mut self, mark: S::Mark) -> bool {
        if !self.current().begins_operand() {
            return false;
        }
        let operand = self.mark();
        self.nested(|this| this.selection(operand, true));
        self.sink.node(mark, K::Error);
        true
    }

    /// `let … in` where only an operand can stand; `let` is taken.
    pub(in crate::grammar) fn misplaced_let(&mut self, mark: S::Mark) {
        let open = self.position - 1;
        if self.unexpected("'{'") {
            self.help("put parentheses around `let … in …`: here only an operand can stand");
        }
        self.nested(|this| {
            this.awaiting(K::In, |this| {
                this.bindings(K::In, "'in' or 'inherit'", open)
            });
            this.expect_in(open);
            this.expression();
        });
        self.sink.node(mark, K::LetIn);
    }

    /// Whether after the current token, in its line, something follows that is an element rather than a binding.
    fn element_follows(&self) -> bool {
        let (end, next) = (
            self.tokens[self.position].end,
            self.tokens[self.position + 1],
        );
        let gap = &self.source[end as usize..next.start as usize];
        next.kind.begins_operand()
            && !gap.contains(&b'\n')
            && !matches!(self.peek(2), K::Equal | K::Dot)
    }

    /// Something in a list is neither an element nor its end. Gives whether the list goes on.
    #[cold]
    pub(in crate::grammar) fn recover_in_list(&mut self, open: usize) -> bool {
        let kind = self.current();
        let separates = kind == K::Comma || (kind == K::Semicolon && self.element_follows());
        if kind == K::Eof || (!separates && self.is_awaited(kind)) {
            if self.unexpected("") {
                self.label_token(open, "this list is not closed");
            }
            return false;
        }
        let fresh = self.unexpected("");
        match kind {
            K::Comma => {
                if fresh {
                    self.help("list elements are separated by spaces alone");
                }
                self.skip();
            }
            K::If | K::With | K::Assert => {
                if fresh {
                    self.help("put parentheses around an element that is more than a name, a literal, a selection or a bracketed expression");
                }
                self.reported = Some(self.position);
                let mark = self.mark();
                self.expression();
                self.sink.node(mark, K::Error);
            }
            _ => {
                if fresh {
                    match kind {
                        K::Semicolon => {
                            self.label_token(open, "in this list");
                            self.help("list elements are separated by spaces alone");
                        }
                        K::Invalid => {}
                        _ => self.help(
                            "put parentheses around an element that is more than a name, a literal, a selection or a bracketed expression",
                        ),
                    }
                }
                self.skip();
            }
        }
        true
    }

    /// No attribute name after a dot or `?`.
    #[cold]
    pub(in crate::grammar) fn recover_name(&mut self, expected: &str) {
        self.unexpected(expected);
        if self.current().is_keyword() && !self.is_awaited(self.current()) {
            self.skip();
        }
        self.sink.missing_name();
    }

    #[cold]
    pub(in crate::grammar) fn warn_legacy_or(&mut self) {
        let index = self.position;
        let range = self.range(index);
        let text = &self.source[range.start as usize..range.end as usize];
        let text = String::from_utf8_lossy(text);
        self.diagnostics.push(
            Diagnostic::warning(
                range,
                format!("`{text}` is used as a name here, which will change its meaning"),
            )
            .with_help("put the expression before it and `or` together in parentheses"),
        );
    }
}
