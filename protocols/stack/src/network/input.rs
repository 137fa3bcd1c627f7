//! The way up: from a frame to a transport's packet.
//!
//! Responsible for every check that RFC 791, RFC 792 and RFC 1122 §3 ask of a host before it believes a packet, and for
//! counting what fails one. Not for answers: see [`reply`](super::reply) and [`resolution`](super::resolution).

use std::net::IpAddr;

use super::address::Destination;
use super::icmp::{self, Message, Unbelievable, kind};
use super::ipv4::{Malformed, OptionError};
use super::reassembly::{Fragment, Key};
use super::reply::Offender;
use super::{Network, ipv4, protocol};
use crate::link::ethernet::{EtherType, Header};
use crate::packet::{ReceivedError, ReceivedPacket};
use crate::{Instant, Payload, ReceivedFrame};

/// What a frame brought for a transport.
#[derive(Debug)]
pub(crate) enum Upward<'f> {
    /// A packet.
    Packet(ReceivedPacket<'f>),
    /// An error about a packet that somebody sent in our name: the transport knows whether it did.
    Error(ReceivedError<'f>),
}

impl Network {
    /// Takes a frame in. Answers of the network layer itself wait for [`flush`](Self::flush).
    pub(crate) fn receive<'f>(&mut self, now: Instant, frame: &ReceivedFrame<'f>) -> Option<Upward<'f>> {
        let (header, payload) = self.link.receive(frame.bytes, &mut self.interface.counters.link)?;
        match header.ether_type {
            EtherType::IPV4 => self.receive_ipv4(now, frame, &header, payload),
            EtherType::IPV6 => self.receive_ipv6(now, frame, &header, payload),
            EtherType::ARP => {
                self.receive_arp(now, payload);
                None
            }
            _ => {
                self.interface.counters.link.unknown_ether_type += 1;
                None
            }
        }
    }

    fn receive_ipv4<'f>(
        &mut self,
        now: Instant,
        frame: &ReceivedFrame<'f>,
        link: &Header,
        bytes: &'f [u8],
    ) -> Option<Upward<'f>> {
        let counters = &mut self.interface.counters.ip;
        counters.received += 1;
        let packet = match ipv4::parse(bytes) {
            Ok(packet) => packet,
            Err(defect) => {
                match defect {
                    Malformed::TooShort => counters.too_short += 1,
                    Malformed::Version => counters.bad_version += 1,
                    Malformed::HeaderLength => counters.bad_header_length += 1,
                    Malformed::Checksum => counters.bad_checksum += 1,
                    Malformed::TotalLength => counters.bad_total_length += 1,
                }
                return None;
            }
        };
        let group = self.admit(&packet.header, link)?;
        let header = &packet.header;
        let received = ReceivedPacket {
            source: header.source.into(),
            destination: header.destination.into(),
            link_source: link.source,
            group,
            protocol: header.protocol,
            traffic_class: header.traffic_class,
            checksum_valid: frame.transport_checksum_valid,
            segment_size: frame.segment_size,
            payload: Payload::Lent(packet.payload),
            network_header: Payload::Lent(packet.header_octets),
        };
        // Time to live is not looked at: RFC 1122 §3.2.1.7, a host takes what has reached it.
        if header.header_length > ipv4::HEADER_LENGTH
            && let Err(error) = ipv4::check_options(packet.header_octets)
        {
            match error {
                OptionError::SourceRoute => self.interface.counters.ip.source_route += 1,
                OptionError::Malformed(pointer) => {
                    self.interface.counters.ip.bad_option += 1;
                    self.send_error(now, &Offender::of(&received), icmp::Error::ParameterProblem(pointer));
                }
            }
            return None;
        }
        let whole = if header.is_fragment() { self.reassemble(now, header, &received)? } else { received };
        self.interface.counters.ip.delivered += 1;
        match whole.protocol {
            protocol::ICMP => self.receive_icmp(now, &whole),
            protocol::IGMP => {
                self.receive_igmp(now, &whole);
                None
            }
            _ => Some(Upward::Packet(whole)),
        }
    }

    /// Whether a packet with this header is to be taken, and if so, whether it went to a group (RFC 1122 §3.2.1.3).
    fn admit(&mut self, header: &ipv4::Header, link: &Header) -> Option<bool> {
        let addresses = &self.interface.addresses;
        let counters = &mut self.interface.counters.ip;
        if !addresses.is_source(header.source) {
            counters.martian_source += 1;
            return None;
        }
        if addresses.is_own(header.source.into()) {
            counters.own_source += 1;
            return None;
        }
        match addresses.classify(header.destination) {
            Destination::Own if link.destination.is_multicast() => {
                counters.group_frame += 1;
                None
            }
            Destination::Own => Some(false),
            Destination::Group => Some(true),
            Destination::Other if self.groups.is_member(header.destination) => Some(true),
            Destination::Other => {
                counters.other_destination += 1;
                None
            }
        }
    }

    fn reassemble<'f>(
        &mut self,
        now: Instant,
        header: &ipv4::Header,
        received: &ReceivedPacket<'f>,
    ) -> Option<ReceivedPacket<'f>> {
        let fragment = Fragment {
            key: Key {
                source: received.source,
                destination: received.destination,
                protocol: header.protocol,
                identification: header.identification.into(),
            },
            offset: header.fragment_offset,
            more: header.more_fragments,
            traffic_class: header.traffic_class,
            group: received.group,
            header: &received.network_header,
            data: &received.payload,
        };
        let datagram = self.reassembly.receive(now, &fragment, &mut self.interface.counters.reassembly)?;
        Some(ReceivedPacket {
            group: datagram.group,
            traffic_class: datagram.traffic_class,
            // The device has looked at fragments, not at the whole.
            checksum_valid: false,
            segment_size: None,
            payload: Payload::Owned(datagram.payload),
            network_header: Payload::Owned(datagram.header),
            ..*received
        })
    }

    fn receive_icmp<'f>(&mut self, now: Instant, packet: &ReceivedPacket<'f>) -> Option<Upward<'f>> {
        let counters = &mut self.interface.counters.icmp;
        counters.received += 1;
        let message = match icmp::parse(&packet.payload) {
            Ok(message) => message,
            Err(icmp::Malformed::TooShort) => {
                counters.too_short += 1;
                return None;
            }
            Err(icmp::Malformed::Checksum) => {
                counters.bad_checksum += 1;
                return None;
            }
        };
        match message.kind {
            // RFC 1122 §3.2.2.6 and §3.2.2.8: requests to a group may be ignored, which spares everybody a storm.
            kind::ECHO | kind::TIMESTAMP if packet.group => counters.group_request += 1,
            kind::ECHO => self.reply_to_echo(now, packet, &message),
            kind::TIMESTAMP => self.reply_to_timestamp(now, packet, &message),
            kind::DESTINATION_UNREACHABLE | kind::TIME_EXCEEDED | kind::PARAMETER_PROBLEM => {
                // An error is never so large that it comes in fragments (RFC 1812 §4.3.2.3).
                if let Payload::Lent(octets) = &packet.payload
                    && let Ok(message) = icmp::parse(octets)
                {
                    return self.receive_error(&message).map(Upward::Error);
                }
                counters.bad_quotation += 1;
            }
            kind::REDIRECT => counters.redirect += 1,
            kind::SOURCE_QUENCH => counters.source_quench += 1,
            kind::ECHO_REPLY | kind::TIMESTAMP_REPLY => counters.unsolicited_reply += 1,
            _ => counters.unknown_type += 1,
        }
        None
    }

    /// An error is handed up when it quotes a packet from one of our addresses to somebody else.
    fn receive_error<'f>(&mut self, message: &Message<'f>) -> Option<ReceivedError<'f>> {
        let error = icmp::parse_error(message);
        let counters = &mut self.interface.counters.icmp;
        match error {
            Ok(error) if self.interface.addresses.is_own(error.local) => {
                counters.errors_received += 1;
                Some(error)
            }
            Ok(_) | Err(Unbelievable::Quotation) => {
                counters.bad_quotation += 1;
                None
            }
            Err(Unbelievable::Mtu) => {
                counters.implausible_mtu += 1;
                None
            }
        }
    }

    /// Whether an address is one that a host can have, and not one of ours.
    pub(super) fn is_foreign_host(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else { return false };
        self.interface.addresses.is_source(address) && !self.interface.addresses.is_own(address.into())
    }
}
