//! Strings, names and numbers as program text.

/// Appends a string literal.
pub fn string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = bytes;
    while let Some(found) = next_special(rest) {
        out.extend_from_slice(&rest[..found]);
        match rest[found] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'$' if rest.get(found + 1) != Some(&b'{') => out.push(b'$'),
            other @ (b'"' | b'\\' | b'$') => out.extend_from_slice(&[b'\\', other]),
            other => out.push(other),
        }
        rest = &rest[found + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte is that is perhaps not printed as it is: a control character, a quote, a backslash or a dollar.
#[inline]
fn next_special(text: &[u8]) -> Option<usize> {
    // Eight bytes at a time: the top bit of every byte says whether it is one.
    let (words, rest) = text.as_chunks();
    for (at, &word) in words.iter().enumerate() {
        let found = specials(u64::from_le_bytes(word));
        if found != 0 {
            return Some(8 * at + found.trailing_zeros() as usize / 8);
        }
    }
    let is_special = |&byte: &u8| byte < b' ' || matches!(byte, b'"' | b'\\' | b'$');
    let passed = text.len() - rest.len();
    Some(passed + rest.iter().position(is_special)?)
}

/// The top bits of the special bytes. The lowest that is set is right; those above may be false.
#[inline]
fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\') | equal(b'$')) & (ONES << 7)
}

/// Appends an integer.
pub fn integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a name: bare if it is an identifier and no keyword, else in quotes.
pub fn identifier(name: &[u8], out: &mut Vec<u8>) {
    if is_bare(name) {
        out.extend_from_slice(name);
    } else {
        string(name, out);
    }
}

/// Whether a name is an identifier and no keyword.
pub(super) fn is_bare(name: &[u8]) -> bool {
    let keyword = matches!(
        name,
        b"if" | b"then" | b"else" | b"assert" | b"with" | b"let" | b"in" | b"rec" | b"inherit"
    );
    let bare = name
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'\'' | b'-'));
    bare && !keyword
}

/// Appends a number with six significant digits, in the shorter of plain and scientific notation.
pub fn float(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(general(value).as_bytes());
}

fn general(value: f64) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() {
            "-nan"
        } else {
            "nan"
        }
        .to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    let scientific = format!("{value:.5e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let plain = format!("{value:.*}", (5 - exponent) as usize);
        return without_trailing_zeros(&plain).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "{}e{sign}{:02}",
        without_trailing_zeros(mantissa),
        exponent.abs()
    )
}

fn without_trailing_zeros(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_six_significant_digits() {
        let table = [
            (1.0, "1"),
            (1500.0, "1500"),
            (0.0001, "0.0001"),
            (0.000_012_345_67, "1.23457e-05"),
            (123_456_789.0, "1.23457e+08"),
            (999_999.5, "1e+06"),
            (1e300, "1e+300"),
            (0.1, "0.1"),
            (3.0e-7, "3e-07"),
            (0.0, "0"),
        ];
        for (value, text) in table {
            assert_eq!(general(value), text);
        }
    }

    #[test]
    fn integers_are_written_with_their_sign() {
        for value in [0, 7, -1, 1234567890, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            integer(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn strings_escape_what_would_not_read_back() {
        let mut out = Vec::new();
        string(b"a\"\\\n\r\t$x${y}$", &mut out);
        assert_eq!(out, br#""a\"\\\n\r\t$x\${y}$""#);
        // At every place among other bytes.
        for at in 0..40 {
            let mut text = "\x01\u{e4}\u{7f}!#[]^%".repeat(5).into_bytes();
            text.insert(at, b'"');
            out.clear();
            string(&text, &mut out);
            text.insert(at, b'\\');
            assert_eq!(out, [b"\"", &text[..], b"\""].concat());
        }
    }

    #[test]
    fn names_that_are_no_identifiers_are_quoted() {
        for (name, text) in [
            ("a-b'", "a-b'"),
            ("", "\"\""),
            ("if", "\"if\""),
            ("or", "or"),
            ("1a", "\"1a\""),
            ("a b", "\"a b\""),
        ] {
            let mut out = Vec::new();
            identifier(name.as_bytes(), &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }
}
