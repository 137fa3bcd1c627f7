//! The transmission control block (RFC 9293 §3.3.1): everything about one connection.
//!
//! Responsible for holding it, and for the small facts that follow from it alone. What happens to it is elsewhere:
//! [`arrival`](super::arrival) for segments, [`output`](super::output) for sending, [`time_outs`](super::time_outs) for
//! timers, [`stream`](super::stream) for the user's calls.

use std::time::Duration;

use super::Configuration;
use super::congestion::{AnyController, Controller};
use super::ecn::Ecn;
use super::four_tuple::FourTuple;
use super::options::Timestamps;
use super::rack::Rack;
use super::reassembly::Reassembly;
use super::receive_queue::ReceiveQueue;
use super::receive_window::{INITIAL_BUFFER, ReceiveWindow};
use super::recovery::Recovery;
use super::reply::Reset;
use super::retransmission_queue::RetransmissionQueue;
use super::retransmission_timeout::RetransmissionTimeout;
use super::segment::{HEADER_LENGTH, Header};
use super::send_queue::SendQueue;
use super::sequence::SequenceNumber;
use super::state::State;
use super::timers::{Timer, Timers};
use super::undo::Undo;
use crate::{Instant, ListenerId};

/// RFC 9293 §3.7.1 (MUST-15): the peer's maximum segment size when it does not say.
pub(crate) const DEFAULT_MSS_IPV4: u16 = 536;
/// The same for IPv6.
pub(crate) const DEFAULT_MSS_IPV6: u16 = 1220;
/// No segment is made smaller than this, whatever a peer or a router asks for: 8 octets of data beside all options (RFC 791
/// demands 68 octets of every link). A smaller wish only multiplies our work.
pub(crate) const MINIMUM_MSS: u16 = 68 - 20;

/// Until a segment has been sent and the route is known: Ethernet's.
pub(crate) const INITIAL_PATH_MTU: u16 = 1500;

/// What the rest of TCP lends to whoever works on one connection.
#[derive(Debug)]
pub(crate) struct Environment<'a> {
    pub(crate) now: Instant,
    pub(crate) configuration: &'a Configuration,
    pub(crate) counters: &'a mut super::Counters,
    /// The memory limit has been reached.
    pub(crate) memory_is_short: bool,
}

/// Timestamps, once both sides have offered them (RFC 7323 §3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimestampState {
    /// What is added to our clock.
    pub(crate) offset: u32,
    /// TS.Recent, and when it was set.
    pub(crate) recent: u32,
    pub(crate) recent_at: Instant,
}

impl TimestampState {
    /// Our clock ticks each millisecond (RFC 7323 §5.4).
    pub(crate) fn value(&self, now: Instant) -> u32 {
        ((now.as_millis() & 0xffff_ffff) as u32).wrapping_add(self.offset)
    }

    pub(crate) fn option(&self, now: Instant) -> Timestamps {
        Timestamps { value: self.value(now), echo_reply: self.recent }
    }
}

/// When an acknowledgment is owed to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcknowledgmentDue {
    No,
    /// When the timer expires, or with whatever is sent before that.
    Delayed,
    /// With the next transmission.
    Now,
}

/// Send sequence variables (RFC 9293 §3.3.1).
#[derive(Debug)]
pub(crate) struct SendVariables {
    /// The first sequence number that the peer has not acknowledged.
    pub(crate) una: SequenceNumber,
    /// The next sequence number to be sent.
    pub(crate) nxt: SequenceNumber,
    /// The window, in octets from `una`.
    pub(crate) wnd: u32,
    /// The sequence number and the acknowledgment number of the segment that last updated the window.
    pub(crate) wl1: SequenceNumber,
    pub(crate) wl2: SequenceNumber,
    /// Our initial sequence number.
    pub(crate) iss: SequenceNumber,
    /// The largest window ever offered: Max(SND.WND) of §3.8.6.2.1, MAX.SND.WND of RFC 5961 §5.
    pub(crate) max_wnd: u32,
    /// The sequence number of our FIN, once it has been sent.
    pub(crate) fin: Option<SequenceNumber>,
    /// Snd.Wind.Shift (RFC 7323 §2.2).
    pub(crate) shift: u8,
    /// The end of the last segment that was not full: Nagle's algorithm, as Minshall modified it.
    pub(crate) small_end: SequenceNumber,
}

