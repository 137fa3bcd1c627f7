use super::*;
use crate::packet::{ErrorKind, ReceivedPacket};

fn upward<'f>(network: &mut Network, bytes: &'f [u8]) -> ReceivedPacket<'f> {
    match receive(network, 0, bytes) {
        Some(Upward::Packet(packet)) => packet,
        other => panic!("no packet but {other:?}"),
    }
}

/// The IP header and the message of a frame that was sent.
fn message(bytes: &[u8]) -> (ipv4::Header, super::super::icmp::Message<'_>) {
    let packet = ipv4::parse(&bytes[14..]).unwrap();
    (packet.header, super::super::icmp::parse(packet.payload).unwrap())
}

#[test]
fn an_echo_request_is_answered_with_its_data() {
    let mut network = acquainted(&configuration());
    let request = icmp_message(8, 0, [0x12, 0x34, 0, 1], b"abcdefgh");
    let header = ipv4::Header { traffic_class: 0xb9, ..header(1, request.len()) };
    assert!(receive(&mut network, 0, &ipv4_frame(&header, &request)).is_none());
    let frames = flush(&mut network);
    let (header, reply) = message(&frames[0]);
    assert_eq!((header.source, header.destination), (OWN, PEER));
    assert_eq!(header.traffic_class, 0xb8, "the code point without the ECN bits");
    assert_eq!((reply.kind, reply.code, reply.rest, reply.data), (0, 0, [0x12, 0x34, 0, 1], &b"abcdefgh"[..]));
    assert_eq!(network.counters().icmp.echo_replies_sent, 1);
}

#[test]
fn an_echo_of_65000_octets_comes_back_whole() {
    let mut network = acquainted(&configuration());
    let data: Vec<u8> = (0..65_000).map(|at| at as u8).collect();
    let request = icmp_message(8, 0, [1, 2, 3, 4], &data);
    let whole = header(1, request.len());
    let slices: [&[u8]; 1] = [&request];
    for piece in fragment::cut(request.len(), whole.fragment_room(1500), &[], &slices) {
        let bytes = ipv4_frame(&whole.of_fragment(&piece), &piece.slices.concat());
        assert!(receive(&mut network, 0, &bytes).is_none());
    }
    // The answer goes back through a reassembly of its own.
    let mut other = Reassembly::new(Configuration::default().reassembly, 1);
    let mut counters = crate::net::ReassemblyCounters::default();
    let mut answer = None;
    for frame in flush(&mut network) {
        assert!(frame.len() <= 1514);
        let packet = ipv4::parse(&frame[14..]).unwrap();
        let fragment = reassembly::Fragment {
            key: reassembly::Key {
                source: packet.header.source.into(),
                destination: packet.header.destination.into(),
                protocol: 1,
                identification: packet.header.identification.into(),
            },
            offset: packet.header.fragment_offset,
            more: packet.header.more_fragments,
            traffic_class: 0,
            group: false,
            header: packet.header_octets,
            data: packet.payload,
        };
        answer = other.receive(at(0), &fragment, &mut counters);
    }
    let answer = answer.unwrap();
    let reply = super::super::icmp::parse(&answer.payload).unwrap();
    assert_eq!((reply.kind, reply.rest), (0, [1, 2, 3, 4]));
    assert_eq!(reply.data, data);
    assert_eq!(network.counters().ip.fragments_sent, 44);
}

