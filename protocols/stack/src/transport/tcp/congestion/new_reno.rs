//! NewReno's window (RFC 5681 §3.1, RFC 6582), counting octets (RFC 3465).
//!
//! Responsible for slow start, congestion avoidance, and the answer to a loss.

use super::{Acknowledged, Controller, half_of_flight, initial_window};
use crate::Instant;

/// The controller.
#[derive(Clone, Debug)]
pub(crate) struct NewReno {
    cwnd: u32,
    ssthresh: u32,
    /// RFC 3465 §2.1: octets acknowledged since cwnd last grew in congestion avoidance.
    bytes_acked: u32,
    /// Slow start that follows a time-out (RFC 3465 §2.3).
    after_timeout: bool,
}

impl NewReno {
    pub(crate) const fn new(smss: u32) -> Self {
        Self { cwnd: initial_window(smss), ssthresh: u32::MAX, bytes_acked: 0, after_timeout: false }
    }
}

impl Controller for NewReno {
    fn window(&self) -> u32 {
        self.cwnd
    }

    fn slow_start_threshold(&self) -> u32 {
        self.ssthresh
    }

    fn acknowledged(&mut self, &Acknowledged { octets, smss, .. }: &Acknowledged) {
        if self.cwnd < self.ssthresh {
            // Slow start: cwnd += min(N, L). RFC 3465 §2.3 wants L = 1 SMSS after a time-out, when an acknowledgment may
            // be for data sent long ago. Elsewhere L bounds bursts; segments leave here in bursts of segmentation offload
            // and peers acknowledge them as such, so a limit of two segments would only slow the start down.
            let limit = if self.after_timeout { smss } else { u32::MAX };
            self.cwnd = self.cwnd.saturating_add(octets.min(limit));
            return;
        }
        self.after_timeout = false;
        // Congestion avoidance: one SMSS for each window that has been acknowledged.
        self.bytes_acked = self.bytes_acked.saturating_add(octets);
        if self.bytes_acked >= self.cwnd {
            self.bytes_acked -= self.cwnd;
            self.cwnd = self.cwnd.saturating_add(smss);
        }
    }

    fn lost(&mut self, flight: u32, smss: u32, _now: Instant) {
        self.ssthresh = half_of_flight(flight, smss);
        self.cwnd = self.ssthresh;
        self.bytes_acked = 0;
    }

    fn timed_out(&mut self, flight: u32, smss: u32, again: bool, _now: Instant) {
        // RFC 5681 §3.1: ssthresh is held when the segment has been retransmitted already.
        if !again {
            self.ssthresh = half_of_flight(flight, smss);
        }
        self.cwnd = smss;
        self.bytes_acked = 0;
        self.after_timeout = true;
    }

    fn restart_after_idle(&mut self, smss: u32) {
        self.cwnd = self.cwnd.min(initial_window(smss));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMSS: u32 = 1000;

    fn acknowledged(octets: u32) -> Acknowledged {
        Acknowledged {
            now: Instant::START,
            octets,
            smss: SMSS,
            round_trip: None,
            smoothed_round_trip: None,
            round_ends: false,
        }
    }

    #[test]
    fn the_initial_window_is_ten_segments() {
        assert_eq!(initial_window(1460), 14_600);
        assert_eq!(initial_window(536), 5_360);
        assert_eq!(initial_window(8960), 17_920);
    }

    #[test]
    fn slow_start_doubles_and_avoidance_adds_a_segment_a_window() {
        let mut reno = NewReno::new(SMSS);
        reno.acknowledged(&acknowledged(10_000));
        assert_eq!(reno.window(), 20_000);
        reno.lost(20_000, SMSS, Instant::START);
        assert_eq!((reno.window(), reno.slow_start_threshold()), (10_000, 10_000));
        reno.acknowledged(&acknowledged(9_999));
        assert_eq!(reno.window(), 10_000);
        reno.acknowledged(&acknowledged(1));
        assert_eq!(reno.window(), 11_000);
    }

    #[test]
    fn a_time_out_starts_over_with_one_segment() {
        let mut reno = NewReno::new(SMSS);
        reno.timed_out(10_000, SMSS, false, Instant::START);
        assert_eq!((reno.window(), reno.slow_start_threshold()), (1000, 5000));
        reno.timed_out(1_000, SMSS, true, Instant::START);
        assert_eq!(reno.slow_start_threshold(), 5000, "held for a second time-out of the same data");
        reno.acknowledged(&acknowledged(8_000));
        assert_eq!(reno.window(), 2000, "one segment at a time, although eight were acknowledged");
    }
}
