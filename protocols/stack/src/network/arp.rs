//! ARP packets for Ethernet and IPv4 (RFC 826).
//!
//! Responsible for the packet's octets. Not for what follows from one: see [`resolution`](super::resolution).

use std::net::Ipv4Addr;

use crate::HardwareAddress;
use crate::link::ethernet::{self, EtherType};

/// Octets of a packet.
pub(crate) const LENGTH: usize = 28;

/// Octets of a packet with its Ethernet header.
pub(crate) const FRAME_LENGTH: usize = ethernet::HEADER_LENGTH + LENGTH;

/// Hardware type Ethernet, protocol type IPv4, and the lengths of their addresses.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// What a packet is for (`ar$op`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender's address.
    Reply,
    /// Anything else, such as RARP's.
    Other(u16),
}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// What it is for.
    pub(crate) operation: Operation,
    /// The sender's hardware address (`ar$sha`).
    pub(crate) sender_hardware: HardwareAddress,
    /// The sender's address (`ar$spa`); 0.0.0.0 in a probe (RFC 5227 §1.1).
    pub(crate) sender: Ipv4Addr,
    /// The target's hardware address (`ar$tha`), unknown in a request.
    pub(crate) target_hardware: HardwareAddress,
    /// The target's address (`ar$tpa`).
    pub(crate) target: Ipv4Addr,
}

/// Reads a packet; `None` when it is too short or about other kinds of address. Padding behind it is ignored.
pub(crate) fn parse(bytes: &[u8]) -> Option<Packet> {
    let (kinds, rest) = bytes.split_first_chunk::<6>()?;
    if *kinds != ETHERNET_IPV4 {
        return None;
    }
    let (operation, rest) = rest.split_first_chunk::<2>()?;
    let (sender_hardware, rest) = rest.split_first_chunk::<6>()?;
    let (sender, rest) = rest.split_first_chunk::<4>()?;
    let (target_hardware, rest) = rest.split_first_chunk::<6>()?;
    let (target, _) = rest.split_first_chunk::<4>()?;
    Some(Packet {
        operation: match u16::from_be_bytes(*operation) {
            1 => Operation::Request,
            2 => Operation::Reply,
            other => Operation::Other(other),
        },
        sender_hardware: HardwareAddress(*sender_hardware),
        sender: Ipv4Addr::from(*sender),
        target_hardware: HardwareAddress(*target_hardware),
        target: Ipv4Addr::from(*target),
    })
}

impl Packet {
    /// The whole frame that carries the packet.
    pub(crate) fn frame(&self, destination: HardwareAddress) -> [u8; FRAME_LENGTH] {
        let header = ethernet::Header { destination, source: self.sender_hardware, ether_type: EtherType::ARP };
        let operation = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
            Operation::Other(other) => other,
        };
        let mut frame = [0; FRAME_LENGTH];
        frame[..14].copy_from_slice(&header.emit());
        frame[14..20].copy_from_slice(&ETHERNET_IPV4);
        frame[20..22].copy_from_slice(&u16::to_be_bytes(operation));
        frame[22..28].copy_from_slice(&self.sender_hardware.0);
        frame[28..32].copy_from_slice(&self.sender.octets());
        frame[32..38].copy_from_slice(&self.target_hardware.0);
        frame[38..].copy_from_slice(&self.target.octets());
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_packet_survives_the_round_trip(
            operation in any::<u16>(), hardware in any::<[[u8; 6]; 2]>(), addresses in any::<[[u8; 4]; 2]>()
        ) {
            let operation = match operation {
                1 => Operation::Request,
                2 => Operation::Reply,
                other => Operation::Other(other),
            };
            let packet = Packet {
                operation,
                sender_hardware: HardwareAddress(hardware[0]),
                sender: addresses[0].into(),
                target_hardware: HardwareAddress(hardware[1]),
                target: addresses[1].into(),
            };
            let frame = packet.frame(HardwareAddress::BROADCAST);
            let (header, payload) = ethernet::parse(&frame).unwrap();
            prop_assert_eq!(header.ether_type, EtherType::ARP);
            prop_assert_eq!(parse(payload), Some(packet));
        }

        #[test]
        fn any_octets_parse_or_not_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn other_kinds_of_address_and_short_packets_are_refused() {
        let packet = Packet {
            operation: Operation::Request,
            sender_hardware: HardwareAddress([2; 6]),
            sender: Ipv4Addr::new(192, 0, 2, 1),
            target_hardware: HardwareAddress::default(),
            target: Ipv4Addr::new(192, 0, 2, 2),
        };
        let frame = packet.frame(HardwareAddress::BROADCAST);
        let payload = &frame[14..];
        assert!(parse(payload).is_some());
        assert!(parse(&payload[..27]).is_none());
        for octet in 0..6 {
            let mut changed = payload.to_vec();
            changed[octet] ^= 1;
            assert!(parse(&changed).is_none());
        }
    }
}
