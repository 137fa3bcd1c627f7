//! What happens, for whoever watches: `/v1/events`.
//!
//! Responsible for the events' names and fields, one JSON object a line, and for handing each to all readers. Without a
//! reader an event costs one comparison. Not for the log, which is `tracing`'s.

use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use crate::control::Feed;

/// Something that happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// A connection is established.
    Opened(Connection),
    /// A service has closed its half, which ends the session.
    Closed(Connection),
    /// The peer has reset a connection.
    Reset(Connection),
    /// A connection was given up: the peer has not answered in time.
    TimedOut(Connection),
    /// A connection that tapster opened was refused.
    Refused(Connection),
    /// The operator or a service has reset a connection.
    Killed(Connection),
    /// The peer has not acknowledged in time: something is sent again.
    RetransmissionTimeOut(Connection),
    /// Another station uses one of the own addresses (RFC 5227).
    Conflict { address: IpAddr, mac: String, in_use: bool },
    /// An own address may be used.
    Usable { address: IpAddr },
    /// A configuration was put in force, or not.
    Reload { generation: u64, successful: bool },
    /// The link has become bad, or good again.
    Impair { impairment: serde_json::Value },
    /// The stack was put back to its initial state.
    StackReset { connections: usize },
}

/// The connection that an event is about.
#[derive(Debug, Serialize)]
pub(crate) struct Connection {
    pub(crate) connection: u64,
    /// `null` when its session has ended already.
    pub(crate) service: Option<&'static str>,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// All readers.
#[derive(Debug, Default)]
pub(crate) struct News {
    readers: Vec<Reader>,
}

#[derive(Debug)]
struct Reader {
    feed: Feed,
    lost: u64,
}

/// How many bytes of events wait for a slow reader.
pub(crate) const QUEUE: usize = 256 << 10;

impl News {
    /// One reader more.
    pub(crate) fn add_reader(&mut self, feed: Feed) {
        // Those who went while nothing happened.
        self.readers.retain(|reader| !reader.feed.is_abandoned());
        self.readers.push(Reader { feed, lost: 0 });
    }

    /// How many readers there are.
    pub(crate) fn readers(&self) -> usize {
        self.readers.iter().filter(|reader| !reader.feed.is_abandoned()).count()
    }

    /// Tells all readers. `event` is made only when there is one.
    pub(crate) fn tell(&mut self, wall_clock: SystemTime, event: impl FnOnce() -> Event) {
        if self.readers.is_empty() {
            return;
        }
        let line = line(wall_clock, &event());
        self.readers.retain_mut(|reader| {
            if reader.lost > 0 && reader.feed.push(lost(wall_clock, reader.lost)) {
                reader.lost = 0;
            }
            if reader.lost > 0 || !reader.feed.push(line.clone()) {
                reader.lost += 1;
            }
            !reader.feed.is_abandoned()
        });
    }

    /// The next connection of the control socket that has something to read.
    pub(crate) fn next_woken(&mut self) -> Option<usize> {
        self.readers.iter_mut().find_map(|reader| reader.feed.take_news())
    }
}

/// An event as a line.
fn line(wall_clock: SystemTime, event: &Event) -> Bytes {
    #[derive(Serialize)]
    struct Line<'a> {
        time_seconds: f64,
        #[serde(flatten)]
        event: &'a Event,
    }
    let mut line = serde_json::to_vec(&Line { time_seconds: seconds(wall_clock), event }).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

/// What a slow reader gets in place of the events that it has missed.
fn lost(wall_clock: SystemTime, count: u64) -> Bytes {
    format!("{}\n", json!({ "time_seconds": seconds(wall_clock), "event": "lost", "count": count })).into()
}

/// Seconds since 1970, to the microsecond.
fn seconds(wall_clock: SystemTime) -> f64 {
    let since = wall_clock.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_event_is_one_line_with_its_time_and_its_name() {
        let event = Event::Opened(Connection {
            connection: 3,
            service: Some("http"),
            local: "192.0.2.2:80".parse().unwrap(),
            remote: "192.0.2.1:40000".parse().unwrap(),
        });
        let line = line(UNIX_EPOCH + Duration::from_micros(1_500_001), &event);
        let expected = concat!(
            r#"{"time_seconds":1.500001,"event":"opened","connection":3,"service":"http","#,
            r#""local":"192.0.2.2:80","remote":"192.0.2.1:40000"}"#,
            "\n"
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn without_a_reader_no_event_is_made() {
        News::default().tell(UNIX_EPOCH, || panic!("nobody wants it"));
    }
}
