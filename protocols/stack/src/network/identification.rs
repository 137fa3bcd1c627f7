//! The identification of IPv4 packets (RFC 6864).
//!
//! Responsible for values that do not repeat, for packets between the same hosts with the same protocol, until 65,536
//! others have gone; and that nobody else can guess. This is the hash-based algorithm of RFC 7739 §5.3.

use std::net::Ipv4Addr;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use siphasher::sip::SipHasher13;

/// Counters: hosts that share one only use up values faster.
const COUNTERS: usize = 1024;

#[derive(Debug)]
pub(crate) struct Identifications {
    counters: Box<[u16; COUNTERS]>,
    hash: SipHasher13,
    rng: ChaCha8Rng,
}

impl Identifications {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let hash = SipHasher13::new_with_keys(rng.next_u64(), rng.next_u64());
        Self { counters: Box::new([0; COUNTERS]), hash, rng }
    }

    /// For a packet that cannot be fragmented: any value.
    #[expect(clippy::cast_possible_truncation, reason = "half of the random bits are enough")]
    pub(crate) fn atomic(&mut self) -> u16 {
        self.rng.next_u32() as u16
    }

    /// For a packet that can be fragmented: the first of `count` values.
    #[expect(clippy::cast_possible_truncation, reason = "parts of a hash, and a counter that wraps")]
    pub(crate) fn next(&mut self, source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, count: usize) -> u16 {
        let ([s0, s1, s2, s3], [d0, d1, d2, d3]) = (source.octets(), destination.octets());
        let hash = self.hash.hash(&[s0, s1, s2, s3, d0, d1, d2, d3, protocol]);
        let Some(counter) = self.counters.get_mut((hash >> 32) as usize % COUNTERS) else { return 0 };
        let value = counter.wrapping_add(hash as u16);
        *counter = counter.wrapping_add(count as u16);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn values_for_one_pair_of_hosts_repeat_only_after_all_others() {
        let mut identifications = Identifications::new([1; 32]);
        let (one, other) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let first = identifications.next(one, other, 17, 3);
        assert_eq!(identifications.next(one, other, 17, 1), first.wrapping_add(3));
        let seen: HashSet<u16> = (0..=u16::MAX).map(|_| identifications.next(one, other, 17, 1)).collect();
        assert_eq!(seen.len(), 65_536);
    }

    #[test]
    fn another_seed_another_host_and_another_protocol_begin_elsewhere() {
        let (one, other) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let first = |seed: u8, to, protocol| Identifications::new([seed; 32]).next(one, to, protocol, 1);
        let values = [first(1, other, 17), first(2, other, 17), first(1, one, 17), first(1, other, 1)];
        assert_eq!(HashSet::from(values).len(), 4);
    }
}
