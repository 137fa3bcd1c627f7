use super::*;
use crate::packet::ReceivedPacket;

fn packet<'f>(network: &mut Network, bytes: &'f [u8]) -> Option<ReceivedPacket<'f>> {
    match receive(network, 0, bytes)? {
        Upward::Packet(packet) => Some(packet),
        Upward::Error(error) => panic!("an error: {error:?}"),
    }
}

/// The only message that has been sent, an ICMPv6 error: type, code and pointer.
fn error(network: &mut Network) -> (u8, u8, u32) {
    let frames = flush(network);
    assert_eq!(frames.len(), 1);
    let (header, message) = message_of(&frames[0]);
    assert_eq!((header.source, header.destination), (OWN6, PEER6));
    assert!(frames[0].len() <= 14 + 1280);
    (message[0], message[1], u32::from_be_bytes(message[4..8].try_into().unwrap()))
}

#[test]
fn a_packet_comes_up_without_padding_and_extension_headers() {
    let mut network = network6();
    let payload = [&[17, 0, 1, 4, 0, 0, 0, 0][..], b"12345678"].concat();
    let header = ipv6::Header { traffic_class: 0xb9, ..header6(60, payload.len()) };
    let bytes = [ipv6_frame(&header, &payload), b"PADDING".to_vec()].concat();
    let packet = packet(&mut network, &bytes).unwrap();
    assert_eq!((packet.source, packet.destination), (PEER6.into(), OWN6.into()));
    assert_eq!((&*packet.payload, &*packet.network_header), (&b"12345678"[..], &bytes[14..62]));
    assert_eq!((packet.traffic_class, packet.group, packet.protocol), (0xb9, false, 17));
    assert_eq!(network.counters().ipv6.delivered, 1);
}

#[test]
fn own_addresses_and_groups_are_heard_and_no_other() {
    let mut network = network6();
    for (destination, group) in [
        ("2001:db8::2", Some(false)),
        ("fe80::ff:fe00:1", Some(false)),
        ("ff02::1", Some(true)),
        ("ff02::1:ff00:2", Some(true)),
        ("ff02::1:ff00:1", Some(true)),
        ("2001:db8::3", None),
        ("ff02::fb", None),
    ] {
        let bytes = ipv6_frame(&ipv6::Header { destination: destination.parse().unwrap(), ..header6(17, 0) }, &[]);
        assert_eq!(packet(&mut network, &bytes).map(|packet| packet.group), group, "{destination}");
    }
    assert_eq!(network.join(at(0), "ff02::fb".parse().unwrap()), Ok(()));
    let bytes = ipv6_frame(&ipv6::Header { destination: "ff02::fb".parse().unwrap(), ..header6(17, 0) }, &[]);
    assert!(packet(&mut network, &bytes).is_some());
    assert!(network.leave(at(0), "ff02::fb".parse().unwrap()));
    assert!(packet(&mut network, &bytes).is_none());
}

#[test]
fn each_discard_has_its_counter() {
    let mut network = network6();
    let good = frame6(17, b"12345678");
    let from = |source: &str| ipv6_frame(&ipv6::Header { source: source.parse().unwrap(), ..header6(17, 8) }, &[0; 8]);
    let mut group_frame = good.clone();
    group_frame[..6].copy_from_slice(&hardware_address_of_group(address::ALL_NODES.into()).0);
    let mut version = good.clone();
    version[14] = 0x45;
    for bytes in [
        good[..53].to_vec(),
        version,
        good[..61].to_vec(),
        from("ff02::1"),
        from("::1"),
        from("::ffff:192.0.2.1"),
        from("::"),
        from("2001:db8::2"),
        group_frame,
        frame6(59, b"nothing"),
        frame6(60, &[17, 9, 0, 0, 0, 0, 0, 0]),
    ] {
        assert!(receive(&mut network, 0, &bytes).is_none());
    }
    let ip = network.counters().ipv6;
    assert_eq!((ip.too_short, ip.bad_version, ip.bad_payload_length), (1, 1, 1));
    assert_eq!((ip.martian_source, ip.own_source, ip.group_frame), (4, 1, 1));
    assert_eq!((ip.nothing_carried, ip.bad_extension_header), (1, 1));
    assert!(flush(&mut network).is_empty(), "nothing of this is answered");
}

