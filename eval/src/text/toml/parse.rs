//! Lines, keys, headers, arrays and inline tables.
//!
//! ```text
//! document = { line newline }
//! line     = ws [ key "=" value | "[" key "]" | "[[" key "]]" ] ws [ comment ]
//! key      = part { ws "." ws part }         part = bare | "basic" | 'literal'
//! array    = "[" { blank value blank "," } [ value ] blank "]"
//! inline   = "{" ws [ key "=" value { ws "," ws key "=" value } ] ws "}"
//! ```

use std::ops::Range;

use super::TomlError;
use super::document::{Adding, Document, Id, Node, Origin};
use super::message::{Result, fail, fail_with_hints};
use super::scalar;

/// Reads a document.
pub(super) fn parse(text: &[u8]) -> std::result::Result<Document, TomlError> {
    let mut parser = Parser {
        text,
        at: 0,
        document: Document::new(),
    };
    if text.starts_with(b"\xef\xbb\xbf") {
        parser.at = 3;
    }
    parser.document().map_err(|problem| problem.render(text))?;
    Ok(parser.document)
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    document: Document,
}

/// A container that is still open.
enum Open {
    Array(Id),
    /// With the key of the value that comes next.
    Inline(Id, Vec<Vec<u8>>, Range<usize>),
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn rest(&self) -> &[u8] {
        &self.text[self.at.min(self.text.len())..]
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn here(&self) -> Range<usize> {
        self.at..self.at + 1
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn newline(&mut self) -> bool {
        let length = if self.rest().starts_with(b"\r\n") {
            2
        } else {
            usize::from(self.peek() == Some(b'\n'))
        };
        self.at += length;
        length > 0
    }

    fn comment(&mut self) -> Result<()> {
        let start = self.at;
        if !self.eat(b'#') {
            return Ok(());
        }
        while let Some(length) = scalar::plain_length(self.rest()) {
            self.at += length;
        }
        if self.at == self.text.len()
            || matches!(self.peek(), Some(b'\n'))
            || self.rest().starts_with(b"\r\n")
        {
            return Ok(());
        }
        fail_with_hints(
            "toml::parse_comment_line: newline (LF / CRLF) or EOF is expected",
            start..self.at,
            "but got this",
            &["most of the control characters are not allowed in comments"],
        )
    }

    /// Spaces, comments and newlines between the elements of an array.
    fn skip_blank(&mut self) -> Result<()> {
        loop {
            self.skip_spaces();
            self.comment()?;
            if !self.newline() {
                return Ok(());
            }
        }
    }

    fn document(&mut self) -> Result<()> {
        let mut table = self.document.root();
        loop {
            self.skip_blank()?;
            match self.peek() {
                None => return Ok(()),
                Some(b'[') => table = self.header()?,
                Some(_) => self.key_value(table)?,
            }
        }
    }

    fn header(&mut self) -> Result<Id> {
        let start = self.at;
        let double = self.rest().starts_with(b"[[");
        self.at += if double { 2 } else { 1 };
        self.skip_spaces();
        let title = if double {
            "toml::parse_file: invalid array-table key"
        } else {
            "toml::parse_file: invalid table key"
        };
        let path = match self.key() {
            Ok(path) => path,
            Err(problem) if problem.title == INVALID_KEY => {
                let label = "expected basic key([a-zA-Z0-9_-]) or quoted key(\" or ')";
                return fail(title, self.here(), label);
            }
            Err(problem) => return Err(problem),
        };
        self.skip_spaces();
        let closed = self.eat(b']') && (!double || self.eat(b']'));
        if !closed {
            return fail(
                title,
                self.here(),
                if double { "expected ]]" } else { "expected ]" },
            );
        }
        let range = start..self.at;
        self.skip_spaces();
        self.comment()?;
        if self.at < self.text.len() && !self.newline() {
            let title = "toml::parse_file: newline (or EOF) expected";
            return fail(title, self.here(), "expected 0x0a(LINE FEED) or \n");
        }
        let adding = if double {
            Adding::Tables
        } else {
            Adding::Table
        };
        let root = self.document.root();
        self.document.insert(root, &path, range, adding)
    }

    /// A whole `key = value` line with its end.
    fn key_value(&mut self, table: Id) -> Result<()> {
        let (path, range) = self.key_and_equals()?;
        let value = self.value()?;
        self.document
            .insert(table, &path, range, Adding::Value(value))?;
        self.skip_spaces();
        self.comment()?;
        if self.at < self.text.len() && !self.newline() {
            return fail(
                "toml::parse_table: newline (LF / CRLF) or EOF is expected",
                self.here(),
                "here",
            );
        }
        Ok(())
    }

    fn key_and_equals(&mut self) -> Result<(Vec<Vec<u8>>, Range<usize>)> {
        let start = self.at;
        let path = self.key()?;
        let range = start..self.at;
        self.skip_spaces();
        if !self.eat(b'=') {
            let title = "toml::parse_key_value_pair: invalid key value separator `=`";
            return fail(title, self.here(), "expected =");
        }
        self.skip_spaces();
        Ok((path, range))
    }

    fn key(&mut self) -> Result<Vec<Vec<u8>>> {
        let mut path = vec![self.key_part()?];
        loop {
            let end = self.at;
            self.skip_spaces();
            if !self.eat(b'.') {
                self.at = end;
                return Ok(path);
            }
            let dot = self.at - 1;
            self.skip_spaces();
            match self.key_part() {
                Ok(part) => path.push(part),
                Err(problem) if problem.title == INVALID_KEY => {
                    self.at = dot;
                    return Ok(path);
                }
                Err(problem) => return Err(problem),
            }
        }
    }

    fn key_part(&mut self) -> Result<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.basic_string(),
            Some(b'\'') => self.literal_string(),
            _ => {
                let bare = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                let length = self
                    .rest()
                    .iter()
                    .position(|byte| !bare(byte))
                    .unwrap_or(self.rest().len());
                if length == 0 {
                    return fail_with_hints(
                        INVALID_KEY,
                        self.here(),
                        "expected alpha [a-zA-Z], digit [0-9], -, or _",
                        &["non-ASCII scripts are allowed in toml v1.1.0, but not in v1.0.0."],
                    );
                }
                let part = self.rest()[..length].to_vec();
                self.at += length;
                Ok(part)
            }
        }
    }

