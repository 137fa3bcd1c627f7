//! A network host as a state machine: everything between an Ethernet frame and a service.
//!
//! ```text
//!            frames in                                   frames out
//!                │                                           ▲
//!   link         ▼  Ethernet                        Ethernet │
//!   network      ▼  ARP · ND · IP · ICMP · reassembly      IP │  routes, neighbours, fragments
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

mod counters;
mod delivery;
mod frame;
mod host;
mod link;
mod network;
mod packet;
mod time;
mod transport;

pub use delivery::{ClosedReason, ConnectionId, Delivery, Event, ListenerId, Payload, SocketId};
pub use frame::{
    ChecksumOffload, DeviceFull, FrameSink, HardwareAddress, Offload, ReceivedFrame, Segmentation, SegmentationOffload,
};
pub use host::{Configuration, Host};
pub use link::impair::{Burst, Description, Impaired, Impairer, Impairment, ImpairmentCounters, Reception};
pub use time::Instant;

/// The link and network layers as their users see them: configuration, rows, events and counters.
pub mod net {
    pub use crate::counters::{
        ArpCounters, Counters, IcmpCounters, Icmpv6Counters, IgmpCounters, IpCounters, Ipv6Counters, LinkCounters,
        MldCounters, NdpCounters, ReassemblyCounters,
    };
    pub use crate::network::configuration::{
        Configuration, Defence, EgressLimits, IcmpLimits, NeighborLimits, OffloadCapabilities, PathMtuLimits,
        ReassemblyLimits,
    };
    pub use crate::network::conflict::AddressEvent;
    pub use crate::network::group::{GroupRow, JoinError};
    pub use crate::network::neighbor::{NeighborRow, NeighborState};
    pub use crate::network::route::{Route, RouteRow};
}

/// TCP as its users see it: configuration, streams, rows and counters.
pub mod tcp {
    pub use crate::transport::tcp::{
        Configuration, CongestionControl, ConnectError, ConnectionDetail, ConnectionRow, Counters, KeepAlive,
        ListenError, ListenOptions, ListenerRow, Measurements, State, Stream,
    };
}

/// UDP as its users see it: errors, rows and counters.
pub mod udp {
    pub use crate::transport::udp::{BindError, SendError, SocketRow, UdpCounters as Counters};
}
