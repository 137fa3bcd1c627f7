//! The Internet checksum (RFC 1071).
//!
//! Responsible for summing octets, in as many pieces as they come. Not for where the result is written.

use std::net::IpAddr;

/// A ones' complement sum in progress.
///
/// The sum is kept in the machine's octet order and turned only at the end, which RFC 1071 §2 (B) allows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    total: u64,
    /// Whether an odd number of octets has been added: the next one belongs into the lower half of a word.
    odd: bool,
}

impl Sum {
    /// The sum of nothing.
    pub(crate) const fn new() -> Self {
        Self { total: 0, odd: false }
    }

    /// The sum of a pseudo-header (RFC 793 §3.1, RFC 768, RFC 8200 §8.1). `length` is that of the transport's header
    /// and data in octets, as one of 65,535 at most it stands in the lower half of the IPv6 form's field.
    pub(crate) fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Self {
        let addresses = words(source) + words(destination);
        let length = (length as u64).to_be();
        let length = (length & 0xffff_ffff) + (length >> 32);
        Self { total: addresses + u64::from(u16::from(protocol).to_be()) + length, odd: false }
    }

    /// Adds octets behind those added before.
    pub(crate) fn add(&mut self, octets: &[u8]) {
        let sum = fold(sum_native(octets));
        // RFC 1071 §2 (A) and (B): a piece that starts in the middle of a word has its halves swapped.
        self.total += u64::from(if self.odd { sum.swap_bytes() } else { sum });
        self.odd ^= octets.len() % 2 == 1;
    }

    /// The sum itself in 16 bits, in network order as a number: what a partial checksum holds.
    pub(crate) fn folded(self) -> u16 {
        u16::from_be(fold(self.total))
    }

    /// The checksum: the complement of the sum. Zero over octets that contain a correct checksum.
    pub(crate) fn checksum(self) -> u16 {
        !self.folded()
    }
}

/// The checksum of one run of octets.
pub(crate) fn checksum(octets: &[u8]) -> u16 {
    let mut sum = Sum::new();
    sum.add(octets);
    sum.checksum()
}

/// Whether the checksum in a transport's header and data is right, pseudo-header included (RFC 9293 §3.1, MUST-3).
pub(crate) fn holds(source: IpAddr, destination: IpAddr, protocol: u8, octets: &[u8]) -> bool {
    let mut sum = Sum::pseudo_header(source, destination, protocol, octets.len());
    sum.add(octets);
    sum.checksum() == 0
}

/// Sums 16-bit words in the machine's order, four octets at a time into wide accumulators. Carries are gathered in
/// their upper halves, which holds for far more than a packet. Eight accumulators let the compiler use vector registers.
fn sum_native(octets: &[u8]) -> u64 {
    const LANES: usize = 8;
    let mut lanes = [0u64; LANES];
    let (blocks, rest) = octets.as_chunks::<{ 4 * LANES }>();
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let mut total = lanes.into_iter().sum::<u64>();
    let (words, rest) = rest.as_chunks::<4>();
    for &word in words {
        total += u64::from(u32::from_ne_bytes(word));
    }
    let (pairs, last) = rest.as_chunks::<2>();
    for &pair in pairs {
        total += u64::from(u16::from_ne_bytes(pair));
    }
    if let [last] = last {
        total += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    total
}

/// An address as a sum of words, in the machine's order.
fn words(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u32::from_ne_bytes(address.octets()).into(),
        IpAddr::V6(address) => sum_native(&address.octets()),
    }
}

/// Folds the carries back in until 16 bits are left: each step halves what can be set, and leaves one carry.
#[expect(clippy::cast_possible_truncation, reason = "nothing is left above 16 bits at the end")]
fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// RFC 1071 §4.1, word by word.
    fn reference(octets: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in octets.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn the_example_of_rfc_1071_section_3() {
        assert_eq!(!checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    #[test]
    fn all_carries_come_back_in() {
        for (sum, folded) in [(0, 0), (0xffff, 0xffff), (0x1_0000, 1), (0x1_ffff_ffff, 1), (u64::MAX, 0xffff)] {
            assert_eq!(fold(sum), folded, "{sum:#x}");
        }
        assert_eq!(checksum(&[0xff; 65_535]), reference(&[0xff; 65_535]));
    }

    #[test]
    fn a_pseudo_header_counts_as_its_octets() {
        let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let destination = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        let sum = Sum::pseudo_header(source, destination, 17, 0x1234);
        assert_eq!(sum.checksum(), reference(&[192, 0, 2, 1, 192, 0, 2, 2, 0, 17, 0x12, 0x34]));

        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        let sum = Sum::pseudo_header(address.into(), address.into(), 6, 20);
        let mut octets = [address.octets(), address.octets()].concat();
        octets.extend_from_slice(&[0, 0, 0, 20, 0, 0, 0, 6]);
        assert_eq!(sum.checksum(), reference(&octets));
    }

    proptest! {
        #[test]
        fn pieces_of_any_length_give_the_sum_of_the_whole(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..8)
        ) {
            let mut sum = Sum::new();
            for piece in &pieces {
                sum.add(piece);
            }
            prop_assert_eq!(sum.checksum(), reference(&pieces.concat()));
        }
    }

    #[test]
    fn a_tcp_segment_whose_checksum_was_made_by_hand() {
        // A SYN from 192.0.2.1:12345 to 192.0.2.2:80, sequence number 1, window 65535:
        // c000+0201+c000+0202+0006+0014 + 3039+0050+0000+0001+0000+0000+5002+ffff+0000 = 304a8, folded 04ab, inverted fb54.
        let mut segment = [0x30, 0x39, 0, 0x50, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0xfb, 0x54, 0, 0];
        let (source, destination) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        assert!(holds(source, destination, 6, &segment));
        segment[7] = 2;
        assert!(!holds(source, destination, 6, &segment));
    }
}
