//! UDP (RFC 768, RFC 1122 §4.1).
//!
//! Responsible for ports: who has which one, for whom a datagram is, and for headers and checksums. Not for what the
//! data mean.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use foldhash::fast::FixedState;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::counters::counters;
use crate::network::{checksum, protocol};
use crate::packet::{ErrorKind, OutgoingPacket, PacketSink, ReceivedError, ReceivedPacket, SendFailure};
use crate::{Delivery, Event, SocketId};

/// Octets of a header.
const HEADER_LENGTH: usize = 8;

/// Octets from the header's first to its checksum.
const CHECKSUM_OFFSET: usize = 6;

/// The ports that are given out when nobody asks for a certain one (RFC 6335 §6).
const EPHEMERAL_PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// The time to live of datagrams to one host, and to a group (RFC 1112 §6.1: 1, so that they stay on the link).
const HOP_LIMIT: u8 = 64;
const GROUP_HOP_LIMIT: u8 = 1;

counters! {
    /// UDP.
    pub struct UdpCounters in "udp" {
        counts {
            /// Packets received.
            received,
            /// Datagrams handed up.
            delivered,
            /// Datagrams sent.
            sent,
            /// ICMP errors about datagrams of a socket that is still open.
            errors_received,
        }
        drops {
            /// Shorter than a header.
            too_short,
            /// A length below the header's or beyond the packet.
            bad_length,
            /// A wrong checksum.
            bad_checksum,
            /// From port 0, which nobody can answer, or to it.
            port_zero,
            /// Several datagrams in one frame, which only a device that was asked to joins.
            joined,
            /// To a port that nobody has.
            no_port,
            /// Outgoing: not sent for want of a route or of room in a packet.
            not_sent,
            /// ICMP errors about datagrams of no socket.
            unknown_error,
        }
    }
}

/// An address, or all of ours, and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Binding {
    address: Option<IpAddr>,
    port: u16,
}

/// Why a port cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Somebody has it, at the same address.
    #[error("the address and port are in use")]
    InUse,
    /// Port 0 means no port.
    #[error("port 0 cannot be bound")]
    PortZero,
    /// All ephemeral ports of the address are in use.
    #[error("no ephemeral port is free")]
    NoPortFree,
}

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The device is full; try again later, or let it be lost as the network may.
    #[error("the device is full")]
    Full,
    /// No route leads there.
    #[error("no route leads there")]
    NoRoute,
    /// It is larger than 65,507 octets.
    #[error("the datagram is too large")]
    TooLarge,
}

impl From<SendFailure> for SendError {
    fn from(failure: SendFailure) -> Self {
        match failure {
            SendFailure::DeviceFull => Self::Full,
            SendFailure::NoRoute => Self::NoRoute,
            SendFailure::TooLarge => Self::TooLarge,
        }
    }
}

/// An open port, for people to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRow {
    /// Its name.
    pub id: SocketId,
    /// The address; `None` for all of ours.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

/// What becomes of a packet that brings no datagram.
#[derive(Debug)]
pub(crate) enum Refused<'f> {
    /// Nothing.
    Discarded,
    /// Its sender is told that nobody listens (RFC 1122 §4.1.3.1).
    PortUnreachable(ReceivedPacket<'f>),
}

/// All open ports.
#[derive(Debug)]
pub(crate) struct Udp {
    sockets: HashMap<Binding, SocketId, FixedState>,
    bindings: HashMap<SocketId, Binding, FixedState>,
    next_socket: u32,
    rng: ChaCha8Rng,
    counters: UdpCounters,
}

