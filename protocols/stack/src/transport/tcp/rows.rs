//! Connections as people look at them (RFC 9293 §3.10.6, STATUS).
//!
//! Responsible for snapshots of what a connection is. They are copies: nothing is changed through them.

use std::net::SocketAddr;
use std::time::Duration;

use super::Tcp;
use super::congestion::{CongestionControl, Controller};
use super::connections::Connection;
use super::control_block::ControlBlock;
use super::listener::ListenerRow;
use super::recovery::Phase;
use super::state::State;
use super::timers::Timer;
use crate::{ConnectionId, Instant, ListenerId};

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRow {
    /// Its name.
    pub id: ConnectionId,
    /// Our socket.
    pub local: SocketAddr,
    /// The peer's socket.
    pub remote: SocketAddr,
    /// Its state.
    pub state: State,
    /// Who accepted it; `None` when we opened it.
    pub listener: Option<ListenerId>,
    /// Octets that have come in order.
    pub bytes_received: u64,
    /// Octets that we have sent and the peer has acknowledged.
    pub bytes_sent: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// SRTT, once measured.
    pub smoothed_round_trip: Option<Duration>,
    /// cwnd, in octets; `None` where nothing is sent.
    pub congestion_window: Option<u32>,
    /// When its SYN came or went.
    pub opened_at: Instant,
}

/// The whole control block of a connection, in the RFC's terms. Sequence numbers are as on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field has the name that the RFCs give it")]
pub struct ConnectionDetail {
    pub row: ConnectionRow,
    /// Whether a session holds it.
    pub attached: bool,
    pub iss: u32,
    pub snd_una: u32,
    pub snd_nxt: u32,
    pub snd_wnd: u32,
    pub max_snd_wnd: u32,
    pub snd_wind_shift: u8,
    pub irs: u32,
    pub rcv_nxt: u32,
    pub rcv_wnd: u32,
    pub rcv_buff: usize,
    pub rcv_wind_shift: u8,
    pub smss: u32,
    pub path_mtu: u16,
    pub sack_permitted: bool,
    pub timestamps: bool,
    pub ecn: bool,
    pub ts_recent: Option<u32>,
    pub congestion_control: CongestionControl,
    pub cwnd: u32,
    pub ssthresh: u32,
    pub pipe: u32,
    /// Octets that the peer has beyond a hole.
    pub sacked: u32,
    /// Octets thought lost and not sent again yet.
    pub lost: u32,
    /// Octets sent again that the peer may not have yet.
    pub retransmitted: u32,
    /// The maximum segment size that we announce, in octets of data.
    pub announced_mss: u16,
    /// What the peer calls a full-sized segment, in octets of data.
    pub received_mss: u32,
    /// "open", "fast recovery" or "time-out recovery".
    pub recovery: &'static str,
    pub srtt: Option<Duration>,
    pub rttvar: Option<Duration>,
    pub minimum_round_trip: Option<Duration>,
    pub rto: Duration,
    /// Retransmission time-outs without progress.
    pub backoff: u32,
    /// R1 of RFC 9293 §3.8.3 has been passed.
    pub path_is_doubtful: bool,
    /// Octets written and not sent.
    pub unsent: u32,
    /// Octets written and not acknowledged.
    pub send_queue: usize,
    /// Octets that wait for the session.
    pub receive_queue: usize,
    /// Octets of memory in all queues.
    pub memory: usize,
    /// When the retransmission timer expires, if it runs.
    pub retransmission_timer: Option<Instant>,
    /// When the window is probed next, if that is what it waits for.
    pub persist_timer: Option<Instant>,
    pub last_received: Instant,
    pub last_sent: Instant,
}

impl Tcp {
    /// All connections, half-open ones and those in TIME-WAIT included. It walks through the table.
    pub(crate) fn connections(&self) -> impl Iterator<Item = ConnectionRow> {
        self.connections
            .iter()
            .filter(|(_, connection)| !is_closed(connection))
            .map(|(id, connection)| row(id, connection))
    }