/// The control block.
#[derive(Debug)]
pub(crate) struct ControlBlock {
    pub(crate) key: FourTuple,
    pub(crate) state: State,
    /// Whether a user still holds it. Without one it is an orphan that only finishes.
    pub(crate) attached: bool,
    /// Whether its user has been told that it is open. What comes before waits in the queue.
    pub(crate) announced: bool,
    /// Who accepted it; `None` for an active open.
    pub(crate) listener: Option<ListenerId>,
    pub(crate) opened_at: Instant,

    pub(crate) snd: SendVariables,
    /// RCV.NXT, RCV.WND and what belongs to them.
    pub(crate) rcv: ReceiveWindow,
    pub(crate) timestamps: Option<TimestampState>,
    /// Whether both sides have offered SACK (RFC 2018 §2).
    pub(crate) sack_permitted: bool,
    /// The peer's MSS option, or the default.
    pub(crate) peer_mss: u16,
    /// The largest packet that fits the path, in octets.
    pub(crate) path_mtu: u16,

    pub(crate) send_queue: SendQueue,
    pub(crate) receive_queue: ReceiveQueue,
    pub(crate) reassembly: Option<Box<Reassembly>>,
    pub(crate) retransmission_queue: RetransmissionQueue,

    pub(crate) timers: Timers,
    pub(crate) rto: RetransmissionTimeout,
    pub(crate) congestion: AnyController,
    pub(crate) recovery: Recovery,
    pub(crate) rack: Rack,
    pub(crate) ecn: Ecn,
    /// How a recovery is taken back. It exists from its beginning to the next one's.
    pub(crate) undo: Option<Box<Undo>>,

    pub(crate) acknowledgment_due: AcknowledgmentDue,
    /// A SYN, or a SYN and ACK, is to be sent.
    pub(crate) syn_due: bool,
    /// The user has finished before the connection was established.
    pub(crate) finish_requested: bool,
    /// A probe of the peer's window, or a segment against silly-window avoidance, is to be sent.
    pub(crate) window_probe_due: bool,
    pub(crate) keep_alive_due: bool,
    pub(crate) nagle: bool,
    /// A segment of text has gone out in this turn, and perhaps another will.
    pub(crate) in_train: bool,
    /// The traffic class of what is sent (MUST-48).
    pub(crate) traffic_class: u8,
    /// How long the peer may owe us an answer (R2, MUST-21), in milliseconds.
    user_timeout: u32,
    /// The largest segment that is announced and sent, in octets of data.
    pub(crate) maximum_segment_size: u16,
    /// The most octets that were on their way at a time in the last round trip.
    pub(crate) most_in_flight: u32,
    /// The congestion window has held data back since the last acknowledgment.
    pub(crate) window_limited: bool,
    /// The handshake needed a second SYN.
    pub(crate) syn_retransmitted: bool,
    /// Probes of a silent peer that have not been answered.
    pub(crate) keep_alive_probes: u32,
    /// When a segment was last received, and when data were last sent.
    pub(crate) received_at: Instant,
    pub(crate) sent_at: Instant,
    /// Since when the peer owes us an answer: the user time-out counts from here.
    pub(crate) waiting_since: Instant,
    /// A reset for a segment that did not belong here. The connection goes on.
    pub(crate) stray_reset: Option<Reset>,
    /// When the last challenge ACK was sent (RFC 5961 §7).
    pub(crate) challenged_at: Option<Instant>,

    /// So many octets of room will wake the user; 0 for none.
    pub(crate) wanted_room: usize,

    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) retransmits: u64,
    /// What this connection's queues held when they were last counted.
    pub(crate) memory: usize,
}

