//! Our own addresses, and what kind an address is (RFC 1122 §3.2.1.3, RFC 4291).
//!
//! Responsible for telling our addresses, the broadcast addresses of our networks, groups and impossible sources apart.
//! Not for routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::HardwareAddress;

/// Our own addresses. A host has few, so that they are a list.
#[derive(Debug)]
pub(crate) struct Addresses {
    own: Vec<(IpAddr, u8)>,
}

/// What a destination means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// One of our addresses.
    Own,
    /// A broadcast that includes us, or a group that we are in.
    Group,
    /// Somebody else.
    Other,
}

impl Addresses {
    pub(crate) fn new(own: &[(IpAddr, u8)]) -> Self {
        Self { own: own.to_vec() }
    }

    /// All addresses with their prefix lengths, in the order of the configuration.
    pub(crate) fn all(&self) -> &[(IpAddr, u8)] {
        &self.own
    }

    /// Whether the address is one of ours.
    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        self.own.iter().any(|&(own, _)| own == address)
    }

    /// Our address in the network that `address` belongs to, if there is one: the longest prefix decides.
    pub(crate) fn neighbor_of(&self, address: IpAddr) -> Option<IpAddr> {
        let networks = self.own.iter().filter(|&&(own, prefix)| same_network(own, address, prefix));
        networks.max_by_key(|&&(_, prefix)| prefix).map(|&(own, _)| own)
    }

    /// Whether it is the broadcast address of one of our networks, in the form of today (all ones) or the old one (all
    /// zeros; RFC 1122 §3.3.6).
    pub(crate) fn is_directed_broadcast(&self, address: Ipv4Addr) -> bool {
        self.own.iter().any(|&(own, prefix)| {
            let IpAddr::V4(own) = own else { return false };
            // Networks of one or two addresses have no broadcast address (RFC 3021).
            let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            let network = own.to_bits() & !host;
            host > 1 && (address.to_bits() == network | host || address.to_bits() == network)
        })
    }

    /// Whether packets to the address reach every host of a network of ours.
    pub(crate) fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        address.is_broadcast() || self.is_directed_broadcast(address)
    }

    /// What the destination of a received packet means.
    pub(crate) fn classify(&self, destination: Ipv4Addr) -> Destination {
        if self.is_own(destination.into()) {
            Destination::Own
        } else if self.is_broadcast(destination) || destination == ALL_HOSTS {
            Destination::Group
        } else {
            Destination::Other
        }
    }

    /// Whether a packet can come from the address (RFC 1122 §3.2.1.3): not from this network, the loopback network, a
    /// group, the reserved class E or a broadcast address.
    pub(crate) fn is_source(&self, source: Ipv4Addr) -> bool {
        is_unicast(source) && !self.is_directed_broadcast(source)
    }
}

/// The group of all hosts, which every host is in (RFC 1112 §4).
pub(crate) const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// Whether the address can name one host on a wire.
pub(crate) fn is_unicast(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && first != 127 && first < 224
}

/// The group of all nodes on the link, which every node is in (RFC 4291 §2.7.1).
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The group of all routers on the link (RFC 4291 §2.7.1).
pub(crate) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Whether the address can name one node on a wire: neither a group nor the unspecified, the loopback or an
/// IPv4-mapped address (RFC 4291 §2.5, §2.7).
pub(crate) fn is_unicast6(address: Ipv6Addr) -> bool {
    !address.is_multicast() && !address.is_unspecified() && !address.is_loopback() && address.to_ipv4_mapped().is_none()
}

/// Whether the address is good for the link alone (RFC 4291 §2.5.6).
pub(crate) const fn is_link_local(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
}

/// The group that a node is in for each of its addresses, so that looking for it disturbs few (RFC 4291 §2.7.1).
pub(crate) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let prefix = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0);
    Ipv6Addr::from_bits(prefix.to_bits() | address.to_bits() & 0x00ff_ffff)
}

/// The link-local address that a hardware address makes (RFC 4291 appendix A, RFC 2464 §5).
pub(crate) fn link_local(HardwareAddress([a, b, c, d, e, f]): HardwareAddress) -> Ipv6Addr {
    let identifier = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(identifier))
}

/// Whether two addresses agree in their first `prefix` bits.
pub(crate) fn same_network(one: IpAddr, other: IpAddr, prefix: u8) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            (one.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(prefix.min(32))
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            (one.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(prefix.min(128))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        Addresses::new(&[
            (Ipv4Addr::new(192, 0, 2, 2).into(), 24),
            (Ipv4Addr::new(10, 0, 0, 1).into(), 31),
            (Ipv4Addr::new(198, 51, 100, 7).into(), 32),
        ])
    }

    #[test]
    fn destinations_are_told_apart_as_rfc_1122_section_3_2_1_3_says() {
        let addresses = addresses();
        for (address, kind) in [
            ([192, 0, 2, 2], Destination::Own),
            ([192, 0, 2, 255], Destination::Group),
            ([192, 0, 2, 0], Destination::Group),
            ([255, 255, 255, 255], Destination::Group),
            ([224, 0, 0, 1], Destination::Group),
            ([224, 0, 0, 2], Destination::Other),
            ([192, 0, 2, 3], Destination::Other),
            // RFC 3021: both addresses of a /31 are hosts.
            ([10, 0, 0, 0], Destination::Other),
            ([10, 0, 0, 1], Destination::Own),
            ([198, 51, 100, 7], Destination::Own),
        ] {
            assert_eq!(addresses.classify(address.into()), kind, "{address:?}");
        }
    }

    #[test]
    fn no_packet_comes_from_a_group_or_from_nowhere() {
        let addresses = addresses();
        for source in [[0, 0, 0, 0], [0, 1, 2, 3], [127, 0, 0, 1], [224, 0, 0, 1], [240, 0, 0, 1], [255; 4]] {
            assert!(!addresses.is_source(source.into()), "{source:?}");
        }
        assert!(!addresses.is_source([192, 0, 2, 255].into()));
        assert!(addresses.is_source([203, 0, 113, 9].into()));
        assert!(addresses.is_source([10, 0, 0, 0].into()));
    }

    #[test]
    fn an_address_makes_its_solicited_node_group_and_a_mac_its_link_local_address() {
        // RFC 4291 §2.7.1 and appendix A, with the examples there.
        let ip = |text: &str| -> Ipv6Addr { text.parse().unwrap() };
        assert_eq!(solicited_node(ip("4037::01:800:200e:8c6c")), ip("ff02::1:ff0e:8c6c"));
        let mac = HardwareAddress([0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde]);
        assert_eq!(link_local(mac), ip("fe80::3656:78ff:fe9a:bcde"));
    }

    #[test]
    fn ipv6_packets_come_from_and_go_to_single_nodes() {
        for (text, unicast) in [
            ("2001:db8::1", true),
            ("fe80::1", true),
            ("fd00::1", true),
            ("::", false),
            ("::1", false),
            ("ff02::1", false),
            ("::ffff:192.0.2.1", false),
        ] {
            assert_eq!(is_unicast6(text.parse().unwrap()), unicast, "{text}");
        }
    }

    #[test]
    fn a_prefix_of_any_length_compares() {
        let one = IpAddr::from([192, 0, 2, 1]);
        assert!(same_network(one, [192, 0, 2, 254].into(), 24));
        assert!(!same_network(one, [192, 0, 3, 1].into(), 24));
        assert!(same_network(one, [1, 2, 3, 4].into(), 0));
        assert!(!same_network(one, [192, 0, 2, 0].into(), 255));
        assert!(!same_network(one, IpAddr::from([0u16; 8]), 0));
    }
}
