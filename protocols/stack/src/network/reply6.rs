//! ICMPv6 messages that we send (RFC 4443).
//!
//! Responsible for replies to echo requests, and for errors: when one may be sent, what it quotes and how often. They
//! wait in the queue for the device, which bounds them.

use std::net::{IpAddr, Ipv6Addr};

use super::address::is_unicast6;
use super::icmpv6::{self, Error, Message, kind};
use super::reply::Offender;
use super::{Network, extension, ipv6, protocol};
use crate::Instant;
use crate::packet::{OutgoingPacket, ReceivedPacket};

/// The hop limit of our messages.
const HOP_LIMIT: u8 = 64;

impl Offender<'_> {
    /// Whether an error may be sent about it (RFC 4443 §2.4 (e)): not about another error or a redirect, not to nobody
    /// or to a group, and about a packet for a group only what its options ask for.
    fn deserves(&self, error: Error) -> bool {
        let quotes_error =
            self.protocol == protocol::ICMPV6 && self.payload.first().is_none_or(|&kind| icmpv6::forbids_errors(kind));
        let for_group = matches!(error, Error::UnrecognizedOption { even_for_group: true, .. });
        let from_node = matches!(self.source, IpAddr::V6(source) if is_unicast6(source));
        !quotes_error && from_node && (!self.group || for_group)
    }
}

impl Network {
    /// Nobody here speaks a packet's protocol: the number that names it is the problem (RFC 4443 §3.4).
    pub(super) fn unrecognized_next_header(&mut self, now: Instant, packet: &ReceivedPacket<'_>) {
        self.interface.counters.ipv6.unknown_protocol += 1;
        let pointer = match extension::walk_packet(&packet.network_header) {
            Ok(extension::Carried::Upper { pointer, .. }) => pointer,
            // What comes in fragments is named by the first one's header.
            Ok(extension::Carried::Fragment { offset, .. }) => offset,
            Err(_) => ipv6::NEXT_HEADER_OFFSET,
        };
        self.send_error6(now, &Offender::of(packet), Error::UnrecognizedNextHeader(pointer));
    }

    /// Sends an error about a packet, if one may be sent.
    pub(super) fn send_error6(&mut self, now: Instant, offender: &Offender<'_>, error: Error) {
        if !offender.deserves(error) {
            return;
        }
        if !self.limiter.allows(now, network_of(offender.source)) {
            self.interface.counters.icmpv6.limited += 1;
            return;
        }
        let own = if offender.group { self.source_for(offender.source) } else { Some(offender.destination) };
        let Some(own) = own else {
            self.interface.counters.icmpv6.not_sent += 1;
            return;
        };
        // RFC 4443 §2.4 (c): as much of it as fits.
        let room = icmpv6::MAXIMUM_ERROR_LENGTH - ipv6::HEADER_LENGTH - icmpv6::HEADER_LENGTH;
        let header = offender.header.get(..room.min(offender.header.len())).unwrap_or_default();
        let quoted = (room - header.len()).min(offender.payload.len());
        let quotation = [header, offender.payload.get(..quoted).unwrap_or_default()];
        if self.send_icmpv6(now, (own, offender.source), 0, error.header(), &quotation) {
            self.interface.counters.icmpv6.errors_sent += 1;
        }
    }

    /// RFC 4443 §4.2: the data come back as they are, also of a request that went to a group. Those are limited, since
    /// one request makes many replies.
    pub(super) fn reply_to_echo6(&mut self, now: Instant, packet: &ReceivedPacket<'_>, message: &Message<'_>) {
        if !matches!(packet.source, IpAddr::V6(source) if is_unicast6(source)) {
            self.interface.counters.icmpv6.bad_source += 1;
            return;
        }
        if packet.group && !self.limiter.allows(now, network_of(packet.source)) {
            self.interface.counters.icmpv6.limited += 1;
            return;
        }
        let own = if packet.group { self.source_for(packet.source) } else { Some(packet.destination) };
        let Some(own) = own else {
            self.interface.counters.icmpv6.not_sent += 1;
            return;
        };
        const DIFFSERV: u8 = 0xfc;
        let header = icmpv6::header(kind::ECHO_REPLY, 0, message.rest);
        if self.send_icmpv6(now, (own, packet.source), packet.traffic_class & DIFFSERV, header, &[message.data]) {
            self.interface.counters.icmpv6.echo_replies_sent += 1;
        }
    }

    fn send_icmpv6(
        &mut self,
        now: Instant,
        (source, destination): (IpAddr, IpAddr),
        traffic_class: u8,
        mut header: [u8; icmpv6::HEADER_LENGTH],
        payload: &[&[u8]],
    ) -> bool {
        let packet = OutgoingPacket {
            source,
            destination,
            protocol: protocol::ICMPV6,
            hop_limit: HOP_LIMIT,
            traffic_class,
            dont_fragment: false,
            header: &mut header,
            checksum_offset: icmpv6::CHECKSUM_OFFSET,
            payload,
            segment_size: None,
        };
        let sent = self.interface.transmit(now, &packet, &[], &mut self.egress, None).is_ok();
        if !sent {
            self.interface.counters.icmpv6.not_sent += 1;
        }
        sent
    }
}

/// Whom a limit counts for: the network of 64 bits, since a single host has as many addresses in it as it likes.
fn network_of(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(source) => Ipv6Addr::from_bits(source.to_bits() >> 64 << 64).into(),
    }
}
