//! A body on its way: from a producer to the transport, as room appears.
//!
//! Responsible for framing it, for how much is handed over at a time, and for peers that do not read.

use tapster_service::{ByteStream, Context, Wait};

use super::exchange::Exchange;
use crate::pace::Pace;
use crate::{Produced, Producer};

/// How much is handed over in one call. The transport sends it before the next call, while it is still in the
/// processor's cache, and other connections get their turn.
const PER_CALL: usize = 1 << 20;
/// The room that is worth waking up for, in bytes.
const WORTHWHILE: usize = 64 << 10;

/// A body that is still to be made.
pub(super) struct Rest {
    pub(super) producer: Box<dyn Producer>,
    /// How many bytes are missing, if that is known.
    pub(super) left: Option<u64>,
    pub(super) chunked: bool,
}

pub(super) struct Sending {
    pub(super) exchange: Box<Exchange>,
    rest: Rest,
    pace: Pace,
    /// The most room that was ever seen: waiting for more would be waiting for ever.
    most_room: usize,
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sending")
            .field("exchange", &self.exchange)
            .field("left", &self.rest.left)
            .finish_non_exhaustive()
    }
}

/// What came of a call.
pub(super) enum Progress {
    Wait(Wait),
    Done,
    Failed,
    TooSlow,
}

impl Sending {
    pub(super) fn new(exchange: Exchange, rest: Rest, pace: Pace) -> Self {
        Self { exchange: Box::new(exchange), rest, pace, most_room: 0 }
    }

    pub(super) fn advance(&mut self, written: &mut u64, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Progress {
        let unacknowledged = stream.unacknowledged();
        self.pace.progress(cx.now, written.saturating_sub(unacknowledged as u64));
        if unacknowledged == 0 {
            self.pace.restart(cx.now);
        }
        let mut turn = PER_CALL;
        while self.rest.left != Some(0) {
            let room = stream.room();
            self.most_room = self.most_room.max(room);
            let worthwhile = self.worthwhile();
            // Once all is acknowledged there will never be more room than there is.
            if room < worthwhile && (room == 0 || stream.unacknowledged() > 0) {
                if self.pace.expired(cx.now) {
                    return Progress::TooSlow;
                }
                return Progress::Wait(Wait { input: false, room: worthwhile, deadline: Some(self.pace.deadline()) });
            }
            if turn == 0 {
                return Progress::Wait(Wait { input: false, room: worthwhile, deadline: Some(cx.now) });
            }
            match self.rest.producer.produce(self.bounded(room.min(turn)), cx) {
                Produced::Bytes(bytes) => {
                    let count = bytes.len();
                    if count == 0 || self.rest.left.is_some_and(|left| left < count as u64) {
                        return Progress::Failed;
                    }
                    turn = turn.saturating_sub(count);
                    self.exchange.body_bytes += count as u64;
                    *written += count as u64;
                    if let Some(left) = &mut self.rest.left {
                        *left -= count as u64;
                    }
                    if self.rest.chunked {
                        *written += write_chunk(bytes, stream);
                    } else {
                        stream.write(bytes);
                    }
                }
                Produced::Later(deadline) => return self.wait_for_producer(deadline, stream, cx),
                Produced::End if self.rest.left.is_none() => break,
                Produced::End | Produced::Failed => return Progress::Failed,
            }
        }
        if self.rest.chunked {
            const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
            stream.write_copy(LAST_CHUNK);
            *written += LAST_CHUNK.len() as u64;
        }
        Progress::Done
    }

    /// Nothing to send for now. Only what is already on its way can be too slow.
    fn wait_for_producer(
        &self,
        deadline: Option<std::time::Instant>,
        stream: &dyn ByteStream,
        cx: &Context<'_>,
    ) -> Progress {
        if stream.unacknowledged() == 0 {
            return Progress::Wait(Wait { input: false, room: 0, deadline });
        }
        if self.pace.expired(cx.now) {
            return Progress::TooSlow;
        }
        let pace = self.pace.deadline();
        let deadline = deadline.map_or(pace, |deadline| deadline.min(pace));
        Progress::Wait(Wait { input: false, room: 0, deadline: Some(deadline) })
    }

    /// How much room is needed for a piece that is worth its cost.
    fn worthwhile(&self) -> usize {
        self.bounded(WORTHWHILE.min(self.most_room / 2)).max(1)
    }

    /// At most what is missing.
    fn bounded(&self, count: usize) -> usize {
        match self.rest.left.map(usize::try_from) {
            Some(Ok(left)) => count.min(left),
            _ => count,
        }
    }
}

/// Writes one chunk (RFC 9112 §7.1); returns how many bytes the framing took.
fn write_chunk(bytes: bytes::Bytes, stream: &mut dyn ByteStream) -> u64 {
    let size = format!("{:x}\r\n", bytes.len());
    stream.write_copy(size.as_bytes());
    stream.write(bytes);
    stream.write_copy(b"\r\n");
    size.len() as u64 + 2
}
