//! From a message to its response.
//!
//! Responsible for putting the parts together, for both transports alike: read, answer, encode, count. A pure function
//! of the sources and the message but for the counters.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::SystemTime;

use hickory_proto::op::ResponseCode;
use tapster_service::Context;

use crate::answer::{self, Answer};
use crate::cookie::Secret;
use crate::edns::ResponseEdns;
use crate::metrics::{Metrics, Transport};
use crate::query::{self, Edns, Header, Question, Refusal};
use crate::response;
use crate::sources::Sources;

/// The smallest size of a message over UDP that every client takes (RFC 1035 §4.2.1, RFC 6891 §6.2.3).
const MINIMUM_UDP_SIZE: u16 = 512;

/// Who has sent a message, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) via: Via,
    pub(crate) address: IpAddr,
    /// In seconds since 1970, modulo 2³² (RFC 9018 §4.3).
    pub(crate) time: u32,
    pub(crate) secret: Secret,
}

/// How a message came, and what that allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// As a datagram; a response of at most `payload_limit` octets goes unfragmented.
    Udp { payload_limit: usize },
    /// On a connection that may be idle for `keepalive` units of 100 ms (RFC 7828).
    Tcp { keepalive: u16 },
}

/// The name server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) sources: Sources,
    pub(crate) metrics: Metrics,
    /// The largest response over UDP, in octets; also told to clients.
    pub(crate) udp_payload_size: u16,
    /// The name server's identifier, for those who ask (RFC 5001).
    pub(crate) identity: Option<String>,
    /// Of the configuration, or made when the first query comes.
    pub(crate) secret: OnceLock<Secret>,
}

impl Server {
    /// The sender of a message that is there now.
    pub(crate) fn client(&self, via: Via, address: IpAddr, cx: &mut Context<'_>) -> Client {
        let since = cx.wall_clock.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let secret = *self.secret.get_or_init(|| {
            let mut octets = [0; 16];
            cx.random().fill_bytes(&mut octets);
            Secret::new(octets)
        });
        // Truncation is the modulo.
        Client { via, address, time: (since.as_secs() & u64::from(u32::MAX)) as u32, secret }
    }

    /// Appends the response to `packet` to `buffer`; nothing if it is met with silence.
    pub(crate) fn respond(&self, packet: &[u8], client: &Client, buffer: &mut Vec<u8>) {
        let transport = match client.via {
            Via::Udp { .. } => Transport::Udp,
            Via::Tcp { .. } => Transport::Tcp,
        };
        match query::read(packet) {
            Ok((header, query)) => {
                self.metrics.request(transport, query.question.kind, packet.len());
                self.query(header, &query.question, query.edns, client, buffer);
            }
            Err(Refusal::Silence(silence)) => self.metrics.ignored(silence),
            Err(Refusal::FormatError(header, question)) => {
                self.metrics.malformed(transport, packet.len());
                let answer = Answer::code(ResponseCode::FormErr);
                self.encode(header, question, &answer, None, client, buffer);
            }
            Err(Refusal::NotImplemented(header)) => {
                self.metrics.malformed(transport, packet.len());
                self.encode(header, None, &Answer::code(ResponseCode::NotImp), None, client, buffer);
            }
        }
    }

    fn query(
        &self,
        header: Header,
        question: &Question<'_>,
        edns: Option<Edns>,
        client: &Client,
        buffer: &mut Vec<u8>,
    ) {
        // RFC 6891 §6.1.3: a version that we do not know is answered with BADVERS, and with ours, which is 0.
        let answer = if edns.is_some_and(|edns| edns.version > 0) {
            Answer::code(ResponseCode::BADVERS)
        } else {
            answer::answer(&self.sources, question)
        };
        self.encode(header, Some(question.wire), &answer, edns, client, buffer);
    }

    fn encode(
        &self,
        header: Header,
        question: Option<&[u8]>,
        answer: &Answer<'_>,
        edns: Option<Edns>,
        client: &Client,
        buffer: &mut Vec<u8>,
    ) {
        let (transport, limit, keepalive) = match client.via {
            Via::Udp { payload_limit } => {
                let theirs = edns.map_or(MINIMUM_UDP_SIZE, |edns| edns.payload_size.max(MINIMUM_UDP_SIZE));
                let size = usize::from(theirs.min(self.udp_payload_size));
                (Transport::Udp, size.min(payload_limit.max(usize::from(MINIMUM_UDP_SIZE))), None)
            }
            Via::Tcp { keepalive } => (Transport::Tcp, usize::from(u16::MAX), Some(keepalive)),
        };
        let edns = edns.map(|edns| ResponseEdns {
            payload_size: self.udp_payload_size,
            dnssec_ok: edns.dnssec_ok,
            nsid: self.identity.as_deref().filter(|_| edns.nsid),
            cookie: edns.cookie.map(|cookie| (cookie, client.secret.cookie(cookie, client.address, client.time))),
            keepalive: keepalive.filter(|_| edns.keepalive),
            extended_error: answer.extended_error,
        });
        let start = buffer.len();
        let encoded = response::encode(buffer, limit, header, question, answer, edns.as_ref());
        self.metrics.response(transport, answer.code, buffer.len() - start, encoded.truncated);
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
