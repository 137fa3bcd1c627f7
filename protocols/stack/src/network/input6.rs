//! The way up over IPv6: from a frame to a transport's packet.
//!
//! Responsible for every check that RFC 8200 and RFC 4291 ask of a host before it believes a packet, and for counting
//! what fails one. Not for answers: see [`reply6`](super::reply6) and [`solicitation`](super::solicitation).

use bytes::{BufMut, BytesMut};

use super::address::{ALL_NODES, is_unicast6};
use super::extension::{self, Carried, FRAGMENT_HEADER_LENGTH, FragmentHeader, Problem, next_header};
use super::icmpv6::{self, Error, Unbelievable, kind};
use super::input::Upward;
use super::ipv6::{self, Malformed};
use super::reassembly::{Fragment, Key};
use super::reply::Offender;
use super::{Network, protocol};
use crate::link::ethernet::Header;
use crate::packet::{ReceivedError, ReceivedPacket};
use crate::{Instant, Payload, ReceivedFrame};

/// What of a packet's way matters to the messages that must not have come far.
#[derive(Clone, Copy, Debug)]
struct Way {
    hop_limit: u8,
    /// It came with a fragment header.
    fragmented: bool,
}

impl Network {
    pub(super) fn receive_ipv6<'f>(
        &mut self,
        now: Instant,
        frame: &ReceivedFrame<'f>,
        link: &Header,
        bytes: &'f [u8],
    ) -> Option<Upward<'f>> {
        let counters = &mut self.interface.counters.ipv6;
        counters.received += 1;
        let ipv6::Packet { header, octets } = match ipv6::parse(bytes) {
            Ok(packet) => packet,
            Err(defect) => {
                match defect {
                    Malformed::TooShort => counters.too_short += 1,
                    Malformed::Version => counters.bad_version += 1,
                    Malformed::PayloadLength => counters.bad_payload_length += 1,
                }
                return None;
            }
        };
        let group = self.admit6(&header, link)?;
        let received = ReceivedPacket {
            source: header.source.into(),
            destination: header.destination.into(),
            link_source: link.source,
            group,
            protocol: next_header::NONE,
            traffic_class: header.traffic_class,
            checksum_valid: frame.transport_checksum_valid,
            segment_size: frame.segment_size,
            payload: Payload::EMPTY,
            network_header: Payload::Lent(octets),
        };
        let mut way = Way { hop_limit: header.hop_limit, fragmented: false };
        let packet = match extension::walk_packet(octets) {
            Ok(Carried::Upper { protocol, offset, .. }) => split(&received, octets, protocol, offset),
            Ok(Carried::Fragment { fragment, offset }) => {
                way.fragmented = true;
                self.receive_fragment(now, received, octets, &fragment, offset)?
            }
            Err(problem) => {
                self.refuse(now, &received, problem);
                return None;
            }
        };
        if header.source.is_unspecified() && packet.protocol != protocol::ICMPV6 {
            self.interface.counters.ipv6.martian_source += 1;
            return None;
        }
        if packet.protocol == next_header::NONE {
            self.interface.counters.ipv6.nothing_carried += 1;
            return None;
        }
        self.interface.counters.ipv6.delivered += 1;
        match packet.protocol {
            protocol::ICMPV6 => self.receive_icmpv6(now, &packet, way),
            _ => Some(Upward::Packet(packet)),
        }
    }

    /// Whether a packet with this header is to be taken, and if so, whether it went to a group.
    fn admit6(&mut self, header: &ipv6::Header, link: &Header) -> Option<bool> {
        let addresses = &self.interface.addresses;
        let counters = &mut self.interface.counters.ipv6;
        // RFC 4291 §2.5.2 and §2.7: the unspecified address is for those who have none yet.
        if !is_unicast6(header.source) && !header.source.is_unspecified() {
            counters.martian_source += 1;
            return None;
        }
        if addresses.is_own(header.source.into()) {
            counters.own_source += 1;
            return None;
        }
        if addresses.is_own(header.destination.into()) {
            if link.destination.is_multicast() {
                counters.group_frame += 1;
                return None;
            }
            return Some(false);
        }
        if header.destination == ALL_NODES || self.groups6.is_member(header.destination) {
            return Some(true);
        }
        counters.other_destination += 1;
        None
    }

    /// A packet that is not taken, and what its sender is told of it.
    fn refuse(&mut self, now: Instant, packet: &ReceivedPacket<'_>, problem: Problem) {
        let counters = &mut self.interface.counters.ipv6;
        let error = match problem {
            Problem::TooShort => {
                counters.bad_extension_header += 1;
                return;
            }
            Problem::Limit => {
                counters.extension_limit += 1;
                return;
            }
            Problem::SilentOption => {
                counters.unknown_option += 1;
                return;
            }
            Problem::Order(pointer) => {
                counters.bad_extension_header += 1;
                Error::UnrecognizedNextHeader(pointer)
            }
            Problem::Header(pointer) => {
                counters.bad_extension_header += 1;
                Error::ErroneousHeader(pointer)
            }
            Problem::Routing(pointer) => {
                counters.routing_header += 1;
                Error::ErroneousHeader(pointer)
            }
            Problem::Option { pointer, even_for_group } => {
                counters.unknown_option += 1;
                Error::UnrecognizedOption { pointer, even_for_group }
            }
        };
        self.send_error6(now, &Offender::of(packet), error);
    }

    /// A packet with a fragment header at `offset` (RFC 8200 §4.5): the whole, when this was its last missing part.
    fn receive_fragment<'f>(
        &mut self,
        now: Instant,
        received: ReceivedPacket<'f>,
        octets: &'f [u8],
        fragment: &FragmentHeader,
        offset: usize,
    ) -> Option<ReceivedPacket<'f>> {
        let behind = offset + FRAGMENT_HEADER_LENGTH;
        let (header, data) = octets.split_at_checked(behind)?;
        let counters = &mut self.interface.counters.ipv6;
        if fragment.offset == 0 {
            // RFC 7112: all headers are in the first fragment, so that what is to be judged comes at once.
            match extension::walk(octets, fragment.next_header, behind, offset) {
                Ok(Carried::Upper { protocol, offset: upper, .. }) if octets.len() >= upper + least(protocol) => {
                    if !fragment.more {
                        // RFC 6946 §4: an atomic fragment is a whole packet and has nothing to do with any other.
                        counters.atomic_fragments += 1;
                        return Some(split(&received, octets, protocol, upper));
                    }
                }
                Ok(Carried::Upper { .. }) | Err(Problem::TooShort) => {
                    counters.incomplete_header_chain += 1;
                    self.send_error6(now, &Offender::of(&received), Error::IncompleteHeaderChain);
                    return None;
                }
                Ok(Carried::Fragment { .. }) => {
                    self.refuse(now, &received, Problem::Order(offset));
                    return None;
                }
                Err(problem) => {
                    self.refuse(now, &received, problem);
                    return None;
                }
            }
        }
        // The length and the place of each are the sender's error, and it is told where.
        let unfragmentable = offset - ipv6::HEADER_LENGTH;
        let wrong = if fragment.more && !data.len().is_multiple_of(8) {
            Some(ipv6::PAYLOAD_LENGTH_OFFSET)
        } else if unfragmentable + fragment.offset + data.len() > ipv6::MAXIMUM_PAYLOAD {
            Some(offset + 2)
        } else {
            None
        };
        if let Some(pointer) = wrong {
            counters.bad_fragment += 1;
            self.send_error6(now, &Offender::of(&received), Error::ErroneousHeader(pointer));
            return None;
        }
        let part = Fragment {
            key: Key {
                source: received.source,
                destination: received.destination,
                protocol: next_header::FRAGMENT,
                identification: fragment.identification,
            },
            offset: fragment.offset,
            more: fragment.more,
            traffic_class: received.traffic_class,
            group: received.group,
            header,
            data,
        };
        let datagram = self.reassembly.receive(now, &part, &mut self.interface.counters.reassembly)?;
        let whole = ReceivedPacket {
            group: datagram.group,
            traffic_class: datagram.traffic_class,
            // The device has looked at fragments, not at the whole.
            checksum_valid: false,
            segment_size: None,
            ..received
        };
        // What the first fragment names counts, whatever the others do.
        let pointer = datagram.header.len().checked_sub(FRAGMENT_HEADER_LENGTH)?;
        let next = *datagram.header.get(pointer)?;
        if !extension::is_extension(next) {
            let (payload, network_header) = (Payload::Owned(datagram.payload), Payload::Owned(datagram.header));
            return Some(ReceivedPacket { protocol: next, payload, network_header, ..whole });
        }
        let mut all = BytesMut::with_capacity(datagram.header.len() + datagram.payload.len());
        all.put(datagram.header);
        let start = all.len();
        all.put(datagram.payload);
        let all = all.freeze();
        match extension::walk(&all, next, start, pointer) {
            Ok(Carried::Upper { protocol, offset, .. }) => Some(ReceivedPacket {
                protocol,
                payload: Payload::Owned(all.slice(offset.min(all.len())..)),
                network_header: Payload::Owned(all.slice(..offset.min(all.len()))),
                ..whole
            }),
            // The first fragment has been looked at: this cannot be.
            Ok(Carried::Fragment { .. }) | Err(_) => {
                self.interface.counters.ipv6.bad_extension_header += 1;
                None
            }
        }
    }

    fn receive_icmpv6<'f>(&mut self, now: Instant, packet: &ReceivedPacket<'f>, way: Way) -> Option<Upward<'f>> {
        let counters = &mut self.interface.counters.icmpv6;
        counters.received += 1;
        let message = match icmpv6::parse(packet, &packet.payload) {
            Ok(message) => message,
            Err(icmpv6::Malformed::TooShort) => {
                counters.too_short += 1;
                return None;
            }
            Err(icmpv6::Malformed::Checksum) => {
                counters.bad_checksum += 1;
                return None;
            }
        };
        match message.kind {
            kind::ECHO_REQUEST => self.reply_to_echo6(now, packet, &message),
            kind::DESTINATION_UNREACHABLE..=kind::PARAMETER_PROBLEM => {
                // An error is never so large that it comes in fragments (RFC 4443 §2.4 (c)).
                if let Payload::Lent(octets) = packet.payload {
                    return self.receive_error6(octets).map(Upward::Error);
                }
                counters.bad_quotation += 1;
            }
            kind::ROUTER_SOLICITATION..=kind::REDIRECT => self.receive_ndp(now, packet, way.hop_limit, way.fragmented),
            kind::MULTICAST_LISTENER_QUERY..=kind::MULTICAST_LISTENER_DONE | kind::MULTICAST_LISTENER_REPORT_V2 => {
                self.receive_mld(now, packet, &message, way.hop_limit);
            }
            kind::ECHO_REPLY => counters.unsolicited_reply += 1,
            _ => counters.unknown_type += 1,
        }
        None
    }

    /// An error is handed up when it quotes a packet from one of our addresses to somebody else.
    fn receive_error6<'f>(&mut self, octets: &'f [u8]) -> Option<ReceivedError<'f>> {
        let error = icmpv6::split(octets).ok_or(Unbelievable::Quotation);
        let error = error.and_then(|message| icmpv6::parse_error(&message));
        let counters = &mut self.interface.counters.icmpv6;
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
}

/// The packet whose headers end at `offset`.
fn split<'f>(received: &ReceivedPacket<'f>, octets: &'f [u8], protocol: u8, offset: usize) -> ReceivedPacket<'f> {
    let (network_header, payload) = octets.split_at_checked(offset).unwrap_or((octets, &[]));
    let (network_header, payload) = (Payload::Lent(network_header), Payload::Lent(payload));
    ReceivedPacket { protocol, payload, network_header, ..*received }
}

/// Octets of the shortest header of a protocol.
const fn least(protocol: u8) -> usize {
    match protocol {
        protocol::TCP => 20,
        protocol::UDP | protocol::ICMPV6 => 8,
        _ => 0,
    }
}
