use super::*;

fn arp(bytes: &[u8]) -> (Header, Packet) {
    let (header, payload) = crate::link::ethernet::parse(bytes).unwrap();
    (header, super::arp::parse(payload).unwrap())
}

#[test]
fn a_request_for_us_is_answered_and_its_sender_remembered() {
    let mut network = network();
    assert!(receive(&mut network, 0, &arp_request(PEER_MAC, PEER, OWN)).is_none());
    let frames = flush(&mut network);
    let (header, reply) = arp(&frames[0]);
    assert_eq!(header.destination, PEER_MAC);
    assert_eq!((reply.operation, reply.sender_hardware, reply.sender), (Operation::Reply, OWN_MAC, OWN));
    assert_eq!((reply.target_hardware, reply.target), (PEER_MAC, PEER));
    assert_eq!(network.hardware_address_of(PEER.into()), Some(PEER_MAC));
    let counters = network.counters().arp;
    assert_eq!((counters.requests_for_us, counters.replies_sent), (1, 1));
}

#[test]
fn a_packet_waits_for_its_neighbour_and_is_the_first_to_go() {
    let mut network = network();
    let mut wire = Wire::default();
    for data in [b"one", b"two"] {
        assert_eq!(send(&mut network, 0, &mut wire, PEER, data), Ok(()));
    }
    assert!(wire.take().is_empty());
    assert!(network.has_output());
    let requests = flush(&mut network);
    assert_eq!(requests.len(), 1, "one request for both packets");
    let (header, request) = arp(&requests[0]);
    assert_eq!(header.destination, HardwareAddress::BROADCAST);
    assert_eq!((request.operation, request.sender, request.target), (Operation::Request, OWN, PEER));
    assert!(!network.has_output());

    assert!(receive(&mut network, 1, &arp_reply(PEER_MAC, PEER)).is_none());
    // A third packet is sent before the two were flushed: it must not overtake them.
    assert_eq!(send(&mut network, 1, &mut wire, PEER, b"new"), Ok(()));
    let frames = wire.take();
    let data: Vec<&[u8]> = frames.iter().map(|frame| &frame[42..]).collect();
    assert_eq!(data, [b"one", b"two", b"new"]);
    assert!(frames.iter().all(|frame| frame[..6] == PEER_MAC.0 && frame[6..12] == OWN_MAC.0));
}

#[test]
fn a_packet_for_another_network_goes_to_the_gateway() {
    let mut network = network();
    let mut wire = Wire::default();
    assert_eq!(send(&mut network, 0, &mut wire, Ipv4Addr::new(8, 8, 8, 8), b"far"), Ok(()));
    assert_eq!(arp(&flush(&mut network)[0]).1.target, Ipv4Addr::new(192, 0, 2, 254));
}

#[test]
fn a_neighbour_that_does_not_answer_is_asked_three_times_a_second_apart() {
    let mut network = network();
    assert_eq!(send(&mut network, 0, &mut Wire::default(), PEER, b"data"), Ok(()));
    assert_eq!(flush(&mut network).len(), 1);
    for second in 1..3 {
        assert_eq!(network.next_deadline(), Some(at(second * 1000)));
        network.expire(at(second * 1000));
        assert_eq!(flush(&mut network).len(), 1);
    }
    network.expire(at(3000));
    assert!(flush(&mut network).is_empty());
    assert_eq!(network.next_deadline(), None);
    assert!(network.neighbors(at(3000)).is_empty());
    let counters = network.counters().arp;
    assert_eq!((counters.requests_sent, counters.unresolved, counters.waiting_unresolved), (3, 1, 1));
}

#[test]
fn what_nobody_asked_for_changes_nothing_and_is_counted() {
    let mut network = network();
    let other = Ipv4Addr::new(192, 0, 2, 77);
    // Overheard, a reply that we did not ask for, and a reply to somebody else.
    for frame in [arp_request(PEER_MAC, PEER, other), arp_reply(PEER_MAC, PEER)] {
        assert!(receive(&mut network, 0, &frame).is_none());
    }
    assert!(network.neighbors(at(0)).is_empty());
    assert_eq!(network.counters().arp.not_asked_for, 2);
    // But a known neighbour is corrected (RFC 826).
    receive(&mut network, 0, &arp_request(PEER_MAC, PEER, OWN));
    let moved = HardwareAddress([2, 0, 0, 0, 0, 9]);
    receive(&mut network, 0, &arp_request(moved, PEER, other));
    assert_eq!(network.hardware_address_of(PEER.into()), Some(moved));
    assert_eq!(network.counters().arp.changed, 1);
}

#[test]
fn each_discard_has_its_counter() {
    let mut network = network();
    let mut short = arp_request(PEER_MAC, PEER, OWN);
    short.truncate(41);
    let mut reverse = arp_request(PEER_MAC, PEER, OWN);
    reverse[21] = 3;
    let mut echo = arp_request(OWN_MAC, OWN, OWN);
    // As the frame of another station, so that the link lets it pass.
    echo[6..12].copy_from_slice(&PEER_MAC.0);
    let mut group = arp_request(PEER_MAC, PEER, OWN);
    group[22] |= 1;
    let foreign = arp_request(PEER_MAC, Ipv4Addr::new(10, 0, 0, 1), OWN);
    let conflict = arp_request(PEER_MAC, OWN, OWN);
    for frame in [short, reverse, echo, group, foreign, conflict] {
        assert!(receive(&mut network, 0, &frame).is_none());
    }
    let counters = network.counters().arp;
    assert_eq!(counters.malformed, 1);
    assert_eq!(counters.unknown_operation, 1);
    assert_eq!(counters.own_echo, 1);
    assert_eq!(counters.bad_sender, 2);
    assert_eq!(counters.address_conflicts, 1);
    assert!(network.neighbors(at(0)).is_empty());
}

