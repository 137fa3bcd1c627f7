//! Sending (RFC 9293 §3.7, §3.8.6.2.1).
//!
//! Responsible for what a connection sends next and for making segments of it. What may be sent is decided by
//! [`ControlBlock::next_transmission`], which changes nothing; only when the device has taken a segment does the control
//! block learn of it. So a full device costs nothing but a second try.

use super::congestion::Controller;
use super::control_block::{AcknowledgmentDue, ControlBlock, Environment};
use super::four_tuple::FourTuple;
use super::options::{Options, SackBlocks};
use super::receive_window::INITIAL_BUFFER;
use super::segment::{CHECKSUM_OFFSET, Flags, Header, MAXIMUM_HEADER_LENGTH, maximum_sack_blocks};
use super::sequence::SequenceNumber;
use super::state::State;
use super::timers::Timer;
use super::{ecn, receive_window};
use crate::network::protocol;
use crate::packet::{OutgoingPacket, PacketSink, SendFailure};
use crate::{DeviceFull, Instant};

/// Frames that one connection sends before it is another's turn.
const BURST: usize = 8;

/// A segment of this size has room for SACK blocks and as much data again.
const SMALLEST_SEGMENT_WITH_BLOCKS: u32 = 80;

/// What a connection sends next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transmission {
    /// A SYN, with an acknowledgment in SYN-RECEIVED.
    Syn,
    /// Sequence numbers with text, or our FIN, or both.
    Text {
        start: SequenceNumber,
        /// After the last octet of text.
        end: SequenceNumber,
        fin: bool,
        /// Nothing more may follow now.
        last: bool,
    },
    /// RFC 9293 §3.8.4: an acknowledgment that the peer will find unacceptable.
    KeepAlive,
    /// An acknowledgment alone.
    Acknowledgment,
}

/// How far a connection has come in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There is more, but others wait.
    More,
    Done,
}

impl ControlBlock {
    /// Sends what may be sent, up to a bound.
    pub(crate) fn output(
        &mut self,
        environment: &mut Environment<'_>,
        sink: &mut impl PacketSink,
    ) -> Result<Turn, DeviceFull> {
        // RFC 5681 §4.1: what was learned of the path is stale after an idle RTO.
        if self.retransmission_queue.is_empty()
            && self.unsent() > 0
            && environment.now.since(self.sent_at) > self.rto.current()
        {
            // So is the path's MTU, which may have grown again (RFC 1191 §6.3); the network layer ages what it knows.
            self.path_mtu = sink.path_mtu(self.key.remote.ip()).min(usize::from(u16::MAX)) as u16;
            if environment.configuration.restart_after_idle {
                self.congestion.restart_after_idle(self.smss());
            }
        }
        for _ in 0..BURST {
            let Some(next) = self.next_transmission(sink.segmentation_limit()) else {
                self.in_train = false;
                self.after_output();
                return Ok(Turn::Done);
            };
            self.transmit(environment, sink, next)?;
        }
        Ok(Turn::More)
    }

    /// What goes next. `segmentation` is the most octets that the device cuts into segments.
    pub(crate) fn next_transmission(&self, segmentation: Option<usize>) -> Option<Transmission> {
        match self.state {
            State::Closed | State::Listen => return None,
            State::SynSent | State::SynReceived => {
                if self.syn_due {
                    return Some(Transmission::Syn);
                }
            }
            State::TimeWait | State::FinWait2 => {}
            State::Established | State::CloseWait | State::FinWait1 | State::Closing | State::LastAck => {
                let size = self.smss() - self.sack_blocks().space() as u32;
                // CWR belongs to one segment: such a frame is not for the device to cut (RFC 3168 §6.1.2).
                let segmentation = segmentation.filter(|_| !self.ecn.announces_reduction());
                let most = segmentation.map_or(size, |limit| (limit as u32 / size * size).max(size));
                let text = self.next_retransmission(size, most).or_else(|| self.next_text(size, most));
                if let Some(text) = text.or_else(|| self.next_probe(size)) {
                    return Some(text);
                }
            }
        }
        if self.keep_alive_due {
            return Some(Transmission::KeepAlive);
        }
        (self.acknowledgment_due == AcknowledgmentDue::Now && self.state.has_peer_sequence())
            .then_some(Transmission::Acknowledgment)
    }

