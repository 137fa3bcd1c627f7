//! `[network]`: addresses and routes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Deserialize;

/// `[network]`: addresses and routes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// What tapster calls itself, for instance in greetings: a host name (RFC 1123 §2.1). Default "tapster".
    pub hostname: String,
    /// Tapster's own addresses of either family, each with the length of its network's prefix. 1 to 1024; default
    /// `["192.0.2.2/24", "2001:db8:77::2/64"]`. With an IPv6 address comes a link-local one, made of the MAC.
    pub addresses: Vec<InterfaceAddress>,
    /// The routers to other networks, the preferred one first; each is in one of the own networks. At most 1024;
    /// default `["192.0.2.1"]` with the default addresses, else none.
    pub gateways: Vec<IpAddr>,
    /// `[[network.routes]]`: what is reached by other routers. At most 1024; default none.
    pub routes: Vec<Route>,
}

impl Default for Network {
    fn default() -> Self {
        let ipv4 = Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 2), 24);
        let ipv6 = Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 2), 64);
        Self {
            hostname: "tapster".to_owned(),
            addresses: vec![InterfaceAddress(ipv4.into()), InterfaceAddress(ipv6.into())],
            gateways: vec![Ipv4Addr::new(192, 0, 2, 1).into()],
            routes: Vec::new(),
        }
    }
}

/// `[[network.routes]]`: one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The network that is reached, such as "198.51.100.0/24". Must be given.
    pub destination: InterfaceAddress,
    /// The router, in one of the own networks. Must be given.
    pub gateway: IpAddr,
    /// Of two routes to the same network that with the lower metric is taken. Default 0.
    #[serde(default)]
    pub metric: u32,
}

/// An address with the length of its network's prefix, written `192.0.2.2/24` (RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct InterfaceAddress(IpNet);

impl InterfaceAddress {
    /// The address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.0.addr()
    }

    /// The length of the network's prefix, in bits.
    #[must_use]
    pub fn prefix_length(self) -> u8 {
        self.0.prefix_len()
    }

    /// The network: the same with all bits behind the prefix zero.
    #[must_use]
    pub fn network(self) -> Self {
        Self(self.0.trunc())
    }

    /// Whether an address is in the network.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether an address is the network's own or its broadcast address, which no host can have. Networks of one or
    /// two addresses (RFC 3021) have neither, and IPv6 has none.
    #[must_use]
    pub fn reserves(self, address: IpAddr) -> bool {
        match self.0 {
            IpNet::V4(network) if network.prefix_len() < 31 => {
                address == network.network() || address == network.broadcast()
            }
            IpNet::V4(_) | IpNet::V6(_) => false,
        }
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for InterfaceAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(network) = text.parse() {
            return Ok(Self(network));
        }
        Err(match text.split_once('/') {
            None if text.parse::<IpAddr>().is_ok() => {
                format!("{text:?} has no prefix length, as in \"192.0.2.2/24\"")
            }
            Some((address, length)) if address.parse::<IpAddr>().is_ok() => {
                let largest = if address.contains(':') { 128 } else { 32 };
                format!("the prefix length {length:?} is not a number from 0 to {largest}")
            }
            _ => format!("{text:?} is not an address with a prefix length, such as \"192.0.2.2/24\""),
        })
    }
}

impl TryFrom<String> for InterfaceAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<InterfaceAddress>().unwrap_err()
    }

    #[test]
    fn addresses_with_prefix() {
        let address: InterfaceAddress = "192.0.2.2/24".parse().unwrap();
        assert_eq!((address.address(), address.prefix_length()), ("192.0.2.2".parse().unwrap(), 24));
        assert_eq!(
            (address.to_string(), address.network().to_string()),
            ("192.0.2.2/24".into(), "192.0.2.0/24".into())
        );
        assert!(address.contains("192.0.2.255".parse().unwrap()));
        assert!(!address.contains("192.0.3.0".parse().unwrap()));
        assert_eq!(error("192.0.2.2"), "\"192.0.2.2\" has no prefix length, as in \"192.0.2.2/24\"");
        assert_eq!(error("192.0.2.2/33"), "the prefix length \"33\" is not a number from 0 to 32");
        assert_eq!(error("2001:db8::1/x"), "the prefix length \"x\" is not a number from 0 to 128");
        assert_eq!(error("tap/24"), "\"tap/24\" is not an address with a prefix length, such as \"192.0.2.2/24\"");
    }

    #[test]
    fn reserved_addresses() {
        let reserves = |network: &str, address: &str| {
            network.parse::<InterfaceAddress>().unwrap().reserves(address.parse().unwrap())
        };
        assert!(reserves("192.0.2.2/24", "192.0.2.0"));
        assert!(reserves("192.0.2.2/24", "192.0.2.255"));
        assert!(!reserves("192.0.2.2/24", "192.0.2.1"));
        assert!(!reserves("192.0.2.2/31", "192.0.2.2"));
        assert!(!reserves("192.0.2.2/32", "192.0.2.2"));
        assert!(!reserves("2001:db8::/64", "2001:db8::"));
    }
}
