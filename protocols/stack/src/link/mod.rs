//! The link layer: which frames are for this station, and what they carry.
//!
//! Responsible for taking a frame's header off, for the destination filter of a network adapter, and for building
//! headers. Not for what the frame carries, and not for the frame check sequence: the device keeps that to itself.

pub(crate) mod ethernet;
pub(crate) mod impair;

use crate::HardwareAddress;
use crate::counters::LinkCounters;
use ethernet::{EtherType, Header, Malformed};

/// One station on an Ethernet segment.
#[derive(Debug)]
pub(crate) struct Link {
    hardware_address: HardwareAddress,
    /// Group addresses that are listened to. A host joins few, so that a list is faster than a hash.
    groups: Vec<HardwareAddress>,
}

impl Link {
    /// A station that listens to its own address and to broadcasts.
    pub(crate) fn new(hardware_address: HardwareAddress) -> Self {
        Self { hardware_address, groups: Vec::new() }
    }

    /// Listens to a group address as well.
    pub(crate) fn listen(&mut self, group: HardwareAddress) {
        if !self.groups.contains(&group) {
            self.groups.push(group);
        }
    }

    /// Listens to these group addresses and to no other.
    pub(crate) fn listen_only_to(&mut self, groups: impl Iterator<Item = HardwareAddress>) {
        self.groups.clear();
        groups.for_each(|group| self.listen(group));
    }

    /// Takes the header off a frame. `None`, and counted, when the frame is not for us or nothing that we read.
    pub(crate) fn receive<'f>(&self, bytes: &'f [u8], counters: &mut LinkCounters) -> Option<(Header, &'f [u8])> {
        counters.received += 1;
        counters.octets_received += bytes.len() as u64;
        let (header, payload) = match ethernet::parse(bytes) {
            Ok(parts) => parts,
            Err(Malformed::TooShort) => {
                counters.too_short += 1;
                return None;
            }
            Err(Malformed::LengthField) => {
                counters.length_field += 1;
                return None;
            }
        };
        if header.source.is_multicast() {
            counters.group_source += 1;
            return None;
        }
        if header.source == self.hardware_address {
            counters.own_source += 1;
            return None;
        }
        if !self.accepts(header.destination) {
            counters.other_destination += 1;
            return None;
        }
        if matches!(header.ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN) {
            counters.vlan_tagged += 1;
            return None;
        }
        Some((header, payload))
    }

    /// The destination filter.
    fn accepts(&self, destination: HardwareAddress) -> bool {
        destination == self.hardware_address
            || destination == HardwareAddress::BROADCAST
            || (destination.is_multicast() && self.groups.contains(&destination))
    }
}

#[cfg(test)]
mod tests;