impl Udp {
    /// No ports. The seed makes ephemeral ports hard to guess (RFC 6056).
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut hash = || FixedState::with_seed(rng.next_u64());
        Self {
            sockets: HashMap::with_hasher(hash()),
            bindings: HashMap::with_hasher(hash()),
            next_socket: 0,
            rng,
            counters: UdpCounters::default(),
        }
    }

    /// Opens a port at one of our addresses, or at all when `address` is `None`. One at an address takes precedence
    /// over one at all.
    pub(crate) fn bind(&mut self, address: Option<IpAddr>, port: u16) -> Result<SocketId, BindError> {
        let binding = Binding { address, port };
        if port == 0 {
            return Err(BindError::PortZero);
        }
        if self.sockets.contains_key(&binding) {
            return Err(BindError::InUse);
        }
        let mut socket = SocketId(self.next_socket);
        while self.bindings.contains_key(&socket) {
            socket = SocketId(socket.0.wrapping_add(1));
        }
        self.next_socket = socket.0.wrapping_add(1);
        self.sockets.insert(binding, socket);
        self.bindings.insert(socket, binding);
        Ok(socket)
    }

    /// Opens a port that nobody has, neither at this address nor at all: RFC 6056 §3.3.1, the first free one from a
    /// random one on.
    pub(crate) fn bind_ephemeral(&mut self, address: Option<IpAddr>) -> Result<(SocketId, u16), BindError> {
        let (first, last) = (*EPHEMERAL_PORTS.start(), *EPHEMERAL_PORTS.end());
        let count = u32::from(last - first) + 1;
        let start = self.rng.next_u32() % count;
        let free = (0..count)
            .filter_map(|step| u16::try_from(u32::from(first) + (start + step) % count).ok())
            .find(|&port| {
                !self.sockets.contains_key(&Binding { address, port })
                    && !self.sockets.contains_key(&Binding { address: None, port })
            })
            .ok_or(BindError::NoPortFree)?;
        Ok((self.bind(address, free)?, free))
    }

    /// Closes a port. False when there is no such socket.
    pub(crate) fn unbind(&mut self, socket: SocketId) -> bool {
        let Some(binding) = self.bindings.remove(&socket) else { return false };
        self.sockets.remove(&binding);
        true
    }

    /// Takes a packet in.
    pub(crate) fn receive<'f>(&mut self, packet: ReceivedPacket<'f>) -> Result<Delivery<'f>, Refused<'f>> {
        self.counters.received += 1;
        let Some((&[s0, s1, d0, d1, l0, l1, c0, c1], data)) = packet.payload.split_first_chunk::<HEADER_LENGTH>()
        else {
            self.counters.too_short += 1;
            return Err(Refused::Discarded);
        };
        let (source, destination) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length < HEADER_LENGTH || length > HEADER_LENGTH + data.len() {
            self.counters.bad_length += 1;
            return Err(Refused::Discarded);
        }
        if packet.segment_size.is_some() {
            self.counters.joined += 1;
            return Err(Refused::Discarded);
        }
        if source == 0 || destination == 0 {
            self.counters.port_zero += 1;
            return Err(Refused::Discarded);
        }
        if !packet.checksum_valid && !checksum_holds(&packet, length, u16::from_be_bytes([c0, c1])) {
            self.counters.bad_checksum += 1;
            return Err(Refused::Discarded);
        }
        let Some(socket) = self.lookup(packet.destination, destination) else {
            self.counters.no_port += 1;
            return Err(Refused::PortUnreachable(packet));
        };
        self.counters.delivered += 1;
        Ok(Delivery::Datagram {
            socket,
            local: SocketAddr::new(packet.destination, destination),
            remote: SocketAddr::new(packet.source, source),
            link_source: packet.link_source,
            payload: packet.payload.slice(HEADER_LENGTH..length),
        })
    }

    /// An ICMP error: news for the socket that sent the quoted datagram. A packet that was too big is no news: the
    /// path's MTU is lowered by whoever calls, when [`sent_by`](Self::sent_by) knows the socket.
    pub(crate) fn receive_error(&mut self, error: &ReceivedError<'_>) -> Option<Event> {
        let Some((socket, local, remote)) = self.sent_by(error) else {
            self.counters.unknown_error += 1;
            return None;
        };
        self.counters.errors_received += 1;
        match error.kind {
            ErrorKind::Unreachable | ErrorKind::Refused => Some(Event::Unreachable { socket, local, remote }),
            ErrorKind::PacketTooBig(_) => None,
        }
    }

    /// The open socket that can have sent the datagram which an error quotes, with its two ends.
    pub(crate) fn sent_by(&self, error: &ReceivedError<'_>) -> Option<(SocketId, SocketAddr, SocketAddr)> {
        let &[s0, s1, d0, d1] = error.quoted.first_chunk()?;
        let (local, remote) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
        let socket = self.lookup(error.local, local)?;
        Some((socket, SocketAddr::new(error.local, local), SocketAddr::new(error.remote, remote)))
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// [`SendFailure::TooLarge`] beyond 65,507 octets, and what `sink` says.
    pub(crate) fn send(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[&[u8]],
        sink: &mut impl PacketSink,
    ) -> Result<(), SendFailure> {
        let length = HEADER_LENGTH + payload.iter().map(|slice| slice.len()).sum::<usize>();
        let Ok(length) = u16::try_from(length) else {
            self.counters.not_sent += 1;
            return Err(SendFailure::TooLarge);
        };
        let ([s0, s1], [d0, d1]) = (local.port().to_be_bytes(), remote.port().to_be_bytes());
        let [l0, l1] = length.to_be_bytes();
        let result = sink.send(OutgoingPacket {
            source: local.ip(),
            destination: remote.ip(),
            protocol: protocol::UDP,
            hop_limit: if remote.ip().is_multicast() { GROUP_HOP_LIMIT } else { HOP_LIMIT },
            traffic_class: 0,
            dont_fragment: false,
            header: &mut [s0, s1, d0, d1, l0, l1, 0, 0],
            checksum_offset: CHECKSUM_OFFSET,
            payload,
            segment_size: None,
        });
        match result {
            Ok(()) => self.counters.sent += 1,
            Err(SendFailure::DeviceFull) => {}
            Err(SendFailure::NoRoute | SendFailure::TooLarge) => self.counters.not_sent += 1,
        }
        result
    }

    /// All open ports, in no order.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = SocketRow> + '_ {
        self.bindings.iter().map(|(&id, &Binding { address, port })| SocketRow { id, address, port })
    }

    /// What has been seen.
    pub(crate) fn counters(&self) -> &UdpCounters {
        &self.counters
    }

    /// The socket for a local address and port: one that is bound to the address (or to the group), else one that is
    /// bound to all.
    fn lookup(&self, address: IpAddr, port: u16) -> Option<SocketId> {
        let at_address = self.sockets.get(&Binding { address: Some(address), port });
        at_address.or_else(|| self.sockets.get(&Binding { address: None, port })).copied()
    }
}

/// Whether a datagram's checksum is right, or left out, which IPv4 allows (RFC 768) and IPv6 does not (RFC 8200 §8.1).
fn checksum_holds(packet: &ReceivedPacket<'_>, length: usize, checksum: u16) -> bool {
    if checksum == 0 {
        return packet.source.is_ipv4();
    }
    let datagram = packet.payload.get(..length).unwrap_or_default();
    checksum::holds(packet.source, packet.destination, protocol::UDP, datagram)
}

#[cfg(test)]
mod tests;
