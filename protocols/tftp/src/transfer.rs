//! Transfers, and how one is found.
//!
//! Responsible for what is known of a transfer in either direction, and for the table of all of them: by identifier,
//! by addresses (one hash probe for a packet), and how many each client has. Not for what packets do.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use slab::Slab;

use crate::client::Client;
use crate::deadlines::Deadline;
use crate::fault::Faults;
use crate::files::{OpenFile, Wanted};
use crate::netascii::{Decoder, Position};
use crate::options::Agreement;
use crate::packet::Direction;
use crate::read::Sending;
use crate::round_trip::RoundTrip;
use crate::upload::Upload;
use crate::write::Receiving;

/// Names a transfer while the service runs; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TransferId {
    slot: usize,
    serial: u64,
}

/// One transfer.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// The listening address that the request came to.
    pub(crate) listening: SocketAddr,
    /// Our end: the listening address until the transfer has a port of its own.
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// A hash of the request, to tell a repeated one from another.
    pub(crate) request: u64,
    pub(crate) client: Client,
    pub(crate) wanted: Wanted,
    pub(crate) direction: Direction,
    pub(crate) netascii: bool,
    pub(crate) agreement: Agreement,
    pub(crate) started: Instant,
    /// When the client last did something new.
    pub(crate) progressed: Instant,
    pub(crate) round_trip: RoundTrip,
    /// When a packet was sent whose answer would be a measurement.
    pub(crate) sent_at: Option<Instant>,
    pub(crate) deadline: Deadline,
    /// Time-outs in a row.
    pub(crate) timeouts: u32,
    /// Whether the client has answered: it is there, and it did send the request.
    pub(crate) begun: bool,
    /// Packets sent before that.
    pub(crate) unanswered: u8,
    /// Bytes of file data delivered.
    pub(crate) bytes: u64,
    /// Blocks sent more than once.
    pub(crate) retransmitted: u64,
    /// The OACK, until it is answered.
    pub(crate) offer: Option<Box<[u8]>>,
    /// Faults on purpose.
    pub(crate) faults: Option<Box<Faults>>,
    pub(crate) stage: Stage,
}

/// How far a transfer is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// A job looks for the file, or makes it.
    Opening,
    /// The file goes out.
    Read(Box<Reading>),
    /// The file comes in.
    Write(Box<Writing>),
    /// The file has come, and its last block may come again (RFC 1350 §6, dallying). Holds that block's number.
    Dallying(u16),
}

/// A file on its way out.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) file: Arc<OpenFile>,
    pub(crate) sending: Sending,
    /// For netascii: where each block from the window's first on begins.
    pub(crate) positions: Option<std::collections::VecDeque<Position>>,
    /// What a job has read, since it was not in memory.
    pub(crate) ahead: Option<Ahead>,
    /// A job reads.
    pub(crate) job: bool,
}

/// A piece of a file.
#[derive(Debug)]
pub(crate) struct Ahead {
    pub(crate) offset: u64,
    pub(crate) data: Vec<u8>,
}

/// A file on its way in.
#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) upload: Arc<Upload>,
    pub(crate) receiving: Receiving,
    pub(crate) decoder: Option<Decoder>,
    /// What has come and no job has been given.
    pub(crate) buffer: Vec<u8>,
    /// How much jobs have been given, in bytes.
    pub(crate) handed_over: u64,
    /// A job writes.
    pub(crate) job: bool,
    /// The last block has come.
    pub(crate) last: bool,
    /// An ACK is held back until there is room.
    pub(crate) held: bool,
}

/// All transfers of the service.
#[derive(Debug, Default)]
pub(crate) struct Table {
    transfers: Slab<(u64, Transfer)>,
    by_address: HashMap<(SocketAddr, SocketAddr), TransferId, foldhash::quality::RandomState>,
    /// Transfers of each client that do not dally.
    by_client: HashMap<IpAddr, usize, foldhash::quality::RandomState>,
    serial: u64,
    running: usize,
}

impl Table {
    /// Adds a transfer, findable by its listening address until it has [begun](Self::begin).
    pub(crate) fn insert(&mut self, transfer: Transfer) -> TransferId {
        self.serial += 1;
        self.running += 1;
        *self.by_client.entry(transfer.remote.ip()).or_default() += 1;
        let key = (transfer.listening, transfer.remote);
        let id = TransferId { slot: self.transfers.insert((self.serial, transfer)), serial: self.serial };
        self.by_address.insert(key, id);
        id
    }

    /// The transfer that packets between these ends belong to, or a request that was answered from another port.
    pub(crate) fn find(&self, local: SocketAddr, remote: SocketAddr) -> Option<TransferId> {
        self.by_address.get(&(local, remote)).copied()
    }

    pub(crate) fn get(&self, id: TransferId) -> Option<&Transfer> {
        self.transfers.get(id.slot).filter(|(serial, _)| *serial == id.serial).map(|(_, transfer)| transfer)
    }

    pub(crate) fn get_mut(&mut self, id: TransferId) -> Option<&mut Transfer> {
        self.transfers.get_mut(id.slot).filter(|(serial, _)| *serial == id.serial).map(|(_, transfer)| transfer)
    }

    /// Gives a transfer a port of its own.
    pub(crate) fn set_port(&mut self, id: TransferId, port: u16) {
        if let Some(transfer) = self.get_mut(id) {
            transfer.local.set_port(port);
            let key = (transfer.local, transfer.remote);
            self.by_address.insert(key, id);
        }
    }

    /// The client has answered: from now on the same request is a new one.
    pub(crate) fn begin(&mut self, id: TransferId) {
        if let Some(transfer) = self.get_mut(id).filter(|transfer| !transfer.begun) {
            transfer.begun = true;
            let (key, separate) = ((transfer.listening, transfer.remote), transfer.local != transfer.listening);
            if separate && self.by_address.get(&key) == Some(&id) {
                self.by_address.remove(&key);
            }
        }
    }

    /// A transfer no longer counts as running, but can still be found.
    pub(crate) fn dally(&mut self, id: TransferId, last: u16) {
        if let Some(transfer) = self.get_mut(id) {
            let running = !matches!(std::mem::replace(&mut transfer.stage, Stage::Dallying(last)), Stage::Dallying(_));
            let client = transfer.remote.ip();
            if running {
                self.stop(client);
            }
        }
    }

    /// Removes a transfer.
    pub(crate) fn remove(&mut self, id: TransferId) -> Option<Transfer> {
        self.get(id)?;
        let (_, transfer) = self.transfers.remove(id.slot);
        for key in [(transfer.listening, transfer.remote), (transfer.local, transfer.remote)] {
            if self.by_address.get(&key) == Some(&id) {
                self.by_address.remove(&key);
            }
        }
        if !matches!(transfer.stage, Stage::Dallying(_)) {
            self.stop(transfer.remote.ip());
        }
        if self.transfers.is_empty() {
            self.transfers.shrink_to_fit();
            self.by_address.shrink_to_fit();
            self.by_client.shrink_to_fit();
        }
        Some(transfer)
    }

    fn stop(&mut self, client: IpAddr) {
        self.running -= 1;
        if let Some(count) = self.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&client);
            }
        }
    }

    /// How many transfers run; those that dally are not counted.
    pub(crate) const fn running(&self) -> usize {
        self.running
    }

    /// How many transfers there are, running or dallying.
    pub(crate) fn len(&self) -> usize {
        self.transfers.len()
    }

    /// How many transfers of a client run.
    pub(crate) fn running_of(&self, client: IpAddr) -> usize {
        self.by_client.get(&client).copied().unwrap_or(0)
    }
}
