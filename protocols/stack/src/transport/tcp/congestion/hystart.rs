//! HyStart++ (RFC 9406): leaving slow start when the round trip grows, before the queue overflows.
//!
//! Responsible for that decision. The window is its controller's.

use std::time::Duration;

use super::Acknowledged;

// RFC 9406 §4.3.
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u8 = 8;
const CSS_GROWTH_DIVISOR: f64 = 4.0;
const CSS_ROUNDS: u8 = 5;

/// What a round has shown.
#[derive(Clone, Debug)]
pub(crate) struct HyStart {
    last_round_minimum: Duration,
    current_round_minimum: Duration,
    samples: u8,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    SlowStart,
    /// Conservative slow start, to find out whether the growth was an accident.
    Conservative {
        baseline: Duration,
        rounds: u8,
    },
    /// RFC 9406 §4.3: only the initial slow start is watched.
    Done,
}

impl HyStart {
    pub(crate) const fn new() -> Self {
        Self {
            last_round_minimum: Duration::MAX,
            current_round_minimum: Duration::MAX,
            samples: 0,
            phase: Phase::SlowStart,
        }
    }

    /// A loss ended it.
    pub(crate) fn slow_start_has_ended(&mut self) {
        self.phase = Phase::Done;
    }

    /// By how much the growth of slow start is divided.
    pub(crate) const fn growth_divisor(&self) -> f64 {
        match self.phase {
            Phase::Conservative { .. } => CSS_GROWTH_DIVISOR,
            Phase::SlowStart | Phase::Done => 1.0,
        }
    }

    /// §4.2, for each acknowledgment in slow start. Whether congestion avoidance begins.
    pub(crate) fn ends_slow_start(&mut self, acknowledged: &Acknowledged) -> bool {
        if self.phase == Phase::Done {
            return false;
        }
        if let Some(round_trip) = acknowledged.round_trip {
            self.current_round_minimum = self.current_round_minimum.min(round_trip);
            self.samples = self.samples.saturating_add(1);
        }
        if self.samples >= N_RTT_SAMPLE && self.current_round_minimum != Duration::MAX {
            match self.phase {
                Phase::SlowStart if self.last_round_minimum != Duration::MAX => {
                    let threshold = (self.last_round_minimum / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                    if self.current_round_minimum >= self.last_round_minimum + threshold {
                        self.phase = Phase::Conservative { baseline: self.current_round_minimum, rounds: 0 };
                    }
                }
                // The growth was spurious: back to slow start.
                Phase::Conservative { baseline, .. } if self.current_round_minimum < baseline => {
                    self.phase = Phase::SlowStart;
                }
                _ => {}
            }
        }
        if acknowledged.round_ends {
            self.last_round_minimum = self.current_round_minimum;
            self.current_round_minimum = Duration::MAX;
            self.samples = 0;
            if let Phase::Conservative { rounds, .. } = &mut self.phase {
                *rounds += 1;
                if *rounds >= CSS_ROUNDS {
                    self.phase = Phase::Done;
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;

    fn round(hystart: &mut HyStart, round_trip: u64) -> bool {
        (0..10).fold(false, |ended, sample| {
            ended
                | hystart.ends_slow_start(&Acknowledged {
                    now: Instant::START,
                    octets: 1000,
                    smss: 1000,
                    round_trip: Some(Duration::from_millis(round_trip)),
                    smoothed_round_trip: None,
                    round_ends: sample == 9,
                })
        })
    }

    #[test]
    fn a_lasting_growth_ends_slow_start_after_five_conservative_rounds() {
        let mut hystart = HyStart::new();
        assert!(!round(&mut hystart, 40));
        assert!(!round(&mut hystart, 44), "below the threshold of 5 ms");
        assert_eq!(hystart.growth_divisor(), 1.0);
        assert!(!round(&mut hystart, 60));
        assert_eq!(hystart.growth_divisor(), CSS_GROWTH_DIVISOR);
        for _ in 0..3 {
            assert!(!round(&mut hystart, 60));
        }
        assert!(round(&mut hystart, 60));
    }

    #[test]
    fn a_passing_growth_does_not() {
        let mut hystart = HyStart::new();
        round(&mut hystart, 40);
        round(&mut hystart, 60);
        assert_eq!(hystart.growth_divisor(), CSS_GROWTH_DIVISOR);
        round(&mut hystart, 41);
        assert_eq!(hystart.growth_divisor(), 1.0);
    }
}
