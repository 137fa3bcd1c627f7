//! ICMP messages that we send (RFC 792, RFC 1122 §3.2.2).
//!
//! Responsible for replies to requests, and for errors: when one may be sent, what it quotes and how often. They wait
//! in the queue for the device, which bounds them.

use std::net::IpAddr;

use super::icmp::{self, Message, kind};
use super::options::{self, Options};
use super::{Network, icmpv6, ipv4, protocol};
use crate::Instant;
use crate::packet::{OutgoingPacket, ReceivedPacket};

/// The time to live of our messages (RFC 1122 §3.2.1.7 leaves the value open; this is the recommended one).
const HOP_LIMIT: u8 = 64;

/// The traffic class of errors: Internetwork Control (RFC 1812 §4.3.2.5).
const ERROR_TRAFFIC_CLASS: u8 = 0xc0;

/// A packet that an error is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offender<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) group: bool,
    pub(super) protocol: u8,
    pub(super) header: &'a [u8],
    pub(super) payload: &'a [u8],
}

impl<'a> Offender<'a> {
    pub(crate) fn of(packet: &'a ReceivedPacket<'_>) -> Self {
        Self {
            source: packet.source,
            destination: packet.destination,
            group: packet.group,
            protocol: packet.protocol,
            header: &packet.network_header,
            payload: &packet.payload,
        }
    }

    /// Whether an error may be sent about it (RFC 1122 §3.2.2): not about another error, a packet for a group, or a
    /// fragment other than the first. Packets that came in frames for a group or from no single host have been dropped
    /// before.
    fn deserves_an_error(&self) -> bool {
        let quotes_error =
            self.protocol == protocol::ICMP && self.payload.first().is_none_or(|&kind| icmp::is_error(kind));
        let first_fragment = ipv4::parse_header(self.header).is_ok_and(|header| header.fragment_offset == 0);
        !self.group && !quotes_error && first_fragment
    }
}

impl Network {
    /// Nobody listens on the port that a packet was sent to.
    pub(crate) fn port_unreachable(&mut self, now: Instant, packet: &ReceivedPacket<'_>) {
        match packet.source {
            IpAddr::V4(_) => self.send_error(now, &Offender::of(packet), icmp::Error::PortUnreachable),
            IpAddr::V6(_) => self.send_error6(now, &Offender::of(packet), icmpv6::Error::PortUnreachable),
        }
    }

    /// Nobody here speaks a packet's protocol.
    pub(crate) fn protocol_unreachable(&mut self, now: Instant, packet: &ReceivedPacket<'_>) {
        match packet.source {
            IpAddr::V4(_) => {
                self.interface.counters.ip.unknown_protocol += 1;
                self.send_error(now, &Offender::of(packet), icmp::Error::ProtocolUnreachable);
            }
            IpAddr::V6(_) => self.unrecognized_next_header(now, packet),
        }
    }

    /// Sends an error about a packet, if one may be sent.
    pub(super) fn send_error(&mut self, now: Instant, offender: &Offender<'_>, error: icmp::Error) {
        if !offender.deserves_an_error() {
            return;
        }
        if !self.limiter.allows(now, offender.source) {
            self.interface.counters.icmp.errors_limited += 1;
            return;
        }
        let room = icmp::MAXIMUM_ERROR_LENGTH - ipv4::HEADER_LENGTH - icmp::HEADER_LENGTH;
        let quoted = room.saturating_sub(offender.header.len()).min(offender.payload.len());
        let quotation = [offender.header, offender.payload.get(..quoted).unwrap_or_default()];
        let sent = self.send_icmp(
            now,
            (offender.destination, offender.source),
            ERROR_TRAFFIC_CLASS,
            error.header(),
            &[],
            &quotation,
        );
        if sent {
            self.interface.counters.icmp.errors_sent += 1;
        }
    }

