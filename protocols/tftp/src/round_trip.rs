//! When to send again: the measured round trip and the time-out that follows from it.
//!
//! Responsible for RFC 1123 §4.2.3.2 (an adaptive time-out with exponential back-off), with RFC 6298's estimator.
//! Karn's rule, that a repeated packet is not measured, is the caller's to keep.

use std::time::Duration;

/// The bounds of a retransmission time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Before anything is measured.
    pub(crate) initial: Duration,
    /// At least.
    pub(crate) minimum: Duration,
    /// At most, however often it was backed off.
    pub(crate) maximum: Duration,
}

/// The estimator of one transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrip {
    bounds: Bounds,
    /// The `timeout` option (RFC 2349): the client's choice, neither measured nor backed off.
    fixed: Option<Duration>,
    srtt: Option<Duration>,
    rttvar: Duration,
    backoff: u32,
}

impl RoundTrip {
    pub(crate) const fn new(bounds: Bounds, fixed: Option<Duration>) -> Self {
        Self { bounds, fixed, srtt: None, rttvar: Duration::ZERO, backoff: 0 }
    }

    /// A packet that was sent once was answered after so long (RFC 6298 §2). Only this ends a back-off: on a path
    /// slower than the first guess, every packet would be repeated otherwise and none could be measured.
    pub(crate) fn measure(&mut self, sample: Duration) {
        self.backoff = 0;
        match self.srtt {
            None => {
                self.srtt = Some(sample);
                self.rttvar = sample / 2;
            }
            Some(srtt) => {
                self.rttvar = self.rttvar * 3 / 4 + srtt.abs_diff(sample) / 4;
                self.srtt = Some(srtt * 7 / 8 + sample / 8);
            }
        }
    }

    /// The time-out has passed (RFC 6298 §5.5).
    pub(crate) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// How long to wait for an answer now.
    pub(crate) fn timeout(&self) -> Duration {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let measured = self.srtt.map_or(self.bounds.initial, |srtt| srtt + 4 * self.rttvar);
        let backed_off = measured.max(self.bounds.minimum).saturating_mul(1 << self.backoff.min(16));
        backed_off.min(self.bounds.maximum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        initial: Duration::from_secs(1),
        minimum: Duration::from_millis(200),
        maximum: Duration::from_secs(10),
    };

    #[test]
    fn from_the_first_guess_to_what_is_measured() {
        let mut round_trip = RoundTrip::new(BOUNDS, None);
        assert_eq!(round_trip.timeout(), Duration::from_secs(1));
        round_trip.measure(Duration::from_millis(400));
        assert_eq!(round_trip.timeout(), Duration::from_millis(1200));
        for _ in 0..100 {
            round_trip.measure(Duration::from_millis(400));
        }
        assert!(round_trip.timeout() < Duration::from_millis(410));
        for _ in 0..100 {
            round_trip.measure(Duration::from_micros(100));
        }
        assert_eq!(round_trip.timeout(), Duration::from_millis(200));
    }

    #[test]
    fn back_off_doubles_to_the_maximum_until_something_is_measured() {
        let mut round_trip = RoundTrip::new(BOUNDS, None);
        let waits: Vec<u64> = (0..6)
            .map(|_| {
                let wait = round_trip.timeout().as_secs();
                round_trip.back_off();
                wait
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        round_trip.measure(Duration::from_secs(1));
        assert_eq!(round_trip.timeout(), Duration::from_secs(3));
    }

    #[test]
    fn the_option_fixes_it() {
        let mut round_trip = RoundTrip::new(BOUNDS, Some(Duration::from_secs(30)));
        round_trip.measure(Duration::from_millis(1));
        round_trip.back_off();
        assert_eq!(round_trip.timeout(), Duration::from_secs(30));
    }
}
