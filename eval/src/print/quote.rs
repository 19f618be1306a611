//! Strings and names as they would be written in a program.

/// Words that cannot be attribute names without quotes.
const KEYWORDS: &[&[u8]] = &[
    b"if", b"then", b"else", b"assert", b"with", b"let", b"in", b"rec", b"inherit",
];

/// The string in quotes with escapes.
pub(crate) fn string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for (i, &byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'$' if bytes.get(i + 1) == Some(&b'{') => out.extend_from_slice(b"\\$"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// An attribute name, in quotes when it is no identifier.
pub(crate) fn attr_name(name: &[u8], out: &mut Vec<u8>) {
    let identifier = matches!(name.first(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'_'))
        && name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'\'' | b'-'))
        && !KEYWORDS.contains(&name);
    if identifier {
        out.extend_from_slice(name)
    } else {
        string(name, out)
    }
}