    /// RFC 6675 §5 (C): what is lost goes before what is new, while `cwnd - pipe` leaves room for a segment.
    fn next_retransmission(&self, size: u32, most: u32) -> Option<Transmission> {
        if self.retransmission_queue.to_retransmit() == 0 {
            return None;
        }
        let room = self.congestion_room() / size * size;
        let room = room.max(if self.recovery.retransmit_now { size } else { 0 });
        if room == 0 {
            return None;
        }
        let (start, end) = self.retransmission_queue.next_lost(room.min(most))?;
        // A window that has shrunk is respected (SHLD-16, MUST-34), but for the first octet, which probes it (§3.8.6.1).
        let end = end.min(self.send_window_edge().max(self.snd.una + 1));
        if end <= start {
            return None;
        }
        let text_end = self.snd.fin.map_or(end, |fin| end.min(fin));
        Some(Transmission::Text { start, end: text_end, fin: text_end < end, last: false })
    }

    /// RFC 8985 §7.3: a new segment if there is one and the peer's window has room for it, else the last one again. The
    /// congestion window does not count.
    fn next_probe(&self, size: u32) -> Option<Transmission> {
        if !self.rack.probe_due {
            return None;
        }
        let start = self.snd.nxt;
        let edge = self.send_window_edge();
        let length = self.unsent().min(size).min(if start < edge { edge - start } else { 0 });
        if length > 0 {
            return Some(Transmission::Text { start, end: start + length, fin: false, last: false });
        }
        let (first, end) = self.retransmission_queue.tail()?;
        let text_end = self.snd.fin.map_or(end, |fin| end.min(fin));
        let start = if text_end - first > size { text_end - size } else { first };
        Some(Transmission::Text { start, end: text_end, fin: text_end < end, last: false })
    }

    /// RFC 9293 §3.8.6.2.1: silly-window avoidance and Nagle's algorithm. `size` is Eff.snd.MSS here.
    fn next_text(&self, size: u32, most: u32) -> Option<Transmission> {
        let start = self.snd.nxt;
        let unsent = self.unsent();
        let fin_follows = self.fin_is_unsent();
        if (unsent == 0 && !fin_follows) || self.retransmission_queue.to_retransmit() > 0 {
            return None;
        }
        let edge = self.send_window_edge();
        let window = if start < edge { edge - start } else { 0 };
        if self.window_probe_due {
            // (4) the override time-out has occurred; or the window is closed and this is its probe (§3.8.6.1).
            let length = unsent.min(window.clamp(1, size));
            return Some(Transmission::Text { start, end: start + length, fin: length == 0, last: false });
        }
        let usable = window.min(self.congestion_room());
        let fits = unsent.min(usable).min(most);
        let whole = fits / size * size;
        let length = if fits < unsent {
            // (1) full-sized segments; (3) or half of the largest window that the peer ever had, when nothing is on its way.
            let worth_it = self.retransmission_queue.is_empty() && window < size && fits >= self.snd.max_wnd / 2;
            if whole == 0 && worth_it { fits } else { whole }
        } else if self.may_send_small(fin_follows) {
            // (2) all of it.
            fits
        } else {
            whole
        };
        let fin = fin_follows && length == unsent && length < window;
        let available = unsent.min(usable);
        let rest = available - length;
        let last = rest < size && (rest == 0 || available < unsent || !self.may_send_small(fin_follows));
        (length > 0 || fin).then_some(Transmission::Text { start, end: start + length, fin, last })
    }

