//! Echo over UDP: each datagram comes back as it is.

use prometheus::IntCounter;
use tapster_service::{Context, Datagram, DatagramService, DatagramSocket};

/// Below this, a port belongs to a service. Two echo services that were made to talk to each other would never
/// stop (CERT advisory CA-1996-01), so such a sender gets no answer.
const FIRST_CLIENT_PORT: u16 = 1024;

/// Answers every datagram.
#[derive(Debug)]
pub struct EchoDatagrams {
    bytes: IntCounter,
}

impl EchoDatagrams {
    /// A service that counts what it sends back in `bytes`.
    #[must_use]
    pub fn new(bytes: IntCounter) -> Self {
        Self { bytes }
    }
}

impl DatagramService for EchoDatagrams {
    fn receive(&mut self, datagram: Datagram<'_>, socket: &mut dyn DatagramSocket, _cx: &mut Context<'_>) {
        if datagram.remote.port() < FIRST_CLIENT_PORT {
            return;
        }
        // A datagram that cannot go now is lost, as datagrams may be.
        if socket.send(datagram.local, datagram.remote, datagram.payload).is_ok() {
            self.bytes.inc_by(datagram.payload.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use tapster_service::testing::{TestEnvironment, TestSocket};

    use super::*;

    fn sent_after_one_from(remote: &str) -> TestSocket {
        let mut service = EchoDatagrams::new(IntCounter::new("bytes", "bytes").unwrap());
        let mut socket = TestSocket::default();
        let local = "192.0.2.2:7".parse().unwrap();
        let datagram = Datagram { local, remote: remote.parse().unwrap(), link_address: None, payload: b"hello" };
        TestEnvironment::default().with_context(|cx| service.receive(datagram, &mut socket, cx));
        socket
    }

    #[test]
    fn a_datagram_comes_back_to_its_sender() {
        let sent = sent_after_one_from("192.0.2.1:50000").sent;
        let expected = ("192.0.2.2:7".parse().unwrap(), "192.0.2.1:50000".parse().unwrap(), b"hello".to_vec());
        assert_eq!(sent, [expected]);
    }

    #[test]
    fn another_service_is_not_answered() {
        assert!(sent_after_one_from("192.0.2.1:7").sent.is_empty());
    }
}
