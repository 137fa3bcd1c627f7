//! The retransmission time-out (RFC 6298).
//!
//! Responsible for the estimate of the round trip and the time-out made from it. Not for the timer itself.

use std::time::Duration;

/// RFC 6298 §2.1: until a round trip has been measured.
const INITIAL: Duration = Duration::from_secs(1);
/// RFC 6298 §2.5: a maximum of at least 60 seconds may be placed on it.
const MAXIMUM: Duration = Duration::from_secs(60);
/// The clock's granularity G: the timer wheel's tick.
const GRANULARITY: Duration = Duration::from_millis(1);

/// The estimator of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetransmissionTimeout {
    /// SRTT and RTTVAR, once a round trip has been measured.
    estimate: Option<(Duration, Duration)>,
    /// The shortest round trip seen.
    minimum_round_trip: Duration,
    /// RTO before it is backed off.
    base: Duration,
    /// How many times it has been doubled.
    backoff: u32,
    floor: Duration,
}

impl RetransmissionTimeout {
    /// RFC 6298 §2.4 asks for a floor of one second and says that it is conservative; `floor` is what the operator chose.
    pub(crate) const fn new(floor: Duration) -> Self {
        Self { estimate: None, minimum_round_trip: Duration::MAX, base: INITIAL, backoff: 0, floor }
    }

    /// Takes a measurement. The caller sees to Karn's algorithm (§3): never from a segment that was sent twice, unless a
    /// timestamp tells which one was answered.
    pub(crate) fn measure(&mut self, round_trip: Duration) {
        self.minimum_round_trip = self.minimum_round_trip.min(round_trip);
        let (srtt, rttvar) = match self.estimate {
            // §2.2: the first measurement.
            None => (round_trip, round_trip / 2),
            // §2.3: RTTVAR with the old SRTT, then SRTT; alpha 1/8, beta 1/4.
            Some((srtt, rttvar)) => ((srtt * 7 + round_trip) / 8, (rttvar * 3 + srtt.abs_diff(round_trip)) / 4),
        };
        self.estimate = Some((srtt, rttvar));
        self.base = (srtt + (rttvar * 4).max(GRANULARITY)).clamp(self.floor, MAXIMUM);
        // §5: a measurement ends the back-off.
        self.backoff = 0;
    }

    /// RTO as it is now.
    pub(crate) fn current(&self) -> Duration {
        self.base.saturating_mul(1 << self.backoff.min(16)).min(MAXIMUM)
    }

    /// §5.5: the timer has expired, double it.
    pub(crate) fn back_off(&mut self) {
        self.backoff += 1;
    }

    /// Progress has been made, though nothing could be measured.
    pub(crate) fn reset_back_off(&mut self) {
        self.backoff = 0;
    }

    /// §5.7: our SYN had to be sent again, and there is no measurement: data begin with 3 seconds.
    pub(crate) fn handshake_was_retransmitted(&mut self) {
        if self.estimate.is_none() {
            self.base = Duration::from_secs(3);
        }
        self.backoff = 0;
    }

    /// SRTT, once measured.
    pub(crate) fn smoothed_round_trip(&self) -> Option<Duration> {
        self.estimate.map(|(srtt, _)| srtt)
    }

    /// RTTVAR, once measured.
    pub(crate) fn round_trip_variation(&self) -> Option<Duration> {
        self.estimate.map(|(_, rttvar)| rttvar)
    }

    /// The shortest round trip measured.
    pub(crate) fn minimum_round_trip(&self) -> Option<Duration> {
        Some(self.minimum_round_trip).filter(|round_trip| *round_trip != Duration::MAX)
    }

    /// How many times the timer has expired without progress.
    pub(crate) const fn backoff(&self) -> u32 {
        self.backoff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_first_measurement_and_the_next() {
        let mut rto = RetransmissionTimeout::new(ms(200));
        assert_eq!(rto.current(), ms(1000));
        rto.measure(ms(400));
        assert_eq!(rto.current(), ms(400 + 4 * 200));
        rto.measure(ms(480));
        assert_eq!(rto.smoothed_round_trip(), Some(ms(410)));
        // RTTVAR = 3/4 * 200 + 1/4 * |400 - 480| = 170.
        assert_eq!(rto.current(), ms(410 + 4 * 170));
    }

    #[test]
    fn the_floor_holds_and_the_back_off_doubles_up_to_a_minute() {
        let mut rto = RetransmissionTimeout::new(ms(200));
        rto.measure(Duration::from_micros(80));
        assert_eq!(rto.current(), ms(200));
        rto.back_off();
        assert_eq!(rto.current(), ms(400));
        for _ in 0..40 {
            rto.back_off();
        }
        assert_eq!(rto.current(), Duration::from_secs(60));
        rto.measure(ms(1));
        assert_eq!(rto.current(), ms(200));
    }

    #[test]
    fn data_begin_with_three_seconds_after_a_lost_syn() {
        let mut rto = RetransmissionTimeout::new(ms(200));
        rto.back_off();
        rto.handshake_was_retransmitted();
        assert_eq!(rto.current(), Duration::from_secs(3));
    }
}
