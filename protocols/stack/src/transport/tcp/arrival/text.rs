//! "Seventh, process the segment text" and "Eighth, check the FIN bit" (RFC 9293 §3.10.7.4).
//!
//! Responsible for getting octets into order and to the user, and for when that is acknowledged (§3.8.6.3).

use super::super::control_block::{AcknowledgmentDue, ControlBlock, Environment};
use super::super::options::SackBlock;
use super::super::reply::Reset;
use super::super::segment::{Flags, Segment};
use super::super::sequence::SequenceNumber;
use super::super::state::State;
use super::super::timers::Timer;
use super::Verdict;
use crate::{ClosedReason, Payload};

impl ControlBlock {
    /// The seventh and the eighth step. The text begins at `seq`.
    pub(super) fn process_text<'f>(
        &mut self,
        environment: &mut Environment<'_>,
        segment: Segment<'f>,
        seq: SequenceNumber,
    ) -> Verdict<'f> {
        let Segment { header, text, segment_size, .. } = segment;
        let end = seq + text.len() as u32;
        let has_fin = header.flags.contains(Flags::FIN);
        if !self.state.receives_text() {
            // "This should not occur since a FIN has been received from the remote side. Ignore the segment text." A FIN that
            // comes again was unacceptable in the first step.
            return Verdict::CONTINUE;
        }
        if text.is_empty() && !has_fin {
            return Verdict::CONTINUE;
        }
        // §3.6.1: "if new data is received after CLOSE is called, its TCP implementation SHOULD send a RST to show that data
        // was lost" (SHLD-3).
        if !self.attached && end > self.rcv.nxt {
            environment.counters.aborted += 1;
            // With the number that the peer expects, since it believes no other (RFC 5961 §3): that may lie before our FIN.
            let timestamps = self.timestamps.map(|timestamps| timestamps.option(environment.now));
            let reset = Reset { key: self.key, seq: header.ack, ack: None, timestamps };
            return Verdict::Closed { reason: Some(ClosedReason::Aborted), reset: Some(reset) };
        }
        // "trimming off any portions that lie outside the window (including SYN and FIN)".
        let left = seq.max(self.rcv.nxt);
        let right = end.min(self.rcv.edge).max(left);
        if left > seq {
            self.rcv.duplicate = Some(SackBlock { left: seq, right: left.min(end) });
        }
        // A FIN takes one number of the window too, but a receiver needs no buffer for it.
        let has_fin = has_fin && right == end;
        let text = text.slice((left - seq) as usize..(right - seq) as usize);
        if !text.is_empty() {
            self.rcv.saw_segment(segment_size);
        }
        if left > self.rcv.nxt {
            self.keep_for_later(environment, left, &text, has_fin);
            return Verdict::CONTINUE;
        }
        let news = self.accept_in_order(environment, text, has_fin);
        Verdict::Continue(news)
    }

    /// "Segments with higher beginning sequence numbers SHOULD be held for later processing (SHLD-31)."
    fn keep_for_later(&mut self, environment: &mut Environment<'_>, start: SequenceNumber, text: &[u8], has_fin: bool) {
        environment.counters.out_of_order += 1;
        // RFC 5681 §4.2: an out-of-order segment is acknowledged at once.
        self.acknowledge_now();
        if environment.memory_is_short {
            environment.counters.reassembly_dropped += 1;
            return;
        }
        let reassembly = self.reassembly.get_or_insert_default();
        if has_fin {
            reassembly.set_fin(start + text.len() as u32);
        }
        if text.is_empty() {
            return;
        }
        match reassembly.insert(start, text) {
            Ok(None) => {}
            Ok(duplicate) => self.rcv.duplicate = duplicate,
            Err(_) => environment.counters.reassembly_dropped += 1,
        }
    }

    /// Text that begins at RCV.NXT, and what it leads to. Returns what the user gets of it.
    fn accept_in_order<'f>(
        &mut self,
        environment: &mut Environment<'_>,
        text: Payload<'f>,
        mut has_fin: bool,
    ) -> Option<Payload<'f>> {
        let had_text = !text.is_empty();
        // "Once the TCP endpoint takes responsibility for the data, it advances RCV.NXT over the data accepted".
        self.rcv.nxt += text.len() as u32;
        self.bytes_received += text.len() as u64;
        let mut news = had_text.then_some(Payload::EMPTY);
        if let Some(mut reassembly) = self.reassembly.take() {
            // RFC 5681 §4.2: a segment that fills all or part of a gap is acknowledged at once.
            self.acknowledge_now();
            self.receive_queue.push(&text);
            while let Some(octets) = reassembly.take(self.rcv.nxt) {
                self.rcv.nxt += octets.len() as u32;
                self.bytes_received += octets.len() as u64;
                self.receive_queue.push(&octets);
            }
            has_fin |= reassembly.fin() == Some(self.rcv.nxt);
            if !has_fin && !reassembly.is_empty() {
                self.reassembly = Some(reassembly);
            }
        } else if !self.receive_queue.is_empty() {
            self.receive_queue.push(&text);
        } else if had_text {
            news = Some(text);
        }
        if had_text {
            self.owe_acknowledgment(environment);
        }
        if has_fin {
            self.fin_arrives(environment);
            news = news.or(Some(Payload::EMPTY));
        }
        news
    }

    /// RFC 9293 §3.8.6.3: at least every second full-sized segment is acknowledged (SHLD-19), others after a delay (MUST-40).
    /// Nothing is sent here: all segments of one turn are processed before any acknowledgment goes out (MUST-58, MUST-59).
    fn owe_acknowledgment(&mut self, environment: &Environment<'_>) {
        if self.rcv.quick_acknowledgments > 0 {
            // The peer is in slow start: each acknowledgment lets it grow (RFC 5681 §4.2 allows any number of them).
            self.rcv.quick_acknowledgments -= 1;
            self.acknowledge_now();
        } else if self.rcv.unacknowledged() >= 2 * self.rcv.segment_size {
            self.acknowledge_now();
        } else if self.acknowledgment_due == AcknowledgmentDue::No {
            self.acknowledgment_due = AcknowledgmentDue::Delayed;
            let deadline = environment.now + environment.configuration.delayed_acknowledgment;
            self.timers.start(Timer::DelayedAcknowledgment, deadline);
        }
    }

    /// "If the FIN bit is set, signal the user "connection closing", advance RCV.NXT over the FIN, and send an acknowledgment
    /// for the FIN."
    fn fin_arrives(&mut self, environment: &Environment<'_>) {
        self.rcv.nxt += 1;
        self.rcv.edge = self.rcv.edge.max(self.rcv.nxt);
        self.reassembly = None;
        self.acknowledge_now();
        match self.state {
            // "Enter the CLOSE-WAIT state."
            State::SynReceived | State::Established => self.state = State::CloseWait,
            // "If our FIN has been ACKed (perhaps in this segment), then enter TIME-WAIT; otherwise, enter the CLOSING state."
            // An acknowledged FIN has led to FIN-WAIT-2 in the fifth step.
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.enter_time_wait(environment),
            // "Remain".
            _ => {}
        }
    }
}