#[test]
fn problems_with_extension_headers_are_told_where_they_are() {
    // RFC 8200 §4.2 and §4.4, RFC 5095, RFC 4443 §3.4.
    for (next, headers, expected) in [
        (43, &[17, 0, 0, 1, 0, 0, 0, 0][..], (4, 0, 42)),
        (60, &[0, 0, 1, 4, 0, 0, 0, 0], (4, 1, 40)),
        (60, &[17, 0, 0x9e, 4, 0, 0, 0, 0], (4, 2, 42)),
        (60, &[17, 0, 0xde, 4, 0, 0, 0, 0], (4, 2, 42)),
        (60, &[17, 0, 0x1e, 9, 0, 0, 0, 0], (4, 0, 43)),
    ] {
        let mut network = acquainted6();
        assert!(receive(&mut network, 0, &frame6(next, headers)).is_none());
        assert_eq!(error(&mut network), expected, "{headers:?}");
    }
    let mut network = acquainted6();
    assert!(receive(&mut network, 0, &frame6(60, &[17, 0, 0x5e, 4, 0, 0, 0, 0])).is_none());
    assert!(flush(&mut network).is_empty(), "01: in silence");
    assert_eq!(network.counters().ipv6.unknown_option, 1);
}

#[test]
fn about_a_packet_for_a_group_only_option_10_is_told() {
    // RFC 4443 §2.4 (e.3).
    for (option, answers) in [(0x9e, 1), (0xde, 0)] {
        let mut network = acquainted6();
        let header = ipv6::Header { destination: address::ALL_NODES, ..header6(60, 8) };
        assert!(receive(&mut network, 0, &ipv6_frame(&header, &[17, 0, option, 4, 0, 0, 0, 0])).is_none());
        assert_eq!(flush(&mut network).len(), answers);
    }
}

#[test]
fn an_unknown_protocol_is_told_by_the_number_that_names_it() {
    let mut network = acquainted6();
    let bytes = frame6(60, &[[99, 0, 1, 4, 0, 0, 0, 0], [7; 8]].concat());
    let packet = packet(&mut network, &bytes).unwrap();
    network.protocol_unreachable(at(0), &packet);
    assert_eq!(error(&mut network), (4, 1, 40));
}

#[test]
fn errors_quote_as_much_as_1280_octets_hold_and_are_limited() {
    let mut network = acquainted6();
    let bytes = frame6(17, &[5; 1400]);
    for _ in 0..100 {
        let packet = packet(&mut network, &bytes).unwrap();
        network.port_unreachable(at(0), &packet);
    }
    let frames = flush(&mut network);
    assert_eq!(frames.len(), 20, "the burst for one network");
    assert_eq!(frames[0].len(), 14 + 1280);
    assert_eq!(message_of(&frames[0]).1[..2], [1, 4]);
    assert_eq!(frames[0][62..], bytes[14..14 + 1232]);
    assert_eq!(network.counters().icmpv6.limited, 80);
}

#[test]
fn no_error_is_answered_by_an_error() {
    // RFC 4443 §2.4 (e.1), (e.2).
    let mut network = acquainted6();
    for kind in [1, 137] {
        let message = [kind, 0, 0, 0, 0, 0, 0, 0];
        let bytes = frame6(58, &message);
        let received = ReceivedPacket {
            source: PEER6.into(),
            destination: OWN6.into(),
            link_source: PEER_MAC,
            group: false,
            protocol: 58,
            traffic_class: 0,
            checksum_valid: true,
            segment_size: None,
            payload: crate::Payload::Lent(&message),
            network_header: crate::Payload::Lent(&bytes[14..54]),
        };
        network.port_unreachable(at(0), &received);
    }
    assert!(flush(&mut network).is_empty());
}

#[test]
fn fragments_come_up_as_one_packet() {
    let mut network = network6();
    let data: Vec<u8> = (0..40).collect();
    let frames = fragments(17, &data, 24, 1);
    assert!(receive(&mut network, 0, &frames[1]).is_none());
    let packet = packet(&mut network, &frames[0]).unwrap();
    assert_eq!((&*packet.payload, packet.protocol, packet.checksum_valid), (&data[..], 17, false));
}

#[test]
fn headers_behind_the_fragment_header_are_walked_when_the_whole_is_there() {
    let mut network = network6();
    let data = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &[7; 40]].concat();
    let frames = fragments(60, &data, 24, 1);
    assert!(receive(&mut network, 0, &frames[0]).is_none());
    let packet = packet(&mut network, &frames[1]).unwrap();
    assert_eq!((&*packet.payload, packet.protocol), (&[7; 40][..], 17));
    assert_eq!(packet.network_header.len(), 56);
}

