use super::*;
use crate::network::tests::{OWN, PEER, PEER_MAC, acquainted, at, configuration};
use crate::network::wire::Wire;
use crate::network::{checksum, configuration::Configuration};

/// What a test changes in a packet that is otherwise a TCP segment to the peer.
#[derive(Clone, Copy)]
struct Case<'a> {
    protocol: u8,
    dont_fragment: bool,
    segment_size: Option<u16>,
    header: [u8; 20],
    payload: &'a [&'a [u8]],
}

const TCP: Case<'_> = Case {
    protocol: protocol::TCP,
    dont_fragment: true,
    segment_size: None,
    header: [0, 80, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0],
    payload: &[],
};

const UDP: Case<'_> = Case { protocol: protocol::UDP, dont_fragment: false, ..TCP };

fn send(network: &mut Network, wire: &mut Wire, case: Case<'_>) -> Result<(), SendFailure> {
    let mut header = case.header;
    let result = network.output(at(0), wire).send(OutgoingPacket {
        source: OWN.into(),
        destination: PEER.into(),
        protocol: case.protocol,
        hop_limit: 64,
        traffic_class: 2,
        dont_fragment: case.dont_fragment,
        header: &mut header,
        checksum_offset: 16,
        payload: case.payload,
        segment_size: case.segment_size,
    });
    assert_eq!(header, case.header, "the transport's header is left as it is");
    result
}

fn offloading() -> Configuration {
    let offload = OffloadCapabilities { checksum: true, segmentation: Some(65_535) };
    Configuration { offload, ..configuration() }
}

fn transport_sum(packet: &ipv4::Packet<'_>) -> u16 {
    let (source, destination) = (packet.header.source.into(), packet.header.destination.into());
    let mut sum = Sum::pseudo_header(source, destination, packet.header.protocol, packet.payload.len());
    sum.add(packet.payload);
    sum.checksum()
}

#[test]
fn a_packet_is_complete_without_offload() {
    let mut network = acquainted(&configuration());
    let mut wire = Wire::default();
    assert_eq!(send(&mut network, &mut wire, Case { payload: &[b"odd", b"", b"length"], ..TCP }), Ok(()));
    assert_eq!(wire.frames[0].offload, Offload::default());
    let frame = &wire.frames[0].octets;
    assert_eq!((&frame[..6], &frame[12..14]), (&PEER_MAC.0[..], &[8, 0][..]));
    let packet = ipv4::parse(&frame[14..]).unwrap();
    assert_eq!((packet.header.source, packet.header.destination), (OWN, PEER));
    assert!(packet.header.dont_fragment && packet.header.traffic_class == 2 && packet.header.time_to_live == 64);
    assert_eq!(&packet.payload[20..], b"oddlength");
    assert_eq!(transport_sum(&packet), 0);
    let counters = network.counters();
    assert_eq!((counters.ip.sent, counters.link.octets_sent), (1, 14 + 20 + 20 + 9 + 42));
}

#[test]
fn a_partial_checksum_is_that_of_the_pseudo_header() {
    let mut network = acquainted(&offloading());
    let mut wire = Wire::default();
    assert_eq!(send(&mut network, &mut wire, Case { payload: &[&[7; 100]], ..TCP }), Ok(()));
    let frame = &wire.frames[0];
    let checksum = frame.offload.checksum.unwrap();
    assert_eq!((checksum.start, checksum.offset), (34, 16));
    assert_eq!(frame.offload.segmentation, None);
    // What the device does: sum from the start on, the field as it is, and put the complement there.
    let mut octets = frame.octets.clone();
    let sum = checksum::checksum(&octets[34..]).to_be_bytes();
    octets[50..52].copy_from_slice(&sum);
    assert_eq!(transport_sum(&ipv4::parse(&octets[14..]).unwrap()), 0);
}

