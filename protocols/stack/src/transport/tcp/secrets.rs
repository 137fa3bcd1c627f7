//! Numbers that an attacker must not guess.
//!
//! Responsible for initial sequence numbers (RFC 6528), timestamp offsets (RFC 7323 §7.1) and ephemeral ports (RFC 6056):
//! each a keyed hash of the connection's addresses. All keys come from one seed.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use siphasher::sip::SipHasher24;

use super::four_tuple::FourTuple;
use super::sequence::SequenceNumber;
use crate::Instant;

type Key = [u64; 2];

/// The keys of one host.
#[derive(Debug)]
pub(crate) struct Secrets {
    sequence: Key,
    timestamp: Key,
    port: Key,
    port_table: Key,
    cookie: Key,
    /// RFC 6056 §3.3.4: how far each group of destinations has gone.
    port_counters: [u16; 16],
    /// For the look-up table of connections.
    pub(crate) table_seed: u64,
}

impl Secrets {
    /// Draws the keys from a seed.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let mut random = ChaCha20Rng::from_seed(seed);
        let mut key = || [random.next_u64(), random.next_u64()];
        let (sequence, timestamp, port, port_table, cookie) = (key(), key(), key(), key(), key());
        let mut port_counters = [0; 16];
        port_counters.fill_with(|| (random.next_u32() & 0xffff) as u16);
        Self { sequence, timestamp, port, port_table, cookie, port_counters, table_seed: random.next_u64() }
    }

    /// RFC 6528 §3: `ISN = M + F(localip, localport, remoteip, remoteport, secretkey)`, M being a clock that ticks every
    /// 4 microseconds (MUST-8, SHLD-1).
    pub(crate) fn initial_sequence_number(&self, key: &FourTuple, now: Instant) -> SequenceNumber {
        SequenceNumber(low_half(now.as_micros() / 4)) + low_half(hash(self.sequence, key))
    }

    /// What is added to the clock in this connection's timestamps. The same for each connection between the same two
    /// sockets, so that a new one continues the numbers of an old one (RFC 6191 relies on that).
    pub(crate) fn timestamp_offset(&self, key: &FourTuple) -> u32 {
        low_half(hash(self.timestamp, key))
    }

    /// What makes a SYN cookie ours ([`syn_cookies`](super::syn_cookies)).
    pub(crate) fn cookie_hash(&self, key: &FourTuple, irs: SequenceNumber, mss_index: u32, interval: u64) -> u32 {
        low_half(hash(self.cookie, &(key, irs, mss_index, interval)))
    }

    /// RFC 6056 §3.3.4, Algorithm 4 (double-hash port selection): the first port of `range` that `is_free`, in an order
    /// that only we know.
    pub(crate) fn ephemeral_port(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        range: (u16, u16),
        mut is_free: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let (first, last) = range;
        let count = u32::from(last.checked_sub(first)?) + 1;
        let destination = (local.ip(), remote);
        let offset = low_half(hash(self.port, &destination));
        let index = (hash(self.port_table, &destination) % 16) as usize;
        let counter = self.port_counters.get_mut(index)?;
        for _ in 0..count {
            // The remainder is below `count`, which is at most 65536 - first.
            let port = first + (offset.wrapping_add(u32::from(*counter)) % count) as u16;
            *counter = counter.wrapping_add(1);
            if is_free(port) {
                return Some(port);
            }
        }
        None
    }
}

fn hash(key: Key, value: &impl Hash) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(key[0], key[1]);
    value.hash(&mut hasher);
    hasher.finish()
}

const fn low_half(number: u64) -> u32 {
    (number & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(port: u16) -> FourTuple {
        FourTuple { local: ([192, 0, 2, 2], 80).into(), remote: ([192, 0, 2, 1], port).into() }
    }

    #[test]
    fn initial_sequence_numbers_grow_by_the_clock_and_differ_by_connection() {
        let secrets = Secrets::new([7; 32]);
        let now = Instant::START;
        let later = now + Duration::from_secs(1);
        let first = secrets.initial_sequence_number(&key(1000), now);
        assert_eq!(secrets.initial_sequence_number(&key(1000), later) - first, 250_000);
        assert_ne!(secrets.initial_sequence_number(&key(1001), now), first);
        assert_ne!(Secrets::new([8; 32]).initial_sequence_number(&key(1000), now), first);
    }

    #[test]
    fn every_port_is_tried_before_giving_up() {
        let mut secrets = Secrets::new([7; 32]);
        let FourTuple { local, remote } = key(80);
        let mut tried = Vec::new();
        let chosen = secrets.ephemeral_port(local, remote, (50_000, 50_099), |port| {
            tried.push(port);
            false
        });
        assert_eq!(chosen, None);
        tried.sort_unstable();
        assert_eq!(tried, (50_000..=50_099).collect::<Vec<_>>());
    }
}
