//! The identification of IPv4 packets (RFC 6864) and of IPv6 fragments (RFC 8200 §4.5).
//!
//! Responsible for values that do not repeat, for packets between the same hosts with the same protocol, until 65,536
//! others have gone; and that nobody else can guess. This is the hash-based algorithm of RFC 7739 §5.3.

use std::net::{Ipv4Addr, Ipv6Addr};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use siphasher::sip::SipHasher13;

/// Counters: hosts that share one only use up values faster.
const COUNTERS: usize = 1024;

#[derive(Debug)]
pub(crate) struct Identifications {
    counters: Box<[u16; COUNTERS]>,
    counters6: Box<[u32; COUNTERS]>,
    hash: SipHasher13,
    rng: ChaCha8Rng,
}

impl Identifications {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let hash = SipHasher13::new_with_keys(rng.next_u64(), rng.next_u64());
        Self { counters: Box::new([0; COUNTERS]), counters6: Box::new([0; COUNTERS]), hash, rng }
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

    /// For the fragments of an IPv6 packet.
    #[expect(clippy::cast_possible_truncation, reason = "parts of a hash")]
    pub(crate) fn next6(&mut self, source: Ipv6Addr, destination: Ipv6Addr) -> u32 {
        let [s, d] = [source, destination].map(Ipv6Addr::to_bits);
        let mut octets = [0; 32];
        octets[..16].copy_from_slice(&s.to_be_bytes());
        octets[16..].copy_from_slice(&d.to_be_bytes());
        let hash = self.hash.hash(&octets);
        let Some(counter) = self.counters6.get_mut((hash >> 32) as usize % COUNTERS) else { return 0 };
        let value = counter.wrapping_add(hash as u32);
        *counter = counter.wrapping_add(1);
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
    fn fragments_of_ipv6_packets_count_on_from_where_nobody_can_guess() {
        // RFC 7739 §5.3.
        let mut identifications = Identifications::new([1; 32]);
        let (one, other) = (Ipv6Addr::from_bits(1), Ipv6Addr::from_bits(2));
        let first = identifications.next6(one, other);
        assert_eq!(identifications.next6(one, other), first.wrapping_add(1));
        assert_ne!(identifications.next6(other, one).wrapping_sub(first), 2);
        assert_ne!(Identifications::new([2; 32]).next6(one, other), first);
    }

    #[test]
    fn another_seed_another_host_and_another_protocol_begin_elsewhere() {
        let (one, other) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let first = |seed: u8, to, protocol| Identifications::new([seed; 32]).next(one, to, protocol, 1);
        let values = [first(1, other, 17), first(2, other, 17), first(1, one, 17), first(1, other, 1)];
        assert_eq!(HashSet::from(values).len(), 4);
    }
}
