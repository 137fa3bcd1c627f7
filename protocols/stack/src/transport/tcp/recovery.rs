//! Loss recovery (RFC 6675; RFC 5681 §3.2 and RFC 6582 for peers without SACK).
//!
//! Responsible for deciding from acknowledgments that something is lost, and for how the sender comes out of it. Without
//! SACK each duplicate acknowledgment counts as one segment that has arrived: that makes NewReno's inflated window and
//! RFC 6675's `pipe` the same thing, and limited transmit (RFC 3042) follows by itself.

use super::congestion::{Acknowledged, Controller};
use super::control_block::{ControlBlock, Environment};
use super::prr::ProportionalRateReduction;
use super::retransmission_queue::{DUP_THRESH, Delivered};
use super::sequence::SequenceNumber;
use super::timers::Timer;

/// Whether the sender is repairing something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Open,
    /// Until `point` is acknowledged: RecoveryPoint of RFC 6675, `recover` of RFC 6582.
    Fast { point: SequenceNumber },
    /// The retransmission timer has expired; slow start over what was on its way up to `point`.
    Timeout { point: SequenceNumber },
}

/// An acknowledgment, as recovery sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledgment {
    /// What the peer is now known to have.
    pub(crate) delivered: Delivered,
    /// Octets between the old SND.UNA and the new one.
    pub(crate) advanced: u32,
    /// A duplicate in the sense of RFC 5681 §2.
    pub(crate) duplicate: bool,
    /// Octets that a D-SACK reports.
    pub(crate) dsack: Option<u32>,
    /// It echoes a congestion mark (RFC 3168 §6.1.2).
    pub(crate) congestion_echoed: bool,
    /// TSecr, when timestamps are in use.
    pub(crate) echo_reply: Option<u32>,
}

/// The state of recovery.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    pub(crate) phase: Phase,
    /// Duplicate acknowledgments: segments that have arrived beyond a hole. Not used with SACK.
    pub(crate) duplicates: u32,
    /// What may go out in fast recovery, with SACK.
    pub(crate) prr: Option<ProportionalRateReduction>,
    /// One segment goes out whatever the congestion window says (RFC 6675 §5 (4.3), RFC 6298 §5.4).
    pub(crate) retransmit_now: bool,
    /// A window has been acknowledged when this is: the rounds of RFC 9406.
    round_end: Option<SequenceNumber>,
}

impl Recovery {
    /// Whether something is thought lost.
    pub(crate) fn is_repairing(&self) -> bool {
        self.phase != Phase::Open
    }

    pub(crate) const fn is_fast(&self) -> bool {
        matches!(self.phase, Phase::Fast { .. })
    }
}

impl ControlBlock {
    /// What is thought to be on its way.
    pub(crate) fn pipe(&self) -> u32 {
        let arrived = if self.sack_permitted { 0 } else { self.recovery.duplicates.saturating_mul(self.smss()) };
        self.retransmission_queue.pipe().saturating_sub(arrived)
    }

    /// Octets that may be sent as far as congestion is concerned.
    pub(crate) fn congestion_room(&self) -> u32 {
        match &self.recovery.prr {
            Some(prr) => prr.allowance(),
            None => self.congestion.window().saturating_sub(self.pipe()),
        }
    }

    /// Goes through what an acknowledgment means for recovery and for the congestion window.
    pub(crate) fn recover(&mut self, environment: &mut Environment<'_>, acknowledgment: &Acknowledgment) {
        let &Acknowledgment { ref delivered, advanced, duplicate, dsack, .. } = acknowledgment;
        let smss = self.smss();
        let flight = self.retransmission_queue.len() + advanced;
        let was_fast = self.recovery.is_fast();
        if duplicate && !self.sack_permitted {
            // No more than what is on its way can have arrived.
            let most = self.retransmission_queue.len() / smss;
            self.recovery.duplicates = (self.recovery.duplicates + 1).min(most);
        }
        if advanced > 0 {
            self.recovery.round_end = self.recovery.round_end.filter(|end| self.snd.una < *end);
            self.leave_recovery_at_point();
            if !self.sack_permitted {
                self.partial_acknowledgment(advanced, smss);
            }
        }
        let lost = if self.sack_permitted {
            self.rack_update(environment, delivered, dsack.is_some());
            // RFC 6675's rule holds as long as the path keeps the order (RFC 8985 §6.2, step 4); RACK's always.
            let by_count = delivered.octets > 0
                && self.retransmission_queue.sacked() > 0
                && !self.rack.reordering_seen
                && self.retransmission_queue.mark_lost_by_sack(smss);
            self.rack_detect_loss(environment.now) || by_count
        } else {
            self.recovery.phase == Phase::Open && self.recovery.duplicates >= DUP_THRESH
        };
        self.undo_if_needless(environment, acknowledgment);
        if lost && self.retransmission_queue.to_retransmit() + self.recovery.duplicates > 0 {
            self.loss_was_found(environment, delivered.octets);
        }
        // RFC 9937 §6: "on every ACK starting or during fast recovery".
        if let Some(mut prr) = self.recovery.prr {
            let ssthresh = self.congestion.slow_start_threshold();
            prr.acknowledged(delivered.octets, self.pipe(), ssthresh, smss, advanced > 0 && !lost);
            self.recovery.prr = Some(prr);
        }
        if self.tail_loss_probe_repaired_loss(advanced, dsack.is_some()) && self.recovery.phase == Phase::Open {
            // RFC 8985 §7.4.2: the loss has been repaired already; only the window answers.
            self.congestion.lost(flight, smss, environment.now);
        }
        // The acknowledgment that ends a recovery does not count: RFC 6582 §3.2 (3) sets cwnd to ssthresh.
        // Nor does one that echoes a congestion mark (RFC 3168 §6.1.2).
        let may_grow = !was_fast && !self.recovery.is_fast() && !acknowledgment.congestion_echoed;
        if advanced > 0 && may_grow && self.window_is_validated() {
            let round_ends = self.recovery.round_end.is_none();
            if round_ends {
                self.recovery.round_end = Some(self.snd.nxt);
                self.most_in_flight = flight;
            }
            self.congestion.acknowledged(&Acknowledged {
                now: environment.now,
                octets: delivered.octets,
                smss,
                round_trip: delivered.round_trip,
                smoothed_round_trip: self.rto.smoothed_round_trip(),
                round_ends,
            });
        }
    }

