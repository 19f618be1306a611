//! Strings and numbers as JSON.
//!
//! Doubles are printed with *Grisu2* (Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with
//! Integers", 2010), because the reference does: it always reads back as the same double, but is not always the
//! shortest form, and structured attributes go into hashes.

/// A string that is not UTF-8 has no JSON form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUtf8 {
    /// A byte that cannot stand where it stands.
    #[error("[json.exception.type_error.316] invalid UTF-8 byte at index {index}: 0x{byte:02X}")]
    Byte {
        /// Where
        index: usize,
        /// Which
        byte: u8,
    },
    /// The last character is cut off.
    #[error("[json.exception.type_error.316] incomplete UTF-8 string; last byte: 0x{0:02X}")]
    Incomplete(u8),
}

/// Appends a string in quotes with escapes.
pub fn write_string(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), InvalidUtf8> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(invalid(bytes, error));
    }
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut from = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..=0x1f => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[from..i]);
        out.extend_from_slice(escape);
        if escape.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        }
        from = i + 1;
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
    Ok(())
}

#[cold]
fn invalid(bytes: &[u8], error: std::str::Utf8Error) -> InvalidUtf8 {
    let start = error.valid_up_to();
    match error.error_len() {
        None => InvalidUtf8::Incomplete(bytes.last().copied().unwrap_or_default()),
        // The byte at fault is the first that does not continue the character; a wrong lead is at fault itself.
        Some(good) => {
            let starts_well = matches!(bytes[start], 0xc2..=0xf4);
            let index = if starts_well { start + good } else { start };
            InvalidUtf8::Byte {
                index,
                byte: bytes.get(index).copied().unwrap_or_default(),
            }
        }
    }
}

/// Appends a number; what is not finite is null.
pub fn write_float(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        out.extend_from_slice(b"null");
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value == 0.0 {
        out.extend_from_slice(b"0.0");
        return;
    }
    let (digits, exponent) = shortest(value.abs());
    layout(&digits, exponent, out);
}

/// Writes digits × 10^exponent: plainly from 10⁻⁵ to 10¹⁵, with an exponent outside.
fn layout(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let count = digits.len() as i32;
    let point = count + exponent;
    let zeros = |n: i32| std::iter::repeat_n(b'0', n.max(0) as usize);
    if exponent >= 0 && point <= 15 {
        out.extend_from_slice(digits);
        out.extend(zeros(exponent));
        out.extend_from_slice(b".0");
    } else if 0 < point && point <= 15 {
        let (whole, fraction) = digits.split_at(point as usize);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else if -4 < point && point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(zeros(-point));
        out.extend_from_slice(digits);
    } else {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        let (sign, size) = if point > 0 {
            ('+', point - 1)
        } else {
            ('-', 1 - point)
        };
        out.extend_from_slice(format!("e{sign}{size:02}").as_bytes());
    }
}

/// A number f × 2^e with a 64-bit significand.
#[derive(Clone, Copy)]
struct Wide {
    f: u64,
    e: i32,
}

impl Wide {
    fn times(self, other: Wide) -> Wide {
        let product = u128::from(self.f) * u128::from(other.f) + (1 << 63);
        Wide {
            f: (product >> 64) as u64,
            e: self.e + other.e + 64,
        }
    }

    fn normalized(self) -> Wide {
        let shift = self.f.leading_zeros();
        Wide {
            f: self.f << shift,
            e: self.e - shift as i32,
        }
    }
}

/// Digits and decimal exponent of a positive double: Grisu2.
fn shortest(value: f64) -> (Vec<u8>, i32) {
    const HIDDEN: u64 = 1 << 52;
    let bits = value.to_bits();
    let (biased, fraction) = ((bits >> 52) as i32, bits & (HIDDEN - 1));
    let v = if biased == 0 {
        Wide {
            f: fraction,
            e: -1074,
        }
    } else {
        Wide {
            f: fraction + HIDDEN,
            e: biased - 1075,
        }
    };
    // The doubles half-way to the neighbours; the lower neighbour of a power of two is nearer.
    let upper = Wide {
        f: 2 * v.f + 1,
        e: v.e - 1,
    }
    .normalized();
    let nearer = fraction == 0 && biased > 1;
    let lower = if nearer {
        Wide {
            f: 4 * v.f - 1,
            e: v.e - 2,
        }
    } else {
        Wide {
            f: 2 * v.f - 1,
            e: v.e - 1,
        }
    };
    let lower = Wide {
        f: lower.f << (lower.e - upper.e),
        e: upper.e,
    };
    let v = v.normalized();

    let (power, power_exponent) = cached_power(upper.e);
    let w = v.times(power);
    // One unit inwards, since the products are rounded.
    let low = lower.times(power).f + 1;
    let high = Wide {
        f: upper.times(power).f - 1,
        ..w
    };
    digits_of(low, w.f, high, -power_exponent)
}