#[test]
fn overlapping_fragments_make_the_packet_void() {
    // RFC 5722.
    let mut network = network6();
    let part = |offset, data: &[u8], more| {
        let header = FragmentHeader { next_header: 17, offset, more, identification: 1 };
        frame6(44, &[&header.emit()[..], data].concat())
    };
    assert!(receive(&mut network, 0, &part(0, &[1; 24], true)).is_none());
    assert!(receive(&mut network, 0, &part(16, &[2; 16], true)).is_none());
    assert!(receive(&mut network, 0, &part(24, &[3; 8], false)).is_none());
    assert_eq!(network.counters().reassembly.overlapping, 1);
    network.expire(at(60_000));
    assert!(flush(&mut network).is_empty());
}

#[test]
fn an_atomic_fragment_does_not_touch_others() {
    // RFC 6946 §4: with the same identification as a packet in pieces.
    let mut network = network6();
    let pieces = fragments(17, &[1; 40], 24, 7);
    let atomic = fragments(17, &[2; 16], 24, 7);
    assert!(receive(&mut network, 0, &pieces[0]).is_none());
    assert_eq!(&*packet(&mut network, &atomic[0]).unwrap().payload, [2; 16]);
    assert_eq!(&*packet(&mut network, &pieces[1]).unwrap().payload, [1; 40]);
    assert_eq!(network.counters().ipv6.atomic_fragments, 1);
}

#[test]
fn a_fragment_that_cannot_be_is_told_where() {
    // RFC 8200 §4.5, RFC 7112.
    for (header, length, expected) in [
        (FragmentHeader { next_header: 17, offset: 8, more: true, identification: 1 }, 9, (4, 0, 4)),
        (FragmentHeader { next_header: 17, offset: 65_528, more: false, identification: 1 }, 8, (4, 0, 42)),
        (FragmentHeader { next_header: 6, offset: 0, more: true, identification: 1 }, 16, (4, 3, 0)),
        (FragmentHeader { next_header: 60, offset: 0, more: true, identification: 1 }, 8, (4, 3, 0)),
        (FragmentHeader { next_header: 44, offset: 0, more: true, identification: 1 }, 8, (4, 1, 40)),
    ] {
        let mut network = acquainted6();
        let data = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &[0; 8]].concat();
        assert!(receive(&mut network, 0, &frame6(44, &[&header.emit()[..], &data[..length]].concat())).is_none());
        assert_eq!(error(&mut network), expected, "{header:?}");
        assert_eq!(network.reassembly.memory(), 0);
    }
}

#[test]
fn an_incomplete_packet_has_sixty_seconds() {
    // RFC 8200 §4.5.
    let mut network = acquainted6();
    let frames = fragments(17, &[1; 40], 24, 7);
    assert!(receive(&mut network, 0, &frames[0]).is_none());
    network.expire(at(59_999));
    flush(&mut network);
    assert_eq!(network.counters().reassembly.timed_out, 0);
    network.expire(at(60_000));
    assert_eq!(network.counters().reassembly.timed_out, 1);
    assert_eq!(network.counters().icmpv6.errors_sent, 1);
}

#[test]
fn echoes_come_back_from_where_they_went_to() {
    // RFC 4443 §4.2.
    let mut network = acquainted6();
    assert!(receive(&mut network, 0, &icmp6(PEER6, OWN6, 64, &echo(b"data"))).is_none());
    assert!(receive(&mut network, 0, &icmp6(PEER6, address::ALL_NODES, 64, &echo(b"data"))).is_none());
    let frames = flush(&mut network);
    assert_eq!(frames.len(), 2);
    for frame in &frames {
        let (header, message) = message_of(frame);
        assert_eq!((header.source, header.destination, header.hop_limit), (OWN6, PEER6, 64));
        assert_eq!((&message[..2], &message[4..]), (&[129, 0][..], &b"\x01\x02\x03\x04data"[..]));
    }
    let mut bad = icmp6(PEER6, OWN6, 64, &echo(b"data"));
    bad[60] ^= 1;
    assert!(receive(&mut network, 0, &bad).is_none());
    assert_eq!(network.counters().icmpv6.bad_checksum, 1);
    assert!(flush(&mut network).is_empty());
}

