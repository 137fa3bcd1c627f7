//! The retransmission time-out (RFC 6298).
//!
//! Responsible for the estimate of the round trip and the time-out made from it. Not for the timer itself.

use std::time::Duration;

/// RFC 6298 §2.1: until a round trip has been measured.
const INITIAL: u64 = 1_000_000_000;
/// RFC 6298 §5.7: the same, after a lost SYN.
const INITIAL_AFTER_LOST_SYN: u64 = 3_000_000_000;
/// RFC 6298 §2.5: a maximum of at least 60 seconds may be placed on it.
const MAXIMUM: u64 = 60_000_000_000;
/// The clock's granularity G: the timer wheel's tick.
const GRANULARITY: u64 = 1_000_000;

/// The estimator of one connection. All in nanoseconds, since there are many connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetransmissionTimeout {
    /// SRTT and RTTVAR, once a round trip has been measured.
    estimate: Option<(u64, u64)>,
    /// The shortest round trip seen.
    minimum_round_trip: u64,
    /// RTO before it is backed off.
    base: u64,
    /// How many times it has been doubled.
    backoff: u32,
    floor: u64,
}

impl RetransmissionTimeout {
    /// RFC 6298 §2.4 asks for a floor of one second and says that it is conservative; `floor` is what the operator chose, at
    /// most a minute.
    pub(crate) fn new(floor: Duration) -> Self {
        let floor = nanoseconds(floor).min(MAXIMUM);
        Self { estimate: None, minimum_round_trip: u64::MAX, base: INITIAL, backoff: 0, floor }
    }

    /// Takes a measurement. The caller sees to Karn's algorithm (§3): never from a segment that was sent twice, unless a
    /// timestamp tells which one was answered.
    pub(crate) fn measure(&mut self, round_trip: Duration) {
        let round_trip = nanoseconds(round_trip).min(u64::MAX / 8);
        self.minimum_round_trip = self.minimum_round_trip.min(round_trip);
        let (srtt, rttvar) = match self.estimate {
            // §2.2: the first measurement.
            None => (round_trip, round_trip / 2),
            // §2.3: RTTVAR with the old SRTT, then SRTT; alpha 1/8, beta 1/4.
            Some((srtt, rttvar)) => {
                (srtt - srtt / 8 + round_trip / 8, rttvar - rttvar / 4 + srtt.abs_diff(round_trip) / 4)
            }
        };
        self.estimate = Some((srtt, rttvar));
        self.base = srtt.saturating_add(rttvar.saturating_mul(4).max(self.floor).max(GRANULARITY)).min(MAXIMUM);
        // §5: a measurement ends the back-off.
        self.backoff = 0;
    }

    /// RTO as it is now.
    pub(crate) fn current(&self) -> Duration {
        Duration::from_nanos(self.base.saturating_mul(1 << self.backoff.min(16)).min(MAXIMUM))
    }

    /// §5.5: the timer has expired, double it.
    pub(crate) const fn back_off(&mut self) {
        self.backoff += 1;
    }

    /// Progress has been made, though nothing could be measured.
    pub(crate) const fn reset_back_off(&mut self) {
        self.backoff = 0;
    }

    /// §5.7: our SYN had to be sent again, and there is no measurement: data begin with 3 seconds.
    pub(crate) const fn handshake_was_retransmitted(&mut self) {
        if self.estimate.is_none() {
            self.base = INITIAL_AFTER_LOST_SYN;
        }
        self.backoff = 0;
    }

    /// SRTT, once measured.
    pub(crate) fn smoothed_round_trip(&self) -> Option<Duration> {
        self.estimate.map(|(srtt, _)| Duration::from_nanos(srtt))
    }

    /// RTTVAR, once measured.
    pub(crate) fn round_trip_variation(&self) -> Option<Duration> {
        self.estimate.map(|(_, rttvar)| Duration::from_nanos(rttvar))
    }

    /// The shortest round trip measured.
    pub(crate) fn minimum_round_trip(&self) -> Option<Duration> {
        Some(self.minimum_round_trip).filter(|round_trip| *round_trip != u64::MAX).map(Duration::from_nanos)
    }

    /// How many times the timer has expired without progress.
    pub(crate) const fn backoff(&self) -> u32 {
        self.backoff
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
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
        let floor = ms(200) + Duration::from_micros(80);
        assert_eq!(rto.current(), floor, "a peer may hold an acknowledgment back that long");
        rto.back_off();
        assert_eq!(rto.current(), 2 * floor);
        for _ in 0..40 {
            rto.back_off();
        }
        assert_eq!(rto.current(), Duration::from_secs(60));
        rto.measure(ms(1));
        assert_eq!(rto.current(), ms(200) + Duration::from_micros(195), "SRTT is 70 and 125 microseconds");
    }

    #[test]
    fn data_begin_with_three_seconds_after_a_lost_syn() {
        let mut rto = RetransmissionTimeout::new(ms(200));
        rto.back_off();
        rto.handshake_was_retransmitted();
        assert_eq!(rto.current(), Duration::from_secs(3));
    }
}
