//! The network layer: IPv4 with ICMP and IGMP, IPv6 with ICMPv6 and MLD, and at its edge to the link ARP and
//! neighbour discovery.
//!
//! Responsible for everything between a frame and a transport's packet: [`input`] is the way up, [`output`] the way
//! down. What it says by itself (ARP, ICMP) waits in a bounded queue until [`Network::flush`]. Not for transports, and
//! not for configuration files.

pub(crate) mod address;
pub(crate) mod arp;
pub(crate) mod assignment;
pub(crate) mod checksum;
pub(crate) mod configuration;
pub(crate) mod conflict;
pub(crate) mod egress;
pub(crate) mod extension;
pub(crate) mod fragment;
pub(crate) mod group;
pub(crate) mod icmp;
pub(crate) mod icmpv6;
pub(crate) mod identification;
pub(crate) mod igmp;
pub(crate) mod input;
pub(crate) mod input6;
pub(crate) mod ipv4;
pub(crate) mod ipv6;
pub(crate) mod mld;
pub(crate) mod multicast;
pub(crate) mod multicast6;
pub(crate) mod ndp;
pub(crate) mod neighbor;
pub(crate) mod options;
pub(crate) mod output;
pub(crate) mod path_mtu;
pub(crate) mod rate_limit;
pub(crate) mod reassembly;
pub(crate) mod reply;
pub(crate) mod reply6;
pub(crate) mod resolution;
pub(crate) mod route;
pub(crate) mod selection;
pub(crate) mod solicitation;
#[cfg(test)]
pub(crate) mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::FixedState;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::counters::Counters;
use crate::link::{Link, ethernet};
use crate::{DeviceFull, FrameSink, HardwareAddress, Instant};
use address::{ALL_HOSTS, ALL_NODES, Addresses};
use assignment::Assignments;
use configuration::{Configuration, OffloadCapabilities};
use conflict::Claims;
use egress::Egress;
use group::Groups;
use identification::Identifications;
use neighbor::{Cache, NeighborRow};
use output::{Counted, Interface, Output};
use path_mtu::PathMtus;
use rate_limit::Limiter;
use reassembly::Reassembly;
use route::{RouteRow, Table, hardware_address_of_group};

pub(crate) use input::Upward;

/// The protocol numbers of IP that have a meaning here.
pub(crate) mod protocol {
    /// The Internet Control Message Protocol.
    pub(crate) const ICMP: u8 = 1;
    /// The Internet Group Management Protocol.
    pub(crate) const IGMP: u8 = 2;
    /// The Transmission Control Protocol.
    pub(crate) const TCP: u8 = 6;
    /// The User Datagram Protocol.
    pub(crate) const UDP: u8 = 17;
    /// The Internet Control Message Protocol for IPv6.
    pub(crate) const ICMPV6: u8 = 58;
}

/// The most groups of a family that are joined from outside.
const MAXIMUM_GROUPS: usize = 64;

/// The smallest MTU of IPv4 (RFC 791 §3.2).
const MINIMUM_MTU: usize = 68;

/// The link and network layers of a host.
#[derive(Debug)]
pub(crate) struct Network {
    link: Link,
    interface: Interface,
    egress: Egress,
    reassembly: Reassembly,
    limiter: Limiter,
    claims: Claims,
    assignments: Assignments,
    groups: Groups<Ipv4Addr>,
    groups6: Groups<Ipv6Addr>,
    /// Kept for the routes, which change with the addresses in use.
    configuration: Configuration,
}

impl Network {
    /// A network layer that knows its networks and no neighbour. The seed makes what must be hard to guess: it has to
    /// be random on a real network.
    pub(crate) fn new(configuration: &Configuration, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut part = || {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            seed
        };
        let neighbors = Cache::new(configuration.neighbors, part());
        let identifications = Identifications::new(part());
        let claims = Claims::new(configuration, now, part());
        let assignments = Assignments::new(configuration, now, part());
        let addresses = Addresses::new(&[claims.in_use(), assignments.in_use()].concat());
        let capacity = configuration.groups.min(MAXIMUM_GROUPS);
        let groups = Groups::new(capacity, part());
        let groups6 = Groups::new(capacity + assignments.addresses().count(), part());
        let hash_seeds = [(); 4].map(|()| rng.next_u64());
        let routes = Table::new(configuration, &addresses);
        let mut link = Link::new(configuration.hardware_address);
        for group in [IpAddr::V4(ALL_HOSTS), IpAddr::V6(ALL_NODES)] {
            link.listen(hardware_address_of_group(group));
        }
        let mtu = configuration.mtu.clamp(MINIMUM_MTU, ethernet::MAXIMUM_MTU);
        let mut network = Self {
            link,
            interface: Interface {
                hardware_address: configuration.hardware_address,
                mtu,
                mtu6: mtu,
                offload: configuration.offload,
                addresses,
                routes,
                neighbors,
                path_mtus: PathMtus::new(configuration.path_mtu, hash_seeds[0]),
                identifications,
                flow_labels: FixedState::with_seed(hash_seeds[3]),
                counters: Counters::default(),
            },
            egress: Egress::new(configuration.egress),
            reassembly: Reassembly::new(configuration.reassembly, hash_seeds[1]),
            limiter: Limiter::new(now, &configuration.icmp, hash_seeds[2]),
            claims,
            assignments,
            groups,
            groups6,
            configuration: configuration.clone(),
        };
        network.join_solicited_nodes(now);
        network.expire_claims(now);
        network.expire_assignments(now);
        network
    }

