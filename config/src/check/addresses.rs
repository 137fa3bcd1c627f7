//! The checks of `[network]` and of the host's addresses.
//!
//! Responsible for addresses, networks and gateways that do not fit each other, and for links too narrow for IPv6.

use std::net::{IpAddr, Ipv4Addr};

use super::Checker;
use crate::diagnostic::Severity;
use crate::path::KeyPath;
use crate::{Frame, InterfaceAddress, Network};

/// An address with the path of its key.
type Placed = (KeyPath, InterfaceAddress);

/// What every link takes that carries IPv6 (RFC 8200 §5).
const SMALLEST_IPV6_MTU: u32 = 1280;

pub(super) fn check(checker: &mut Checker<'_>, frame: &Frame) {
    let own = own_addresses(checker, &frame.network);
    hostname(checker, &frame.network.hostname);
    gateways(checker, &frame.network, &own);
    routes(checker, &frame.network, &own);
    if let Some(host) = &frame.link.host {
        host_addresses(checker, &host.addresses, &own);
    }
    if (super::SMALLEST_MTU..SMALLEST_IPV6_MTU).contains(&frame.link.mtu.into())
        && own.iter().any(|(_, address)| address.address().is_ipv6())
    {
        let message = format!("IPv6 takes an MTU of {SMALLEST_IPV6_MTU}: the IPv6 addresses are left out");
        checker.report(Severity::Warning, &KeyPath::dotted("link.mtu"), message, None);
    }
}

/// Checks the own addresses; returns them with their places.
fn own_addresses(checker: &mut Checker<'_>, network: &Network) -> Vec<Placed> {
    let array = "network.addresses";
    let mut own: Vec<Placed> = Vec::new();
    for (path, address) in checker.placed(array, &network.addresses) {
        host_part(checker, &path, address);
        if let Some((first, _)) = own.iter().find(|(_, other)| other.address() == address.address()) {
            let help = format!("it is also {first}");
            let message = format!("{} is given twice", address.address());
            checker.report(Severity::Error, &path, message, Some(help));
        } else if let Some((first, other)) = own.iter().find(|(_, other)| overlap(*other, address)) {
            let message = format!("{} and {} are two networks that overlap", address.network(), other.network());
            let help = format!("the other one is that of {first}");
            checker.report(Severity::Error, &path, message, Some(help));
        }
        own.push((path, address));
    }
    if own.is_empty() && checker.is_sound(array) {
        checker.error(&KeyPath::dotted(array), "tapster needs at least one address of its own");
    }
    own
}

/// Whether two networks are different and yet have addresses in common. An address alone (a prefix of all its bits) is no
/// network: it may lie in one.
fn overlap(one: InterfaceAddress, other: InterfaceAddress) -> bool {
    let is_alone =
        |address: InterfaceAddress| address.prefix_length() == if address.address().is_ipv4() { 32 } else { 128 };
    let alone = is_alone(one) || is_alone(other);
    !alone && one.network() != other.network() && (one.contains(other.address()) || other.contains(one.address()))
}

/// Checks that an address can be a host's.
fn host_part(checker: &mut Checker<'_>, path: &KeyPath, address: InterfaceAddress) {
    let own = match address.address() {
        IpAddr::V4(own) => own,
        IpAddr::V6(own) => {
            let kind = if own.is_unspecified() {
                "the unspecified address"
            } else if own.is_loopback() {
                "a loopback address"
            } else if own.is_multicast() {
                "a multicast address"
            } else if own.to_ipv4_mapped().is_some() {
                "an IPv4 address in IPv6's form"
            } else {
                return;
            };
            checker.error(path, format!("{own} is {kind}, not a host's"));
            return;
        }
    };
    let kind = if own.is_unspecified() {
        Some("the unspecified address")
    } else if own.is_loopback() {
        Some("a loopback address")
    } else if own.is_multicast() {
        Some("a multicast address")
    } else if own == Ipv4Addr::BROADCAST {
        Some("the broadcast address")
    } else if address.reserves(own.into()) && address.network().address() == own {
        Some("the address of the network itself")
    } else if address.reserves(own.into()) {
        Some("the broadcast address of its network")
    } else {
        None
    };
    if let Some(kind) = kind {
        checker.error(path, format!("{own} is {kind}, not a host's"));
    }
}

