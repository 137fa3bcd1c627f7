//! Tests of the network layer as a whole: frames in, frames out.

mod flood;
mod icmp;
mod input;
mod multicast;
mod resolution;
mod version6;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;

use super::arp::{Operation, Packet};
use super::wire::Wire;
use super::*;
use crate::ReceivedFrame;
use crate::link::ethernet::{EtherType, Header};
use crate::packet::{OutgoingPacket, PacketSink, SendFailure};

pub(super) const OWN_MAC: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 1]);
pub(super) const PEER_MAC: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 2]);
pub(super) const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(super) const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A moment so many milliseconds after the start.
pub(super) fn at(milliseconds: u64) -> Instant {
    Instant::START + Duration::from_millis(milliseconds)
}

pub(super) fn configuration() -> Configuration {
    Configuration {
        hardware_address: OWN_MAC,
        addresses: vec![(OWN.into(), 24)],
        gateways: vec![Ipv4Addr::new(192, 0, 2, 254).into()],
        announce: false,
        ..Configuration::default()
    }
}

pub(super) fn network() -> Network {
    Network::new(&configuration(), [7; 32], Instant::START)
}

/// A network that knows the peer's hardware address.
pub(super) fn acquainted(configuration: &Configuration) -> Network {
    let mut network = Network::new(configuration, [7; 32], Instant::START);
    assert!(receive(&mut network, 0, &arp_request(PEER_MAC, PEER, OWN)).is_none());
    assert_eq!(flush(&mut network).len(), 1);
    network
}

pub(super) fn receive<'f>(network: &mut Network, milliseconds: u64, frame: &'f [u8]) -> Option<Upward<'f>> {
    network.receive(at(milliseconds), &ReceivedFrame::plain(frame))
}

/// What the network has to send.
pub(super) fn flush(network: &mut Network) -> Vec<Vec<u8>> {
    let mut wire = Wire::default();
    network.flush(&mut wire).unwrap();
    wire.take()
}

pub(super) fn arp_request(mac: HardwareAddress, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let packet = Packet {
        operation: Operation::Request,
        sender_hardware: mac,
        sender,
        target_hardware: HardwareAddress::default(),
        target,
    };
    packet.frame(HardwareAddress::BROADCAST).to_vec()
}

pub(super) fn arp_reply(mac: HardwareAddress, sender: Ipv4Addr) -> Vec<u8> {
    let packet =
        Packet { operation: Operation::Reply, sender_hardware: mac, sender, target_hardware: OWN_MAC, target: OWN };
    packet.frame(OWN_MAC).to_vec()
}

pub(super) fn header(protocol: u8, length: usize) -> ipv4::Header {
    ipv4::Header {
        header_length: 20,
        total_length: 20 + length,
        traffic_class: 0,
        identification: 99,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        time_to_live: 64,
        protocol,
        source: PEER,
        destination: OWN,
    }
}

pub(super) fn ipv4_frame(header: &ipv4::Header, payload: &[u8]) -> Vec<u8> {
    let link = Header { destination: OWN_MAC, source: PEER_MAC, ether_type: EtherType::IPV4 };
    [&link.emit()[..], &header.emit(&[]), payload].concat()
}

/// A packet from the peer to us.
pub(super) fn frame(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_frame(&header(protocol, payload.len()), payload)
}

/// An ICMP message with its checksum.
pub(super) fn icmp_message(kind: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut message = [&super::icmp::header(kind, code, rest)[..], data].concat();
    let sum = checksum::checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    message
}

/// Sends a packet with a UDP-like header and these data.
pub(super) fn send(
    network: &mut Network,
    milliseconds: u64,
    wire: &mut Wire,
    destination: impl Into<IpAddr>,
    data: &[u8],
) -> Result<(), SendFailure> {
    network.output(at(milliseconds), wire).send(OutgoingPacket {
        source: OWN.into(),
        destination: destination.into(),
        protocol: protocol::UDP,
        hop_limit: 64,
        traffic_class: 0,
        dont_fragment: false,
        header: &mut [0, 7, 0, 9, 0, 0, 0, 0],
        checksum_offset: 6,
        payload: &[data],
        segment_size: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_octets_as_a_frame_never_panic(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8)
    ) {
        let mut network = network();
        for frame in &frames {
            let _ = receive(&mut network, 0, frame);
        }
    }

    #[test]
    fn a_valid_frame_with_some_octets_changed_never_panics(
        which in 0usize..5, changes in proptest::collection::vec((0usize..200, any::<u8>()), 1..6), fix in any::<bool>()
    ) {
        let fragment = ipv4::Header { more_fragments: true, fragment_offset: 16, ..header(17, 64) };
        let quoted = [&header(17, 8).emit(&[])[..], &[0; 8]].concat();
        let mut bytes = match which {
            0 => arp_request(PEER_MAC, PEER, OWN),
            1 => frame(protocol::ICMP, &icmp_message(8, 0, [0; 4], &[1; 40])),
            2 => ipv4_frame(&fragment, &[5; 64]),
            3 => frame(protocol::ICMP, &icmp_message(3, 4, [0, 0, 5, 0], &quoted)),
            _ => frame(protocol::UDP, &[0; 64]),
        };
        for (place, value) in changes {
            let length = bytes.len();
            bytes[place % length] = value;
        }
        // With the header's checksum put right, the changes reach deeper.
        if fix && which != 0 {
            let end = 14 + usize::from(bytes[14] & 15) * 4;
            if (34..=bytes.len()).contains(&end) {
                bytes[24..26].fill(0);
                let sum = checksum::checksum(&bytes[14..end]).to_be_bytes();
                bytes[24..26].copy_from_slice(&sum);
            }
        }
        let mut network = network();
        let _ = receive(&mut network, 0, &bytes);
        network.expire(at(60_000));
        let _ = flush(&mut network);
    }
}
