//! SYN-SENT STATE (RFC 9293 §3.10.7.3).
//!
//! Responsible for the answer to our own connection request, and for the request that has crossed it.

use super::super::control_block::{ControlBlock, Environment, MINIMUM_MSS};
use super::super::ecn;
use super::super::receive_window::{ReceiveWindow, shift_for};
use super::super::reply::Reset;
use super::super::segment::{Flags, Segment};
use super::super::state::State;
use super::Verdict;
use crate::ClosedReason;

impl ControlBlock {
    pub(super) fn arrives_in_syn_sent<'f>(
        &mut self,
        environment: &mut Environment<'_>,
        segment: Segment<'f>,
    ) -> Verdict<'f> {
        let header = &segment.header;
        let has_ack = header.flags.contains(Flags::ACK);
        // "First, check the ACK bit: If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set, if so
        // drop the segment and return)". The reset is for the segment: our own attempt goes on.
        if has_ack && (header.ack <= self.snd.iss || header.ack > self.snd.nxt) {
            self.stray_reset = Reset::in_response(self.key, &segment);
            return Verdict::CONTINUE;
        }
        // "Second, check the RST bit: If the ACK was acceptable, then signal to the user "error: connection reset", drop the
        // segment, enter CLOSED state, delete TCB, and return. Otherwise (no ACK), drop the segment and return."
        if header.flags.contains(Flags::RST) {
            if has_ack {
                return Verdict::Closed { reason: Some(ClosedReason::Refused), reset: None };
            }
            return Verdict::CONTINUE;
        }
        // "Fourth, check the SYN bit". "Fifth, if neither of the SYN or RST bits is set, then drop the segment and return."
        if !header.flags.contains(Flags::SYN) {
            return Verdict::CONTINUE;
        }
        // "RCV.NXT is set to SEG.SEQ+1, IRS is set to SEG.SEQ."
        self.take_syn(environment, &segment);
        if !has_ack {
            // "Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> and send it."
            // Text that came with the SYN is left for the peer to send again.
            self.state = State::SynReceived;
            self.syn_due = true;
            return Verdict::CONTINUE;
        }
        // "SND.UNA should be advanced to equal SEG.ACK". "If SND.UNA > ISS (our SYN has been ACKed), change the connection
        // state to ESTABLISHED, form an ACK segment <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> and send it."
        self.syn_is_acknowledged(environment);
        self.acknowledge_now();
        // "If there are other controls or text in the segment, then continue processing at the sixth step under Section
        // 3.10.7.4 where the URG bit is checked; otherwise, return." The text begins after the SYN.
        let seq = header.seq + 1;
        self.continue_at_sixth_step(environment, segment, seq)
    }

    /// What the peer's SYN says.
    fn take_syn(&mut self, environment: &Environment<'_>, segment: &Segment<'_>) {
        let header = &segment.header;
        let options = &header.options;
        let configuration = environment.configuration;
        if let Some(mss) = options.maximum_segment_size {
            self.peer_mss = mss.max(MINIMUM_MSS);
        }
        // RFC 7323 §1.3 and RFC 2018 §2: only what both have offered is used.
        let rcv_shift = match options.window_scale {
            Some(shift) => {
                self.snd.shift = shift;
                shift_for(configuration.receive_buffer)
            }
            None => 0,
        };
        self.sack_permitted = options.sack_permitted;
        let has_ack = header.flags.contains(Flags::ACK);
        let agrees = if has_ack { ecn::is_agreed(header.flags) } else { ecn::is_offered(header.flags) };
        self.ecn.agreed = configuration.ecn && !self.syn_retransmitted && agrees;
        self.timestamps = match (self.timestamps, options.timestamps) {
            (Some(mut ours), Some(theirs)) => {
                ours.recent = theirs.value;
                ours.recent_at = environment.now;
                Some(ours)
            }
            _ => None,
        };
        self.rcv = ReceiveWindow::new(header.seq, rcv_shift, self.rcv.buffer);
        // The window of a SYN is never scaled (RFC 7323 §2.2).
        self.set_window(header, 0);
        self.received_at = environment.now;
    }

    /// Our SYN has been acknowledged: ESTABLISHED.
    pub(super) fn syn_is_acknowledged(&mut self, environment: &Environment<'_>) {
        if self.syn_retransmitted {
            self.rto.handshake_was_retransmitted();
        } else {
            self.rto.measure(environment.now.since(self.sent_at));
        }
        self.snd.una = self.snd.iss + 1;
        self.syn_due = false;
        self.establish(environment.configuration, environment.now);
    }
}