/// Digits of a number between `low` and `high`, as few as can be, as near to `w` as can be.
fn digits_of(low: u64, w: u64, high: Wide, mut exponent: i32) -> (Vec<u8>, i32) {
    let mut delta = high.f - low;
    let mut distance = high.f - w;
    let shift = -high.e as u32;
    let one = 1_u64 << shift;
    let mut whole = (high.f >> shift) as u32;
    let mut part = high.f & (one - 1);
    let mut digits = Vec::with_capacity(17);
    let mut left = whole.checked_ilog10().map_or(1, |log| log + 1);
    let mut unit = 10_u32.pow(left - 1);
    while left > 0 {
        digits.push(b'0' + (whole / unit) as u8);
        whole %= unit;
        left -= 1;
        let rest = (u64::from(whole) << shift) + part;
        if rest <= delta {
            exponent += left as i32;
            round(&mut digits, distance, delta, rest, u64::from(unit) << shift);
            return (digits, exponent);
        }
        unit /= 10;
    }
    loop {
        part *= 10;
        digits.push(b'0' + (part >> shift) as u8);
        part &= one - 1;
        exponent -= 1;
        delta *= 10;
        distance *= 10;
        if part <= delta {
            round(&mut digits, distance, delta, part, one);
            return (digits, exponent);
        }
    }
}

/// Lowers the last digit while that brings the number nearer to the wanted one.
fn round(digits: &mut [u8], distance: u64, delta: u64, mut rest: u64, unit: u64) {
    let Some(last) = digits.last_mut() else {
        return;
    };
    while rest < distance
        && delta - rest >= unit
        && (rest + unit < distance || distance - rest > rest + unit - distance)
    {
        *last -= 1;
        rest += unit;
    }
}

/// A power of ten that brings a number with binary exponent `e` into the range that the digits are made in.
fn cached_power(e: i32) -> (Wide, i32) {
    const ALPHA: i32 = -60;
    let f = ALPHA - e - 1;
    let k = (f * 78913) / (1 << 18) + i32::from(f > 0);
    let index = (300 + k + 7) / 8;
    let (f, e) = POWERS[index as usize];
    (Wide { f, e }, index * 8 - 300)
}

