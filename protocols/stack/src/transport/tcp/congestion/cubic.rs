//! CUBIC's window (RFC 9438).
//!
//! Responsible for its growth and its answer to a loss. When slow start ends before a loss is HyStart++'s decision
//! ([`hystart`](super::hystart)).

use std::time::Duration;

use super::hystart::HyStart;
use super::{Acknowledged, Controller, initial_window};
use crate::Instant;

/// RFC 9438 §5: C, in segments per second³.
const C: f64 = 0.4;
/// RFC 9438 §4.6: what a loss leaves of the window.
const BETA: f64 = 0.7;
/// RFC 9438 §4.3: what makes the Reno-friendly window as large as Reno's on average.
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// The controller. Windows are in octets, `K` in seconds.
#[derive(Clone, Debug)]
pub(crate) struct Cubic {
    cwnd: f64,
    ssthresh: f64,
    /// W_max: the window at the last loss, or less of it when bandwidth is being given up (§4.7).
    w_max: f64,
    /// cwnd_prior: the window just before the last loss.
    cwnd_prior: f64,
    /// The current stretch of congestion avoidance.
    epoch: Option<Epoch>,
    hystart: HyStart,
    /// Since a time-out there has been no congestion avoidance: §4.8.
    after_timeout: bool,
}

#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// t: how long it has lasted, without the times in which the application had nothing to send (§4.2).
    elapsed: Duration,
    last: Instant,
    k: f64,
    /// W_est: what Reno's window would be.
    w_est: f64,
}

impl Cubic {
    pub(crate) const fn new(smss: u32) -> Self {
        Self {
            cwnd: initial_window(smss) as f64,
            ssthresh: f64::MAX,
            w_max: 0.0,
            cwnd_prior: 0.0,
            epoch: None,
            hystart: HyStart::new(),
            after_timeout: false,
        }
    }

    /// §4.2, equations 1 to 4, with §4.3's floor.
    fn avoid_congestion(&mut self, acknowledged: &Acknowledged) {
        let smss = f64::from(acknowledged.smss);
        let octets = f64::from(acknowledged.octets);
        let round_trip = acknowledged.smoothed_round_trip.unwrap_or_default();
        let mut epoch = self.epoch.unwrap_or_else(|| {
            if self.after_timeout || self.w_max < self.cwnd {
                // §4.8: after a time-out, and when there was no loss yet, the curve begins here with K = 0.
                self.w_max = self.cwnd;
            }
            self.after_timeout = false;
            let k = ((self.w_max - self.cwnd) / smss / C).cbrt();
            Epoch { elapsed: Duration::ZERO, last: acknowledged.now, k, w_est: self.cwnd }
        });
        epoch.elapsed += acknowledged.now.since(epoch.last).min(round_trip * 2);
        epoch.last = acknowledged.now;

        // §4.3, equation 4: W_est grows by alpha for each window; as Reno does once it is where it was.
        let alpha = if epoch.w_est >= self.cwnd_prior { 1.0 } else { ALPHA };
        epoch.w_est += alpha * octets / self.cwnd * smss;

        let w_cubic = |t: Duration| self.w_max + C * (t.as_secs_f64() - epoch.k).powi(3) * smss;
        if w_cubic(epoch.elapsed) < epoch.w_est {
            self.cwnd = self.cwnd.max(epoch.w_est);
        } else {
            // §4.4 and §4.5: towards where the curve will be in one round trip, at most half as much again.
            let target = w_cubic(epoch.elapsed + round_trip).clamp(self.cwnd, 1.5 * self.cwnd);
            self.cwnd += (target - self.cwnd) * octets / self.cwnd;
        }
        self.epoch = Some(epoch);
    }

    /// §4.6 and §4.7.
    fn reduce(&mut self, flight: u32, smss: u32) {
        self.cwnd_prior = self.cwnd;
        // Fast convergence: a window that has not come back to W_max gives bandwidth up to newcomers.
        self.w_max = if self.cwnd < self.w_max { self.cwnd * f64::midpoint(1.0, BETA) } else { self.cwnd };
        self.ssthresh = (f64::from(flight) * BETA).max(2.0 * f64::from(smss));
        self.epoch = None;
        self.hystart.slow_start_has_ended();
    }
}

