//! Putting fragments of both families together (RFC 791 §3.2, RFC 1122 §3.3.2, RFC 8200 §4.5).
//!
//! Responsible for datagrams that are incomplete: their fragments, the time they have, and the memory they may take.
//!
//! - A fragment that overlaps another makes the whole datagram void, what is still to come included (RFC 5722 §4, and
//!   for IPv4 the way of today): nobody can tell which of two contents is the right one. A fragment that comes twice
//!   is ignored.
//! - Memory is bounded in all and per source. When all is used, the datagram with the least time left gives way.
//! - A fragment takes memory of its own size only, wherever in the datagram it belongs.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use foldhash::fast::FixedState;

use super::configuration::ReassemblyLimits;
use super::extension::FRAGMENT_HEADER_LENGTH;
use super::ipv4::MAXIMUM_LENGTH;
use super::ipv6;
use crate::Instant;
use crate::counters::ReassemblyCounters;

/// What each fragment and each datagram takes beside its octets, roughly.
const OVERHEAD: usize = 128;

/// What the fragments of a datagram have in common (RFC 791 §2.3). IPv6 has no protocol among it: that of the first
/// fragment counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) identification: u32,
}

/// A fragment as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment<'f> {
    pub(crate) key: Key,
    /// Octets of the datagram's data in front of it.
    pub(crate) offset: usize,
    /// Whether more follow behind it.
    pub(crate) more: bool,
    pub(crate) traffic_class: u8,
    /// Whether it was sent to more than one host.
    pub(crate) group: bool,
    /// Its IP header, with options or extension headers, up to the fragment header's end.
    pub(crate) header: &'f [u8],
    pub(crate) data: &'f [u8],
}

/// A datagram put together, or as much of it as came in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) key: Key,
    pub(crate) traffic_class: u8,
    pub(crate) group: bool,
    /// The header of the first fragment.
    pub(crate) header: Bytes,
    pub(crate) payload: Bytes,
}

#[derive(Debug)]
struct Piece {
    start: usize,
    data: Box<[u8]>,
}

impl Piece {
    fn end(&self) -> usize {
        self.start + self.data.len()
    }
}

#[derive(Debug)]
struct Partial {
    deadline: Instant,
    /// Its place in the order of arrival.
    serial: u64,
    /// In order, without overlaps.
    pieces: Vec<Piece>,
    /// Octets of data in `pieces`.
    received: usize,
    /// Octets of the whole, known from the last fragment.
    total: Option<usize>,
    /// From the first fragment.
    header: Bytes,
    traffic_class: u8,
    group: bool,
    /// Which of the four ECN code points came, one bit for each.
    ecn: u8,
    memory: usize,
    /// Fragments overlapped: what is still to come is dropped.
    void: bool,
}

/// All incomplete datagrams.
#[derive(Debug)]
pub(crate) struct Reassembly {
    partials: HashMap<Key, Partial, FixedState>,
    /// The datagrams in the order of their deadlines, then of their arrival.
    order: BTreeMap<(Instant, u64), Key>,
    memory_of: HashMap<IpAddr, usize, FixedState>,
    memory: usize,
    next_serial: u64,
    limits: ReassemblyLimits,
}

impl Reassembly {
    pub(crate) fn new(limits: ReassemblyLimits, hash_seed: u64) -> Self {
        Self {
            partials: HashMap::with_hasher(FixedState::with_seed(hash_seed)),
            order: BTreeMap::new(),
            memory_of: HashMap::with_hasher(FixedState::with_seed(hash_seed)),
            memory: 0,
            next_serial: 0,
            limits,
        }
    }

