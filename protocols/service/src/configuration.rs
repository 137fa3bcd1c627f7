//! Types that the modules' configuration sections share.
//!
//! Responsible for the one way in which a listening address is written. Durations ("30s") and sizes ("25MiB") are
//! written with the crates `humantime-serde` and `bytesize`.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;

use crate::Endpoint;

/// Where to listen, as people write it: `192.0.2.2:53`, `[2001:db8::2]:53`, `192.0.2.2` (the protocol's port), or
/// `:53` (every own address).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ListenAddress {
    address: Option<IpAddr>,
    port: Option<u16>,
}

impl ListenAddress {
    /// The endpoint meant, given the protocol's standard port.
    #[must_use]
    pub fn endpoint(self, standard_port: u16) -> Endpoint {
        Endpoint { address: self.address, port: self.port.unwrap_or(standard_port) }
    }
}

/// The endpoints of a `listen` key: those written, or every own address when the list is empty.
#[must_use]
pub fn endpoints(listen: &[ListenAddress], standard_port: u16) -> Vec<Endpoint> {
    if listen.is_empty() {
        return vec![Endpoint { address: None, port: standard_port }];
    }
    listen.iter().map(|address| address.endpoint(standard_port)).collect()
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = if let Some(port) = text.strip_prefix(':') {
            port.parse().ok().map(|port| (None, Some(port)))
        } else if let Ok(socket) = text.parse::<SocketAddr>() {
            Some((Some(socket.ip()), Some(socket.port())))
        } else {
            text.parse().ok().map(|address| (Some(address), None))
        };
        match parsed {
            Some((_, Some(0))) => Err(format!("port 0 in {text:?} cannot be listened on")),
            Some((address, port)) => Ok(Self { address: address.filter(|address| !address.is_unspecified()), port }),
            None => Err(format!("{text:?} is not an address to listen on, such as \"192.0.2.2:80\" or \":80\"")),
        }
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_to_write_an_address() {
        let endpoint = |text: &str| text.parse::<ListenAddress>().map(|address| address.endpoint(80));
        let v4 = Some("192.0.2.2".parse().unwrap());
        let v6 = Some("2001:db8::2".parse().unwrap());
        assert_eq!(endpoint("192.0.2.2:8080"), Ok(Endpoint { address: v4, port: 8080 }));
        assert_eq!(endpoint("192.0.2.2"), Ok(Endpoint { address: v4, port: 80 }));
        assert_eq!(endpoint(":8080"), Ok(Endpoint { address: None, port: 8080 }));
        assert_eq!(endpoint("0.0.0.0:8080"), Ok(Endpoint { address: None, port: 8080 }));
        assert_eq!(endpoint("[2001:db8::2]:8080"), Ok(Endpoint { address: v6, port: 8080 }));
        assert_eq!(endpoint("2001:db8::2"), Ok(Endpoint { address: v6, port: 80 }));
        for wrong in ["", ":", ":0", "localhost:80", "192.0.2.2:0", "192.0.2.2:65536", "192.0.2.256"] {
            assert!(endpoint(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_empty_list_is_every_address() {
        assert_eq!(endpoints(&[], 53), [Endpoint { address: None, port: 53 }]);
    }
}
