//! The table of connections.
//!
//! Responsible for finding a connection by its sockets with one look-up, and by its name without one. A connection keeps
//! its place and its name from the SYN to the end of TIME-WAIT; what stands there grows and shrinks with what it needs.

use std::collections::HashMap;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

use super::control_block::ControlBlock;
use super::four_tuple::FourTuple;
use super::half_open::HalfOpen;
use super::time_wait::TimeWait;
use crate::ConnectionId;

/// What there is of a connection.
#[derive(Debug)]
pub(crate) enum Connection {
    HalfOpen(Box<HalfOpen>),
    Open(Box<ControlBlock>),
    TimeWait(Box<TimeWait>),
}

impl Connection {
    pub(crate) const fn key(&self) -> FourTuple {
        match self {
            Self::HalfOpen(half_open) => half_open.key,
            Self::Open(block) => block.key,
            Self::TimeWait(time_wait) => time_wait.key,
        }
    }
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    connection: Option<Connection>,
    /// It stands in the list of those that have something to send.
    ready: bool,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Connections {
    places: Vec<Place>,
    free: Vec<u32>,
    by_key: HashMap<FourTuple, u32, SeedableRandomState>,
}

impl Connections {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::with_hasher(SeedableRandomState::with_seed(seed, SharedSeed::global_fixed())),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Which place the connection between two sockets has.
    pub(crate) fn find(&self, key: &FourTuple) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Connection> {
        self.places.get(index as usize)?.connection.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Connection> {
        self.places.get_mut(index as usize)?.connection.as_mut()
    }

    /// The control block at a place, when there is one.
    pub(crate) fn block_mut(&mut self, index: u32) -> Option<&mut ControlBlock> {
        match self.get_mut(index)? {
            Connection::Open(block) => Some(block),
            Connection::HalfOpen(_) | Connection::TimeWait(_) => None,
        }
    }

    /// The place of a name, while the connection lives.
    pub(crate) fn resolve(&self, id: ConnectionId) -> Option<u32> {
        let place = self.places.get(id.index())?;
        (place.generation == id.generation && place.connection.is_some()).then_some(id.index)
    }

    /// The name of the connection at a place.
    pub(crate) fn id(&self, index: u32) -> ConnectionId {
        let generation = self.places.get(index as usize).map_or(0, |place| place.generation);
        ConnectionId { index, generation }
    }

    /// Adds a connection. The caller has seen that its sockets are free.
    pub(crate) fn insert(&mut self, connection: Connection) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() as u32 - 1
        });
        self.by_key.insert(connection.key(), index);
        if let Some(place) = self.places.get_mut(index as usize) {
            place.connection = Some(connection);
        }
        index
    }

    /// Puts something else of the same connection in its place.
    pub(crate) fn replace(&mut self, index: u32, connection: Connection) {
        if let Some(place) = self.places.get_mut(index as usize) {
            place.connection = Some(connection);
        }
    }

    /// Lets another connection have the same sockets, while this one is only kept for its user.
    pub(crate) fn release_key(&mut self, index: u32) {
        if let Some(key) = self.get(index).map(Connection::key)
            && self.by_key.get(&key) == Some(&index)
        {
            self.by_key.remove(&key);
        }
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<Connection> {
        self.release_key(index);
        let place = self.places.get_mut(index as usize)?;
        let connection = place.connection.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
        Some(connection)
    }

    /// Notes that a connection stands in the list of the ready. Returns whether it did not before.
    pub(crate) fn set_ready(&mut self, index: u32, ready: bool) -> bool {
        self.places.get_mut(index as usize).is_some_and(|place| std::mem::replace(&mut place.ready, ready) != ready)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let id = ConnectionId { index: index as u32, generation: place.generation };
            Some((id, place.connection.as_ref()?))
        })
    }
}
