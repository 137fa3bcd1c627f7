//! The seam between the network layer and the transports above it.
//!
//! Responsible for the shape of a packet on its way up and down. The network layer fills in and takes apart what is
//! around it (IP header, route, neighbour, fragments, Ethernet); a transport knows only this.

use std::net::IpAddr;

use crate::{DeviceFull, HardwareAddress, Payload};

/// A transport's packet as it came in: whole, from a believable source, for one of our addresses.
#[derive(Debug)]
pub(crate) struct ReceivedPacket<'f> {
    /// Where it came from.
    pub source: IpAddr,
    /// Where it was sent to: one of our own addresses, or a broadcast or multicast one when `group` says so.
    pub destination: IpAddr,
    /// The station that sent the frame.
    pub link_source: HardwareAddress,
    /// Whether it was sent to more than one host, at the link or at the network layer.
    pub group: bool,
    /// The IP protocol number.
    pub protocol: u8,
    /// The traffic class: Diffserv code point and, in the lowest two bits, ECN (RFC 2474, RFC 3168).
    pub traffic_class: u8,
    /// Whether the transport checksum needs no look. See [`crate::ReceivedFrame::transport_checksum_valid`].
    pub checksum_valid: bool,
    /// See [`crate::ReceivedFrame::segment_size`].
    pub segment_size: Option<u16>,
    /// The transport header and data.
    pub payload: Payload<'f>,
    /// The IP header as it came, for quoting in an ICMP error (RFC 792).
    pub network_header: Payload<'f>,
}

/// A transport's packet on its way out.
#[derive(Debug)]
pub(crate) struct OutgoingPacket<'a> {
    /// One of our own addresses.
    pub source: IpAddr,
    /// The destination.
    pub destination: IpAddr,
    /// The IP protocol number.
    pub protocol: u8,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
    /// See [`ReceivedPacket::traffic_class`].
    pub traffic_class: u8,
    /// Forbids fragmentation on the way (the DF bit): the sender adapts to the path (RFC 1191).
    pub dont_fragment: bool,
    /// The transport header. The network layer completes the checksum in it, or leaves it to the device.
    pub header: &'a mut [u8],
    /// Octets from the header's first to its checksum field, which must be zero now.
    pub checksum_offset: usize,
    /// The data, in slices.
    pub payload: &'a [&'a [u8]],
    /// Set when the data are more than one segment, to be cut by the device: the data octets of each.
    pub segment_size: Option<u16>,
}

/// The way out, as a transport sees it.
pub(crate) trait PacketSink {
    /// Sends one packet. A packet that waits for its neighbour's address counts as sent.
    fn send(&mut self, packet: OutgoingPacket<'_>) -> Result<(), SendFailure>;

    /// The largest packet, IP header included, that goes from here to `destination` in one piece, in octets.
    fn path_mtu(&self, destination: IpAddr) -> usize;

    /// The most data octets that a packet with [`OutgoingPacket::segment_size`] may hold; `None` when the device
    /// cannot cut.
    fn segmentation_limit(&self) -> Option<usize>;
}

/// Why a packet was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendFailure {
    /// The device is full; try again when it is writable.
    DeviceFull,
    /// No route leads there. A transport treats this as a loss on the way (RFC 1122 §4.2.3.9: a soft error).
    NoRoute,
    /// It does not fit the path and must not be fragmented, or is larger than IP can carry.
    TooLarge,
}

impl From<DeviceFull> for SendFailure {
    fn from(DeviceFull: DeviceFull) -> Self {
        Self::DeviceFull
    }
}

/// An ICMP error about a packet that we sent, as far as the network layer can believe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceivedError<'f> {
    /// Our address, from the quoted packet.
    pub local: IpAddr,
    /// Where the quoted packet was going.
    pub remote: IpAddr,
    /// Its protocol.
    pub protocol: u8,
    /// What went wrong.
    pub kind: ErrorKind,
    /// The first octets of its transport header: 8 or more (RFC 792).
    pub quoted: &'f [u8],
}

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// Network or host cannot be reached now, or time exceeded: a soft error.
    Unreachable,
    /// Protocol or port unreachable, or administratively prohibited: a hard error (RFC 1122 §4.2.3.9).
    Refused,
    /// Fragmentation needed: the next hop's MTU in octets, 0 from a router that does not say (RFC 1191 §5).
    PacketTooBig(u32),
}
