//! The sending side: which blocks of a file that is read go out, and when again.
//!
//! Responsible for the window (RFC 7440; a window of 1 is RFC 1350's lock-step) and for RFC 1123 §4.2.3.1: no block
//! is sent twice because an acknowledgment came twice. Pure: acknowledgments in, block numbers out. Not for data,
//! packets or time.

use crate::block::Rollover;

/// The blocks of one file on their way out.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    rollover: Rollover,
    window_size: u64,
    /// The last block that the client has, with all before it.
    acknowledged: u64,
    /// The block to send next.
    next: u64,
    /// The highest block that was sent.
    highest: u64,
    /// The last block of the file, once it is known.
    last: Option<u64>,
    /// A block of the window was sent more than once.
    repeated: bool,
    /// The same, for the window before.
    repeated_before: bool,
}

/// What an acknowledgment did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// The client has it all.
    Complete,
    /// The window moved. `whole`: everything that had been sent was acknowledged, and nothing of it had been sent
    /// twice, so that the time it took is a measurement.
    Advanced { whole: bool },
    /// The client lacks the window's first block: the window begins again.
    Again,
    /// An old or impossible number, or a duplicate.
    Ignored,
}

impl Sending {
    pub(crate) fn new(rollover: Rollover, window_size: u16) -> Self {
        Self {
            rollover,
            window_size: u64::from(window_size),
            acknowledged: 0,
            next: 1,
            highest: 0,
            last: None,
            repeated: false,
            repeated_before: false,
        }
    }

    /// Tells which block is the file's last one.
    pub(crate) fn set_last(&mut self, block: u64) {
        self.last = Some(block);
    }

    /// The blocks that may be sent now; empty when the window is full.
    pub(crate) fn due(&self) -> std::ops::Range<u64> {
        let end = self.acknowledged + self.window_size;
        self.next..self.last.map_or(end, |last| end.min(last)) + 1
    }

    /// The block before the window: what the client has.
    pub(crate) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The number on the wire of a block.
    pub(crate) fn wire(&self, block: u64) -> u16 {
        self.rollover.wire(block)
    }

    /// The next block has been sent. Returns whether it had been sent before.
    pub(crate) fn sent(&mut self) -> bool {
        let again = self.next <= self.highest;
        self.highest = self.highest.max(self.next);
        self.next += 1;
        self.repeated |= again;
        again
    }

    /// The time-out has passed: everything that is not acknowledged is due again.
    pub(crate) fn timed_out(&mut self) {
        self.next = self.acknowledged + 1;
    }

    /// An ACK came.
    pub(crate) fn acknowledge(&mut self, wire: u16) -> Acknowledged {
        let outstanding = self.highest - self.acknowledged;
        match self.rollover.distance(self.acknowledged, wire) {
            Some(0) => self.duplicate(),
            Some(count) if count <= outstanding => {
                self.acknowledged += count;
                if self.last == Some(self.acknowledged) {
                    return Acknowledged::Complete;
                }
                let whole = count == outstanding && !self.repeated;
                // RFC 7440 §4: from the block after the acknowledged one, whatever was sent beyond it.
                self.next = self.acknowledged + 1;
                self.repeated_before = std::mem::take(&mut self.repeated);
                Acknowledged::Advanced { whole }
            }
            _ => Acknowledged::Ignored,
        }
    }

