//! When a failed attempt is repeated, and after which pause.

use std::time::{Duration, Instant};

use super::{DownloadError, Downloader, ErrorKind, Request};

impl Downloader {
    /// Returns after the pause if another attempt makes sense, else gives the failure back.
    pub(super) fn pause_before_retry(
        &self,
        request: &Request,
        failure: Box<DownloadError>,
        attempt: u32,
        offset: u64,
    ) -> Result<(), DownloadError> {
        let attempts = request.attempts.unwrap_or(self.inner.settings.attempts);
        if failure.kind() != ErrorKind::Transient || attempt >= attempts {
            return Err(*failure);
        }
        let settings = &self.inner.settings;
        let backoff = settings
            .retry_delay
            .saturating_mul(1 << (attempt - 1).min(10))
            .min(settings.max_retry_delay);
        let floor = failure.retry_after().unwrap_or_default();
        if floor > settings.max_retry_delay {
            return Err(*failure);
        }
        // Spread over [floor, floor + backoff], so that many clients do not return at once.
        let delay = floor + backoff.mul_f64(jitter());
        let from = if offset > 0 {
            format!(" from offset {offset}")
        } else {
            String::new()
        };
        self.inner.monitor.warn(&format!(
            "{failure}; retrying{from} in {} ms (attempt {attempt}/{attempts})",
            delay.as_millis()
        ));
        let until = Instant::now() + delay;
        loop {
            if self.inner.monitor.interrupted() {
                return Err(DownloadError::Interrupted(request.display_url()));
            }
            match until.checked_duration_since(Instant::now()) {
                None | Some(Duration::ZERO) => return Ok(()),
                Some(rest) => std::thread::sleep(rest.min(Duration::from_millis(100))),
            }
        }
    }
}

/// A number between 0 and 1; the randomly keyed hasher of the standard library is random enough.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    (random >> 11) as f64 / (1u64 << 53) as f64
}

/// Reads a `Retry-After` header: seconds, or a date (`Sun, 06 Nov 1994 08:49:37 GMT`).
pub(super) fn parse_retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let when = parse_http_date(value)?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()?
        .as_secs();
    Some(Duration::from_secs(when.saturating_sub(now)))
}

fn parse_http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let words: Vec<&str> = text.split_once(", ")?.1.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else {
        return None;
    };
    let day: i64 = day.parse().ok()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year: i64 = year
        .parse()
        .ok()
        .filter(|year| (1970..10_000).contains(year))?;
    let mut clock = time
        .split(':')
        .map(|part| part.parse::<u64>().ok().filter(|n| *n < 62));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let days = crate::fetch::time::days_from_civil(year, month, day);
    Some(days as u64 * 86400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(parse_retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(
            parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777)
        );
        for text in [
            "",
            "-1",
            "soon",
            "Sun, 06 Nov 1994",
            "Sun, 6 Foo 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_retry_after(text), None);
        }
    }
}
