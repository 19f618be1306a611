//! Text → events. Nothing here recurses, so nesting is bounded by memory alone.
//!
//! ```text
//! value  = object | array | string | number | "true" | "false" | "null"
//! object = "{" [ string ":" value { "," string ":" value } ] "}"
//! array  = "[" [ value { "," value } ] "]"
//! ```
//!
//! An error names what was being read, what stands there and what was expected, and shows the text since the
//! last string or number began: those are the words of the reference, so they are reproduced with their quirks.

/// A syntax error, with its message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", String::from_utf8_lossy(.0))]
pub struct JsonError(pub Vec<u8>);

/// What a document consists of, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer that fits
    Int(i64),
    /// An integer from 2⁶³ to 2⁶⁴ - 1
    Unsigned(u64),
    /// Any other number
    Float(f64),
    /// A string; it is UTF-8
    Text(Vec<u8>),
    /// The name of the next value in an object
    Key(Vec<u8>),
    /// `[`
    BeginArray,
    /// `]`
    EndArray,
    /// `{`
    BeginObject,
    /// `}`
    EndObject,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Value(Event),
    BeginArray,
    EndArray,
    BeginObject,
    EndObject,
    Colon,
    Comma,
    End,
    Error(String),
}

impl Token {
    /// What messages call it.
    fn name(&self) -> &'static str {
        match self {
            Token::Value(Event::Bool(true)) => "true literal",
            Token::Value(Event::Bool(false)) => "false literal",
            Token::Value(Event::Null) => "null literal",
            Token::Value(Event::Text(_) | Event::Key(_)) => "string literal",
            Token::Value(_) => "number literal",
            Token::BeginArray => "'['",
            Token::EndArray => "']'",
            Token::BeginObject => "'{'",
            Token::EndObject => "'}'",
            Token::Colon => "':'",
            Token::Comma => "','",
            Token::End => "end of input",
            Token::Error(_) => "<parse error>",
        }
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The token that was read ahead begins a value.
    Value,
    /// After `[`, with the next token read: a value or `]`.
    ArrayStart,
    /// After `{`, with the next token read: a key or `}`.
    ObjectStart,
    /// After a value within something.
    AfterValue,
    /// After the whole value: nothing more.
    End,
    Done,
}

/// The events of a document; after an error there are no more.
pub struct Events<'a> {
    lexer: Lexer<'a>,
    token: Token,
    /// What is open: true for an array, false for an object.
    open: Vec<bool>,
    next: Next,
}

impl<'a> Events<'a> {
    /// Begins to read a document.
    pub fn new(text: &'a [u8]) -> Self {
        let mut lexer = Lexer {
            text,
            at: 0,
            lines: 0,
            column: 0,
            start: 0,
        };
        let token = lexer.first_token();
        Self {
            lexer,
            token,
            open: Vec::new(),
            next: Next::Value,
        }
    }

    fn advance(&mut self) {
        self.token = self.lexer.token();
    }

    /// The message about the current token.
    #[cold]
    fn error<T>(&self, context: &str, expected: &str) -> Result<T, JsonError> {
        let mut message = self.lexer.place();
        message.extend(format!("syntax error while parsing {context} - ").into_bytes());
        if let Token::Error(what) = &self.token {
            message.extend_from_slice(what.as_bytes());
            message.extend_from_slice(b"; last read: '");
            message.extend(self.lexer.last_read());
            message.push(b'\'');
        } else {
            message.extend(format!("unexpected {}", self.token.name()).into_bytes());
        }
        if !expected.is_empty() {
            message.extend(format!("; expected {expected}").into_bytes());
        }
        Err(JsonError(message))
    }

    fn value(&mut self) -> Result<Event, JsonError> {
        match &mut self.token {
            Token::Value(Event::Float(f)) if !f.is_finite() => {
                let mut message =
                    b"[json.exception.out_of_range.406] number overflow parsing '".to_vec();
                message.extend(self.lexer.last_read());
                message.push(b'\'');
                Err(JsonError(message))
            }
            Token::Value(event) => {
                let event = std::mem::replace(event, Event::Null);
                self.after_value();
                Ok(event)
            }
            Token::BeginArray => {
                self.advance();
                self.open.push(true);
                self.next = Next::ArrayStart;
                Ok(Event::BeginArray)
            }
            Token::BeginObject => {
                self.advance();
                self.open.push(false);
                self.next = Next::ObjectStart;
                Ok(Event::BeginObject)
            }
            Token::End if self.lexer.text.is_empty() => {
                let mut message = self.lexer.place();
                message.extend_from_slice(EMPTY_INPUT);
                Err(JsonError(message))
            }
            Token::Error(_) => self.error("value", ""),
            _ => self.error("value", "'[', '{', or a literal"),
        }
    }

