//! Answers: status, header fields, body, and their bytes on the wire.
//!
//! Responsible for what a handler can say and how a head is written. How a body is framed and paced is the
//! connection's matter.

use std::time::Instant;

use bytes::Bytes;
use tapster_service::{Context, JobId};

use crate::date::Date;

/// What a handler says to a request.
#[derive(Debug)]
pub enum Answer {
    /// A response.
    Reply(Reply),
    /// A response whose bytes are ready; the cheapest kind.
    Prepared(Prepared),
    /// The response depends on this job. When it has ended, [`Handler::resume`](crate::Handler::resume) is called.
    Later(JobId),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// One response.
#[derive(Debug)]
pub struct Reply {
    pub(crate) status: u16,
    /// Header lines, each with its CRLF.
    pub(crate) fields: Vec<u8>,
    pub(crate) body: Body,
    pub(crate) close: bool,
}

impl Reply {
    /// A response without fields of its own and without a body. The connection adds `Date`, `Server`, `Connection` and
    /// the framing fields.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self { status, fields: Vec::new(), body: Body::Empty, close: false }
    }

    /// A response that says its status in one line of text, for errors.
    #[must_use]
    pub fn text(status: u16) -> Self {
        let text = format!("{status} {}\n", reason(status));
        Self::new(status).field("Content-Type", "text/plain; charset=utf-8").body(Body::Bytes(text.into()))
    }

    /// The same, with a header field. Control characters in the value are left out, so a value can never become a
    /// field of its own.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        write_field(&mut self.fields, name, value.as_bytes());
        self
    }

    /// The same, with this body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// The same; the connection is closed after it.
    #[must_use]
    pub const fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }
}

/// A response's body.
pub enum Body {
    /// None.
    Empty,
    /// All of it.
    Bytes(Bytes),
    /// Made piece by piece, as room appears.
    Produced {
        /// Its length in bytes, if it is known. Otherwise it is sent in chunks (HTTP/1.1) or ended by the end of the
        /// connection (HTTP/1.0).
        length: Option<u64>,
        /// What makes it.
        producer: Box<dyn Producer>,
    },
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Produced { length, .. } => write!(f, "Produced({length:?})"),
        }
    }
}

/// Makes a body piece by piece.
pub trait Producer {
    /// The next piece, of at most `room` bytes, which is never 0. A producer that waits for a job takes the result
    /// from `cx` in a later call.
    fn produce(&mut self, room: usize, cx: &mut Context<'_>) -> Produced;
}

/// What a [`Producer`] has.
#[derive(Debug)]
pub enum Produced {
    /// A piece. It must not be empty.
    Bytes(Bytes),
    /// Nothing yet. Call again when a job has ended or this moment has come.
    Later(Option<Instant>),
    /// The body is complete. With a known length, not needed after the last byte.
    End,
    /// The rest cannot be had. The connection is reset, so that the peer does not take the piece for the whole.
    Failed,
}

/// A response to a GET whose bytes are ready and shared by many connections. The connection leaves out the body for
/// HEAD, and inserts a Connection field where one is needed.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The status code that the head says.
    pub status: u16,
    /// The whole head with its last empty line, and the body or its first part. It holds all fields but Connection.
    pub message: Bytes,
    /// How many bytes of `message` are head.
    pub head: usize,
    /// The rest of the body; may be empty.
    pub rest: Bytes,
}

impl Prepared {
    /// The body's length in bytes.
    pub(crate) fn body_length(&self) -> u64 {
        (self.message.len().saturating_sub(self.head) + self.rest.len()) as u64
    }
}

/// What the connection itself says in a head.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    /// No field: a status that has no body, or a body ended by the connection's end.
    None,
    Length(u64),
    Chunked,
}

/// Writes a response's head.
pub(crate) fn write_head(
    out: &mut Vec<u8>,
    status: u16,
    date: &Date,
    fields: &[u8],
    framing: Framing,
    connection: Option<&str>,
) {
    write_status(out, status, date);
    out.extend_from_slice(fields);
    match framing {
        Framing::None => {}
        Framing::Length(length) => write_length(out, length),
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    if let Some(connection) = connection {
        write_field(out, "Connection", connection.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the status line and the fields that every response has.
pub(crate) fn write_status(out: &mut Vec<u8>, status: u16, date: &Date) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\nServer: tapster\r\nDate: ");
    out.extend_from_slice(&date.text);
    out.extend_from_slice(b"\r\n");
}

/// Writes a Content-Length.
pub(crate) fn write_length(out: &mut Vec<u8>, length: u64) {
    write_field(out, "Content-Length", length.to_string().as_bytes());
}

/// Writes one field line.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(value.iter().filter(|byte| **byte >= b' ' && **byte != 0x7f));
    out.extend_from_slice(b"\r\n");
}

/// Whether a response with this status has a body (RFC 9110 §6.4.1).
pub(crate) const fn has_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// The reason phrase (RFC 9110 §15).
pub(crate) const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_become_a_field() {
        let reply = Reply::new(301).field("Location", "/a\r\nSet-Cookie: b\0");
        assert_eq!(reply.fields, b"Location: /aSet-Cookie: b\r\n");
    }
}
