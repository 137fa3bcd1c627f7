//! Ethernet II headers (RFC 894).
//!
//! Responsible for the fourteen octets in front of a packet. Not for deciding who may read the frame.

use crate::HardwareAddress;

/// Octets of a header without a tag.
pub(crate) const HEADER_LENGTH: usize = 14;

/// The largest packet that a frame is made for: header and packet together are counted in 16 bits.
pub(crate) const MAXIMUM_MTU: usize = 65_535 - HEADER_LENGTH;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EtherType(pub(crate) u16);

impl EtherType {
    /// The Internet Protocol, version 4.
    pub(crate) const IPV4: Self = Self(0x0800);
    /// The Address Resolution Protocol.
    pub(crate) const ARP: Self = Self(0x0806);
    /// The Internet Protocol, version 6.
    pub(crate) const IPV6: Self = Self(0x86dd);
    /// An IEEE 802.1Q tag, behind which the real type stands.
    pub(crate) const VLAN: Self = Self(0x8100);
    /// The outer one of two tags (IEEE 802.1ad).
    pub(crate) const SERVICE_VLAN: Self = Self(0x88a8);

    /// Smaller values are the length of an IEEE 802.3 frame (RFC 1122 §2.3.3).
    const MINIMUM: u16 = 0x0600;
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Who is to read it.
    pub(crate) destination: HardwareAddress,
    /// Who sent it.
    pub(crate) source: HardwareAddress,
    /// What it carries.
    pub(crate) ether_type: EtherType,
}

/// Why there is no header to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Shorter than a header.
    TooShort,
    /// An IEEE 802.3 frame, with a length where the type is.
    LengthField,
}

/// Splits a frame into its header and what it carries, padding included.
pub(crate) fn parse(bytes: &[u8]) -> Result<(Header, &[u8]), Malformed> {
    let (&[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1], payload) =
        bytes.split_first_chunk::<HEADER_LENGTH>().ok_or(Malformed::TooShort)?;
    let ether_type = u16::from_be_bytes([t0, t1]);
    if ether_type < EtherType::MINIMUM {
        return Err(Malformed::LengthField);
    }
    let header = Header {
        destination: HardwareAddress([d0, d1, d2, d3, d4, d5]),
        source: HardwareAddress([s0, s1, s2, s3, s4, s5]),
        ether_type: EtherType(ether_type),
    };
    Ok((header, payload))
}

impl Header {
    /// The header's octets.
    pub(crate) fn emit(&self) -> [u8; HEADER_LENGTH] {
        let [d0, d1, d2, d3, d4, d5] = self.destination.0;
        let [s0, s1, s2, s3, s4, s5] = self.source.0;
        let [t0, t1] = self.ether_type.0.to_be_bytes();
        [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1]
    }
}
