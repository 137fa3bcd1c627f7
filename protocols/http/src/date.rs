//! The `Date` of responses (RFC 9110 §6.6.1), formatted once a second.
//!
//! Responsible for the text alone; when it is now is told by the caller.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The length of an IMF-fixdate, in bytes.
pub(crate) const DATE_LENGTH: usize = 29;

/// A date as text, and the second since 1970 that it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Date {
    pub(crate) second: u64,
    pub(crate) text: [u8; DATE_LENGTH],
}

impl Date {
    pub(crate) fn at(time: SystemTime) -> Self {
        let second = seconds(time);
        let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        let formatted = format_http_date(time);
        if let Ok(bytes) = <[u8; DATE_LENGTH]>::try_from(formatted.as_bytes()) {
            text = bytes;
        }
        Self { second, text }
    }
}

/// Formats a time as an IMF-fixdate. Times that have none (before 1970, after 9999) become the nearest that has.
pub(crate) fn format_http_date(time: SystemTime) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    let second = seconds(time).min(YEAR_10000 - 1);
    httpdate::fmt_http_date(UNIX_EPOCH + std::time::Duration::from_secs(second))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The last date that was formatted, for all connections of a server.
#[derive(Debug)]
pub(crate) struct DateCache(Mutex<Date>);

impl Default for DateCache {
    fn default() -> Self {
        Self(Mutex::new(Date::at(UNIX_EPOCH)))
    }
}

impl DateCache {
    /// The date at `time`.
    pub(crate) fn get(&self, time: SystemTime) -> Date {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.second != seconds(time) {
            *cached = Date::at(time);
        }
        *cached
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_date_follows_the_clock() {
        let cache = DateCache::default();
        let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(&cache.get(time).text, b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&cache.get(time + Duration::from_millis(999)).text, b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&cache.get(time + Duration::from_secs(1)).text, b"Sun, 06 Nov 1994 08:49:38 GMT");
    }

    #[test]
    fn times_without_a_date_do_not_panic() {
        assert_eq!(format_http_date(UNIX_EPOCH - Duration::from_secs(5)), "Thu, 01 Jan 1970 00:00:00 GMT");
        let far = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(format_http_date(far), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