    fn after_value(&mut self) {
        self.next = if self.open.is_empty() {
            Next::End
        } else {
            Next::AfterValue
        };
    }

    fn close(&mut self) -> Event {
        let array = self.open.pop();
        self.after_value();
        if array == Some(true) {
            Event::EndArray
        } else {
            Event::EndObject
        }
    }

    fn key(&mut self) -> Result<Event, JsonError> {
        let Token::Value(Event::Text(key)) = &mut self.token else {
            return self.error("object key", "string literal");
        };
        let key = std::mem::take(key);
        self.advance();
        if self.token != Token::Colon {
            return self.error("object separator", "':'");
        }
        self.advance();
        self.next = Next::Value;
        Ok(Event::Key(key))
    }

    fn step(&mut self) -> Result<Option<Event>, JsonError> {
        match self.next {
            Next::Done => Ok(None),
            Next::ArrayStart if self.token == Token::EndArray => Ok(Some(self.close())),
            Next::Value | Next::ArrayStart => self.value().map(Some),
            Next::ObjectStart if self.token == Token::EndObject => Ok(Some(self.close())),
            Next::ObjectStart => self.key().map(Some),
            Next::AfterValue => {
                self.advance();
                let array = self.open.last() == Some(&true);
                match (&self.token, array) {
                    (Token::Comma, true) => {
                        self.advance();
                        self.value().map(Some)
                    }
                    (Token::Comma, false) => {
                        self.advance();
                        self.key().map(Some)
                    }
                    (Token::EndArray, true) | (Token::EndObject, false) => Ok(Some(self.close())),
                    (_, true) => self.error("array", "']'"),
                    (_, false) => self.error("object", "'}'"),
                }
            }
            Next::End => {
                self.advance();
                if self.token != Token::End {
                    return self.error("value", "end of input");
                }
                self.next = Next::Done;
                Ok(None)
            }
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.next = Next::Done;
        }
        step.transpose()
    }
}

const EMPTY_INPUT: &[u8] =
    b"attempting to parse an empty input; check that your input string or stream contains the expected JSON";

