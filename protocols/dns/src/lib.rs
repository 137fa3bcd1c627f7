//! Tapster's DNS module: an authoritative name server (RFC 1034, RFC 1035) with EDNS (RFC 6891), over UDP and TCP.
//!
//! It serves zones from master files and nothing else: no recursion, no validation, no transfer. The way of a query:
//! [`udp`](self) or `tcp` takes it from the network, `query` reads it, `answer` finds what to say in `zone`, `response`
//! encodes that.

#![forbid(unsafe_code)]

mod answer;
mod configuration;
mod cookie;
mod edns;
mod metrics;
mod module;
mod name;
mod query;
mod rate;
mod response;
mod server;
mod sources;
mod tcp;
mod udp;
mod zone;

pub use configuration::{Configuration, Limits, ZoneConfiguration};
pub use metrics::Metrics;
pub use module::Dns;
