//! TCP (RFC 9293).
//!
//! ```text
//!                             +---------+ ---------\      active OPEN
//!                             |  CLOSED |            \    -----------
//!                             +---------+<---------\   \   create TCB
//!                               |     ^              \   \  snd SYN
//!                  passive OPEN |     |   CLOSE        \   \
//!                  ------------ |     | ----------       \   \
//!                   create TCB  |     | delete TCB         \   \
//!                               V     |                      \   \
//!           rcv RST (note 1)  +---------+            CLOSE    |    \
//!        -------------------->|  LISTEN |          ---------- |     |
//!       /                     +---------+          delete TCB |     |
//!      /           rcv SYN      |     |     SEND              |     |
//!     /           -----------   |     |    -------            |     V
//! +--------+      snd SYN,ACK  /       \   snd SYN          +--------+
//! |        |<-----------------           ------------------>|        |
//! |  SYN   |                    rcv SYN                     |  SYN   |
//! |  RCVD  |<-----------------------------------------------|  SENT  |
//! |        |                  snd SYN,ACK                   |        |
//! |        |------------------           -------------------|        |
//! +--------+   rcv ACK of SYN  \       /  rcv SYN,ACK       +--------+
//!    |         --------------   |     |   -----------
//!    |                x         |     |     snd ACK
//!    |                          V     V
//!    |  CLOSE                 +---------+
//!    | -------                |  ESTAB  |
//!    | snd FIN                +---------+
//!    |                 CLOSE    |     |    rcv FIN
//!    V                -------   |     |    -------
//! +---------+         snd FIN  /       \   snd ACK         +---------+
//! |  FIN    |<----------------          ------------------>|  CLOSE  |
//! | WAIT-1  |------------------                            |   WAIT  |
//! +---------+          rcv FIN  \                          +---------+
//!   | rcv ACK of FIN   -------   |                          CLOSE  |
//!   | --------------   snd ACK   |                         ------- |
//!   V        x                   V                         snd FIN V
//! +---------+               +---------+                    +---------+
//! |FINWAIT-2|               | CLOSING |                    | LAST-ACK|
//! +---------+               +---------+                    +---------+
//!   |              rcv ACK of FIN |                 rcv ACK of FIN |
//!   |  rcv FIN     -------------- |    Timeout=2MSL -------------- |
//!   |  -------            x       V    ------------        x       V
//!    \ snd ACK              +---------+delete TCB          +---------+
//!      -------------------->|TIME-WAIT|------------------->| CLOSED  |
//!                           +---------+                    +---------+
//! ```
//! (RFC 9293 Figure 5. Its simplifications are in the RFC; two more of ours are noted where they are made: a RST does not end
//! TIME-WAIT, and FIN-WAIT-2 is bounded once nobody is left to read.)
//!
//! A connection that a SYN has opened is a [`half_open::HalfOpen`] in SYN-RECEIVED; from ESTABLISHED on (and from SYN-SENT on
//! our side) it is a [`control_block::ControlBlock`]; in TIME-WAIT, once its user has let go, a [`time_wait::TimeWait`]. All
//! three live in one table, [`connections`], under one name.
//!
//! Whatever touches a connection goes the same way: [`arrival`] (a segment), [`time_outs`] (a timer), [`stream`] and [`open`]
//! (a user), [`icmp_errors`]; each changes the control block and nothing else. Then [`Tcp::settle`] looks at the result and
//! puts it where it belongs: into the list of those with something to send, into the timer wheel, into TIME-WAIT, out of the
//! table. [`Tcp::transmit`] visits that list, and [`output`] makes the segments.

