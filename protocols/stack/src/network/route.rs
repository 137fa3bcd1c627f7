//! Which way a packet goes (RFC 1122 §3.3.1, RFC 4861 §5.2).
//!
//! Responsible for the route with the longest prefix, for the next hop and for the source address that fits it. Not for
//! the next hop's hardware address.

use std::net::{IpAddr, Ipv4Addr};

use super::address::{Addresses, same_network};
use super::configuration::Configuration;
use super::selection;
use crate::HardwareAddress;

/// A route as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Any address of the network that it leads to.
    pub destination: IpAddr,
    /// The length of the network's prefix, in bits.
    pub prefix: u8,
    /// The router that leads there; `None` when the network is on the link itself.
    pub gateway: Option<IpAddr>,
    /// Of two routes with the same prefix, the one with the smaller metric is taken.
    pub metric: u32,
}

/// A route as the table holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRow {
    /// The network's address.
    pub destination: IpAddr,
    /// The length of its prefix, in bits.
    pub prefix: u8,
    /// The router that leads there; `None` when the network is on the link itself.
    pub gateway: Option<IpAddr>,
    /// Its metric: smaller is better.
    pub metric: u32,
    /// The address of ours that packets on this route have by default.
    pub source: IpAddr,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextHop {
    /// To a station whose hardware address belongs to this address.
    Neighbor(IpAddr),
    /// To this hardware address, without asking: a group's, or everybody's.
    Group(HardwareAddress),
}

/// The routes, IPv4's first, the longest prefix first.
///
/// Looking one up goes through the list: a host has a handful of routes, all configured.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<RouteRow>,
}

impl Table {
    /// The connected networks, the configured routes and the default routes. A route whose gateway is in no network of
    /// ours, or for which we have no address of its family, leads nowhere and is left out.
    pub(crate) fn new(configuration: &Configuration, addresses: &Addresses) -> Self {
        let connected = addresses.all().iter().map(|&(address, prefix)| RouteRow {
            destination: network(address, prefix),
            prefix,
            gateway: None,
            metric: 0,
            source: address,
        });
        let defaults = configuration.gateways.iter().zip(0u32..).map(|(&gateway, metric)| {
            let destination = match gateway {
                IpAddr::V4(_) => IpAddr::from([0u8; 4]),
                IpAddr::V6(_) => IpAddr::from([0u16; 8]),
            };
            Route { destination, prefix: 0, gateway: Some(gateway), metric }
        });
        let routed = configuration.routes.iter().copied().chain(defaults).filter_map(|route| {
            let Route { destination, prefix, gateway, metric } = route;
            let same_family = |&&(own, _): &&(IpAddr, u8)| own.is_ipv4() == destination.is_ipv4();
            // RFC 1122 §3.3.4.3: the source is the address of the interface, here in the network of the next hop.
            let source = match gateway {
                Some(gateway) => addresses.neighbor_of(gateway)?,
                None => addresses.all().iter().find(same_family)?.0,
            };
            let source = match destination {
                IpAddr::V4(_) => source,
                IpAddr::V6(destination) => selection::source_for(addresses, destination)?.into(),
            };
            let destination = network(destination, prefix);
            (source.is_ipv4() == destination.is_ipv4()).then_some(RouteRow {
                destination,
                prefix,
                gateway,
                metric,
                source,
            })
        });
        let mut rows: Vec<RouteRow> = connected.chain(routed).collect();
        // Stable: of equal routes the first configured one wins. One family's packets do not go past the other's routes.
        rows.sort_by_key(|row| (row.destination.is_ipv6(), std::cmp::Reverse(row.prefix), row.metric));
        Self { rows }
    }

    /// All routes, IPv4's first, the longest prefix first.
    pub(crate) fn rows(&self) -> &[RouteRow] {
        &self.rows
    }

    /// The route to an address.
    pub(crate) fn lookup(&self, destination: IpAddr) -> Option<&RouteRow> {
        self.rows.iter().find(|row| same_network(row.destination, destination, row.prefix))
    }

    /// Whether the address is on the link itself.
    pub(crate) fn is_on_link(&self, address: IpAddr) -> bool {
        self.lookup(address).is_some_and(|row| row.gateway.is_none())
    }

    /// Where a packet's frame goes. `None` without a route, and for ourselves: nothing comes back from the wire.
    pub(crate) fn next_hop(&self, addresses: &Addresses, destination: IpAddr) -> Option<NextHop> {
        if destination.is_multicast() {
            return Some(NextHop::Group(hardware_address_of_group(destination)));
        }
        if let IpAddr::V4(address) = destination {
            if addresses.is_broadcast(address) {
                return Some(NextHop::Group(HardwareAddress::BROADCAST));
            }
            if !super::address::is_unicast(address) {
                return None;
            }
        }
        if matches!(destination, IpAddr::V6(address) if !super::address::is_unicast6(address)) {
            return None;
        }
        if addresses.is_own(destination) {
            return None;
        }
        let row = self.lookup(destination)?;
        Some(NextHop::Neighbor(row.gateway.unwrap_or(destination)))
    }

