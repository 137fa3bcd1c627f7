//! One test for a rule.

use proptest::prelude::*;
use tapster_service::SendError;

use super::*;

const READ: &[u8] = b"\0\x01f\0octet\0";

#[test]
fn a_small_file() {
    let mut lab = Lab::new("").with_file("f", "hello");
    let (tid, first) = lab.ask(READ);
    assert_eq!(first, data(1, b"hello"));
    assert_ne!(tid.port(), 69);
    assert_eq!(lab.socket.open, [tid]);
    assert_eq!(lab.answer(tid, &ack(1)), Vec::<Vec<u8>>::new());
    assert_eq!(lab.ended("read", "completed"), 1);
    assert_eq!(lab.counter("tapster_tftp_bytes_total", &["read"]), 5);
    lab.assert_empty();
}

#[test]
fn block_by_block() {
    let file = pattern(1024);
    let mut lab = Lab::new("").with_file("f", &file);
    let (tid, first) = lab.ask(READ);
    assert_eq!(first, data(1, &file[..512]));
    assert_eq!(lab.answer(tid, &ack(1)), [data(2, &file[512..])]);
    // RFC 1350 §6: a last block that is full needs an empty one after it.
    assert_eq!(lab.answer(tid, &ack(2)), [data(3, b"")]);
    assert!(lab.answer(tid, &ack(3)).is_empty());
    lab.assert_empty();
}

#[test]
fn a_text_in_netascii() {
    let mut lab = Lab::new("").with_file("f", "one\ntwo\r");
    let (tid, first) = lab.ask(b"\0\x01f\0NetASCII\0tsize\x000\0");
    assert_eq!(first, data(1, b"one\r\ntwo\r\0"), "and no OACK: the size on the wire is not known");
    lab.answer(tid, &ack(1));
    assert_eq!(lab.counter("tapster_tftp_bytes_total", &["read"]), 8);
}

#[test]
fn options_are_acknowledged_and_used() {
    let file = pattern(4000);
    let mut lab = Lab::new("").with_file("f", &file);
    let (tid, oack) = lab.ask(b"\0\x01f\0octet\0tsize\x000\0blksize\x009000\0windowsize\x002\0x\0y\0");
    assert_eq!(oack, b"\0\x06tsize\x004000\0blksize\x001468\0windowsize\x002\0");
    assert!(lab.answer(tid, &ack(1)).is_empty(), "only block 0 confirms an OACK");
    assert_eq!(lab.answer(tid, &ack(0)), [data(1, &file[..1468]), data(2, &file[1468..2936])]);
    assert_eq!(lab.answer(tid, &ack(2)), [data(3, &file[2936..])]);
    lab.answer(tid, &ack(3));
    lab.assert_empty();
}

#[test]
fn the_configuration_bounds_options() {
    let mut lab =
        Lab::new("refuse_options = [\"tsize\"]\nlimits.block_size = 8192\nlimits.window_size = 3").with_file("f", "");
    let (_, oack) = lab.ask(b"\0\x01f\0octet\0tsize\x000\0blksize\x009000\0windowsize\x009\0");
    assert_eq!(oack, b"\0\x06blksize\x008192\0windowsize\x003\0");
}

#[test]
fn a_lost_block_is_sent_again_from_there() {
    let file = pattern(8 * 512);
    let block = |n: u16| data(n, &file[usize::from(n - 1) * 512..usize::from(n) * 512]);
    let mut lab = Lab::new("").with_file("f", &file);
    let (tid, _) = lab.ask(b"\0\x01f\0octet\0windowsize\x003\0");
    assert!(lab.answer(tid, &ack(0)) == [1, 2, 3].map(block));
    assert!(lab.answer(tid, &ack(1)) == [2, 3, 4].map(block));
    assert_eq!(lab.counter("tapster_tftp_blocks_retransmitted_total", &[]), 2);
    lab.pass(Duration::from_millis(200));
    assert!(lab.payloads() == [2, 3, 4].map(block));
}