mod arrival;
mod configuration;
mod congestion;
mod connections;
mod control_block;
mod counters;
mod ecn;
mod four_tuple;
mod half_open;
mod icmp_errors;
mod listener;
mod open;
mod options;
mod output;
mod prr;
mod rack;
mod reassembly;
mod receive_queue;
mod receive_window;
mod recovery;
mod reply;
mod retransmission_queue;
mod retransmission_timeout;
mod rows;
mod secrets;
mod segment;
mod send_queue;
mod sequence;
mod state;
mod stream;
mod syn_cookies;
mod time_outs;
mod time_wait;
mod timer_wheel;
mod timers;
mod undo;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::arrival::Verdict;
pub use self::configuration::{Configuration, CongestionControl, KeepAlive};
use self::connections::{Connection, Connections};
use self::control_block::{AcknowledgmentDue, ControlBlock, Environment};
pub use self::counters::Counters;
use self::listener::Listeners;
pub use self::listener::{ListenError, ListenOptions, ListenerRow};
pub use self::open::ConnectError;
use self::output::Turn;
use self::reply::{Replies, Reply};
pub use self::rows::{ConnectionDetail, ConnectionRow};
use self::secrets::Secrets;
pub use self::state::State;
pub use self::stream::{Measurements, Stream};
use self::time_wait::TimeWait;
use self::timer_wheel::TimerWheel;
use self::timers::Timer;
use crate::packet::PacketSink;
use crate::{ClosedReason, ConnectionId, DeviceFull, Event, Instant, Payload};

/// The TCP of one host.
#[derive(Debug)]
pub(crate) struct Tcp {
    configuration: Configuration,
    secrets: Secrets,
    counters: Counters,
    connections: Connections,
    listeners: Listeners,
    wheel: TimerWheel,
    /// Connections with something to send, in turn. One that has gone meanwhile is passed over.
    ready: VecDeque<u32>,
    /// Segments to send that belong to no connection.
    replies: Replies,
    events: VecDeque<Event>,
    /// Connections whose retransmission timer has expired, for whoever wants to know; the oldest give way.
    late: VecDeque<ConnectionId>,
    /// Until then an acknowledgment that comes to a listener may hold a SYN cookie.
    cookies_until: Instant,
    /// Connections in TIME-WAIT, the oldest first, by name: it may have gone already.
    time_wait: VecDeque<crate::ConnectionId>,
}

impl Tcp {
    /// A TCP without listeners and connections. All its secrets come from `seed`.
    pub(crate) fn new(configuration: Configuration, seed: [u8; 32], now: Instant) -> Self {
        let secrets = Secrets::new(seed);
        Self {
            connections: Connections::new(secrets.table_seed),
            configuration,
            secrets,
            counters: Counters::default(),
            listeners: Listeners::default(),
            wheel: TimerWheel::new(now),
            ready: VecDeque::new(),
            replies: Replies::default(),
            events: VecDeque::new(),
            late: VecDeque::new(),
            cookies_until: now,
            time_wait: VecDeque::new(),
        }
    }

    /// The counters.
    pub(crate) fn counters(&self) -> Counters {
        Counters { connections: self.connections.len() as u64, ..self.counters }
    }

    /// Octets that all peers together have acknowledged: it grows when a path has just proved to work.
    pub(crate) const fn octets_acknowledged(&self) -> u64 {
        self.counters.octets_acknowledged
    }

    /// Whether [`transmit`](Self::transmit) has something to do.
    pub(crate) fn has_output(&self) -> bool {
        !self.ready.is_empty() || !self.replies.is_empty()
    }

