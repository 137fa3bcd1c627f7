//! From a message to its response.
//!
//! Responsible for putting the parts together, for both transports alike: read, answer, encode, count. A pure function
//! of the zones and the message but for the counters.

use hickory_proto::op::ResponseCode;

use crate::answer::{self, Answer};
use crate::metrics::{Metrics, Transport};
use crate::query::{self, Edns, Header, Question, Refusal};
use crate::response::{self, ResponseEdns};
use crate::zone::Zones;

/// The smallest size of a message over UDP that every client takes (RFC 1035 §4.2.1, RFC 6891 §6.2.3).
const MINIMUM_UDP_SIZE: u16 = 512;

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
    pub(crate) zones: Zones,
    pub(crate) metrics: Metrics,
    /// The largest response over UDP, in octets; also told to clients.
    pub(crate) udp_payload_size: u16,
}

impl Server {
    /// Appends the response to `packet` to `buffer`; nothing if it is met with silence.
    pub(crate) fn respond(&self, packet: &[u8], via: Via, buffer: &mut Vec<u8>) {
        let transport = match via {
            Via::Udp { .. } => Transport::Udp,
            Via::Tcp { .. } => Transport::Tcp,
        };
        match query::read(packet) {
            Ok((header, query)) => {
                self.metrics.request(transport, query.question.kind, packet.len());
                self.query(header, &query.question, query.edns, via, buffer);
            }
            Err(Refusal::Silence(silence)) => self.metrics.ignored(silence),
            Err(Refusal::FormatError(header, question)) => {
                self.metrics.malformed(transport, packet.len());
                let answer = Answer::code(ResponseCode::FormErr);
                self.encode(header, question, &answer, None, via, buffer);
            }
            Err(Refusal::NotImplemented(header)) => {
                self.metrics.malformed(transport, packet.len());
                self.encode(header, None, &Answer::code(ResponseCode::NotImp), None, via, buffer);
            }
        }
    }

    fn query(&self, header: Header, question: &Question<'_>, edns: Option<Edns>, via: Via, buffer: &mut Vec<u8>) {
        // RFC 6891 §6.1.3: a version that we do not know is answered with BADVERS, and with ours, which is 0.
        let answer = if edns.is_some_and(|edns| edns.version > 0) {
            Answer::code(ResponseCode::BADVERS)
        } else {
            answer::answer(&self.zones, question)
        };
        self.encode(header, Some(question.wire), &answer, edns, via, buffer);
    }

    fn encode(
        &self,
        header: Header,
        question: Option<&[u8]>,
        answer: &Answer<'_>,
        edns: Option<Edns>,
        via: Via,
        buffer: &mut Vec<u8>,
    ) {
        let (transport, limit, keepalive) = match via {
            Via::Udp { payload_limit } => {
                let theirs = edns.map_or(MINIMUM_UDP_SIZE, |edns| edns.payload_size.max(MINIMUM_UDP_SIZE));
                let size = usize::from(theirs.min(self.udp_payload_size));
                (Transport::Udp, size.min(payload_limit.max(usize::from(MINIMUM_UDP_SIZE))), None)
            }
            Via::Tcp { keepalive } => (Transport::Tcp, usize::from(u16::MAX), Some(keepalive)),
        };
        let edns = edns.map(|edns| ResponseEdns::to(&edns, self.udp_payload_size, keepalive));
        let start = buffer.len();
        let encoded = response::encode(buffer, limit, header, question, answer, edns);
        self.metrics.response(transport, answer.code, buffer.len() - start, encoded.truncated);
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
