//! What neighbour discovery messages bring about (RFC 4861 §7, RFC 4862 §5.4).
//!
//! Responsible for answering solicitations, for telling the neighbour cache what was learnt, for the solicitations that
//! it wants, and for what duplicate address detection wants sent. Routers are configured here: what they advertise and
//! where they redirect to is counted, no more.

use std::net::{IpAddr, Ipv6Addr};

use super::Network;
use super::address::{ALL_NODES, ALL_ROUTERS, is_unicast6, solicited_node};
use super::assignment::{Action, Conflict};
use super::checksum::Sum;
use super::egress::Frame;
use super::icmpv6;
use super::ndp::{self, Advertisement, Message};
use super::neighbor::Claim;
use super::route::hardware_address_of_group;
use super::{ipv6, protocol};
use crate::link::ethernet::{EtherType, Header};
use crate::packet::ReceivedPacket;
use crate::{HardwareAddress, Instant, Offload};

impl Network {
    /// Listens for those who look for our addresses.
    pub(super) fn join_solicited_nodes(&mut self, now: Instant) {
        let groups: Vec<Ipv6Addr> = self.assignments.addresses().map(solicited_node).collect();
        for group in groups {
            // The capacity has been made for them.
            if self.groups6.join(now, group).is_ok() {
                self.link.listen(hardware_address_of_group(group.into()));
            }
        }
        self.expire_groups(now);
    }

    /// Tells everybody our IPv6 addresses (RFC 4861 §7.2.6), as when the link has come back.
    pub(super) fn announce_ipv6(&mut self) {
        let addresses: Vec<(IpAddr, u8)> = self.assignments.in_use();
        for (address, _) in addresses {
            if let IpAddr::V6(address) = address {
                self.advertise(address, (ALL_NODES, hardware_address_of_group(ALL_NODES.into())), false, true);
            }
        }
    }

    /// Runs the timers of duplicate address detection.
    pub(super) fn expire_assignments(&mut self, now: Instant) {
        while let Some(action) = self.assignments.expire(now) {
            match action {
                Action::Probe(address) => {
                    // RFC 4862 §5.4.2: from nobody, and without our hardware address.
                    let group = solicited_node(address);
                    let message = ndp::neighbor_solicitation(address, None);
                    let to = hardware_address_of_group(group.into());
                    let frame = self.ndp_frame((Ipv6Addr::UNSPECIFIED, group), to, &message);
                    if self.queue_frame(frame) {
                        self.interface.counters.ndp.probes_sent += 1;
                    }
                }
                Action::Assigned(address) => {
                    self.addresses_changed();
                    // RFC 9131 §4.1: routers know us before their first packet comes back.
                    let to = (ALL_ROUTERS, hardware_address_of_group(ALL_ROUTERS.into()));
                    self.advertise(address, to, false, false);
                }
            }
        }
    }

    /// Takes a message in.
    pub(super) fn receive_ndp(&mut self, now: Instant, packet: &ReceivedPacket<'_>, hop_limit: u8, fragmented: bool) {
        let counters = &mut self.interface.counters.ndp;
        counters.received += 1;
        if hop_limit != ndp::HOP_LIMIT {
            counters.bad_hop_limit += 1;
            return;
        }
        if fragmented {
            counters.fragmented += 1;
            return;
        }
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (packet.source, packet.destination) else { return };
        match ndp::parse(&packet.payload) {
            None => counters.malformed += 1,
            Some(Message::RouterSolicitation) => counters.router_solicitation += 1,
            Some(Message::RouterAdvertisement) => counters.router_advertisement += 1,
            Some(Message::Redirect) => counters.redirect += 1,
            Some(Message::NeighborSolicitation { target, source: hardware_address }) => {
                let from = (source, destination, packet.link_source);
                self.receive_solicitation(now, from, target, hardware_address);
            }
            Some(Message::NeighborAdvertisement(advertisement)) => {
                if (advertisement.solicited && packet.group) || source.is_unspecified() {
                    counters.malformed += 1;
                } else {
                    self.receive_advertisement(now, packet.link_source, &advertisement);
                }
            }
        }
    }

