//! LISTEN STATE (RFC 9293 §3.10.7.2), and SYN-RECEIVED as far as it came from there (§3.10.7.4).
//!
//! Responsible for accepting connections, within the limits of a listener and of the host. Nothing is ever answered with a
//! RST because a limit is reached: a SYN beyond the backlog gets a cookie, or is dropped and its sender tries again.

use super::super::connections::Connection;
use super::super::control_block::default_mss;
use super::super::four_tuple::FourTuple;
use super::super::half_open::HalfOpen;
use super::super::reply::Reply;
use super::super::segment::{Flags, Segment};
use super::super::sequence::SequenceNumber;
use super::super::{Tcp, syn_cookies};
use crate::{ConnectionId, Instant, ListenerId, Payload};

/// What the limits say to a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Granted,
    /// The backlog is full, but a handshake needs no memory.
    Cookie,
    Refused,
}

impl Tcp {
    /// §3.10.7.2, LISTEN STATE.
    pub(super) fn arrives_at_listener(
        &mut self,
        now: Instant,
        listener: ListenerId,
        key: FourTuple,
        segment: Segment<'_>,
        beyond: Option<SequenceNumber>,
    ) {
        // "First, check for a RST: An incoming RST should be ignored. Return."
        if segment.has(Flags::RST) {
            return;
        }
        // But for one that brings back a SYN cookie: its connection was never in a table.
        let Some(segment) = self.cookie_arrives(now, listener, key, segment) else { return };
        // "Second, check for an ACK: Any acknowledgment is bad if it arrives on a connection still in the LISTEN state."
        if segment.has(Flags::ACK) {
            self.reset_in_response(key, &segment);
            return;
        }
        // "Third, check for a SYN". "Fourth, other data or control: This should not be reached. Drop the segment and return."
        if !segment.has(Flags::SYN) {
            return;
        }
        match self.admits(listener) {
            Admission::Granted => {}
            Admission::Cookie => return self.answer_with_cookie(now, key, &segment),
            Admission::Refused => return,
        }
        // "Set RCV.NXT to SEG.SEQ+1, IRS is set to SEG.SEQ, and any other control or text should be queued for processing
        // later." Text is not queued: the peer sends it again, and a SYN must not cost memory (RFC 4987).
        let mut iss = self.secrets.initial_sequence_number(&key, now);
        if let Some(beyond) = beyond.filter(|beyond| iss <= *beyond) {
            iss = beyond + 128_000;
        }
        let offset = self.configuration.timestamps.then(|| self.secrets.timestamp_offset(&key));
        let mut half_open = HalfOpen::new(key, listener, &segment, iss, offset, now);
        if let Some(listener) = self.listeners.get_mut(listener) {
            half_open.maximum_segment_size = listener.row.maximum_segment_size;
        }
        let index = self.insert_half_open(half_open);
        self.settle(now, index);
    }

    fn insert_half_open(&mut self, half_open: HalfOpen) -> u32 {
        self.counters.half_open += 1;
        if let Some(listener) = self.listeners.get_mut(half_open.listener) {
            listener.row.half_open += 1;
        }
        self.connections.insert(Connection::HalfOpen(Box::new(half_open)))
    }

    /// Answers a SYN and keeps nothing of it.
    fn answer_with_cookie(&mut self, now: Instant, key: FourTuple, segment: &Segment<'_>) {
        let irs = segment.header.seq;
        let mss = segment.header.options.maximum_segment_size.unwrap_or_else(|| default_mss(&key));
        let iss = syn_cookies::make(&self.secrets, &key, irs, mss, now);
        self.cookies_until = now + syn_cookies::LIFETIME;
        self.counters.syn_cookies_sent += 1;
        self.replies.push(Reply::Cookie { key, iss, rcv_nxt: irs + 1 }, &mut self.counters);
    }