#[test]
fn segments_are_left_to_the_device() {
    let mut network = acquainted(&offloading());
    let mut wire = Wire::default();
    let mut case = Case { segment_size: Some(1460), payload: &[&[1; 20_000], &[2; 20_000]], ..TCP };
    case.header[13] |= 0x80;
    assert_eq!(send(&mut network, &mut wire, case), Ok(()));
    let frame = &wire.frames[0];
    let expected = SegmentationOffload {
        kind: Segmentation::Tcp4,
        segment_size: 1460,
        header_length: 54,
        congestion_window_reduced: true,
    };
    assert_eq!(frame.offload.segmentation, Some(expected));
    assert_eq!(frame.octets.len(), 54 + 40_000);
    // One segment's worth of data is an ordinary packet.
    let case = Case { payload: &[&[1; 1460]], segment_size: Some(1460), ..TCP };
    assert_eq!(send(&mut network, &mut wire, case), Ok(()));
    assert_eq!(wire.frames[1].offload.segmentation, None);
}

#[test]
fn segments_larger_than_the_path_or_the_device_are_refused() {
    let mut network = acquainted(&offloading());
    let mut wire = Wire::default();
    let large = Case { segment_size: Some(1461), payload: &[&[1; 3000]], ..TCP };
    assert_eq!(send(&mut network, &mut wire, large), Err(SendFailure::TooLarge));
    let limit = network.output(at(0), &mut wire).segmentation_limit().unwrap();
    assert_eq!(limit, 65_535 - 100);
    let all = vec![1; 65_496];
    let large = Case { segment_size: Some(1460), payload: &[&all], ..TCP };
    assert_eq!(send(&mut network, &mut wire, large), Err(SendFailure::TooLarge));
    network.set_offload(OffloadCapabilities::default());
    assert_eq!(network.output(at(0), &mut wire).segmentation_limit(), None);
    let large = Case { segment_size: Some(1460), payload: &[&[1; 3000]], ..TCP };
    assert_eq!(send(&mut network, &mut wire, large), Err(SendFailure::TooLarge));
    assert!(wire.frames.is_empty());
    assert_eq!(network.counters().ip.too_large, 3);
}

#[test]
fn a_packet_beyond_the_mtu_is_fragmented_unless_df_forbids() {
    // RFC 791 §3.2.
    let mut network = acquainted(&offloading());
    let mut wire = Wire::default();
    let data = vec![5; 4000];
    assert_eq!(send(&mut network, &mut wire, Case { payload: &[&data], ..TCP }), Err(SendFailure::TooLarge));
    assert_eq!(send(&mut network, &mut wire, Case { payload: &[&data], ..UDP }), Ok(()));
    let frames = wire.take();
    assert_eq!(frames.len(), 3);
    let packets: Vec<_> = frames.iter().map(|frame| ipv4::parse(&frame[14..]).unwrap()).collect();
    let whole: Vec<u8> = packets.iter().flat_map(|packet| packet.payload.to_vec()).collect();
    assert_eq!(whole.len(), 4020);
    let mut sum = Sum::pseudo_header(OWN.into(), PEER.into(), protocol::UDP, whole.len());
    sum.add(&whole);
    assert_eq!(sum.checksum(), 0, "complete in software, since the device sees only pieces");
    assert!(packets.iter().all(|packet| packet.header.identification == packets[0].header.identification));
    assert_eq!(network.counters().ip.fragmented, 1);
    let too_much = vec![0; 65_496];
    assert_eq!(send(&mut network, &mut wire, Case { payload: &[&too_much], ..UDP }), Err(SendFailure::TooLarge));
}

#[test]
fn a_full_device_takes_nothing_and_changes_nothing() {
    let mut network = acquainted(&configuration());
    let mut wire = Wire { room: 0, ..Wire::default() };
    let data = vec![5; 4000];
    for case in [Case { payload: &[b"data"], ..TCP }, Case { payload: &[&data], ..UDP }] {
        assert_eq!(send(&mut network, &mut wire, case), Err(SendFailure::DeviceFull));
    }
    assert!(!network.has_output());
    assert_eq!(network.counters().ip.sent, 0);
}

