//! IPv6: frames in, frames out.

mod input;
mod neighbors;

use std::net::Ipv6Addr;

use super::*;
use crate::network::extension::FragmentHeader;

pub(super) const OWN6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
pub(super) const PEER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
pub(super) const PEER_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// What the own hardware address makes.
pub(super) const OWN_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);

/// Without duplicate address detection.
pub(super) fn configuration6() -> Configuration {
    Configuration {
        addresses: vec![(OWN.into(), 24), (OWN6.into(), 64)],
        gateways: vec![Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xfe).into()],
        duplicate_address_detection: 0,
        ..configuration()
    }
}

/// A network that has told its groups already.
pub(super) fn network6() -> Network {
    quiet(&configuration6())
}

fn quiet(configuration: &Configuration) -> Network {
    let mut network = Network::new(configuration, [7; 32], Instant::START);
    while let Some(deadline) = network.next_deadline() {
        network.expire(deadline);
    }
    flush(&mut network);
    network
}

/// A network that knows the peer's hardware address.
pub(super) fn acquainted6() -> Network {
    let mut network = network6();
    let solicitation = ndp::neighbor_solicitation(OWN6, Some(PEER_MAC));
    assert!(receive(&mut network, 0, &icmp6(PEER6, OWN6, 255, &solicitation)).is_none());
    assert_eq!(flush(&mut network).len(), 1);
    network
}

pub(super) fn header6(next_header: u8, length: usize) -> ipv6::Header {
    ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_length: length,
        next_header,
        hop_limit: 64,
        source: PEER6,
        destination: OWN6,
    }
}

/// A frame from the peer, to the group's hardware address if the destination is one.
pub(super) fn ipv6_frame(header: &ipv6::Header, payload: &[u8]) -> Vec<u8> {
    let group = header.destination.is_multicast();
    let destination = if group { hardware_address_of_group(header.destination.into()) } else { OWN_MAC };
    let link = Header { destination, source: PEER_MAC, ether_type: EtherType::IPV6 };
    [&link.emit()[..], &header.emit(), payload].concat()
}

/// A packet from the peer to us.
pub(super) fn frame6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    ipv6_frame(&header6(next_header, payload.len()), payload)
}

