//! Listeners: passive OPENs without a remote socket (RFC 9293 §3.9.1.1).
//!
//! Responsible for who listens where, and for how much each may have. Not for the handshake.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::ListenerId;

/// What a listener may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Half-open connections; a SYN beyond it is dropped. 0 takes [`Configuration::syn_backlog`](super::Configuration).
    pub backlog: usize,
    /// Connections, half-open ones included; a SYN beyond it is dropped. Default: no limit of its own.
    pub maximum_connections: usize,
    /// The largest segment that its connections announce and send, in octets of data. Default: no limit but the path's.
    pub maximum_segment_size: u16,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { backlog: 0, maximum_connections: usize::MAX, maximum_segment_size: u16::MAX }
    }
}

/// Why a listener could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// The same address and port have one already. A listener for all addresses and one for a certain address get along: the
    /// more certain one wins (MUST-42).
    #[error("somebody listens there already")]
    InUse,
    /// Port 0 is not a port.
    #[error("port 0 cannot be listened on")]
    NoPort,
}

/// A listener, for people to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerRow {
    /// Its name.
    pub id: ListenerId,
    /// The address it listens on; `None` for all.
    pub address: Option<IpAddr>,
    /// The port it listens on.
    pub port: u16,
    /// Half-open connections that it may have.
    pub backlog: usize,
    /// Half-open connections that it has.
    pub half_open: usize,
    /// Connections that it has, half-open ones and those in TIME-WAIT not included.
    pub connections: usize,
    /// Connections that it may have.
    pub maximum_connections: usize,
    /// Connections that it has accepted since its start.
    pub accepted: u64,
    /// SYNs that it has dropped because of its limits.
    pub dropped: u64,
    /// The largest segment of its connections, in octets of data.
    pub maximum_segment_size: u16,
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) row: ListenerRow,
}

/// All listeners of a host.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    listeners: BTreeMap<ListenerId, Listener>,
    by_socket: BTreeMap<(u16, Option<IpAddr>), ListenerId>,
    next: u32,
}

impl Listeners {
    pub(crate) fn add(
        &mut self,
        (address, port): (Option<IpAddr>, u16),
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        if port == 0 {
            return Err(ListenError::NoPort);
        }
        if self.by_socket.contains_key(&(port, address)) {
            return Err(ListenError::InUse);
        }
        let id = ListenerId(self.next);
        self.next += 1;
        let row = ListenerRow {
            id,
            address,
            port,
            backlog: options.backlog,
            half_open: 0,
            connections: 0,
            maximum_connections: options.maximum_connections,
            accepted: 0,
            dropped: 0,
            maximum_segment_size: options.maximum_segment_size,
        };
        self.by_socket.insert((port, address), id);
        self.listeners.insert(id, Listener { row });
        Ok(id)
    }

    /// Returns whether there was such a listener.
    pub(crate) fn remove(&mut self, id: ListenerId) -> bool {
        let Some(Listener { row, .. }) = self.listeners.remove(&id) else { return false };
        self.by_socket.remove(&(row.port, row.address));
        true
    }

    /// Who listens on a socket: on the very address, else on all.
    pub(crate) fn find(&self, local: SocketAddr) -> Option<ListenerId> {
        let certain = self.by_socket.get(&(local.port(), Some(local.ip())));
        certain.or_else(|| self.by_socket.get(&(local.port(), None))).copied()
    }

    pub(crate) fn get_mut(&mut self, id: ListenerId) -> Option<&mut Listener> {
        self.listeners.get_mut(&id)
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = ListenerRow> {
        self.listeners.values().map(|listener| listener.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_certain_listener_wins() {
        let mut listeners = Listeners::default();
        let address = IpAddr::from([192, 0, 2, 2]);
        let any = listeners.add((None, 80), ListenOptions::default()).unwrap();
        let certain = listeners.add((Some(address), 80), ListenOptions::default()).unwrap();
        assert_eq!(listeners.add((None, 80), ListenOptions::default()), Err(ListenError::InUse));
        assert_eq!(listeners.find((address, 80).into()), Some(certain));
        assert_eq!(listeners.find(([192, 0, 2, 3], 80).into()), Some(any));
        assert_eq!(listeners.find((address, 81).into()), None);
        assert!(listeners.remove(certain) && !listeners.remove(certain));
        assert_eq!(listeners.find((address, 80).into()), Some(any));
    }
}
