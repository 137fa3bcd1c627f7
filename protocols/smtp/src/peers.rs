//! How many connections each peer has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

type Table = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The connections of each peer that has any. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    connections: Table,
    limit: usize,
}

impl Peers {
    pub(crate) fn new(limit: usize) -> Self {
        Self { connections: Table::default(), limit }
    }

    /// A place for one more connection of `peer`, unless it has as many as it may.
    pub(crate) fn admit(&self, peer: IpAddr) -> Option<Place> {
        let mut table = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let count = table.get(&peer).copied().unwrap_or(0);
        if count >= self.limit {
            return None;
        }
        table.insert(peer, count + 1);
        drop(table);
        Some(Place { connections: Arc::clone(&self.connections), peer })
    }
}

/// One connection's place in the count. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Table,
    peer: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        match table.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                table.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_given_back_can_be_taken_again_and_nobody_is_remembered() {
        let peers = Peers::new(2);
        let [one, other]: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let first = peers.admit(one).unwrap();
        let second = peers.admit(one).unwrap();
        assert!(peers.admit(one).is_none());
        assert!(peers.admit(other).is_some());
        drop(first);
        let third = peers.admit(one).unwrap();
        drop((second, third));
        assert!(peers.connections.lock().unwrap().is_empty());
    }
}
