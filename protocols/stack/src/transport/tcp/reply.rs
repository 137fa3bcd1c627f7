//! Segments that belong to no connection: resets (RFC 9293 §3.5.2, §3.10.7.1), and answers to a SYN that nothing is kept of.
//!
//! Responsible for their form and for a bounded queue of them until the device takes them.

use std::collections::VecDeque;

use super::control_block::{ControlBlock, Environment};
use super::four_tuple::FourTuple;
use super::half_open::HalfOpen;
use super::options::{Options, Timestamps};
use super::output::{mss_to_announce, send_bare};
use super::segment::{Flags, Header, Segment};
use super::sequence::SequenceNumber;
use super::{Configuration, Counters};
use crate::packet::PacketSink;
use crate::{DeviceFull, Instant};

/// Replies that may wait. They are for segments that should not have come: to drop some of them under a flood is right.
const MAXIMUM_REPLIES: usize = 256;

/// A reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reset {
    pub(crate) key: FourTuple,
    pub(crate) seq: SequenceNumber,
    /// With it the segment has ACK.
    pub(crate) ack: Option<SequenceNumber>,
    /// RFC 7323 §3.2: a reset of a connection that uses timestamps SHOULD have them, too.
    pub(crate) timestamps: Option<Timestamps>,
}

impl Reset {
    /// RFC 9293 §3.10.7.1: the answer to a segment for which there is no connection. `None` when it is a reset itself.
    pub(crate) fn in_response(key: FourTuple, segment: &Segment<'_>) -> Option<Self> {
        if segment.has(Flags::RST) {
            return None;
        }
        Some(if segment.has(Flags::ACK) {
            // "If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>"
            Self { key, seq: segment.header.ack, ack: None, timestamps: None }
        } else {
            // "If the ACK bit is off, sequence number zero is used, <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>"
            Self { key, seq: SequenceNumber(0), ack: Some(segment.header.seq + segment.len()), timestamps: None }
        })
    }

    /// RFC 9293 §3.10.5, ABORT: `<SEQ=SND.NXT><CTL=RST>`. The acknowledgment beside it helps those that check it.
    pub(crate) fn of(block: &ControlBlock, now: Instant) -> Self {
        Self {
            key: block.key,
            seq: block.snd.nxt,
            ack: block.state.has_peer_sequence().then_some(block.rcv.nxt),
            timestamps: block.timestamps.map(|timestamps| timestamps.option(now)),
        }
    }
}

/// A reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Reset(Reset),
    /// `<SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>` with a SYN cookie for ISS.
    Cookie {
        key: FourTuple,
        iss: SequenceNumber,
        rcv_nxt: SequenceNumber,
    },
}

impl Reply {
    const fn key(&self) -> &FourTuple {
        match self {
            Self::Reset(reset) => &reset.key,
            Self::Cookie { key, .. } => key,
        }
    }

    fn header(&self, configuration: &Configuration, sink: &impl PacketSink) -> Header {
        let key = self.key();
        let header = Header { source_port: key.local.port(), destination_port: key.remote.port(), ..Header::default() };
        match *self {
            Self::Reset(Reset { seq, ack, timestamps, .. }) => Header {
                seq,
                ack: ack.unwrap_or_default(),
                flags: if ack.is_some() { Flags::RST | Flags::ACK } else { Flags::RST },
                options: Options { timestamps, ..Options::default() },
                ..header
            },
            Self::Cookie { iss, rcv_nxt, .. } => {
                let path_mtu = sink.path_mtu(key.remote.ip()).min(usize::from(u16::MAX)) as u16;
                let options =
                    Options { maximum_segment_size: Some(mss_to_announce(path_mtu, key)), ..Options::default() };
                Header {
                    seq: iss,
                    ack: rcv_nxt,
                    flags: Flags::SYN | Flags::ACK,
                    window: HalfOpen::initial_window(configuration) as u16,
                    options,
                    ..header
                }
            }
        }
    }
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Replies(VecDeque<Reply>);

impl Replies {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, reply: Reply, counters: &mut Counters) {
        if self.0.len() >= MAXIMUM_REPLIES {
            counters.replies_dropped += 1;
            return;
        }
        self.0.push_back(reply);
    }

    /// Sends them all, or as many as the device takes.
    pub(crate) fn output(
        &mut self,
        environment: &mut Environment<'_>,
        sink: &mut impl PacketSink,
    ) -> Result<(), DeviceFull> {
        while let Some(reply) = self.0.front() {
            let header = reply.header(environment.configuration, sink);
            send_bare(reply.key(), &header, environment, sink)?;
            environment.counters.resets_sent += u64::from(matches!(reply, Reply::Reset(_)));
            self.0.pop_front();
        }
        Ok(())
    }
}
