//! Datagrams: what UDP looks like to a module.
//!
//! Responsible for the shape of a datagram service. Not for sockets: ports are opened and closed by whoever
//! implements [`DatagramSocket`].

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::Context;

/// A service that answers datagrams.
pub trait DatagramService: Send {
    /// A datagram came to one of the service's ports. Replies are sent through `socket`, at once.
    fn receive(&mut self, datagram: Datagram<'_>, socket: &mut dyn DatagramSocket, cx: &mut Context<'_>);

    /// A deadline has passed or a job has ended ([`Context::take_finished`]).
    fn advance(&mut self, socket: &mut dyn DatagramSocket, cx: &mut Context<'_>) {
        let _ = (socket, cx);
    }

    /// When [`advance`](Self::advance) wants to be called next. Asked after each call of the other methods.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// An ICMP error told that a datagram of this service did not arrive.
    fn unreachable(&mut self, error: Unreachable, socket: &mut dyn DatagramSocket, cx: &mut Context<'_>) {
        let _ = (error, socket, cx);
    }
}

/// One datagram as it came.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The address and port that it was sent to. The address may be a broadcast or multicast one.
    pub local: SocketAddr,
    /// Where it came from.
    pub remote: SocketAddr,
    /// The sender's hardware address, where it is a neighbour and known.
    pub link_address: Option<[u8; 6]>,
    /// Its data, 0 to 65,507 bytes.
    pub payload: &'a [u8],
}

/// An ICMP error about a datagram that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// The address and port that it was sent from.
    pub local: SocketAddr,
    /// Where it was sent to.
    pub remote: SocketAddr,
}

/// The ports of a datagram service.
pub trait DatagramSocket {
    /// Sends one datagram now. `from` must be a port of this service; an unspecified or multicast address in it
    /// is replaced by the address that routes to `to`.
    ///
    /// # Errors
    /// See [`SendError`]. Nothing was sent then.
    fn send(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Result<(), SendError>;

    /// Opens a further port with a random number from the ephemeral range (RFC 6056) for this service, on the
    /// address `local`, and returns its number.
    ///
    /// # Errors
    /// [`SendError::NoPort`] when none is free.
    fn open(&mut self, local: IpAddr) -> Result<u16, SendError>;

    /// Closes a port that [`open`](Self::open) gave. Anything else is ignored.
    fn close(&mut self, local: SocketAddr);

    /// The largest payload that goes to `to` without being fragmented, in bytes.
    fn payload_limit(&self, to: IpAddr) -> usize;
}

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The device and the bounded queue before it are full. Try again later, or drop it as the network may.
    Full,
    /// It is larger than 65,507 bytes.
    TooLarge,
    /// No route leads there.
    NoRoute,
    /// `from` is not a port of this service.
    NotOurs,
    /// No ephemeral port is free.
    NoPort,
}
