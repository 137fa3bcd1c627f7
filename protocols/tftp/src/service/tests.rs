//! A server in a directory of its own, with a clock that stands until it is moved. The rules are tested in `rules`,
//! `uploads`, `per_client` and `faults`, whole transfers over a bad network in `network`.

mod faults;
mod network;
mod per_client;
mod rules;
mod uploads;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use prometheus::Registry;
use tapster_service::testing::{TestEnvironment, TestSocket};
use tapster_service::{Datagram, DatagramService, Module, Preparation, Unreachable};

use super::Server;
use crate::Tftp;
use crate::files::Cache;
use crate::module::build;

const SERVER: &str = "192.0.2.2:69";
const CLIENT: &str = "192.0.2.9:2070";

struct Lab {
    directory: tempfile::TempDir,
    registry: Registry,
    environment: TestEnvironment,
    socket: TestSocket,
    server: Server,
    /// The hardware address of those who send.
    link_address: Option<[u8; 6]>,
}

impl Lab {
    fn new(section: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("tftp")).unwrap();
        let registry = Registry::new();
        let metrics = Tftp.metrics(&registry).unwrap();
        let addresses = [address(SERVER).ip()];
        let mut preparation = Preparation::new(directory.path(), &addresses, "tapster");
        let (_, server, _) = build(toml::from_str(section).unwrap(), &metrics, &mut preparation).unwrap();
        Self {
            directory,
            registry,
            environment: TestEnvironment::default(),
            socket: TestSocket::default(),
            server,
            link_address: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("tftp").join(name)
    }

    fn with_file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path(name), content).unwrap();
        self
    }

    /// Delivers a packet, and runs the jobs that come of it.
    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        let datagram = Datagram { local: to, remote: from, link_address: self.link_address, payload };
        self.environment.with_context(|cx| self.server.receive(datagram, &mut self.socket, cx));
        self.settle();
    }

    fn settle(&mut self) {
        while !self.environment.finished.is_empty() {
            self.environment.with_context(|cx| self.server.advance(&mut self.socket, cx));
        }
    }

    /// Lets time pass, and the deadlines in it.
    fn pass(&mut self, time: Duration) {
        let end = self.environment.now + time;
        while let Some(deadline) = self.server.next_deadline().filter(|deadline| *deadline <= end) {
            let step = deadline.saturating_duration_since(self.environment.now);
            self.environment.pass(step);
            self.environment.with_context(|cx| self.server.advance(&mut self.socket, cx));
            self.settle();
        }
        self.environment.pass(end - self.environment.now);
    }

    /// What was sent since the last time: from, and payload.
    fn sent(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.socket.sent).into_iter().map(|(from, _, payload)| (from, payload)).collect()
    }

    /// The payloads of the same.
    fn payloads(&mut self) -> Vec<Vec<u8>> {
        self.sent().into_iter().map(|(_, payload)| payload).collect()
    }

    /// A client's request, and where the answer came from, and the answer.
    fn ask(&mut self, request: &[u8]) -> (SocketAddr, Vec<u8>) {
        self.deliver(address(CLIENT), address(SERVER), request);
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// A packet of the client for a transfer, and the answers.
    fn answer(&mut self, to: SocketAddr, packet: &[u8]) -> Vec<Vec<u8>> {
        self.deliver(address(CLIENT), to, packet);
        self.payloads()
    }

    /// One counter, by its name and the values of its labels.
    fn counter(&self, name: &str, labels: &[&str]) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect("a metric of this name");
        let found = family
            .get_metric()
            .iter()
            .find(|metric| labels.iter().all(|label| metric.get_label().iter().any(|pair| pair.value() == *label)));
        let metric = found.expect("a metric with these labels");
        let value = metric.get_counter().get_value() + metric.get_gauge().get_value();
        value as u64
    }

    fn ended(&self, direction: &str, result: &str) -> u64 {
        self.counter("tapster_tftp_transfers_total", &[direction, result])
    }

    fn refused(&self, reason: &str) -> u64 {
        self.counter("tapster_tftp_requests_refused_total", &[reason])
    }

    /// Nothing is left of any transfer.
    fn assert_empty(&mut self) {
        self.pass(Duration::from_secs(400));
        self.socket.sent.clear();
        let server = &self.server;
        assert_eq!((server.table.len(), server.table.running()), (0, 0));
        assert_eq!((server.jobs.len(), server.opening.len(), Cache::len(&server.cache)), (0, 0, 0));
        assert_eq!(server.next_deadline(), None);
        assert_eq!(self.socket.open, []);
        assert_eq!(self.counter("tapster_tftp_active_transfers", &[]), 0);
    }

    /// Cuts a link: the client at the other end is not there.
    fn unreachable(&mut self, local: SocketAddr) {
        let error = Unreachable { local, remote: address(CLIENT) };
        self.environment.with_context(|cx| self.server.unreachable(error, &mut self.socket, cx));
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ack(block: u16) -> Vec<u8> {
    crate::packet::acknowledgment(block).to_vec()
}

fn data(block: u16, data: &[u8]) -> Vec<u8> {
    [&crate::packet::data_header(block)[..], data].concat()
}

/// The code and text of an ERROR.
fn error(packet: &[u8]) -> (u8, String) {
    assert_eq!(packet[..3], [0, 5, 0], "{packet:?} is no ERROR");
    (packet[3], String::from_utf8(packet[4..packet.len() - 1].to_vec()).unwrap())
}

/// Bytes in which every block is different.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}
