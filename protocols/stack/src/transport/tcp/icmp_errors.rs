//! ICMP errors about our segments (RFC 9293 §3.9.2.2, RFC 5927, RFC 1191).
//!
//! Responsible for believing only what quotes a segment that is on its way, and for the little that is done about it.

use std::net::SocketAddr;

use super::Tcp;
use super::arrival::Verdict;
use super::control_block::{ControlBlock, ip_header_length};
use super::four_tuple::FourTuple;
use super::segment::HEADER_LENGTH;
use super::sequence::SequenceNumber;
use super::state::State;
use super::timers::Timer;
use crate::packet::{ErrorKind, ReceivedError};
use crate::{ClosedReason, Instant};

/// No path is believed to be narrower than this (IPv4): an attacker would make us send a flood of tiny segments.
const MINIMUM_PATH_MTU: u16 = 552;
/// RFC 8200 §5.
const MINIMUM_PATH_MTU_IPV6: u16 = 1280;

impl Tcp {
    /// Takes in an ICMP error. Unbelievable ones do nothing. Returns whether it was believed.
    pub(crate) fn receive_error(&mut self, now: Instant, error: &ReceivedError<'_>) -> bool {
        let Some((&[a, b, c, d, s0, s1, s2, s3], _)) = error.quoted.split_first_chunk::<8>() else { return false };
        let key = FourTuple {
            local: SocketAddr::new(error.local, u16::from_be_bytes([a, b])),
            remote: SocketAddr::new(error.remote, u16::from_be_bytes([c, d])),
        };
        let quoted = SequenceNumber(u32::from_be_bytes([s0, s1, s2, s3]));
        let Some(index) = self.connections.find(&key) else { return false };
        let Some((block, _)) = self.open(index, now) else { return false };
        // RFC 5927 §4.1: "SND.UNA =< SEG.SEQ < SND.NXT".
        if !(block.snd.una <= quoted && quoted < block.snd.nxt) {
            return false;
        }
        let verdict = match error.kind {
            // RFC 5927 §5.2: a hard error aborts only a connection that is being opened; in a synchronized state it is
            // treated as a soft one (SHLD-26 as that document amends it).
            ErrorKind::Refused if block.state == State::SynSent => {
                Verdict::Closed { reason: Some(ClosedReason::Refused), reset: None }
            }
            // MUST-56: soft errors do not abort; the retransmission timer does its work.
            ErrorKind::Refused | ErrorKind::Unreachable => Verdict::CONTINUE,
            ErrorKind::PacketTooBig(mtu) => {
                block.narrow_path(mtu, now);
                Verdict::CONTINUE
            }
        };
        self.conclude(now, index, verdict);
        true
    }
}

impl ControlBlock {
    /// RFC 1191 §6.3: smaller segments from now on, and what is on its way again. That is no sign of congestion.
    fn narrow_path(&mut self, mtu: u32, now: Instant) {
        let floor = if self.key.remote.is_ipv4() { MINIMUM_PATH_MTU } else { MINIMUM_PATH_MTU_IPV6 };
        // RFC 1191 §5: a router that does not say; the largest packet that every host must accept is a safe guess.
        let mtu = if mtu == 0 { 576 } else { u16::try_from(mtu).unwrap_or(u16::MAX) };
        let mtu = mtu.max(floor);
        let current = self.path_mtu.min(self.peer_mss + ip_header_length(&self.key) + HEADER_LENGTH as u16);
        if mtu >= current || !self.state.is_synchronized() {
            return;
        }
        self.path_mtu = mtu;
        if !self.retransmission_queue.is_empty() {
            self.retransmission_queue.mark_all_lost();
            self.recovery.retransmit_now = true;
            self.timers.start(Timer::Retransmission, now + self.rto.current());
        }
    }
}
