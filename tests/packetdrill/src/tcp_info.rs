//! `struct tcp_info` of Linux (`linux/tcp.h`).
//!
//! Responsible for its octets. What the stack does not know stays zero.

use std::time::Duration;

use tapster_stack::Instant;
use tapster_stack::tcp::{ConnectionDetail, State};

/// Octets of the structure, as far as scripts look.
pub(crate) const LENGTH: usize = 280;

/// What Linux calls an infinite threshold.
const INFINITE: u32 = 0x7fff_ffff;
/// Linux' number for LISTEN.
const LISTEN: u8 = 10;
const CLOSED: u8 = 7;

/// Linux' numbers of the states.
fn number(state: State) -> u8 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => CLOSED,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => LISTEN,
        State::Closing => 11,
    }
}

/// Fills the structure in.
pub(crate) fn write(detail: Option<&ConnectionDetail>, is_listener: bool, now: Instant) -> [u8; LENGTH] {
    let mut info = [0; LENGTH];
    let Some(detail) = detail else {
        info[0] = if is_listener { LISTEN } else { CLOSED };
        return info;
    };
    let segments = |octets: u32| octets.div_ceil(detail.smss.max(1));
    let in_flight = detail.snd_nxt.wrapping_sub(detail.snd_una);
    info[0] = number(detail.row.state);
    info[1] = match detail.recovery {
        "fast recovery" => 3,
        "time-out recovery" => 4,
        _ if detail.sacked > 0 => 1,
        _ => 0,
    };
    info[2] = u8::try_from(detail.backoff).unwrap_or(u8::MAX);
    info[4] = info[2];
    info[5] = u8::from(detail.timestamps)
        | u8::from(detail.sack_permitted) << 1
        | u8::from(detail.rcv_wind_shift > 0 || detail.snd_wind_shift > 0) << 2
        | u8::from(detail.ecn) << 3;
    info[6] = detail.snd_wind_shift | detail.rcv_wind_shift << 4;
    let mut put = |at: usize, value: u32| info[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    put(8, microseconds(Some(detail.rto)));
    put(16, detail.smss);
    put(24, segments(in_flight));
    put(28, segments(detail.sacked));
    put(20, detail.received_mss);
    // Linux counts what was sent again until it has arrived.
    put(32, segments(detail.lost + detail.retransmitted));
    put(36, segments(detail.retransmitted));
    put(44, milliseconds(now.since(detail.last_sent)));
    put(52, milliseconds(now.since(detail.last_received)));
    put(60, u32::from(detail.path_mtu));
    put(68, microseconds(detail.srtt));
    put(72, microseconds(detail.rttvar));
    put(76, if detail.ssthresh > INFINITE { INFINITE } else { detail.ssthresh / detail.smss.max(1) });
    put(80, detail.cwnd / detail.smss.max(1));
    put(84, u32::from(detail.announced_mss));
    put(88, 3);
    put(100, u32::try_from(detail.row.retransmits).unwrap_or(u32::MAX));
    put(144, detail.unsent);
    put(148, microseconds(detail.minimum_round_trip));
    info[120..128].copy_from_slice(&detail.row.bytes_sent.to_ne_bytes());
    info[128..136].copy_from_slice(&detail.row.bytes_received.to_ne_bytes());
    info
}

fn microseconds(duration: Option<Duration>) -> u32 {
    u32::try_from(duration.unwrap_or_default().as_micros()).unwrap_or(u32::MAX)
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
