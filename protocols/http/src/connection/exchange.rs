//! One request and its answer, from the connection's side.
//!
//! Responsible for what must be remembered between a head that has been parsed and an answer that is complete, and
//! for the framing of the answer (RFC 9112 §6).

use bytes::Bytes;
use tapster_service::{ByteStream, Measurements, Peer};

use super::Completed;
use super::sending::Rest;
use crate::date::Date;
use crate::framing::Framing;
use crate::response::{self, Body, Framing as Field};
use crate::{Method, Prepared, Reply, Request, Version};

/// A body up to this size goes into the same buffer as its head, and so into the same segment and system call.
const JOINED_BODY: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct Exchange {
    method: Option<Method>,
    version: Version,
    target: Option<Box<str>>,
    status: u16,
    /// Whether the connection stays after the answer.
    pub(super) persistent: bool,
    /// The request's body, none of which has been read.
    pub(super) unread: Framing,
    /// How much of the answer's body has been handed to the transport.
    pub(super) body_bytes: u64,
}

impl Exchange {
    pub(super) fn new(request: &Request<'_>, persistent: bool, unread: Framing, target: Option<Box<str>>) -> Self {
        let (method, version) = (Some(request.method), request.version);
        Self { method, version, target, status: 0, persistent, unread, body_bytes: 0 }
    }

    /// A request that the handler is not asked about, or not any more.
    pub(super) fn refused(method: Option<Method>) -> Self {
        Self {
            method,
            version: Version::Http11,
            target: None,
            status: 0,
            persistent: false,
            unread: Framing::None,
            body_bytes: 0,
        }
    }

    pub(super) fn completed(&self, peer: Peer, aborted: bool, measurements: Measurements) -> Completed<'_> {
        Completed {
            peer,
            method: self.method,
            target: self.target.as_deref().unwrap_or_default(),
            status: self.status,
            body_bytes: self.body_bytes,
            aborted,
            measurements,
        }
    }

    /// The Connection field's value, where one is needed (RFC 9112 §9.3).
    fn connection_field(&self) -> Option<&'static str> {
        match (self.persistent, self.version) {
            (false, _) => Some("close"),
            (true, Version::Http10) => Some("keep-alive"),
            (true, Version::Http11) => None,
        }
    }

    /// Hands over an answer whose bytes are ready; returns how many they were.
    pub(super) fn write_prepared(&mut self, prepared: Prepared, stream: &mut dyn ByteStream) -> u64 {
        self.status = prepared.status;
        let mut written = 0;
        let mut write = |bytes: Bytes| {
            if !bytes.is_empty() {
                written += bytes.len() as u64;
                stream.write(bytes);
            }
        };
        let body = self.method != Some(Method::Head);
        let head = prepared.head.min(prepared.message.len());
        if body {
            self.body_bytes = prepared.body_length();
        }
        match self.connection_field() {
            None if body => write(prepared.message),
            None => write(prepared.message.slice(..head)),
            Some(value) => {
                let end = head.saturating_sub(2);
                let mut message = Vec::with_capacity(prepared.message.len() + 32);
                message.extend_from_slice(&prepared.message[..end]);
                response::write_field(&mut message, "Connection", value.as_bytes());
                message.extend_from_slice(&prepared.message[end..if body { prepared.message.len() } else { head }]);
                write(message.into());
            }
        }
        if body {
            write(prepared.rest);
        }
        written
    }

    /// Writes an answer's head, and as much of its body as is there. Returns how many bytes that was, and what is
    /// still to be made.
    pub(super) fn write_reply(
        &mut self,
        reply: Reply,
        date: &Date,
        stream: &mut dyn ByteStream,
    ) -> (u64, Option<Rest>) {
        self.status = reply.status;
        self.persistent &= !reply.close;
        let is_head = self.method == Some(Method::Head);
        let has_body = response::has_body(reply.status);
        let framing = match &reply.body {
            _ if !has_body => Field::None,
            Body::Empty => Field::Length(0),
            Body::Bytes(bytes) => Field::Length(bytes.len() as u64),
            Body::Produced { length: Some(length), .. } => Field::Length(*length),
            Body::Produced { length: None, .. } if self.version == Version::Http11 => Field::Chunked,
            Body::Produced { length: None, .. } => {
                self.persistent = false;
                Field::None
            }
        };
        let joined = match &reply.body {
            Body::Bytes(bytes) if bytes.len() <= JOINED_BODY => bytes.len(),
            _ => 0,
        };
        let mut message = Vec::with_capacity(256 + reply.fields.len() + joined);
        response::write_head(&mut message, reply.status, date, &reply.fields, framing, self.connection_field());
        let mut written = message.len() as u64;
        let mut following = None;
        let mut rest = None;
        if has_body && !is_head {
            match reply.body {
                Body::Empty => {}
                Body::Bytes(bytes) => {
                    self.body_bytes = bytes.len() as u64;
                    written += self.body_bytes;
                    if joined > 0 {
                        message.extend_from_slice(&bytes);
                    } else if !bytes.is_empty() {
                        following = Some(bytes);
                    }
                }
                Body::Produced { length, producer } => {
                    rest = Some(Rest { producer, left: length, chunked: matches!(framing, Field::Chunked) });
                }
            }
        }
        stream.write(message.into());
        if let Some(bytes) = following {
            stream.write(bytes);
        }
        (written, rest)
    }
}
