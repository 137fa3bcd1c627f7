//! Sequence numbers: 32 bits that wrap (RFC 9293 §3.4).
//!
//! Responsible for their arithmetic, so that the rest of TCP can write `snd_una < seg_ack && seg_ack <= snd_nxt` as the
//! RFC does. Not for what the numbers mean.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A sequence number, or an acknowledgment number.
///
/// The order is circular: `a < b` when `b` is up to 2³¹ - 1 ahead of `a`. It holds between numbers of one window, which is
/// all that TCP compares, and is not transitive around the whole circle; so there is no `Ord`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct SequenceNumber(pub(crate) u32);

impl SequenceNumber {
    /// The later of two.
    pub(crate) fn max(self, other: Self) -> Self {
        if self < other { other } else { self }
    }

    /// The earlier of two.
    pub(crate) fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.0.wrapping_sub(other.0).cast_signed().cmp(&0))
    }
}

impl Add<u32> for SequenceNumber {
    type Output = Self;

    fn add(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }
}

impl AddAssign<u32> for SequenceNumber {
    fn add_assign(&mut self, octets: u32) {
        *self = *self + octets;
    }
}

impl Sub<u32> for SequenceNumber {
    type Output = Self;

    fn sub(self, octets: u32) -> Self {
        Self(self.0.wrapping_sub(octets))
    }
}

/// The octets from an earlier number to a later one. Only meaningful when `earlier <= self`.
impl Sub for SequenceNumber {
    type Output = u32;

    fn sub(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_circular() {
        let last = SequenceNumber(u32::MAX);
        assert!(last < last + 1);
        assert_eq!(last + 1, SequenceNumber(0));
        assert!(last + 0x7fff_ffff > last);
        assert_eq!((last + 10) - last, 10);
        assert_eq!(last.max(last + 5), SequenceNumber(4));
        assert_eq!(last.min(last + 5), last);
    }
}
