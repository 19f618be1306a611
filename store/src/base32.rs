//! Nix's base-32: digits and lower-case letters without `e`, `o`, `t`, `u`, most significant digit first.
//!
//! The bytes are read as one little-endian number, so the *last* byte of a digest makes the *first* digits.
//! Because the alphabet ascends in ASCII, comparing two texts of equal length compares the reversed bytes.

/// The 32 digits in ascending order.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

const INVALID: u8 = 0xff;

const REVERSE: [u8; 256] = {
    let mut map = [INVALID; 256];
    let mut i = 0;
    while i < 32 {
        map[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    map
};

/// Number of digits that `bytes` bytes take.
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// True for a byte that is one of the 32 digits.
#[inline]
pub const fn is_digit(byte: u8) -> bool {
    REVERSE[byte as usize] != INVALID
}

/// Appends the digits of `bytes` to `out`.
pub fn encode_into(bytes: &[u8], out: &mut Vec<u8>) {
    for n in (0..encoded_len(bytes.len())).rev() {
        let bit = n * 5;
        let (i, j) = (bit / 8, bit % 8);
        let low = u16::from(bytes[i]);
        let high = u16::from(bytes.get(i + 1).copied().unwrap_or(0));
        let digit = ((low | high << 8) >> j) & 0x1f;
        out.push(ALPHABET[digit as usize]);
    }
}

/// The digits of a 20-byte digest, without allocation: what store paths begin with.
#[inline]
pub fn encode_digest(digest: &[u8; 20]) -> [u8; 32] {
    let mut out = [0; 32];
    // Five bytes are exactly eight digits, and twenty bytes are four such groups.
    for group in 0..4 {
        let b = &digest[group * 5..group * 5 + 5];
        let mut word = u64::from(b[0])
            | u64::from(b[1]) << 8
            | u64::from(b[2]) << 16
            | u64::from(b[3]) << 24
            | u64::from(b[4]) << 32;
        for digit in 0..8 {
            out[31 - (group * 8 + digit)] = ALPHABET[(word & 0x1f) as usize];
            word >>= 5;
        }
    }
    out
}

/// The digits of `bytes` as text.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(encoded_len(bytes.len()));
    encode_into(bytes, &mut out);
    out.into_iter().map(char::from).collect()
}

/// Reads digits; `Err` holds the first byte (from the end, as the number is read) that is no digit.
///
/// Like the reference this keeps overflowing bits as one byte more, so that the caller's length check
/// rejects texts with more bits than the digest has.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, u8> {
    let mut out = Vec::with_capacity(text.len() * 5 / 8 + 1);
    for (n, &c) in text.iter().rev().enumerate() {
        let digit = REVERSE[c as usize];
        if digit == INVALID {
            return Err(c);
        }
        let bit = n * 5;
        let (i, j) = (bit / 8, bit % 8);
        if out.len() <= i {
            out.resize(i + 1, 0);
        }
        out[i] |= digit << j;
        let carry = if j == 0 { 0 } else { digit >> (8 - j) };
        if carry != 0 {
            out.resize(i + 2, 0);
            out[i + 1] |= carry;
        }
    }
    Ok(out)
}

/// Reads exactly the 32 digits of a 20-byte digest.
#[inline]
pub fn decode_digest(text: &[u8; 32]) -> Option<[u8; 20]> {
    let mut out = [0; 20];
    for group in 0..4 {
        let mut word = 0u64;
        for digit in (0..8).rev() {
            let value = REVERSE[text[31 - (group * 8 + digit)] as usize];
            if value == INVALID {
                return None;
            }
            word = word << 5 | u64::from(value);
        }
        out[group * 5..group * 5 + 5].copy_from_slice(&word.to_le_bytes()[..5]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_empty_text_is_no_bytes() {
        assert_eq!(encode(b""), "");
        assert_eq!(decode(b"").unwrap(), b"");
    }

    #[test]
    fn a_known_digest_prints_as_the_reference_prints_it() {
        let empty = [
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f,
            0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b,
            0x78, 0x52, 0xb8, 0x55,
        ];
        assert_eq!(
            encode(&empty),
            "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
        );
    }

    #[test]
    fn letters_outside_the_alphabet_are_refused() {
        assert_eq!(decode(b"00e"), Err(b'e'));
        assert_eq!(decode(b"A"), Err(b'A'));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bytes in proptest::collection::vec(any::<u8>(), 1..70)) {
            let mut back = decode(encode(&bytes).as_bytes()).unwrap();
            back.resize(bytes.len(), 0);
            prop_assert_eq!(back, bytes);
        }

        #[test]
        fn digests_take_the_short_way_to_the_same_text(digest in any::<[u8; 20]>()) {
            let text = encode_digest(&digest);
            let long = encode(&digest);
            prop_assert_eq!(long.as_bytes(), &text[..]);
            prop_assert_eq!(decode_digest(&text), Some(digest));
        }
    }
}