    /// The way out, for a transport: a [`PacketSink`](crate::packet::PacketSink).
    pub(crate) fn output<'a, D: FrameSink>(&'a mut self, now: Instant, device: &'a mut D) -> Output<'a, D> {
        Output { network: self, now, device }
    }

    /// Whether [`flush`](Self::flush) has something to send.
    pub(crate) fn has_output(&self) -> bool {
        !self.egress.is_empty() || self.interface.neighbors.next_request().is_some()
    }

    /// Sends what waits for the device.
    ///
    /// # Errors
    /// [`DeviceFull`] when the device does not take all of it. The rest stays.
    pub(crate) fn flush(&mut self, device: &mut impl FrameSink) -> Result<(), DeviceFull> {
        let mut counted = Counted { device, frames: 0, octets: 0 };
        let result = self.egress.flush(&mut counted).and_then(|()| self.send_requests(&mut counted));
        self.interface.counters.link.sent += counted.frames;
        self.interface.counters.link.octets_sent += counted.octets;
        result
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.interface.neighbors.next_deadline(),
            self.reassembly.next_deadline(),
            self.claims.next_deadline(),
            self.assignments.next_deadline(),
            self.groups.next_deadline(),
            self.groups6.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Runs the timers that are due.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.interface.neighbors.expire(now, &mut self.interface.counters.arp);
        self.expire_fragments(now);
        self.expire_claims(now);
        self.expire_assignments(now);
        self.expire_groups(now);
    }

    /// The source address for packets to `destination` (RFC 1122 §3.3.4.3, RFC 6724 §5).
    pub(crate) fn source_for(&self, destination: IpAddr) -> Option<IpAddr> {
        self.interface.routes.source_for(&self.interface.addresses, destination)
    }

    /// The largest packet, IP header included, that goes to `destination` in one piece, in octets.
    pub(crate) fn path_mtu(&self, now: Instant, destination: IpAddr) -> usize {
        let Interface { path_mtus, mtu, mtu6, .. } = &self.interface;
        let mtu = if destination.is_ipv4() { mtu } else { mtu6 };
        path_mtus.get(now, destination).map_or(*mtu, |path| path.mtu.min(*mtu))
    }

    /// Whether the address is one of ours, and in use.
    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        self.interface.addresses.is_own(address)
    }

    /// Our addresses in use with their prefix lengths.
    pub(crate) fn addresses(&self) -> &[(IpAddr, u8)] {
        self.interface.addresses.all()
    }

    /// The hardware address of a neighbour, as far as it is known.
    pub(crate) fn hardware_address_of(&self, address: IpAddr) -> Option<HardwareAddress> {
        self.interface.neighbors.hardware_address_of(address)
    }

    /// A transport knows that its packets arrive at `destination`, since new data were acknowledged: the next hop need
    /// not be asked again (RFC 4861 §7.3.1).
    pub(crate) fn confirm_reachable(&mut self, now: Instant, destination: IpAddr) {
        if let Some(row) = self.interface.routes.lookup(destination) {
            self.interface.neighbors.confirm(now, row.gateway.unwrap_or(destination));
        }
    }

    /// A transport has found a packet-too-big error to be about a packet of its own (RFC 5927 §7).
    pub(crate) fn lower_path_mtu(&mut self, now: Instant, destination: IpAddr, mtu: u32) {
        let mtu = usize::try_from(mtu).unwrap_or(usize::MAX);
        if self.interface.path_mtus.lower(now, destination, mtu, self.interface.mtu) {
            self.interface.counters.icmp.path_mtu_lowered += 1;
        }
    }

    /// The addresses in use are others now.
    pub(super) fn addresses_changed(&mut self) {
        self.interface.addresses = Addresses::new(&[self.claims.in_use(), self.assignments.in_use()].concat());
        self.interface.routes = Table::new(&self.configuration, &self.interface.addresses);
    }

    /// Changes what is left to the device from now on. What waits already keeps its form.
    pub(crate) fn set_offload(&mut self, offload: OffloadCapabilities) {
        self.interface.offload = offload;
    }

    /// All neighbours, in the order of their addresses.
    pub(crate) fn neighbors(&self, now: Instant) -> Vec<NeighborRow> {
        self.interface.neighbors.rows(now)
    }

    /// All routes, the longest prefix first.
    pub(crate) fn routes(&self) -> &[RouteRow] {
        self.interface.routes.rows()
    }

    /// What has been seen.
    pub(crate) fn counters(&self) -> &Counters {
        &self.interface.counters
    }
}

#[cfg(test)]
mod tests;