    /// Whether the flow uses its window, so that it may grow. In slow start half of it is enough (RFC 7661 §4.1: pipeACK is at
    /// least half of cwnd); later all of it must be.
    fn window_is_validated(&self) -> bool {
        let cwnd = self.congestion.window();
        if cwnd < self.congestion.slow_start_threshold() {
            cwnd < self.most_in_flight.saturating_mul(2)
        } else {
            self.window_limited
        }
    }

    /// RFC 6675 §5 (4), RFC 5681 §3.2 (2) and (3): a loss, if it is the first since everything was well, begins a recovery.
    /// The acknowledgment that showed it has `delivered` so many octets.
    pub(crate) fn loss_was_found(&mut self, environment: &mut Environment<'_>, delivered: u32) {
        if self.recovery.phase != Phase::Open {
            return;
        }
        let flight = self.retransmission_queue.len();
        self.remember_window();
        if self.sack_permitted {
            // RecoverFS: what had not been delivered before that acknowledgment.
            let undelivered = flight - self.retransmission_queue.sacked() + delivered;
            self.recovery.prr = Some(ProportionalRateReduction::new(undelivered, self.smss()));
        }
        environment.counters.fast_retransmits += 1;
        self.recovery.phase = Phase::Fast { point: self.snd.nxt };
        self.recovery.retransmit_now = true;
        self.congestion.lost(flight, self.smss(), environment.now);
        if !self.sack_permitted {
            self.retransmission_queue.mark_first_lost(self.smss());
        }
    }

    /// RFC 6675 §5 (A): everything that was on its way at the loss has been acknowledged.
    fn leave_recovery_at_point(&mut self) {
        if let Phase::Fast { point } | Phase::Timeout { point } = self.recovery.phase
            && self.snd.una >= point
        {
            self.recovery.phase = Phase::Open;
            self.recovery.prr = None;
            self.recovery.duplicates = 0;
            self.recovery.retransmit_now = false;
            self.rack.recovery_ended();
        }
    }

    /// RFC 6582 §3.2: an acknowledgment that ends before `recover` tells of the next hole. The window is deflated by what it
    /// acknowledges, less one segment: as many duplicates are no longer ahead.
    fn partial_acknowledgment(&mut self, advanced: u32, smss: u32) {
        match self.recovery.phase {
            Phase::Fast { .. } => {
                let behind = (advanced / smss).saturating_sub(1);
                self.recovery.duplicates = self.recovery.duplicates.saturating_sub(behind);
                self.retransmission_queue.mark_first_lost(smss);
                self.recovery.retransmit_now = true;
            }
            Phase::Open | Phase::Timeout { .. } => self.recovery.duplicates = 0,
        }
    }

    /// The retransmission timer has expired (RFC 6298 §5.4 to §5.6, RFC 5681 §3.1).
    pub(crate) fn lost_everything(&mut self, environment: &mut Environment<'_>) {
        let again = matches!(self.recovery.phase, Phase::Timeout { .. }) && self.rto.backoff() > 0;
        let flight = self.retransmission_queue.len();
        if !again {
            self.remember_window();
        }
        self.recovery.prr = None;
        self.congestion.timed_out(flight, self.smss(), again, environment.now);
        self.retransmission_queue.mark_all_lost();
        self.rack.timed_out();
        self.timers.stop(Timer::Reordering);
        self.timers.stop(Timer::TailLossProbe);
        self.recovery.phase = Phase::Timeout { point: self.snd.nxt };
        self.recovery.duplicates = 0;
        self.recovery.retransmit_now = true;
    }
}
