//! What ARP packets bring about (RFC 826, RFC 5227).
//!
//! Responsible for answering requests, for telling the neighbour cache what was learnt, for sending the requests that
//! it wants, and for what conflict detection wants sent.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

use super::Network;
use super::arp::{self, Operation, Packet};
use super::conflict::{Action, AddressEvent, Heard};
use super::egress::Frame;
use super::neighbor::{Claim, Waiting};
use crate::{DeviceFull, FrameSink, HardwareAddress, Instant, Offload};

impl Network {
    /// Announces our addresses: once now, once more in two seconds.
    pub(crate) fn announce(&mut self, now: Instant) {
        self.claims.announce(now);
        self.expire_claims(now);
        self.announce_ipv6();
    }

    /// News of our addresses: conflicts, and their coming into use when others were asked before.
    pub(crate) fn next_address_event(&mut self) -> Option<AddressEvent> {
        self.claims.next_event().or_else(|| self.assignments.next_event())
    }

    /// Runs the timers of our claims to our addresses.
    pub(super) fn expire_claims(&mut self, now: Instant) {
        while let Some(action) = self.claims.expire(now) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Probe(address) => {
                let packet = self.request(Ipv4Addr::UNSPECIFIED, address);
                if self.queue(&packet, HardwareAddress::BROADCAST) {
                    self.interface.counters.arp.probes_sent += 1;
                }
            }
            Action::Announce(address) => {
                // RFC 5227 §2.3: a request in which both addresses are ours.
                let packet = self.request(address, address);
                if self.queue(&packet, HardwareAddress::BROADCAST) {
                    self.interface.counters.arp.announcements_sent += 1;
                }
            }
            Action::Changed => self.addresses_changed(),
        }
    }

    pub(super) fn receive_arp(&mut self, now: Instant, bytes: &[u8]) {
        let counters = &mut self.interface.counters.arp;
        counters.received += 1;
        let Some(packet) = arp::parse(bytes) else {
            counters.malformed += 1;
            return;
        };
        if let Operation::Other(_) = packet.operation {
            counters.unknown_operation += 1;
            return;
        }
        if packet.sender_hardware == self.interface.hardware_address {
            counters.own_echo += 1;
            return;
        }
        let probe = packet.sender == Ipv4Addr::UNSPECIFIED;
        let station = packet.sender_hardware;
        if station.is_multicast() || station == HardwareAddress::default() {
            counters.bad_sender += 1;
            return;
        }
        if let Heard::Conflict(action) = self.claims.hear(now, &packet) {
            self.interface.counters.arp.address_conflicts += 1;
            if let Some(action) = action {
                self.act(action);
            }
            return;
        }
        let for_us = self.is_own(packet.target.into());
        let request_for_us = for_us && packet.operation == Operation::Request;
        if !probe {
            self.learn(now, &packet, for_us);
        }
        if request_for_us {
            self.interface.counters.arp.requests_for_us += 1;
            let reply = Packet {
                operation: Operation::Reply,
                sender_hardware: self.interface.hardware_address,
                sender: packet.target,
                target_hardware: station,
                target: packet.sender,
            };
            if self.queue(&reply, station) {
                self.interface.counters.arp.replies_sent += 1;
            }
        }
    }

    /// RFC 826, Packet Reception: what is known is corrected; something new is added only when we are the target.
    fn learn(&mut self, now: Instant, packet: &Packet, for_us: bool) {
        let sender = IpAddr::V4(packet.sender);
        if !self.is_foreign_host(sender) || !self.interface.routes.is_on_link(sender) {
            self.interface.counters.arp.bad_sender += 1;
            return;
        }
        let claim = match packet.operation {
            Operation::Request if for_us => Claim::RequestForUs,
            Operation::Reply if for_us => Claim::Reply,
            _ => Claim::Overheard,
        };
        let counters = &mut self.interface.counters;
        let station = packet.sender_hardware;
        let released = self.interface.neighbors.learn(now, sender, station, claim, &mut counters.arp);
        self.release(released, station);
    }

    /// Packets that waited for a neighbour go to its hardware address.
    pub(super) fn release(&mut self, released: VecDeque<Waiting>, station: HardwareAddress) {
        for mut frame in released.into_iter().flatten() {
            if let Some(destination) = frame.octets.first_chunk_mut() {
                *destination = station.0;
            }
            if !self.egress.push(frame) {
                self.interface.counters.link.egress_overflow += 1;
            }
        }
    }

    /// Sends the requests that the neighbour cache wants.
    pub(super) fn send_requests(&mut self, device: &mut impl FrameSink) -> Result<(), DeviceFull> {
        while let Some(request) = self.interface.neighbors.next_request() {
            match (request.address, self.source_for(request.address)) {
                (IpAddr::V4(target), Some(IpAddr::V4(source))) => {
                    device.send(&self.request(source, target).frame(request.to), &[], Offload::default())?;
                    self.interface.counters.arp.requests_sent += 1;
                }
                (IpAddr::V6(target), Some(IpAddr::V6(source))) => {
                    device.send(&self.solicitation(source, target, request.to), &[], Offload::default())?;
                    self.interface.counters.ndp.solicitations_sent += 1;
                }
                _ => {}
            }
            self.interface.neighbors.request_sent();
        }
        Ok(())
    }

    fn request(&self, sender: Ipv4Addr, target: Ipv4Addr) -> Packet {
        Packet {
            operation: Operation::Request,
            sender_hardware: self.interface.hardware_address,
            sender,
            target_hardware: HardwareAddress::default(),
            target,
        }
    }

    fn queue(&mut self, packet: &Packet, destination: HardwareAddress) -> bool {
        let frame = Frame { octets: packet.frame(destination).to_vec(), offload: Offload::default() };
        let room = self.egress.push(frame);
        if !room {
            self.interface.counters.link.egress_overflow += 1;
        }
        room
    }
}