    /// Nagle's algorithm (RFC 9293 §3.7.4), as Minshall's modification has it: a segment that is not full waits while another
    /// such is unacknowledged, not while anything is. The end of a long answer then does not wait for a delayed
    /// acknowledgment of its beginning. Data with our FIN behind them never wait.
    fn may_send_small(&self, fin_follows: bool) -> bool {
        !self.nagle || fin_follows || self.snd.small_end <= self.snd.una
    }

    /// The SACK blocks of the next segment: RFC 2883 §4 wants the duplicate first.
    fn sack_blocks(&self) -> SackBlocks {
        let mut blocks = SackBlocks::default();
        // Where segments are tiny, blocks would leave no room for data.
        if !self.sack_permitted || self.smss() < SMALLEST_SEGMENT_WITH_BLOCKS {
            return blocks;
        }
        let mut count = maximum_sack_blocks(self.timestamps.is_some());
        if let Some(duplicate) = self.rcv.duplicate {
            blocks.push(duplicate);
            count -= 1;
        }
        if let Some(reassembly) = &self.reassembly {
            reassembly.sack_blocks(count, &mut blocks);
        }
        blocks
    }

    /// Sends one transmission and takes note of it.
    fn transmit(
        &mut self,
        environment: &mut Environment<'_>,
        sink: &mut impl PacketSink,
        transmission: Transmission,
    ) -> Result<(), DeviceFull> {
        let now = environment.now;
        let mut header = Header {
            source_port: self.key.local.port(),
            destination_port: self.key.remote.port(),
            seq: self.snd.nxt,
            options: Options {
                timestamps: self.timestamps.as_ref().map(|timestamps| timestamps.option(now)),
                ..Options::default()
            },
            ..Header::default()
        };
        let edge = self.rcv.edge_to_announce(self.receive_queue.len());
        if self.state.has_peer_sequence() {
            header.ack = self.rcv.nxt;
            header.flags = Flags::ACK | self.ecn.acknowledgment_flags();
            header.window = self.rcv.field(edge);
            header.options.sack = self.sack_blocks();
        }
        let (mut start, mut end) = (self.snd.nxt, self.snd.nxt);
        let mut fin_is_sent = false;
        let mut traffic_class = self.traffic_class & !0b11;
        match transmission {
            Transmission::Syn => {
                self.path_mtu = sink.path_mtu(self.key.remote.ip()).min(usize::from(u16::MAX)) as u16;
                header.seq = self.snd.iss;
                header.flags = header.flags | Flags::SYN | self.ecn_setup_flags(environment);
                self.syn_options(&mut header, environment);
            }
            Transmission::Text { start: from, end: to, fin, last } => {
                (start, end, fin_is_sent) = (from, to, fin);
                header.seq = from;
                // RFC 3168 §6.1.4 and §6.1.5: only new data are marked as able to be marked, and a window probe is not.
                if self.ecn.agreed && to > from && from == self.snd.nxt && !self.window_probe_due {
                    traffic_class |= ecn::ECT_0;
                    if self.ecn.announces_reduction() {
                        header.flags = header.flags | Flags::CWR;
                    }
                }
                if fin {
                    header.flags = header.flags | Flags::FIN;
                }
                // MUST-61: the last segment of what is queued has PSH. So has the last of a train that the window ends: a
                // receiver that gathers segments then need not wait for more.
                let ends_train = last && (self.in_train || to - from > self.smss());
                if to > from && (to == self.end_of_data() || ends_train) {
                    header.flags = header.flags | Flags::PSH;
                }
            }
            // SHLD-12: SEG.SEQ = SND.NXT-1, without data.
            Transmission::KeepAlive => header.seq = self.snd.nxt - 1,
            Transmission::Acknowledgment => {}
        }
        let announces_reduction = header.flags.contains(Flags::CWR) && transmission != Transmission::Syn;
        let length = end - start;
        let size = self.smss() - header.options.sack.space() as u32;
        let slices = self.send_queue.slices(self.offset(start), length as usize);
        let mut buffer = [0; MAXIMUM_HEADER_LENGTH];
        let header_length = header.emit(&mut buffer);
        let sent = sink.send(OutgoingPacket {
            source: self.key.local.ip(),
            destination: self.key.remote.ip(),
            protocol: protocol::TCP,
            hop_limit: environment.configuration.hop_limit,
            traffic_class,
            dont_fragment: true,
            header: buffer.get_mut(..header_length).unwrap_or_default(),
            checksum_offset: CHECKSUM_OFFSET,
            payload: &slices,
            segment_size: (length > size).then_some(size as u16),
        });
        drop(slices);
        match sent {
            Ok(()) => {}
            Err(SendFailure::DeviceFull) => return Err(DeviceFull),
            Err(SendFailure::TooLarge) => {
                let path_mtu = sink.path_mtu(self.key.remote.ip()).min(usize::from(u16::MAX)) as u16;
                if path_mtu < self.path_mtu {
                    // The path has become narrower: the same again, in smaller segments.
                    self.path_mtu = path_mtu;
                    return Ok(());
                }
            }
            // RFC 1122 §4.2.3.9: as if it had been lost on the way.
            Err(SendFailure::NoRoute) => {}
        }
        environment.counters.segments_sent += 1;
        environment.counters.octets_sent += u64::from(length);
        if self.state.has_peer_sequence() {
            self.rcv.announced(edge);
            self.acknowledgment_due = AcknowledgmentDue::No;
            self.timers.stop(Timer::DelayedAcknowledgment);
        }
        if announces_reduction {
            self.ecn.reduction_was_announced();
        }
        match transmission {
            Transmission::Syn => {
                self.syn_due = false;
                self.sent_at = now;
                self.timers.start(Timer::Retransmission, now + self.rto.current());
            }
            Transmission::Text { .. } => self.text_was_sent(environment, start, end, fin_is_sent, size),
            Transmission::KeepAlive => {
                self.keep_alive_due = false;
                environment.counters.keep_alive_probes_sent += 1;
            }
            Transmission::Acknowledgment => {}
        }
        Ok(())
    }

