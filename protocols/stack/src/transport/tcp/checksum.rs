//! The checksum of a received segment (RFC 9293 §3.1, RFC 1071).
//!
//! Responsible for verifying it, pseudo-header included. Not for making one: the network layer or the device completes
//! what is sent.

use std::net::IpAddr;

/// TCP's protocol number.
pub(crate) const PROTOCOL: u8 = 6;

/// Whether a segment's checksum is right (MUST-3).
pub(crate) fn is_valid(source: IpAddr, destination: IpAddr, segment: &[u8]) -> bool {
    // The pseudo-header's words are the same for both families, but for the addresses (RFC 8200 §8.1).
    let sum = address_sum(source) + address_sum(destination) + u64::from(PROTOCOL) + segment.len() as u64;
    fold(sum + sum_of(segment)) == 0xffff
}

fn address_sum(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => sum_of(&address.octets()),
        IpAddr::V6(address) => sum_of(&address.octets()),
    }
}

/// The sum of big-endian 16-bit words, not folded. Four octets are added at a time: the one's complement sum does not
/// mind (RFC 1071 §2).
fn sum_of(octets: &[u8]) -> u64 {
    let (words, rest) = octets.as_chunks::<4>();
    let mut sum: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let mut last = [0; 4];
    if let Some(place) = last.get_mut(..rest.len()) {
        place.copy_from_slice(rest);
    }
    sum += u64::from(u32::from_be_bytes(last));
    sum
}

fn fold(mut sum: u64) -> u64 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_segment() {
        // A SYN from 192.0.2.1:12345 to 192.0.2.2:80, sequence number 1, window 65535; its checksum by hand:
        // c000+0201+c000+0202+0006+0014 + 3039+0050+0000+0001+0000+0000+5002+ffff+0000 = 304a8, folded 04ab, inverted fb54.
        let mut segment = [0x30, 0x39, 0, 0x50, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0xfb, 0x54, 0, 0];
        let (source, destination) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        assert!(is_valid(source, destination, &segment));
        segment[7] = 2;
        assert!(!is_valid(source, destination, &segment));
    }

    #[test]
    fn an_odd_octet_counts_as_the_high_half_of_a_word() {
        assert_eq!(fold(sum_of(&[1, 2, 3])), 0x0402);
        assert_eq!(fold(sum_of(&[1, 2, 3, 4, 5])), 0x0906);
    }
}