#[test]
fn duplicate_acknowledgments_send_nothing() {
    let mut lab = Lab::new("").with_file("f", pattern(5000));
    let (tid, _) = lab.ask(READ);
    assert_eq!(lab.answer(tid, &ack(1)).len(), 1);
    for old in [1, 1, 0, 3, 65_535] {
        assert!(lab.answer(tid, &ack(old)).is_empty(), "RFC 1123 §4.2.3.1: {old}");
    }
    assert_eq!(lab.answer(tid, &ack(2)).len(), 1);
}

#[test]
fn time_outs_back_off_and_end() {
    let mut lab = Lab::new("limits.retransmissions = 3").with_file("f", pattern(5000));
    let (tid, _) = lab.ask(READ);
    lab.pass(Duration::from_millis(100));
    let second = lab.answer(tid, &ack(1));
    // The round trip was 100 ms: 100 + 4 * 50 (RFC 6298 §2.2), and twice that each time.
    for wait in [300, 600, 1200] {
        lab.pass(Duration::from_millis(wait - 1));
        assert!(lab.payloads().is_empty());
        lab.pass(Duration::from_millis(1));
        assert_eq!(lab.payloads(), second);
    }
    lab.pass(Duration::from_millis(2400));
    assert_eq!(lab.ended("read", "timed_out"), 1);
    lab.assert_empty();
}

#[test]
fn the_timeout_option_fixes_the_time_out() {
    let mut lab = Lab::new("").with_file("f", pattern(5000));
    let (tid, _) = lab.ask(b"\0\x01f\0octet\0timeout\x003\0");
    let first = lab.answer(tid, &ack(0));
    for _ in 0..3 {
        lab.pass(Duration::from_millis(2999));
        assert!(lab.payloads().is_empty());
        lab.pass(Duration::from_millis(1));
        assert_eq!(lab.payloads(), first);
    }
}

#[test]
fn who_does_not_answer_gets_two_packets() {
    for request in [READ, b"\0\x01f\0octet\0windowsize\x0064\0", b"\0\x02new\0octet\0"] {
        let mut lab = Lab::new("writable = true").with_file("f", pattern(100_000));
        lab.ask(request);
        // Repeated requests do not add to it.
        lab.deliver(address(CLIENT), address(SERVER), request);
        lab.deliver(address(CLIENT), address(SERVER), request);
        lab.pass(Duration::from_secs(60));
        assert_eq!(lab.sent().len(), 1);
        lab.assert_empty();
    }
}

#[test]
fn a_repeated_request_is_the_same_transfer() {
    let mut lab = Lab::new("").with_file("f", "hello");
    let (tid, first) = lab.ask(READ);
    assert_eq!(lab.ask(READ), (tid, first));
    assert_eq!(lab.socket.open, [tid]);
    // Another request from there takes its place.
    let (other, _) = lab.ask(b"\0\x01f\0netascii\0");
    assert_eq!(lab.socket.open, [other]);
    assert_eq!(lab.ended("read", "superseded"), 1);
    // Once it has begun, the same request is a new transfer.
    let mut lab = Lab::new("").with_file("f", pattern(600));
    let (one, _) = lab.ask(READ);
    lab.answer(one, &ack(1));
    let (two, _) = lab.ask(READ);
    assert_eq!(lab.socket.open, [one, two]);
}

#[test]
fn a_stray_packet_does_not_hurt() {
    let mut lab = Lab::new("").with_file("f", pattern(600));
    let (tid, _) = lab.ask(READ);
    let stranger = address("192.0.2.66:2070");
    lab.deliver(stranger, tid, &ack(1));
    let sent = std::mem::take(&mut lab.socket.sent);
    assert_eq!((sent[0].0, sent[0].1, error(&sent[0].2).0), (tid, stranger, 5));
    lab.deliver(stranger, tid, b"\0\x05\0\0go away\0");
    assert!(lab.sent().is_empty(), "an ERROR is not answered");
    assert_eq!(lab.answer(tid, &ack(1)).len(), 1, "and the transfer goes on");
    assert_eq!(lab.counter("tapster_tftp_stray_packets_total", &[]), 2);
    // Packets other than requests have nothing to do at the listening port.
    assert_eq!(error(&lab.answer(address(SERVER), &ack(1))[0]).0, 5);
}

