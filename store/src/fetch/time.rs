//! Calendar dates without a time zone.

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar (month 1 to 12).
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last day of a year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a number of days since 1970-01-01: year, month, day.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// `YYYY-MM-DD` in UTC.
pub fn date(seconds: u64) -> String {
    let (year, month, day) = civil_from_days((seconds / 86_400).min(3_000_000) as i64);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `YYYY-MM-DD hh:mm:ss` in UTC.
pub fn date_and_time(seconds: u64) -> String {
    let rest = seconds % 86_400;
    format!(
        "{} {:02}:{:02}:{:02}",
        date(seconds),
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// `YYYYMMDDhhmmss` in UTC, the form of `lastModifiedDate`.
pub fn compact_date(seconds: u64) -> String {
    let (year, month, day) = civil_from_days((seconds / 86_400).min(3_000_000) as i64);
    let rest = seconds % 86_400;
    format!(
        "{year:04}{month:02}{day:02}{:02}{:02}{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Seconds since 1970.
pub fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_inverse() {
        for days in [
            -719_468, -1, 0, 58, 59, 60, 11_016, 11_017, 20_000, 2_932_896,
        ] {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(days_from_civil(2000, 2, 29), 11_016);
    }

    #[test]
    fn the_compact_date_is_in_utc() {
        assert_eq!(compact_date(0), "19700101000000");
        assert_eq!(compact_date(1_700_000_000), "20231114221320");
    }
}
