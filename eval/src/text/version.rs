//! Versions: their parts and their order, and names that end in one.

use std::cmp::Ordering;

/// The parts of a version: runs of digits and runs of other characters; dots and dashes only separate.
pub fn components(version: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = version;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| !is_separator(*byte))?;
        rest = &rest[start..];
        let digits = rest[0].is_ascii_digit();
        let end = rest
            .iter()
            .position(|byte| is_separator(*byte) || byte.is_ascii_digit() != digits)
            .unwrap_or(rest.len());
        let (component, after) = rest.split_at(end);
        rest = after;
        Some(component)
    })
}

fn is_separator(byte: u8) -> bool {
    byte == b'.' || byte == b'-'
}

/// The order of two versions: part by part, a missing part being empty.
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (components(a), components(b));
    loop {
        let (x, y) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) => (x.unwrap_or_default(), y.unwrap_or_default()),
        };
        if is_less(x, y) {
            return Ordering::Less;
        }
        if is_less(y, x) {
            return Ordering::Greater;
        }
    }
}

/// Numbers are compared as such; `pre` comes before everything, words before numbers, nothing before a number.
fn is_less(a: &[u8], b: &[u8]) -> bool {
    match (number(a), number(b)) {
        (Some(x), Some(y)) => x < y,
        (_, Some(_)) if a.is_empty() => true,
        _ if a == b"pre" && b != b"pre" => true,
        _ if b == b"pre" => false,
        (_, Some(_)) => true,
        (Some(_), _) => false,
        _ => a < b,
    }
}

/// A part as a number; one that does not fit in 32 bits is a word.
fn number(part: &[u8]) -> Option<i32> {
    if part.is_empty() {
        return None;
    }
    part.iter().try_fold(0_i32, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| i32::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// A package name taken apart: the version begins after the first dash that no letter follows.
pub fn split_name(name: &[u8]) -> (&[u8], &[u8]) {
    name.windows(2)
        .position(|pair| pair[0] == b'-' && !pair[1].is_ascii_alphabetic())
        .map_or((name, b""), |dash| (&name[..dash], &name[dash + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_part_by_part() {
        let ascending = [
            ["1.0", "2.3"],
            ["2.1", "2.3"],
            ["2.3", "2.5"],
            ["2.5", "3.1"],
            ["2.3", "2.3.1"],
            ["2.3a", "2.3.1"],
            ["2.3pre1", "2.3"],
            ["2.3pre3", "2.3pre12"],
            ["2.3pre1", "2.3c"],
            ["2.3pre1", "2.3q"],
            ["2.3a", "2.3c"],
        ];
        for [a, b] in ascending {
            assert_eq!(
                compare(a.as_bytes(), b.as_bytes()),
                Ordering::Less,
                "{a} < {b}"
            );
            assert_eq!(
                compare(b.as_bytes(), a.as_bytes()),
                Ordering::Greater,
                "{b} > {a}"
            );
        }
        assert_eq!(compare(b"1..2-", b"1-2"), Ordering::Equal);
    }

    #[test]
    fn a_version_falls_into_numbers_and_words() {
        let parts: Vec<&[u8]> = components(b"-1.2.3pre45-rc..6").collect();
        assert_eq!(parts, [&b"1"[..], b"2", b"3", b"pre", b"45", b"rc", b"6"]);
    }

    #[test]
    fn a_name_ends_where_its_version_begins() {
        assert_eq!(
            split_name(b"nix-0.12pre12876"),
            (&b"nix"[..], &b"0.12pre12876"[..])
        );
        assert_eq!(
            split_name(b"apache-httpd-2.0.48"),
            (&b"apache-httpd"[..], &b"2.0.48"[..])
        );
        assert_eq!(split_name(b"name-"), (&b"name-"[..], &b""[..]));
        assert_eq!(split_name(b"a--b"), (&b"a"[..], &b"-b"[..]));
    }
}
