use super::*;
use crate::packet::ReceivedPacket;

fn packet<'f>(network: &mut Network, bytes: &'f [u8]) -> Option<ReceivedPacket<'f>> {
    match receive(network, 0, bytes)? {
        Upward::Packet(packet) => Some(packet),
        Upward::Error(error) => panic!("an error: {error:?}"),
    }
}

#[test]
fn a_packet_comes_up_without_padding() {
    let mut network = network();
    let header = ipv4::Header { traffic_class: 0xb9, ..header(17, 4) };
    let bytes = ipv4_frame(&header, b"dataPADDING");
    let packet = packet(&mut network, &bytes).unwrap();
    assert_eq!((packet.source, packet.destination), (PEER.into(), OWN.into()));
    assert_eq!(&*packet.payload, b"data");
    assert_eq!(&*packet.network_header, &bytes[14..34]);
    assert_eq!((packet.traffic_class, packet.group, packet.protocol), (0xb9, false, 17));
    assert_eq!(packet.link_source, PEER_MAC);
    assert_eq!(network.counters().ip.delivered, 1);
}

#[test]
fn what_the_device_knows_of_a_frame_comes_up_with_it() {
    let mut network = network();
    let bytes = frame(6, &[0; 100]);
    let received = ReceivedFrame { bytes: &bytes, transport_checksum_valid: true, segment_size: Some(50) };
    let Some(Upward::Packet(packet)) = network.receive(at(0), &received) else { panic!("no packet") };
    assert!(packet.checksum_valid);
    assert_eq!(packet.segment_size, Some(50));
}

#[test]
fn broadcasts_and_the_group_of_all_hosts_come_up_as_group_packets() {
    let mut network = network();
    for (address, mac) in [
        ([192, 0, 2, 255], HardwareAddress::BROADCAST),
        ([255, 255, 255, 255], HardwareAddress::BROADCAST),
        ([224, 0, 0, 1], HardwareAddress([1, 0, 0x5e, 0, 0, 1])),
    ] {
        let mut bytes = ipv4_frame(&ipv4::Header { destination: address.into(), ..header(17, 4) }, b"data");
        bytes[..6].copy_from_slice(&mac.0);
        assert!(packet(&mut network, &bytes).unwrap().group);
    }
}

#[test]
fn a_time_to_live_of_nought_is_taken_at_its_destination() {
    // RFC 1122 §3.2.1.7.
    let bytes = ipv4_frame(&ipv4::Header { time_to_live: 0, ..header(17, 4) }, b"data");
    assert!(packet(&mut network(), &bytes).is_some());
}

#[test]
fn each_discard_has_its_counter() {
    let mut network = network();
    let good = frame(17, b"data");
    let change = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        bytes
    };
    let with = |change: fn(&mut ipv4::Header)| {
        let mut header = header(17, 4);
        change(&mut header);
        ipv4_frame(&header, b"data")
    };
    let mut broadcast_frame = good.clone();
    broadcast_frame[..6].copy_from_slice(&[0xff; 6]);
    let mut other_type = good.clone();
    other_type[12] = 0x86;
    for bytes in [
        good[..33].to_vec(),
        change(14, 0x65),
        change(14, 0x4f),
        change(22, 63),
        good[..37].to_vec(),
        with(|header| header.source = Ipv4Addr::new(127, 0, 0, 1)),
        with(|header| header.source = Ipv4Addr::new(192, 0, 2, 255)),
        with(|header| header.source = OWN),
        with(|header| header.destination = Ipv4Addr::new(192, 0, 2, 99)),
        with(|header| header.destination = Ipv4Addr::new(127, 0, 0, 1)),
        broadcast_frame,
        other_type,
    ] {
        assert!(receive(&mut network, 0, &bytes).is_none());
    }
    let ip = network.counters().ip;
    assert_eq!(ip.too_short, 1);
    assert_eq!(ip.bad_version, 1);
    assert_eq!(ip.bad_header_length, 1);
    assert_eq!(ip.bad_checksum, 1);
    assert_eq!(ip.bad_total_length, 1);
    assert_eq!(ip.martian_source, 2);
    assert_eq!(ip.own_source, 1);
    assert_eq!(ip.other_destination, 2);
    assert_eq!(ip.group_frame, 1);
    assert_eq!(network.counters().link.unknown_ether_type, 1);
    assert!(flush(&mut network).is_empty(), "nothing of this is answered");
    let drops: u64 = network.counters().drops().map(|(_, _, value)| value).sum();
    assert_eq!(drops, 12);
}

/// A frame whose header has options.
fn with_options(options: &[u8]) -> Vec<u8> {
    let mut bytes = frame(17, &[]);
    bytes.extend_from_slice(options);
    bytes.extend_from_slice(b"12345678");
    bytes[14] = 0x45 + (options.len() / 4) as u8;
    let length = (bytes.len() - 14) as u16;
    bytes[16..18].copy_from_slice(&length.to_be_bytes());
    bytes[24..26].fill(0);
    let sum = checksum::checksum(&bytes[14..34 + options.len()]).to_be_bytes();
    bytes[24..26].copy_from_slice(&sum);
    bytes
}

#[test]
fn options_are_skipped_a_source_route_is_not() {
    let mut network = acquainted(&configuration());
    let bytes = with_options(&[7, 7, 4, 0, 0, 0, 0, 0]);
    assert_eq!(&*packet(&mut network, &bytes).unwrap().payload, b"12345678");
    assert!(receive(&mut network, 0, &with_options(&[131, 7, 4, 1, 2, 3, 4, 0])).is_none());
    assert_eq!(network.counters().ip.source_route, 1);
    assert!(flush(&mut network).is_empty());
}

#[test]
fn a_malformed_option_is_a_parameter_problem() {
    // RFC 1122 §3.2.2.5.
    let mut network = acquainted(&configuration());
    assert!(receive(&mut network, 0, &with_options(&[1, 7, 9, 0])).is_none());
    assert_eq!(network.counters().ip.bad_option, 1);
    let frames = flush(&mut network);
    assert_eq!(frames[0][34..36], [12, 0]);
    assert_eq!(frames[0][38], 22, "the pointer");
}

#[test]
fn fragments_come_up_as_one_packet() {
    let mut network = network();
    let data: Vec<u8> = (0..40).collect();
    let first = ipv4::Header { more_fragments: true, ..header(17, 24) };
    let last = ipv4::Header { fragment_offset: 24, ..header(17, 16) };
    assert!(receive(&mut network, 0, &ipv4_frame(&last, &data[24..])).is_none());
    let bytes = ipv4_frame(&first, &data[..24]);
    let packet = packet(&mut network, &bytes).unwrap();
    assert_eq!(&*packet.payload, &data[..]);
    assert!(!packet.checksum_valid);
    assert_eq!(network.counters().reassembly.reassembled, 1);
}