#[test]
fn fragments_that_the_device_does_not_take_wait() {
    let mut network = acquainted(&configuration());
    let mut wire = Wire { room: 1, ..Wire::default() };
    let data = vec![5; 4000];
    assert_eq!(send(&mut network, &mut wire, Case { payload: &[&data], ..UDP }), Ok(()));
    assert_eq!(wire.frames.len(), 1);
    assert_eq!(send(&mut network, &mut wire, Case { payload: &[b"next"], ..UDP }), Err(SendFailure::DeviceFull));
    wire.room = 9;
    assert_eq!(send(&mut network, &mut wire, Case { payload: &[b"next"], ..UDP }), Ok(()));
    let lengths: Vec<usize> = wire.frames.iter().map(|frame| frame.octets.len()).collect();
    assert_eq!(lengths, [1514, 1514, 34 + 1060, 34 + 24]);
}

#[test]
fn fragments_without_room_are_counted() {
    let mut configuration = configuration();
    configuration.egress.frames = 1;
    let mut network = acquainted(&configuration);
    let mut wire = Wire { room: 1, ..Wire::default() };
    let data = vec![5; 4000];
    assert_eq!(send(&mut network, &mut wire, Case { payload: &[&data], ..UDP }), Ok(()));
    assert_eq!(network.counters().link.egress_overflow, 1);
}

#[test]
fn a_waiting_segment_keeps_its_offload() {
    let mut network = Network::new(&offloading(), [1; 32], at(0));
    let mut wire = Wire::default();
    let case = Case { segment_size: Some(1460), payload: &[&[1; 5000]], ..TCP };
    assert_eq!(send(&mut network, &mut wire, case), Ok(()));
    let reply = crate::network::tests::arp_reply(PEER_MAC, PEER);
    assert!(network.receive(at(1), &crate::ReceivedFrame::plain(&reply)).is_none());
    network.flush(&mut wire).unwrap();
    let frame = wire.frames.iter().find(|frame| frame.octets.len() > 100).unwrap();
    assert_eq!(frame.octets[..6], PEER_MAC.0);
    assert!(frame.offload.segmentation.is_some());
}

#[test]
fn a_path_below_the_minimum_goes_without_df() {
    let mut network = acquainted(&configuration());
    network.lower_path_mtu(at(0), PEER.into(), 296);
    let mut wire = Wire::default();
    assert_eq!(send(&mut network, &mut wire, Case { payload: &[&[1; 500]], ..TCP }), Ok(()));
    assert!(!ipv4::parse(&wire.frames[0].octets[14..]).unwrap().header.dont_fragment);
    assert_eq!(send(&mut network, &mut wire, Case { payload: &[&[1; 513]], ..TCP }), Ok(()));
    assert_eq!(wire.frames.len(), 3, "fragmented to 552 octets");
}

#[test]
fn a_udp_checksum_of_nought_is_sent_as_all_ones() {
    // RFC 768: the complement of a sum of all ones.
    let mut network = acquainted(&configuration());
    let mut wire = Wire::default();
    let mut case = UDP;
    let mut sum = Sum::pseudo_header(OWN.into(), PEER.into(), protocol::UDP, 22);
    sum.add(&case.header);
    let data = sum.checksum().to_be_bytes();
    case.payload = &[&[0, 0]];
    let slices: [&[u8]; 1] = [&data];
    case.payload = &slices;
    assert_eq!(send(&mut network, &mut wire, case), Ok(()));
    assert_eq!(wire.frames[0].octets[50..52], [0xff, 0xff]);
}

#[test]
fn without_a_route_nothing_is_sent() {
    let mut network = Network::new(&Configuration { gateways: vec![], ..configuration() }, [1; 32], at(0));
    let mut wire = Wire::default();
    let far = std::net::Ipv4Addr::new(8, 8, 8, 8);
    let result = crate::network::tests::send(&mut network, 0, &mut wire, far, b"data");
    assert_eq!(result, Err(SendFailure::NoRoute));
    assert_eq!(network.counters().ip.no_route, 1);
}
