//! The TAP and the host's end of it, against the running kernel.
//!
//! Each test runs itself again in a network namespace of its own, so that no interface of the machine is touched. That
//! takes root, or user namespaces, and `/dev/net/tun`; where they are missing the test fails and says so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::env;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use tapster::link::{
    Features, HostEnd, HostError, InterfaceAddress, LinkKind, OpenError, ReceiveBuffer, Settings, Tap, host,
};
use tapster_stack::{ChecksumOffload, FrameSink, Offload, Segmentation, SegmentationOffload};

/// Set in the environment of a test that is inside its namespace.
const INSIDE: &str = "TAPSTER_TEST_NAMESPACE";
/// How long the kernel may take for something that it does at once.
const PATIENCE: Duration = Duration::from_secs(10);

const NAME: &str = "tap0";
const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const OUR_HARDWARE: [u8; 6] = [0x02, 0x54, 0x41, 0x50, 0x53, 0x02];
const UDP_HEADERS: usize = 14 + 20 + 8;

/// Runs `body` in a new network namespace, in a process of its own.
fn in_namespace(test: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let namespaces = if rustix::process::geteuid().is_root() { "-n" } else { "-Urn" };
    let output = Command::new("unshare")
        .arg(namespaces)
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, test)
        .output()
        .expect("this test needs `unshare` (util-linux)");
    assert!(
        output.status.success(),
        "in a namespace made by `unshare {namespaces}` (it takes root or user namespaces):\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    // A filter that matches nothing is no failure to the test harness.
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{test} is not the test's name");
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("this test needs `ip` (iproute2)");
    assert!(status.success(), "ip {arguments}");
}

fn settings(offload: bool) -> Settings {
    Settings { name: NAME.to_owned(), mtu: 1500, offload }
}

fn host_addresses() -> [InterfaceAddress; 2] {
    [
        InterfaceAddress { address: HOST.into(), prefix_length: 24 },
        InterfaceAddress { address: "2001:db8:77::1".parse().unwrap(), prefix_length: 64 },
    ]
}

/// A wire with both ends up.
struct Wire {
    tap: Tap,
    poll: Poll,
    buffer: ReceiveBuffer,
}

impl Wire {
    fn new(offload: bool) -> Self {
        let mut tap = Tap::open(&settings(offload)).unwrap();
        let end = HostEnd { name: NAME, mtu: 1500, addresses: &host_addresses(), bridge: None };
        host::configure(&end).unwrap();
        let poll = Poll::new().unwrap();
        poll.registry().register(&mut tap, Token(0), Interest::READABLE).unwrap();
        Self { tap, poll, buffer: ReceiveBuffer::default() }
    }

    /// The first frame that `wanted` takes, with the checksum and segment size that came with it.
    fn expect(&mut self, wanted: impl Fn(&[u8]) -> bool) -> (Vec<u8>, bool, Option<u16>) {
        let deadline = Instant::now() + PATIENCE;
        let mut events = Events::with_capacity(4);
        loop {
            while let Some(frame) = self.tap.receive(&mut self.buffer).unwrap() {
                if wanted(frame.bytes) {
                    return (frame.bytes.to_vec(), frame.transport_checksum_valid, frame.segment_size);
                }
            }
            let left = deadline.checked_duration_since(Instant::now()).expect("the frame did not come");
            self.poll.poll(&mut events, Some(left)).unwrap();
        }
    }

    fn send(&mut self, frame: &[u8]) {
        self.tap.send(frame, &[], Offload::default()).unwrap();
    }

    /// Asks for the host's hardware address and waits for the answer.
    fn resolve_host(&mut self) -> [u8; 6] {
        self.send(&arp(1, [0xff; 6], [0; 6]));
        let is_reply =
            |frame: &[u8]| frame[12..14] == [8, 6] && frame[20..22] == [0, 2] && frame[28..32] == HOST.octets();
        let (reply, ..) = self.expect(is_reply);
        assert_eq!(reply[..6], OUR_HARDWARE);
        reply[22..28].try_into().unwrap()
    }

    /// Has the host send a datagram to us, and returns its frame.
    fn datagram_from_host(&mut self, payload: &[u8]) -> (Vec<u8>, bool, Option<u16>) {
        let socket = UdpSocket::bind((HOST, 4000)).unwrap();
        socket.send_to(payload, (OURS, 5000)).unwrap();
        let (request, ..) = self.expect(|frame| frame[12..14] == [8, 6] && frame[38..42] == OURS.octets());
        let host_hardware = request[6..12].try_into().unwrap();
        self.send(&arp(2, host_hardware, host_hardware));
        self.expect(|frame| frame[12..14] == [8, 0] && frame[23] == 17)
    }
}

