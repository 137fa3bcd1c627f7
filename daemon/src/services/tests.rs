//! The seam under test: services on a host, spoken to by another host over a wire without loss.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use rand::SeedableRng;
use tapster_service::{ByteStream, DatagramBinding, DatagramSocket, Service, StreamBinding};
use tapster_stack::{Configuration, DeviceFull, HardwareAddress, Offload, ReceivedFrame, net, tcp};

use super::*;
use crate::news::News;

const SERVER: [u8; 4] = [192, 0, 2, 2];
const CLIENT: [u8; 4] = [192, 0, 2, 1];

/// One direction of the wire.
#[derive(Default)]
struct Wire(Vec<Vec<u8>>);

impl FrameSink for Wire {
    fn send(&mut self, headers: &[u8], payload: &[&[u8]], _offload: Offload) -> Result<(), DeviceFull> {
        self.0.push([headers, &payload.concat()].concat());
        Ok(())
    }
}

fn host(address: [u8; 4]) -> Host {
    let network = net::Configuration {
        hardware_address: HardwareAddress([2, 0, 0, 0, 0, address[3]]),
        addresses: vec![(IpAddr::from(address), 24)],
        ..net::Configuration::default()
    };
    Host::new(Configuration { network, ..Configuration::default() }, [address[3]; 32], Instant::from_nanos(1))
}

/// Two hosts, the services on one of them, and a clock.
struct Lab {
    server: Host,
    client: Host,
    services: Services,
    poll: Poll,
    now: Instant,
}

impl Lab {
    fn new(wanted: Vec<NamedService>) -> Self {
        let poll = Poll::new().unwrap();
        let pool = Pool::start(1, 4, Waker::new(poll.registry(), Token(0)).unwrap()).unwrap();
        let clock = Clock::start();
        let mut lab = Self {
            server: host(SERVER),
            client: host(CLIENT),
            services: Services::new(clock, pool, StdRng::seed_from_u64(1)),
            poll,
            now: clock.now(),
        };
        lab.services.install(&mut lab.server, wanted).unwrap();
        lab
    }

    /// Lets both sides talk until neither has anything to say.
    fn talk(&mut self) {
        let (mut to_server, mut out) = (Wire::default(), Out::default());
        loop {
            self.services.handle_events(&mut turn(self.now, &mut self.server, &mut out));
            self.client.transmit(self.now, &mut to_server).unwrap();
            self.server.transmit(self.now, &mut out.wire).unwrap();
            if to_server.0.is_empty() && out.wire.0.is_empty() {
                return;
            }
            for frame in to_server.0.drain(..) {
                let delivery = self.server.receive(self.now, ReceivedFrame::plain(&frame));
                let mut turn = turn(self.now, &mut self.server, &mut out);
                if let Some(delivery) = delivery {
                    self.services.deliver(&mut turn, delivery);
                }
                self.services.handle_events(&mut turn);
            }
            for frame in out.wire.0.drain(..) {
                if let Some(Delivery::Stream { connection, payload }) =
                    self.client.receive(self.now, ReceivedFrame::plain(&frame))
                {
                    drop(self.client.stream(self.now, connection, payload));
                }
            }
        }
    }

    /// Lets time pass, then everybody's timers run.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.server.expire(self.now);
        self.client.expire(self.now);
        self.services.expire(&mut turn(self.now, &mut self.server, &mut Out::default()));
        self.talk();
    }

    /// A connection of the client's, established.
    fn connect(&mut self, port: u16) -> ConnectionId {
        let connection = self.client.connect(self.now, SocketAddr::from((SERVER, port))).unwrap();
        self.talk();
        while self.client.next_event().is_some() {}
        connection
    }

    /// Says something on a connection, and returns what has come back.
    fn say(&mut self, connection: ConnectionId, octets: &[u8]) -> Vec<u8> {
        self.client.stream(self.now, connection, Payload::EMPTY).unwrap().write_copy(octets);
        self.talk();
        self.heard(connection)
    }

    fn heard(&mut self, connection: ConnectionId) -> Vec<u8> {
        let mut stream = self.client.stream(self.now, connection, Payload::EMPTY).unwrap();
        let heard = stream.input().to_vec();
        stream.consume(heard.len());
        heard
    }
}