#[test]
fn a_timestamp_request_is_answered() {
    let mut network = acquainted(&configuration());
    let request = icmp_message(13, 0, [0, 1, 0, 2], &[1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(receive(&mut network, 1500, &frame(1, &request)).is_none());
    let frames = flush(&mut network);
    let (_, reply) = message(&frames[0]);
    assert_eq!((reply.kind, reply.rest), (14, [0, 1, 0, 2]));
    assert_eq!(reply.data, [1, 2, 3, 4, 0x80, 0, 0x05, 0xdc, 0x80, 0, 0x05, 0xdc]);
}

#[test]
fn a_port_nobody_has_is_reported_with_as_much_as_fits_576_octets() {
    let mut network = acquainted(&configuration());
    for (length, quoted) in [(100, 100), (1000, 528)] {
        let bytes = frame(17, &vec![9; length]);
        let packet = upward(&mut network, &bytes);
        network.port_unreachable(at(0), &packet);
        let frames = flush(&mut network);
        let (header, error) = message(&frames[0]);
        assert_eq!((header.source, header.destination), (OWN, PEER));
        assert_eq!((error.kind, error.code), (3, 3));
        assert_eq!(error.data, &bytes[14..34 + quoted]);
        assert!(header.total_length <= 576);
    }
    let bytes = frame(99, &[0; 8]);
    let packet = upward(&mut network, &bytes);
    network.protocol_unreachable(at(0), &packet);
    assert_eq!(message(&flush(&mut network)[0]).1.code, 2);
    assert_eq!(network.counters().ip.unknown_protocol, 1);
}

#[test]
fn no_error_is_sent_about_groups_errors_or_later_fragments() {
    // RFC 1122 §3.2.2.
    let mut network = acquainted(&configuration());
    let mut bytes = ipv4_frame(&ipv4::Header { destination: Ipv4Addr::BROADCAST, ..header(17, 8) }, &[0; 8]);
    bytes[..6].copy_from_slice(&[0xff; 6]);
    let packet = upward(&mut network, &bytes);
    network.port_unreachable(at(0), &packet);

    let bytes = frame(17, &[0; 8]);
    let mut packet = upward(&mut network, &bytes);
    packet.protocol = protocol::ICMP;
    for kind in [3, 4, 5, 11, 12, 77] {
        let payload = [kind, 0, 0, 0, 0, 0, 0, 0];
        packet.payload = crate::Payload::Owned(bytes::Bytes::copy_from_slice(&payload));
        network.protocol_unreachable(at(0), &packet);
    }
    let later = ipv4::Header { fragment_offset: 8, ..header(17, 8) }.emit(&[]);
    let mut packet = upward(&mut network, &bytes);
    packet.network_header = crate::Payload::Lent(&later);
    network.port_unreachable(at(0), &packet);
    assert!(flush(&mut network).is_empty());
    assert_eq!(network.counters().icmp.errors_sent, 0);
}

#[test]
fn errors_are_limited() {
    let mut network = acquainted(&configuration());
    let bytes = frame(17, &[0; 8]);
    for _ in 0..50 {
        let packet = upward(&mut network, &bytes);
        network.port_unreachable(at(0), &packet);
    }
    let icmp = network.counters().icmp;
    assert_eq!((icmp.errors_sent, icmp.errors_limited), (20, 30));
}

#[test]
fn a_datagram_that_stays_incomplete_is_reported_if_its_first_fragment_came() {
    // RFC 1122 §3.3.2.
    let mut network = acquainted(&configuration());
    let first = ipv4::Header { more_fragments: true, ..header(17, 16) };
    let bytes = ipv4_frame(&first, &[3; 16]);
    assert!(receive(&mut network, 0, &bytes).is_none());
    let second = ipv4::Header { more_fragments: true, fragment_offset: 16, identification: 5, ..header(17, 16) };
    assert!(receive(&mut network, 10, &ipv4_frame(&second, &[3; 16])).is_none());
    assert_eq!(network.next_deadline(), Some(at(30_000)));
    network.expire(at(30_010));
    let frames = flush(&mut network);
    assert_eq!(frames.len(), 1);
    let (_, error) = message(&frames[0]);
    assert_eq!((error.kind, error.code), (11, 1));
    assert_eq!(error.data, &bytes[14..]);
    assert_eq!(network.counters().reassembly.timed_out, 2);
    assert_eq!(network.reassembly.next_deadline(), None);
}

/// An error that quotes a packet of ours to 203.0.113.1.
fn error(kind: u8, code: u8, mtu: u16, source: Ipv4Addr) -> Vec<u8> {
    let quoted = ipv4::Header { source, destination: Ipv4Addr::new(203, 0, 113, 1), ..header(17, 1480) };
    let [m0, m1] = mtu.to_be_bytes();
    frame(1, &icmp_message(kind, code, [0, 0, m0, m1], &[&quoted.emit(&[])[..], &[0, 7, 0, 9, 0, 0, 0, 0]].concat()))
}

#[test]
fn an_error_about_our_packet_is_handed_up_and_one_about_anothers_is_not() {
    let mut network = acquainted(&configuration());
    let bytes = error(3, 3, 0, OWN);
    let Some(Upward::Error(error_received)) = receive(&mut network, 0, &bytes) else { panic!("no error") };
    assert_eq!((error_received.local, error_received.remote), (OWN.into(), Ipv4Addr::new(203, 0, 113, 1).into()));
    assert_eq!((error_received.kind, error_received.protocol), (ErrorKind::Refused, 17));
    assert_eq!(error_received.quoted, [0, 7, 0, 9, 0, 0, 0, 0]);
    assert!(receive(&mut network, 0, &error(3, 3, 0, PEER)).is_none());
    assert_eq!(network.counters().icmp.bad_quotation, 1);
}

#[test]
fn a_path_mtu_holds_for_what_is_sent_afterwards() {
    let mut network = acquainted(&configuration());
    let far = IpAddr::from([203, 0, 113, 1]);
    let bytes = error(3, 4, 1000, OWN);
    let Some(Upward::Error(received)) = receive(&mut network, 0, &bytes) else { panic!("no error") };
    assert_eq!(received.kind, ErrorKind::PacketTooBig(1000));
    let mut wire = Wire::default();
    assert_eq!(network.output(at(0), &mut wire).path_mtu(far), 1500, "not before the transport has believed it");
    network.lower_path_mtu(at(0), far, 1000);
    assert_eq!(network.output(at(0), &mut wire).path_mtu(far), 1000);
    assert_eq!(network.output(at(600_000), &mut wire).path_mtu(far), 1500);
    assert_eq!(network.counters().icmp.path_mtu_lowered, 1);
}

#[test]
fn each_discard_has_its_counter() {
    let mut network = acquainted(&configuration());
    let good = icmp_message(8, 0, [0; 4], &[]);
    let mut wrong = good.clone();
    wrong[7] ^= 1;
    let mut to_group = ipv4_frame(&ipv4::Header { destination: Ipv4Addr::BROADCAST, ..header(1, 8) }, &good);
    to_group[..6].copy_from_slice(&[0xff; 6]);
    for bytes in [
        frame(1, &good[..7]),
        frame(1, &wrong),
        to_group,
        frame(1, &icmp_message(3, 3, [0; 4], &[0x45; 12])),
        error(3, 4, 1500, OWN),
        frame(1, &icmp_message(5, 0, [0; 4], &[])),
        frame(1, &icmp_message(4, 0, [0; 4], &[])),
        frame(1, &icmp_message(0, 0, [0; 4], &[])),
        frame(1, &icmp_message(14, 0, [0; 4], &[])),
        frame(1, &icmp_message(42, 0, [0; 4], &[])),
        frame(1, &icmp_message(13, 0, [0; 4], &[0; 11])),
    ] {
        assert!(receive(&mut network, 0, &bytes).is_none());
    }
    assert!(flush(&mut network).is_empty());
    let icmp = network.counters().icmp;
    assert_eq!(icmp.too_short, 2);
    assert_eq!(icmp.bad_checksum, 1);
    assert_eq!(icmp.group_request, 1);
    assert_eq!(icmp.bad_quotation, 1);
    assert_eq!(icmp.implausible_mtu, 1);
    assert_eq!(icmp.redirect, 1);
    assert_eq!(icmp.source_quench, 1);
    assert_eq!(icmp.unsolicited_reply, 2);
    assert_eq!(icmp.unknown_type, 1);
}

#[test]
fn a_reply_without_room_is_counted() {
    let limits = super::configuration::EgressLimits { frames: 1, octets: 1000 };
    let mut network = acquainted(&Configuration { egress: limits, ..configuration() });
    for _ in 0..3 {
        assert!(receive(&mut network, 0, &frame(1, &icmp_message(8, 0, [0; 4], &[]))).is_none());
    }
    let counters = network.counters();
    assert_eq!((counters.icmp.echo_replies_sent, counters.icmp.not_sent), (1, 2));
}

#[test]
fn an_echo_reply_brings_back_the_recorded_route() {
    // RFC 1122 §3.2.2.6.
    let mut network = acquainted(&configuration());
    let request = icmp_message(8, 0, [0; 4], &[7; 3000]);
    let options = [7, 11, 8, 9, 9, 9, 9, 0, 0, 0, 0, 0];
    let whole = ipv4::Header { header_length: 32, total_length: 32 + request.len(), ..header(1, 0) };
    let slices: [&[u8]; 1] = [&request];
    for piece in fragment::cut(request.len(), whole.fragment_room(1500), &[], &slices) {
        let part = whole.of_fragment(&piece);
        let options = &options[..part.header_length - 20];
        let link = Header { destination: OWN_MAC, source: PEER_MAC, ether_type: EtherType::IPV4 };
        let frame = [&link.emit()[..], &part.emit(options), options, &piece.slices.concat()].concat();
        assert!(receive(&mut network, 0, &frame).is_none());
    }
    let frames = flush(&mut network);
    let packets: Vec<_> = frames.iter().map(|frame| ipv4::parse(&frame[14..]).unwrap()).collect();
    assert_eq!(packets.len(), 3);
    assert_eq!(packets[0].header_octets[20..], [7, 11, 12, 9, 9, 9, 9, 192, 0, 2, 2, 0]);
    assert_eq!(packets[1].header.header_length, 20);
    let whole: Vec<u8> = packets.iter().flat_map(|packet| packet.payload.to_vec()).collect();
    assert_eq!(super::super::icmp::parse(&whole).unwrap().data, [7; 3000]);
}
