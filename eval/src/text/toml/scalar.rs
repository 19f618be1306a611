//! Strings, numbers, dates.

use super::document::Node;
use super::message::{Result, fail, fail_with_hints};
use super::parse::Parser;

const INTEGER_HINTS: &[&str] = &[
    "valid  : -42, 1_000, 1_2_3_4_5, 0xC0FFEE, 0b0010, 0o755",
    "invalid: _42, 1__000, 0123",
];
const FLOAT_HINTS: &[&str] = &[
    "valid  : +1.0, -2e-2, 3.141_592_653_589, inf, nan",
    "invalid: .0, 1., _1.0, 1.0_, 1_.0, 1.0__0",
];
const DATE_HINTS: &[&str] = &[
    "valid  : 1979-05-27T07:32:00-07:00, 1979-05-27 07:32:00.999999Z",
    "invalid: 1979-05-27T7:32:00-7:00, 1979-05-27 7:32-00:30",
];
const TIME_HINTS: &[&str] = &[
    "valid  : 1979-05-27T07:32:00, 1979-05-27 07:32:00.999999",
    "invalid: 1979-05-27T7:32:00, 1979-05-27 17:32",
];
const OFFSET_HINTS: &[&str] = &["valid  : +09:00, -05:30", "invalid: +9:00,  -5:30"];

const NOT_INF: &str =
    "toml::parse_value: `inf` must be in lowercase. A string must be surrounded by quotes.";
const NOT_NAN: &str =
    "toml::parse_value: `nan` must be in lowercase. A string must be surrounded by quotes.";

