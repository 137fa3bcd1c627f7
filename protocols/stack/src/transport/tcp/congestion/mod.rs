//! Congestion control (RFC 5681): how much may be on its way.
//!
//! Responsible for the congestion window. Not for finding out what is lost ([`recovery`](super::recovery)): a controller
//! is only told that something was.

mod cubic;
mod hystart;
mod new_reno;

use std::time::Duration;

use self::cubic::Cubic;
use self::new_reno::NewReno;
use crate::Instant;

/// Which congestion control a connection uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CongestionControl {
    /// NewReno (RFC 5681, RFC 6582), counting octets (RFC 3465).
    NewReno,
    /// CUBIC (RFC 9438), leaving slow start by HyStart++ (RFC 9406).
    #[default]
    Cubic,
}

/// An acknowledgment of new data, as a controller sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) now: Instant,
    /// Octets that have left the network.
    pub(crate) octets: u32,
    /// The sender's maximum segment size, in octets of data.
    pub(crate) smss: u32,
    /// The round trip of the segment that is acknowledged, where it could be measured.
    pub(crate) round_trip: Option<Duration>,
    /// SRTT.
    pub(crate) smoothed_round_trip: Option<Duration>,
    /// Whether a whole window has been acknowledged since this was last set: the rounds of RFC 9406.
    pub(crate) round_ends: bool,
}

/// A congestion controller.
pub(crate) trait Controller {
    /// cwnd, in octets.
    fn window(&self) -> u32;

    /// ssthresh, in octets.
    fn slow_start_threshold(&self) -> u32;

    /// New data have been acknowledged, outside of recovery, and the window was what limited the sender.
    fn acknowledged(&mut self, acknowledged: &Acknowledged);

    /// A loss has been found without a time-out: recovery begins. `flight` is what was on its way.
    fn lost(&mut self, flight: u32, smss: u32, now: Instant);

    /// The retransmission timer has expired; `again` when it was for the same data.
    fn timed_out(&mut self, flight: u32, smss: u32, again: bool, now: Instant);

    /// The connection was idle for longer than RTO: RFC 5681 §4.1.
    fn restart_after_idle(&mut self, smss: u32);
}

/// RFC 6928 §2: the initial window, IW10.
pub(crate) const fn initial_window(smss: u32) -> u32 {
    let floor = if 2 * smss > 14_600 { 2 * smss } else { 14_600 };
    if 10 * smss < floor { 10 * smss } else { floor }
}

/// RFC 5681 equation 4: half of what is on its way, at least two segments.
pub(crate) const fn half_of_flight(flight: u32, smss: u32) -> u32 {
    if flight / 2 > 2 * smss { flight / 2 } else { 2 * smss }
}

/// The controller of one connection. Chosen at run time without an allocation.
#[derive(Clone, Debug)]
pub(crate) enum AnyController {
    NewReno(NewReno),
    Cubic(Cubic),
}

impl AnyController {
    pub(crate) const fn new(kind: CongestionControl, smss: u32) -> Self {
        match kind {
            CongestionControl::NewReno => Self::NewReno(NewReno::new(smss)),
            CongestionControl::Cubic => Self::Cubic(Cubic::new(smss)),
        }
    }

    pub(crate) const fn kind(&self) -> CongestionControl {
        match self {
            Self::NewReno(_) => CongestionControl::NewReno,
            Self::Cubic(_) => CongestionControl::Cubic,
        }
    }

    fn get(&self) -> &dyn Controller {
        match self {
            Self::NewReno(controller) => controller,
            Self::Cubic(controller) => controller,
        }
    }

    fn get_mut(&mut self) -> &mut dyn Controller {
        match self {
            Self::NewReno(controller) => controller,
            Self::Cubic(controller) => controller,
        }
    }
}

impl Controller for AnyController {
    fn window(&self) -> u32 {
        self.get().window()
    }

    fn slow_start_threshold(&self) -> u32 {
        self.get().slow_start_threshold()
    }

    fn acknowledged(&mut self, acknowledged: &Acknowledged) {
        self.get_mut().acknowledged(acknowledged);
    }

    fn lost(&mut self, flight: u32, smss: u32, now: Instant) {
        self.get_mut().lost(flight, smss, now);
    }

    fn timed_out(&mut self, flight: u32, smss: u32, again: bool, now: Instant) {
        self.get_mut().timed_out(flight, smss, again, now);
    }

    fn restart_after_idle(&mut self, smss: u32) {
        self.get_mut().restart_after_idle(smss);
    }
}
