//! TIME-WAIT: the name of a finished connection, kept until nothing old can arrive under it (RFC 9293 §3.4.2).
//!
//! Responsible for the little that is needed to answer a peer that has missed our last acknowledgment, and to tell a new
//! connection's SYN from an old one (RFC 6191). RSTs do not end it (RFC 1337).

use super::control_block::{ControlBlock, Environment, TimestampState};
use super::four_tuple::FourTuple;
use super::options::Options;
use super::output::send_bare;
use super::segment::{Flags, Header, Segment};
use super::sequence::SequenceNumber;
use crate::packet::PacketSink;
use crate::{DeviceFull, Instant, ListenerId};

/// A connection in TIME-WAIT.
#[derive(Debug)]
pub(crate) struct TimeWait {
    pub(crate) key: FourTuple,
    pub(crate) snd_nxt: SequenceNumber,
    pub(crate) rcv_nxt: SequenceNumber,
    /// RCV.WND, as the peer knows it.
    rcv_wnd: u32,
    /// SEG.WND, as the header says it.
    window: u16,
    timestamps: Option<TimestampState>,
    pub(crate) expires: Instant,
    pub(crate) opened_at: Instant,
    pub(crate) listener: Option<ListenerId>,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) retransmits: u64,
    /// An acknowledgment is to be sent.
    pub(crate) acknowledgment_due: bool,
}

/// What a segment means to a connection in TIME-WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Nothing changes, but for an acknowledgment that may be due now.
    Stay,
    /// A new connection begins under the same name. Its initial sequence number must lie beyond this one.
    Reopen(SequenceNumber),
}

impl TimeWait {
    /// What is kept of a connection that enters TIME-WAIT.
    pub(crate) fn new(block: &ControlBlock, expires: Instant, acknowledgment_due: bool) -> Self {
        Self {
            key: block.key,
            snd_nxt: block.snd.nxt,
            rcv_nxt: block.rcv.nxt,
            rcv_wnd: block.rcv.wnd(),
            window: block.rcv.field(block.rcv.edge),
            timestamps: block.timestamps,
            expires,
            opened_at: block.opened_at,
            listener: block.listener,
            bytes_received: block.bytes_received,
            bytes_sent: block.bytes_sent,
            retransmits: block.retransmits,
            acknowledgment_due,
        }
    }

    /// RFC 9293 §3.10.7.4 for TIME-WAIT.
    pub(crate) fn arrives(&mut self, environment: &Environment<'_>, segment: &Segment<'_>) -> Disposition {
        let header = &segment.header;
        // RFC 1337 §3 (F1): a RST would end TIME-WAIT before its time, and with it its protection.
        if header.flags.contains(Flags::RST) {
            return Disposition::Stay;
        }
        if header.flags.contains(Flags::SYN) && !header.flags.contains(Flags::ACK) && self.is_newer(header) {
            // RFC 1122 §4.2.2.13: the new initial sequence number is larger than any of the old connection.
            return Disposition::Reopen(self.snd_nxt);
        }
        // "The only thing that can arrive in this state is a retransmission of the remote FIN. Acknowledge it, and restart
        // the 2 MSL timeout."
        if header.flags.contains(Flags::FIN) && header.seq + segment.len() == self.rcv_nxt {
            self.expires = environment.now + environment.configuration.time_wait;
            self.acknowledgment_due = true;
        }
        // First: the sequence number. What is unacceptable is acknowledged; so is a SYN (RFC 5961 §4). What is acceptable is
        // empty, since nothing can follow a FIN.
        let acceptable = self.rcv_nxt <= header.seq && header.seq < self.rcv_nxt + self.rcv_wnd.max(1);
        if !acceptable || segment.len() > 0 {
            self.acknowledgment_due = true;
        }
        Disposition::Stay
    }

    /// RFC 6191 §2: whether a SYN belongs to a new connection.
    fn is_newer(&self, header: &Header) -> bool {
        match (self.timestamps, header.options.timestamps) {
            (Some(old), Some(new)) if new.value != old.recent => new.value.wrapping_sub(old.recent).cast_signed() > 0,
            // Without timestamps, or when the clock has not ticked: RFC 1122 §4.2.2.13 (a).
            (Some(_), Some(_)) | (None, _) | (Some(_), None) => header.seq > self.rcv_nxt,
        }
    }

    /// Sends `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`.
    pub(crate) fn output(
        &mut self,
        environment: &mut Environment<'_>,
        sink: &mut impl PacketSink,
    ) -> Result<(), DeviceFull> {
        let header = Header {
            source_port: self.key.local.port(),
            destination_port: self.key.remote.port(),
            seq: self.snd_nxt,
            ack: self.rcv_nxt,
            flags: Flags::ACK,
            window: self.window,
            urgent_pointer: 0,
            options: Options {
                timestamps: self.timestamps.as_ref().map(|timestamps| timestamps.option(environment.now)),
                ..Options::default()
            },
        };
        send_bare(&self.key, &header, environment, sink)?;
        self.acknowledgment_due = false;
        Ok(())
    }
}
