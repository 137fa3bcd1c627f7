//! SEGMENT ARRIVES (RFC 9293 §3.10.7).
//!
//! Responsible for what an arriving segment does, in the RFC's order and with its words. This module finds out whose segment
//! it is and has §3.10.7.1, CLOSED; [`listen`] has §3.10.7.2, [`syn_sent`] §3.10.7.3, and [`synchronized`] §3.10.7.4 with its
//! longer steps in [`acknowledgment`] and [`text`].

mod acknowledgment;
mod listen;
mod syn_sent;
mod synchronized;
mod text;

use std::net::SocketAddr;

use super::connections::Connection;
use super::four_tuple::FourTuple;
use super::reply::{Reply, Reset};
use super::segment::{Flags, Segment};
use super::sequence::SequenceNumber;
use super::time_wait::Disposition;
use super::{Tcp, ecn};
use crate::network::{checksum, protocol};
use crate::packet::ReceivedPacket;
use crate::{ClosedReason, ConnectionId, Instant, Payload};

/// What has become of a connection.
#[derive(Debug)]
pub(crate) enum Verdict<'f> {
    /// It goes on. With a payload, there is news for its user: the next octets, or (empty) more in the queue or the end.
    Continue(Option<Payload<'f>>),
    /// It is CLOSED.
    Closed {
        /// What its user is told; `None` when it closed in order.
        reason: Option<ClosedReason>,
        /// What the peer is told.
        reset: Option<Reset>,
    },
}

impl Verdict<'_> {
    /// It goes on, without news.
    pub(crate) const CONTINUE: Self = Self::Continue(None);
}

impl Tcp {
    /// Takes in a packet with protocol number 6 for one of our addresses.
    ///
    /// Returns octets that are next in the stream of a connection, lent from the packet when nothing else waits before them;
    /// they are acknowledged and must be handed to [`stream`](Tcp::stream). An empty payload means that there is more in the
    /// connection's queue, or that the peer has finished.
    pub(crate) fn receive<'f>(
        &mut self,
        now: Instant,
        packet: ReceivedPacket<'f>,
    ) -> Option<(ConnectionId, Payload<'f>)> {
        self.counters.segments_received += 1;
        // MUST-57: what is sent to a group is silently discarded.
        if packet.group {
            self.counters.group_destination += 1;
            return None;
        }
        if !packet.checksum_valid && !checksum::holds(packet.source, packet.destination, protocol::TCP, &packet.payload)
        {
            self.counters.bad_checksum += 1;
            return None;
        }
        let Some(mut segment) = Segment::parse(packet.payload, packet.segment_size) else {
            self.counters.bad_header += 1;
            return None;
        };
        self.counters.octets_received += segment.text.len() as u64;
        if packet.traffic_class & 0b11 == ecn::CONGESTION_EXPERIENCED {
            segment.congestion_experienced = true;
            self.counters.congestion_experienced += 1;
        }
        let key = FourTuple {
            local: SocketAddr::new(packet.destination, segment.header.destination_port),
            remote: SocketAddr::new(packet.source, segment.header.source_port),
        };
        let Some(index) = self.connections.find(&key) else {
            self.arrives_without_connection(now, key, segment, None);
            return None;
        };
        match self.connections.get(index) {
            Some(Connection::Open(_)) => self.arrives_at_open(now, index, segment),
            Some(Connection::HalfOpen(_)) => self.arrives_at_half_open(now, index, segment),
            Some(Connection::TimeWait(_)) => {
                self.arrives_in_time_wait(now, index, segment);
                None
            }
            None => None,
        }
    }

    /// No connection has these sockets: LISTEN if somebody listens, else CLOSED. A new connection's initial sequence number
    /// lies `beyond` that of an old one.
    fn arrives_without_connection(
        &mut self,
        now: Instant,
        key: FourTuple,
        segment: Segment<'_>,
        beyond: Option<SequenceNumber>,
    ) {
        if let Some(listener) = self.listeners.find(key.local) {
            self.arrives_at_listener(now, listener, key, segment, beyond);
            return;
        }
        // §3.10.7.1, CLOSED STATE: "all data in the incoming segment is discarded. An incoming segment containing a RST is
        // discarded. An incoming segment not containing a RST causes a RST to be sent in response."
        if segment.has(Flags::SYN) {
            self.counters.syn_refused += 1;
        }
        self.reset_in_response(key, &segment);
    }

    fn reset_in_response(&mut self, key: FourTuple, segment: &Segment<'_>) {
        if let Some(reset) = Reset::in_response(key, segment) {
            self.replies.push(Reply::Reset(reset), &mut self.counters);
        }
    }

    /// There is a control block.
    fn arrives_at_open<'f>(
        &mut self,
        now: Instant,
        index: u32,
        segment: Segment<'f>,
    ) -> Option<(ConnectionId, Payload<'f>)> {
        let key = self.connections.get(index)?.key();
        let (block, mut environment) = self.open(index, now)?;
        if let Some(Disposition::Reopen(beyond)) = block.arrives_in_time_wait(&environment, &segment) {
            // Its user may go on reading; its sockets are another connection's now.
            block.close();
            self.connections.release_key(index);
            self.counters.time_wait_reused += 1;
            self.settle(now, index);
            self.arrives_without_connection(now, key, segment, Some(beyond));
            return None;
        }
        let was_opening = !block.state.is_synchronized();
        let verdict = block.segment_arrives(&mut environment, segment);
        let opened = was_opening && block.state.is_synchronized();
        let (attached, announced) = (block.attached, block.announced);
        let id = self.connections.id(index);
        if opened {
            self.opened(index, None);
        }
        let payload = self.conclude(now, index, verdict)?;
        if !announced {
            self.deposit(now, index, &payload);
            return None;
        }
        attached.then_some((id, payload))
    }

    /// There is a compact remnant in TIME-WAIT.
    fn arrives_in_time_wait(&mut self, now: Instant, index: u32, segment: Segment<'_>) {
        let (connection, environment) = self.borrow(index, now);
        let Some(Connection::TimeWait(time_wait)) = connection else { return };
        let key = time_wait.key;
        match time_wait.arrives(&environment, &segment) {
            Disposition::Stay => self.settle(now, index),
            Disposition::Reopen(beyond) => {
                self.counters.time_wait_reused += 1;
                self.remove(index);
                self.arrives_without_connection(now, key, segment, Some(beyond));
            }
        }
    }
}
