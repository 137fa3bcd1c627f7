//! What a network layer is told at its start.
//!
//! Responsible for the values and their defaults. Not for checking that they make sense together: whoever reads them
//! from a file can say where they stand.

use std::net::IpAddr;
use std::time::Duration;

use super::route::Route;
use crate::HardwareAddress;

/// The configuration of the link and network layers.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The hardware address of our end of the link.
    pub hardware_address: HardwareAddress,
    /// The largest packet that a frame carries, in octets: 68 (RFC 791) to 65,521. Cut to that range. Below 1,280 there
    /// is no IPv6 (RFC 8200 §5). Default 1,500.
    pub mtu: usize,
    /// Our own addresses, each with the prefix length of its network. With an IPv6 address comes a link-local one, made
    /// of the hardware address, unless there is one among them.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Routers for everything that no route names, the preferred one first.
    pub gateways: Vec<IpAddr>,
    /// Further routes.
    pub routes: Vec<Route>,
    /// What the device does for us.
    pub offload: OffloadCapabilities,
    /// Whether our IPv4 addresses are announced at the start (RFC 5227 §2.3). Default true.
    pub announce: bool,
    /// Whether our IPv4 addresses are probed for at the start (RFC 5227 §2.1), and announced afterwards. They come into
    /// use after four to seven seconds then. Default false.
    pub probe: bool,
    /// How often it is asked whether somebody has one of our IPv6 addresses, before it is used (RFC 4862 §5.1,
    /// `DupAddrDetectTransmits`). They come into use after one to two seconds with 1, at once with 0. Default 1.
    pub duplicate_address_detection: u8,
    /// What is done when another station uses one of our IPv4 addresses. Default [`Defence::Always`].
    pub defence: Defence,
    /// The most multicast groups that are joined at a time, in each family. Default 64; cut to that. Those that IPv6
    /// addresses bring do not count.
    pub groups: usize,
    /// How neighbours are found and remembered.
    pub neighbors: NeighborLimits,
    /// How fragments are put together.
    pub reassembly: ReassemblyLimits,
    /// How many ICMP errors are sent.
    pub icmp: IcmpLimits,
    /// How paths' MTUs are remembered.
    pub path_mtu: PathMtuLimits,
    /// How much may wait for the device: ARP and ICMP messages, and packets whose neighbour has just been found.
    pub egress: EgressLimits,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            hardware_address: HardwareAddress([0x02, 0x54, 0x41, 0x50, 0x53, 0x02]),
            mtu: 1500,
            addresses: Vec::new(),
            gateways: Vec::new(),
            routes: Vec::new(),
            offload: OffloadCapabilities::default(),
            announce: true,
            probe: false,
            duplicate_address_detection: 1,
            defence: Defence::Always,
            groups: 64,
            neighbors: NeighborLimits::default(),
            reassembly: ReassemblyLimits::default(),
            icmp: IcmpLimits::default(),
            path_mtu: PathMtuLimits::default(),
            egress: EgressLimits::default(),
        }
    }
}

/// What is done when another station uses one of our addresses (RFC 5227 §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defence {
    /// The address is given up at once: (a).
    GiveUp,
    /// It is announced once more, and given up when there is another conflict within ten seconds: (b).
    Once,
    /// It is announced once in ten seconds and never given up: (c), for hosts that others know by their address.
    Always,
}

/// What the device does for us. Nothing by default: each frame is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffloadCapabilities {
    /// It completes transport checksums.
    pub checksum: bool,
    /// It cuts packets of up to so many octets, IP header included, into segments. Only with `checksum`.
    pub segmentation: Option<usize>,
}

