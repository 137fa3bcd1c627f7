//! What the host hands up: data, and news of connections.
//!
//! Responsible for the names of connections, listeners and sockets, and for the two ways news travel: what a frame
//! brought ([`Delivery`], lent from the frame itself) and everything else ([`Event`]).

use std::net::SocketAddr;
use std::ops::{Deref, Range};

use bytes::Bytes;

use crate::HardwareAddress;

/// Names a TCP connection. Never used again after the connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl ConnectionId {
    /// A small number that no other living connection has: an index for tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// As one number, for people and for the control socket.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The reverse of [`as_u64`](Self::as_u64). It may name a connection that does not exist.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the number")]
    pub const fn from_u64(number: u64) -> Self {
        Self { index: number as u32, generation: (number >> 32) as u32 }
    }
}

/// Names a TCP listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub(crate) u32);

/// Names an open UDP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub(crate) u32);

/// Received octets: lent from the frame that brought them, or owned where several frames did.
#[derive(Clone, Debug)]
pub enum Payload<'f> {
    /// Still in the frame.
    Lent(&'f [u8]),
    /// Put together from fragments.
    Owned(Bytes),
}

impl Payload<'_> {
    /// No octets.
    pub const EMPTY: Self = Self::Lent(&[]);

    /// A part of it, without copying. What lies outside is left out.
    #[must_use]
    pub fn slice(self, range: Range<usize>) -> Self {
        let end = range.end.min(self.len());
        let range = range.start.min(end)..end;
        match self {
            Self::Lent(octets) => Self::Lent(&octets[range]),
            Self::Owned(octets) => Self::Owned(octets.slice(range)),
        }
    }
}

impl Deref for Payload<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Lent(octets) => octets,
            Self::Owned(octets) => octets,
        }
    }
}

/// What a frame brought for somebody above.
#[derive(Debug)]
pub enum Delivery<'f> {
    /// A datagram for a socket.
    Datagram {
        /// The socket.
        socket: SocketId,
        /// The address and port that it was sent to.
        local: SocketAddr,
        /// Where it came from.
        remote: SocketAddr,
        /// The hardware address of the station that sent the frame.
        link_source: HardwareAddress,
        /// Its data.
        payload: Payload<'f>,
    },
    /// The next octets of a connection, in order. They are acknowledged and belong to the receiver: hand them to
    /// `Host::stream`, which keeps what is not consumed.
    Stream {
        /// The connection.
        connection: ConnectionId,
        /// Its data.
        payload: Payload<'f>,
    },
}

/// News that no frame's data brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection is established. It was accepted by `listener`, or opened by us when that is `None`. Data that came
    /// with it wait in its receive queue.
    Opened {
        /// The connection.
        connection: ConnectionId,
        /// Who accepted it.
        listener: Option<ListenerId>,
    },
    /// The room that `Stream::notify_room` asked for is there, or the peer has finished its half.
    Ready {
        /// The connection.
        connection: ConnectionId,
    },
    /// A connection that its user had not closed has ended. Its name is gone.
    Closed {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        reason: ClosedReason,
    },
    /// An ICMP error says that a datagram did not arrive.
    Unreachable {
        /// The socket that sent it.
        socket: SocketId,
        /// The address and port that it was sent from.
        local: SocketAddr,
        /// Where it was sent to.
        remote: SocketAddr,
    },
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedReason {
    /// The peer reset it.
    Reset,
    /// The user time-out ran out (RFC 9293 §3.8.3).
    TimedOut,
    /// An active open met a reset or an ICMP error.
    Refused,
    /// It was aborted on our side, from outside its session.
    Aborted,
}