impl Controller for Cubic {
    fn window(&self) -> u32 {
        self.cwnd as u32
    }

    fn slow_start_threshold(&self) -> u32 {
        self.ssthresh as u32
    }

    fn acknowledged(&mut self, acknowledged: &Acknowledged) {
        if self.cwnd >= self.ssthresh {
            self.avoid_congestion(acknowledged);
            return;
        }
        // RFC 3465 §2.3: after a time-out an acknowledgment may be for data sent long ago.
        let limit = if self.after_timeout { acknowledged.smss } else { u32::MAX };
        let octets = f64::from(acknowledged.octets.min(limit));
        self.cwnd += octets / self.hystart.growth_divisor();
        if self.hystart.ends_slow_start(acknowledged) {
            self.ssthresh = self.cwnd;
        }
    }

    fn lost(&mut self, flight: u32, smss: u32, _now: Instant) {
        self.reduce(flight, smss);
        self.cwnd = self.ssthresh;
    }

    fn timed_out(&mut self, flight: u32, smss: u32, again: bool, _now: Instant) {
        if !again {
            self.reduce(flight, smss);
        }
        self.cwnd = f64::from(smss);
        self.after_timeout = true;
    }

    fn restart_after_idle(&mut self, smss: u32) {
        self.cwnd = self.cwnd.min(f64::from(initial_window(smss)));
        self.epoch = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMSS: u32 = 1000;
    const ROUND_TRIP: Duration = Duration::from_millis(100);

    /// Acknowledges a window each round trip, and returns the window in segments after so many of them.
    fn run(cubic: &mut Cubic, from: Instant, rounds: u32) -> u32 {
        let mut now = from;
        for _ in 0..rounds {
            now += ROUND_TRIP;
            cubic.acknowledged(&Acknowledged {
                now,
                octets: cubic.window(),
                smss: SMSS,
                round_trip: Some(ROUND_TRIP),
                smoothed_round_trip: Some(ROUND_TRIP),
                round_ends: true,
            });
        }
        cubic.window() / SMSS
    }

    #[test]
    fn the_window_comes_back_to_where_it_was_after_k_seconds_and_then_goes_on() {
        let mut cubic = Cubic::new(SMSS);
        cubic.cwnd = 1_000_000.0;
        cubic.lost(1_000_000, SMSS, Instant::START);
        assert_eq!(cubic.window(), 700_000);
        // K = cbrt(300 / 0.4) = 9.09 s. The curve is concave up to there: flat around K, steep at both ends.
        let at_half = run(&mut cubic, Instant::START, 45);
        assert!((940..975).contains(&at_half), "{at_half}");
        let at_k = run(&mut cubic, Instant::START + ROUND_TRIP * 45, 46);
        assert!((990..=1010).contains(&at_k), "{at_k}");
        let beyond = run(&mut cubic, Instant::START + ROUND_TRIP * 91, 60);
        assert!(beyond > 1060, "{beyond}");
    }

    #[test]
    fn a_small_window_grows_as_renos_would() {
        let mut cubic = Cubic::new(SMSS);
        cubic.cwnd = 10_000.0;
        cubic.lost(10_000, SMSS, Instant::START);
        // Reno with beta 0.7 and alpha 0.53: 7 to 10 segments in about six round trips; CUBIC's curve alone would
        // need K = 1.96 s, twenty round trips.
        let after = run(&mut cubic, Instant::START, 7);
        assert!((9..=11).contains(&after), "{after}");
    }

    #[test]
    fn a_second_loss_below_the_first_gives_bandwidth_up() {
        let mut cubic = Cubic::new(SMSS);
        cubic.cwnd = 100_000.0;
        cubic.lost(100_000, SMSS, Instant::START);
        cubic.lost(70_000, SMSS, Instant::START);
        assert_eq!(cubic.w_max as u32, 59_500);
        assert_eq!(cubic.window(), 49_000);
    }
}