/// A host name as RFC 1123 §2.1 has it: labels of letters, digits and hyphens.
fn hostname(checker: &mut Checker<'_>, name: &str) {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        let help = "letters, digits and hyphens, in words of at most 63 between dots";
        let message = format!("{name:?} is not a host name");
        checker.report(Severity::Error, &KeyPath::dotted("network.hostname"), message, Some(help.to_owned()));
    }
}

fn gateways(checker: &mut Checker<'_>, network: &Network, own: &[Placed]) {
    let mut seen = Vec::new();
    for (path, gateway) in checker.placed("network.gateways", &network.gateways) {
        if seen.contains(&gateway) {
            checker.error(&path, format!("{gateway} is given twice"));
        }
        seen.push(gateway);
        reachable(checker, &path, gateway, own);
    }
}

fn routes(checker: &mut Checker<'_>, network: &Network, own: &[Placed]) {
    for (path, route) in checker.placed("network.routes", &network.routes) {
        let destination = route.destination;
        if destination.address().is_ipv4() != route.gateway.is_ipv4() {
            let message = format!("the route to {destination} has a gateway of the other family, {}", route.gateway);
            checker.error(&path.child("gateway"), message);
            continue;
        }
        if destination.network() != destination {
            let message = format!("{destination} is an address in a network, not a network");
            let help = format!("the network is {}", destination.network());
            checker.report(Severity::Error, &path.child("destination"), message, Some(help));
        }
        reachable(checker, &path.child("gateway"), route.gateway, own);
    }
}

/// Checks that a router is a neighbour.
fn reachable(checker: &mut Checker<'_>, path: &KeyPath, gateway: IpAddr, own: &[Placed]) {
    if let Some((other, _)) = own.iter().find(|(_, address)| address.address() == gateway) {
        let help = format!("it is {other}");
        checker.report(Severity::Error, path, format!("the gateway {gateway} is tapster itself"), Some(help));
    } else if own.iter().any(|(_, address)| address.reserves(gateway)) {
        checker.error(path, format!("the gateway {gateway} is the address of a network or its broadcast address"));
    } else if checker.is_sound("network.addresses") && !in_a_network(gateway, own) {
        let message = format!("the gateway {gateway} is in none of tapster's own networks");
        checker.report(Severity::Error, path, message, networks(own));
    }
}

fn host_addresses(checker: &mut Checker<'_>, addresses: &[InterfaceAddress], own: &[Placed]) {
    for (path, address) in checker.placed("link.host.addresses", addresses) {
        host_part(checker, &path, address);
        let host = address.address();
        if let Some((other, _)) = own.iter().find(|(_, own)| own.address() == host) {
            let help = format!("it is {other}");
            checker.report(Severity::Error, &path, format!("the host's address {host} is tapster's own"), Some(help));
        } else if checker.is_sound("network.addresses") && !in_a_network(host, own) {
            let message = format!("the host's address {host} is in none of tapster's own networks");
            checker.report(Severity::Warning, &path, message, networks(own));
        }
    }
}

fn in_a_network(address: IpAddr, own: &[Placed]) -> bool {
    // Link-local addresses are on the link, whatever else is (RFC 4291 §2.5.6).
    let link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    let ipv6 = own.iter().any(|(_, network)| network.address().is_ipv6());
    (link_local && ipv6) || own.iter().any(|(_, network)| network.contains(address))
}

/// Advice that names the own networks.
fn networks(own: &[Placed]) -> Option<String> {
    let networks: Vec<String> = own.iter().map(|(_, address)| address.network().to_string()).collect();
    (!networks.is_empty()).then(|| format!("they are {}", networks.join(", ")))
}
