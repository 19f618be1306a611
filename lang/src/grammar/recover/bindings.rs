//! Mistakes among the bindings of sets and `let`.

use super::super::{Grammar, Sink};
use crate::syntax_kind::SyntaxKind as K;

impl<S: Sink> Grammar<'_, S> {
    /// No binding begins here and the set does not end. Gives whether there may be more bindings.
    #[cold]
    pub(in crate::grammar) fn recover_binding(
        &mut self,
        closing: K,
        expected: &str,
        open: usize,
    ) -> bool {
        let kind = self.current();
        let fresh = self.unexpected(expected);
        if kind == K::Eof || self.is_awaited(kind) || self.ends_bindings(closing) {
            if fresh {
                self.label_unclosed(closing, open);
            }
            return false;
        }
        if fresh {
            match kind {
                K::Semicolon => self.help("a `;` ends one binding; this one is too many"),
                K::Comma => self.help("bindings end with `;`"),
                K::Equal => self.help("a name is missing before `=`"),
                K::Let => self.help("`let … in` stands before the set, or before a value in it"),
                K::Integer | K::Float => {
                    self.help("a name begins with a letter or `_`; any text is a name in quotes")
                }
                kind if kind.is_keyword() => {
                    self.help("a keyword is an attribute name only in quotes")
                }
                _ => {}
            }
        }
        if kind == K::Let {
            self.misplaced_bindings();
            return true;
        }
        if kind == K::Semicolon || kind == K::Comma {
            self.skip();
            return true;
        }
        if kind == K::RightBrace {
            // Closes more than is open: after a `let`, its body is likelier to follow than more bindings.
            self.skip();
            return true;
        }
        loop {
            self.skip_group();
            let kind = self.current();
            if kind == K::Semicolon {
                self.skip();
                return true;
            }
            if kind == K::Eof || kind == closing || self.is_awaited(kind) || self.at_binding() {
                return true;
            }
        }
    }

    /// Whether something begins here with which the bindings are over, although they were not closed.
    fn ends_bindings(&self, closing: K) -> bool {
        match self.current() {
            // The next element or argument.
            K::LeftBrace | K::LeftParen | K::LeftBracket if closing == K::RightBrace => {
                self.is_awaited(K::RightBracket) || self.is_awaited(K::RightParen)
            }
            K::LeftBrace | K::LeftParen | K::LeftBracket | K::Rec | K::If | K::With | K::Assert => {
                closing == K::In
            }
            _ => false,
        }
    }

    fn label_unclosed(&mut self, closing: K, open: usize) {
        if closing == K::In {
            self.label_token(open, "this `let` has no `in`");
            self.help(super::LET);
        } else {
            let likeliest = self.at(K::Eof).then(|| self.unclosed_brace(open));
            self.label_token(likeliest.unwrap_or(open), "'{' is not closed");
        }
    }

    /// `let … in` among the bindings of a set.
    fn misplaced_bindings(&mut self) {
        let open = self.position;
        self.skip();
        self.awaiting(K::In, |this| {
            this.bindings(K::In, "'in' or 'inherit'", open)
        });
        if self.at(K::In) {
            self.skip();
        }
    }

    /// Whether a binding follows the current token.
    pub(super) fn binding_follows(&self) -> bool {
        match self.peek(1) {
            K::Inherit => true,
            K::Ident | K::Or => matches!(self.peek(2), K::Equal | K::Dot),
            _ => false,
        }
    }

    /// Whether what comes looks like a binding.
    fn at_binding(&self) -> bool {
        match self.current() {
            K::Inherit => true,
            K::Ident | K::Or => matches!(self.peek(1), K::Equal | K::Dot),
            _ => false,
        }
    }

    /// No `=` after an attribute path. Gives whether a value follows.
    #[cold]
    pub(in crate::grammar) fn recover_equal(&mut self, closing: K, open: usize) -> bool {
        let fresh = self.unexpected("'.' or '='");
        if closing == K::In && self.at_body() {
            if fresh {
                self.label_token(open, "this `let` has no `in`");
                self.help(super::LET);
            }
            self.skip_to(K::In);
            // Nothing is said again of the `in`.
            self.reported = Some(self.position);
            return false;
        }
        match self.current() {
            K::Colon | K::EqualEqual => {
                if fresh {
                    self.help("a binding is written `name = value;`");
                }
                let assigns = self.next_is_adjacent(K::Equal);
                self.skip();
                if assigns {
                    self.skip();
                }
                true
            }
            K::Semicolon => {
                if fresh {
                    self.help("a binding needs a value: `name = value;`, or `inherit name;`");
                }
                self.bump();
                false
            }
            K::Ident if self.peek(1) == K::Equal && fresh => {
                self.help("a name has no spaces in it; any text is a name in quotes");
                false
            }
            kind if kind.begins_operand() && !self.at_binding() => true,
            kind if kind == K::Comma && !self.is_awaited(kind) => {
                self.skip();
                false
            }
            kind if kind == K::Eof || self.is_awaited(kind) || self.at_binding() => false,
            _ => {
                self.awaited[K::Semicolon as usize] += 1;
                self.skip_to(K::Semicolon);
                self.awaited[K::Semicolon as usize] -= 1;
                if self.at(K::Semicolon) {
                    self.bump();
                }
                false
            }
        }
    }

    /// Whether the attribute path that was just read was the begin of an expression, after which the bindings do not go on.
    fn at_body(&self) -> bool {
        let mut depth = 0_u32;
        for token in &self.tokens[self.position..] {
            match token.kind {
                K::LeftBrace | K::DollarBrace | K::LeftParen | K::LeftBracket => depth += 1,
                K::RightBrace | K::RightParen | K::RightBracket => match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => return true,
                },
                K::Equal | K::Semicolon | K::In if depth == 0 => return false,
                _ => {}
            }
        }
        true
    }

    /// The `{` that is likeliest the one without a `}`, when the text ends too early: one whose line is indented more than that of
    /// the `}` that was taken for its, else `open`.
    #[cold]
    fn unclosed_brace(&self, open: usize) -> usize {
        let mut stack = Vec::new();
        for (index, token) in self.tokens.iter().enumerate() {
            match token.kind {
                K::LeftBrace | K::DollarBrace => stack.push(index),
                K::RightBrace => {
                    let (at, indentation) = self.line_of(token.start);
                    if let Some(opener) = stack.pop()
                        && at == token.start
                        && self.line_of(self.tokens[opener].start).1 > indentation
                        && stack.last().is_some_and(|&outer| {
                            self.line_of(self.tokens[outer].start).1 == indentation
                        })
                    {
                        return opener;
                    }
                }
                _ => {}
            }
        }
        stack.pop().unwrap_or(open)
    }

    /// Where the text of the line around an offset begins, and how far it is indented.
    fn line_of(&self, offset: u32) -> (u32, u32) {
        const WIDTH: usize = 1024;
        let offset = offset as usize;
        let from = offset.saturating_sub(WIDTH);
        let before = &self.source[from..offset];
        let begin = memchr::memrchr(b'\n', before).map_or(from, |found| from + found + 1);
        let line = &self.source[begin..];
        let spaces = line
            .iter()
            .take(WIDTH)
            .take_while(|byte| matches!(byte, b' ' | b'\t'));
        let indentation = spaces.count();
        ((begin + indentation) as u32, indentation as u32)
    }

    /// No `;` after a value.
    #[cold]
    pub(in crate::grammar) fn recover_semicolon(&mut self) {
        loop {
            let kind = self.current();
            let fresh = self.unexpected("';'");
            match kind {
                K::Equal => {
                    if fresh {
                        self.explain_equal();
                    }
                    self.skip();
                    while matches!(self.current(), K::Greater | K::Bang | K::Equal) {
                        self.skip();
                    }
                    self.value_behind();
                    if self.at(K::Semicolon) {
                        self.bump();
                        return;
                    }
                }
                // An operator of another language.
                K::Invalid if self.peek(1).begins_operand() || self.peek(1) == K::Invalid => {
                    while self.at(K::Invalid) {
                        self.skip();
                    }
                    if self.current().begins_operand() {
                        self.value_behind();
                    }
                    if self.at(K::Semicolon) {
                        self.bump();
                        return;
                    }
                }
                K::Comma if !self.is_awaited(kind) => {
                    let arguments = self.element_follows();
                    if fresh && arguments {
                        self.help("arguments are separated by spaces: `f a b`");
                    } else if fresh {
                        self.help("bindings end with `;`");
                    }
                    self.skip();
                    if !arguments {
                        return;
                    }
                    self.value_behind();
                    if self.at(K::Semicolon) {
                        self.bump();
                        return;
                    }
                }
                _ => return self.skip_value(fresh),
            }
        }
    }

    /// Goes on with what follows a mistake in a value.
    fn value_behind(&mut self) {
        self.reported = None;
        let mark = self.mark();
        self.awaiting(K::Semicolon, Self::expression);
        self.sink.node(mark, K::Error);
    }

    /// What an `=` in a value was to be.
    fn explain_equal(&mut self) {
        let before = self.first_of_last_path().checked_sub(1);
        if self.next_is_adjacent(K::Greater) {
            self.help("a function is `parameter: body`");
        } else if self.next_is_adjacent(K::Bang) {
            self.help("the operator is `!=`");
        } else if let Some(before) = before.filter(|&at| self.tokens[at].kind != K::Equal) {
            // `a = 1  b = 2;`: the name of the next binding was read as an argument.
            let place = self.tokens[before].end;
            self.label(place, place, "';' is missing");
            self.help("every binding ends with `;`, the last one too");
        } else {
            self.help("a binding has one `=`; `==` compares");
        }
    }

    /// Says what is missing after a value and goes to its end.
    fn skip_value(&mut self, fresh: bool) {
        let kind = self.current();
        if fresh {
            self.explain_end_of_value();
        }
        if kind == K::Eof || self.is_awaited(kind) || self.at_binding() {
            return;
        }
        while !self.at(K::Semicolon)
            && !self.at(K::Eof)
            && !self.is_awaited(self.current())
            && !self.at_binding()
        {
            self.skip_group();
        }
        if self.at(K::Semicolon) {
            self.skip();
        }
    }

    fn explain_end_of_value(&mut self) {
        let kind = self.current();
        let after_brace = self.position > 0 && self.tokens[self.position - 1].kind == K::RightBrace;
        if kind == K::Eof && after_brace {
            // More likely than the one `;` that would help the text on to the next mistake.
            let open = self.unclosed_brace(0);
            if matches!(self.tokens[open].kind, K::LeftBrace | K::DollarBrace) {
                let text = format!("{} is not closed", self.tokens[open].kind.describe());
                self.label_token(open, &text);
                self.help("a `}` is missing, and every binding ends with `;`");
                return;
            }
        }
        match kind {
            K::Invalid => return,
            K::RightParen | K::RightBracket if !self.is_awaited(kind) => {
                return self.help("nothing is open here that this could close");
            }
            _ => {}
        }
        let place = self.previous_end();
        self.label(place, place, "';' is missing");
        self.help(if kind == K::Colon {
            "a function is `parameter: body`; with a set pattern `{ a, b }: body`"
        } else {
            "every binding ends with `;`, the last one too"
        });
    }

    /// The first token of the attribute path that was just taken for an argument.
    fn first_of_last_path(&self) -> usize {
        let mut index = self.position;
        while index >= 3
            && matches!(self.tokens[index - 1].kind, K::Ident | K::Or)
            && self.tokens[index - 2].kind == K::Dot
        {
            index -= 2;
        }
        index.saturating_sub(1)
    }

    /// No `;` after the names of an `inherit`.
    #[cold]
    pub(in crate::grammar) fn recover_inherit(&mut self) {
        let fresh = self.unexpected("");
        match self.current() {
            K::Equal => {
                if fresh {
                    let before = self.first_of_last_path().saturating_sub(1);
                    if matches!(self.tokens[before].kind, K::Inherit | K::RightParen) {
                        self.help("a value is bound without `inherit`: `name = value;`");
                    } else {
                        let place = self.tokens[before].end;
                        self.label(place, place, "';' is missing");
                    }
                }
                self.skip();
                let mark = self.mark();
                self.awaiting(K::Semicolon, Self::expression);
                self.sink.node(mark, K::Error);
                if self.at(K::Semicolon) {
                    self.bump();
                } else {
                    self.recover_semicolon();
                }
            }
            kind => {
                if fresh {
                    match kind {
                        K::Dot => self.help(
                            "`inherit` takes names, not paths: `inherit (a) b;` for `b = a.b;`",
                        ),
                        K::Comma => self.help("the names of an `inherit` are separated by spaces"),
                        _ => {
                            let place = self.previous_end();
                            self.label(place, place, "';' is missing");
                        }
                    }
                }
                if kind == K::Eof || self.is_awaited(kind) || self.at_binding() {
                    return;
                }
                self.awaited[K::Semicolon as usize] += 1;
                self.skip_to(K::Semicolon);
                self.awaited[K::Semicolon as usize] -= 1;
                if self.at(K::Semicolon) {
                    self.skip();
                }
            }
        }
    }
}
