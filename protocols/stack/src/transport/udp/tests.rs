use super::*;
use crate::{HardwareAddress, Payload};
use proptest::prelude::*;
use std::net::Ipv4Addr;

const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const BROADCAST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);

fn udp() -> Udp {
    Udp::new([5; 32])
}

/// A datagram from port 1000 of the peer with its checksum.
fn datagram(destination: Ipv4Addr, port: u16, data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len()) as u16;
    let mut bytes = [&1000u16.to_be_bytes()[..], &port.to_be_bytes(), &length.to_be_bytes(), &[0, 0], data].concat();
    let mut sum = checksum::Sum::pseudo_header(PEER.into(), destination.into(), 17, bytes.len());
    sum.add(&bytes);
    bytes[6..8].copy_from_slice(&sum.checksum().to_be_bytes());
    bytes
}

fn packet(destination: Ipv4Addr, bytes: &[u8]) -> ReceivedPacket<'_> {
    ReceivedPacket {
        source: PEER.into(),
        destination: destination.into(),
        link_source: HardwareAddress([2; 6]),
        group: destination != OWN,
        protocol: 17,
        traffic_class: 0,
        checksum_valid: false,
        segment_size: None,
        payload: Payload::Lent(bytes),
        network_header: Payload::EMPTY,
    }
}

fn receiver(udp: &mut Udp, destination: Ipv4Addr, port: u16) -> Option<SocketId> {
    match udp.receive(packet(destination, &datagram(destination, port, b"data"))) {
        Ok(Delivery::Datagram { socket, .. }) => Some(socket),
        Ok(Delivery::Stream { .. }) => panic!("a stream"),
        Err(_) => None,
    }
}

/// Remembers what was sent.
#[derive(Default)]
struct Sink {
    sent: Vec<(IpAddr, u8, Vec<u8>)>,
    failure: Option<SendFailure>,
}

impl PacketSink for Sink {
    fn send(&mut self, packet: OutgoingPacket<'_>) -> Result<(), SendFailure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let octets = [packet.header.to_vec(), packet.payload.concat()].concat();
        self.sent.push((packet.destination, packet.hop_limit, octets));
        Ok(())
    }

    fn path_mtu(&self, _: IpAddr) -> usize {
        1500
    }

    fn segmentation_limit(&self) -> Option<usize> {
        None
    }
}

#[test]
fn a_datagram_is_handed_to_the_socket_of_its_port() {
    let mut udp = udp();
    let socket = udp.bind(Some(OWN.into()), 53).unwrap();
    // Octets behind the length belong to nobody.
    let bytes = [datagram(OWN, 53, b"question"), b"trailer".to_vec()].concat();
    let Ok(Delivery::Datagram { socket: to, local, remote, payload, .. }) = udp.receive(packet(OWN, &bytes)) else {
        panic!("not delivered")
    };
    assert_eq!((to, &*payload), (socket, &b"question"[..]));
    assert_eq!((local, remote), ((OWN, 53).into(), (PEER, 1000).into()));
    assert_eq!(udp.counters().delivered, 1);
}

#[test]
fn an_address_takes_precedence_over_all_and_a_group_needs_one_of_them() {
    let mut udp = udp();
    let all = udp.bind(None, 69).unwrap();
    let own = udp.bind(Some(OWN.into()), 69).unwrap();
    assert_eq!(receiver(&mut udp, OWN, 69), Some(own));
    assert_eq!(receiver(&mut udp, BROADCAST, 69), Some(all));
    let group = udp.bind(Some(BROADCAST.into()), 69).unwrap();
    assert_eq!(receiver(&mut udp, BROADCAST, 69), Some(group));
    assert!(udp.unbind(all) && udp.unbind(group) && !udp.unbind(group));
    assert_eq!(receiver(&mut udp, BROADCAST, 69), None);
    assert_eq!(receiver(&mut udp, OWN, 69), Some(own));
}

#[test]
fn ports_are_taken_once() {
    let mut udp = udp();
    let socket = udp.bind(None, 53).unwrap();
    assert_eq!(udp.bind(None, 53), Err(BindError::InUse));
    assert_eq!(udp.bind(None, 0), Err(BindError::PortZero));
    assert!(udp.sockets().any(|row| (row.id, row.address, row.port) == (socket, None, 53)));
    assert!(udp.unbind(socket));
    assert_ne!(udp.bind(None, 53), Ok(socket), "a name is not used again");
}

#[test]
fn ephemeral_ports_are_free_random_and_run_out() {
    // RFC 6056 §3.3.1.
    let mut udp = udp();
    let taken = udp.bind(None, 50_000).unwrap();
    let mut ports = std::collections::HashSet::new();
    for _ in 0..16_383 {
        let (socket, port) = udp.bind_ephemeral(Some(OWN.into())).unwrap();
        assert!(udp.sockets().any(|row| (row.id, row.address, row.port) == (socket, Some(OWN.into()), port)));
        assert!(port >= 49_152 && port != 50_000 && ports.insert(port));
    }
    assert_eq!(udp.bind_ephemeral(Some(OWN.into())), Err(BindError::NoPortFree));
    assert!(udp.unbind(taken));
    assert!(udp.bind_ephemeral(Some(OWN.into())).is_ok());
    let first = |seed: u8| Udp::new([seed; 32]).bind_ephemeral(None).unwrap().1;
    assert_ne!(first(1), first(2));
}