/// An ARP packet from us about the host's address (RFC 826).
fn arp(operation: u8, destination: [u8; 6], target: [u8; 6]) -> Vec<u8> {
    let mut frame = [&destination[..], &OUR_HARDWARE, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation]].concat();
    frame.extend([&OUR_HARDWARE[..], &OURS.octets(), &target, &HOST.octets()].concat());
    frame
}

/// The one's complement sum of RFC 1071, folded, without the final complement.
fn sum(octets: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = octets.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    u16::try_from(sum).unwrap()
}

/// The pseudo-header of a UDP datagram over IPv4 (RFC 768).
fn pseudo_header(source: &[u8], destination: &[u8], length: u16) -> Vec<u8> {
    [source, destination, &[0, 17], &length.to_be_bytes()].concat()
}

/// The headers of a datagram from us to port 7000 of the host, its checksum partial.
fn udp_headers(host_hardware: [u8; 6], payload: usize) -> Vec<u8> {
    let length = u16::try_from(8 + payload).unwrap();
    let mut ip = [&[0x45, 0][..], &(20 + length).to_be_bytes(), &[0, 0, 0, 0, 64, 17, 0, 0]].concat();
    ip.extend([OURS.octets(), HOST.octets()].concat());
    let checksum = !sum(&ip);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let partial = sum(&pseudo_header(&OURS.octets(), &HOST.octets(), length));
    let mut headers = [&host_hardware[..], &OUR_HARDWARE, &[8, 0], &ip].concat();
    headers.extend([5000_u16, 7000, length, partial].iter().flat_map(|field| field.to_be_bytes()));
    headers
}

const PARTIAL_CHECKSUM: Option<ChecksumOffload> = Some(ChecksumOffload { start: 34, offset: 6 });

