use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use bytes::Bytes;
use prometheus::Registry;
use prometheus::proto::MetricFamily;
use proptest::prelude::*;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tapster_service::testing::{TestEnvironment, TestStream};
use tapster_service::{Preparation, StreamService};

use super::*;
use crate::{Limits, Metrics, Protected, TlsConfiguration, TlsService};

/// Says everything again, as far as there is room, and ends when its peer does.
#[derive(Default)]
struct Echo {
    /// Waits until so many bytes are there before any is consumed.
    at_least: usize,
    closed: Option<Closed>,
    finishes_first: bool,
}

impl Session for Echo {
    fn advance(&mut self, stream: &mut dyn ByteStream, _cx: &mut Context<'_>) -> Next {
        loop {
            let room = stream.room();
            let ended = stream.input_finished();
            let input = stream.input();
            if input.len() < self.at_least && !ended {
                return Next::input();
            }
            if input.is_empty() {
                if ended && self.finishes_first {
                    stream.finish();
                }
                return if ended { Next::Close } else { Next::input() };
            }
            if room == 0 {
                return Next::room(1);
            }
            let piece = Bytes::copy_from_slice(&input[..input.len().min(room)]);
            stream.consume(piece.len());
            stream.write(piece);
        }
    }

    fn closed(&mut self, reason: Closed, _cx: &mut Context<'_>) {
        self.closed = Some(reason);
    }
}

/// A server and what it counts.
struct Server {
    acceptor: Arc<Acceptor>,
    registry: Registry,
    root: CertificateDer<'static>,
    _directory: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::new();
        let metrics = Metrics::new(&registry, "echo").unwrap();
        let addresses = [IpAddr::from([192, 0, 2, 2])];
        let mut preparation = Preparation::new(directory.path(), &addresses, "tapster");
        let hosts = ["*.example.test".to_owned()];
        let protected = Protected { hosts: &hosts, protocols: &["echo/1"] };
        let lab = TlsConfiguration::Authority("ca".into());
        let acceptor = Acceptor::prepare(&lab, protected, limits, &metrics, &mut preparation).unwrap();
        assert_eq!(preparation.into_problems(), []);
        let root = root(&directory.path().join("ca"));
        Self { acceptor, registry, root, _directory: directory }
    }

    fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let mut configuration = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        configuration.resumption = Resumption::in_memory_sessions(8);
        configuration
    }

    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let families = self.registry.gather();
        let metrics = families.iter().filter(|family| family.name() == name).flat_map(MetricFamily::get_metric);
        let fits = |metric: &&prometheus::proto::Metric| {
            labels.iter().all(|(name, value)| {
                metric.get_label().iter().any(|label| label.name() == *name && label.value() == *value)
            })
        };
        metrics.filter(fits).map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    fn handshakes(&self, version: &str, result: &str) -> u64 {
        self.count("tapster_tls_handshakes_total", &[("version", version), ("result", result)])
    }
}

fn root(directory: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(directory.join("ca.pem")).unwrap()
}

/// A client and a session, and the wire between them.
struct Conversation {
    client: ClientConnection,
    session: TlsSession<Echo>,
    wire: TestStream,
    environment: TestEnvironment,
    received: Vec<u8>,
    client_ended: bool,
    next: Next,
}

impl Conversation {
    fn new(server: &Server, client: ClientConfig, echo: Echo) -> Self {
        let name = ServerName::try_from("www.example.test").unwrap();
        let mut environment = TestEnvironment::default();
        environment.wall_clock = std::time::SystemTime::now();
        Self {
            client: ClientConnection::new(Arc::new(client), name).unwrap(),
            session: TlsSession::new(Arc::clone(&server.acceptor), echo),
            wire: TestStream::default(),
            environment,
            received: Vec::new(),
            client_ended: false,
            next: Next::input(),
        }
    }

    /// Moves bytes both ways, in pieces of these sizes over and over, until nothing moves.
    fn run(&mut self, pieces: &[usize], room: Option<usize>) {
        let mut upward = Vec::new();
        let mut pieces = pieces.iter().copied().cycle();
        loop {
            let mut moved = false;
            while self.client.wants_write() {
                self.client.write_tls(&mut upward).unwrap();
            }
            let piece = pieces.next().unwrap().min(upward.len());
            self.wire.input.extend(upward.drain(..piece));
            self.wire.room = room;
            let waiting = self.wire.input.len();
            self.next = self.environment.advance(&mut self.session, &mut self.wire);
            moved |= piece > 0 || self.wire.input.len() < waiting;
            let output = self.wire.take_output();
            moved |= !output.is_empty();
            let mut output = &output[..];
            while !output.is_empty() {
                let size = pieces.next().unwrap();
                let mut piece = &output[..size.min(output.len())];
                output = &output[piece.len()..];
                while !piece.is_empty() {
                    self.client.read_tls(&mut piece).unwrap();
                    self.client.process_new_packets().unwrap();
                    self.read();
                }
            }
            if !moved && upward.is_empty() && !self.client.wants_write() {
                return;
            }
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.client.reader().read(&mut buffer) {
                Ok(0) => {
                    self.client_ended = true;
                    return;
                }
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(_) => return,
            }
        }
    }