/// The length of the character at the beginning: a tab, a printable one, or valid UTF-8 of several bytes.
pub(super) fn plain_length(text: &[u8]) -> Option<usize> {
    let length = match *text.first()? {
        b'\t' | 0x20..=0x7e => return Some(1),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let character = text.get(..length)?;
    std::str::from_utf8(character).is_ok().then_some(length)
}

impl Parser<'_> {
    pub(super) fn scalar(&mut self) -> Result<Node> {
        match self.peek() {
            Some(b'"') if self.rest().starts_with(b"\"\"\"") => self.multi_line_basic().map(Node::Text),
            Some(b'"') => self.basic_string().map(Node::Text),
            Some(b'\'') if self.rest().starts_with(b"'''") => self.multi_line_literal().map(Node::Text),
            Some(b'\'') => self.literal_string().map(Node::Text),
            Some(b't' | b'f') => self.boolean(),
            Some(b'+' | b'-' | b'0'..=b'9' | b'i' | b'n') => self.number_or_date(),
            Some(b'.') => fail_with_hints(
                "bad float: integer part is required before decimal point",
                self.here(),
                "missing integer part",
                FLOAT_HINTS,
            ),
            Some(b'_') => fail_with_hints(
                "bad number: `_` must be surrounded by digits",
                self.here(),
                "invalid underscore",
                INTEGER_HINTS,
            ),
            Some(b'T') => self.not_lowercase("toml::parse_value: `true` must be in lowercase. A string must be surrounded by quotes."),
            Some(b'F') => self.not_lowercase("toml::parse_value: `false` must be in lowercase. A string must be surrounded by quotes."),
            Some(b'I') => self.not_lowercase(NOT_INF),
            Some(b'N') => self.not_lowercase(NOT_NAN),
            _ => fail("bad format: unknown value appeared", self.here(), "here"),
        }
    }

    fn not_lowercase<T>(&self, title: &'static str) -> Result<T> {
        fail(title, self.here(), "here")
    }

    fn boolean(&mut self) -> Result<Node> {
        for (word, value) in [(&b"true"[..], true), (b"false", false)] {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(Node::Bool(value));
            }
        }
        let title = "toml::parse_boolean: invalid boolean: boolean must be `true` or `false`, in lowercase. string must be surrounded by `\"`";
        fail(title, self.here(), "expected true or false")
    }

    // ---- strings -------------------------------------------------------------------------------------

    pub(super) fn basic_string(&mut self) -> Result<Vec<u8>> {
        const TITLE: &str = "toml::parse_basic_string: invalid string format";
        self.at += 1;
        let mut out = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => self.escape(TITLE, &mut out)?,
                _ => self.plain(TITLE, "expected \"", &mut out)?,
            }
        }
    }

    pub(super) fn literal_string(&mut self) -> Result<Vec<u8>> {
        const TITLE: &str = "toml::parse_literal_string: invalid string format";
        self.at += 1;
        let mut out = Vec::new();
        while !self.eat(b'\'') {
            self.plain(TITLE, "expected '", &mut out)?;
        }
        Ok(out)
    }

    fn plain(&mut self, title: &'static str, label: &'static str, out: &mut Vec<u8>) -> Result<()> {
        match plain_length(self.rest()) {
            Some(length) => {
                out.extend_from_slice(&self.rest()[..length]);
                self.at += length;
                Ok(())
            }
            None => fail(title, self.here(), label),
        }
    }

    /// A newline in a multi-line string, kept as it is.
    fn line_end(&mut self, out: &mut Vec<u8>) -> bool {
        let length = if self.rest().starts_with(b"\r\n") {
            2
        } else {
            usize::from(self.peek() == Some(b'\n'))
        };
        out.extend_from_slice(&self.text[self.at..self.at + length]);
        self.at += length;
        length > 0
    }

    /// The end of a multi-line string: three quotes, of which the last three of up to five count.
    fn closing(&mut self, quote: u8, out: &mut Vec<u8>) -> bool {
        let quotes = self
            .rest()
            .iter()
            .take_while(|byte| **byte == quote)
            .count()
            .min(5);
        if quotes >= 3 {
            out.extend(std::iter::repeat_n(quote, quotes - 3));
            self.at += quotes;
        }
        quotes >= 3
    }

    fn multi_line_basic(&mut self) -> Result<Vec<u8>> {
        const TITLE: &str = "toml::parse_ml_basic_string: invalid string format";
        self.at += 3;
        self.line_end(&mut Vec::new());
        let mut out = Vec::new();
        while !self.closing(b'"', &mut out) {
            if self.line_end(&mut out) {
                continue;
            }
            match self.peek() {
                Some(b'\\') if self.skip_continued_line() => {}
                Some(b'\\') => self.escape(TITLE, &mut out)?,
                _ => self.plain(TITLE, "expected \"\"\"", &mut out)?,
            }
        }
        Ok(out)
    }

    fn multi_line_literal(&mut self) -> Result<Vec<u8>> {
        const TITLE: &str = "toml::parse_ml_literal_string: invalid string format";
        self.at += 3;
        self.line_end(&mut Vec::new());
        let mut out = Vec::new();
        while !self.closing(b'\'', &mut out) {
            if !self.line_end(&mut out) {
                self.plain(TITLE, "expected '''", &mut out)?;
            }
        }
        Ok(out)
    }

    /// A backslash at the end of a line joins it to the next text, without the space between.
    fn skip_continued_line(&mut self) -> bool {
        let start = self.at;
        self.at += 1;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let mut ignored = Vec::new();
        if !self.line_end(&mut ignored) {
            self.at = start;
            return false;
        }
        while self.line_end(&mut ignored) || matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += usize::from(matches!(self.peek(), Some(b' ' | b'\t')));
        }
        true
    }

    fn escape(&mut self, title: &'static str, out: &mut Vec<u8>) -> Result<()> {
        let start = self.at;
        self.at += 1;
        let byte = self.peek();
        self.at += 1;
        out.push(match byte {
            Some(byte @ (b'"' | b'\\')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode(4, start, title, out),
            Some(b'U') => return self.unicode(8, start, title, out),
            _ => return fail(title, start..start + 1, "expected \""),
        });
        Ok(())
    }

    fn unicode(
        &mut self,
        digits: usize,
        start: usize,
        title: &'static str,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let code = self
            .rest()
            .get(..digits)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let Some(code) = code else {
            return fail(title, start..start + 1, "expected \"");
        };
        self.at += digits;
        match char::from_u32(code) {
            Some(c) => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                Ok(())
            }
            None => {
                let title = if code < 0xe000 {
                    "toml::parse_utf8_codepoint: [0xD800, 0xDFFF] is not a valid UTF-8"
                } else {
                    "toml::parse_utf8_codepoint: input codepoint is too large."
                };
                fail(title, start + 1..self.at, "here")
            }
        }
    }

    // ---- numbers -------------------------------------------------------------------------------------

    fn number_or_date(&mut self) -> Result<Node> {
        if let Some(node) = self.date_or_time()? {
            return Ok(node);
        }
        let text = self.rest();
        let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
        let word = &text[sign..];
        let negative = text.first() == Some(&b'-');
        for (name, value) in [(&b"inf"[..], f64::INFINITY), (b"nan", f64::NAN)] {
            if word.starts_with(name) {
                self.at += sign + 3;
                return Ok(Node::Float(if negative { -value } else { value }));
            }
        }
        match word {
            [b'0', b'x', ..] => self.based(sign, 16),
            [b'0', b'o', ..] => self.based(sign, 8),
            [b'0', b'b', ..] => self.based(sign, 2),
            _ => self.decimal(sign),
        }
    }

    fn based(&mut self, sign: usize, base: u32) -> Result<Node> {
        let (title, prefix, digit, too_large) = match base {
            16 => (
                "toml::parse_hex_integer: invalid integer: hex_int must be like: 0xC0FFEE, 0xdead_beef",
                "expected 0x",
                "expected hex [0-9a-fA-F]",
                "toml::parse_hex_integer: too large integer: current max value = 2^63",
            ),
            8 => (
                "toml::parse_oct_integer: invalid integer: oct_int must be like: 0o775, 0o04_44",
                "expected 0o",
                "expected oct [0-7]",
                "toml::parse_oct_integer: too large integer: current max value = 2^63",
            ),
            _ => (
                "toml::parse_bin_integer: invalid integer: bin_int must be like: 0b0101, 0b1111_0000",
                "expected 0b",
                "expected 0 or 1",
                "toml::parse_bin_integer: too large integer: current max value = 2^63",
            ),
        };
        if sign > 0 {
            return fail(title, self.here(), prefix);
        }
        self.at += 2;
        let digits = self.take_digits(|byte| char::from(byte).is_digit(base));
        if digits.is_empty() {
            return fail(title, self.here(), digit);
        }
        match i64::from_str_radix(&digits, base) {
            Ok(_) if self.peek() == Some(b'_') => self.bad_underscore(),
            Ok(_) if self.peek().is_some_and(|byte| byte.is_ascii_digit()) => self.bad_digit(),
            Ok(n) => Ok(Node::Int(n)),
            Err(_) => fail(too_large, self.here(), "must be < 2^63"),
        }
    }

    fn bad_digit<T>(&self) -> Result<T> {
        let title = "bad integer: invalid digit after an integer";
        fail_with_hints(
            title,
            self.here(),
            "this digit is not allowed",
            INTEGER_HINTS,
        )
    }

    fn bad_underscore<T>(&self) -> Result<T> {
        let title = "bad integer: `_` must be surrounded by digits";
        fail_with_hints(title, self.here(), "invalid underscore", INTEGER_HINTS)
    }

    /// Digits with single underscores between them, without these.
    fn take_digits(&mut self, is_digit: impl Fn(u8) -> bool) -> String {
        let mut digits = String::new();
        loop {
            match self.rest() {
                [byte, ..] if is_digit(*byte) => {
                    digits.push(char::from(*byte));
                    self.at += 1;
                }
                [b'_', byte, ..] if is_digit(*byte) && !digits.is_empty() => self.at += 1,
                _ => return digits,
            }
        }
    }

    fn decimal(&mut self, sign: usize) -> Result<Node> {
        let start = self.at;
        let decimal = |byte: u8| byte.is_ascii_digit();
        let mut number = String::from(if self.peek() == Some(b'-') { "-" } else { "" });
        self.at += sign;
        if self.eat(b'0') {
            number.push('0');
        } else {
            number += &self.take_digits(decimal);
        }
        if self.at == start + sign {
            self.at = start;
            let title = match self.text.get(start + sign) {
                Some(b'i') => NOT_INF,
                Some(b'n') => NOT_NAN,
                _ => "bad format: unknown value appeared",
            };
            return fail(title, self.here(), "here");
        }
        let integer_end = self.at;
        let mut float = false;
        if let [b'.', digit, ..] = self.rest()
            && digit.is_ascii_digit()
        {
            self.at += 1;
            number.push('.');
            number += &self.take_digits(decimal);
            float = true;
        }
        if let [b'e' | b'E', rest @ ..] = self.rest() {
            let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
            if rest.get(sign).is_some_and(u8::is_ascii_digit) {
                number.push('e');
                if rest[0] == b'-' {
                    number.push('-');
                }
                self.at += 1 + sign;
                number += &self.take_digits(decimal);
                float = true;
            }
        }
        if float {
            return self.float(&number);
        }
        self.at = integer_end;
        match self.peek() {
            Some(b'.' | b'e' | b'E') => fail_with_hints(
                "bad float: invalid format",
                self.here(),
                "here",
                FLOAT_HINTS,
            ),
            Some(b'_') => self.bad_underscore(),
            Some(b'0') => fail_with_hints(
                "bad integer: leading zero",
                self.here(),
                "here",
                INTEGER_HINTS,
            ),
            Some(b'1'..=b'9') => self.bad_digit(),
            Some(b':' | b'-' | b'T') => fail_with_hints(
                "bad datetime: invalid format",
                self.here(),
                "here",
                DATE_HINTS,
            ),
            _ => match number.parse() {
                Ok(n) => Ok(Node::Int(n)),
                Err(_) => fail(
                    "toml::parse_dec_integer: too large integer: current max digits = 2^63",
                    self.here(),
                    "must be < 2^63",
                ),
            },
        }
    }

    fn float(&mut self, number: &str) -> Result<Node> {
        if self.peek() == Some(b'_') {
            let title = "bad float: `_` must be surrounded by digits";
            return fail_with_hints(title, self.here(), "invalid underscore", FLOAT_HINTS);
        }
        match number.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Node::Float(value)),
            _ => fail(
                "toml::parse_floating: failed to read floating point value from stream",
                self.here(),
                "here",
            ),
        }
    }

    // ---- dates ---------------------------------------------------------------------------------------

    /// A date, a time or both, if the text begins like one.
    fn date_or_time(&mut self) -> Result<Option<Node>> {
        let start = self.at;
        if let Some(time) = self.time()? {
            return Ok(Some(Node::Timestamp(time)));
        }
        let Some(date) = self.date()? else {
            return Ok(None);
        };
        let separated = match self.rest() {
            [b'T' | b't', ..] => true,
            [b' ', digit, ..] => digit.is_ascii_digit(),
            _ => false,
        };
        if !separated {
            return Ok(Some(Node::Timestamp(date)));
        }
        self.at += 1;
        let Some(time) = self.time()? else {
            let shape = b"00:00:00";
            let wrong = shape
                .iter()
                .zip(self.rest())
                .position(|(want, byte)| match want {
                    b'0' => !byte.is_ascii_digit(),
                    colon => byte != colon,
                });
            let wrong = wrong.unwrap_or(self.rest().len().min(shape.len()));
            let label = if shape.get(wrong) == Some(&b':') {
                "expected :"
            } else {
                "expected digit [0-9]"
            };
            self.at += wrong;
            return fail_with_hints(
                "bad time: must be HH:MM:SS.subsec",
                self.here(),
                label,
                TIME_HINTS,
            );
        };
        let offset = self.offset()?;
        debug_assert!(self.at > start);
        Ok(Some(Node::Timestamp(format!("{date}T{time}{offset}"))))
    }

    /// The digits of `text` where `shape` has `0`, if everything else is as there.
    fn shaped(&self, shape: &[u8]) -> Option<Vec<u32>> {
        let text = self.rest().get(..shape.len())?;
        let mut numbers = vec![0];
        for (want, byte) in shape.iter().zip(text) {
            match want {
                b'0' if byte.is_ascii_digit() => {
                    let last = numbers.last_mut()?;
                    *last = *last * 10 + u32::from(byte - b'0');
                }
                b'0' => return None,
                other if other == byte => numbers.push(0),
                _ => return None,
            }
        }
        Some(numbers)
    }

    fn date(&mut self) -> Result<Option<String>> {
        let Some([year, month, day]) = self
            .shaped(b"0000-00-00")
            .and_then(|n| <[u32; 3]>::try_from(n).ok())
        else {
            return Ok(None);
        };
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if !(1..=12).contains(&month) || !(1..=days).contains(&day) {
            return fail(
                "toml::parse_local_date: invalid date.",
                self.here(),
                "month must be 01-12, day must be any of 01-28,29,30,31 depending on the month/year.",
            );
        }
        self.at += 10;
        Ok(Some(format!("{year:04}-{month:02}-{day:02}")))
    }

    fn time(&mut self) -> Result<Option<String>> {
        const TITLE: &str = "toml::parse_local_time: invalid time.";
        let Some([hour, minute, second]) = self
            .shaped(b"00:00:00")
            .and_then(|n| <[u32; 3]>::try_from(n).ok())
        else {
            return Ok(None);
        };
        if hour > 23 || minute > 59 {
            return fail(
                TITLE,
                self.here(),
                "hour must be 00-23, minute must be 00-59.",
            );
        }
        if second > 60 {
            return fail(TITLE, self.here(), "second must be 00-60.");
        }
        self.at += 8;
        let mut time = format!("{hour:02}:{minute:02}:{second:02}");
        if let [b'.', fraction @ ..] = self.rest() {
            let digits: Vec<u8> = fraction
                .iter()
                .copied()
                .take_while(u8::is_ascii_digit)
                .collect();
            if !digits.is_empty() {
                self.at += 1 + digits.len();
                time += &subseconds(&digits);
            }
        }
        Ok(Some(time))
    }

    fn offset(&mut self) -> Result<String> {
        if matches!(self.peek(), Some(b'Z' | b'z')) {
            self.at += 1;
            return Ok("Z".into());
        }
        let Some(sign @ (b'+' | b'-')) = self.peek() else {
            return Ok(String::new());
        };
        self.at += 1;
        let Some([hour, minute]) = self
            .shaped(b"00:00")
            .and_then(|n| <[u32; 2]>::try_from(n).ok())
        else {
            let title = "bad offset: must be [+-]HH:MM or Z";
            return fail_with_hints(
                title,
                self.here(),
                "expected z or Z or digit [0-9]",
                OFFSET_HINTS,
            );
        };
        if hour > 24 || minute > 60 {
            return fail(
                "toml::parse_offset_datetime: too large offset: |hour| <= 24, |minute| <= 60",
                self.at - 1..self.at + 5,
                "here",
            );
        }
        self.at += 5;
        if hour == 0 && minute == 0 {
            return Ok("Z".into());
        }
        let minutes = 60 * hour + minute;
        Ok(format!(
            "{}{:02}:{:02}",
            char::from(sign),
            minutes / 60,
            minutes % 60
        ))
    }
}

/// The fraction of a second in thousandths, millionths or billionths, whichever loses nothing; zero is left out.
fn subseconds(digits: &[u8]) -> String {
    let mut padded = digits
        .iter()
        .copied()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .map(char::from)
        .collect::<String>();
    while !padded.is_empty() && padded.ends_with("000") {
        padded.truncate(padded.len() - 3);
    }
    if padded.is_empty() {
        padded
    } else {
        format!(".{padded}")
    }
}
