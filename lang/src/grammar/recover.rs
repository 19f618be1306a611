//! What to say about a mistake, and where to go on.
//!
//! Every function here is off the path of a correct program. The rule of all of them: stop at a token that something around is
//! waiting for, else skip it, whole bracketed groups at a time; and report one mistake once.

use super::{Grammar, Sink};
use crate::diagnostic::{Diagnostic, Label, MOST, Severity};
use crate::syntax_kind::SyntaxKind as K;

impl<S: Sink> Grammar<'_, S> {
    /// Reports the current token. Gives whether that was news.
    #[cold]
    pub(super) fn unexpected(&mut self, expected: &str) -> bool {
        if self.reported == Some(self.position) || self.interrupted {
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
    pub(super) fn help(&mut self, text: &str) {
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
    pub(super) fn expect(&mut self, kind: K, expected: &str) {
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
            self.label(place, place, &format!("{} is missing", kind.describe()));
        }
        // What was forgotten was the token alone if an expression or an outer token follows.
        if self.is_awaited(current)
            || current == K::Eof
            || current.begins_operand()
            || current.is_keyword()
        {
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
    pub(super) fn close(&mut self, kind: K, expected: &str, open: usize) {
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
    pub(super) fn unclosed(&mut self, expected: &str, open: usize, text: &str) {
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
    pub(super) fn expect_end(&mut self) {
        while !self.at(K::Eof) {
            if self.unexpected("end of file") {
                match self.current() {
                    K::RightParen | K::RightBrace | K::RightBracket => {
                        self.help("nothing is open here that this could close")
                    }
                    K::Equal => self.help("bindings stand in `{ … }` or between `let` and `in`"),
                    K::Colon => self.help(
                        "a function is `parameter: body`, in parentheses where it is an operand",
                    ),
                    _ => {}
                }
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

    #[cold]
    pub(super) fn expect_in(&mut self, open: usize) {
        if self.at(K::In) {
            self.bump_as(K::In);
        } else if self.unexpected("'in' or 'inherit'") {
            self.label_token(open, "this `let` has no `in`");
        }
    }

    pub(super) fn expect_else(&mut self, open: usize) {
        if self.at(K::Else) {
            self.bump_as(K::Else);
            return;
        }
        if self.unexpected("'else'") {
            self.label_token(open, "this `if` has no `else`");
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

    pub(super) fn expect_name(&mut self) {
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
    pub(super) fn missing_operand(&mut self, mark: S::Mark) {
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
                if self.current().begins_operand() {
                    let operand = self.mark();
                    self.nested(|this| this.selection(operand, true));
                    self.sink.node(mark, K::Error);
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
                self.skip();
                if self.current().begins_operand() {
                    let operand = self.mark();
                    self.nested(|this| this.selection(operand, true));
                    self.sink.node(mark, K::Error);
                    return;
                }
            }
            K::Semicolon if fresh => self.help("an expression is missing before `;`"),
            _ => {}
        }
        self.sink.missing_expression();
        self.sink.node(mark, K::Error);
    }

    /// `let … in` where only an operand can stand; `let` is taken.
    pub(super) fn misplaced_let(&mut self, mark: S::Mark) {
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

    /// Something in a list is neither an element nor its end. Gives whether the list goes on.
    #[cold]
    pub(super) fn recover_in_list(&mut self, open: usize) -> bool {
        let kind = self.current();
        if kind == K::Eof || (kind != K::Comma && self.is_awaited(kind)) {
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

    /// No binding begins here and the set does not end. Gives whether there may be more bindings.
    #[cold]
    pub(super) fn recover_binding(&mut self, closing: K, expected: &str, open: usize) -> bool {
        let kind = self.current();
        let fresh = self.unexpected(expected);
        if kind == K::Eof || self.is_awaited(kind) {
            if fresh {
                let text = if closing == K::In {
                    "this `let` has no `in`"
                } else {
                    "'{' is not closed"
                };
                self.label_token(open, text);
            }
            return false;
        }
        if fresh {
            match kind {
                K::Semicolon => self.help("a `;` ends one binding; this one is too many"),
                K::Comma => self.help("bindings end with `;`"),
                kind if kind.is_keyword() => {
                    self.help("a keyword is an attribute name only in quotes")
                }
                _ => {}
            }
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
    pub(super) fn recover_equal(&mut self) -> bool {
        let fresh = self.unexpected("'.' or '='");
        match self.current() {
            K::Colon | K::EqualEqual => {
                if fresh {
                    self.help("a binding is written `name = value;`");
                }
                self.skip();
                true
            }
            K::Semicolon => {
                if fresh {
                    self.help("a binding needs a value: `name = value;`, or `inherit name;`");
                }
                self.bump();
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

    /// The last `{` that no `}` closes, if the text ends after a `}`.
    #[cold]
    fn unclosed_brace(&self) -> Option<usize> {
        let mut open = Vec::new();
        let mut last = None;
        for (index, token) in self.tokens.iter().enumerate() {
            match token.kind {
                K::LeftBrace | K::DollarBrace => open.push(index),
                K::RightBrace => {
                    open.pop();
                }
                K::Eof => break,
                _ => {}
            }
            last = Some(token.kind);
        }
        open.pop().filter(|_| last == Some(K::RightBrace))
    }

    /// No `;` after a value.
    #[cold]
    pub(super) fn recover_semicolon(&mut self) {
        loop {
            let kind = self.current();
            let fresh = self.unexpected("';'");
            match kind {
                // `a = 1  b = 2;`: the name of the next binding was read as an argument.
                K::Equal => {
                    if fresh {
                        let place = self.end_before_last_path();
                        self.label(place, place, "';' is missing");
                        self.help("every binding ends with `;`, the last one too");
                    }
                    self.skip();
                    self.reported = None;
                    let mark = self.mark();
                    self.awaiting(K::Semicolon, Self::expression);
                    self.sink.node(mark, K::Error);
                    if self.at(K::Semicolon) {
                        self.bump();
                        return;
                    }
                }
                K::Comma if !self.is_awaited(kind) => {
                    if fresh {
                        self.help("bindings end with `;`");
                    }
                    self.skip();
                    return;
                }
                _ => {
                    let unclosed = (kind == K::Eof).then(|| self.unclosed_brace()).flatten();
                    if fresh && let Some(open) = unclosed {
                        // More likely than the one `;` that would help the text on to the next mistake.
                        self.label_token(open, "'{' is not closed");
                        self.help(
                            "a `}` is missing before the end, and every binding ends with `;`",
                        );
                    } else if fresh {
                        let place = self.previous_end();
                        self.label(place, place, "';' is missing");
                        match kind {
                            K::Colon => self.help("a function is `parameter: body`; with a set pattern `{ a, b }: body`"),
                            _ => self.help("every binding ends with `;`, the last one too"),
                        }
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
                    return;
                }
            }
        }
    }

    /// Where the token before the attribute path ends that was just taken for an argument.
    fn end_before_last_path(&self) -> u32 {
        let mut index = self.position;
        while index >= 3
            && matches!(self.tokens[index - 1].kind, K::Ident | K::Or)
            && self.tokens[index - 2].kind == K::Dot
        {
            index -= 2;
        }
        index
            .checked_sub(2)
            .map_or(0, |before| self.tokens[before].end)
    }

    /// No `;` after the names of an `inherit`.
    #[cold]
    pub(super) fn recover_inherit(&mut self) {
        let fresh = self.unexpected("");
        match self.current() {
            K::Equal => {
                if fresh {
                    let place = self.end_before_last_path();
                    self.label(place, place, "';' is missing");
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

    /// No attribute name after a dot or `?`.
    #[cold]
    pub(super) fn recover_name(&mut self, expected: &str) {
        self.unexpected(expected);
        if self.current().is_keyword() && !self.is_awaited(self.current()) {
            self.skip();
        }
        self.sink.missing_name();
    }

    /// Neither `,` nor `}` after a formal. Gives whether the pattern goes on.
    #[cold]
    pub(super) fn recover_after_formal(&mut self, open: usize) -> bool {
        let fresh = self.unexpected("'}' or ','");
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
    pub(super) fn recover_after_ellipsis(&mut self, open: usize) -> bool {
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
    pub(super) fn recover_formal(&mut self, open: usize) -> bool {
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

    #[cold]
    pub(super) fn warn_legacy_or(&mut self) {
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
