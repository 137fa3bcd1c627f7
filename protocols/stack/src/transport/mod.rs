//! The transport layer: from packets to datagrams and streams.
//!
//! Responsible for ports and for what goes on between them. Not for addresses, routes and frames.

pub(crate) mod udp;
