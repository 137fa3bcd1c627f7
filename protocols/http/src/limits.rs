//! What a connection grants its peer.
//!
//! Responsible for the limits of the protocol layer and their names. Limits of the file server (cache, listings) are
//! in its own configuration.

use std::time::Duration;

/// The limits of a [`Connection`](crate::Connection).
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a request's head may take, from its first byte (or the connection's begin) to its last.
    pub header_timeout: Duration,
    /// How long a connection may be idle between two requests.
    pub keepalive_timeout: Duration,
    /// How long a request's body may make no progress.
    pub body_timeout: Duration,
    /// How long the peer may acknowledge nothing of a response.
    pub send_timeout: Duration,
    /// The least average rate of a body, either way, in bytes per second, after the time-out above has passed once.
    /// 0 allows any.
    pub min_rate: u64,
    /// The largest head, request line and all header fields, in bytes.
    pub max_header_size: usize,
    /// The most header fields of a request. At most 256 are ever taken.
    pub max_headers: usize,
    /// The largest request body that is skipped or collected, in bytes. A handler may set a smaller limit for one
    /// request.
    pub max_body_size: u64,
    /// The most requests on one connection; 0 is no limit. The last one's answer says `Connection: close`.
    pub max_requests: u64,
    /// How long input is read and thrown away after the last answer, in total.
    pub lingering_time: Duration,
    /// How much input is read and thrown away after the last answer, in bytes.
    pub lingering_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            min_rate: 256,
            max_header_size: 16 << 10,
            max_headers: 100,
            max_body_size: 1 << 20,
            max_requests: 100_000,
            lingering_time: Duration::from_secs(10),
            lingering_size: 16 << 20,
        }
    }
}

/// A limit that was hit, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A head did not come in time.
    HeaderTimeout,
    /// A request line was too long.
    RequestLine,
    /// A head was too large or had too many fields.
    HeaderSize,
    /// A body was too large.
    BodySize,
    /// A body came too slowly.
    BodyTimeout,
    /// A response was read too slowly.
    SendTimeout,
    /// The connection had its share of requests.
    Requests,
    /// The worker pool was full.
    Jobs,
}

impl Limit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::HeaderTimeout,
        Self::RequestLine,
        Self::HeaderSize,
        Self::BodySize,
        Self::BodyTimeout,
        Self::SendTimeout,
        Self::Requests,
        Self::Jobs,
    ];

    /// Its name, as in the metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HeaderTimeout => "header_timeout",
            Self::RequestLine => "request_line",
            Self::HeaderSize => "header_size",
            Self::BodySize => "body_size",
            Self::BodyTimeout => "body_timeout",
            Self::SendTimeout => "send_timeout",
            Self::Requests => "requests",
            Self::Jobs => "jobs",
        }
    }
}
