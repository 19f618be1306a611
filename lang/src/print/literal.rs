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
            other => out.extend_from_slice(&[b'\\', other]),
        }
        rest = &rest[found + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte is that is not printed as it is (or may not be).
#[inline]
fn next_special(text: &[u8]) -> Option<usize> {
    const SPECIAL: [bool; 256] = {
        let mut table = [false; 256];
        let mut at = 0;
        while at < b"\"\\\n\r\t$".len() {
            table[b"\"\\\n\r\t$"[at] as usize] = true;
            at += 1;
        }
        table
    };
    text.iter().position(|&byte| SPECIAL[byte as usize])
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