/// 10^-300, 10^-292 … 10^324, rounded to 64 bits.
#[rustfmt::skip]
#[expect(clippy::unreadable_literal, reason = "significands have no thousands")]
const POWERS: [(u64, i32); 79] = [
    (0xAB70FE17C79AC6CA, -1060), (0xFF77B1FCBEBCDC4F, -1034), (0xBE5691EF416BD60C, -1007),
    (0x8DD01FAD907FFC3C, -980), (0xD3515C2831559A83, -954), (0x9D71AC8FADA6C9B5, -927),
    (0xEA9C227723EE8BCB, -901), (0xAECC49914078536D, -874), (0x823C12795DB6CE57, -847),
    (0xC21094364DFB5637, -821), (0x9096EA6F3848984F, -794), (0xD77485CB25823AC7, -768),
    (0xA086CFCD97BF97F4, -741), (0xEF340A98172AACE5, -715), (0xB23867FB2A35B28E, -688),
    (0x84C8D4DFD2C63F3B, -661), (0xC5DD44271AD3CDBA, -635), (0x936B9FCEBB25C996, -608),
    (0xDBAC6C247D62A584, -582), (0xA3AB66580D5FDAF6, -555), (0xF3E2F893DEC3F126, -529),
    (0xB5B5ADA8AAFF80B8, -502), (0x87625F056C7C4A8B, -475), (0xC9BCFF6034C13053, -449),
    (0x964E858C91BA2655, -422), (0xDFF9772470297EBD, -396), (0xA6DFBD9FB8E5B88F, -369),
    (0xF8A95FCF88747D94, -343), (0xB94470938FA89BCF, -316), (0x8A08F0F8BF0F156B, -289),
    (0xCDB02555653131B6, -263), (0x993FE2C6D07B7FAC, -236), (0xE45C10C42A2B3B06, -210),
    (0xAA242499697392D3, -183), (0xFD87B5F28300CA0E, -157), (0xBCE5086492111AEB, -130),
    (0x8CBCCC096F5088CC, -103), (0xD1B71758E219652C, -77), (0x9C40000000000000, -50),
    (0xE8D4A51000000000, -24), (0xAD78EBC5AC620000, 3), (0x813F3978F8940984, 30),
    (0xC097CE7BC90715B3, 56), (0x8F7E32CE7BEA5C70, 83), (0xD5D238A4ABE98068, 109),
    (0x9F4F2726179A2245, 136), (0xED63A231D4C4FB27, 162), (0xB0DE65388CC8ADA8, 189),
    (0x83C7088E1AAB65DB, 216), (0xC45D1DF942711D9A, 242), (0x924D692CA61BE758, 269),
    (0xDA01EE641A708DEA, 295), (0xA26DA3999AEF774A, 322), (0xF209787BB47D6B85, 348),
    (0xB454E4A179DD1877, 375), (0x865B86925B9BC5C2, 402), (0xC83553C5C8965D3D, 428),
    (0x952AB45CFA97A0B3, 455), (0xDE469FBD99A05FE3, 481), (0xA59BC234DB398C25, 508),
    (0xF6C69A72A3989F5C, 534), (0xB7DCBF5354E9BECE, 561), (0x88FCF317F22241E2, 588),
    (0xCC20CE9BD35C78A5, 614), (0x98165AF37B2153DF, 641), (0xE2A0B5DC971F303A, 667),
    (0xA8D9D1535CE3B396, 694), (0xFB9B7CD9A4A7443C, 720), (0xBB764C4CA7A44410, 747),
    (0x8BAB8EEFB6409C1A, 774), (0xD01FEF10A657842C, 800), (0x9B10A4E5E9913129, 827),
    (0xE7109BFBA19C0C9D, 853), (0xAC2820D9623BF429, 880), (0x80444B5E7AA7CF85, 907),
    (0xBF21E44003ACDD2D, 933), (0x8E679C2F5E44FF8F, 960), (0xD433179D9C8CB841, 986),
    (0x9E19DB92B4E31BA9, 1013),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn float(value: f64) -> String {
        let mut out = Vec::new();
        write_float(value, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn numbers_are_printed_as_people_write_them_unless_too_long() {
        let cases = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1e14, "100000000000000.0"),
            (1e15, "1e+15"),
            (1e22, "1e+22"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123.456, "123.456"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "null"),
            (f64::MAX, "1.7976931348623157e+308"),
        ];
        for (value, expected) in cases {
            assert_eq!(float(value), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same_number(value in any::<f64>()) {
            prop_assume!(value.is_finite());
            prop_assert_eq!(float(value).parse::<f64>().expect("a number").to_bits(), value.to_bits());
        }
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = Vec::new();
        write_string("a\"\\\n\u{1}\u{7f}é".as_bytes(), &mut out).expect("UTF-8");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "\"a\\\"\\\\\\n\\u0001\u{7f}é\""
        );
    }

    #[test]
    fn what_is_not_utf8_is_named() {
        let error = |bytes: &[u8]| {
            write_string(bytes, &mut Vec::new())
                .expect_err("invalid")
                .to_string()
        };
        assert_eq!(
            error(b"ab\xff"),
            "[json.exception.type_error.316] invalid UTF-8 byte at index 2: 0xFF"
        );
        assert_eq!(
            error(b"a\xc3"),
            "[json.exception.type_error.316] incomplete UTF-8 string; last byte: 0xC3"
        );
        assert_eq!(
            error(b"\xe2\x82x"),
            "[json.exception.type_error.316] invalid UTF-8 byte at index 2: 0x78"
        );
    }
}
