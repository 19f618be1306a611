//! Moments for people, in local time.

use std::path::PathBuf;

use rx_store::fetch::time::civil_from_days;

/// `2026-11-22 23:24:31`, in local time.
pub fn local_date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX / 2);
    let offset = zone()
        .and_then(|data| offset_at(&data, seconds))
        .unwrap_or(0);
    date(seconds + offset)
}

/// `2026-11-22`, in UTC.
pub fn utc_day(seconds: u64) -> String {
    let mut text = date(i64::try_from(seconds).unwrap_or(i64::MAX / 2));
    text.truncate(10);
    text
}

fn date(seconds: i64) -> String {
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let rest = seconds.rem_euclid(86_400);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// The description of the local time zone: that of `TZ`, or the machine's.
fn zone() -> Option<Vec<u8>> {
    let file = match std::env::var_os("TZ") {
        Some(name) => {
            let name = name.to_str()?.trim_start_matches(':').to_owned();
            if name.is_empty() || name == "UTC" {
                return None;
            }
            PathBuf::from("/usr/share/zoneinfo").join(name)
        }
        None => PathBuf::from("/etc/localtime"),
    };
    std::fs::read(file).ok()
}

/// Seconds east of UTC at a moment, from a TZif file. After its last change the last offset is taken.
fn offset_at(data: &[u8], moment: i64) -> Option<i64> {
    let counts = |at: usize| -> Option<[usize; 6]> {
        let head = data.get(at..at + 44)?;
        if !head.starts_with(b"TZif") {
            return None;
        }
        let mut counts = [0; 6];
        for (count, bytes) in counts.iter_mut().zip(head[20..].chunks_exact(4)) {
            *count = u32::from_be_bytes(bytes.try_into().ok()?) as usize;
        }
        Some(counts)
    };
    // is-UT, is-standard, leap seconds, transitions, types, characters; first with times of 32 bits.
    let [ut, standard, leaps, times, types, characters] = counts(0)?;
    let size = times * 5 + types * 6 + characters + leaps * 8 + standard + ut;
    let start = 44 + size;
    let [_, _, _, times, types, _] = counts(start)?;
    let at = start + 44;
    let moments = data.get(at..at + times * 8)?;
    let kinds = data.get(at + times * 8..at + times * 9)?;
    let passed = moments
        .chunks_exact(8)
        .take_while(|bytes| {
            let bytes = <[u8; 8]>::try_from(*bytes).unwrap_or_default();
            i64::from_be_bytes(bytes) <= moment
        })
        .count();
    let kind = match passed {
        0 => 0,
        passed => usize::from(kinds[passed - 1]),
    };
    if kind >= types {
        return None;
    }
    let entry = at + times * 9 + kind * 6;
    let offset = data.get(entry..entry + 4)?.try_into().ok()?;
    Some(i64::from(i32::from_be_bytes(offset)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_in_the_zone_of_the_file() {
        // One change at second 1000, from an hour east to two hours east.
        let mut data = b"TZif2".to_vec();
        data.resize(44, 0);
        let mut second = b"TZif2".to_vec();
        second.resize(20, 0);
        for count in [0u32, 0, 0, 1, 2, 4] {
            second.extend(count.to_be_bytes());
        }
        second.extend(1000i64.to_be_bytes());
        second.push(1);
        for offset in [3600i32, 7200] {
            second.extend(offset.to_be_bytes());
            second.extend([0, 0]);
        }
        second.extend(b"XYZ\0");
        data.extend(second);
        assert_eq!(offset_at(&data, 0), Some(3600));
        assert_eq!(offset_at(&data, 1000), Some(7200));
        assert_eq!(offset_at(b"no zone", 0), None);
        assert_eq!(offset_at(&data[..60], 0), None);
        assert_eq!(date(0), "1970-01-01 00:00:00");
        assert_eq!(utc_day(86_400), "1970-01-02");
    }
}