    /// The control block of a connection. `None` when it is gone or has none: half-open, or in TIME-WAIT.
    pub(crate) fn detail(&self, id: ConnectionId) -> Option<ConnectionDetail> {
        let connection = self.connections.get(self.connections.resolve(id)?)?;
        match connection {
            Connection::Open(block) => Some(detail(row(id, connection), block)),
            Connection::HalfOpen(_) | Connection::TimeWait(_) => None,
        }
    }

    /// All listeners.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = ListenerRow> {
        self.listeners.rows()
    }
}

fn is_closed(connection: &Connection) -> bool {
    matches!(connection, Connection::Open(block) if block.state == State::Closed)
}

fn row(id: ConnectionId, connection: &Connection) -> ConnectionRow {
    let key = connection.key();
    let empty = ConnectionRow {
        id,
        local: key.local,
        remote: key.remote,
        state: State::SynReceived,
        listener: None,
        bytes_received: 0,
        bytes_sent: 0,
        retransmits: 0,
        smoothed_round_trip: None,
        congestion_window: None,
        opened_at: Instant::START,
    };
    match connection {
        Connection::HalfOpen(half_open) => ConnectionRow {
            listener: Some(half_open.listener),
            retransmits: u64::from(half_open.retransmissions),
            opened_at: half_open.opened_at,
            ..empty
        },
        Connection::Open(block) => ConnectionRow {
            state: block.state,
            listener: block.listener,
            bytes_received: block.bytes_received,
            bytes_sent: block.bytes_sent,
            retransmits: block.retransmits,
            smoothed_round_trip: block.rto.smoothed_round_trip(),
            congestion_window: Some(block.congestion.window()),
            opened_at: block.opened_at,
            ..empty
        },
        Connection::TimeWait(time_wait) => ConnectionRow {
            state: State::TimeWait,
            listener: time_wait.listener,
            bytes_received: time_wait.bytes_received,
            bytes_sent: time_wait.bytes_sent,
            retransmits: time_wait.retransmits,
            opened_at: time_wait.opened_at,
            ..empty
        },
    }
}

fn detail(row: ConnectionRow, block: &ControlBlock) -> ConnectionDetail {
    ConnectionDetail {
        row,
        attached: block.attached,
        iss: block.snd.iss.0,
        snd_una: block.snd.una.0,
        snd_nxt: block.snd.nxt.0,
        snd_wnd: block.snd.wnd,
        max_snd_wnd: block.snd.max_wnd,
        snd_wind_shift: block.snd.shift,
        irs: block.rcv.irs.0,
        rcv_nxt: block.rcv.nxt.0,
        rcv_wnd: block.rcv.wnd(),
        rcv_buff: block.rcv.buffer,
        rcv_wind_shift: block.rcv.shift,
        smss: block.smss(),
        path_mtu: block.path_mtu,
        sack_permitted: block.sack_permitted,
        timestamps: block.timestamps.is_some(),
        ecn: block.ecn.agreed,
        ts_recent: block.timestamps.map(|timestamps| timestamps.recent),
        congestion_control: block.congestion.kind(),
        cwnd: block.congestion.window(),
        ssthresh: block.congestion.slow_start_threshold(),
        pipe: block.pipe(),
        sacked: block.retransmission_queue.sacked(),
        lost: block.retransmission_queue.to_retransmit(),
        retransmitted: block.retransmission_queue.retransmitted_octets(),
        announced_mss: super::output::mss_to_announce(block.path_mtu, &block.key).min(block.maximum_segment_size),
        received_mss: block.rcv.segment_size,
        recovery: match block.recovery.phase {
            Phase::Open => "open",
            Phase::Fast { .. } => "fast recovery",
            Phase::Timeout { .. } => "time-out recovery",
        },
        srtt: block.rto.smoothed_round_trip(),
        rttvar: block.rto.round_trip_variation(),
        minimum_round_trip: block.rto.minimum_round_trip(),
        rto: block.rto.current(),
        backoff: block.rto.backoff(),
        path_is_doubtful: block.path_is_doubtful(),
        unsent: block.unsent(),
        send_queue: block.send_queue.len(),
        receive_queue: block.receive_queue.len(),
        memory: block.queue_memory(),
        retransmission_timer: block.timers.deadline(Timer::Retransmission),
        persist_timer: block.timers.deadline(Timer::Persist),
        last_received: block.received_at,
        last_sent: block.sent_at,
    }
}
