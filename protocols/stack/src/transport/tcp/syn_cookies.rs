//! SYN cookies (RFC 4987 §3.6): handshakes without memory, when a listener's backlog is full.
//!
//! Responsible for initial sequence numbers that hold all that is kept of a SYN, and for reading them back from the handshake's
//! last segment. Such a connection has neither window scaling nor SACK nor timestamps: there is no room for them. The cookie is
//!
//! ```text
//!    5 bits             3 bits         24 bits
//!   | 64 s intervals  | MSS index    | keyed hash of sockets, IRS, interval and index |
//! ```

use std::time::Duration;

use super::four_tuple::FourTuple;
use super::secrets::Secrets;
use super::sequence::SequenceNumber;
use crate::Instant;

/// The MSS values that a cookie can hold: the largest that is not above the peer's is used.
const MSS: [u16; 8] = [64, 536, 1024, 1220, 1300, 1440, 1460, 8960];
const INTERVAL_SECONDS: u64 = 64;
/// An acknowledgment is believed in the interval of its cookie and in the next.
const INTERVALS: u64 = 2;
/// How long after a cookie was sent acknowledgments are looked at.
pub(crate) const LIFETIME: Duration = Duration::from_secs(INTERVAL_SECONDS * INTERVALS);

fn interval(now: Instant) -> u64 {
    now.as_millis() / 1000 / INTERVAL_SECONDS
}

/// The initial sequence number for the answer to a SYN.
pub(crate) fn make(
    secrets: &Secrets,
    key: &FourTuple,
    irs: SequenceNumber,
    peer_mss: u16,
    now: Instant,
) -> SequenceNumber {
    let index = MSS.iter().rposition(|mss| *mss <= peer_mss).unwrap_or(0) as u32;
    encode(secrets, key, irs, index, interval(now))
}

fn encode(secrets: &Secrets, key: &FourTuple, irs: SequenceNumber, index: u32, interval: u64) -> SequenceNumber {
    let hash = secrets.cookie_hash(key, irs, index, interval) & 0x00ff_ffff;
    SequenceNumber(((interval & 0x1f) as u32) << 27 | index << 24 | hash)
}

/// The peer's MSS, when `iss` is a cookie that we have made lately for this SYN.
pub(crate) fn read(
    secrets: &Secrets,
    key: &FourTuple,
    iss: SequenceNumber,
    irs: SequenceNumber,
    now: Instant,
) -> Option<u16> {
    let index = iss.0 >> 24 & 0x7;
    let present = interval(now);
    (0..INTERVALS)
        .filter_map(|age| present.checked_sub(age))
        .any(|interval| encode(secrets, key, irs, index, interval) == iss)
        .then(|| MSS.get(index as usize).copied())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_good_for_its_sockets_its_syn_and_its_time() {
        let secrets = Secrets::new([1; 32]);
        let key = FourTuple { local: ([192, 0, 2, 2], 80).into(), remote: ([192, 0, 2, 1], 4000).into() };
        let other = FourTuple { remote: ([192, 0, 2, 1], 4001).into(), ..key };
        let irs = SequenceNumber(77);
        let now = Instant::from_nanos(64_000_000_000 * 33);
        let cookie = make(&secrets, &key, irs, 1448, now);
        assert_eq!(read(&secrets, &key, cookie, irs, now), Some(1440));
        assert_eq!(read(&secrets, &key, cookie, irs, now + Duration::from_secs(127)), Some(1440));
        assert_eq!(read(&secrets, &key, cookie, irs, now + Duration::from_secs(128)), None);
        assert_eq!(read(&secrets, &other, cookie, irs, now), None);
        assert_eq!(read(&secrets, &key, cookie, irs + 1, now), None);
        assert_eq!(read(&secrets, &key, cookie + 1, irs, now), None);
        assert_eq!(read(&Secrets::new([2; 32]), &key, cookie, irs, now), None);
    }
}
