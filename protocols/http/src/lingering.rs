//! The end of a connection that the server closes (RFC 9112 §9.6).
//!
//! Responsible for reading, and throwing away, what the peer still sends after the last answer. Without this the
//! peer's bytes would be answered by a reset, which may overtake the answer in the peer's buffers.

use std::time::Instant;

use tapster_service::{ByteStream, Next};

use crate::Limits;

/// A connection whose output is finished.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lingering {
    deadline: Instant,
    left: u64,
}

impl Lingering {
    /// Finishes the output and begins to throw the input away.
    pub(crate) fn begin(stream: &mut dyn ByteStream, limits: &Limits, now: Instant) -> Self {
        stream.finish();
        Self { deadline: now + limits.lingering_time, left: limits.lingering_size }
    }

    /// Throws away what has come. Bounded in bytes and time, since a peer may send for ever.
    pub(crate) fn advance(&mut self, stream: &mut dyn ByteStream, now: Instant) -> Next {
        let count = stream.input().len();
        stream.consume(count);
        self.left = self.left.saturating_sub(count as u64);
        if stream.input_finished() || self.left == 0 || now >= self.deadline {
            return Next::Close;
        }
        Next::input().until(self.deadline)
    }
}