    /// Takes a fragment in; the datagram, when this was its last missing one.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        fragment: &Fragment<'_>,
        counters: &mut ReassemblyCounters,
    ) -> Option<Datagram> {
        counters.received += 1;
        let end = fragment.offset + fragment.data.len();
        let (timeout, largest) = match fragment.key.source {
            IpAddr::V4(_) => (self.limits.timeout, MAXIMUM_LENGTH),
            // The payload length does not count the header, and of the whole the fragment header is gone.
            IpAddr::V6(_) => {
                let around = ipv6::HEADER_LENGTH + FRAGMENT_HEADER_LENGTH;
                (self.limits.timeout_ipv6, ipv6::MAXIMUM_PAYLOAD + around)
            }
        };
        // RFC 791 §3.2: all fragments but the last are multiples of eight octets. None is empty, and none ends beyond
        // what the total length can say.
        if fragment.data.is_empty()
            || (fragment.more && !fragment.data.len().is_multiple_of(8))
            || fragment.header.len() + end > largest
        {
            counters.bad_fragment += 1;
            return None;
        }
        let new = !self.partials.contains_key(&fragment.key);
        let needed = fragment.data.len() + OVERHEAD + if new { OVERHEAD + fragment.header.len() } else { 0 };
        let used = self.memory_of.get(&fragment.key.source).copied().unwrap_or(0);
        if used + needed > self.limits.memory_per_source || needed > self.limits.memory {
            counters.over_limit += 1;
            return None;
        }
        self.make_room(needed, new, &fragment.key, counters);

        let serial = self.next_serial;
        let partial = self.partials.entry(fragment.key).or_insert_with(|| Partial {
            deadline: now + timeout,
            serial,
            pieces: Vec::new(),
            received: 0,
            total: None,
            header: Bytes::new(),
            traffic_class: fragment.traffic_class,
            group: false,
            ecn: 0,
            memory: 0,
            void: false,
        });
        if partial.serial == serial {
            self.next_serial += 1;
            self.order.insert((partial.deadline, serial), fragment.key);
        }
        if partial.void {
            counters.after_overlap += 1;
            return None;
        }
        let memory_before = partial.memory;
        match partial.insert(fragment, self.limits.fragments) {
            Insertion::Done => {}
            Insertion::Duplicate => counters.duplicates += 1,
            Insertion::TooMany => counters.over_limit += 1,
            Insertion::Contradiction => {
                counters.overlapping += 1;
                partial.void();
            }
        }
        let complete = partial.total == Some(partial.received);
        let (memory_after, source) = (partial.memory, fragment.key.source);
        self.account(source, memory_before, memory_after);
        if !complete {
            return None;
        }
        let partial = self.remove(&fragment.key)?;
        // RFC 3168 §5.3: a mark on one fragment marks the whole; not when others say that marks are not understood.
        let congestion_experienced = partial.ecn & 0b1000 != 0;
        if congestion_experienced && partial.ecn & 0b0001 != 0 {
            counters.contradicting_ecn += 1;
            return None;
        }
        counters.reassembled += 1;
        let mut datagram = partial.into_datagram(fragment.key);
        if congestion_experienced {
            datagram.traffic_class |= 0b11;
        }
        Some(datagram)
    }

    /// When the oldest datagram's time is up.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.order.first_key_value().map(|(&(deadline, _), _)| deadline)
    }

    /// Gives up one datagram whose time is up. It is handed out when its first fragment had come, for the ICMP error;
    /// its payload is what was there without a gap.
    pub(crate) fn expire(&mut self, now: Instant, counters: &mut ReassemblyCounters) -> Option<Datagram> {
        while self.next_deadline()? <= now {
            let key = *self.order.first_key_value()?.1;
            let partial = self.remove(&key)?;
            if partial.void {
                continue;
            }
            counters.timed_out += 1;
            if !partial.header.is_empty() {
                return Some(partial.into_datagram(key));
            }
        }
        None
    }

    /// Octets in use, bookkeeping included.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Gives up the oldest datagrams until `needed` octets are free, and one datagram if it is `new`. The one that the
    /// fragment belongs to stays, unless nothing else is left.
    fn make_room(&mut self, needed: usize, new: bool, keep: &Key, counters: &mut ReassemblyCounters) {
        while self.memory + needed > self.limits.memory || (new && self.partials.len() >= self.limits.datagrams.max(1))
        {
            let oldest = self.order.values().find(|key| *key != keep).or(self.order.values().next());
            let Some(&oldest) = oldest else { return };
            self.remove(&oldest);
            counters.evicted += 1;
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Partial> {
        let partial = self.partials.remove(key)?;
        self.order.remove(&(partial.deadline, partial.serial));
        self.account(key.source, partial.memory, 0);
        Some(partial)
    }

    /// A datagram's memory has changed.
    fn account(&mut self, source: IpAddr, before: usize, after: usize) {
        self.memory = self.memory + after - before;
        let of_source = self.memory_of.entry(source).or_insert(0);
        *of_source = *of_source + after - before;
        if *of_source == 0 {
            self.memory_of.remove(&source);
        }
    }
}

/// What became of a fragment.
enum Insertion {
    Done,
    Duplicate,
    TooMany,
    Contradiction,
}

impl Partial {
    fn insert(&mut self, fragment: &Fragment<'_>, most: usize) -> Insertion {
        if self.memory == 0 {
            self.memory = OVERHEAD;
        }
        let (start, end) = (fragment.offset, fragment.offset + fragment.data.len());
        let at = self.pieces.partition_point(|piece| piece.start < start);
        if let Some(same) = self.pieces.get(at)
            && same.start == start
            && same.end() == end
            && (fragment.more || self.total == Some(end))
        {
            return Insertion::Duplicate;
        }
        let before = at.checked_sub(1).and_then(|before| self.pieces.get(before));
        let last_end = self.pieces.last().map_or(0, Piece::end);
        let contradicts = before.is_some_and(|piece| piece.end() > start)
            || self.pieces.get(at).is_some_and(|piece| piece.start < end)
            || self.total.is_some_and(|total| end > total || !fragment.more)
            || (!fragment.more && last_end > end);
        if contradicts {
            return Insertion::Contradiction;
        }
        if self.pieces.len() >= most {
            return Insertion::TooMany;
        }
        if !fragment.more {
            self.total = Some(end);
        }
        if start == 0 {
            self.header = Bytes::copy_from_slice(fragment.header);
            self.traffic_class = fragment.traffic_class;
            self.memory += fragment.header.len();
        }
        self.group |= fragment.group;
        self.ecn |= 1 << (fragment.traffic_class & 0b11);
        self.received += fragment.data.len();
        self.memory += fragment.data.len() + OVERHEAD;
        self.pieces.insert(at, Piece { start, data: fragment.data.into() });
        Insertion::Done
    }

    /// Drops the fragments and remembers only that the datagram is void.
    fn void(&mut self) {
        self.void = true;
        self.pieces = Vec::new();
        self.header = Bytes::new();
        self.total = None;
        self.memory = OVERHEAD;
    }

    fn into_datagram(self, key: Key) -> Datagram {
        let mut payload = BytesMut::with_capacity(self.received);
        for piece in &self.pieces {
            if piece.start != payload.len() {
                break;
            }
            payload.extend_from_slice(&piece.data);
        }
        Datagram {
            key,
            traffic_class: self.traffic_class,
            group: self.group,
            header: self.header,
            payload: payload.freeze(),
        }
    }
}

#[cfg(test)]
mod tests;