    /// A value with everything in it. What is open lies in a vector, not on the stack.
    fn value(&mut self) -> Result<Id> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let start = self.at;
            let mut value = match self.peek() {
                Some(b'[') => {
                    self.at += 1;
                    let array =
                        self.document
                            .add(Node::Array(Vec::new()), Origin::Value, start..start);
                    self.skip_blank()?;
                    if !self.eat(b']') {
                        open.push(Open::Array(array));
                        continue;
                    }
                    self.document.close(array, self.at);
                    array
                }
                Some(b'{') => {
                    self.at += 1;
                    // Open for its own keys until it is closed.
                    let table = self.document.table(Origin::Dotted, start..start);
                    self.skip_spaces();
                    if !self.eat(b'}') {
                        let (path, range) = self.key_and_equals()?;
                        open.push(Open::Inline(table, path, range));
                        continue;
                    }
                    self.document.close(table, self.at);
                    table
                }
                _ => {
                    let node = self.scalar()?;
                    self.document.add(node, Origin::Value, start..self.at)
                }
            };
            // The value goes into what is open, and may close it, and so on outwards.
            loop {
                match open.pop() {
                    None => return Ok(value),
                    Some(Open::Array(array)) => {
                        self.document.push_element(array, value);
                        if !self.after_element(array)? {
                            open.push(Open::Array(array));
                            break;
                        }
                        value = array;
                    }
                    Some(Open::Inline(table, path, range)) => {
                        self.document
                            .insert(table, &path, range, Adding::Value(value))?;
                        if let Some((path, range)) = self.after_entry(table)? {
                            open.push(Open::Inline(table, path, range));
                            break;
                        }
                        value = table;
                    }
                }
            }
        }
    }

    /// What follows an element: true at the end of the array.
    fn after_element(&mut self, array: Id) -> Result<bool> {
        self.skip_blank()?;
        let comma = self.eat(b',');
        if comma {
            self.skip_blank()?;
        }
        if self.eat(b']') {
            self.document.close(array, self.at);
            return Ok(true);
        }
        if comma && self.at < self.text.len() {
            return Ok(false);
        }
        let title = if self.at < self.text.len() {
            "toml::parse_array: expected value-separator `,` or closing `]`"
        } else {
            "toml::parse_array: missing closing bracket `]`"
        };
        fail(title, self.here(), "here")
    }

    /// What follows an entry: the next key, or nothing at the end of the inline table.
    fn after_entry(&mut self, table: Id) -> Result<Option<(Vec<Vec<u8>>, Range<usize>)>> {
        self.skip_spaces();
        if self.eat(b'}') {
            self.document.close(table, self.at);
            return Ok(None);
        }
        if !self.eat(b',') {
            let title = "toml::parse_inline_table: expected value-separator `,` or closing `}`";
            return fail(title, self.here(), "here");
        }
        self.skip_spaces();
        if self.peek() == Some(b'}') {
            let title = "toml::parse_inline_table: trailing comma is not allowed in TOML-v1.0.0)";
            return fail(title, self.here(), "here");
        }
        self.key_and_equals().map(Some)
    }
}

const INVALID_KEY: &str =
    "toml::parse_simple_key: invalid key: key must be \"quoted\", 'quoted-literal', or bare key.";
