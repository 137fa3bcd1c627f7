//! The states of a connection (RFC 9293 §3.3.2).
//!
//! Responsible for their names and for the questions that the RFC asks of groups of them. Not for the transitions: those
//! stand where the events are processed.

use std::fmt;

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Waiting for a connection request.
    Listen,
    /// We have sent a connection request and wait for the matching one.
    SynSent,
    /// Requests have been exchanged; we wait for the acknowledgment of ours.
    SynReceived,
    /// Data flow both ways.
    Established,
    /// We have finished; the peer has neither acknowledged that nor finished.
    FinWait1,
    /// We have finished and the peer knows; it may still send.
    FinWait2,
    /// The peer has finished; we may still send.
    CloseWait,
    /// Both have finished at the same time; we wait for the acknowledgment of ours.
    Closing,
    /// The peer has finished first and we have too; we wait for the acknowledgment of ours.
    LastAck,
    /// Both have finished and know it. The name stays taken until no old segment can be on its way.
    TimeWait,
    /// No connection. A user that still reads what came before may hold on to it.
    Closed,
}

impl State {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
        Self::Closed,
    ];

    /// The name in RFC 9293.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
            Self::Closed => "CLOSED",
        }
    }

    /// Whether the peer's SYN has been seen, so that a segment of ours carries an acknowledgment.
    pub(crate) const fn has_peer_sequence(self) -> bool {
        !matches!(self, Self::Listen | Self::SynSent | Self::Closed)
    }

    /// Whether the handshake is complete: a synchronized state (RFC 9293 §3.5.2).
    pub(crate) const fn is_synchronized(self) -> bool {
        !matches!(self, Self::Listen | Self::SynSent | Self::SynReceived | Self::Closed)
    }

    /// Whether the peer may send text: it has not finished yet, as far as we know (RFC 9293 §3.10.7.4, seventh).
    pub(crate) const fn receives_text(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// Whether text and FIN of ours may be on their way (or wait for it).
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::CloseWait | Self::Closing | Self::LastAck)
    }

    /// Whether our user has finished: a FIN has been sent, or follows the queued data.
    pub(crate) const fn output_finished(self) -> bool {
        !matches!(self, Self::SynSent | Self::SynReceived | Self::Established | Self::CloseWait)
    }

    /// Whether the peer's FIN has been received.
    pub(crate) const fn input_finished(self) -> bool {
        matches!(self, Self::CloseWait | Self::Closing | Self::LastAck | Self::TimeWait | Self::Closed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