#[test]
fn a_probe_is_answered_but_not_remembered() {
    // RFC 5227 §1.1: the sender has no address yet.
    let mut network = network();
    receive(&mut network, 0, &arp_request(PEER_MAC, Ipv4Addr::UNSPECIFIED, OWN));
    assert_eq!(flush(&mut network).len(), 1);
    assert!(network.neighbors(at(0)).is_empty());
    assert_eq!(network.counters().arp.bad_sender, 0);
}

#[test]
fn addresses_are_announced_twice_two_seconds_apart() {
    // RFC 5227 §2.3.
    let mut network = Network::new(&Configuration { announce: true, ..configuration() }, [7; 32], at(0));
    for milliseconds in [0, 2000] {
        network.expire(at(milliseconds));
        let frames = flush(&mut network);
        assert_eq!(frames.len(), 1);
        let (header, announcement) = arp(&frames[0]);
        assert_eq!(header.destination, HardwareAddress::BROADCAST);
        assert_eq!((announcement.operation, announcement.sender, announcement.target), (Operation::Request, OWN, OWN));
        network.expire(at(milliseconds + 1999));
        assert!(flush(&mut network).is_empty());
    }
    assert_eq!(network.next_deadline(), None);
    assert_eq!(network.counters().arp.announcements_sent, 2);
}

#[test]
fn a_full_device_loses_no_request() {
    let mut network = network();
    assert_eq!(send(&mut network, 0, &mut Wire::default(), PEER, b"data"), Ok(()));
    let mut full = Wire { room: 0, ..Wire::default() };
    assert_eq!(network.flush(&mut full), Err(DeviceFull));
    assert!(network.has_output());
    assert_eq!(flush(&mut network).len(), 1);
    assert_eq!(network.counters().link.sent, 1);
}

#[test]
fn a_transport_confirms_the_next_hop_not_the_destination() {
    let mut network = network();
    let gateway = network.routes().iter().find_map(|row| row.gateway).unwrap();
    let far = Ipv4Addr::new(8, 8, 8, 8);
    assert_eq!(send(&mut network, 0, &mut Wire::default(), far, b"data"), Ok(()));
    assert!(receive(&mut network, 0, &arp_reply(PEER_MAC, Ipv4Addr::new(192, 0, 2, 254))).is_none());
    assert_eq!(send(&mut network, 60_000, &mut Wire::default(), far, b"data"), Ok(()));
    assert_eq!(network.neighbors(at(60_000))[0].state, crate::net::NeighborState::Delay);
    network.confirm_reachable(at(60_001), far.into());
    let row = network.neighbors(at(60_001))[0];
    assert_eq!((row.address, row.state), (gateway, crate::net::NeighborState::Reachable));
}

#[test]
fn a_conflict_is_counted_told_and_defended() {
    // RFC 5227 §2.4 (c).
    let mut network = network();
    for _ in 0..2 {
        assert!(receive(&mut network, 0, &arp_request(PEER_MAC, OWN, PEER)).is_none());
    }
    let frames = flush(&mut network);
    assert_eq!(frames.len(), 1, "once in ten seconds");
    let (_, announcement) = arp(&frames[0]);
    assert_eq!((announcement.sender_hardware, announcement.sender, announcement.target), (OWN_MAC, OWN, OWN));
    assert_eq!(network.next_address_event(), Some(crate::net::AddressEvent::Conflict(OWN.into(), PEER_MAC)));
    assert_eq!(network.counters().arp.address_conflicts, 2);
}

#[test]
fn an_address_is_not_in_use_before_its_probes_and_not_after_it_is_lost() {
    let configuration = Configuration { probe: true, defence: crate::net::Defence::GiveUp, ..configuration() };
    let mut network = Network::new(&configuration, [7; 32], at(0));
    assert!(!network.is_own(OWN.into()) && network.routes().is_empty());
    receive(&mut network, 0, &arp_request(PEER_MAC, PEER, OWN));
    assert!(flush(&mut network).is_empty(), "no answer yet");
    while let Some(deadline) = network.next_deadline() {
        network.expire(deadline);
        flush(&mut network);
    }
    assert_eq!(network.counters().arp.probes_sent, 3);
    assert_eq!(network.counters().arp.announcements_sent, 2);
    assert!(network.is_own(OWN.into()) && network.routes().len() == 2);
    assert_eq!(network.addresses(), [(OWN.into(), 24)]);
    network.announce(at(9000));
    assert_eq!(flush(&mut network).len(), 1);
    receive(&mut network, 10_000, &arp_request(PEER_MAC, PEER, OWN));
    assert_eq!(flush(&mut network).len(), 1);

    receive(&mut network, 20_000, &arp_request(PEER_MAC, OWN, PEER));
    assert!(!network.is_own(OWN.into()) && network.routes().is_empty());
    let events: Vec<_> = std::iter::from_fn(|| network.next_address_event()).collect();
    let (usable, lost) =
        (crate::net::AddressEvent::Usable(OWN.into()), crate::net::AddressEvent::Lost(OWN.into(), PEER_MAC));
    assert_eq!(events, [usable, lost]);
}
