use super::*;
use crate::net::{AddressEvent, NeighborState};
use crate::network::ndp::Advertisement;

fn advertisement(target: Ipv6Addr, mac: HardwareAddress, solicited: bool, overrides: bool) -> Vec<u8> {
    let advertisement = Advertisement { target, hardware_address: Some(mac), router: false, solicited, overrides };
    ndp::neighbor_advertisement(&advertisement).to_vec()
}

fn state(network: &Network) -> Option<NeighborState> {
    network.neighbors(at(0)).into_iter().find(|row| row.address == IpAddr::from(PEER6)).map(|row| row.state)
}

fn send6(network: &mut Network, wire: &mut Wire, destination: Ipv6Addr) -> Result<(), SendFailure> {
    network.output(at(0), wire).send(OutgoingPacket {
        source: OWN6.into(),
        destination: destination.into(),
        protocol: 17,
        hop_limit: 64,
        traffic_class: 0,
        dont_fragment: false,
        header: &mut [0, 7, 0, 9, 0, 12, 0, 0],
        checksum_offset: 6,
        payload: &[b"data"],
        segment_size: None,
    })
}

#[test]
fn a_packet_waits_while_its_neighbour_is_solicited() {
    // RFC 4861 §7.2.2.
    let mut network = network6();
    let mut wire = Wire::default();
    assert_eq!(send6(&mut network, &mut wire, PEER6), Ok(()));
    assert!(wire.frames.is_empty());
    let frames = flush(&mut network);
    let (header, message) = message_of(&frames[0]);
    assert_eq!(frames[0][..6], [0x33, 0x33, 0xff, 0, 0, 1]);
    assert_eq!((header.source, header.hop_limit), (OWN6, 255));
    assert_eq!(header.destination, address::solicited_node(PEER6));
    assert_eq!(message[4..], ndp::neighbor_solicitation(PEER6, Some(OWN_MAC))[4..]);

    assert!(receive(&mut network, 0, &icmp6(PEER6, OWN6, 255, &advertisement(PEER6, PEER_MAC, true, true))).is_none());
    assert_eq!(state(&network), Some(NeighborState::Reachable));
    let frames = flush(&mut network);
    assert_eq!((&frames[0][..6], &frames[0][62..]), (&PEER_MAC.0[..], &b"data"[..]));
    // Behind a router it is the router that is solicited.
    assert_eq!(send6(&mut network, &mut wire, Ipv6Addr::new(0x2001, 0xdb9, 0, 0, 0, 0, 0, 1)), Ok(()));
    let frames = flush(&mut network);
    assert_eq!(message_of(&frames[0]).1[23], 0xfe);
}

#[test]
fn a_solicitation_is_answered_and_its_sender_remembered() {
    // RFC 4861 §7.2.3, §7.2.4.
    let mut network = network6();
    let solicitation = ndp::neighbor_solicitation(OWN6, Some(PEER_MAC));
    let group = address::solicited_node(OWN6);
    assert!(receive(&mut network, 0, &icmp6(PEER6, group, 255, &solicitation)).is_none());
    let frames = flush(&mut network);
    let (header, message) = message_of(&frames[0]);
    assert_eq!((header.source, header.destination, header.hop_limit), (OWN6, PEER6, 255));
    assert_eq!(frames[0][..6], PEER_MAC.0);
    assert_eq!(message[4..], advertisement(OWN6, OWN_MAC, true, true)[4..]);
    assert_eq!(state(&network), Some(NeighborState::Stale));
    // Somebody who looks whether the address is free hears the answer as everybody.
    let probe = ndp::neighbor_solicitation(OWN6, None);
    assert!(receive(&mut network, 0, &icmp6(Ipv6Addr::UNSPECIFIED, group, 255, &probe)).is_none());
    let frames = flush(&mut network);
    let (header, message) = message_of(&frames[0]);
    assert_eq!(header.destination, address::ALL_NODES);
    assert_eq!(message[4..], advertisement(OWN6, OWN_MAC, false, true)[4..]);
}

