//! RACK-TLP (RFC 8985): loss found by time, and probes of a silent tail.
//!
//! Responsible for two questions that acknowledgments of later data cannot answer alone: whether a segment has been overtaken
//! for so long that it must be lost, a retransmission too; and whether the last segments of a burst have arrived at all. It
//! needs SACK. What follows from a loss is in [`recovery`](super::recovery).

use std::time::Duration;

use super::control_block::{ControlBlock, Environment};
use super::retransmission_queue::Delivered;
use super::sequence::SequenceNumber;
use super::timers::Timer;
use crate::Instant;

/// RFC 8985 §7.2: how long a peer may hold back the acknowledgment of a single segment.
const WORST_CASE_DELAYED_ACK: Duration = Duration::from_millis(200);
/// The shortest probe time-out: a peer on a busy machine answers no faster, however near it is.
const MINIMUM_PROBE_TIMEOUT: Duration = Duration::from_millis(5);
/// RFC 8985 §6.2.4: recoveries that a widened reordering window lasts for.
const REO_WND_PERSIST: u8 = 16;

/// The state of one connection (RFC 8985 §5.2).
#[derive(Debug, Default)]
pub(crate) struct Rack {
    /// RACK.xmit_ts and RACK.end_seq: the most recently sent of what has been delivered.
    latest: Option<(Instant, SequenceNumber)>,
    /// RACK.rtt.
    round_trip: Duration,
    /// RACK.fack: the highest number that has been delivered.
    forward_ack: Option<SequenceNumber>,
    pub(crate) reordering_seen: bool,
    /// RACK.reo_wnd_mult - 1, and RACK.reo_wnd_persist.
    widened: u8,
    persist: u8,
    /// RACK.dsack_round: D-SACKs up to here have been counted.
    dsack_round: Option<SequenceNumber>,
    /// TLP.end_seq, and TLP.is_retrans: a probe that has not been answered.
    probe: Option<(SequenceNumber, bool)>,
    /// A probe is to be sent.
    pub(crate) probe_due: bool,
}

impl Rack {
    /// A retransmission, or a new segment, has gone out as the probe.
    pub(crate) const fn probe_was_sent(&mut self, snd_nxt: SequenceNumber, is_retransmission: bool) {
        self.probe_due = false;
        self.probe = Some((snd_nxt, is_retransmission));
    }

    /// A recovery has ended.
    pub(crate) fn recovery_ended(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.widened = 0;
        }
    }

    /// The retransmission timer has expired: whatever was probed for is found lost now.
    pub(crate) const fn timed_out(&mut self) {
        self.probe_due = false;
        self.probe = None;
    }
}

impl ControlBlock {
    /// RFC 8985 §6.2, steps 1 to 4: what an acknowledgment has delivered.
    pub(crate) fn rack_update(&mut self, environment: &Environment<'_>, delivered: &Delivered, dsack: bool) {
        let rack = &mut self.rack;
        // Step 2: the most recently sent segment that has been delivered.
        if let Some((at, end)) = delivered.latest
            && rack.latest.is_none_or(|latest| latest < (at, end))
        {
            rack.latest = Some((at, end));
            rack.round_trip = environment.now.since(at);
        }
        // Step 3: something that was sent once arrives after what was sent behind it.
        if let (Some(fack), Some(lowest)) = (rack.forward_ack, delivered.lowest_unambiguous_end)
            && lowest < fack
        {
            rack.reordering_seen = true;
        }
        if let Some(highest) = delivered.highest_end {
            rack.forward_ack = Some(rack.forward_ack.map_or(highest, |fack| fack.max(highest)));
        }
        // Step 4: a D-SACK says that a retransmission was needless; wait longer, at most once a round trip.
        if rack.dsack_round.is_some_and(|round| self.snd.una >= round) {
            rack.dsack_round = None;
        }
        if dsack && rack.dsack_round.is_none() {
            rack.dsack_round = Some(self.snd.nxt);
            rack.widened = rack.widened.saturating_add(1);
            rack.persist = REO_WND_PERSIST;
        }
    }