    /// Makes a connection of an acknowledgment that holds a cookie. Else gives the segment back.
    fn cookie_arrives<'f>(
        &mut self,
        now: Instant,
        listener: ListenerId,
        key: FourTuple,
        segment: Segment<'f>,
    ) -> Option<Segment<'f>> {
        if now >= self.cookies_until || !segment.has(Flags::ACK) || segment.has(Flags::SYN) {
            return Some(segment);
        }
        let (iss, irs) = (segment.header.ack - 1, segment.header.seq - 1);
        let Some(mss) = syn_cookies::read(&self.secrets, &key, iss, irs, now) else { return Some(segment) };
        if self.admits(listener) == Admission::Refused {
            return None;
        }
        self.counters.syn_cookies_accepted += 1;
        let index = self.insert_half_open(HalfOpen::from_cookie(key, listener, &segment, mss, now));
        self.arrives_at_half_open(now, index, segment);
        None
    }

    /// Whether the limits allow another half-open connection.
    fn admits(&mut self, listener: ListenerId) -> Admission {
        let living = self.connections.len() - self.counters.time_wait as usize;
        let Some(listener) = self.listeners.get_mut(listener) else { return Admission::Refused };
        if living >= self.configuration.maximum_connections
            || listener.row.connections + listener.row.half_open >= listener.row.maximum_connections
        {
            self.counters.syn_dropped_connections += 1;
        } else if listener.row.half_open < listener.row.backlog {
            return Admission::Granted;
        } else if self.configuration.syn_cookies {
            return Admission::Cookie;
        } else {
            self.counters.syn_dropped_backlog += 1;
        }
        listener.row.dropped += 1;
        Admission::Refused
    }

    /// §3.10.7.4 for SYN-RECEIVED that came from LISTEN.
    pub(super) fn arrives_at_half_open<'f>(
        &mut self,
        now: Instant,
        index: u32,
        segment: Segment<'f>,
    ) -> Option<(ConnectionId, Payload<'f>)> {
        let (Some(Connection::HalfOpen(half_open)), environment) = self.borrow(index, now) else { return None };
        let header = &segment.header;
        let rcv_nxt = half_open.rcv_nxt();
        // A SYN that is the first one again has missed our answer.
        if header.flags.contains(Flags::SYN) && !header.flags.contains(Flags::ACK) && header.seq == half_open.irs {
            half_open.syn_due = true;
            self.settle(now, index);
            return None;
        }
        // RFC 7323 §5.3, R1.
        if let (Some(ours), Some(theirs)) = (half_open.timestamps, header.options.timestamps)
            && theirs.value.wrapping_sub(ours.recent).cast_signed() < 0
            && !header.flags.contains(Flags::RST)
        {
            environment.counters.paws_rejected += 1;
            return None;
        }
        // "First, check sequence number".
        let window = HalfOpen::initial_window(environment.configuration) as u32;
        let acceptable = rcv_nxt <= header.seq && header.seq < rcv_nxt + window;
        // "Second, check the RST bit: If this connection was initiated with a passive OPEN, then return this connection to
        // the LISTEN state and return. The user need not be informed." With RFC 5961 §3: only when it is exactly RCV.NXT.
        if header.flags.contains(Flags::RST) {
            if header.seq == rcv_nxt {
                self.counters.failed_opens += 1;
                self.remove(index);
            }
            return None;
        }
        if !acceptable {
            // "If an incoming segment is not acceptable, an acknowledgment should be sent in reply": the SYN and ACK.
            environment.counters.unacceptable += 1;
            half_open.syn_due = true;
            self.settle(now, index);
            return None;
        }
        // "Fourth, check the SYN bit: If the connection was initiated with a passive OPEN, then return this connection to the
        // LISTEN state and return."
        if header.flags.contains(Flags::SYN) {
            self.counters.failed_opens += 1;
            self.remove(index);
            return None;
        }
        // "Fifth, check the ACK field: if the ACK bit is off, drop the segment and return".
        if !header.flags.contains(Flags::ACK) {
            return None;
        }
        // "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state and continue processing". SND.NXT is ISS + 1.
        if header.ack != half_open.iss + 1 {
            // "If the segment acknowledgment is not acceptable, form a reset segment <SEQ=SEG.ACK><CTL=RST> and send it."
            let key = half_open.key;
            self.reset_in_response(key, &segment);
            return None;
        }
        let block = half_open.establish(environment.configuration, &segment, now);
        let listener = half_open.listener;
        self.connections.replace(index, Connection::Open(Box::new(block)));
        self.counters.half_open -= 1;
        self.counters.passive_opens += 1;
        if let Some(listener) = self.listeners.get_mut(listener) {
            listener.row.half_open -= 1;
            listener.row.connections += 1;
            listener.row.accepted += 1;
        }
        self.opened(index, Some(listener));
        // Text and FIN that come with it are processed as in ESTABLISHED; the user finds them in the queue.
        if segment.len() > 0 || segment.has(Flags::URG) {
            let (block, mut environment) = self.open(index, now)?;
            let verdict = block.segment_arrives(&mut environment, segment);
            if let Some(payload) = self.conclude(now, index, verdict) {
                self.deposit(now, index, &payload);
            }
        } else {
            self.settle(now, index);
        }
        None
    }
}
