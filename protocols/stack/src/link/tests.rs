use super::ethernet::{EtherType, Header};
use super::*;

const OWN: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 1]);
const PEER: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 2]);
const GROUP: HardwareAddress = HardwareAddress([1, 0, 0x5e, 0, 0, 1]);

fn frame(destination: HardwareAddress, source: HardwareAddress, ether_type: u16) -> Vec<u8> {
    let mut frame = Header { destination, source, ether_type: EtherType(ether_type) }.emit().to_vec();
    frame.extend_from_slice(b"payload");
    frame
}

#[test]
fn a_header_survives_the_round_trip() {
    let header = Header { destination: PEER, source: OWN, ether_type: EtherType::ARP };
    assert_eq!(ethernet::parse(&header.emit()), Ok((header, &[][..])));
}

#[test]
fn own_broadcast_and_joined_group_addresses_are_accepted() {
    let mut link = Link::new(OWN);
    let mut counters = LinkCounters::default();
    for destination in [OWN, HardwareAddress::BROADCAST] {
        assert!(link.receive(&frame(destination, PEER, 0x0800), &mut counters).is_some());
    }
    assert!(link.receive(&frame(GROUP, PEER, 0x0800), &mut counters).is_none());
    assert_eq!(counters.other_destination, 1);
    link.listen(GROUP);
    let bytes = frame(GROUP, PEER, 0x0800);
    let (_, payload) = link.receive(&bytes, &mut counters).unwrap();
    assert_eq!(payload, b"payload");
    assert_eq!(counters.received, 4);
}

#[test]
fn each_discard_has_its_counter() {
    let link = Link::new(OWN);
    let mut counters = LinkCounters::default();
    for bytes in [
        vec![0; 13],
        frame(OWN, PEER, 0x05ff),
        frame(OWN, GROUP, 0x0800),
        frame(OWN, OWN, 0x0800),
        frame(PEER, HardwareAddress([2, 0, 0, 0, 0, 3]), 0x0800),
        frame(OWN, PEER, 0x8100),
        frame(OWN, PEER, 0x88a8),
    ] {
        assert!(link.receive(&bytes, &mut counters).is_none());
    }
    assert_eq!(counters.too_short, 1);
    assert_eq!(counters.length_field, 1);
    assert_eq!(counters.group_source, 1);
    assert_eq!(counters.own_source, 1);
    assert_eq!(counters.other_destination, 1);
    assert_eq!(counters.vlan_tagged, 2);
}
