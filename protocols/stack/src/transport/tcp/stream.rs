//! The user's calls on an open connection: SEND, RECEIVE, CLOSE and ABORT (RFC 9293 §3.10.2 to §3.10.5).
//!
//! Responsible for the two ends that a user holds. What is lent from a frame is read where it lies; only what is left over
//! is copied into the queue, when the stream is dropped.

use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::Tcp;
use super::arrival::Verdict;
use super::control_block::ControlBlock;
use super::reply::Reset;
use super::state::State;
use crate::{ClosedReason, ConnectionId, Instant, Payload};

/// A connection in its user's hands, with the octets that a frame has just brought.
#[derive(Debug)]
pub struct Stream<'a, 'f> {
    tcp: &'a mut Tcp,
    index: u32,
    now: Instant,
    /// The next octets, when the queue is empty.
    lent: Payload<'f>,
}

/// What TCP has measured on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measurements {
    /// SRTT, zero before the first measurement.
    pub smoothed_round_trip: Duration,
    /// How many segments were sent again.
    pub retransmissions: u64,
}

impl Tcp {
    /// Takes a connection in hand, with what [`receive`](Self::receive) has returned for it or [`Payload::EMPTY`]. `None`
    /// when it is gone, or its user has closed it.
    pub(crate) fn stream<'f>(&mut self, now: Instant, id: ConnectionId, lent: Payload<'f>) -> Option<Stream<'_, 'f>> {
        let index = self.connections.resolve(id)?;
        let block = self.connections.block_mut(index).filter(|block| block.attached)?;
        let lent = if lent.is_empty() || block.receive_queue.is_empty() {
            lent
        } else {
            block.receive_queue.push(&lent);
            Payload::EMPTY
        };
        Some(Stream { tcp: self, index, now, lent })
    }

    /// Puts octets that were lent and not taken into the queue.
    pub(super) fn deposit(&mut self, now: Instant, index: u32, octets: &[u8]) {
        if !octets.is_empty()
            && let Some(block) = self.connections.block_mut(index)
        {
            block.receive_queue.push(octets);
        }
        self.settle(now, index);
    }
}

