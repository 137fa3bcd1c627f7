//! Whether a transfer goes on fast enough.
//!
//! Responsible for the one rule against slow peers, in both directions: some progress within the time-out, and a
//! least average rate after it. Only the rule: the caller says what counts as progress.

use std::time::{Duration, Instant};

/// Watches one transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    timeout: Duration,
    min_rate: u64,
    started: Instant,
    last: Instant,
    first_count: u64,
    count: u64,
}

impl Pace {
    /// A transfer that begins now, of which `count` bytes are already done.
    pub(crate) fn new(timeout: Duration, min_rate: u64, now: Instant, count: u64) -> Self {
        Self { timeout, min_rate, started: now, last: now, first_count: count, count }
    }

    /// Tells how many bytes are done by now.
    pub(crate) fn progress(&mut self, now: Instant, count: u64) {
        if count > self.count {
            self.count = count;
            self.last = now;
        }
    }

    /// Begins anew: there is nothing that the peer could be slow with.
    pub(crate) fn restart(&mut self, now: Instant) {
        *self = Self::new(self.timeout, self.min_rate, now, self.count);
    }

    /// When the transfer is too slow, unless there is progress before.
    pub(crate) fn deadline(&self) -> Instant {
        let idle = self.last + self.timeout;
        let Some(seconds) = (self.count - self.first_count).checked_div(self.min_rate) else { return idle };
        let ceiling = self.timeout.saturating_add(Duration::from_secs(seconds));
        self.started.checked_add(ceiling).map_or(idle, |ceiling| ceiling.min(idle))
    }

    pub(crate) fn expired(&self, now: Instant) -> bool {
        now >= self.deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_needs_progress_and_a_rate() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::new(Duration::from_secs(10), 100, start, 5000);
        assert_eq!(pace.deadline(), after(10));
        // A byte a second is progress, but after the time-out it is below 100 bytes a second.
        for second in 1..10 {
            pace.progress(after(second), 5000 + second);
            assert!(!pace.expired(after(second)));
        }
        assert!(pace.expired(after(10)));
        pace.progress(after(9), 5000 + 1000);
        assert_eq!(pace.deadline(), after(19), "1000 bytes buy ten seconds more, idleness nine");
        pace.restart(after(18));
        assert_eq!(pace.deadline(), after(28));
    }

    #[test]
    fn any_rate_will_do_without_a_minimum() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(10), 0, start, 0);
        for second in 1..100 {
            pace.progress(start + Duration::from_secs(second), second);
        }
        assert!(!pace.expired(start + Duration::from_secs(100)));
    }
}
