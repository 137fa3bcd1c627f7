//! IPv6 headers (RFC 8200 §3).
//!
//! Responsible for reading and writing the fixed header. Not for what stands behind it (see
//! [`extension`](super::extension)), and not for what an address means.

use std::net::Ipv6Addr;

/// Octets of a header.
pub(crate) const HEADER_LENGTH: usize = 40;

/// The most octets behind a header: jumbograms are not taken (RFC 2675 is for links that we are not on).
pub(crate) const MAXIMUM_PAYLOAD: usize = 65_535;

/// What every link takes (RFC 8200 §5): smaller path MTUs are not believed, and on a smaller link there is no IPv6.
pub(crate) const MINIMUM_MTU: usize = 1280;

/// Octets from the header's first to the field of the payload's length.
pub(crate) const PAYLOAD_LENGTH_OFFSET: usize = 4;

/// Octets from the header's first to the field of the next header.
pub(crate) const NEXT_HEADER_OFFSET: usize = 6;

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Diffserv code point and ECN.
    pub(crate) traffic_class: u8,
    /// Names the flow, in 20 bits (RFC 6437); nought names none.
    pub(crate) flow_label: u32,
    /// Octets behind the header.
    pub(crate) payload_length: usize,
    /// What stands behind the header.
    pub(crate) next_header: u8,
    /// The hops that are left.
    pub(crate) hop_limit: u8,
    /// Where the packet comes from.
    pub(crate) source: Ipv6Addr,
    /// Where it goes to.
    pub(crate) destination: Ipv6Addr,
}

/// Why octets are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Shorter than a header.
    TooShort,
    /// Not version 6.
    Version,
    /// The payload length goes beyond the octets.
    PayloadLength,
}

/// A packet taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'f> {
    /// Its header, read.
    pub(crate) header: Header,
    /// The whole of it as it came, without the padding of the frame.
    pub(crate) octets: &'f [u8],
}

/// Reads a packet. Octets behind its payload are the frame's padding.
pub(crate) fn parse(bytes: &[u8]) -> Result<Packet<'_>, Malformed> {
    let header = parse_header(bytes)?;
    let octets = bytes.get(..HEADER_LENGTH + header.payload_length).ok_or(Malformed::PayloadLength)?;
    Ok(Packet { header, octets })
}

/// Reads a header alone, as an ICMP error quotes one: the packet may be cut behind it.
pub(crate) fn parse_header(bytes: &[u8]) -> Result<Header, Malformed> {
    let (&[v0, v1, v2, v3, l0, l1, next_header, hop_limit], rest) =
        bytes.split_first_chunk::<8>().ok_or(Malformed::TooShort)?;
    let (source, rest) = rest.split_first_chunk::<16>().ok_or(Malformed::TooShort)?;
    let destination = rest.first_chunk::<16>().ok_or(Malformed::TooShort)?;
    if v0 >> 4 != 6 {
        return Err(Malformed::Version);
    }
    Ok(Header {
        traffic_class: v0 << 4 | v1 >> 4,
        flow_label: u32::from_be_bytes([0, v1 & 0x0f, v2, v3]),
        payload_length: u16::from_be_bytes([l0, l1]).into(),
        next_header,
        hop_limit,
        source: (*source).into(),
        destination: (*destination).into(),
    })
}

impl Header {
    /// The octets. A length or a flow label beyond its field is the caller's error; it is cut to its lower bits.
    #[expect(clippy::cast_possible_truncation, reason = "the caller keeps packets within 65,535 octets")]
    pub(crate) fn emit(&self) -> [u8; HEADER_LENGTH] {
        let mut octets = [0; HEADER_LENGTH];
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0x000f_ffff;
        octets[..4].copy_from_slice(&first.to_be_bytes());
        octets[4..6].copy_from_slice(&(self.payload_length as u16).to_be_bytes());
        octets[6] = self.next_header;
        octets[7] = self.hop_limit;
        octets[8..24].copy_from_slice(&self.source.octets());
        octets[24..].copy_from_slice(&self.destination.octets());
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fields_stand_where_rfc_8200_section_3_says() {
        let header = Header {
            traffic_class: 0xb9,
            flow_label: 0xabcde,
            payload_length: 0x1234,
            next_header: 58,
            hop_limit: 255,
            source: "2001:db8::1".parse().unwrap(),
            destination: "ff02::1".parse().unwrap(),
        };
        let octets = header.emit();
        assert_eq!(octets[..8], [0x6b, 0x9a, 0xbc, 0xde, 0x12, 0x34, 58, 255]);
        assert_eq!(octets[8..12], [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!((octets[24], octets[39]), (0xff, 1));
        assert_eq!(parse_header(&octets), Ok(header));
        assert_eq!(parse(&octets), Err(Malformed::PayloadLength));
        assert_eq!(parse_header(&octets[..39]), Err(Malformed::TooShort));
        assert_eq!(parse_header(&[0x45; 40]), Err(Malformed::Version));
    }

    #[test]
    fn padding_is_left_out() {
        let header = Header {
            traffic_class: 0,
            flow_label: 0,
            payload_length: 4,
            next_header: 59,
            hop_limit: 1,
            source: Ipv6Addr::LOCALHOST,
            destination: Ipv6Addr::LOCALHOST,
        };
        let bytes = [&header.emit()[..], b"dataPADDING"].concat();
        assert_eq!(parse(&bytes).unwrap().octets[40..], *b"data");
    }

    proptest! {
        #[test]
        fn any_octets_parse_or_not_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_is_read_is_written_again(mut bytes in any::<[u8; 40]>()) {
            bytes[0] = 0x60 | bytes[0] & 0x0f;
            prop_assert_eq!(parse_header(&bytes).unwrap().emit(), bytes);
        }
    }
}
