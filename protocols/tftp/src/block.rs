//! Block numbers: 16 bits on the wire, as many as a file needs in here.
//!
//! Responsible for counting past 65,535. A block has a number from 1 that does not wrap (`u64`); what is on the wire
//! is found from it, and back from the wire by what can be meant.

use serde::Deserialize;

/// What follows block 65,535. RFC 1350 does not say; nearly all clients go on with 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub enum Rollover {
    /// Block 0.
    #[default]
    Zero,
    /// Block 1.
    One,
}

impl Rollover {
    const fn period(self) -> u64 {
        match self {
            Self::Zero => 65_536,
            Self::One => 65_535,
        }
    }

    /// The number on the wire of a block.
    #[must_use]
    pub fn wire(self, block: u64) -> u16 {
        let number = match (self, block) {
            (Self::Zero, _) | (Self::One, 0) => block % self.period(),
            (Self::One, _) => (block - 1) % self.period() + 1,
        };
        u16::try_from(number).unwrap_or(u16::MAX)
    }

    /// How far the block that the wire calls `wire` is ahead of `block`, the nearest way forward. A number far ahead
    /// is one behind. `None`: no block near there has this number.
    #[must_use]
    pub fn distance(self, block: u64, wire: u16) -> Option<u64> {
        if self == Self::One && wire == 0 && block > 0 {
            return None;
        }
        let period = self.period();
        Some((u64::from(wire) + period - block % period) % period)
    }
}

impl TryFrom<u8> for Rollover {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            0 => Ok(Self::Zero),
            1 => Ok(Self::One),
            _ => Err(format!("after block 65535 comes 0 or 1, not {number}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn after_65535() {
        assert_eq!([65_535, 65_536, 65_537, 131_072].map(|block| Rollover::Zero.wire(block)), [65_535, 0, 1, 0]);
        assert_eq!([65_535, 65_536, 65_537, 131_070].map(|block| Rollover::One.wire(block)), [65_535, 1, 2, 65_535]);
        assert_eq!([Rollover::Zero, Rollover::One].map(|rollover| rollover.wire(0)), [0, 0]);
    }

    #[test]
    fn block_0_comes_once_when_1_follows_65535() {
        assert_eq!(Rollover::One.distance(0, 0), Some(0));
        assert_eq!(Rollover::One.distance(7, 0), None);
    }

    proptest! {
        #[test]
        fn a_block_ahead_is_found(block in 0..1_u64 << 40, ahead in 0..32_768_u64, one: bool) {
            let rollover = if one { Rollover::One } else { Rollover::Zero };
            prop_assert_eq!(rollover.distance(block, rollover.wire(block + ahead)), Some(ahead));
        }
    }
}
