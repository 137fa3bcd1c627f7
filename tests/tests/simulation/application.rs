//! An application that writes so many octets, reads to the end, and closes.

use std::time::Duration;

use rand_core::Rng;
use tapster_stack::{ClosedReason, ConnectionId, Host, Instant, Payload};

use crate::link::Dice;

/// The octet at an offset of a stream: each end's is different.
fn octet(offset: u64, end: usize) -> u8 {
    (offset.wrapping_mul(2_654_435_761).wrapping_add(end as u64 * 97) >> 7) as u8
}

/// One end's application.
#[derive(Debug)]
pub(crate) struct Application {
    end: usize,
    pub(crate) connection: Option<ConnectionId>,
    to_write: u64,
    written: u64,
    pub(crate) read: u64,
    finished: bool,
    pub(crate) closed: bool,
    pub(crate) ended: Option<ClosedReason>,
    /// Reads a little at a time, and pauses, so often in a thousand.
    slowness: u32,
    pub(crate) paused_until: Instant,
}

impl Application {
    pub(crate) fn new(end: usize, to_write: u64, slowness: u32) -> Self {
        Self {
            end,
            connection: None,
            to_write,
            written: 0,
            read: 0,
            finished: false,
            closed: false,
            ended: None,
            slowness,
            paused_until: Instant::START,
        }
    }

    /// Goes as far as it can, with what a frame has just brought.
    pub(crate) fn advance(&mut self, host: &mut Host, now: Instant, dice: &mut Dice, lent: Payload<'_>) {
        if self.closed {
            return;
        }
        let Some(mut stream) = self.connection.and_then(|id| host.stream(now, id, lent)) else { return };
        while now >= self.paused_until && !stream.input().is_empty() {
            let available = stream.input().len();
            let take = if dice.0.next_u32() % 1000 < self.slowness {
                self.paused_until = now + Duration::from_millis(u64::from(dice.0.next_u32() % 1500));
                dice.0.next_u32() as usize % (available + 1)
            } else {
                available
            };
            for (index, found) in stream.input()[..take].iter().enumerate() {
                let at = self.read + index as u64;
                assert_eq!(*found, octet(at, 1 - self.end), "what was read at {at} is not what was written");
            }
            stream.consume(take);
            self.read += take as u64;
        }
        while self.written < self.to_write && stream.room() > 0 {
            let most = (1 + u64::from(dice.0.next_u32() % 40_000)).min(stream.room() as u64);
            let length = most.min(self.to_write - self.written);
            let octets: Vec<u8> = (self.written..self.written + length).map(|at| octet(at, self.end)).collect();
            stream.write(octets.into());
            self.written += length;
        }
        if self.written < self.to_write {
            stream.notify_room(20_000);
        } else if !self.finished {
            stream.finish();
            self.finished = true;
        }
        if self.finished && stream.input_finished() && stream.input().is_empty() {
            self.closed = true;
            stream.close();
        }
    }
}