impl Stream<'_, '_> {
    /// Our socket and the peer's.
    #[must_use]
    pub fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.block().map(|block| (block.key.local, block.key.remote))
    }

    /// What has come in order and has not been consumed, as one slice.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        if self.lent.is_empty() { self.block().map_or(&[], |block| block.receive_queue.as_slice()) } else { &self.lent }
    }

    /// Gives back the first `count` octets of the input, or all if there are fewer. It opens the peer's window again.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.input().len());
        let is_lent = !self.lent.is_empty();
        if is_lent {
            let lent = mem::replace(&mut self.lent, Payload::EMPTY);
            let end = lent.len();
            self.lent = lent.slice(count..end);
        }
        let maximum = self.tcp.buffer_limit();
        let Some(block) = self.tcp.connections.block_mut(self.index) else { return };
        if !is_lent {
            block.receive_queue.consume(count);
        }
        block.rcv.consumed(count, maximum);
    }

    /// Whether the peer has finished: the input is all that will ever come.
    #[must_use]
    pub fn input_finished(&self) -> bool {
        self.block().is_none_or(|block| block.state.input_finished())
    }

    /// How many octets may be written now. 0 once the output is finished.
    #[must_use]
    pub fn room(&self) -> usize {
        self.block().map_or(0, |block| block.room(&self.tcp.configuration))
    }

    /// Hands octets over to be sent, without copying them unless they are few. More than [`room`](Self::room) is taken too.
    /// After [`finish`](Self::finish) it does nothing.
    pub fn write(&mut self, octets: Bytes) {
        if let Some(block) = self.block_mut().filter(|block| block.takes_output()) {
            block.send_queue.push(octets);
        }
    }

    /// Copies octets to be sent.
    pub fn write_copy(&mut self, octets: &[u8]) {
        if let Some(block) = self.block_mut().filter(|block| block.takes_output()) {
            block.send_queue.push_copy(octets);
        }
    }

    /// Finishes our half: a FIN follows what has been written. Input goes on.
    pub fn finish(&mut self) {
        if let Some(block) = self.block_mut() {
            block.finish();
        }
    }

    /// Finishes our half and gives the connection up. What has been written still goes out. Input that was not consumed, or
    /// comes later, is answered by a reset (RFC 9293 §3.6.1, SHLD-3).
    pub fn close(mut self) {
        let lost_input = !mem::replace(&mut self.lent, Payload::EMPTY).is_empty();
        let Some((block, environment)) = self.tcp.open(self.index, self.now) else { return };
        block.attached = false;
        block.wanted_room = 0;
        // RFC 9293 §3.10.4: in SYN-SENT the control block is deleted; a handshake that nobody wants is not completed either.
        let is_opening = !block.state.is_synchronized() && block.state != State::Closed;
        if lost_input || !block.receive_queue.is_empty() || is_opening {
            self.tcp.reset(self.now, self.index);
            return;
        }
        block.finish();
        block.limit_fin_wait_2(&environment);
        // The rest is done when the stream is dropped.
    }

    /// Resets the connection (RFC 9293 §3.10.5). What has been written and not been acknowledged is lost.
    pub fn abort(mut self) {
        self.lent = Payload::EMPTY;
        if let Some(block) = self.block_mut() {
            block.attached = false;
        }
        self.tcp.reset(self.now, self.index);
    }

    /// How many of the written octets the peer has not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.block().map_or(0, |block| block.send_queue.len())
    }

    /// Asks for one [`Event::Ready`](crate::Event::Ready) when so many octets of room are there, or all that there can be. 0
    /// takes the wish back.
    pub fn notify_room(&mut self, octets: usize) {
        if let Some(block) = self.block_mut() {
            block.wanted_room = octets;
        }
    }

    /// The sender's maximum segment size, in octets of data: what a full segment carries. 0 once the connection has gone.
    #[must_use]
    pub fn smss(&self) -> usize {
        self.block().map_or(0, |block| block.smss() as usize)
    }

    /// Switches Nagle's algorithm on or off for this connection (RFC 9293 §3.7.4, MUST-17).
    pub fn set_nagle(&mut self, on: bool) {
        if let Some(block) = self.block_mut() {
            block.nagle = on;
        }
    }

    /// Sets how long data may stay unacknowledged (RFC 9293 §3.8.3, MUST-21: R2 can be set for a connection), at most 49
    /// days.
    pub fn set_user_timeout(&mut self, timeout: Duration) {
        if let Some(block) = self.block_mut() {
            block.set_user_timeout(timeout);
        }
    }

    /// Sets the traffic class of what is sent from now on; its lowest two bits are ECN's and are ignored (RFC 9293 §3.9.2,
    /// MUST-48, SHLD-21).
    pub fn set_traffic_class(&mut self, traffic_class: u8) {
        if let Some(block) = self.block_mut() {
            block.traffic_class = traffic_class;
        }
    }

    /// Limits the segments that are sent, in octets of data. Before the SYN has gone it limits what is announced, too.
    pub fn set_maximum_segment_size(&mut self, octets: u16) {
        if let Some(block) = self.block_mut() {
            block.maximum_segment_size = octets;
        }
    }

    /// What has been measured.
    #[must_use]
    pub fn measurements(&self) -> Measurements {
        self.block().map_or_else(Measurements::default, |block| Measurements {
            smoothed_round_trip: block.rto.smoothed_round_trip().unwrap_or_default(),
            retransmissions: block.retransmits,
        })
    }

    fn block(&self) -> Option<&ControlBlock> {
        match self.tcp.connections.get(self.index)? {
            super::connections::Connection::Open(block) => Some(block),
            _ => None,
        }
    }

    fn block_mut(&mut self) -> Option<&mut ControlBlock> {
        self.tcp.connections.block_mut(self.index)
    }
}

impl Drop for Stream<'_, '_> {
    fn drop(&mut self) {
        let lent = mem::replace(&mut self.lent, Payload::EMPTY);
        self.tcp.deposit(self.now, self.index, &lent);
    }
}

impl Tcp {
    /// ABORT: `<SEQ=SND.NXT><CTL=RST>`, unless the peer knows nothing of the connection or has finished with it.
    pub(super) fn reset(&mut self, now: Instant, index: u32) {
        let Some(block) = self.connections.block_mut(index) else { return };
        let peer_waits = !matches!(block.state, State::Closed | State::SynSent | State::TimeWait);
        let reset = peer_waits.then(|| Reset::of(block, now));
        self.counters.aborted += u64::from(peer_waits);
        self.conclude(now, index, Verdict::Closed { reason: Some(ClosedReason::Aborted), reset });
    }
}

impl ControlBlock {
    /// Whether the user may still write.
    const fn takes_output(&self) -> bool {
        !self.state.output_finished() && !self.finish_requested
    }

    /// RFC 9293 §3.10.4, CLOSE, as far as it concerns our half.
    fn finish(&mut self) {
        match self.state {
            // "queue for processing after entering ESTABLISHED state".
            State::SynSent | State::SynReceived => self.finish_requested = true,
            // "Queue this until all preceding SENDs have been segmentized, then form a FIN segment and send it. In any case,
            // enter FIN-WAIT-1 state."
            State::Established => self.state = State::FinWait1,
            // "Queue this request until all preceding SENDs have been segmentized; then send a FIN segment, enter LAST-ACK
            // state."
            State::CloseWait => self.state = State::LastAck,
            _ => {}
        }
    }
}