    /// RFC 792, Echo or Echo Reply Message: the data come back as they are.
    pub(super) fn reply_to_echo(&mut self, now: Instant, packet: &ReceivedPacket<'_>, message: &Message<'_>) {
        let header = icmp::header(kind::ECHO_REPLY, 0, message.rest);
        let options = match packet.destination {
            // RFC 1122 §3.2.2.6: record route and timestamp go back with our entry.
            IpAddr::V4(own) if packet.network_header.len() > ipv4::HEADER_LENGTH => {
                options::reflect(&packet.network_header, own, timestamp(now))
            }
            _ => Options::new(),
        };
        if self.reply(now, packet, header, &options, &[message.data]) {
            self.interface.counters.icmp.echo_replies_sent += 1;
        }
    }

    /// RFC 792, Timestamp Message.
    pub(super) fn reply_to_timestamp(&mut self, now: Instant, packet: &ReceivedPacket<'_>, message: &Message<'_>) {
        /// Originate, receive and transmit timestamp.
        const LENGTH: usize = 12;
        let Some(originate) = message.data.first_chunk::<LENGTH>().and_then(|data| data.first_chunk::<4>()) else {
            self.interface.counters.icmp.too_short += 1;
            return;
        };
        let time = timestamp(now).to_be_bytes();
        let header = icmp::header(kind::TIMESTAMP_REPLY, 0, message.rest);
        if self.reply(now, packet, header, &[], &[originate, &time, &time]) {
            self.interface.counters.icmp.timestamp_replies_sent += 1;
        }
    }

    /// Datagrams whose time is up (RFC 1122 §3.3.2: an error goes out if the first fragment has come).
    pub(super) fn expire_fragments(&mut self, now: Instant) {
        while let Some(datagram) = self.reassembly.expire(now, &mut self.interface.counters.reassembly) {
            let offender = Offender {
                source: datagram.key.source,
                destination: datagram.key.destination,
                group: datagram.group,
                protocol: datagram.key.protocol,
                header: &datagram.header,
                payload: &datagram.payload,
            };
            match offender.source {
                IpAddr::V4(_) => self.send_error(now, &offender, icmp::Error::ReassemblyTimeExceeded),
                IpAddr::V6(_) => self.send_error6(now, &offender, icmpv6::Error::ReassemblyTimeExceeded),
            }
        }
    }

    /// Answers a request from the address that it was sent to (RFC 1122 §3.2.2.6), with its Diffserv code point.
    fn reply(
        &mut self,
        now: Instant,
        request: &ReceivedPacket<'_>,
        header: [u8; icmp::HEADER_LENGTH],
        options: &[u8],
        payload: &[&[u8]],
    ) -> bool {
        const DIFFSERV: u8 = 0xfc;
        let way = (request.destination, request.source);
        self.send_icmp(now, way, request.traffic_class & DIFFSERV, header, options, payload)
    }

    fn send_icmp(
        &mut self,
        now: Instant,
        (source, destination): (IpAddr, IpAddr),
        traffic_class: u8,
        mut header: [u8; icmp::HEADER_LENGTH],
        options: &[u8],
        payload: &[&[u8]],
    ) -> bool {
        let packet = OutgoingPacket {
            source,
            destination,
            protocol: protocol::ICMP,
            hop_limit: HOP_LIMIT,
            traffic_class,
            dont_fragment: false,
            header: &mut header,
            checksum_offset: icmp::CHECKSUM_OFFSET,
            payload,
            segment_size: None,
        };
        let sent = self.interface.transmit(now, &packet, options, &mut self.egress, None).is_ok();
        if !sent {
            self.interface.counters.icmp.not_sent += 1;
        }
        sent
    }
}

/// The time for timestamps, in milliseconds. There is no clock here that knows midnight: the highest bit says so
/// (RFC 792, RFC 791 §3.1).
fn timestamp(now: Instant) -> u32 {
    const NON_STANDARD: u32 = 0x8000_0000;
    u32::try_from(now.as_millis() & u64::from(!NON_STANDARD)).unwrap_or(0) | NON_STANDARD
}
