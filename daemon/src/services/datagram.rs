//! The stack's UDP ports as a module sees them.
//!
//! Responsible for translating [`DatagramSocket`]'s calls into the stack's, and for letting a service use its own ports
//! only. A reply goes to the device at once, without a copy.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use tapster_service::{DatagramSocket, Endpoint, SendError};
use tapster_stack::{FrameSink, Host, Instant, SocketId, udp};

/// The ports of one datagram service.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Those that its configuration named.
    pub(super) configured: HashMap<Endpoint, SocketId>,
    /// Those that it opened itself.
    pub(super) opened: HashMap<SocketAddr, SocketId>,
    /// What has changed in `opened` since the owner of the ports last looked.
    pub(super) changes: Vec<PortChange>,
}

/// A port that a service has opened or closed.
#[derive(Clone, Copy, Debug)]
pub(super) enum PortChange {
    Opened(SocketId),
    Closed(SocketId),
}

/// How many ports a service may open beside those that it was configured with. TFTP takes one for each transfer.
const MAXIMUM_OPENED_PORTS: usize = 4096;

impl Ports {
    /// Whether the service may send from there. A port without an address stands for every address, and an address that
    /// no packet may come from stands for one that the host chooses.
    fn cover(&self, local: SocketAddr) -> bool {
        let at = |address| self.configured.contains_key(&Endpoint { address, port: local.port() });
        let host_chooses = local.ip().is_unspecified() || local.ip().is_multicast();
        at(None)
            || at(Some(local.ip()))
            || self.opened.contains_key(&local)
            || host_chooses && self.configured.keys().any(|endpoint| endpoint.port == local.port())
    }
}

/// The ports of one service, for one call of it.
pub(super) struct Socket<'a, D> {
    pub(super) now: Instant,
    pub(super) host: &'a mut Host,
    pub(super) device: &'a mut D,
    pub(super) ports: &'a mut Ports,
}

impl<D: FrameSink> DatagramSocket for Socket<'_, D> {
    fn send(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Result<(), SendError> {
        if !self.ports.cover(from) {
            return Err(SendError::NotOurs);
        }
        self.host.send_datagram(self.now, from, to, payload, self.device).map_err(|error| match error {
            udp::SendError::Full => SendError::Full,
            udp::SendError::TooLarge => SendError::TooLarge,
            udp::SendError::NoRoute => SendError::NoRoute,
        })
    }

    fn open(&mut self, local: IpAddr) -> Result<u16, SendError> {
        if self.ports.opened.len() >= MAXIMUM_OPENED_PORTS {
            return Err(SendError::NoPort);
        }
        let (socket, port) = self.host.bind_ephemeral(Some(local)).map_err(|_| SendError::NoPort)?;
        self.ports.opened.insert(SocketAddr::new(local, port), socket);
        self.ports.changes.push(PortChange::Opened(socket));
        Ok(port)
    }

    fn close(&mut self, local: SocketAddr) {
        if let Some(socket) = self.ports.opened.remove(&local) {
            self.host.unbind(socket);
            self.ports.changes.push(PortChange::Closed(socket));
        }
    }

    fn payload_limit(&self, to: IpAddr) -> usize {
        self.host.datagram_limit(self.now, to)
    }
}
