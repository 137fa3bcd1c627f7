//! What MLD messages bring about (RFC 3810).
//!
//! Responsible for the checks that a message needs, and for sending what [`group`](super::group) wants told.

use std::net::{IpAddr, Ipv6Addr};

use super::address::is_link_local;
use super::group::{Message, Received};
use super::{Network, extension, icmpv6, mld, protocol};
use crate::Instant;
use crate::packet::{OutgoingPacket, ReceivedPacket};

impl Network {
    /// Takes a message in.
    pub(super) fn receive_mld(
        &mut self,
        now: Instant,
        packet: &ReceivedPacket<'_>,
        message: &icmpv6::Message<'_>,
        hop_limit: u8,
    ) {
        let counters = &mut self.interface.counters.mld;
        counters.received += 1;
        // RFC 3810 §6.2 and §7.4, RFC 2710 §4.
        let from_link = matches!(packet.source, IpAddr::V6(source) if is_link_local(source));
        if !from_link || hop_limit != mld::HOP_LIMIT || !extension::has_router_alert(&packet.network_header) {
            counters.not_from_link += 1;
            return;
        }
        let Some(message) = mld::parse(message) else {
            counters.too_short += 1;
            return;
        };
        match message {
            Received::Query { .. } => counters.queries_received += 1,
            Received::Report(_) => counters.reports_received += 1,
            Received::Other => counters.unknown_type += 1,
        }
        self.groups6.receive(now, &message);
        self.expire_groups(now);
    }

    /// Sends a message, from our link-local address or, while that is tentative, from nobody (RFC 3590).
    pub(super) fn send_mld(&mut self, now: Instant, message: &Message<Ipv6Addr>) {
        let destination = IpAddr::V6(message.destination());
        let own = self.source_for(destination);
        let own = own.filter(|own| matches!(own, IpAddr::V6(own) if is_link_local(*own)));
        let (mut header, rest) = message.emit();
        let packet = OutgoingPacket {
            source: own.unwrap_or(Ipv6Addr::UNSPECIFIED.into()),
            destination,
            protocol: protocol::ICMPV6,
            hop_limit: mld::HOP_LIMIT,
            traffic_class: 0,
            dont_fragment: false,
            header: &mut header,
            checksum_offset: icmpv6::CHECKSUM_OFFSET,
            payload: &[&rest],
            segment_size: None,
        };
        let sent = self.interface.transmit(now, &packet, &mld::ROUTER_ALERT, &mut self.egress, None).is_ok();
        let counters = &mut self.interface.counters.mld;
        if sent {
            counters.reports_sent += 1;
        } else {
            counters.not_sent += 1;
        }
    }
}
