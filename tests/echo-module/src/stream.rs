//! Echo over TCP: everything comes back until the peer closes its half.

use prometheus::IntCounter;
use tapster_service::{ByteStream, Context, Next, Peer, Session, StreamService};

/// Makes a session for each connection.
#[derive(Debug)]
pub struct EchoStreams {
    bytes: IntCounter,
}

impl EchoStreams {
    /// Sessions that count what they send back in `bytes`.
    #[must_use]
    pub fn new(bytes: IntCounter) -> Self {
        Self { bytes }
    }
}

impl StreamService for EchoStreams {
    fn accept(&mut self, _peer: Peer, _cx: &mut Context<'_>) -> Box<dyn Session> {
        Box::new(EchoSession { bytes: self.bytes.clone() })
    }
}

/// One connection. The protocol has no state of its own.
struct EchoSession {
    bytes: IntCounter,
}

impl Session for EchoSession {
    fn advance(&mut self, stream: &mut dyn ByteStream, _cx: &mut Context<'_>) -> Next {
        let room = stream.room();
        let input = stream.input();
        let count = input.len().min(room);
        let whole = count == input.len();
        // The input is the stream's own buffer, so it cannot be lent while the stream is written to.
        let echo = input[..count].to_vec();
        stream.write_copy(&echo);
        stream.consume(count);
        self.bytes.inc_by(count as u64);
        if !whole {
            // A peer that sends and does not read is held back here: its input stays, and its window fills.
            return Next::room(1);
        }
        if stream.input_finished() { Next::Close } else { Next::input() }
    }
}

#[cfg(test)]
mod tests {
    use tapster_service::testing::{TestEnvironment, TestStream};

    use super::*;

    fn session() -> EchoSession {
        EchoSession { bytes: IntCounter::new("bytes", "bytes").unwrap() }
    }

    #[test]
    fn what_comes_goes_back_and_is_counted() {
        let mut environment = TestEnvironment::default();
        let mut session = session();
        let mut stream = TestStream::with_input("hello");
        assert_eq!(environment.advance(&mut session, &mut stream), Next::input());
        assert_eq!(stream.take_output(), b"hello");
        assert!(stream.input.is_empty());
        assert_eq!(session.bytes.get(), 5);
    }

    #[test]
    fn without_room_the_rest_waits() {
        let mut environment = TestEnvironment::default();
        let mut session = session();
        let mut stream = TestStream::with_input("hello");
        stream.room = Some(2);
        assert_eq!(environment.advance(&mut session, &mut stream), Next::room(1));
        assert_eq!(stream.take_output(), b"he");
        stream.room = None;
        assert_eq!(environment.advance(&mut session, &mut stream), Next::input());
        assert_eq!(stream.take_output(), b"llo");
    }

    #[test]
    fn the_peers_close_is_answered_after_its_last_byte() {
        let mut environment = TestEnvironment::default();
        let mut stream = TestStream::with_input("last");
        stream.input_finished = true;
        assert_eq!(environment.advance(&mut session(), &mut stream), Next::Close);
        assert_eq!(stream.take_output(), b"last");
    }
}
