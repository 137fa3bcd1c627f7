//! OPEN, from both sides (RFC 9293 §3.10.1), and the calls that need no stream.
//!
//! Responsible for listeners, for active opens, and for ending a connection from outside.

use std::net::SocketAddr;

use super::connections::Connection;
use super::control_block::{ControlBlock, TimestampState};
use super::four_tuple::FourTuple;
use super::listener::{ListenError, ListenOptions};
use super::{ClosedReason, Tcp};
use crate::{ConnectionId, Event, Instant, ListenerId};

/// Why a connection could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// A group address, an unspecified one, port 0, or two families (MUST-46).
    #[error("there can be no connection to this address")]
    InvalidAddress,
    /// There is a connection between these sockets.
    #[error("a connection between these sockets exists")]
    InUse,
    /// All ephemeral ports are taken for this destination.
    #[error("no port is free")]
    NoPort,
    /// The host has all the connections that it may have.
    #[error("there are too many connections")]
    TooMany,
}

impl Tcp {
    /// Listens on a port of one address, or of all. `backlog` 0 takes the configuration's.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub(crate) fn listen(
        &mut self,
        socket: (Option<std::net::IpAddr>, u16),
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        let backlog = if options.backlog == 0 { self.configuration.syn_backlog } else { options.backlog };
        self.listeners.add(socket, ListenOptions { backlog, ..options })
    }

    /// Ends a listener and its half-open connections. Established ones live on. Returns whether there was such a listener.
    pub(crate) fn unlisten(&mut self, id: ListenerId) -> bool {
        if !self.listeners.remove(id) {
            return false;
        }
        let is_its_own = |connection: &Connection| match connection {
            Connection::HalfOpen(half_open) => half_open.listener == id,
            Connection::Open(_) | Connection::TimeWait(_) => false,
        };
        let half_open: Vec<u32> =
            self.connections.iter().filter(|(_, connection)| is_its_own(connection)).map(|(id, _)| id.index).collect();
        for index in half_open {
            self.counters.failed_opens += 1;
            self.remove(index);
        }
        true
    }

    /// Opens a connection. Port 0 of `local` stands for an ephemeral one (RFC 6056). [`Event::Opened`] or [`Event::Closed`]
    /// tells what became of it.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<ConnectionId, ConnectError> {
        let address = remote.ip();
        let is_broadcast = matches!(address, std::net::IpAddr::V4(address) if address.is_broadcast());
        if remote.port() == 0
            || address.is_unspecified()
            || address.is_multicast()
            || is_broadcast
            || local.is_ipv4() != remote.is_ipv4()
        {
            return Err(ConnectError::InvalidAddress);
        }
        let living = self.connections.len() - self.counters.time_wait as usize;
        if living >= self.configuration.maximum_connections {
            return Err(ConnectError::TooMany);
        }
        let mut key = FourTuple { local, remote };
        if local.port() == 0 {
            let (connections, listeners) = (&self.connections, &self.listeners);
            let is_free = |port| {
                let local = SocketAddr::new(local.ip(), port);
                connections.find(&FourTuple { local, remote }).is_none() && listeners.find(local).is_none()
            };
            let range = self.configuration.ephemeral_ports;
            let port = self.secrets.ephemeral_port(local, remote, range, is_free).ok_or(ConnectError::NoPort)?;
            key.local.set_port(port);
        } else if self.connections.find(&key).is_some() {
            return Err(ConnectError::InUse);
        }
        let iss = self.secrets.initial_sequence_number(&key, now);
        let timestamps = TimestampState { offset: self.secrets.timestamp_offset(&key), recent: 0, recent_at: now };
        let timestamps = self.configuration.timestamps.then_some(timestamps);
        let block = ControlBlock::new(key, iss, timestamps, &self.configuration, now);
        let index = self.connections.insert(Connection::Open(Box::new(block)));
        self.counters.active_opens += 1;
        self.settle(now, index);
        Ok(self.connections.id(index))
    }

    /// Ends a connection from outside its session: its user is told. Returns whether there was such a connection.
    pub(crate) fn abort(&mut self, now: Instant, id: ConnectionId) -> bool {
        let Some(index) = self.connections.resolve(id) else { return false };
        if self.connections.block_mut(index).is_some() {
            self.reset(now, index);
        } else {
            self.remove(index);
        }
        true
    }

    /// The next piece of news that no segment's data brought.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Opened { connection, .. } = event
            && let Some(index) = self.connections.resolve(connection)
            && let Some(block) = self.connections.block_mut(index)
        {
            block.announced = true;
        }
        Some(event)
    }

    /// A connection's handshake is complete.
    pub(super) fn opened(&mut self, index: u32, listener: Option<ListenerId>) {
        let connection = self.connections.id(index);
        self.events.push_back(Event::Opened { connection, listener });
    }

    /// Tells the user of a connection that it has ended otherwise than asked for.
    pub(super) fn ended(&mut self, index: u32, reason: ClosedReason) {
        let connection = self.connections.id(index);
        self.events.push_back(Event::Closed { connection, reason });
    }
}
