//! What ARP packets bring about (RFC 826), and our own announcements (RFC 5227 §2.3).
//!
//! Responsible for answering requests, for telling the neighbour cache what was learnt, for sending the requests that
//! it wants, and for noticing that another station has one of our addresses.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::arp::{self, Operation, Packet};
use super::egress::Frame;
use super::neighbor::Claim;
use super::{Network, address};
use crate::{DeviceFull, FrameSink, HardwareAddress, Instant, Offload};

/// How often addresses are announced, and how far apart (RFC 5227 §1.1: ANNOUNCE_NUM, ANNOUNCE_INTERVAL).
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCEMENT_INTERVAL: Duration = Duration::from_secs(2);

/// Announcements that are still to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcement {
    /// How many.
    left: u8,
    /// When the next one is due.
    pub(super) next: Instant,
}

impl Network {
    /// Announces our addresses: once now, once more in two seconds.
    pub(crate) fn announce(&mut self, now: Instant) {
        self.announcement = Some(Announcement { left: ANNOUNCEMENTS, next: now });
        self.continue_announcement(now);
    }

    pub(super) fn continue_announcement(&mut self, now: Instant) {
        let Some(announcement) = self.announcement.filter(|announcement| announcement.next <= now) else { return };
        for address in self.own_ipv4() {
            // RFC 5227 §2.3: a request in which both addresses are ours.
            let packet = self.request(address, address);
            if self.queue(&packet, HardwareAddress::BROADCAST) {
                self.interface.counters.arp.announcements_sent += 1;
            }
        }
        let left = announcement.left - 1;
        self.announcement = (left > 0).then_some(Announcement { left, next: now + ANNOUNCEMENT_INTERVAL });
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
        if self.is_own(packet.sender.into()) {
            self.interface.counters.arp.address_conflicts += 1;
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
        for mut frame in released.into_iter().flatten() {
            if let Some(destination) = frame.octets.first_chunk_mut() {
                *destination = station.0;
            }
            if !self.egress.push(frame) {
                counters.link.egress_overflow += 1;
            }
        }
    }

    /// Sends the requests that the neighbour cache wants.
    pub(super) fn send_requests(&mut self, device: &mut impl FrameSink) -> Result<(), DeviceFull> {
        while let Some(request) = self.interface.neighbors.next_request() {
            if let (IpAddr::V4(target), Some(IpAddr::V4(source))) = (request.address, self.source_for(request.address))
            {
                device.send(&self.request(source, target).frame(request.to), &[], Offload::default())?;
                self.interface.counters.arp.requests_sent += 1;
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

    fn own_ipv4(&self) -> Vec<Ipv4Addr> {
        let ipv4 = |&(own, _): &(IpAddr, u8)| if let IpAddr::V4(own) = own { Some(own) } else { None };
        self.addresses().iter().filter_map(ipv4).filter(|&own| address::is_unicast(own)).collect()
    }
}