fn host_socket() -> UdpSocket {
    let socket = UdpSocket::bind((HOST, 7000)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn drop_network_administration() {
    let mut sets = capabilities(None).unwrap();
    sets.effective -= CapabilitySet::NET_ADMIN;
    sets.permitted -= CapabilitySet::NET_ADMIN;
    set_capabilities(None, sets).unwrap();
}

fn open_error(offload: bool) -> OpenError {
    match Tap::open(&settings(offload)) {
        Ok(_) => panic!("{NAME} was opened"),
        Err(error) => error,
    }
}

#[test]
fn the_host_answers_on_the_wire() {
    in_namespace("the_host_answers_on_the_wire", || {
        for offload in [true, false] {
            let mut wire = Wire::new(offload);
            // The kernel refuses an address that it is still looking for duplicates of.
            UdpSocket::bind("[2001:db8:77::1]:0").unwrap();
            wire.resolve_host();
            let counters = wire.tap.counters();
            assert_eq!((counters.frames_sent, counters.octets_sent), (1, 42));
            assert!(counters.frames_received >= 1 && counters.octets_received >= 42);
            assert_eq!((counters.send_errors, counters.full, counters.receive_errors), (0, 0, 0));
        }
    });
}

#[test]
fn the_kernel_completes_a_checksum_and_cuts_a_datagram() {
    in_namespace("the_kernel_completes_a_checksum_and_cuts_a_datagram", || {
        let mut wire = Wire::new(true);
        let Features { checksum, tcp_segmentation, udp_segmentation } = wire.tap.features();
        assert!(checksum && tcp_segmentation);
        assert!(udp_segmentation, "this test needs Linux 6.2 or later");
        let host = wire.resolve_host();
        let socket = host_socket();
        // The last segment is a short one.
        let payload: Vec<u8> = (0..9_500_u32).map(|position| (position % 251) as u8).collect();
        let segmentation = SegmentationOffload {
            kind: Segmentation::Udp,
            segment_size: 1000,
            header_length: UDP_HEADERS as u16,
            congestion_window_reduced: false,
        };
        let offload = Offload { checksum: PARTIAL_CHECKSUM, segmentation: Some(segmentation) };
        let (first, second) = payload.split_at(3_333);
        wire.tap.send(&udp_headers(host, payload.len()), &[first, second], offload).unwrap();
        let mut room = [0; 2000];
        for expected in payload.chunks(1000) {
            let (length, peer) = socket.recv_from(&mut room).unwrap();
            assert_eq!(&room[..length], expected);
            assert_eq!(peer, SocketAddr::from((OURS, 5000)));
        }
        assert_eq!(wire.tap.counters().segments_saved, 9);
        assert_eq!(wire.tap.counters().send_errors, 0);
    });
}

#[test]
fn a_payload_in_many_pieces_goes_out_as_one_frame() {
    in_namespace("a_payload_in_many_pieces_goes_out_as_one_frame", || {
        let mut wire = Wire::new(true);
        let host = wire.resolve_host();
        let socket = host_socket();
        let payload: Vec<u8> = (0..1000_u32).map(|position| (position % 251) as u8).collect();
        let offload = Offload { checksum: PARTIAL_CHECKSUM, segmentation: None };
        for pieces in [1, 12, 13, 14, 15, 100] {
            let slices: Vec<&[u8]> = payload.chunks(payload.len().div_ceil(pieces)).collect();
            wire.tap.send(&udp_headers(host, payload.len()), &slices, offload).unwrap();
            let mut room = [0; 2000];
            let length = socket.recv(&mut room).unwrap();
            assert_eq!(room[..length], payload);
        }
    });
}

#[test]
fn the_host_leaves_checksums_undone_with_offload_only() {
    in_namespace("the_host_leaves_checksums_undone_with_offload_only", || {
        ip("tuntap add dev tap0 mode tap");
        // The second opening finds the mask that the first one left on the interface, and must clear it.
        for offload in [true, false] {
            let mut wire = Wire::new(offload);
            let (frame, checksum_valid, segment_size) = wire.datagram_from_host(b"over the wire");
            assert_eq!(segment_size, None);
            assert_eq!(&frame[UDP_HEADERS..], b"over the wire");
            assert_eq!(checksum_valid, offload);
            let mut summed = pseudo_header(&frame[26..30], &frame[30..34], 8 + 13);
            summed.extend(&frame[34..]);
            assert_eq!(sum(&summed) == 0xffff, !offload, "the checksum in the frame is complete without offload");
            drop(wire);
            // A new wire starts with a new neighbour cache.
            ip("neigh flush all");
            ip("link set tap0 down");
        }
    });
}

/// A TCP segment from us without data, in answer to the host's SYN: SYN and ACK, a window of 65,535, an MSS of 1000.
fn syn_ack(syn: &[u8]) -> Vec<u8> {
    let mut ip = [&[0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0, 0][..], &OURS.octets(), &HOST.octets()].concat();
    let checksum = !sum(&ip);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let acknowledgement = u32::from_be_bytes(syn[38..42].try_into().unwrap()).wrapping_add(1);
    let partial = sum(&[&OURS.octets()[..], &HOST.octets(), &[0, 6, 0, 24]].concat());
    let mut frame = [&syn[6..12], &OUR_HARDWARE, &[8, 0], &ip, &syn[36..38], &syn[34..36], &[0, 0, 0, 1]].concat();
    frame.extend([&acknowledgement.to_be_bytes()[..], &[0x60, 0x12, 0xff, 0xff], &partial.to_be_bytes()].concat());
    frame.extend([0, 0, 2, 4, 0x03, 0xe8]);
    frame
}

#[test]
fn the_host_sends_segments_uncut() {
    in_namespace("the_host_sends_segments_uncut", || {
        let mut wire = Wire::new(true);
        let client = std::thread::spawn(|| {
            let mut stream = TcpStream::connect((OURS, 80)).unwrap();
            stream.write_all(&[0x55; 8000]).unwrap();
            stream
        });
        let (request, ..) = wire.expect(|frame| frame[12..14] == [8, 6] && frame[38..42] == OURS.octets());
        let host_hardware = request[6..12].try_into().unwrap();
        wire.send(&arp(2, host_hardware, host_hardware));
        let is_tcp = |frame: &[u8]| frame[12..14] == [8, 0] && frame[23] == 6;
        let (syn, ..) = wire.expect(|frame| is_tcp(frame) && frame[47] == 0x02);
        let offload = Offload { checksum: Some(ChecksumOffload { start: 34, offset: 16 }), segmentation: None };
        wire.tap.send(&syn_ack(&syn), &[], offload).unwrap();
        let (frame, checksum_valid, segment_size) = wire.expect(|frame| is_tcp(frame) && frame.len() > 1514);
        assert!(checksum_valid);
        assert_eq!(segment_size, Some(1000));
        assert_eq!(frame.last(), Some(&0x55));
        drop(client.join().unwrap());
    });
}

#[test]
fn a_second_opening_names_the_holder() {
    in_namespace("a_second_opening_names_the_holder", || {
        let _held = Tap::open(&settings(true)).unwrap();
        let error = open_error(true);
        let OpenError::Busy { holder, .. } = &error else { panic!("{error:?}") };
        assert_eq!(holder.process.as_ref().map(|(pid, _)| *pid), Some(std::process::id()));
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    });
}

#[test]
fn creating_takes_privilege_and_attaching_does_not() {
    in_namespace("creating_takes_privilege_and_attaching_does_not", || {
        let user = rustix::process::geteuid().as_raw();
        ip(&format!("tuntap add dev own mode tap user {user}"));
        let own = HostEnd { name: "own", mtu: 1400, addresses: &host_addresses(), bridge: None };
        host::configure(&own).unwrap();
        drop_network_administration();
        let error = open_error(true);
        assert!(matches!(error, OpenError::MayNotCreate { .. }), "{error:?}");
        let tap = Tap::open(&Settings { name: "own".to_owned(), mtu: 1400, offload: true }).unwrap();
        assert!(tap.features().checksum);
        // Everything is as it should be, so nothing is asked for that would take the privilege.
        host::configure(&own).unwrap();
        let error = host::configure(&HostEnd { mtu: 1500, ..own }).unwrap_err();
        assert!(matches!(error, HostError::NotPermitted { .. }), "{error:?}");
    });
}

#[test]
fn a_tap_of_another_user_is_refused() {
    assert!(rustix::process::geteuid().is_root(), "this test needs root, to make a TAP for another user");
    in_namespace("a_tap_of_another_user_is_refused", || {
        ip("tuntap add dev tap0 mode tap user 4242");
        drop_network_administration();
        let error = open_error(true);
        assert!(matches!(error, OpenError::MayNotAttach { .. }), "{error:?}");
    });
}

#[test]
fn what_is_no_tap_is_told_apart() {
    in_namespace("what_is_no_tap_is_told_apart", || {
        for (make, expected) in [
            ("tuntap add dev tap0 mode tun", LinkKind::Tun),
            ("tuntap add dev tap0 mode tap multi_queue", LinkKind::MultiQueueTap),
            ("link add tap0 type bridge", LinkKind::Bridge),
        ] {
            ip(make);
            let error = open_error(true);
            assert!(matches!(error, OpenError::NotATap { kind, .. } if kind == expected), "{make}: {error:?}");
            ip("link del tap0");
        }
    });
}

#[test]
fn a_frame_for_an_interface_that_is_down_is_lost_and_counted() {
    in_namespace("a_frame_for_an_interface_that_is_down_is_lost_and_counted", || {
        let mut tap = Tap::open(&settings(true)).unwrap();
        assert_eq!(tap.send(&arp(1, [0xff; 6], [0; 6]), &[], Offload::default()), Ok(()));
        let counters = tap.counters();
        assert_eq!((counters.frames_sent, counters.send_errors, counters.full), (0, 1, 0));
    });
}

#[test]
fn reading_from_a_deleted_interface_is_an_error() {
    in_namespace("reading_from_a_deleted_interface_is_an_error", || {
        let mut wire = Wire::new(true);
        ip("link del tap0");
        let error = loop {
            match wire.tap.receive(&mut wire.buffer) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the device says that there is nothing to read"),
                Err(error) => break error,
            }
        };
        assert_ne!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_bridge_takes_the_interface_and_the_addresses() {
    in_namespace("a_bridge_takes_the_interface_and_the_addresses", || {
        let mut wire = Wire::new(true);
        let end = HostEnd { name: NAME, mtu: 1500, addresses: &host_addresses(), bridge: Some("br0") };
        assert!(matches!(host::configure(&end), Err(HostError::NoBridge { .. })));
        ip("link add br0 type bridge");
        ip("link set br0 up");
        ip("address flush dev tap0");
        host::configure(&end).unwrap();
        host::configure(&end).unwrap();
        wire.resolve_host();
    });
}

#[test]
fn the_loopback_interface_comes_up() {
    in_namespace("the_loopback_interface_comes_up", || {
        let address = SocketAddr::from((IpAddr::from(Ipv4Addr::LOCALHOST), 9));
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        assert!(socket.send_to(b"x", address).is_err(), "a new namespace has its loopback down");
        host::bring_up_loopback().unwrap();
        host::bring_up_loopback().unwrap();
        socket.send_to(b"x", address).unwrap();
    });
}

#[test]
fn a_missing_interface_cannot_be_configured() {
    in_namespace("a_missing_interface_cannot_be_configured", || {
        let end = HostEnd { name: "nowhere", mtu: 1500, addresses: &[], bridge: None };
        let error = host::configure(&end).unwrap_err();
        assert!(matches!(error, HostError::NoInterface { .. }), "{error:?}");
    });
}
