//! Bytes that are not UTF-8, in a tree whose text is UTF-8.
//!
//! Such a byte `b` becomes the character U+10FF00 + b, and its place is noted; so the way back is exact even for a file that has
//! those characters itself.

use std::borrow::Cow;

const FIRST: u32 = 0x0010_FF00;
/// The length in UTF-8 of what stands for a byte.
const WIDTH: usize = 4;

/// The text of a source, and where in the text replaced bytes stand.
pub(super) fn text_of(source: &[u8]) -> (Cow<'_, str>, Vec<u32>) {
    if let Ok(text) = std::str::from_utf8(source) {
        return (Cow::Borrowed(text), Vec::new());
    }
    let mut text = String::with_capacity(source.len() + 64);
    let mut places = Vec::new();
    for chunk in source.utf8_chunks() {
        text.push_str(chunk.valid());
        for &byte in chunk.invalid() {
            places.push(text.len() as u32);
            text.extend(char::from_u32(FIRST + u32::from(byte)));
        }
    }
    (Cow::Owned(text), places)
}

/// The source again.
pub(super) fn bytes_of(text: &str, places: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut done = 0;
    for &place in places {
        let place = place as usize;
        bytes.extend_from_slice(&text.as_bytes()[done..place]);
        if let Some(character) = text[place..].chars().next() {
            bytes.push((u32::from(character) - FIRST) as u8);
        }
        done = place + WIDTH;
    }
    bytes.extend_from_slice(&text.as_bytes()[done..]);
    bytes
}

/// The offset in the source of an offset in the text.
pub(super) fn offset_of(places: &[u32], offset: u32) -> u32 {
    let before = places.partition_point(|&place| place < offset);
    offset - (before * (WIDTH - 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back() {
        let all: Vec<u8> = (0..=255)
            .chain("\u{10FF41}é".bytes())
            .chain([0xff, 0xf4])
            .collect();
        let (text, places) = text_of(&all);
        assert_eq!(bytes_of(&text, &places), all);
        assert_eq!(offset_of(&places, text.len() as u32), all.len() as u32);
    }
}