    /// RFC 8985 §6.2, step 4: how long a segment may be overtaken.
    fn reordering_window(&self) -> Duration {
        if !self.rack.reordering_seen && (self.recovery.is_repairing() || self.has_three_sacked()) {
            return Duration::ZERO;
        }
        let quarter = self.rto.minimum_round_trip().unwrap_or_default() / 4;
        let most = self.rto.smoothed_round_trip().unwrap_or_default();
        (quarter * (u32::from(self.rack.widened) + 1)).min(most)
    }

    fn has_three_sacked(&self) -> bool {
        self.retransmission_queue.sacked() >= super::retransmission_queue::DUP_THRESH * self.smss()
    }

    /// RFC 8985 §6.2, step 5: marks what is lost, and asks to be woken for what may soon be. Returns whether anything was found.
    pub(crate) fn rack_detect_loss(&mut self, now: Instant) -> bool {
        self.timers.stop(Timer::Reordering);
        let Some((latest_at, latest_end)) = self.rack.latest else { return false };
        if self.retransmission_queue.sacked() == 0 && !self.recovery.is_repairing() {
            return false;
        }
        let patience = self.rack.round_trip + self.reordering_window();
        let mut soonest = None;
        let found = self.retransmission_queue.mark_lost(|sent| {
            if (sent.at, sent.end) >= (latest_at, latest_end) {
                return false;
            }
            let deadline = sent.at + patience;
            if deadline > now {
                // The RFC waits for the last such segment; each finds the timer started again for the next.
                soonest = Some(soonest.map_or(deadline, |other: Instant| other.max(deadline)));
            }
            deadline <= now
        });
        if let Some(deadline) = soonest {
            self.timers.start(Timer::Reordering, deadline);
        }
        found
    }

    /// RFC 8985 §7.2: starts the probe timer when data are on their way and nothing is known to be lost.
    pub(crate) fn schedule_tail_loss_probe(&mut self, now: Instant) {
        self.rack.probe_due = false;
        if !self.sack_permitted
            || self.retransmission_queue.is_empty()
            || self.recovery.is_repairing()
            || self.retransmission_queue.sacked() > 0
            || self.rack.probe.is_some()
            || self.snd.wnd == 0
        {
            self.timers.stop(Timer::TailLossProbe);
            return;
        }
        let Some(srtt) = self.rto.smoothed_round_trip() else { return };
        let mut timeout = (srtt * 2).max(MINIMUM_PROBE_TIMEOUT);
        if self.retransmission_queue.len() <= self.smss() {
            timeout += WORST_CASE_DELAYED_ACK;
        }
        // §7.2: "If the RTO would expire first, the probe takes its place": the retransmission timer starts anew with it.
        let retransmission = self.timers.deadline(Timer::Retransmission).unwrap_or(now + timeout);
        self.timers.start(Timer::TailLossProbe, (now + timeout).min(retransmission));
    }

    /// RFC 8985 §7.4: an acknowledgment, with or without a D-SACK, meets an unanswered probe. Returns whether the probe has
    /// repaired a loss: that is a sign of congestion like any other.
    pub(crate) fn tail_loss_probe_repaired_loss(&mut self, advanced: u32, dsack: bool) -> bool {
        let Some((end, is_retransmission)) = self.rack.probe else { return false };
        if self.snd.una < end {
            return false;
        }
        if !is_retransmission || dsack {
            // New data, or the peer had it all: nothing was lost.
            self.rack.probe = None;
            return false;
        }
        if self.snd.una > end {
            // "the TLP retransmission repaired a loss".
            self.rack.probe = None;
            return true;
        }
        if advanced == 0 {
            // Two acknowledgments, one for the original: "the probe was redundant".
            self.rack.probe = None;
        }
        false
    }
}
