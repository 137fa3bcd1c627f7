//! DNS over TCP (RFC 1035 §4.2.2, RFC 7766): many queries on one connection, answered in order.
//!
//! Responsible for the two octets of length before each message, for time-outs, and for reading no more queries than
//! the client reads responses.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tapster_service::{ByteStream, Context, Next, Peer, Session, StreamService, Wait};

use crate::configuration::Limits;
use crate::server::{Server, Via};

/// How much room for output makes it worth going on, in bytes.
const WORTHWHILE_ROOM: usize = 4096;
/// How many bytes of responses are gathered before they are handed over.
const BATCH: usize = 16 * 1024;

/// Makes the sessions.
#[derive(Clone)]
pub(crate) struct Tcp {
    server: Arc<Server>,
    idle_timeout: Duration,
    query_timeout: Duration,
    /// 0: any number.
    maximum_queries: u64,
}

impl Tcp {
    pub(crate) fn new(server: Arc<Server>, limits: &Limits) -> Self {
        Self {
            server,
            idle_timeout: limits.tcp_idle_timeout,
            query_timeout: limits.tcp_query_timeout,
            maximum_queries: limits.tcp_queries,
        }
    }
}

impl StreamService for Tcp {
    fn accept(&mut self, peer: Peer, cx: &mut Context<'_>) -> Box<dyn Session> {
        Box::new(Connection {
            tcp: self.clone(),
            address: peer.remote.ip(),
            queries: 0,
            state: State::Idle,
            since: cx.now,
        })
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between queries.
    Idle,
    /// A query has begun to come.
    Receiving,
    /// Queries wait until the client reads its responses.
    Full,
}

/// One connection.
struct Connection {
    tcp: Tcp,
    /// The client's.
    address: IpAddr,
    queries: u64,
    state: State,
    /// Since when it is in this state, without any query being answered.
    since: Instant,
}

impl Session for Connection {
    fn advance(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Next {
        let answered = self.answer(stream, cx);
        let finished = self.tcp.maximum_queries > 0 && self.queries >= self.tcp.maximum_queries;
        let ended = stream.input_finished();
        let input = stream.input();
        let state = match message(input) {
            _ if finished => return Next::Close,
            Some(_) => State::Full,
            None if ended => return Next::Close,
            None if input.is_empty() => State::Idle,
            None => State::Receiving,
        };
        if answered || state != self.state {
            self.state = state;
            self.since = cx.now;
        }
        let deadline = self.since
            + match state {
                State::Idle | State::Full => self.tcp.idle_timeout,
                State::Receiving => self.tcp.query_timeout,
            };
        if cx.now >= deadline {
            return self.time_out();
        }
        let full = state == State::Full;
        let room = if full { WORTHWHILE_ROOM } else { 0 };
        Next::Wait(Wait { input: !full, room, deadline: Some(deadline) })
    }
}

impl Connection {
    /// Answers the queries that are there, as long as there is room; tells whether there was any.
    fn answer(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> bool {
        let keepalive = u16::try_from(self.tcp.idle_timeout.as_millis() / 100).unwrap_or(u16::MAX);
        let client = self.tcp.server.client(Via::Tcp { keepalive }, self.address, cx);
        let before = self.queries;
        let mut output = Vec::new();
        loop {
            let room = stream.room();
            let mut consumed = 0;
            let input = stream.input();
            while let Some(query) = input.get(consumed..).and_then(message) {
                let limited = self.tcp.maximum_queries > 0 && self.queries >= self.tcp.maximum_queries;
                if limited || output.len() >= room.min(BATCH) {
                    break;
                }
                let length_at = output.len();
                output.extend([0; 2]);
                self.tcp.server.respond(query, &client, &mut output);
                let length = u16::try_from(output.len() - length_at - 2).unwrap_or(u16::MAX);
                if length == 0 {
                    output.truncate(length_at);
                } else if let Some(place) = output.get_mut(length_at..length_at + 2) {
                    place.copy_from_slice(&length.to_be_bytes());
                }
                consumed += 2 + query.len();
                self.queries += 1;
            }
            if consumed == 0 {
                return self.queries > before;
            }
            stream.consume(consumed);
            if !output.is_empty() {
                stream.write(Bytes::from(std::mem::take(&mut output)));
            }
        }
    }

    fn time_out(&self) -> Next {
        match self.state {
            State::Idle => {
                self.tcp.server.metrics.tcp_idle();
                Next::Close
            }
            State::Receiving => {
                self.tcp.server.metrics.tcp_slow();
                Next::Close
            }
            // Nobody reads what an orderly close would still want to send.
            State::Full => {
                self.tcp.server.metrics.tcp_idle();
                Next::Abort
            }
        }
    }
}

/// The first message of the input, if all of it has come.
fn message(input: &[u8]) -> Option<&[u8]> {
    let (length, rest) = input.split_first_chunk()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests;
