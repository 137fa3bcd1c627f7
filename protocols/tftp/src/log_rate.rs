//! How much the log takes of what strangers can cause.
//!
//! Responsible for a limit on lines about refused requests and failed transfers.

use std::time::{Duration, Instant};

/// Lines in one second.
const LINES: u32 = 20;

/// Counts the lines of the current second.
#[derive(Debug, Default)]
pub(crate) struct LogRate {
    second: Option<Instant>,
    lines: u32,
}

impl LogRate {
    /// Whether one more line may be written now. The metrics count all.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|second| now >= second + Duration::from_secs(1)) {
            self.second = Some(now);
            self.lines = 0;
        }
        self.lines = self.lines.saturating_add(1);
        self.lines <= LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_a_second() {
        let (mut rate, now) = (LogRate::default(), Instant::now());
        assert_eq!((0..100).filter(|_| rate.allows(now)).count(), 20);
        assert!(rate.allows(now + Duration::from_secs(1)));
    }
}