impl ControlBlock {
    /// A block in SYN-SENT, or about to leave it. What the peer's SYN says is filled in when it is known.
    pub(crate) fn new(
        key: FourTuple,
        iss: SequenceNumber,
        timestamps: Option<TimestampState>,
        configuration: &Configuration,
        now: Instant,
    ) -> Self {
        let buffer = configuration.receive_buffer.min(INITIAL_BUFFER);
        Self {
            key,
            state: State::SynSent,
            attached: true,
            announced: false,
            listener: None,
            opened_at: now,
            snd: SendVariables {
                una: iss,
                nxt: iss + 1,
                wnd: 0,
                wl1: SequenceNumber(0),
                wl2: SequenceNumber(0),
                iss,
                max_wnd: 0,
                fin: None,
                shift: 0,
                small_end: iss,
            },
            rcv: ReceiveWindow::new(SequenceNumber(0), 0, buffer),
            timestamps,
            sack_permitted: false,
            peer_mss: default_mss(&key),
            path_mtu: INITIAL_PATH_MTU,
            send_queue: SendQueue::default(),
            receive_queue: ReceiveQueue::default(),
            reassembly: None,
            retransmission_queue: RetransmissionQueue::default(),
            timers: Timers::new(),
            rto: RetransmissionTimeout::new(configuration.minimum_retransmission_timeout),
            congestion: AnyController::new(configuration.congestion_control, u32::from(default_mss(&key))),
            recovery: Recovery::default(),
            rack: Rack::default(),
            ecn: Ecn::default(),
            undo: None,
            acknowledgment_due: AcknowledgmentDue::No,
            syn_due: true,
            finish_requested: false,
            window_probe_due: false,
            keep_alive_due: false,
            nagle: configuration.nagle,
            in_train: false,
            traffic_class: configuration.traffic_class,
            user_timeout: milliseconds(configuration.user_timeout),
            maximum_segment_size: u16::MAX,
            most_in_flight: 0,
            window_limited: false,
            syn_retransmitted: false,
            keep_alive_probes: 0,
            received_at: now,
            sent_at: now,
            waiting_since: now,
            stray_reset: None,
            challenged_at: None,
            wanted_room: 0,
            bytes_received: 0,
            bytes_sent: 0,
            retransmits: 0,
            memory: 0,
        }
    }

    /// SND.WND <- SEG.WND, SND.WL1 <- SEG.SEQ, SND.WL2 <- SEG.ACK, for a window that is not scaled yet (RFC 7323 §2.2).
    pub(crate) fn set_window(&mut self, header: &Header, shift: u8) {
        self.snd.wnd = u32::from(header.window) << shift;
        self.snd.wl1 = header.seq;
        self.snd.wl2 = header.ack;
        self.snd.max_wnd = self.snd.max_wnd.max(self.snd.wnd);
    }

    /// The handshake is complete: ESTABLISHED.
    pub(crate) fn establish(&mut self, configuration: &Configuration, now: Instant) {
        self.state = State::Established;
        self.timers.stop(Timer::Retransmission);
        self.congestion = AnyController::new(configuration.congestion_control, self.smss());
        self.snd.small_end = self.snd.una;
        self.waiting_since = now;
        if let Some(keep_alive) = configuration.keep_alive {
            self.timers.start(Timer::KeepAlive, now + keep_alive.idle);
        }
        if self.finish_requested {
            // RFC 9293 §3.10.4: a CLOSE in SYN-SENT or SYN-RECEIVED waits for ESTABLISHED.
            self.state = State::FinWait1;
        }
    }

    /// The sender's maximum segment size, in octets of data (RFC 9293 §3.7.1, MUST-16): what the peer takes and the path
    /// carries, less the options that every segment has.
    pub(crate) fn smss(&self) -> u32 {
        let headers = ip_header_length(&self.key) + HEADER_LENGTH as u16;
        let most = self.peer_mss.min(self.maximum_segment_size);
        let mss = most.min(self.path_mtu.saturating_sub(headers)).max(MINIMUM_MSS);
        u32::from(mss) - if self.timestamps.is_some() { super::options::TIMESTAMPS_SPACE as u32 } else { 0 }
    }

    /// The offset in the send queue of a sequence number from SND.UNA on.
    pub(crate) fn offset(&self, at: SequenceNumber) -> u64 {
        // Before our SYN is acknowledged, SND.UNA is the SYN and not the first octet.
        let first = self.snd.una.max(self.snd.iss + 1);
        self.send_queue.start() + u64::from(at - first)
    }