    fn ended(&mut self) -> bool {
        self.wire.input_finished = true;
        self.environment.advance(&mut self.session, &mut self.wire) == Next::Close
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 31 % 251) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_same_bytes_arrive_both_ways_however_they_are_cut(
        length in 0_usize..200_000,
        pieces in prop::collection::vec(prop_oneof![1_usize..64, 1000_usize..40_000], 1..6),
        room in prop::option::of(100_usize..60_000),
        old in any::<bool>(),
        at_least in 0_usize..100_000,
        finishes_first in any::<bool>(),
    ) {
        // A cut of a few bytes is tried on short texts only, so that the test ends.
        let length = if pieces.iter().all(|piece| *piece < 64) { length / 100 } else { length };
        let server = Server::new();
        let version = if old { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
        let echo = Echo { at_least, finishes_first, ..Echo::default() };
        let mut conversation = Conversation::new(&server, server.client(&[version]), echo);
        conversation.client.set_buffer_limit(None);
        let sent = pattern(length);
        conversation.run(&pieces, room);
        prop_assert!(!conversation.client.is_handshaking());
        conversation.client.writer().write_all(&sent).unwrap();
        conversation.client.send_close_notify();
        conversation.run(&pieces, room);
        prop_assert_eq!(conversation.received.len(), sent.len());
        prop_assert!(conversation.received == sent);
        prop_assert!(conversation.client_ended, "no close_notify came");
        prop_assert!(conversation.wire.finished);
        prop_assert!(conversation.ended());
        prop_assert_eq!(server.handshakes(if old { "1.2" } else { "1.3" }, "completed"), 1);
    }

    #[test]
    fn no_input_is_taken_for_a_handshake_or_makes_it_panic(input in prop::collection::vec(any::<u8>(), 0..2000)) {
        let server = Server::new();
        let mut conversation = Conversation::new(&server, server.client(rustls::ALL_VERSIONS), Echo::default());
        conversation.wire.input = input;
        let _ = conversation.environment.advance(&mut conversation.session, &mut conversation.wire);
        prop_assert!(conversation.ended());
        prop_assert_eq!(server.count("tapster_tls_handshakes_total", &[("result", "completed")]), 0);
        prop_assert_eq!(server.count("tapster_tls_handshakes_total", &[]), 1);
    }

    #[test]
    fn a_changed_record_ends_the_connection(place in 0_usize..500, change in 1_u8..) {
        let server = Server::new();
        let mut conversation = Conversation::new(&server, server.client(rustls::ALL_VERSIONS), Echo::default());
        conversation.run(&[10_000], None);
        conversation.client.writer().write_all(&pattern(400)).unwrap();
        let mut records = Vec::new();
        conversation.client.write_tls(&mut records).unwrap();
        let place = place % records.len();
        // RFC 8446 §5.1: legacy_record_version is to be ignored.
        prop_assume!(!matches!(place, 1 | 2));
        records[place] ^= change;
        conversation.wire.input = records;
        let _ = conversation.environment.advance(&mut conversation.session, &mut conversation.wire);
        let echoed = conversation.wire.take_output();
        prop_assert!(echoed.len() < 400, "nothing that was changed may be understood");
        prop_assert!(conversation.ended());
        prop_assert!(conversation.session.inner.closed.is_some());
    }
}

#[test]
fn a_session_is_resumed_by_both_versions() {
    for (version, name) in [(&rustls::version::TLS12, "1.2"), (&rustls::version::TLS13, "1.3")] {
        let server = Server::new();
        let client = server.client(&[version]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut conversation = Conversation::new(&server, client.clone(), Echo::default());
            conversation.run(&[10_000], None);
            assert_eq!(conversation.client.handshake_kind(), Some(kind), "{name}");
        }
        assert_eq!(server.handshakes(name, "completed"), 2);
        assert_eq!(server.count("tapster_tls_resumptions_total", &[]), 1);
    }
}

#[test]
fn the_protocol_is_agreed_upon_and_another_is_refused() {
    let server = Server::new();
    let mut client = server.client(rustls::ALL_VERSIONS);
    client.alpn_protocols = vec![b"other".to_vec(), b"echo/1".to_vec()];
    let mut conversation = Conversation::new(&server, client.clone(), Echo::default());
    conversation.run(&[10_000], None);
    assert_eq!(conversation.client.alpn_protocol(), Some(&b"echo/1"[..]));
    client.alpn_protocols = vec![b"other".to_vec()];
    let mut conversation = Conversation::new(&server, client, Echo::default());
    let mut hello = Vec::new();
    conversation.client.write_tls(&mut hello).unwrap();
    conversation.wire.input = hello;
    let _ = conversation.environment.advance(&mut conversation.session, &mut conversation.wire);
    let mut alert = &conversation.wire.output[..];
    conversation.client.read_tls(&mut alert).unwrap();
    let error = conversation.client.process_new_packets().unwrap_err();
    assert_eq!(error, rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol));
    assert!(conversation.wire.finished);
    assert_eq!(server.count("tapster_tls_handshakes_total", &[("result", "refused")]), 1);
}