    /// The source address for packets to `destination` (RFC 1122 §3.3.4.3). For a group it is that of the default
    /// route, else our first one of that family. For IPv6 see [`selection`](super::selection).
    pub(crate) fn source_for(&self, addresses: &Addresses, destination: IpAddr) -> Option<IpAddr> {
        if addresses.is_own(destination) {
            return Some(destination);
        }
        if let IpAddr::V6(address) = destination {
            let reached = address.is_multicast() || self.lookup(destination).is_some();
            return reached.then(|| selection::source_for(addresses, address)).flatten().map(IpAddr::V6);
        }
        if let Some(row) = self.lookup(destination) {
            return Some(row.source);
        }
        let IpAddr::V4(address) = destination else { return None };
        let group = address.is_multicast() || address.is_broadcast();
        group.then(|| addresses.all().iter().map(|&(own, _)| own).find(IpAddr::is_ipv4)).flatten()
    }
}

/// The group's hardware address: 01-00-5E and the lower 23 bits (RFC 1112 §6.4), or 33-33 and the lower 32 (RFC 2464
/// §7).
pub(crate) fn hardware_address_of_group(group: IpAddr) -> HardwareAddress {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            HardwareAddress([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            HardwareAddress([0x33, 0x33, a, b, c, d])
        }
    }
}

/// The address of a network: the bits behind the prefix are zero.
fn network(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & !host).into()
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            std::net::Ipv6Addr::from_bits(address.to_bits() & !host).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn table() -> (Table, Addresses) {
        let route = |destination: &str, prefix, gateway: Option<&str>, metric| Route {
            destination: ip(destination),
            prefix,
            gateway: gateway.map(ip),
            metric,
        };
        let configuration = Configuration {
            addresses: vec![(ip("192.0.2.2"), 24), (ip("10.1.0.2"), 16), (ip("2001:db8::2"), 64)],
            gateways: vec![ip("192.0.2.1"), ip("192.0.2.9"), ip("2001:db8::1")],
            routes: vec![
                route("10.2.0.0", 16, Some("10.1.0.1"), 10),
                route("10.2.0.0", 16, Some("10.1.0.9"), 5),
                route("10.2.3.77", 24, Some("192.0.2.7"), 99),
                route("203.0.113.0", 24, None, 0),
                route("198.51.100.0", 24, Some("172.16.0.1"), 0),
            ],
            ..Configuration::default()
        };
        let addresses = Addresses::new(&configuration.addresses);
        (Table::new(&configuration, &addresses), addresses)
    }

    #[test]
    fn the_longest_prefix_wins_then_the_smallest_metric() {
        let (table, addresses) = table();
        for (destination, hop) in [
            ("192.0.2.77", "192.0.2.77"),
            ("10.1.255.1", "10.1.255.1"),
            ("10.2.9.9", "10.1.0.9"),
            ("10.2.3.9", "192.0.2.7"),
            ("203.0.113.9", "203.0.113.9"),
            // Its gateway is in no network of ours, so that the default route stays.
            ("198.51.100.1", "192.0.2.1"),
            ("8.8.8.8", "192.0.2.1"),
            ("2001:db8::77", "2001:db8::77"),
            ("2001:db9::77", "2001:db8::1"),
        ] {
            assert_eq!(table.next_hop(&addresses, ip(destination)), Some(NextHop::Neighbor(ip(hop))), "{destination}");
        }
        assert_eq!(table.rows().len(), 10);
    }

    #[test]
    fn the_source_is_the_address_in_the_next_hops_network() {
        let (table, addresses) = table();
        for (destination, source) in [
            ("192.0.2.77", "192.0.2.2"),
            ("10.2.9.9", "10.1.0.2"),
            ("10.2.3.9", "192.0.2.2"),
            ("8.8.8.8", "192.0.2.2"),
            ("10.1.0.2", "10.1.0.2"),
            ("2001:db9::77", "2001:db8::2"),
        ] {
            assert_eq!(table.source_for(&addresses, ip(destination)), Some(ip(source)), "{destination}");
        }
    }

    #[test]
    fn groups_and_broadcasts_need_no_question() {
        let (table, addresses) = table();
        for destination in ["255.255.255.255", "192.0.2.255", "10.1.255.255"] {
            let hop = table.next_hop(&addresses, ip(destination));
            assert_eq!(hop, Some(NextHop::Group(HardwareAddress::BROADCAST)), "{destination}");
        }
        // RFC 1112 §6.4: the upper bit of the second octet is lost.
        let hop = table.next_hop(&addresses, ip("224.129.2.3"));
        assert_eq!(hop, Some(NextHop::Group(HardwareAddress([1, 0, 0x5e, 1, 2, 3]))));
    }

    #[test]
    fn no_packet_goes_to_ourselves_or_to_impossible_addresses() {
        let (table, addresses) = table();
        for destination in ["192.0.2.2", "127.0.0.1", "0.0.0.0", "240.0.0.1"] {
            assert_eq!(table.next_hop(&addresses, ip(destination)), None, "{destination}");
        }
    }

    #[test]
    fn without_a_route_a_group_still_has_a_source() {
        let configuration = Configuration { addresses: vec![(ip("192.0.2.2"), 24)], ..Configuration::default() };
        let addresses = Addresses::new(&configuration.addresses);
        let table = Table::new(&configuration, &addresses);
        assert_eq!(table.source_for(&addresses, ip("224.0.0.9")), Some(ip("192.0.2.2")));
        assert_eq!(table.source_for(&addresses, ip("8.8.8.8")), None);
    }
}
