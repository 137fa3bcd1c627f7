//! Byte streams: what a connection looks like to a module.
//!
//! Responsible for the shape of the conversation between one connection and one [`Session`]. Not for how bytes
//! travel: a [`ByteStream`] may be a TCP connection on tapster's stack, a Unix socket, or a test.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::Context;

/// A listener of connections. It makes one [`Session`] for each of them.
pub trait StreamService: Send {
    /// Takes a connection that has just been established. The session's [`Session::advance`] is called right
    /// afterwards, so that a protocol whose server speaks first can do so.
    fn accept(&mut self, peer: Peer, cx: &mut Context<'_>) -> Box<dyn Session>;
}

/// Who is at the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// The peer's hardware address, where it is a neighbour and known.
    pub link_address: Option<[u8; 6]>,
    /// The number under which `tapster ctl connections` shows this connection.
    pub connection: u64,
}

/// One connection's protocol state machine.
///
/// A session owns its protocol state and nothing else. It is dropped when the connection has ended.
pub trait Session {
    /// Goes as far as it can: reads what there is, writes what it may, and says what it waits for.
    ///
    /// Called once after `accept`, then whenever something that the last [`Wait`] named has happened. Spurious
    /// calls are possible and must do no harm.
    fn advance(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Next;

    /// Told once when the connection has ended without the session having asked for it. Afterwards the session
    /// is dropped.
    fn closed(&mut self, reason: Closed, cx: &mut Context<'_>) {
        let _ = (reason, cx);
    }
}

/// So that a layer, such as TLS, can stand around the session of any service.
impl<S: Session + ?Sized> Session for Box<S> {
    fn advance(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Next {
        (**self).advance(stream, cx)
    }

    fn closed(&mut self, reason: Closed, cx: &mut Context<'_>) {
        (**self).closed(reason, cx);
    }
}

/// Why a connection ended that the session did not end itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer reset it.
    Reset,
    /// The peer did not answer within the user time-out.
    TimedOut,
    /// A connection that a module opened was refused, or could not be routed.
    Refused,
    /// The operator ended it (`tapster ctl kill`), or the daemon stops.
    Killed,
}

/// The two queues of a connection: bytes that came, and bytes that go.
pub trait ByteStream {
    /// What has come in order and has not been consumed, as one slice. Empty when there is nothing.
    fn input(&mut self) -> &[u8];

    /// Gives back the first `count` bytes of [`input`](Self::input); this opens the peer's window again.
    ///
    /// A `count` beyond the input's length consumes all of it.
    fn consume(&mut self, count: usize);

    /// Whether the peer has finished its half: what [`input`](Self::input) shows now is all that will ever come.
    fn input_finished(&self) -> bool;

    /// How many bytes may be written now, in bytes. 0 once the output is finished.
    fn room(&self) -> usize;

    /// Hands over bytes to send, shared and not copied.
    ///
    /// Writing more than [`room`](Self::room) is not refused, since half a header helps nobody, but a session
    /// that does so habitually holds memory that the limits do not see: write a bounded piece, then wait for
    /// room. After [`finish`](Self::finish) it does nothing.
    fn write(&mut self, bytes: Bytes);

    /// Copies bytes to send, for short pieces that have no owner to share them with.
    fn write_copy(&mut self, bytes: &[u8]);

    /// Finishes our half: once all that was written has gone, the peer is told that no more comes. Input goes on.
    fn finish(&mut self);

    /// How many of the written bytes the peer has not acknowledged yet, in bytes.
    fn unacknowledged(&self) -> usize;

    /// What the transport knows of the path. All zero where there is no network (a Unix socket).
    fn measurements(&self) -> Measurements {
        Measurements::default()
    }
}

/// What the transport has measured on a connection, for logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measurements {
    /// The smoothed round-trip time.
    pub round_trip_time: Duration,
    /// How many segments were sent again.
    pub retransmissions: u64,
}

/// What a session wants to happen after [`Session::advance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Call again when one of these has happened.
    Wait(Wait),
    /// Send what has been written, close in order, and drop the session. Bytes that the peer sends from now on
    /// are answered by a reset (RFC 9293 §3.6.1), so a session that expects some finishes, reads to the end of the
    /// input, and closes then.
    Close,
    /// Reset the connection at once and drop the session.
    Abort,
}

/// What a session waits for. A finished job, and the end of the connection, always wake it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// New input, or the end of the input. While this is off, input is left in the queue and the peer's window
    /// fills: this is how a session holds a fast sender back.
    pub input: bool,
    /// That at least so many bytes of room are there. 0: do not wake for room.
    pub room: usize,
    /// That this moment has come.
    pub deadline: Option<Instant>,
}

impl Next {
    /// Waits for new input or its end.
    pub const fn input() -> Self {
        Self::Wait(Wait { input: true, room: 0, deadline: None })
    }

    /// Waits until at least `bytes` of room are there.
    pub const fn room(bytes: usize) -> Self {
        Self::Wait(Wait { input: false, room: bytes, deadline: None })
    }

    /// Waits for a job alone.
    pub const fn job() -> Self {
        Self::Wait(Wait { input: false, room: 0, deadline: None })
    }

    /// The same, and until `deadline` at most. Leaves `Close` and `Abort` as they are.
    pub const fn until(self, deadline: Instant) -> Self {
        match self {
            Self::Wait(wait) => Self::Wait(Wait { deadline: Some(deadline), ..wait }),
            Self::Close | Self::Abort => self,
        }
    }
}