    /// The sequence number after the last octet that our user has written.
    pub(crate) fn end_of_data(&self) -> SequenceNumber {
        self.snd.una.max(self.snd.iss + 1) + self.send_queue.len() as u32
    }

    /// Octets that wait to be sent for the first time: D of RFC 9293 §3.8.6.2.1.
    pub(crate) fn unsent(&self) -> u32 {
        let end = self.end_of_data();
        if self.snd.nxt < end { end - self.snd.nxt } else { 0 }
    }

    /// Whether our FIN waits to be sent for the first time, after all data.
    pub(crate) const fn fin_is_unsent(&self) -> bool {
        self.state.output_finished() && self.state.sends() && self.snd.fin.is_none()
    }

    /// Whether the peer has acknowledged our FIN.
    pub(crate) fn fin_is_acknowledged(&self) -> bool {
        self.snd.fin.is_some_and(|fin| self.snd.una > fin)
    }

    /// SND.UNA + SND.WND.
    pub(crate) fn send_window_edge(&self) -> SequenceNumber {
        self.snd.una + self.snd.wnd
    }

    /// How many octets the user may write.
    pub(crate) fn room(&self, configuration: &Configuration) -> usize {
        if self.state.output_finished() || !self.attached {
            return 0;
        }
        self.send_buffer(configuration).saturating_sub(self.send_queue.len())
    }

    /// The send buffer: twice what may be on its way, so that the next window waits while this one is acknowledged.
    pub(crate) fn send_buffer(&self, configuration: &Configuration) -> usize {
        (2 * self.congestion.window() as usize).max(128 * 1024).min(configuration.send_buffer)
    }

    /// Octets of memory in the queues.
    pub(crate) fn queue_memory(&self) -> usize {
        self.send_queue.len()
            + self.receive_queue.memory()
            + self.reassembly.as_ref().map_or(0, |reassembly| reassembly.memory())
            + self.retransmission_queue.memory()
    }

    /// Whether the oldest unacknowledged data have been retransmitted so often that IP might look for another way
    /// (R1 of RFC 9293 §3.8.3: three times).
    pub(crate) const fn path_is_doubtful(&self) -> bool {
        self.rto.backoff() >= 3
    }

    /// How long the peer may owe us an answer (R2).
    pub(crate) fn user_timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.user_timeout))
    }

    /// Sets it, at most to 49 days.
    pub(crate) fn set_user_timeout(&mut self, timeout: Duration) {
        self.user_timeout = milliseconds(timeout);
    }

    /// Everything goes: the connection is CLOSED.
    pub(crate) fn close(&mut self) {
        self.state = State::Closed;
        self.timers.stop_all();
        self.send_queue.clear();
        self.retransmission_queue = RetransmissionQueue::default();
        self.reassembly = None;
        self.acknowledgment_due = AcknowledgmentDue::No;
        self.syn_due = false;
        self.window_probe_due = false;
        self.keep_alive_due = false;
    }

    /// Owes the peer an acknowledgment with the next transmission.
    pub(crate) const fn acknowledge_now(&mut self) {
        self.acknowledgment_due = AcknowledgmentDue::Now;
    }

    /// A challenge ACK, at most ten in five seconds (RFC 5961 §7).
    pub(crate) fn challenge(&mut self, environment: &mut Environment<'_>) {
        const INTERVAL: Duration = Duration::from_millis(500);
        if self.challenged_at.is_some_and(|at| environment.now.since(at) < INTERVAL) {
            environment.counters.challenge_acknowledgments_suppressed += 1;
            return;
        }
        self.challenged_at = Some(environment.now);
        environment.counters.challenge_acknowledgments += 1;
        self.acknowledge_now();
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Octets of an IP header without options, for the family of `key`.
pub(crate) const fn ip_header_length(key: &FourTuple) -> u16 {
    if key.remote.is_ipv4() { 20 } else { 40 }
}

/// The peer's MSS when it does not say.
pub(crate) const fn default_mss(key: &FourTuple) -> u16 {
    if key.remote.is_ipv4() { DEFAULT_MSS_IPV4 } else { DEFAULT_MSS_IPV6 }
}
