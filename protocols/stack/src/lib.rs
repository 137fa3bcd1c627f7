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

mod counters;
mod delivery;
mod frame;
mod link;
mod network;
mod packet;
mod time;
mod transport;

pub use counters::{ArpCounters, Counters, IcmpCounters, IgmpCounters, IpCounters, LinkCounters, ReassemblyCounters};
pub use delivery::{ClosedReason, ConnectionId, Delivery, Event, ListenerId, Payload, SocketId};
pub use frame::{
    ChecksumOffload, DeviceFull, FrameSink, HardwareAddress, Offload, ReceivedFrame, Segmentation, SegmentationOffload,
};
pub use link::impair::{Burst, Description, Impaired, Impairer, Impairment, ImpairmentCounters, Reception};
pub use network::configuration::{
    Configuration as NetworkConfiguration, Defence, EgressLimits, IcmpLimits, NeighborLimits, OffloadCapabilities,
    PathMtuLimits, ReassemblyLimits,
};
pub use network::conflict::AddressEvent;
pub use network::group::{GroupRow, JoinError};
pub use network::neighbor::{NeighborRow, NeighborState};
pub use network::route::{Route, RouteRow};
pub use time::Instant;
pub use transport::udp::{BindError, UdpCounters};
