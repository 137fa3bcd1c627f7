//! A network host as a state machine: everything between an Ethernet frame and a service.
//!
//! ```text
//!            frames in                                   frames out
//!                │                                           ▲
//!   link         ▼  Ethernet                        Ethernet │
//!   network      ▼  ARP · IPv4 · ICMP · reassembly      IPv4 │  routes, neighbours, fragments
//!   transport    ▼  UDP · TCP                      UDP · TCP │
//!                └──────────► Delivery, Event ───► Stream ───┘
//! ```
//!
//! [`Host`] is the whole of it. It has no clock, no thread, no device and no source of randomness: the caller hands in
//! the time with each call, a seed at the start, and a [`FrameSink`] when there is something to send. The same input
//! gives the same output, so a conversation replays from its seed.
//!
//! This crate is responsible for the protocols alone. It knows nothing of the services above it.

#![forbid(unsafe_code)]

mod delivery;
mod frame;
mod packet;
mod time;
#[cfg_attr(not(test), expect(dead_code, reason = "Host, which uses it, is still to come"))]
mod transport;

pub use delivery::{ClosedReason, ConnectionId, Delivery, Event, ListenerId, Payload, SocketId};
pub use frame::{
    ChecksumOffload, DeviceFull, FrameSink, HardwareAddress, Offload, ReceivedFrame, Segmentation, SegmentationOffload,
};
pub use time::Instant;

/// TCP as its users see it: how it is configured, streams, rows and counters.
pub mod tcp {
    pub use crate::transport::tcp::{
        Configuration, CongestionControl, ConnectError, ConnectionDetail, ConnectionRow, Counters, KeepAlive,
        ListenError, ListenOptions, ListenerRow, Measurements, State, Stream,
    };
}
