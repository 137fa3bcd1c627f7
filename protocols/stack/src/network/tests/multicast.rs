use super::*;
use crate::net::JoinError;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 129, 2, 3);
/// A group with the same hardware address.
const TWIN: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

fn group_frame(destination: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ipv4_frame(&ipv4::Header { destination, ..header(protocol, payload.len()) }, payload);
    bytes[..6].copy_from_slice(&hardware_address_of_group(destination.into()).0);
    bytes
}

fn igmp(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let sum = checksum::checksum(&bytes).to_be_bytes();
    bytes[2..4].copy_from_slice(&sum);
    bytes
}

#[test]
fn a_joined_group_is_heard_and_no_other() {
    let mut network = network();
    let bytes = group_frame(GROUP, 17, b"data");
    assert!(receive(&mut network, 0, &bytes).is_none());
    assert_eq!(network.join(at(0), GROUP.into()), Ok(()));
    assert!(receive(&mut network, 0, &bytes).is_some());
    // The link cannot tell its twin from it; the network layer can.
    let twin = group_frame(TWIN, 17, b"data");
    assert!(receive(&mut network, 0, &twin).is_none());
    assert_eq!(network.counters().ip.other_destination, 1);
    assert_eq!(network.join(at(0), TWIN.into()), Ok(()));
    assert_eq!(network.groups().count(), 2);
    assert!(network.leave(at(0), GROUP.into()));
    assert!(receive(&mut network, 0, &twin).is_some());
    assert!(network.leave(at(0), TWIN.into()));
    assert!(receive(&mut network, 0, &twin).is_none());
    assert_eq!(network.counters().link.other_destination, 2);
    assert_eq!(network.join(at(0), OWN.into()), Err(JoinError::NotAGroup(OWN.into())));
}

#[test]
fn a_report_goes_to_routers_with_the_router_alert() {
    // RFC 3376 §4.
    let mut network = network();
    assert_eq!(network.join(at(0), GROUP.into()), Ok(()));
    let frames = flush(&mut network);
    let packet = ipv4::parse(&frames[0][14..]).unwrap();
    assert_eq!(frames[0][..6], [1, 0, 0x5e, 0, 0, 22]);
    assert_eq!((packet.header.source, packet.header.destination), (OWN, Ipv4Addr::new(224, 0, 0, 22)));
    assert_eq!((packet.header.time_to_live, packet.header.protocol), (1, 2));
    assert_eq!(packet.header_octets[20..], [148, 4, 0, 0]);
    assert_eq!(checksum::checksum(packet.payload), 0);
    assert_eq!(packet.payload[8..], [4, 0, 0, 0, 239, 129, 2, 3]);
    while let Some(deadline) = network.next_deadline() {
        network.expire(deadline);
    }
    assert_eq!(flush(&mut network).len(), 1);
    assert_eq!(network.counters().igmp.reports_sent, 2);
}

#[test]
fn each_message_has_its_counter() {
    let mut network = network();
    assert_eq!(network.join(at(0), GROUP.into()), Ok(()));
    let all_hosts = Ipv4Addr::new(224, 0, 0, 1);
    for (destination, message) in [
        (all_hosts, vec![0x11, 1, 0]),
        (all_hosts, vec![0x11, 0, 0, 0, 0, 0, 0, 0]),
        (GROUP, igmp(&[0x11, 1, 0, 0, 0, 0, 0, 0])),
        (all_hosts, igmp(&[0x11, 1, 0, 0, 0, 0, 0, 0])),
        (GROUP, igmp(&[0x16, 0, 0, 0, 239, 129, 2, 3])),
        (all_hosts, igmp(&[0x99, 0, 0, 0, 0, 0, 0, 0])),
    ] {
        assert!(receive(&mut network, 0, &group_frame(destination, 2, &message)).is_none());
    }
    let igmp = network.counters().igmp;
    assert_eq!((igmp.received, igmp.queries_received, igmp.reports_received), (6, 1, 1));
    assert_eq!((igmp.too_short, igmp.bad_checksum, igmp.misdirected_query, igmp.unknown_type), (1, 1, 1, 1));
    // Without an address there is nothing to send from.
    let mut network = Network::new(&Configuration { addresses: vec![], ..configuration() }, [7; 32], at(0));
    assert_eq!(network.join(at(0), GROUP.into()), Ok(()));
    assert_eq!(network.counters().igmp.not_sent, 1);
}