#[test]
fn what_has_passed_a_router_or_is_not_built_right_is_not_believed() {
    // RFC 4861 §7.1.1 and §7.1.2, RFC 6980.
    let mut network = network6();
    let group = address::solicited_node(OWN6);
    let solicitation = ndp::neighbor_solicitation(OWN6, Some(PEER_MAC));
    let nobody = Ipv6Addr::UNSPECIFIED;
    let fragment = FragmentHeader { next_header: 58, offset: 0, more: false, identification: 1 };
    let body = [&fragment.emit()[..], &checked(PEER6, OWN6, &solicitation)].concat();
    let fragmented = ipv6_frame(&ipv6::Header { hop_limit: 255, ..header6(44, body.len()) }, &body);
    for bytes in [
        icmp6(PEER6, group, 254, &solicitation),
        fragmented,
        icmp6(nobody, group, 255, &solicitation),
        icmp6(nobody, address::ALL_NODES, 255, &ndp::neighbor_solicitation(OWN6, None)),
        icmp6(PEER6, address::ALL_NODES, 255, &advertisement(PEER6, PEER_MAC, true, true)),
        icmp6(PEER6, OWN6, 255, &solicitation[..20]),
        icmp6(PEER6, group, 255, &ndp::neighbor_solicitation(PEER6, Some(PEER_MAC))),
        icmp6(PEER6, OWN6, 255, &advertisement(PEER6, PEER_MAC, true, true)),
        icmp6(PEER_LOCAL, OWN6, 255, &[&[137, 0, 0, 0, 0, 0, 0, 0][..], &[0; 32]].concat()),
        icmp6(PEER_LOCAL, address::ALL_NODES, 255, &[&[134, 0, 0, 0][..], &[0; 12]].concat()),
    ] {
        assert!(receive(&mut network, 0, &bytes).is_none());
    }
    let ndp = network.counters().ndp;
    assert_eq!((ndp.bad_hop_limit, ndp.fragmented, ndp.malformed), (1, 1, 4));
    assert_eq!((ndp.other_target, ndp.unsolicited, ndp.redirect, ndp.router_advertisement), (1, 1, 1, 1));
    assert!(flush(&mut network).is_empty() && network.neighbors(at(0)).is_empty());
}

#[test]
fn advertisements_change_what_is_known_as_rfc_4861_section_7_2_5_says() {
    let other = HardwareAddress([2, 0, 0, 0, 0, 9]);
    let tell = |network: &mut Network, mac, solicited, overrides| {
        let bytes = icmp6(PEER6, OWN6, 255, &advertisement(PEER6, mac, solicited, overrides));
        assert!(receive(network, 0, &bytes).is_none());
        (state(network).unwrap(), network.hardware_address_of(PEER6.into()).unwrap())
    };
    let mut network = acquainted6();
    // The same address, unsolicited: no news. Solicited: it is there.
    assert_eq!(tell(&mut network, PEER_MAC, false, false), (NeighborState::Stale, PEER_MAC));
    assert_eq!(tell(&mut network, PEER_MAC, true, false), (NeighborState::Reachable, PEER_MAC));
    // Another address without the override flag only raises doubts.
    assert_eq!(tell(&mut network, other, false, false), (NeighborState::Stale, PEER_MAC));
    assert_eq!(tell(&mut network, other, true, false), (NeighborState::Stale, PEER_MAC));
    // With it, it is believed.
    assert_eq!(tell(&mut network, other, false, true), (NeighborState::Stale, other));
    assert_eq!(tell(&mut network, PEER_MAC, true, true), (NeighborState::Reachable, PEER_MAC));
}

#[test]
fn a_neighbour_that_is_used_while_stale_is_asked_itself() {
    // RFC 4861 §7.3.3.
    let mut network = acquainted6();
    let mut wire = Wire::default();
    assert_eq!(send6(&mut network, &mut wire, PEER6), Ok(()));
    assert_eq!((wire.frames.len(), state(&network)), (1, Some(NeighborState::Delay)));
    network.expire(at(5000));
    let frames = flush(&mut network);
    let (header, _) = message_of(&frames[0]);
    assert_eq!((&frames[0][..6], header.destination), (&PEER_MAC.0[..], PEER6));
    for second in 6..9 {
        network.expire(at(second * 1000));
    }
    assert_eq!(state(&network), None, "no answer to three of them");
    assert_eq!(network.counters().arp.unresolved, 1);
}

/// A network that looks whether its addresses are free.
fn tentative() -> Network {
    Network::new(&Configuration { duplicate_address_detection: 1, ..configuration6() }, [7; 32], Instant::START)
}

#[test]
fn an_address_is_asked_for_before_it_is_used() {
    // RFC 4862 §5.4.
    let mut network = tentative();
    assert!(!network.is_own(OWN6.into()) && network.is_own(OWN.into()));
    assert_eq!(network.source_for(PEER6.into()), None);
    assert!(receive(&mut network, 0, &icmp6(PEER6, OWN6, 64, &echo(b"data"))).is_none());
    let solicitation = ndp::neighbor_solicitation(OWN6, Some(PEER_MAC));
    let group = address::solicited_node(OWN6);
    assert!(receive(&mut network, 0, &icmp6(PEER6, group, 255, &solicitation)).is_none());
    network.expire(at(1000));
    let frames = flush(&mut network);
    let probes: Vec<_> = frames.iter().map(|frame| &frame[14..]).filter(|packet| packet[6] == 58).collect();
    assert_eq!(probes.len(), 2, "nothing else is said in ICMPv6 but groups");
    for probe in probes {
        let packet = ipv6::parse(probe).unwrap();
        assert_eq!((packet.header.source, packet.header.hop_limit), (Ipv6Addr::UNSPECIFIED, 255));
        assert_eq!(packet.octets.len(), 64, "no hardware address");
    }
    network.expire(at(2000));
    let usable = [AddressEvent::Usable(OWN6.into()), AddressEvent::Usable(OWN_LOCAL.into())];
    assert_eq!([network.next_address_event(), network.next_address_event()], usable.map(Some));
    assert!(network.is_own(OWN6.into()) && network.source_for(PEER6.into()) == Some(OWN6.into()));
    assert_eq!(network.source_for(PEER_LOCAL.into()), Some(OWN_LOCAL.into()));
    assert_eq!(network.counters().ndp.advertisements_sent, 2);
}

