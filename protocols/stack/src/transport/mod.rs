//! The transport layer: what is between a packet of the network layer and a service.
//!
//! Responsible for connections, ports and what goes on between them. Each protocol takes packets in and hands packets out
//! through the types of [`packet`](crate::packet). Not for addresses, routes and frames.

pub(crate) mod tcp;
pub(crate) mod udp;
