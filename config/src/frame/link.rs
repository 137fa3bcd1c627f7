//! `[link]`: the Ethernet segment and the device that leads to it.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::network::InterfaceAddress;

/// `[link]`: the Ethernet segment and the device that leads to it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    /// The TAP interface on the host: created when it does not exist, used as it is when it does. At most 15 bytes.
    /// Default "tapster0".
    pub name: String,
    /// The hardware address of tapster's own end: a unicast address. Default "02:54:41:50:53:02".
    pub mac: MacAddress,
    /// The largest IP packet on the link, in bytes. 68 (RFC 791 §3.2) to 65521 (65535 with the Ethernet header);
    /// default 1500.
    pub mtu: u16,
    /// Checksum and segmentation offload between host and stack (virtio-net header). Without it each frame on the
    /// link is complete. Default true.
    pub offload: bool,
    /// `[link.host]`: the host's end of the segment. Default: left alone.
    pub host: Option<HostEnd>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            name: "tapster0".to_owned(),
            mac: MacAddress([0x02, 0x54, 0x41, 0x50, 0x53, 0x02]),
            mtu: 1500,
            offload: true,
            host: None,
        }
    }
}

/// `[link.host]`: the host's end of the segment, which tapster sets up when this section is present.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostEnd {
    /// The addresses that the host gets on the TAP interface. At most 1024; default none.
    pub addresses: Vec<InterfaceAddress>,
    /// The bridge that the TAP interface joins. Default: none.
    pub bridge: Option<String>,
    /// Whether the interface is brought up. Default true.
    pub up: bool,
}

impl Default for HostEnd {
    fn default() -> Self {
        Self { addresses: Vec::new(), bridge: None, up: true }
    }
}

/// A hardware address of six octets, written `02:54:41:50:53:02`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Whether it means a group of stations (the first octet's lowest bit, IEEE 802).
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut octets = [0; 6];
        let mut parts = text.split(if text.contains('-') { '-' } else { ':' });
        let octet = |part: &str| {
            let hexadecimal = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            if hexadecimal { u8::from_str_radix(part, 16).ok() } else { None }
        };
        for place in &mut octets {
            *place = parts.next().and_then(octet).ok_or_else(|| not_a_mac(text))?;
        }
        if parts.next().is_some() { Err(not_a_mac(text)) } else { Ok(Self(octets)) }
    }
}

fn not_a_mac(text: &str) -> String {
    format!("{text:?} is not a hardware address such as \"02:54:41:50:53:02\"")
}

impl TryFrom<String> for MacAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        let mac = MacAddress([0x02, 0x54, 0x41, 0x50, 0x53, 0xff]);
        assert_eq!("02:54:41:50:53:ff".parse(), Ok(mac));
        assert_eq!("02-54-41-50-53-FF".parse(), Ok(mac));
        assert_eq!(mac.to_string(), "02:54:41:50:53:ff");
        for wrong in ["", "02", "02:54:41:50:53", "02:54:41:50:53:02:01", "2:54:41:50:53:02", "+2:54:41:50:53:02", "é"]
        {
            assert!(wrong.parse::<MacAddress>().is_err(), "{wrong:?}");
        }
        assert!(MacAddress([1, 0, 0x5e, 0, 0, 1]).is_multicast());
        assert!(!mac.is_multicast());
    }
}