    /// RFC 3168 §6.1.1: the offer, or the answer to one. §6.1.1.1: not when the first offer was not answered.
    fn ecn_setup_flags(&self, environment: &Environment<'_>) -> Flags {
        if self.state == State::SynReceived {
            if self.ecn.agreed { Flags::ECE } else { Flags::default() }
        } else if environment.configuration.ecn && !self.syn_retransmitted {
            Flags::ECE | Flags::CWR
        } else {
            Flags::default()
        }
    }

    /// The options of a SYN (RFC 9293 §3.7.1, RFC 7323 §2.2 and §3.2, RFC 2018 §2). In an answer only what was offered.
    fn syn_options(&self, header: &mut Header, environment: &Environment<'_>) {
        let is_answer = self.state == State::SynReceived;
        header.window = self.rcv.buffer.min(INITIAL_BUFFER) as u16;
        let options = &mut header.options;
        options.maximum_segment_size = Some(mss_to_announce(self.path_mtu, &self.key).min(self.maximum_segment_size));
        options.sack = SackBlocks::default();
        if is_answer {
            options.window_scale = (self.rcv.shift > 0 || self.snd.shift > 0).then_some(self.rcv.shift);
            options.sack_permitted = self.sack_permitted;
        } else {
            options.window_scale = Some(receive_window::shift_for(environment.configuration.receive_buffer));
            options.sack_permitted = true;
        }
    }