#[test]
fn requests_that_are_refused() {
    let mut lab = Lab::new("").with_file("f", "");
    std::fs::create_dir(lab.path("directory")).unwrap();
    let mut request = |request: &[u8]| error(&lab.ask(request).1).0;
    assert_eq!(request(b"\0\x01nothing\0octet\0"), 1);
    assert_eq!(request(b"\0\x01\0octet\0"), 1);
    assert_eq!(request(b"\0\x01../f\0octet\0"), 2);
    assert_eq!(request(b"\0\x01directory\0octet\0"), 2);
    assert_eq!(request(b"\0\x02new\0octet\0"), 2);
    assert_eq!(request(b"\0\x01f\0mail\0"), 4);
    assert_eq!(request(b"\0\x01f\0octet"), 4);
    assert_eq!(request(&[READ, &[b'x'; 512]].concat()), 4);
    assert_eq!(request(b"\0\x01f\0octet\0blksize\x008\0blksize\x009\0"), 8);
    let options: Vec<u8> = (b'a'..=b'z').flat_map(|name| [name, 0, b'1', 0]).collect();
    assert_eq!(request(&[READ, &options].concat()), 8);
    for reason in ["not_found", "name", "access", "read_only", "mode", "malformed", "request_size", "options"] {
        assert!(lab.refused(reason) > 0, "{reason}");
    }
    lab.assert_empty();
}

#[test]
fn backslashes_and_case() {
    let mut lab = Lab::new("case_insensitive = true");
    std::fs::create_dir(lab.path("Boot")).unwrap();
    std::fs::write(lab.path("Boot/Loader"), "x").unwrap();
    assert_eq!(lab.ask(b"\0\x01\\boot\\LOADER\0octet\0").1, data(1, b"x"));
}

#[test]
fn limits_on_transfers() {
    let mut lab = Lab::new("limits.transfers = 3\nlimits.transfers_per_client = 2").with_file("f", "x");
    let mut from = |client: &str| {
        lab.deliver(address(client), address(SERVER), READ);
        lab.payloads().remove(0)
    };
    assert_eq!(from("192.0.2.7:1"), data(1, b"x"));
    assert_eq!(from("192.0.2.7:2"), data(1, b"x"));
    assert_eq!(error(&from("192.0.2.7:3")).0, 0);
    assert_eq!(from("192.0.2.8:1"), data(1, b"x"));
    assert_eq!(error(&from("192.0.2.8:2")).0, 0);
    assert_eq!((lab.refused("transfers_per_client"), lab.refused("transfers")), (1, 1));
    lab.assert_empty();
    assert_eq!(lab.ask(READ).1, data(1, b"x"));
}

#[test]
fn requests_to_many_are_ignored() {
    let mut lab = Lab::new("").with_file("f", "x");
    for local in ["255.255.255.255:69", "192.0.2.255:69", "224.0.0.1:69", "[ff02::1]:69"] {
        lab.deliver(address(CLIENT), address(local), READ);
    }
    assert!(lab.sent().is_empty(), "RFC 1123 §4.2.3.5");
    assert_eq!(lab.refused("broadcast"), 4);
}

#[test]
fn a_client_that_is_gone() {
    let mut lab = Lab::new("").with_file("f", pattern(5000));
    let (tid, _) = lab.ask(READ);
    lab.unreachable(tid);
    assert_eq!(lab.ended("read", "unreachable"), 1);
    let (tid, _) = lab.ask(READ);
    assert!(lab.answer(tid, b"\0\x05\0\0no room\0").is_empty());
    assert_eq!(lab.ended("read", "aborted"), 1);
    lab.assert_empty();
}

#[test]
fn a_packet_of_the_wrong_kind_ends_the_transfer() {
    let mut lab = Lab::new("").with_file("f", pattern(5000));
    let (tid, _) = lab.ask(READ);
    assert_eq!(error(&lab.answer(tid, &data(1, b"x"))[0]).0, 4);
    assert_eq!(lab.ended("read", "failed"), 1);
    lab.assert_empty();
}

