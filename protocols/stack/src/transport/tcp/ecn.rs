//! Explicit Congestion Notification (RFC 3168 §6.1).
//!
//! Responsible for its negotiation, for echoing marks to the sender, and for answering echoes. The marks themselves travel in
//! the IP header's traffic class.

use super::congestion::Controller;
use super::control_block::{ControlBlock, Environment};
use super::segment::Flags;
use super::sequence::SequenceNumber;

/// ECT(0) in the traffic class: this transport understands marks.
pub(crate) const ECT_0: u8 = 0b10;
/// CE in the traffic class: congestion was experienced.
pub(crate) const CONGESTION_EXPERIENCED: u8 = 0b11;

/// The state of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ecn {
    /// Both sides have agreed to it.
    pub(crate) agreed: bool,
    /// A mark has come; each acknowledgment says so until the peer has reduced its window.
    echo: bool,
    /// Our window has been reduced; the next new data say so.
    reduction_to_announce: bool,
    /// The window has answered for everything sent up to here.
    reduced_until: Option<SequenceNumber>,
}

/// §6.1.1: whether a SYN offers ECN: "ECN-setup SYN packet".
pub(crate) const fn is_offered(flags: Flags) -> bool {
    flags.contains(Flags(Flags::ECE.0 | Flags::CWR.0))
}

/// §6.1.1: whether a SYN and ACK agrees: "ECN-setup SYN-ACK packet".
pub(crate) const fn is_agreed(flags: Flags) -> bool {
    flags.contains(Flags::ECE) && !flags.contains(Flags::CWR)
}

impl Ecn {
    /// The flags of a segment that acknowledges: §6.1.3.
    pub(crate) const fn acknowledgment_flags(self) -> Flags {
        if self.echo { Flags::ECE } else { Flags(0) }
    }

    /// Whether the next new data carry CWR: §6.1.2.
    pub(crate) const fn announces_reduction(self) -> bool {
        self.reduction_to_announce
    }

    /// New data with CWR have gone out.
    pub(crate) const fn reduction_was_announced(&mut self) {
        self.reduction_to_announce = false;
    }

    /// SND.UNA has advanced: what lies behind must not be mistaken for what lies ahead, half the circle later.
    pub(crate) fn advanced(&mut self, snd_una: SequenceNumber) {
        self.reduced_until = self.reduced_until.filter(|until| snd_una < *until);
    }

    /// §6.1.3, at the receiver: an acceptable segment with these flags has come, marked or not.
    pub(crate) fn segment_arrives(&mut self, flags: Flags, marked: bool) {
        if self.agreed {
            // CWR ends the echo; a mark on the very same segment begins another.
            self.echo = (self.echo && !flags.contains(Flags::CWR)) || marked;
        }
    }
}

impl ControlBlock {
    /// §6.1.2, at the sender: an acknowledgment echoes a mark. The window is reduced as for a loss, at most once for each window
    /// of data; nothing is sent again.
    pub(crate) fn congestion_is_echoed(&mut self, environment: &mut Environment<'_>) {
        if self.recovery.is_repairing() {
            return;
        }
        if self.ecn.reduced_until.is_some() {
            return;
        }
        environment.counters.ecn_reductions += 1;
        let flight = self.retransmission_queue.len();
        self.congestion.lost(flight, self.smss(), environment.now);
        self.ecn.reduced_until = Some(self.snd.nxt);
        self.ecn.reduction_to_announce = true;
    }
}