/// Text → tokens, with the place of errors.
struct Lexer<'a> {
    text: &'a [u8],
    /// How many bytes have been asked for; beyond the end, asking still counts.
    at: usize,
    lines: usize,
    /// Bytes asked for in this line.
    column: usize,
    /// Where "last read" begins.
    start: usize,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.at += 1;
        self.column += 1;
        if byte == Some(b'\n') {
            self.lines += 1;
            self.column = 0;
        }
        byte
    }

    fn unread(&mut self) {
        self.at -= 1;
        if self.column > 0 {
            self.column -= 1;
        } else {
            self.lines = self.lines.saturating_sub(1);
        }
    }

    fn place(&self) -> Vec<u8> {
        let (line, column) = (self.lines + 1, self.column);
        format!("[json.exception.parse_error.101] parse error at line {line}, column {column}: ")
            .into_bytes()
    }

    /// The text that messages show, control characters made visible.
    fn last_read(&self) -> Vec<u8> {
        let mut shown = Vec::new();
        for &byte in &self.text[self.start.min(self.text.len())..self.at.min(self.text.len())] {
            if byte <= 0x1f {
                shown.extend(format!("<U+{byte:04X}>").into_bytes());
            } else {
                shown.push(byte);
            }
        }
        shown
    }

    fn first_token(&mut self) -> Token {
        if self.next() == Some(0xef) {
            if self.next() != Some(0xbb) || self.next() != Some(0xbf) {
                return Token::Error("invalid BOM; must be 0xEF 0xBB 0xBF if given".into());
            }
        } else {
            self.unread();
        }
        self.token()
    }

    fn token(&mut self) -> Token {
        loop {
            return match self.next() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => continue,
                Some(b'[') => Token::BeginArray,
                Some(b']') => Token::EndArray,
                Some(b'{') => Token::BeginObject,
                Some(b'}') => Token::EndObject,
                Some(b':') => Token::Colon,
                Some(b',') => Token::Comma,
                Some(b't') => self.literal(b"rue", Event::Bool(true)),
                Some(b'f') => self.literal(b"alse", Event::Bool(false)),
                Some(b'n') => self.literal(b"ull", Event::Null),
                Some(b'"') => self
                    .string()
                    .map_or_else(Token::Error, |text| Token::Value(Event::Text(text))),
                Some(first @ (b'-' | b'0'..=b'9')) => {
                    self.number(first).map_or_else(Token::Error, Token::Value)
                }
                Some(0) | None => Token::End,
                Some(_) => Token::Error("invalid literal".into()),
            };
        }
    }

    fn literal(&mut self, rest: &[u8], event: Event) -> Token {
        for byte in rest {
            if self.next() != Some(*byte) {
                return Token::Error("invalid literal".into());
            }
        }
        Token::Value(event)
    }

    /// The rest of a number, the first byte of which was read.
    fn number(&mut self, first: u8) -> Result<Event, String> {
        self.start = self.at - 1;
        let start = self.start;
        let mut integer = true;
        let mut byte = Some(first);
        if first == b'-' {
            byte = self.next();
            if !is_digit(byte) {
                return Err("invalid number; expected digit after '-'".into());
            }
        }
        let zero = byte == Some(b'0');
        byte = self.next();
        while !zero && is_digit(byte) {
            byte = self.next();
        }
        if byte == Some(b'.') {
            integer = false;
            byte = self.next();
            if !is_digit(byte) {
                return Err("invalid number; expected digit after '.'".into());
            }
            while is_digit(byte) {
                byte = self.next();
            }
        }
        if matches!(byte, Some(b'e' | b'E')) {
            integer = false;
            byte = self.next();
            if matches!(byte, Some(b'+' | b'-')) {
                byte = self.next();
                if !is_digit(byte) {
                    return Err("invalid number; expected digit after exponent sign".into());
                }
            } else if !is_digit(byte) {
                return Err("invalid number; expected '+', '-', or digit after exponent".into());
            }
            while is_digit(byte) {
                byte = self.next();
            }
        }
        self.unread();
        // Only ASCII was accepted.
        let text = std::str::from_utf8(&self.text[start..self.at]).unwrap_or_default();
        if integer {
            if let Ok(n) = text.parse::<i64>() {
                return Ok(Event::Int(n));
            }
            if let Ok(n) = text.parse::<u64>() {
                return Ok(Event::Unsigned(n));
            }
        }
        Ok(Event::Float(text.parse().unwrap_or(f64::NAN)))
    }

    /// The rest of a string, the opening quote of which was read.
    fn string(&mut self) -> Result<Vec<u8>, String> {
        self.start = self.at - 1;
        let mut out = Vec::new();
        loop {
            // Plain characters in one go.
            let rest = &self.text[self.at.min(self.text.len())..];
            let plain = rest
                .iter()
                .position(|b| !matches!(b, 0x20..=0x7f) || matches!(b, b'"' | b'\\'));
            let plain = plain.unwrap_or(rest.len());
            out.extend_from_slice(&rest[..plain]);
            self.at += plain;
            self.column += plain;
            match self.next() {
                None => return Err("invalid string: missing closing quote".into()),
                Some(b'"') => return Ok(out),
                Some(b'\\') => self.escape(&mut out)?,
                Some(control @ 0..=0x1f) => return Err(control_message(control)),
                Some(lead) => self.utf8(lead, &mut out)?,
            }
        }
    }

    /// The rest of a character of several bytes.
    fn utf8(&mut self, lead: u8, out: &mut Vec<u8>) -> Result<(), String> {
        const TAIL: (u8, u8) = (0x80, 0xbf);
        let tail: &[(u8, u8)] = match lead {
            0xc2..=0xdf => &[TAIL],
            0xe0 => &[(0xa0, 0xbf), TAIL],
            0xed => &[(0x80, 0x9f), TAIL],
            0xe1..=0xef => &[TAIL, TAIL],
            0xf0 => &[(0x90, 0xbf), TAIL, TAIL],
            0xf1..=0xf3 => &[TAIL, TAIL, TAIL],
            0xf4 => &[(0x80, 0x8f), TAIL, TAIL],
            _ => return Err("invalid string: ill-formed UTF-8 byte".into()),
        };
        out.push(lead);
        for (least, most) in tail {
            match self.next() {
                Some(byte) if (*least..=*most).contains(&byte) => out.push(byte),
                _ => return Err("invalid string: ill-formed UTF-8 byte".into()),
            }
        }
        Ok(())
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        out.push(match self.next() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let c = self.unicode()?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err("invalid string: forbidden character after backslash".into()),
        });
        Ok(())
    }

    /// The character after `\u`, which may be written as two surrogates.
    fn unicode(&mut self) -> Result<char, String> {
        const LONE_HIGH: &str =
            "invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF";
        const LONE_LOW: &str =
            "invalid string: surrogate U+DC00..U+DFFF must follow U+D800..U+DBFF";
        let mut code = self.hex()?;
        if (0xd800..0xdc00).contains(&code) {
            if self.next() != Some(b'\\') || self.next() != Some(b'u') {
                return Err(LONE_HIGH.into());
            }
            let low = self.hex()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(LONE_HIGH.into());
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        char::from_u32(code).ok_or_else(|| LONE_LOW.into())
    }

    fn hex(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|byte| char::from(byte).to_digit(16));
            let digit = digit.ok_or("invalid string: '\\u' must be followed by 4 hex digits")?;
            code = code << 4 | digit;
        }
        Ok(code)
    }
}

