//! Other States (RFC 9293 §3.10.7.4): the steps up to the fourth, and the sixth.
//!
//! Responsible for deciding whether a segment may touch the connection at all.

use std::time::Duration;

use super::super::control_block::{ControlBlock, Environment};
use super::super::options::SackBlock;
use super::super::segment::{Flags, Segment};
use super::super::sequence::SequenceNumber;
use super::super::state::State;
use super::super::time_wait::{Disposition, TimeWait};
use super::super::timers::Timer;
use super::Verdict;
use crate::{ClosedReason, Payload};

/// RFC 7323 §5.5: a TS.Recent older than this says nothing: the peer's clock may have gone half around.
const TIMESTAMP_LIFETIME: Duration = Duration::from_secs(24 * 24 * 3600);

impl ControlBlock {
    /// A segment has arrived for this connection.
    pub(crate) fn segment_arrives<'f>(
        &mut self,
        environment: &mut Environment<'_>,
        mut segment: Segment<'f>,
    ) -> Verdict<'f> {
        match self.state {
            State::SynSent => return self.arrives_in_syn_sent(environment, segment),
            State::Closed | State::Listen | State::TimeWait => return Verdict::CONTINUE,
            _ => {}
        }
        // RFC 9293 appendix A.2: in a simultaneous open the peer's SYN and ACK begins before RCV.NXT, but its acknowledgment
        // counts. The SYN itself has been processed.
        if self.state == State::SynReceived
            && segment.has(Flags::SYN | Flags::ACK)
            && segment.header.seq == self.rcv.irs
        {
            segment.header.seq += 1;
            segment.header.flags = Flags(segment.header.flags.0 & !Flags::SYN.0);
            self.acknowledge_now();
        }
        // "First, check sequence number".
        if !self.timestamp_is_acceptable(environment, &segment) {
            return Verdict::CONTINUE;
        }
        if !self.rcv.is_acceptable(segment.header.seq, segment.len()) {
            if self.rcv.wnd() == 0 && segment.header.seq == self.rcv.nxt {
                // "If the RCV.WND is zero, no segments will be acceptable, but special allowance should be made to accept
                // valid ACKs, URGs, and RSTs." (MUST-66). Text and FIN are left out.
                segment.text = Payload::EMPTY;
                segment.header.flags = Flags(segment.header.flags.0 & !Flags::FIN.0);
                self.acknowledge_now();
            } else {
                self.unacceptable(environment, &segment);
                return Verdict::CONTINUE;
            }
        }
        self.received_at = environment.now;
        self.keep_alive_probes = 0;

        // "Second, check the RST bit", with RFC 5961 §3.
        if segment.has(Flags::RST) {
            return self.reset_arrives(environment, segment.header.seq);
        }
        // "Fourth, check the SYN bit: TCP endpoints MUST send a "challenge ACK" to the remote peer: <SEQ=SND.NXT>
        // <ACK=RCV.NXT><CTL=ACK>. After sending the acknowledgment, TCP implementations MUST drop the unacceptable segment".
        if segment.has(Flags::SYN) {
            self.challenge(environment);
            return Verdict::CONTINUE;
        }
        // "Fifth, check the ACK field: if the ACK bit is off, drop the segment and return".
        if !segment.has(Flags::ACK) {
            return Verdict::CONTINUE;
        }
        if let Err(verdict) = self.check_acknowledgment(environment, &segment) {
            return verdict;
        }
        // After the acknowledgment, since one that is refused must not set the clock.
        self.update_recent_timestamp(environment, &segment);
        self.ecn.segment_arrives(segment.header.flags, segment.congestion_experienced);
        let seq = segment.header.seq;
        self.continue_at_sixth_step(environment, segment, seq)
    }

    /// From the sixth step to the end. `seq` is where the text begins.
    pub(super) fn continue_at_sixth_step<'f>(
        &mut self,
        environment: &mut Environment<'_>,
        segment: Segment<'f>,
        seq: SequenceNumber,
    ) -> Verdict<'f> {
        // "Sixth, check the URG bit: RCV.UP <- max(RCV.UP,SEG.UP)". Urgent data stay in the stream (RFC 6093 §6): to know
        // where they end is all there is to it, and it ends when the stream has passed it.
        if segment.has(Flags::URG) && self.state.receives_text() {
            // MUST-62: SEG.UP points to the octet after the urgent data.
            let up = seq + u32::from(segment.header.urgent_pointer);
            self.rcv.up = Some(self.rcv.up.map_or(up, |known| known.max(up)));
        }
        let verdict = self.process_text(environment, segment, seq);
        self.rcv.up = self.rcv.up.filter(|up| *up > self.rcv.nxt);
        verdict
    }

    /// RFC 7323 §5.3, R1: whether PAWS lets a segment through.
    ///
    /// §3.2 says that a segment without timestamps SHOULD be dropped once they are in use. Middleboxes that strip them exist;
    /// such a segment is taken, as most stacks do, since PAWS protects against old duplicates and those have timestamps.
    fn timestamp_is_acceptable(&mut self, environment: &mut Environment<'_>, segment: &Segment<'_>) -> bool {
        let (Some(state), Some(timestamps)) = (self.timestamps, segment.header.options.timestamps) else { return true };
        let is_old = timestamps.value.wrapping_sub(state.recent).cast_signed() < 0;
        if !is_old || segment.has(Flags::RST) || environment.now.since(state.recent_at) > TIMESTAMP_LIFETIME {
            return true;
        }
        // "Not acceptable: send an acknowledgment in reply as specified in RFC 793 and drop the segment."
        environment.counters.paws_rejected += 1;
        self.unacceptable(environment, segment);
        false
    }

    /// RFC 7323 §4.3: TS.Recent is the timestamp of the last segment that has advanced the left edge.
    fn update_recent_timestamp(&mut self, environment: &Environment<'_>, segment: &Segment<'_>) {
        if let (Some(state), Some(timestamps)) = (&mut self.timestamps, segment.header.options.timestamps)
            && timestamps.value.wrapping_sub(state.recent).cast_signed() >= 0
            && segment.header.seq <= self.rcv.last_ack_sent
        {
            state.recent = timestamps.value;
            state.recent_at = environment.now;
        }
    }

    /// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply (unless the RST bit is set, if so
    /// drop the segment and return)".
    fn unacceptable(&mut self, environment: &mut Environment<'_>, segment: &Segment<'_>) {
        if segment.has(Flags::RST) {
            return;
        }
        environment.counters.unacceptable += 1;
        if segment.text.is_empty() {
            // Two sides that find each other's acknowledgments unacceptable must not answer each other for ever.
            self.challenge(environment);
            return;
        }
        let (left, right) = (segment.header.seq, segment.header.seq + segment.text.len() as u32);
        if right <= self.rcv.nxt {
            // RFC 2883 §4: what came twice is reported.
            environment.counters.duplicates += 1;
            self.rcv.duplicate = Some(SackBlock { left, right });
        }
        self.acknowledge_now();
    }

    /// "Second, check the RST bit", for a segment within the window.
    fn reset_arrives<'f>(&mut self, environment: &mut Environment<'_>, seq: SequenceNumber) -> Verdict<'f> {
        // "3) If the RST bit is set and the sequence number does not exactly match the next expected sequence value, yet is
        // within the current receive window, TCP endpoints MUST send an acknowledgment (challenge ACK)".
        if seq != self.rcv.nxt {
            self.challenge(environment);
            return Verdict::CONTINUE;
        }
        // "2) ... exactly matches the next expected sequence number (RCV.NXT), then TCP endpoints MUST reset the connection
        // in the manner prescribed below according to the connection state."
        environment.counters.resets_received += 1;
        let reason = match self.state {
            // "If this connection was initiated with an active OPEN, then the connection was refused".
            State::SynSent | State::SynReceived => Some(ClosedReason::Refused),
            // "Users should also receive an unsolicited general "connection reset" signal."
            State::Established | State::FinWait1 | State::FinWait2 | State::CloseWait => Some(ClosedReason::Reset),
            // "If the RST bit is set, then enter the CLOSED state, delete the TCB, and return."
            State::Closing | State::LastAck | State::TimeWait | State::Closed | State::Listen => None,
        };
        Verdict::Closed { reason, reset: None }
    }

    /// A segment for a connection whose user still holds it in TIME-WAIT. `None` in any other state.
    pub(super) fn arrives_in_time_wait(
        &mut self,
        environment: &Environment<'_>,
        segment: &Segment<'_>,
    ) -> Option<Disposition> {
        if self.state != State::TimeWait {
            return None;
        }
        let expires = self.timers.deadline(Timer::TimeWait)?;
        let mut remnant = TimeWait::new(self, expires, false);
        let disposition = remnant.arrives(environment, segment);
        self.timers.start(Timer::TimeWait, remnant.expires);
        if remnant.acknowledgment_due {
            self.acknowledge_now();
        }
        Some(disposition)
    }
}