/// What the server sends, and the news that nobody reads.
#[derive(Default)]
struct Out {
    wire: Wire,
    news: News,
}

fn turn<'a>(now: Instant, host: &'a mut Host, out: &'a mut Out) -> Turn<'a, Wire> {
    Turn { now, wall_clock: SystemTime::UNIX_EPOCH, host, device: &mut out.wire, news: &mut out.news }
}

/// What a test's sessions do: a closure, called for each `advance`.
type Act = fn(&mut dyn ByteStream, &mut Context<'_>) -> Next;

struct Acting(Act);

impl StreamService for Acting {
    fn accept(&mut self, _peer: Peer, _cx: &mut Context<'_>) -> Box<dyn Session> {
        Box::new(ActingSession(self.0))
    }
}

struct ActingSession(Act);

impl Session for ActingSession {
    fn advance(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Next {
        (self.0)(stream, cx)
    }

    fn closed(&mut self, reason: Closed, _cx: &mut Context<'_>) {
        ENDED.with_borrow_mut(|ended| ended.push(reason));
    }
}

thread_local! {
    /// What the sessions of this thread's test were told at their end.
    static ENDED: RefCell<Vec<Closed>> = const { RefCell::new(Vec::new()) };
}

fn service(port: u16, act: Act) -> NamedService {
    let endpoint = Endpoint { address: None, port };
    let binding = StreamBinding { endpoint, maximum_connections: 10, service: Box::new(Acting(act)) };
    NamedService { module: "test", service: Service { streams: vec![binding], ..Service::default() } }
}

/// Sends back what comes, and closes after the peer has.
fn echo(stream: &mut dyn ByteStream, _cx: &mut Context<'_>) -> Next {
    let input = stream.input().to_vec();
    stream.consume(input.len());
    stream.write_copy(&input);
    if stream.input_finished() { Next::Close } else { Next::input() }
}

#[test]
fn a_session_answers_and_closes_when_the_peer_has() {
    let mut lab = Lab::new(vec![service(7, echo)]);
    let connection = lab.connect(7);
    assert_eq!(lab.services.session_count(), 1);
    assert_eq!(lab.say(connection, b"hello"), b"hello");
    lab.client.stream(lab.now, connection, Payload::EMPTY).unwrap().finish();
    lab.talk();
    assert_eq!(lab.services.session_count(), 0);
    assert!(lab.client.stream(lab.now, connection, Payload::EMPTY).unwrap().input_finished());
}

#[test]
fn a_session_that_does_not_ask_for_input_is_not_called_and_nothing_is_lost() {
    // Reads only when its deadline has passed.
    let mut lab = Lab::new(vec![service(7, |stream, cx| {
        if cx.now < *START.get_or_init(|| cx.now + Duration::from_secs(1)) {
            return Next::job().until(*START.get_or_init(|| cx.now));
        }
        echo(stream, cx)
    })]);
    let connection = lab.connect(7);
    assert_eq!(lab.say(connection, b"early"), b"");
    assert_eq!(lab.say(connection, b", late"), b"");
    lab.pass(Duration::from_secs(2));
    assert_eq!(lab.heard(connection), b"early, late");
}

static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();

#[test]
fn a_session_that_wants_to_be_called_at_once_is_called_once_a_turn() {
    thread_local!(static CALLS: RefCell<u32> = const { RefCell::new(0) });
    let mut lab = Lab::new(vec![service(7, |_, cx| {
        CALLS.with_borrow_mut(|calls| *calls += 1);
        Next::input().until(cx.now)
    })]);
    lab.connect(7);
    let before = CALLS.with_borrow(|calls| *calls);
    lab.services.expire(&mut turn(lab.now, &mut lab.server, &mut Out::default()));
    assert_eq!(CALLS.with_borrow(|calls| *calls), before + 1);
}

#[test]
fn the_result_of_a_job_comes_back_to_the_session_that_asked() {
    let mut lab = Lab::new(vec![service(7, |stream, cx| {
        if let Some(finished) = cx.take_finished() {
            stream.write_copy(finished.downcast::<String>().unwrap_or_default().as_bytes());
        } else if !stream.input().is_empty() {
            let text = String::from_utf8_lossy(stream.input()).to_uppercase();
            stream.consume(usize::MAX);
            cx.spawn(Job::new(move || text)).unwrap();
        }
        Next::input()
    })]);
    let connection = lab.connect(7);
    assert_eq!(lab.say(connection, b"quiet"), b"");
    lab.poll.poll(&mut Events::with_capacity(1), Some(Duration::from_secs(10))).unwrap();
    let mut wire = Out::default();
    assert!(lab.services.finish_jobs(&mut turn(lab.now, &mut lab.server, &mut wire)).is_none());
    lab.talk();
    assert_eq!(lab.heard(connection), b"QUIET");
}

#[test]
fn a_killed_connection_is_reset_and_its_session_told() {
    let mut lab = Lab::new(vec![service(7, echo)]);
    let connection = lab.connect(7);
    let ours = lab.server.connections().next().unwrap().id;
    let mut wire = Out::default();
    assert!(lab.services.kill(&mut turn(lab.now, &mut lab.server, &mut wire), ours));
    assert!(!lab.services.kill(&mut turn(lab.now, &mut lab.server, &mut wire), ours));
    lab.talk();
    assert_eq!(ENDED.take(), [Closed::Killed]);
    assert_eq!((lab.services.session_count(), lab.server.connections().count()), (0, 0));
    assert!(lab.client.stream(lab.now, connection, Payload::EMPTY).is_none());
}

#[test]
fn a_reset_by_the_peer_ends_the_session() {
    let mut lab = Lab::new(vec![service(7, echo)]);
    let connection = lab.connect(7);
    lab.client.stream(lab.now, connection, Payload::EMPTY).unwrap().abort();
    lab.talk();
    assert_eq!(ENDED.take(), [Closed::Reset]);
    assert_eq!(lab.services.session_count(), 0);
}

#[test]
fn a_stop_closes_the_idle_and_lets_the_busy_finish() {
    let mut lab = Lab::new(vec![
        service(7, echo),
        // Waits for a job that never comes: it has something under way.
        NamedService { module: "busy", ..service(8, |_, _| Next::job()) },
    ]);
    lab.connect(7);
    lab.connect(8);
    lab.services.stop_listening(&mut lab.server);
    lab.services.close_idle_sessions(&mut turn(lab.now, &mut lab.server, &mut Out::default()));
    lab.talk();
    assert_eq!(lab.services.session_count(), 1);
    lab.services.abort_sessions(&mut turn(lab.now, &mut lab.server, &mut Out::default()));
    assert_eq!(lab.services.session_count(), 0);
}

#[test]
fn a_reload_keeps_connections_and_replaces_what_listens() {
    let shout: Act = |stream, _| {
        stream.consume(usize::MAX);
        stream.write_copy(b"NEW");
        Next::input()
    };
    let mut lab = Lab::new(vec![service(7, echo), NamedService { module: "gone", ..service(9, echo) }]);
    let (old, gone) = (lab.connect(7), lab.connect(9));
    let listener = |lab: &Lab, port| lab.server.listeners().find(|row| row.port == port).map(|row| row.id);
    let before = listener(&lab, 7);
    lab.services.install(&mut lab.server, vec![service(7, shout), service(8, shout)]).unwrap();
    assert_eq!((listener(&lab, 7), listener(&lab, 9)), (before, None));
    assert_eq!(lab.say(old, b"old"), b"old");
    assert_eq!(lab.say(gone, b"old"), b"old");
    for port in [7, 8] {
        let connection = lab.connect(port);
        assert_eq!(lab.say(connection, b"x"), b"NEWNEW");
    }
    let names: Vec<_> = lab.services.modules().iter().map(|module| (module.name, module.configured)).collect();
    assert_eq!(names, [("test", true), ("gone", false)]);
}

/// Answers each datagram from a port of its own, which it closes a second later.
#[derive(Default)]
struct Transfers {
    open: Vec<SocketAddr>,
    close_at: Option<std::time::Instant>,
}

impl DatagramService for Transfers {
    fn receive(&mut self, datagram: Datagram<'_>, socket: &mut dyn DatagramSocket, cx: &mut Context<'_>) {
        let port = socket.open(datagram.local.ip()).unwrap();
        let own = SocketAddr::new(datagram.local.ip(), port);
        let foreign = SocketAddr::new(datagram.local.ip(), 1);
        assert_eq!(socket.send(foreign, datagram.remote, b"x"), Err(tapster_service::SendError::NotOurs));
        socket.send(own, datagram.remote, datagram.payload).unwrap();
        self.open.push(own);
        self.close_at = Some(cx.now + Duration::from_secs(1));
    }

    fn advance(&mut self, socket: &mut dyn DatagramSocket, _cx: &mut Context<'_>) {
        for own in self.open.drain(..) {
            socket.close(own);
        }
        self.close_at = None;
    }

    fn next_deadline(&self) -> Option<std::time::Instant> {
        self.close_at
    }
}

#[test]
fn a_datagram_service_outlives_a_reload_while_it_has_ports_of_its_own() {
    let wanted = || {
        let endpoints = vec![Endpoint { address: None, port: 69 }];
        let binding = DatagramBinding { endpoints, service: Box::new(Transfers::default()) };
        vec![NamedService { module: "test", service: Service { datagrams: vec![binding], ..Service::default() } }]
    };
    let mut lab = Lab::new(wanted());
    let (local, remote) = (SocketAddr::from((CLIENT, 1024)), SocketAddr::from((SERVER, 69)));
    lab.client.bind(None, 1024).unwrap();
    let mut wire = Wire::default();
    lab.client.send_datagram(lab.now, local, remote, b"block", &mut wire).unwrap();
    lab.talk();
    assert_eq!((lab.services.datagrams.len(), lab.server.sockets().count()), (1, 2));
    lab.services.install(&mut lab.server, wanted()).unwrap();
    assert_eq!((lab.services.datagrams.len(), lab.server.sockets().count()), (2, 2));
    lab.pass(Duration::from_secs(2));
    assert_eq!((lab.services.datagrams.len(), lab.server.sockets().count()), (1, 1));
}

#[test]
fn ports_that_two_services_want_are_found() {
    let wanted = [service(7, echo), NamedService { module: "other", ..service(7, echo) }];
    let endpoint = Endpoint { address: None, port: 7 };
    let clash = Clash { module: "other", holder: "test", transport: tapster_service::Transport::Tcp, endpoint };
    assert_eq!(clashes(&wanted), [clash]);
    assert_eq!(clashes(&[service(7, echo), service(8, echo)]), []);
}

#[test]
fn a_session_may_open_a_connection_of_its_own() {
    thread_local!(static PEERS: Rc<RefCell<u32>> = Rc::default());
    let mut lab = Lab::new(vec![service(7, |stream, cx| {
        stream.consume(usize::MAX);
        let remote = SocketAddr::from((CLIENT, 7000));
        let session = ActingSession(|stream, _| {
            stream.write_copy(b"from the server");
            PEERS.with(|peers| *peers.borrow_mut() += 1);
            Next::input()
        });
        cx.connect(remote, Box::new(session)).unwrap();
        Next::Close
    })]);
    lab.client.listen(None, 7000, tcp::ListenOptions::default()).unwrap();
    lab.connect(7);
    assert_eq!(PEERS.with(|peers| *peers.borrow()), 1);
}