    /// Sends what is ready: each connection in its turn, a bounded burst at a time, until nothing is left.
    ///
    /// # Errors
    /// [`DeviceFull`] when the device takes no more. What was not taken stays ready, and nothing believes that it was sent.
    pub(crate) fn transmit(&mut self, now: Instant, sink: &mut impl PacketSink) -> Result<(), DeviceFull> {
        let mut environment = Environment {
            now,
            memory_is_short: false,
            configuration: &self.configuration,
            counters: &mut self.counters,
        };
        self.replies.output(&mut environment, sink)?;
        while let Some(index) = self.ready.pop_front() {
            let (connection, mut environment) = self.borrow(index, now);
            let result = match connection {
                Some(Connection::Open(block)) => block.output(&mut environment, sink),
                Some(Connection::HalfOpen(half_open)) if half_open.syn_due => {
                    half_open.output(&mut environment, sink).map(|()| Turn::Done)
                }
                Some(Connection::TimeWait(time_wait)) if time_wait.acknowledgment_due => {
                    time_wait.output(&mut environment, sink).map(|()| Turn::Done)
                }
                _ => Ok(Turn::Done),
            };
            match result {
                Err(DeviceFull) => {
                    self.ready.push_front(index);
                    self.arm_timers(index);
                    return Err(DeviceFull);
                }
                Ok(Turn::More) => {
                    self.ready.push_back(index);
                    self.arm_timers(index);
                }
                Ok(Turn::Done) => {
                    self.connections.set_ready(index, false);
                    self.settle(now, index);
                }
            }
        }
        Ok(())
    }

    /// The place of a connection, and what goes with work on it.
    fn borrow(&mut self, index: u32, now: Instant) -> (Option<&mut Connection>, Environment<'_>) {
        let environment = Environment {
            now,
            memory_is_short: self.counters.memory_in_use as usize >= self.configuration.memory_limit,
            configuration: &self.configuration,
            counters: &mut self.counters,
        };
        (self.connections.get_mut(index), environment)
    }

    /// The same for a connection with a control block.
    fn open(&mut self, index: u32, now: Instant) -> Option<(&mut ControlBlock, Environment<'_>)> {
        match self.borrow(index, now) {
            (Some(Connection::Open(block)), environment) => Some((block, environment)),
            _ => None,
        }
    }

    /// How large a receive buffer may become now.
    fn buffer_limit(&self) -> usize {
        // A buffer that has grown never shrinks, so when memory is short it only stops growing.
        if self.counters.memory_in_use as usize >= self.configuration.memory_limit {
            0
        } else {
            self.configuration.receive_buffer
        }
    }

