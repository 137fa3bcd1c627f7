//! Which of our IPv6 addresses a packet comes from (RFC 6724 §5).
//!
//! Responsible for choosing the source for a destination. Rules 3 (deprecated addresses), 4 (home addresses)
//! and 7 (temporary addresses) have nothing to decide, as addresses are configured, and rule 5 neither, as there is one
//! interface.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};

use super::address::{Addresses, is_link_local};

/// The source address for packets to `destination`; the unspecified address stands for any far destination.
pub(crate) fn source_for(addresses: &Addresses, destination: Ipv6Addr) -> Option<Ipv6Addr> {
    let wanted = scope(destination);
    let candidates = addresses.all().iter().filter_map(|&(own, _)| match own {
        IpAddr::V6(own) => Some(own),
        IpAddr::V4(_) => None,
    });
    // A link-local address means nothing behind a router.
    let candidates = candidates.filter(|&own| wanted <= Scope::LINK_LOCAL || !is_link_local(own));
    // Of equals the first one, in the order of the configuration.
    candidates
        .enumerate()
        .max_by_key(|&(position, own)| (rank(own, destination), Reverse(position)))
        .map(|(_, own)| own)
}

/// How well an address fits, the rules in their order.
fn rank(own: Ipv6Addr, destination: Ipv6Addr) -> impl Ord {
    let (own_scope, wanted) = (scope(own), scope(destination));
    // Rule 2: the smallest scope that is not too small; else the largest of those that are.
    let fitting = if own_scope >= wanted { (true, u8::MAX - own_scope.0) } else { (false, own_scope.0) };
    (
        own == destination,                                              // rule 1
        fitting,                                                         // rule 2
        label(own) == label(destination),                                // rule 6
        (own.to_bits() ^ destination.to_bits()).leading_zeros().min(64), // rule 8; §2.2: the prefix only
    )
}

/// How far an address means something (RFC 4007, RFC 4291 §2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scope(u8);

impl Scope {
    const LINK_LOCAL: Self = Self(2);
    const SITE_LOCAL: Self = Self(5);
    const GLOBAL: Self = Self(14);
}

fn scope(address: Ipv6Addr) -> Scope {
    let [first, second, ..] = address.octets();
    match (first, second) {
        (0xff, second) => Scope(second & 0x0f),
        _ if is_link_local(address) || address.is_loopback() => Scope::LINK_LOCAL,
        (0xfe, 0xc0..) => Scope::SITE_LOCAL,
        _ => Scope::GLOBAL,
    }
}

/// The labels of RFC 6724 §2.1: addresses of a kind go to their kind.
fn label(address: Ipv6Addr) -> u8 {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => 0,
        [0, 0, 0, 0, 0, 0xffff, ..] => 4,
        [0x2002, ..] => 2,
        [0x2001, 0, ..] => 5,
        [first, ..] if first & 0xfe00 == 0xfc00 => 13,
        [first, ..] if first & 0xffc0 == 0xfec0 => 11,
        [0x3ffe, ..] => 12,
        [0, 0, 0, 0, 0, 0, _, _] => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    /// The source for a destination, of these addresses.
    fn choice(own: &[&str], destination: &str) -> Option<Ipv6Addr> {
        let own: Vec<(IpAddr, u8)> = own.iter().map(|text| (ip(text).into(), 64)).collect();
        source_for(&Addresses::new(&own), ip(destination))
    }

    #[test]
    fn the_examples_of_rfc_6724_section_10_1() {
        for (destination, own, expected) in [
            ("2001:db8:1::1", &["2001:db8:3::1", "fe80::1"][..], "2001:db8:3::1"),
            ("ff05::1", &["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"),
            ("2001:db8:1::1", &["2001:db8:1::1", "2001:db8:2::1"], "2001:db8:1::1"),
            ("fe80::1", &["fe80::2", "2001:db8:1::1"], "fe80::2"),
            ("2001:db8:1::1", &["2001:db8:1::2", "2001:db8:3::2"], "2001:db8:1::2"),
            ("2001:db8:1::1", &["2001:db8:3::2", "2001:db8:1::2"], "2001:db8:1::2"),
            (
                "2002:c633:6401::1",
                &["2001:db8:1::2", "2002:c633:6401::d5e3:7953:13eb:22e8"],
                "2002:c633:6401::d5e3:7953:13eb:22e8",
            ),
        ] {
            assert_eq!(choice(own, destination), Some(ip(expected)), "{destination} from {own:?}");
        }
    }

    #[test]
    fn unique_local_addresses_keep_to_themselves() {
        // Rule 6.
        let own = ["fd00::2", "2001:db8:1::2"];
        assert_eq!(choice(&own, "fd77::1"), Some(ip("fd00::2")));
        assert_eq!(choice(&own, "2001:db8:77::1"), Some(ip("2001:db8:1::2")));
    }

    #[test]
    fn a_link_local_address_reaches_no_further() {
        assert_eq!(choice(&["fe80::2"], "2001:db8::1"), None);
        assert_eq!(choice(&["fe80::2"], "ff02::16"), Some(ip("fe80::2")));
        assert_eq!(choice(&["2001:db8::2"], "fe80::1"), Some(ip("2001:db8::2")));
        assert_eq!(choice(&[], "ff02::1"), None);
    }

    #[test]
    fn of_equals_the_first_configured_one_is_taken() {
        assert_eq!(choice(&["2001:db8::9", "2001:db8::2"], "2001:db8::1"), Some(ip("2001:db8::9")));
    }
}