    /// The acknowledgment of the block before the window came again. In lock-step that means nothing (RFC 1123
    /// §4.2.3.1). With a window it is how a client tells that the first block was lost (RFC 7440 §4), but copies of
    /// blocks that the client had already also call it forth. So it is believed once for a window, and only if
    /// neither this window nor the one before had a block sent twice: then duplicates cannot feed on themselves.
    fn duplicate(&mut self) -> Acknowledged {
        let sent_any = self.next > self.acknowledged + 1;
        if self.window_size == 1 || !sent_any || self.repeated || self.repeated_before {
            return Acknowledged::Ignored;
        }
        self.next = self.acknowledged + 1;
        self.repeated = true;
        Acknowledged::Again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send_all(sending: &mut Sending) -> Vec<u64> {
        let due = sending.due();
        for _ in due.clone() {
            sending.sent();
        }
        due.collect()
    }

    #[test]
    fn lock_step() {
        let mut sending = Sending::new(Rollover::Zero, 1);
        sending.set_last(2);
        assert_eq!(send_all(&mut sending), [1]);
        assert_eq!(sending.acknowledge(1), Acknowledged::Advanced { whole: true });
        assert_eq!(send_all(&mut sending), [2]);
        assert_eq!(sending.acknowledge(2), Acknowledged::Complete);
    }

    #[test]
    fn a_duplicate_acknowledgment_sends_nothing_in_lock_step() {
        let mut sending = Sending::new(Rollover::Zero, 1);
        send_all(&mut sending);
        sending.acknowledge(1);
        send_all(&mut sending);
        for _ in 0..3 {
            assert_eq!(sending.acknowledge(1), Acknowledged::Ignored);
            assert!(sending.due().is_empty());
        }
    }

    #[test]
    fn only_what_was_sent_can_be_acknowledged() {
        let mut sending = Sending::new(Rollover::Zero, 4);
        assert_eq!(sending.acknowledge(1), Acknowledged::Ignored);
        send_all(&mut sending);
        for wrong in [5, 6, 1000, 65_535] {
            assert_eq!(sending.acknowledge(wrong), Acknowledged::Ignored, "{wrong}");
        }
    }

    #[test]
    fn a_window_begins_again_after_the_last_block_in_order() {
        let mut sending = Sending::new(Rollover::Zero, 4);
        assert_eq!(send_all(&mut sending), [1, 2, 3, 4]);
        assert_eq!(sending.acknowledge(2), Acknowledged::Advanced { whole: false });
        assert_eq!(send_all(&mut sending), [3, 4, 5, 6]);
    }

    #[test]
    fn the_first_block_of_a_window_is_sent_again_once() {
        let mut sending = Sending::new(Rollover::Zero, 2);
        send_all(&mut sending);
        sending.acknowledge(2);
        assert_eq!(send_all(&mut sending), [3, 4]);
        assert_eq!(sending.acknowledge(2), Acknowledged::Again);
        assert_eq!(send_all(&mut sending), [3, 4]);
        assert_eq!(sending.acknowledge(2), Acknowledged::Ignored);
        // The copies of 3 and 4 make the client acknowledge twice; that must not double the next window.
        assert_eq!(sending.acknowledge(4), Acknowledged::Advanced { whole: false });
        send_all(&mut sending);
        assert_eq!(sending.acknowledge(4), Acknowledged::Ignored);
        // Two windows later it is believed again.
        sending.acknowledge(6);
        send_all(&mut sending);
        assert_eq!(sending.acknowledge(6), Acknowledged::Again);
    }

    #[test]
    fn after_a_time_out_the_window_is_not_a_measurement() {
        let mut sending = Sending::new(Rollover::Zero, 2);
        send_all(&mut sending);
        sending.timed_out();
        assert_eq!(sending.due(), 1..3);
        assert!(sending.sent());
        assert_eq!(sending.acknowledge(2), Acknowledged::Advanced { whole: false });
    }

    #[test]
    fn past_65535() {
        for rollover in [Rollover::Zero, Rollover::One] {
            let mut sending = Sending::new(rollover, 64);
            sending.set_last(200_000);
            loop {
                let sent = send_all(&mut sending);
                let Some(last) = sent.last() else { panic!("nothing to send after {}", sending.acknowledged()) };
                let wire = sending.wire(*last);
                if sending.acknowledge(wire) == Acknowledged::Complete {
                    break;
                }
            }
            assert_eq!(sending.acknowledged(), 200_000);
        }
    }
}