#[test]
fn a_large_echo_comes_back_in_fragments_that_become_whole() {
    let mut network = acquainted6();
    let data: Vec<u8> = (0..65_000).map(|at| at as u8).collect();
    let request = checked(PEER6, OWN6, &echo(&data));
    for frame in fragments(58, &request, 1448, 9) {
        assert!(receive(&mut network, 0, &frame).is_none());
    }
    let frames = flush(&mut network);
    let mut reply = vec![0; 65_008];
    let mut identifications = std::collections::HashSet::new();
    for frame in &frames {
        assert!(frame.len() <= 1514);
        let packet = ipv6::parse(&frame[14..]).unwrap();
        let Ok(extension::Carried::Fragment { fragment, offset }) = extension::walk_packet(packet.octets) else {
            panic!("no fragment");
        };
        assert_eq!((offset, fragment.next_header), (40, 58));
        identifications.insert(fragment.identification);
        let part = &packet.octets[48..];
        reply[fragment.offset..fragment.offset + part.len()].copy_from_slice(part);
    }
    assert_eq!((identifications.len(), reply[0]), (1, 129));
    assert_eq!(reply[8..], data);
    assert_eq!(checked(OWN6, PEER6, &reply), reply);
}

#[test]
fn a_packet_too_big_lowers_the_path_when_a_transport_believes_it() {
    // RFC 8201 §4.
    let mut network = acquainted6();
    let quoted_header = ipv6::Header { source: OWN6, destination: PEER6, ..header6(6, 1460) };
    let report = |mtu: u32| {
        let message = [&[2, 0, 0, 0][..], &mtu.to_be_bytes(), &quoted_header.emit(), &[0; 20]].concat();
        icmp6(PEER6, OWN6, 64, &message)
    };
    let bytes = report(1300);
    let Some(Upward::Error(error)) = receive(&mut network, 0, &bytes) else { panic!("no error") };
    assert_eq!((error.local, error.remote, error.protocol), (OWN6.into(), PEER6.into(), 6));
    network.lower_path_mtu(at(0), error.remote, 1300);
    assert_eq!(network.path_mtu(at(0), PEER6.into()), 1300);
    assert!(receive(&mut network, 0, &report(1279)).is_none());
    assert_eq!(network.counters().icmpv6.implausible_mtu, 1);
}

#[test]
fn segments_are_left_to_the_device_and_flows_are_labelled() {
    let offload = OffloadCapabilities { checksum: true, segmentation: Some(65_535) };
    let mut network = quiet(&Configuration { offload, ..configuration6() });
    let solicitation = ndp::neighbor_solicitation(OWN6, Some(PEER_MAC));
    assert!(receive(&mut network, 0, &icmp6(PEER6, OWN6, 255, &solicitation)).is_none());
    flush(&mut network);
    let mut wire = Wire::default();
    let mut send = |network: &mut Network, port: u8, data: &[u8], size| {
        network.output(at(0), &mut wire).send(OutgoingPacket {
            source: OWN6.into(),
            destination: PEER6.into(),
            protocol: 6,
            hop_limit: 64,
            traffic_class: 0,
            dont_fragment: true,
            header: &mut [0, 80, 0x12, port, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x90, 0xff, 0xff, 0, 0, 0, 0],
            checksum_offset: 16,
            payload: &[data],
            segment_size: size,
        })
    };
    assert_eq!(send(&mut network, 1, &[1; 40_000], Some(1440)), Ok(()));
    assert_eq!(send(&mut network, 1, &[1; 1440], Some(1440)), Ok(()));
    assert_eq!(send(&mut network, 2, &[1; 10], None), Ok(()));
    assert_eq!(send(&mut network, 1, &[1; 40_000], Some(1441)), Err(SendFailure::TooLarge));
    let frame = &wire.frames[0];
    let segmentation = frame.offload.segmentation.unwrap();
    assert_eq!((segmentation.kind, segmentation.segment_size), (crate::Segmentation::Tcp6, 1440));
    assert_eq!((segmentation.header_length, segmentation.congestion_window_reduced), (74, true));
    let part = frame.offload.checksum.unwrap();
    assert_eq!((part.start, part.offset), (54, 16));
    // What the device does gives the checksum of the whole.
    let mut octets = frame.octets.clone();
    let sum = checksum::checksum(&octets[54..]).to_be_bytes();
    octets[70..72].copy_from_slice(&sum);
    let mut sum = checksum::Sum::pseudo_header(OWN6.into(), PEER6.into(), 6, 40_020);
    sum.add(&octets[54..]);
    assert_eq!(sum.checksum(), 0);
    let labels: Vec<u32> =
        wire.frames.iter().map(|frame| ipv6::parse(&frame.octets[14..]).unwrap().header.flow_label).collect();
    assert!(labels[0] == labels[1] && labels[0] != labels[2] && labels[0] != 0, "{labels:?}");
}