#[test]
fn one_port_for_all() {
    let mut lab = Lab::new("single_port = true").with_file("f", pattern(600));
    let (tid, first) = lab.ask(READ);
    assert_eq!(tid, address(SERVER));
    assert_eq!(lab.ask(READ), (tid, first));
    assert_eq!(lab.answer(tid, &ack(1)).len(), 1);
    assert!(lab.answer(tid, READ).is_empty(), "a copy of the request from the network");
    lab.pass(Duration::from_secs(2));
    lab.sent();
    assert_eq!(lab.ask(READ).1[..4], data(1, b"")[..], "a client that begins anew");
    lab.answer(tid, &ack(1));
    lab.answer(tid, &ack(2));
    assert_eq!((lab.ended("read", "completed"), lab.ended("read", "superseded")), (1, 1));
    assert_eq!(lab.socket.open, []);
    lab.assert_empty();
}

#[test]
fn clients_share_one_open_file() {
    let mut lab = Lab::new("").with_file("f", "x");
    lab.ask(READ);
    // The file is open: no job is needed, not even when the pool takes none.
    lab.environment.busy = true;
    for client in 1..=10 {
        lab.deliver(SocketAddr::from(([192, 0, 2, 100], client)), address(SERVER), READ);
    }
    assert_eq!(lab.payloads(), vec![data(1, b"x"); 10]);
    assert_eq!(Cache::len(&lab.server.cache), 1);
    // Another file needs a job.
    let answer = lab.ask(b"\0\x01g\0octet\0").1;
    assert_eq!((error(&answer).0, lab.refused("busy")), (0, 1));
}

#[test]
fn requests_during_the_job_share_it() {
    let mut lab = Lab::new("").with_file("f", "x");
    for client in 1..=3 {
        let remote = SocketAddr::from(([192, 0, 2, 100], client));
        let datagram = Datagram { local: address(SERVER), remote, link_address: None, payload: READ };
        let jobs = lab.environment.finished.split_off(0);
        lab.environment.with_context(|cx| lab.server.receive(datagram, &mut lab.socket, cx));
        lab.environment.finished.extend(jobs);
    }
    assert_eq!(lab.environment.finished.len(), 1);
    lab.settle();
    assert_eq!(lab.payloads(), vec![data(1, b"x"); 3]);
}

#[test]
fn what_is_not_in_memory_is_read_by_jobs() {
    let file = pattern(700_000);
    for mode in ["octet", "netascii"] {
        let mut lab = Lab::new("").with_file("f", &file);
        let (tid, _) = lab.ask(format!("\0\u{1}f\0{mode}\0blksize\x001468\0windowsize\x0016\0").as_bytes());
        lab.server.cache.always_block();
        let (mut received, mut packets) = (Vec::new(), lab.answer(tid, &ack(0)));
        while let Some(last) = packets.last() {
            let block = u16::from_be_bytes([last[2], last[3]]);
            packets.iter().for_each(|packet| received.extend_from_slice(&packet[4..]));
            packets = lab.answer(tid, &ack(block));
        }
        if mode == "octet" {
            assert!(received == file);
            let jobs = lab.counter("tapster_tftp_page_cache_misses_total", &[]);
            assert!((6..=8).contains(&jobs), "{jobs} jobs of 128 KiB");
        } else {
            let (mut decoder, mut text) = (crate::netascii::Decoder::default(), Vec::new());
            decoder.decode(&received, &mut text);
            decoder.finish(&mut text);
            assert!(text == file);
        }
        assert_eq!(lab.ended("read", "completed"), 1);
    }
}

#[test]
fn a_full_pool_delays_a_read() {
    let mut lab = Lab::new("").with_file("f", pattern(600));
    let (tid, _) = lab.ask(READ);
    lab.server.cache.always_block();
    lab.environment.busy = true;
    assert!(lab.answer(tid, &ack(1)).is_empty());
    lab.environment.busy = false;
    lab.pass(Duration::from_millis(2));
    assert_eq!(lab.payloads().len(), 1);
}

#[test]
fn a_file_that_is_cut_short() {
    for always_blocks in [false, true] {
        let mut lab = Lab::new("").with_file("f", pattern(5000));
        let (tid, _) = lab.ask(READ);
        if always_blocks {
            lab.server.cache.always_block();
        }
        std::fs::write(lab.path("f"), "short").unwrap();
        assert_eq!(error(&lab.answer(tid, &ack(1))[0]).0, 0);
        assert_eq!(lab.ended("read", "failed"), 1);
        lab.assert_empty();
    }
}

