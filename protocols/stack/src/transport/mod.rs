//! The transport layer: what is between a packet of the network layer and a service.
//!
//! Responsible for connections and ports. Each protocol takes packets in and hands packets out through the types of
//! [`packet`](crate::packet).

pub(crate) mod tcp;