    /// The device has taken a segment with sequence numbers in it.
    fn text_was_sent(
        &mut self,
        environment: &mut Environment<'_>,
        start: SequenceNumber,
        text_end: SequenceNumber,
        fin: bool,
        size: u32,
    ) {
        let now = environment.now;
        let end = text_end + u32::from(fin);
        if self.retransmission_queue.is_empty() {
            self.waiting_since = now;
        }
        let is_retransmission = start < self.snd.nxt;
        let is_probe = self.rack.probe_due && self.retransmission_queue.to_retransmit() == 0;
        if is_retransmission {
            self.retransmission_queue.retransmitted(start, end, now);
            let timestamp = self.timestamps.map(|timestamps| timestamps.value(now));
            self.note_retransmission(end - start, timestamp);
            self.retransmits += 1;
            self.recovery.retransmit_now = false;
            environment.counters.segments_retransmitted += 1;
        } else {
            self.in_train = true;
            self.retransmission_queue.push(start, end, now);
            self.most_in_flight = self.most_in_flight.max(self.retransmission_queue.len());
            self.snd.nxt = end;
            if fin {
                self.snd.fin = Some(text_end);
            }
            if self.window_probe_due {
                environment.counters.window_probes_sent += 1;
            } else if !(text_end - start).is_multiple_of(size) {
                self.snd.small_end = text_end;
            }
        }
        if let Some(prr) = &mut self.recovery.prr {
            prr.sent(end - start);
        }
        self.window_probe_due = false;
        self.sent_at = now;
        self.timers.stop(Timer::Persist);
        // RFC 6298 §5.1; RFC 8985 §7.3: a probe starts it anew.
        if is_probe || !self.timers.runs(Timer::Retransmission) {
            self.timers.start(Timer::Retransmission, now + self.rto.current());
        }
        if is_probe {
            self.rack.probe_was_sent(self.snd.nxt, is_retransmission);
            environment.counters.tail_loss_probes_sent += 1;
        } else if !is_retransmission {
            self.schedule_tail_loss_probe(now);
        }
    }

    /// Nothing more can be sent now: is the congestion window used up?
    fn after_output(&mut self) {
        self.window_limited = self.congestion_room() < self.smss();
    }

    /// RFC 9293 §3.8.6.1, SHLD-29: when the peer's window is too small for what waits, and no acknowledgment is on its way that
    /// could open it, it is probed after RTO.
    pub(crate) fn wait_for_window(&mut self, now: Instant) {
        let waits = self.unsent() > 0 || self.fin_is_unsent();
        if waits
            && self.state.sends()
            && self.retransmission_queue.is_empty()
            && !self.window_probe_due
            && !self.timers.runs(Timer::Persist)
        {
            self.waiting_since = now;
            self.timers.start(Timer::Persist, now + self.rto.current());
        }
    }
}

/// RFC 9293 §3.7.1 (MUST-67): what we can receive, in octets of data: what the link to the peer carries, less headers
/// without options.
pub(crate) const fn mss_to_announce(path_mtu: u16, key: &FourTuple) -> u16 {
    path_mtu.saturating_sub(super::control_block::ip_header_length(key) + super::segment::HEADER_LENGTH as u16)
}

/// Sends a segment that is only a header, for what has no control block.
pub(crate) fn send_bare(
    key: &FourTuple,
    header: &Header,
    environment: &mut Environment<'_>,
    sink: &mut impl PacketSink,
) -> Result<(), DeviceFull> {
    let mut buffer = [0; MAXIMUM_HEADER_LENGTH];
    let length = header.emit(&mut buffer);
    let sent = sink.send(OutgoingPacket {
        source: key.local.ip(),
        destination: key.remote.ip(),
        protocol: protocol::TCP,
        hop_limit: environment.configuration.hop_limit,
        traffic_class: environment.configuration.traffic_class & !0b11,
        dont_fragment: true,
        header: buffer.get_mut(..length).unwrap_or_default(),
        checksum_offset: CHECKSUM_OFFSET,
        payload: &[],
        segment_size: None,
    });
    if sent == Err(SendFailure::DeviceFull) {
        return Err(DeviceFull);
    }
    environment.counters.segments_sent += 1;
    Ok(())
}
