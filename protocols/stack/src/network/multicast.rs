//! Joining groups of either family, and what IGMP messages bring about (RFC 3376).
//!
//! Responsible for putting membership into effect: the link's filter, the messages to routers. Not for membership
//! itself: see [`group`](super::group).

use std::net::{IpAddr, Ipv4Addr};

use super::address::{ALL_HOSTS, ALL_NODES};
use super::group::{GroupRow, JoinError, Message, Received};
use super::igmp::{self, Malformed};
use super::route::hardware_address_of_group;
use super::{Network, protocol};
use crate::packet::{OutgoingPacket, ReceivedPacket};
use crate::{HardwareAddress, Instant};

/// Messages stay on the link (RFC 3376 §4), and go before others (Internetwork Control).
const HOP_LIMIT: u8 = 1;
const TRAFFIC_CLASS: u8 = 0xc0;

impl Network {
    /// Joins a group. Joined twice, it must be left twice.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub(crate) fn join(&mut self, now: Instant, group: IpAddr) -> Result<(), JoinError> {
        match group {
            IpAddr::V4(group) => self.groups.join(now, group)?,
            IpAddr::V6(group) => self.groups6.join(now, group)?,
        }
        self.link.listen(hardware_address_of_group(group));
        self.expire_groups(now);
        Ok(())
    }

    /// Leaves a group. False when it was not joined.
    pub(crate) fn leave(&mut self, now: Instant, group: IpAddr) -> bool {
        let left = match group {
            IpAddr::V4(group) => self.groups.leave(now, group),
            IpAddr::V6(group) => self.groups6.leave(now, group),
        };
        // Several groups share a hardware address.
        let addresses = self.groups().map(|row| row.group).chain([ALL_HOSTS.into(), ALL_NODES.into()]);
        let addresses: Vec<HardwareAddress> = addresses.map(hardware_address_of_group).collect();
        self.link.listen_only_to(addresses.into_iter());
        self.expire_groups(now);
        left
    }

    /// The groups that have been joined.
    pub(crate) fn groups(&self) -> impl Iterator<Item = GroupRow> {
        self.groups.rows().chain(self.groups6.rows())
    }

    pub(super) fn receive_igmp(&mut self, now: Instant, packet: &ReceivedPacket<'_>) {
        let counters = &mut self.interface.counters.igmp;
        counters.received += 1;
        let message = match igmp::parse(&packet.payload) {
            Ok(message) => message,
            Err(Malformed::TooShort) => {
                counters.too_short += 1;
                return;
            }
            Err(Malformed::Checksum) => {
                counters.bad_checksum += 1;
                return;
            }
        };
        match message {
            // RFC 3376 §9.1: a general query goes to all hosts; anything else may be forged from afar.
            Received::Query { group: None, .. } if packet.destination != IpAddr::V4(ALL_HOSTS) => {
                counters.misdirected_query += 1;
                return;
            }
            Received::Query { .. } => counters.queries_received += 1,
            Received::Report(_) => counters.reports_received += 1,
            Received::Other => counters.unknown_type += 1,
        }
        self.groups.receive(now, &message);
        self.expire_groups(now);
    }

    /// Sends what is due.
    pub(super) fn expire_groups(&mut self, now: Instant) {
        for message in self.groups.expire(now) {
            self.send_igmp(now, &message);
        }
        for message in self.groups6.expire(now) {
            self.send_mld(now, &message);
        }
    }

    fn send_igmp(&mut self, now: Instant, message: &Message<Ipv4Addr>) {
        let destination = IpAddr::V4(message.destination());
        let (mut header, records) = message.emit();
        let sent = self.source_for(destination).is_some_and(|source| {
            let packet = OutgoingPacket {
                source,
                destination,
                protocol: protocol::IGMP,
                hop_limit: HOP_LIMIT,
                traffic_class: TRAFFIC_CLASS,
                dont_fragment: false,
                header: &mut header,
                checksum_offset: igmp::CHECKSUM_OFFSET,
                payload: &[&records],
                segment_size: None,
            };
            self.interface.transmit(now, &packet, &igmp::ROUTER_ALERT, &mut self.egress, None).is_ok()
        });
        let counters = &mut self.interface.counters.igmp;
        if sent {
            counters.reports_sent += 1;
        } else {
            counters.not_sent += 1;
        }
    }
}