/// A socket with room for a few packets.
struct Narrow<'a> {
    socket: &'a mut TestSocket,
    room: usize,
}

impl tapster_service::DatagramSocket for Narrow<'_> {
    fn send(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Result<(), SendError> {
        self.room = self.room.checked_sub(1).ok_or(SendError::Full)?;
        self.socket.send(from, to, payload)
    }

    fn open(&mut self, local: std::net::IpAddr) -> Result<u16, SendError> {
        self.socket.open(local)
    }

    fn close(&mut self, local: SocketAddr) {
        self.socket.close(local);
    }

    fn payload_limit(&self, to: std::net::IpAddr) -> usize {
        self.socket.payload_limit(to)
    }
}

#[test]
fn a_full_device_delays_the_rest_of_a_window() {
    let mut lab = Lab::new("").with_file("f", pattern(5000));
    let (tid, _) = lab.ask(b"\0\x01f\0octet\0windowsize\x006\0");
    let payload = &ack(0)[..];
    let datagram = Datagram { local: tid, remote: address(CLIENT), link_address: None, payload };
    let mut narrow = Narrow { socket: &mut lab.socket, room: 2 };
    lab.environment.with_context(|cx| lab.server.receive(datagram, &mut narrow, cx));
    assert_eq!(lab.payloads().len(), 2);
    lab.pass(Duration::from_millis(1));
    let rest: Vec<u8> = lab.payloads().iter().map(|packet| packet[3]).collect();
    assert_eq!(rest, [3, 4, 5, 6]);
    assert_eq!(lab.counter("tapster_tftp_blocks_retransmitted_total", &[]), 0);
}

#[test]
fn no_ephemeral_port() {
    let mut lab = Lab::new("").with_file("f", "x");
    while tapster_service::DatagramSocket::open(&mut lab.socket, address(SERVER).ip()).is_ok() {}
    assert_eq!(error(&lab.ask(READ).1).0, 0);
    lab.socket.open.clear();
    lab.assert_empty();
}

#[test]
fn a_reload_takes_its_transfers_out_of_the_gauge() {
    let mut lab = Lab::new("").with_file("f", "x");
    lab.ask(READ);
    assert_eq!(lab.counter("tapster_tftp_active_transfers", &[]), 1);
    let Lab { server, registry, .. } = lab;
    drop(server);
    let lab = Lab { registry, ..Lab::new("") };
    assert_eq!(lab.counter("tapster_tftp_active_transfers", &[]), 0);
}

fn packet() -> impl Strategy<Value = Vec<u8>> {
    let options = prop_oneof![
        Just(&b""[..]),
        Just(&b"blksize\x008\0windowsize\x005\0"[..]),
        Just(&b"tsize\x0099999999999\0"[..]),
        Just(&b"timeout\x001\0"[..]),
    ];
    let request = (1..=2_u8, prop_oneof![Just("f"), Just("new"), Just("../f")], options)
        .prop_map(|(opcode, name, options)| [&[0, opcode][..], name.as_bytes(), b"\0octet\0", options].concat());
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        request,
        (0..6_u16).prop_map(ack),
        (0..6_u16, 0..600_usize).prop_map(|(block, length)| data(block, &vec![7; length])),
        Just(b"\0\x05\0\0x\0".to_vec()),
        Just(b"\0\x06x\0y\0".to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_comes_it_ends(
        single_port: bool,
        packets in proptest::collection::vec((packet(), 0..4_usize, 1..4_u16, 0..800_u64), 1..60),
    ) {
        let section = format!("writable = true\nsingle_port = {single_port}\nlimits.transfers = 5");
        let mut lab = Lab::new(&section).with_file("f", pattern(3000));
        for (packet, port, client, wait) in packets {
            let open = lab.socket.open.get(port).copied().unwrap_or_else(|| address(SERVER));
            lab.deliver(SocketAddr::from(([192, 0, 2, 9], client)), open, &packet);
            lab.pass(Duration::from_millis(wait));
        }
        lab.assert_empty();
        let left: Vec<_> = std::fs::read_dir(lab.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        prop_assert!(left.iter().all(|name| name == "f" || name == "new"), "{:?}", left);
    }
}
