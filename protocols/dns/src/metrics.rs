//! The module's counters.
//!
//! Responsible for their names and labels. Every handle is looked up once, here, so that counting a query is a few
//! additions and no look-up by label.

use hickory_proto::op::ResponseCode;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::query::Silence;
use crate::zone::RecordType;

/// The types that have a label of their own; all others are counted as `other`, so that nobody can make labels.
const TYPES: [RecordType; 14] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::NS,
    RecordType::CNAME,
    RecordType::SOA,
    RecordType::PTR,
    RecordType::MX,
    RecordType::TXT,
    RecordType::SRV,
    RecordType::DNAME,
    RecordType::DS,
    RecordType::HTTPS,
    RecordType::CAA,
    RecordType::ANY,
];

/// The codes that are answered, and their names in IANA's registry.
const CODES: [(ResponseCode, &str); 8] = [
    (ResponseCode::NoError, "NOERROR"),
    (ResponseCode::NXDomain, "NXDOMAIN"),
    (ResponseCode::Refused, "REFUSED"),
    (ResponseCode::FormErr, "FORMERR"),
    (ResponseCode::NotImp, "NOTIMP"),
    (ResponseCode::YXDomain, "YXDOMAIN"),
    (ResponseCode::BADVERS, "BADVERS"),
    (ResponseCode::ServFail, "SERVFAIL"),
];

/// A transport, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// What is counted for one transport.
#[derive(Clone, Debug)]
struct PerTransport {
    /// In the order of [`TYPES`].
    requests: [IntCounter; TYPES.len()],
    other: IntCounter,
    malformed: IntCounter,
    request_bytes: IntCounter,
    response_bytes: IntCounter,
    truncated: IntCounter,
}

/// The counters `tapster_dns_…`.
#[derive(Clone, Debug)]
pub struct Metrics {
    udp: PerTransport,
    tcp: PerTransport,
    /// In the order of [`CODES`].
    responses: [IntCounter; CODES.len()],
    short: IntCounter,
    is_response: IntCounter,
    unsent: IntCounter,
    rate_limited: IntCounter,
    slipped: IntCounter,
    tcp_idle: IntCounter,
    tcp_slow: IntCounter,
    tls: tapster_tls::Metrics,
}

impl Metrics {
    /// Makes and registers the counters.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let requests =
            counters("tapster_dns_requests_total", "Queries, by transport and type", &["transport", "type"])?;
        let malformed =
            counters("tapster_dns_malformed_total", "Messages answered with FORMERR or NOTIMP unread", &["transport"])?;
        let request_bytes = counters("tapster_dns_request_bytes_total", "Bytes of queries", &["transport"])?;
        let response_bytes = counters("tapster_dns_response_bytes_total", "Bytes of responses", &["transport"])?;
        let truncated = counters("tapster_dns_truncated_total", "Responses cut short", &["transport"])?;
        let responses = counters("tapster_dns_responses_total", "Responses, by code", &["code"])?;
        let dropped = counters("tapster_dns_dropped_total", "Messages and responses dropped, by reason", &["reason"])?;
        let closed =
            counters("tapster_dns_tcp_timeouts_total", "TCP connections ended by a time-out, by reason", &["reason"])?;
        let slipped =
            IntCounter::new("tapster_dns_slipped_total", "Responses cut short since they are beyond the rate limit")?;
        registry.register(Box::new(slipped.clone()))?;
        let per_transport = |label: &str| PerTransport {
            requests: TYPES.map(|kind| requests.with_label_values(&[label, &kind.name()])),
            other: requests.with_label_values(&[label, "other"]),
            malformed: malformed.with_label_values(&[label]),
            request_bytes: request_bytes.with_label_values(&[label]),
            response_bytes: response_bytes.with_label_values(&[label]),
            truncated: truncated.with_label_values(&[label]),
        };
        Ok(Self {
            udp: per_transport("udp"),
            tcp: per_transport("tcp"),
            responses: CODES.map(|(_, label)| responses.with_label_values(&[label])),
            short: dropped.with_label_values(&["short"]),
            is_response: dropped.with_label_values(&["response"]),
            unsent: dropped.with_label_values(&["unsent"]),
            rate_limited: dropped.with_label_values(&["rate"]),
            slipped,
            tcp_idle: closed.with_label_values(&["idle"]),
            tcp_slow: closed.with_label_values(&["query"]),
            tls: tapster_tls::Metrics::new(registry, "dns")?,
        })
    }

    /// Those of DNS over TLS.
    pub(crate) const fn tls(&self) -> &tapster_tls::Metrics {
        &self.tls
    }

    fn of(&self, transport: Transport) -> &PerTransport {
        match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
        }
    }

    pub(crate) fn request(&self, transport: Transport, kind: RecordType, bytes: usize) {
        let counters = self.of(transport);
        let known = TYPES.iter().zip(&counters.requests).find(|(known, _)| **known == kind);
        known.map_or(&counters.other, |(_, counter)| counter).inc();
        counters.request_bytes.inc_by(count(bytes));
    }

    pub(crate) fn malformed(&self, transport: Transport, bytes: usize) {
        self.of(transport).malformed.inc();
        self.of(transport).request_bytes.inc_by(count(bytes));
    }

    pub(crate) fn response(&self, transport: Transport, code: ResponseCode, bytes: usize, truncated: bool) {
        if let Some((_, counter)) = CODES.iter().zip(&self.responses).find(|((known, _), _)| *known == code) {
            counter.inc();
        }
        let counters = self.of(transport);
        counters.response_bytes.inc_by(count(bytes));
        if truncated {
            counters.truncated.inc();
        }
    }

    pub(crate) fn ignored(&self, silence: Silence) {
        match silence {
            Silence::Short => self.short.inc(),
            Silence::Response => self.is_response.inc(),
        }
    }

    /// A response that the network did not take.
    pub(crate) fn unsent(&self) {
        self.unsent.inc();
    }

    /// A response beyond the rate limit, dropped.
    pub(crate) fn rate_limited(&self) {
        self.rate_limited.inc();
    }

    /// A response beyond the rate limit, truncated.
    pub(crate) fn slipped(&self) {
        self.slipped.inc();
    }

    /// A connection that was idle for too long.
    pub(crate) fn tcp_idle(&self) {
        self.tcp_idle.inc();
    }

    /// A connection on which a query took too long to come.
    pub(crate) fn tcp_slow(&self) {
        self.tcp_slow.inc();
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
