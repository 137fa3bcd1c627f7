//! The receiving side: which blocks of a file that is written are taken, and what is acknowledged.
//!
//! Responsible for the order of blocks, for the window (RFC 7440) and for when an ACK is due. Pure: block numbers in,
//! block numbers out. Not for data, packets or time.

use crate::block::Rollover;

/// The blocks of one file on their way in.
#[derive(Clone, Debug)]
pub(crate) struct Receiving {
    rollover: Rollover,
    window_size: u64,
    /// The last block that came, with all before it.
    received: u64,
    /// The last block that was acknowledged.
    acknowledged: u64,
    /// A gap after `received` has been told to the client.
    gap_told: bool,
}

/// What to do about a DATA packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Take its data.
    Next,
    /// Drop it, but acknowledge what is there: the client lacks an ACK or a block is lost.
    Acknowledge,
    /// Drop it.
    Ignored,
}

impl Receiving {
    pub(crate) fn new(rollover: Rollover, window_size: u16) -> Self {
        let window_size = u64::from(window_size);
        Self { rollover, window_size, received: 0, acknowledged: 0, gap_told: false }
    }

    /// A DATA packet came.
    pub(crate) fn receive(&mut self, wire: u16) -> Received {
        match self.rollover.distance(self.received, wire) {
            Some(1) => {
                self.received += 1;
                self.gap_told = false;
                Received::Next
            }
            // The block before it did not come: told once, since every further block of the window shows the same gap.
            Some(ahead) if (2..=self.window_size).contains(&ahead) && !std::mem::replace(&mut self.gap_told, true) => {
                Received::Acknowledge
            }
            // The last block again: our acknowledgment was lost (RFC 1350 §2). In the middle of a window it means nothing.
            Some(0) if self.received > 0 && self.acknowledged == self.received => Received::Acknowledge,
            _ => Received::Ignored,
        }
    }

    /// Whether the window is full, so that an ACK is due.
    pub(crate) const fn window_full(&self) -> bool {
        self.received - self.acknowledged >= self.window_size
    }

    /// The last block that came, with all before it.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// Acknowledges what has come: the number for the ACK.
    pub(crate) fn acknowledge(&mut self) -> u16 {
        self.acknowledged = self.received;
        self.rollover.wire(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_step() {
        let mut receiving = Receiving::new(Rollover::Zero, 1);
        assert_eq!(receiving.receive(0), Received::Ignored);
        assert_eq!(receiving.receive(1), Received::Next);
        assert!(receiving.window_full());
        assert_eq!(receiving.acknowledge(), 1);
        assert_eq!(receiving.receive(1), Received::Acknowledge);
        assert_eq!(receiving.receive(0), Received::Ignored);
        assert_eq!(receiving.receive(3), Received::Ignored);
        assert_eq!(receiving.receive(2), Received::Next);
    }

    #[test]
    fn a_gap_is_told_once() {
        let mut receiving = Receiving::new(Rollover::Zero, 4);
        assert_eq!(receiving.receive(1), Received::Next);
        assert_eq!(receiving.receive(3), Received::Acknowledge);
        assert_eq!(receiving.acknowledge(), 1);
        assert_eq!(receiving.receive(4), Received::Ignored);
        for block in 2..=5 {
            assert_eq!(receiving.receive(block), Received::Next);
        }
        assert!(receiving.window_full());
        assert_eq!(receiving.acknowledge(), 5);
    }

    #[test]
    fn an_old_block_in_the_middle_of_a_window_means_nothing() {
        let mut receiving = Receiving::new(Rollover::Zero, 4);
        receiving.receive(1);
        receiving.receive(2);
        assert_eq!(receiving.receive(2), Received::Ignored);
        assert_eq!(receiving.receive(1), Received::Ignored);
    }

    #[test]
    fn past_65535() {
        for rollover in [Rollover::Zero, Rollover::One] {
            let mut receiving = Receiving::new(rollover, 1);
            for block in 1..=200_000 {
                assert_eq!(receiving.receive(rollover.wire(block)), Received::Next, "{block}");
                receiving.acknowledge();
            }
        }
    }
}