    /// Carries out what was decided about a connection.
    fn conclude<'f>(&mut self, now: Instant, index: u32, verdict: Verdict<'f>) -> Option<Payload<'f>> {
        match verdict {
            Verdict::Continue(payload) => {
                self.settle(now, index);
                payload
            }
            Verdict::Closed { reason, reset } => {
                if let Some(reset) = reset {
                    self.replies.push(Reply::Reset(reset), &mut self.counters);
                }
                let block = self.connections.block_mut(index)?;
                if !block.state.is_synchronized() && block.state != State::Closed {
                    self.counters.failed_opens += 1;
                }
                let attached = block.attached;
                match reason {
                    Some(reason) if attached => {
                        self.ended(index, reason);
                        self.remove(index);
                    }
                    // Closed in order: its user may still read what came, its sockets are free.
                    None if attached => {
                        block.close();
                        let connection = self.connections.id(index);
                        self.events.push_back(Event::Ready { connection });
                        self.connections.release_key(index);
                        self.settle(now, index);
                    }
                    _ => self.remove(index),
                }
                None
            }
        }
    }

    /// Looks at a connection after something has happened to it, and puts it where it belongs.
    fn settle(&mut self, now: Instant, index: u32) {
        let is_ready = match self.connections.get_mut(index) {
            None => return,
            Some(Connection::HalfOpen(half_open)) => half_open.syn_due,
            Some(Connection::TimeWait(time_wait)) => time_wait.acknowledgment_due,
            Some(Connection::Open(_)) => match self.settle_open(now, index) {
                Some(is_ready) => is_ready,
                None => return,
            },
        };
        if is_ready && self.connections.set_ready(index, true) {
            self.ready.push_back(index);
        }
        self.arm_timers(index);
    }

    /// Whether a connection has something to send. `None` when it has gone or become something else.
    fn settle_open(&mut self, now: Instant, index: u32) -> Option<bool> {
        let block = self.connections.block_mut(index)?;
        let memory = block.queue_memory();
        self.counters.memory_in_use = self.counters.memory_in_use + memory as u64 - block.memory as u64;
        block.memory = memory;
        if let Some(reset) = block.stray_reset.take() {
            self.replies.push(Reply::Reset(reset), &mut self.counters);
        }
        if !block.attached {
            match block.state {
                State::Closed => {
                    self.remove(index);
                    return None;
                }
                State::TimeWait => {
                    self.enter_time_wait(now, index);
                    return None;
                }
                _ => {}
            }
        }
        if block.rcv.update_is_due(block.receive_queue.len()) && block.state.receives_text() {
            block.acknowledge_now();
        }
        if block.wanted_room > 0 {
            let wanted = block.wanted_room.min(block.send_buffer(&self.configuration));
            if block.room(&self.configuration) >= wanted {
                block.wanted_room = 0;
                self.events.push_back(Event::Ready { connection: self.connections.id(index) });
            }
        }
        let block = self.connections.block_mut(index)?;
        let is_ready = block.next_transmission(None).is_some();
        if !is_ready {
            block.wait_for_window(now);
        }
        Some(is_ready)
    }

    /// Keeps only what TIME-WAIT needs.
    fn enter_time_wait(&mut self, now: Instant, index: u32) {
        let Some(block) = self.connections.block_mut(index) else { return };
        let expires = block.timers.deadline(Timer::TimeWait).unwrap_or(now);
        let acknowledgment_due = block.acknowledgment_due != AcknowledgmentDue::No;
        let time_wait = TimeWait::new(block, expires, acknowledgment_due);
        self.counters.memory_in_use -= block.memory as u64;
        let listener = block.listener;
        if let Some(listener) = listener.and_then(|listener| self.listeners.get_mut(listener)) {
            listener.row.connections -= 1;
        }
        self.connections.replace(index, Connection::TimeWait(Box::new(time_wait)));
        self.counters.time_wait += 1;
        self.time_wait.push_back(self.connections.id(index));
        self.settle(now, index);
        while self.counters.time_wait as usize > self.configuration.maximum_time_wait {
            let Some(oldest) = self.time_wait.pop_front() else { break };
            if let Some(oldest) = self.connections.resolve(oldest) {
                self.counters.time_wait_overflow += 1;
                self.remove(oldest);
            }
        }
    }

    /// Asks for a wake-up when the connection's next timer is due.
    fn arm_timers(&mut self, index: u32) {
        let deadline = match self.connections.get(index) {
            Some(Connection::Open(block)) => block.timers.next(),
            // Until it has been sent, there is nothing to send again; but it does not wait for ever.
            Some(Connection::HalfOpen(half_open)) if half_open.syn_due => {
                Some(half_open.opened_at + self.configuration.syn_received)
            }
            Some(Connection::HalfOpen(half_open)) => Some(half_open.deadline),
            Some(Connection::TimeWait(time_wait)) => Some(time_wait.expires),
            None => None,
        };
        if let Some(deadline) = deadline {
            self.wheel.arm(index, deadline);
        }
    }

    /// A connection is gone: "delete the TCB".
    fn remove(&mut self, index: u32) {
        self.wheel.cancel(index);
        self.connections.set_ready(index, false);
        match self.connections.remove(index) {
            Some(Connection::Open(block)) => {
                self.counters.memory_in_use -= block.memory as u64;
                if let Some(listener) = block.listener.and_then(|listener| self.listeners.get_mut(listener)) {
                    listener.row.connections -= 1;
                }
            }
            Some(Connection::HalfOpen(half_open)) => {
                self.counters.half_open -= 1;
                if let Some(listener) = self.listeners.get_mut(half_open.listener) {
                    listener.row.half_open -= 1;
                }
            }
            Some(Connection::TimeWait(_)) => {
                self.counters.time_wait -= 1;
                while let Some(oldest) = self.time_wait.front()
                    && self.connections.resolve(*oldest).is_none()
                {
                    self.time_wait.pop_front();
                }
            }
            None => {}
        }
    }
}