#[test]
fn each_discard_has_its_counter() {
    let mut udp = udp();
    udp.bind(None, 53).unwrap();
    let good = datagram(OWN, 53, b"data");
    let change = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        bytes
    };
    let mut port_zero = change(0, 0);
    port_zero[1] = 0;
    for bytes in [good[..7].to_vec(), change(5, 7), change(5, 13), change(11, 0), port_zero] {
        assert!(matches!(udp.receive(packet(OWN, &bytes)), Err(Refused::Discarded)));
    }
    let joined = ReceivedPacket { segment_size: Some(2), ..packet(OWN, &good) };
    assert!(matches!(udp.receive(joined), Err(Refused::Discarded)));
    let bytes = datagram(OWN, 54, b"data");
    let Err(Refused::PortUnreachable(back)) = udp.receive(packet(OWN, &bytes)) else { panic!("not refused") };
    assert_eq!(&*back.payload, &bytes[..]);
    let counters = udp.counters();
    assert_eq!((counters.too_short, counters.bad_length, counters.bad_checksum), (1, 2, 1));
    assert_eq!((counters.port_zero, counters.joined, counters.no_port), (1, 1, 1));
    assert_eq!((counters.received, counters.delivered), (7, 0));
}

#[test]
fn a_checksum_of_nought_means_none_and_a_verified_one_is_not_looked_at() {
    // RFC 768.
    let mut udp = udp();
    udp.bind(None, 53).unwrap();
    let mut bytes = datagram(OWN, 53, b"data");
    bytes[6..8].fill(0);
    assert!(udp.receive(packet(OWN, &bytes)).is_ok());
    let v6 = ReceivedPacket { source: std::net::Ipv6Addr::LOCALHOST.into(), ..packet(OWN, &bytes) };
    assert!(udp.receive(v6).is_err(), "RFC 8200 §8.1");
    bytes[6] = 9;
    assert!(udp.receive(ReceivedPacket { checksum_valid: true, ..packet(OWN, &bytes) }).is_ok());
}

#[test]
fn a_datagram_is_sent_with_its_header() {
    let mut udp = udp();
    let mut sink = Sink::default();
    let (local, remote) = (SocketAddr::from((OWN, 53)), SocketAddr::from((PEER, 1000)));
    assert_eq!(udp.send(local, remote, &[b"ans", b"wer"], &mut sink), Ok(()));
    assert_eq!(udp.send(local, (Ipv4Addr::new(224, 0, 0, 251), 5353).into(), &[], &mut sink), Ok(()));
    assert_eq!(sink.sent[0].2, b"\x00\x35\x03\xe8\x00\x0e\x00\x00answer");
    assert_eq!((sink.sent[0].1, sink.sent[1].1), (64, 1), "RFC 1112 §6.1");
    let large = vec![0; 65_528];
    assert_eq!(udp.send(local, remote, &[&large], &mut sink), Err(SendFailure::TooLarge));
    for failure in [SendFailure::NoRoute, SendFailure::DeviceFull] {
        sink.failure = Some(failure);
        assert_eq!(udp.send(local, remote, &[], &mut sink), Err(failure));
    }
    assert_eq!((udp.counters().sent, udp.counters().not_sent), (2, 2));
}

#[test]
fn an_icmp_error_reaches_the_socket_that_is_open() {
    let mut udp = udp();
    let socket = udp.bind(None, 53).unwrap();
    let error = ReceivedError {
        local: OWN.into(),
        remote: PEER.into(),
        protocol: 17,
        kind: ErrorKind::Refused,
        quoted: &[0, 53, 3, 232, 0, 8, 0, 0],
    };
    let event = Event::Unreachable { socket, local: (OWN, 53).into(), remote: (PEER, 1000).into() };
    assert_eq!(udp.receive_error(&error), Some(event));
    let too_big = ReceivedError { kind: ErrorKind::PacketTooBig(1000), ..error };
    assert!(udp.sent_by(&too_big).is_some());
    assert_eq!(udp.receive_error(&too_big), None);
    let other = ReceivedError { quoted: &[0, 54, 3, 232, 0, 8, 0, 0], ..error };
    assert_eq!(udp.receive_error(&other), None);
    assert_eq!((udp.counters().errors_received, udp.counters().unknown_error), (2, 1));
}

proptest! {
    #[test]
    fn any_octets_are_refused_or_delivered_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut udp = udp();
        udp.bind(None, 53).unwrap();
        let _ = udp.receive(packet(OWN, &bytes));
    }
}