/// A message with its checksum.
fn checked(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    message[2..4].fill(0);
    let mut sum = checksum::Sum::pseudo_header(source.into(), destination.into(), 58, message.len());
    sum.add(&message);
    message[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
    message
}

/// An ICMPv6 message in a frame.
pub(super) fn icmp6(source: Ipv6Addr, destination: Ipv6Addr, hop_limit: u8, message: &[u8]) -> Vec<u8> {
    let message = checked(source, destination, message);
    let header = ipv6::Header { source, destination, hop_limit, ..header6(58, message.len()) };
    ipv6_frame(&header, &message)
}

/// An echo request with these data.
pub(super) fn echo(data: &[u8]) -> Vec<u8> {
    [&[128, 0, 0, 0, 1, 2, 3, 4][..], data].concat()
}

/// A sent frame's header and ICMPv6 message, of which the checksum is right.
pub(super) fn message_of(frame: &[u8]) -> (ipv6::Header, &[u8]) {
    assert_eq!(frame[12..14], [0x86, 0xdd]);
    let packet = ipv6::parse(&frame[14..]).unwrap();
    assert_eq!(packet.header.next_header, 58);
    let message = &packet.octets[40..];
    let (source, destination) = (packet.header.source, packet.header.destination);
    assert_eq!(checked(source, destination, message), message, "the checksum");
    (packet.header, message)
}

/// The frames of a packet in fragments of so many octets of data.
pub(super) fn fragments(next_header: u8, data: &[u8], step: usize, identification: u32) -> Vec<Vec<u8>> {
    let part = |at: usize| {
        let end = data.len().min(at + step);
        let header = FragmentHeader { next_header, offset: at, more: end < data.len(), identification };
        frame6(44, &[&header.emit()[..], &data[at..end]].concat())
    };
    (0..data.len()).step_by(step).map(part).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_octets_behind_an_ipv6_header_never_panic(
        next in prop::sample::select(vec![0u8, 6, 17, 43, 44, 58, 59, 60, 99]),
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..6),
        hop_limit in prop::sample::select(vec![1u8, 64, 255]),
        destination in prop::sample::select(vec![OWN6, OWN_LOCAL, address::ALL_NODES, address::solicited_node(OWN6)]),
        checksum_valid in any::<bool>(),
    ) {
        let mut network = acquainted6();
        for payload in &payloads {
            let header = ipv6::Header { hop_limit, destination, ..header6(next, payload.len()) };
            let bytes = ipv6_frame(&header, payload);
            let frame = ReceivedFrame { bytes: &bytes, transport_checksum_valid: checksum_valid, segment_size: None };
            let _ = network.receive(at(0), &frame);
        }
        network.expire(at(120_000));
        let _ = flush(&mut network);
    }

    #[test]
    fn a_valid_ipv6_frame_with_some_octets_changed_never_panics(
        which in 0usize..5, changes in proptest::collection::vec((0usize..200, any::<u8>()), 1..6)
    ) {
        let quoted = [&header6(6, 1460).emit()[..], &[0; 20]].concat();
        let mut bytes = match which {
            0 => icmp6(PEER6, address::solicited_node(OWN6), 255, &ndp::neighbor_solicitation(OWN6, Some(PEER_MAC))),
            1 => icmp6(PEER6, OWN6, 64, &echo(&[1; 40])),
            2 => fragments(17, &[5; 64], 16, 1).remove(1),
            3 => icmp6(PEER6, OWN6, 64, &[&[2, 0, 0, 0, 0, 0, 5, 0][..], &quoted].concat()),
            _ => frame6(60, &[17, 0, 1, 4, 0, 0, 0, 0, 0, 7, 0, 9, 0, 8, 0, 0]),
        };
        for (place, value) in changes {
            let length = bytes.len();
            bytes[place % length] = value;
        }
        let mut network = acquainted6();
        let frame = ReceivedFrame { bytes: &bytes, transport_checksum_valid: true, segment_size: None };
        let _ = network.receive(at(0), &frame);
        network.expire(at(120_000));
        let _ = flush(&mut network);
    }

    #[test]
    fn fragments_in_any_order_and_twice_give_the_original(
        data in proptest::collection::vec(any::<u8>(), 24..3000), units in 1usize..60, swap in any::<u64>()
    ) {
        let mut frames = fragments(17, &data, (units * 8).max(8), 7);
        let count = frames.len();
        let mut state = swap;
        for at in (1..count).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            frames.swap(at, (state >> 33) as usize % (at + 1));
        }
        let mut network = network6();
        let mut whole = None;
        for (at, bytes) in frames.iter().enumerate() {
            if at + 1 < count {
                prop_assert!(receive(&mut network, 0, bytes).is_none());
                prop_assert!(receive(&mut network, 0, bytes).is_none(), "a duplicate");
            } else if let Some(Upward::Packet(packet)) = receive(&mut network, 0, bytes) {
                whole = Some(packet.payload.to_vec());
            }
        }
        prop_assert_eq!(whole, Some(data));
    }

    #[test]
    fn a_flood_of_fragments_takes_bounded_memory(
        parts in proptest::collection::vec((0usize..100, any::<u32>(), 8usize..1400), 1..80)
    ) {
        let limits = crate::net::ReassemblyLimits { memory: 20_000, ..Configuration::default().reassembly };
        let mut network = quiet(&Configuration { reassembly: limits, ..configuration6() });
        for (unit, identification, length) in parts {
            let header = FragmentHeader { next_header: 17, offset: unit * 8, more: true, identification };
            let data = vec![0; length & !7];
            let _ = receive(&mut network, 0, &frame6(44, &[&header.emit()[..], &data].concat()));
            prop_assert!(network.reassembly.memory() <= 20_000);
        }
    }
}