fn is_digit(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_digit())
}

#[cold]
fn control_message(byte: u8) -> String {
    const NAMES: [&str; 32] = [
        "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR",
        "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB",
        "ESC", "FS", "GS", "RS", "US",
    ];
    let short = match byte {
        0x08 => " or \\b",
        0x09 => " or \\t",
        0x0a => " or \\n",
        0x0c => " or \\f",
        0x0d => " or \\r",
        _ => "",
    };
    let name = NAMES[usize::from(byte & 31)];
    format!(
        "invalid string: control character U+{byte:04X} ({name}) must be escaped to \\u{byte:04X}{short}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Event>, String> {
        Events::new(text.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    }

    fn message(text: &str) -> String {
        all(text)
            .expect_err("an error")
            .trim_start_matches("[json.exception.parse_error.101] parse error at ")
            .to_owned()
    }

    #[test]
    fn a_document_is_its_events() {
        let events = all(r#" {"a": [1, -2.5, true, null], "b\u00e9": {}} "#).expect("valid");
        let expected = [
            Event::BeginObject,
            Event::Key(b"a".to_vec()),
            Event::BeginArray,
            Event::Int(1),
            Event::Float(-2.5),
            Event::Bool(true),
            Event::Null,
            Event::EndArray,
            Event::Key("bé".into()),
            Event::BeginObject,
            Event::EndObject,
            Event::EndObject,
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn numbers_become_integers_when_they_fit() {
        assert_eq!(all("-9223372036854775808"), Ok(vec![Event::Int(i64::MIN)]));
        assert_eq!(
            all("18446744073709551615"),
            Ok(vec![Event::Unsigned(u64::MAX)])
        );
        assert_eq!(
            all("18446744073709551616"),
            Ok(vec![Event::Float(18_446_744_073_709_551_616.0)])
        );
        assert_eq!(
            all("1e999"),
            Err("[json.exception.out_of_range.406] number overflow parsing '1e999'".into())
        );
    }

    #[test]
    fn messages_say_what_stands_where() {
        let cases = [
            (
                "[1,]",
                "line 1, column 4: syntax error while parsing value - unexpected ']'; expected '[', '{', or a literal",
            ),
            (
                "{\n 1",
                "line 2, column 2: syntax error while parsing object key - unexpected number literal; expected string literal",
            ),
            (
                "tru",
                "line 1, column 4: syntax error while parsing value - invalid literal; last read: 'tru'",
            ),
            (
                "1 2",
                "line 1, column 3: syntax error while parsing value - unexpected number literal; expected end of input",
            ),
            (
                "\"\\ud800\"",
                "line 1, column 8: syntax error while parsing value - invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF; last read: '\"\\ud800\"'",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(message(text), expected, "{text}");
        }
    }

    #[test]
    fn a_million_open_brackets_are_no_danger() {
        assert!(all(&"[".repeat(1_000_000)).is_err());
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert_eq!(all(&deep).map(|events| events.len()), Ok(2_000_000));
    }
}
