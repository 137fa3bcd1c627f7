//! Memory stays within its bounds, whatever comes.

use super::*;

#[test]
fn a_flood_of_fragments_stays_within_its_memory() {
    let mut network = network();
    let limits = configuration().reassembly;
    let mut most = 0;
    for number in 0..20_000u32 {
        let header = ipv4::Header {
            identification: (number / 4) as u16,
            // From 100 hosts, at changing places of the datagram.
            source: Ipv4Addr::new(192, 0, 2, 100 + (number / 4 % 100) as u8),
            fragment_offset: (number as usize % 4) * 1480,
            more_fragments: true,
            ..header(17, 1480)
        };
        assert!(receive(&mut network, u64::from(number) / 100, &ipv4_frame(&header, &[0; 1480])).is_none());
        most = most.max(network.reassembly.memory());
    }
    assert!(most <= limits.memory, "{most} octets");
    assert!(most > limits.memory / 2, "the test reaches for the limit: {most} octets");
    assert!(network.counters().reassembly.evicted > 0);
    network.expire(at(60_000));
    assert_eq!(network.reassembly.memory(), 0);
}

#[test]
fn one_source_has_only_its_share() {
    let mut network = network();
    for number in 0..5000 {
        let header = ipv4::Header { identification: number, more_fragments: true, ..header(17, 1480) };
        assert!(receive(&mut network, 0, &ipv4_frame(&header, &[0; 1480])).is_none());
    }
    assert!(network.reassembly.memory() <= configuration().reassembly.memory_per_source);
    assert!(network.counters().reassembly.over_limit > 0);
    assert_eq!(network.counters().reassembly.evicted, 0, "others are not pushed out");
}

#[test]
fn a_flood_of_requests_does_not_push_out_a_neighbour_in_use() {
    let mut configuration = configuration();
    configuration.addresses = vec![(OWN.into(), 8)];
    configuration.neighbors.capacity = 16;
    let mut network = acquainted(&configuration);
    assert_eq!(send(&mut network, 0, &mut Wire::default(), PEER, b"data"), Ok(()));
    for number in 0..10_000u32 {
        let sender = Ipv4Addr::from_bits(0xc011_0000 + number);
        assert!(receive(&mut network, 1, &arp_request(HardwareAddress([2, 0, 0, 0, 1, 1]), sender, OWN)).is_none());
        assert!(network.neighbors(at(1)).len() <= 16);
    }
    assert_eq!(network.hardware_address_of(PEER.into()), Some(PEER_MAC));
    let counters = network.counters();
    assert!(counters.arp.evicted > 0);
    assert!(counters.link.egress_overflow > 0);
    assert!(network.egress.octets() <= configuration.egress.octets);
}

#[test]
fn packets_to_many_silent_neighbours_stay_within_their_memory() {
    let mut configuration = configuration();
    configuration.addresses = vec![(OWN.into(), 8)];
    let mut network = acquainted(&configuration);
    let limits = configuration.neighbors;
    for number in 0..5000u32 {
        for _ in 0..20 {
            let target = Ipv4Addr::from_bits(0xc011_0000 + number);
            assert_eq!(send(&mut network, 0, &mut Wire::default(), target, &[0; 1000]), Ok(()));
        }
        assert!(network.interface.neighbors.waiting_octets() <= limits.waiting_octets);
    }
    assert!(network.neighbors(at(0)).len() <= limits.capacity);
    let arp = network.counters().arp;
    assert!(arp.waiting_overflow > 0);
    assert!(arp.request_overflow > 0);
    for second in 1..=4 {
        network.expire(at(second * 1000));
    }
    assert!(network.neighbors(at(4000)).is_empty());
    assert_eq!(network.interface.neighbors.waiting_octets(), 0);
}
