//! Answers that go on: events and captures.
//!
//! Responsible for the bounded queue between the event loop, which has something to tell, and the HTTP session that hands
//! it to a reader. A reader that is slow loses what does not fit, and is told how much; one that is gone is noticed. The
//! loop never waits for either.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tapster_http::{Produced, Producer};
use tapster_service::Context;

/// How much is handed over in one piece, when there is as much, in bytes.
const PIECE: usize = 64 << 10;

/// The end that the event loop writes to.
#[derive(Debug)]
pub(crate) struct Feed {
    queue: Arc<Mutex<Queue>>,
    connection: usize,
    limit: usize,
    has_news: bool,
}

/// The end that a reader has.
#[derive(Clone, Debug)]
pub(crate) struct Outlet(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    length: usize,
    ended: bool,
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feed {
    /// A queue of at most `limit` bytes for the reader on a connection of the control socket.
    pub(crate) fn new(connection: usize, limit: usize) -> (Self, Outlet) {
        let queue = Arc::new(Mutex::new(Queue::default()));
        (Self { queue: Arc::clone(&queue), connection, limit, has_news: false }, Outlet(queue))
    }

    /// Whether a piece of this length would be taken.
    pub(crate) fn has_room(&self, length: usize) -> bool {
        lock(&self.queue).length + length <= self.limit
    }

    /// Queues a piece. False when there is no room: it is lost.
    pub(crate) fn push(&mut self, piece: Bytes) -> bool {
        let mut queue = lock(&self.queue);
        if queue.length + piece.len() > self.limit {
            return false;
        }
        queue.length += piece.len();
        queue.pieces.push_back(piece);
        self.has_news = true;
        true
    }

    /// Ends the answer, after what is queued.
    pub(crate) fn end(&mut self) {
        lock(&self.queue).ended = true;
        self.has_news = true;
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.queue) == 1
    }

    /// Whether there is something that the reader has not been woken for.
    pub(crate) const fn has_news(&self) -> bool {
        self.has_news
    }

    /// The connection to wake, when something has been queued since the last call.
    pub(crate) fn take_news(&mut self) -> Option<usize> {
        std::mem::take(&mut self.has_news).then_some(self.connection)
    }
}

impl Queue {
    /// The next bytes, at most `room` of them.
    fn take(&mut self, room: usize) -> Option<Bytes> {
        let mut first = self.pieces.pop_front()?;
        if first.len() > room {
            self.pieces.push_front(first.split_off(room));
        } else if self.pieces.front().is_some_and(|next| first.len() + next.len() <= room.min(PIECE)) {
            // Small pieces go out together.
            let mut gathered = BytesMut::from(&first[..]);
            while let Some(next) = self.pieces.front()
                && gathered.len() + next.len() <= room.min(PIECE)
            {
                gathered.extend_from_slice(next);
                self.pieces.pop_front();
            }
            first = gathered.freeze();
        }
        self.length -= first.len();
        Some(first)
    }
}

impl Producer for Outlet {
    fn produce(&mut self, room: usize, _cx: &mut Context<'_>) -> Produced {
        let mut queue = lock(&self.0);
        match queue.take(room) {
            Some(piece) => Produced::Bytes(piece),
            None if queue.ended => Produced::End,
            None => Produced::Later(None),
        }
    }
}

/// All that a reader has not read yet.
#[cfg(test)]
pub(crate) fn read_feed(outlet: &Outlet) -> Vec<u8> {
    std::iter::from_fn(|| lock(&outlet.0).take(usize::MAX)).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(outlet: &Outlet, room: usize) -> Vec<Bytes> {
        std::iter::from_fn(|| lock(&outlet.0).take(room)).collect()
    }

    #[test]
    fn what_is_queued_comes_out_in_order_and_small_pieces_together() {
        let (mut feed, outlet) = Feed::new(7, 1000);
        for piece in ["one ", "two ", "three"] {
            assert!(feed.push(Bytes::from_static(piece.as_bytes())));
        }
        assert_eq!(feed.take_news(), Some(7));
        assert_eq!(feed.take_news(), None);
        assert_eq!(drain(&outlet, 100), ["one two three"]);
        assert!(feed.push(Bytes::from_static(b"abcdefgh")));
        assert_eq!(drain(&outlet, 3), ["abc", "def", "gh"]);
    }

    #[test]
    fn a_reader_that_is_slow_costs_no_more_than_the_limit() {
        let (mut feed, outlet) = Feed::new(0, 10);
        assert!(feed.push(Bytes::from_static(b"12345678")));
        assert!(!feed.push(Bytes::from_static(b"123")));
        assert!(feed.push(Bytes::from_static(b"12")));
        assert_eq!(drain(&outlet, 100).concat(), b"1234567812");
        assert!(feed.push(Bytes::from_static(b"123")));
    }

    #[test]
    fn a_reader_that_is_gone_is_noticed() {
        let (feed, outlet) = Feed::new(0, 10);
        let other = outlet.clone();
        drop(outlet);
        assert!(!feed.is_abandoned());
        drop(other);
        assert!(feed.is_abandoned());
    }
}