#[test]
fn an_address_that_another_station_has_or_wants_is_left_to_it() {
    // RFC 4862 §5.4.3, §5.4.4.
    let group = address::solicited_node(OWN6);
    let probe = icmp6(Ipv6Addr::UNSPECIFIED, group, 255, &ndp::neighbor_solicitation(OWN6, None));
    let answer = icmp6(OWN6, address::ALL_NODES, 255, &advertisement(OWN6, PEER_MAC, false, true));
    for bytes in [probe, answer] {
        let mut network = tentative();
        assert!(receive(&mut network, 0, &bytes).is_none());
        assert_eq!(network.next_address_event(), Some(AddressEvent::Lost(OWN6.into(), PEER_MAC)));
        network.expire(at(1000));
        network.expire(at(2000));
        assert!(!network.is_own(OWN6.into()) && network.is_own(OWN_LOCAL.into()));
        assert_eq!(network.counters().ndp.address_conflicts, 1);
        assert!(network.groups().all(|row| row.group != IpAddr::from(group)));
    }
    // In use it stays, and somebody is told.
    let mut network = network6();
    let from = icmp6(PEER6, address::ALL_NODES, 255, &advertisement(OWN6, PEER_MAC, false, true));
    assert!(receive(&mut network, 0, &from).is_none());
    assert_eq!(network.next_address_event(), Some(AddressEvent::Conflict(OWN6.into(), PEER_MAC)));
    assert!(network.is_own(OWN6.into()));
}

#[test]
fn the_link_hears_our_addresses_again_when_it_comes_back() {
    // RFC 4861 §7.2.6.
    let mut network = network6();
    network.announce(at(0));
    let frames: Vec<_> = flush(&mut network).into_iter().filter(|frame| frame[12..14] == [0x86, 0xdd]).collect();
    assert_eq!(frames.len(), 2);
    assert_eq!(message_of(&frames[0]).1[4..], advertisement(OWN6, OWN_MAC, false, true)[4..]);
}

#[test]
fn groups_are_reported_with_a_router_alert() {
    // RFC 3810 §5, RFC 3590.
    for (mut network, source) in [(tentative(), Ipv6Addr::UNSPECIFIED), (network6(), OWN_LOCAL)] {
        flush(&mut network);
        assert_eq!(network.join(at(0), "ff02::fb".parse().unwrap()), Ok(()));
        let frames = flush(&mut network);
        let report = frames.last().unwrap();
        assert_eq!(report[..6], [0x33, 0x33, 0, 0, 0, 0x16]);
        let packet = ipv6::parse(&report[14..]).unwrap();
        assert_eq!((packet.header.source, packet.header.hop_limit), (source, 1));
        assert_eq!(packet.octets[40..48], [58, 0, 5, 2, 0, 0, 1, 0]);
        let message = &packet.octets[48..];
        assert_eq!(checked(source, packet.header.destination, message), message);
        assert_eq!((message[0], message[7], message[8]), (143, 1, 4));
    }
}

#[test]
fn a_query_of_the_link_is_answered_and_no_other() {
    // RFC 3810 §6.2.
    let query = |source: Ipv6Addr, hop_limit: u8, alert: &[u8]| {
        let message = checked(source, address::ALL_NODES, &[&[130, 0, 0, 0, 0, 100, 0, 0][..], &[0; 20]].concat());
        let body = [alert, &message].concat();
        let next = if alert.is_empty() { 58 } else { 0 };
        let header = ipv6::Header { source, destination: address::ALL_NODES, hop_limit, ..header6(next, body.len()) };
        ipv6_frame(&header, &body)
    };
    let mut network = network6();
    for bytes in
        [query(PEER6, 1, &mld::ROUTER_ALERT), query(PEER_LOCAL, 2, &mld::ROUTER_ALERT), query(PEER_LOCAL, 1, &[])]
    {
        assert!(receive(&mut network, 0, &bytes).is_none());
    }
    assert_eq!((network.counters().mld.not_from_link, network.next_deadline()), (3, None));
    assert!(receive(&mut network, 0, &query(PEER_LOCAL, 1, &mld::ROUTER_ALERT)).is_none());
    network.expire(at(100));
    let frames = flush(&mut network);
    let report = &frames[0][14 + 48..];
    assert_eq!((report[0], report[7], report[8]), (143, 2, 2), "both solicited-node groups");
}