/// How neighbours are found and remembered (RFC 4861 §10 has the names of the times).
#[derive(Clone, Copy, Debug)]
pub struct NeighborLimits {
    /// The most neighbours remembered. Default 1,024.
    pub capacity: usize,
    /// The most packets that wait for one neighbour's address; the oldest gives way. Default 16.
    pub waiting_packets: usize,
    /// The most octets that wait for all neighbours together. Default 1 MiB.
    pub waiting_octets: usize,
    /// The time between two requests for one neighbour (RFC 1122 §2.3.2.1: at least one second). Default 1 s.
    pub retransmission_interval: Duration,
    /// Requests before a neighbour is given up, broadcast or unicast. Default 3.
    pub requests: u8,
    /// The mean time for which an answer counts; half to one and a half of it is used. Default 30 s.
    pub reachable_time: Duration,
    /// The time that a neighbour in use has before it is asked again. Default 5 s.
    pub delay_first_probe: Duration,
}

impl Default for NeighborLimits {
    fn default() -> Self {
        Self {
            capacity: 1024,
            waiting_packets: 16,
            waiting_octets: 1 << 20,
            retransmission_interval: Duration::from_secs(1),
            requests: 3,
            reachable_time: Duration::from_secs(30),
            delay_first_probe: Duration::from_secs(5),
        }
    }
}

/// How fragments are put together.
#[derive(Clone, Copy, Debug)]
pub struct ReassemblyLimits {
    /// The most memory for all fragments, in octets, bookkeeping included. Default 4 MiB.
    pub memory: usize,
    /// The most memory for those of one source. Default 1 MiB.
    pub memory_per_source: usize,
    /// The most datagrams that are incomplete at a time. Default 1,024.
    pub datagrams: usize,
    /// The most fragments of one datagram. Default 1,500: enough for 65,535 octets over the smallest MTU in use (68).
    pub fragments: usize,
    /// The time that an IPv4 datagram has to become complete. Default 30 s.
    pub timeout: Duration,
    /// The time that an IPv6 packet has. Default 60 s (RFC 8200 §4.5).
    pub timeout_ipv6: Duration,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        Self {
            memory: 4 << 20,
            memory_per_source: 1 << 20,
            datagrams: 1024,
            fragments: 1500,
            timeout: Duration::from_secs(30),
            timeout_ipv6: Duration::from_secs(60),
        }
    }
}

/// How many ICMP errors are sent (RFC 1812 §4.3.2.8). Replies to requests are not limited by these.
#[derive(Clone, Copy, Debug)]
pub struct IcmpLimits {
    /// Errors a second in all. Default 1,000.
    pub errors_per_second: u32,
    /// Errors in all that may be sent at once after a quiet time. Default 100.
    pub burst: u32,
    /// Errors a second to one destination. Default 50.
    pub errors_per_second_per_destination: u32,
    /// Errors to one destination that may be sent at once after a quiet time. Default 20.
    pub burst_per_destination: u32,
}

impl Default for IcmpLimits {
    fn default() -> Self {
        Self { errors_per_second: 1000, burst: 100, errors_per_second_per_destination: 50, burst_per_destination: 20 }
    }
}

/// How paths' MTUs are remembered (RFC 1191).
#[derive(Clone, Copy, Debug)]
pub struct PathMtuLimits {
    /// The most destinations remembered. Default 1,024.
    pub capacity: usize,
    /// The time after which a path is tried at full size again (RFC 1191 §6.3). Default 10 min.
    pub lifetime: Duration,
    /// The smallest MTU that is believed, in octets; to a path that reports less, packets of this size go without the
    /// DF bit. Keeps forged errors from making segments tiny. Default 552.
    pub minimum: usize,
}

impl Default for PathMtuLimits {
    fn default() -> Self {
        Self { capacity: 1024, lifetime: Duration::from_secs(600), minimum: 552 }
    }
}

/// How much may wait for the device.
#[derive(Clone, Copy, Debug)]
pub struct EgressLimits {
    /// Frames. Default 4,096.
    pub frames: usize,
    /// Octets in them. Default 4 MiB.
    pub octets: usize,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self { frames: 4096, octets: 4 << 20 }
    }
}
