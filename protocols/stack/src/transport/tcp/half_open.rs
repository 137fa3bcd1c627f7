//! A half-open connection: a SYN has come to a listener and is not trusted yet.
//!
//! Responsible for the little that is kept until the handshake is complete (RFC 4987 §3.5: a SYN cache), and for its SYN and
//! ACK. There are no queues yet: data that come with the handshake's last segment are processed by the control block that
//! is made from this.

use super::Configuration;
use super::control_block::{ControlBlock, Environment, INITIAL_PATH_MTU, MINIMUM_MSS, TimestampState, default_mss};
use super::ecn;
use super::four_tuple::FourTuple;
use super::options::Options;
use super::output::{mss_to_announce, send_bare};
use super::receive_window::{INITIAL_BUFFER, ReceiveWindow, shift_for};
use super::retransmission_timeout::RetransmissionTimeout;
use super::segment::{Flags, Header, Segment};
use super::sequence::SequenceNumber;
use crate::packet::PacketSink;
use crate::{DeviceFull, Instant, ListenerId};

/// A connection in SYN-RECEIVED that came from a listener.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    pub(crate) key: FourTuple,
    pub(crate) listener: ListenerId,
    pub(crate) iss: SequenceNumber,
    pub(crate) irs: SequenceNumber,
    pub(crate) opened_at: Instant,
    /// When the SYN and ACK was last sent.
    sent_at: Option<Instant>,
    /// When it is sent again.
    pub(crate) deadline: Instant,
    pub(crate) timestamps: Option<TimestampState>,
    peer_mss: u16,
    pub(crate) maximum_segment_size: u16,
    path_mtu: u16,
    window: u16,
    /// The peer's shift, when both sides scale.
    peer_shift: Option<u8>,
    sack_permitted: bool,
    /// The peer has offered ECN.
    ecn_offered: bool,
    pub(crate) retransmissions: u8,
    /// A SYN and ACK is to be sent.
    pub(crate) syn_due: bool,
}

impl HalfOpen {
    /// RFC 9293 §3.10.7.2, third: a SYN has come to a listener.
    pub(crate) fn new(
        key: FourTuple,
        listener: ListenerId,
        segment: &Segment<'_>,
        iss: SequenceNumber,
        timestamp_offset: Option<u32>,
        now: Instant,
    ) -> Self {
        let options = &segment.header.options;
        Self {
            key,
            listener,
            iss,
            irs: segment.header.seq,
            opened_at: now,
            sent_at: None,
            deadline: now,
            timestamps: timestamp_offset.zip(options.timestamps).map(|(offset, timestamps)| TimestampState {
                offset,
                recent: timestamps.value,
                recent_at: now,
            }),
            peer_mss: options.maximum_segment_size.unwrap_or_else(|| default_mss(&key)).max(MINIMUM_MSS),
            maximum_segment_size: u16::MAX,
            path_mtu: INITIAL_PATH_MTU,
            window: segment.header.window,
            peer_shift: options.window_scale,
            sack_permitted: options.sack_permitted,
            ecn_offered: ecn::is_offered(segment.header.flags),
            retransmissions: 0,
            syn_due: true,
        }
    }

    /// What a SYN cookie has kept: the handshake's last `segment` has brought it back.
    pub(crate) fn from_cookie(
        key: FourTuple,
        listener: ListenerId,
        segment: &Segment<'_>,
        peer_mss: u16,
        now: Instant,
    ) -> Self {
        Self {
            key,
            listener,
            iss: segment.header.ack - 1,
            irs: segment.header.seq - 1,
            opened_at: now,
            sent_at: None,
            deadline: now,
            timestamps: None,
            peer_mss,
            maximum_segment_size: u16::MAX,
            path_mtu: INITIAL_PATH_MTU,
            window: segment.header.window,
            peer_shift: None,
            sack_permitted: false,
            ecn_offered: false,
            retransmissions: 0,
            syn_due: false,
        }
    }

    /// The window that our SYN and ACK announces.
    pub(crate) fn initial_window(configuration: &Configuration) -> usize {
        configuration.receive_buffer.min(INITIAL_BUFFER)
    }

    /// RCV.NXT.
    pub(crate) fn rcv_nxt(&self) -> SequenceNumber {
        self.irs + 1
    }

    /// Sends `<SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>`.
    pub(crate) fn output(
        &mut self,
        environment: &mut Environment<'_>,
        sink: &mut impl PacketSink,
    ) -> Result<(), DeviceFull> {
        let configuration = environment.configuration;
        let remote = self.key.remote.ip();
        self.path_mtu = sink.path_mtu(remote).min(usize::from(u16::MAX)) as u16;
        let header = Header {
            source_port: self.key.local.port(),
            destination_port: self.key.remote.port(),
            seq: self.iss,
            ack: self.rcv_nxt(),
            flags: if self.ecn_offered && configuration.ecn {
                Flags::SYN | Flags::ACK | Flags::ECE
            } else {
                Flags::SYN | Flags::ACK
            },
            window: Self::initial_window(configuration) as u16,
            urgent_pointer: 0,
            options: Options {
                maximum_segment_size: Some(mss_to_announce(self.path_mtu, &self.key).min(self.maximum_segment_size)),
                window_scale: self.peer_shift.map(|_| shift_for(configuration.receive_buffer)),
                sack_permitted: self.sack_permitted,
                timestamps: self.timestamps.as_ref().map(|timestamps| timestamps.option(environment.now)),
                ..Options::default()
            },
        };
        send_bare(&self.key, &header, environment, sink)?;
        self.syn_due = false;
        self.sent_at = Some(environment.now);
        // RFC 6298 §2.1 and §5.5: one second, then twice as long each time.
        let mut timeout = RetransmissionTimeout::new(configuration.minimum_retransmission_timeout);
        (0..self.retransmissions).for_each(|_| timeout.back_off());
        self.deadline = environment.now + timeout.current();
        Ok(())
    }

    /// RFC 9293 §3.10.7.4, fifth, SYN-RECEIVED: the acknowledgment of our SYN has come, with `segment`.
    pub(crate) fn establish(&self, configuration: &Configuration, segment: &Segment<'_>, now: Instant) -> ControlBlock {
        let mut block = ControlBlock::new(self.key, self.iss, self.timestamps, configuration, self.opened_at);
        block.listener = Some(self.listener);
        block.syn_due = false;
        block.syn_retransmitted = self.retransmissions > 0;
        block.retransmits = u64::from(self.retransmissions);
        match self.sent_at {
            Some(sent_at) if self.retransmissions == 0 => block.rto.measure(now.since(sent_at)),
            Some(_) => block.rto.handshake_was_retransmitted(),
            // A cookie: nobody knows when it was sent.
            None => {}
        }
        block.ecn.agreed = self.ecn_offered && configuration.ecn;
        block.sack_permitted = self.sack_permitted;
        block.peer_mss = self.peer_mss;
        block.maximum_segment_size = self.maximum_segment_size;
        block.path_mtu = self.path_mtu;
        let (snd_shift, rcv_shift) = match self.peer_shift {
            Some(shift) => (shift, shift_for(configuration.receive_buffer)),
            None => (0, 0),
        };
        block.rcv = ReceiveWindow::new(self.irs, rcv_shift, Self::initial_window(configuration));
        block.snd.shift = snd_shift;
        block.snd.una = self.iss + 1;
        block.snd.max_wnd = u32::from(self.window);
        block.set_window(&segment.header, snd_shift);
        (block.received_at, block.sent_at) = (now, now);
        block.establish(configuration, now);
        block
    }
}