#[test]
fn a_handshake_that_takes_too_long_or_too_much_is_given_up() {
    let server = Server::new();
    let mut conversation = Conversation::new(&server, server.client(rustls::ALL_VERSIONS), Echo::default());
    let mut hello = Vec::new();
    conversation.client.write_tls(&mut hello).unwrap();
    conversation.wire.input = hello[..20].to_vec();
    let Next::Wait(Wait { input: true, deadline: Some(deadline), .. }) =
        conversation.environment.advance(&mut conversation.session, &mut conversation.wire)
    else {
        panic!("there is no deadline");
    };
    let limit = Limits::default().handshake_timeout;
    assert_eq!(deadline, conversation.environment.now + limit);
    conversation.environment.pass(limit);
    let _ = conversation.environment.advance(&mut conversation.session, &mut conversation.wire);
    assert!(conversation.wire.finished);
    assert_eq!(conversation.session.inner.closed, Some(Closed::TimedOut));
    assert_eq!(server.handshakes("none", "timeout"), 1);

    let server = Server::with(Limits { handshake_size: 4096, ..Limits::default() });
    let mut conversation = Conversation::new(&server, server.client(rustls::ALL_VERSIONS), Echo::default());
    // A ClientHello that says it has 60,000 bytes (RFC 8446 §4), in records of 4,000.
    let mut record = vec![22, 3, 1];
    record.extend(4000_u16.to_be_bytes());
    record.extend([1, 0, 0xea, 0x60]);
    record.resize(5 + 4000, 0);
    conversation.wire.input.extend(&record);
    let _ = conversation.environment.advance(&mut conversation.session, &mut conversation.wire);
    assert!(!conversation.wire.finished);
    record[5..9].fill(0);
    conversation.wire.input.extend(&record);
    let _ = conversation.environment.advance(&mut conversation.session, &mut conversation.wire);
    assert!(conversation.wire.finished);
    assert_eq!(server.handshakes("none", "too_large"), 1);
}

#[test]
fn an_end_without_close_notify_is_no_end_of_the_input() {
    let server = Server::new();
    let mut conversation = Conversation::new(&server, server.client(rustls::ALL_VERSIONS), Echo::default());
    conversation.client.writer().write_all(b"half of a mess").unwrap();
    conversation.run(&[10_000], None);
    assert_eq!(conversation.received, b"half of a mess");
    assert!(conversation.ended());
    assert_eq!(conversation.session.inner.closed, Some(Closed::Reset));
    assert_eq!(server.count("tapster_tls_truncated_total", &[]), 1);
}

/// Asks for no input, and so holds its peer back.
struct Deaf;

impl Session for Deaf {
    fn advance(&mut self, _stream: &mut dyn ByteStream, _cx: &mut Context<'_>) -> Next {
        Next::room(usize::MAX)
    }
}

struct Deafness;

impl StreamService for Deafness {
    fn accept(&mut self, _peer: tapster_service::Peer, _cx: &mut Context<'_>) -> Box<dyn Session> {
        Box::new(Deaf)
    }
}

#[test]
fn a_session_that_does_not_read_holds_its_peer_back() {
    let server = Server::new();
    let address = SocketAddr::from(([192, 0, 2, 2], 7));
    let peer = tapster_service::Peer { local: address, remote: address, link_address: None, connection: 1 };
    let mut environment = TestEnvironment::default();
    environment.wall_clock = std::time::SystemTime::now();
    let mut service = TlsService::new(Arc::clone(&server.acceptor), Deafness);
    let mut session = environment.with_context(|cx| service.accept(peer, cx));
    let mut conversation = Conversation::new(&server, server.client(rustls::ALL_VERSIONS), Echo::default());
    conversation.client.set_buffer_limit(None);
    conversation.client.writer().write_all(&pattern(1_000_000)).unwrap();
    let mut next = Next::input();
    while conversation.client.wants_write() {
        conversation.client.write_tls(&mut conversation.wire.input).unwrap();
        next = environment.advance(session.as_mut(), &mut conversation.wire);
        let output = conversation.wire.take_output();
        let mut output = &output[..];
        while !output.is_empty() {
            conversation.client.read_tls(&mut output).unwrap();
            conversation.client.process_new_packets().unwrap();
        }
    }
    assert_eq!(next, Next::Wait(Wait { input: false, room: usize::MAX, deadline: None }));
    assert!(conversation.wire.input.len() > 800_000, "{} bytes are left", conversation.wire.input.len());
}
