//! Strings, names and numbers as program text.

/// Appends a string literal.
pub fn string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = bytes;
    while let Some(found) = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t' | b'$'))
    {
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

/// Appends a name: bare if it is an identifier and no keyword, else in quotes.
pub fn identifier(name: &[u8], out: &mut Vec<u8>) {
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
    if bare && !keyword {
        out.extend_from_slice(name);
    } else {
        string(name, out);
    }
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