    /// RFC 4861 §7.1.1 and §7.2.3, RFC 4862 §5.4.3.
    fn receive_solicitation(
        &mut self,
        now: Instant,
        (source, destination, station): (Ipv6Addr, Ipv6Addr, HardwareAddress),
        target: Ipv6Addr,
        hardware_address: Option<HardwareAddress>,
    ) {
        let detects_duplicates = source.is_unspecified();
        if detects_duplicates && (destination != solicited_node(target) || hardware_address.is_some()) {
            self.interface.counters.ndp.malformed += 1;
            return;
        }
        if self.assignments.is_tentative(target) && detects_duplicates {
            // Another station wants the address at the same time.
            self.take_conflict(now, target, station);
            return;
        }
        if !self.is_own(target.into()) {
            self.interface.counters.ndp.other_target += 1;
            return;
        }
        self.interface.counters.ndp.solicitations_for_us += 1;
        if let Some(hardware_address) = hardware_address
            && self.is_neighbor(source)
        {
            let counters = &mut self.interface.counters.arp;
            let claim = Claim::RequestForUs;
            let released = self.interface.neighbors.learn(now, source.into(), hardware_address, claim, counters);
            self.release(released, hardware_address);
        }
        // RFC 4861 §7.2.4: whoever has no address hears the answer as everybody.
        let to = if detects_duplicates {
            (ALL_NODES, hardware_address_of_group(ALL_NODES.into()))
        } else {
            (source, hardware_address.unwrap_or(station))
        };
        self.advertise(target, to, !detects_duplicates, true);
    }

    /// RFC 4861 §7.2.5, RFC 4862 §5.4.4.
    fn receive_advertisement(&mut self, now: Instant, station: HardwareAddress, advertisement: &Advertisement) {
        if self.take_conflict(now, advertisement.target, station) {
            return;
        }
        let counters = &mut self.interface.counters;
        match self.interface.neighbors.advertised(now, advertisement, &mut counters.arp) {
            Some((hardware_address, released)) => self.release(released, hardware_address),
            None => counters.ndp.unsolicited += 1,
        }
    }

    /// Another station has an address; whether it is one of ours.
    fn take_conflict(&mut self, now: Instant, address: Ipv6Addr, station: HardwareAddress) -> bool {
        let conflict = self.assignments.conflict(now, address, station);
        if conflict == Conflict::None {
            return false;
        }
        self.interface.counters.ndp.address_conflicts += 1;
        if conflict == Conflict::GivenUp {
            self.leave(now, solicited_node(address).into());
        }
        true
    }

    /// Whether an address is that of another station on the link.
    fn is_neighbor(&self, address: Ipv6Addr) -> bool {
        is_unicast6(address) && !self.is_own(address.into()) && self.interface.routes.is_on_link(address.into())
    }

    /// A solicitation that the neighbour cache wants sent: to the group of those who may be meant, or, to find out
    /// whether it is still there, to the neighbour itself (RFC 4861 §7.2.2, §7.3.3).
    pub(super) fn solicitation(&self, source: Ipv6Addr, target: Ipv6Addr, to: HardwareAddress) -> Vec<u8> {
        let message = ndp::neighbor_solicitation(target, Some(self.interface.hardware_address));
        if to == HardwareAddress::BROADCAST {
            let group = solicited_node(target);
            self.ndp_frame((source, group), hardware_address_of_group(group.into()), &message)
        } else {
            self.ndp_frame((source, target), to, &message)
        }
    }

    fn advertise(&mut self, own: Ipv6Addr, to: (Ipv6Addr, HardwareAddress), solicited: bool, overrides: bool) {
        let message = ndp::neighbor_advertisement(&Advertisement {
            target: own,
            hardware_address: Some(self.interface.hardware_address),
            router: false,
            solicited,
            overrides,
        });
        let frame = self.ndp_frame((own, to.0), to.1, &message);
        if self.queue_frame(frame) {
            self.interface.counters.ndp.advertisements_sent += 1;
        }
    }

    /// A whole frame with a message of neighbour discovery. Resolving an address for it would go round in circles.
    fn ndp_frame(&self, (source, destination): (Ipv6Addr, Ipv6Addr), to: HardwareAddress, message: &[u8]) -> Vec<u8> {
        let link = Header { destination: to, source: self.interface.hardware_address, ether_type: EtherType::IPV6 };
        let header = ipv6::Header {
            traffic_class: 0,
            flow_label: 0,
            payload_length: message.len(),
            next_header: protocol::ICMPV6,
            hop_limit: ndp::HOP_LIMIT,
            source,
            destination,
        };
        let mut sum = Sum::pseudo_header(source.into(), destination.into(), protocol::ICMPV6, message.len());
        sum.add(message);
        let mut frame = Vec::with_capacity(link.emit().len() + ipv6::HEADER_LENGTH + message.len());
        frame.extend_from_slice(&link.emit());
        frame.extend_from_slice(&header.emit());
        let checksum = frame.len() + icmpv6::CHECKSUM_OFFSET;
        frame.extend_from_slice(message);
        if let Some(place) = frame.get_mut(checksum..checksum + 2) {
            place.copy_from_slice(&sum.checksum().to_be_bytes());
        }
        frame
    }

    fn queue_frame(&mut self, octets: Vec<u8>) -> bool {
        let room = self.egress.push(Frame { octets, offload: Offload::default() });
        if !room {
            self.interface.counters.link.egress_overflow += 1;
        }
        room
    }
}
