//! IGMP messages of versions 1 to 3 (RFC 1112, RFC 2236, RFC 3376).
//!
//! Responsible for the octets of queries and reports. Not for when a report is sent: see [`group`](super::group).

use std::net::Ipv4Addr;
use std::time::Duration;

use super::checksum::checksum;
use super::group::{Message, Received, Version};

/// Octets of a message, and in front of the records of a version 3 report.
pub(crate) const HEADER_LENGTH: usize = 8;

/// Octets from a message's first to its checksum.
pub(crate) const CHECKSUM_OFFSET: usize = 2;

/// Routers look at the message though it is not for them (RFC 2113; RFC 3376 §4).
pub(crate) const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];

/// Where version 3 reports go (RFC 3376 §4.2.14), and leave messages (RFC 2236 §9).
pub(crate) const REPORT_DESTINATION: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
pub(crate) const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);

mod kind {
    pub(super) const QUERY: u8 = 0x11;
    pub(super) const REPORT_V1: u8 = 0x12;
    pub(super) const REPORT_V2: u8 = 0x16;
    pub(super) const LEAVE: u8 = 0x17;
    pub(super) const REPORT_V3: u8 = 0x22;
}

/// Why octets are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Shorter than a message, or than one of its version.
    TooShort,
    /// The checksum is wrong.
    Checksum,
}

/// Reads a message and verifies it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Received<Ipv4Addr>, Malformed> {
    let &[kind, code, _, _, g0, g1, g2, g3] = bytes.first_chunk::<HEADER_LENGTH>().ok_or(Malformed::TooShort)?;
    if checksum(bytes) != 0 {
        return Err(Malformed::Checksum);
    }
    let group = Ipv4Addr::new(g0, g1, g2, g3);
    match kind {
        kind::REPORT_V1 | kind::REPORT_V2 => Ok(Received::Report(group)),
        kind::QUERY => {
            // RFC 3376 §7.1: the length and the code tell the versions apart.
            let (version, tenths) = match (bytes.len(), code) {
                (HEADER_LENGTH, 0) => (Version::V1, 100),
                (HEADER_LENGTH, tenths) => (Version::V2, tenths.into()),
                (9..12, _) => return Err(Malformed::TooShort),
                (_, code) => (Version::V3, tenths(code)),
            };
            let maximum_response_time = Duration::from_millis(tenths * 100);
            let group = (!group.is_unspecified()).then_some(group);
            Ok(Received::Query { version, group, maximum_response_time })
        }
        _ => Ok(Received::Other),
    }
}

/// RFC 3376 §4.1.1: from 128 on, a mantissa and an exponent.
fn tenths(code: u8) -> u64 {
    let code = u64::from(code);
    if code < 128 { code } else { (code & 0x0f | 0x10) << ((code >> 4 & 0x07) + 3) }
}

impl Message<Ipv4Addr> {
    /// Where it goes.
    pub(crate) fn destination(&self) -> Ipv4Addr {
        match self {
            Self::Report(_, group) => *group,
            Self::Leave(_) => ALL_ROUTERS,
            Self::Records(_) => REPORT_DESTINATION,
        }
    }

    /// Its octets, in two parts; the checksum is zero.
    pub(crate) fn emit(&self) -> ([u8; HEADER_LENGTH], Vec<u8>) {
        let with_group = |kind: u8, group: &Ipv4Addr| {
            let [g0, g1, g2, g3] = group.octets();
            ([kind, 0, 0, 0, g0, g1, g2, g3], Vec::new())
        };
        match self {
            Self::Report(Version::V1, group) => with_group(kind::REPORT_V1, group),
            Self::Report(_, group) => with_group(kind::REPORT_V2, group),
            Self::Leave(group) => with_group(kind::LEAVE, group),
            Self::Records(records) => {
                let [n0, n1] = u16::try_from(records.len()).unwrap_or(u16::MAX).to_be_bytes();
                let mut octets = Vec::with_capacity(records.len() * 8);
                for (record, group) in records {
                    octets.extend_from_slice(&[*record as u8, 0, 0, 0]);
                    octets.extend_from_slice(&group.octets());
                }
                ([kind::REPORT_V3, 0, 0, 0, 0, 0, n0, n1], octets)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::group::Record;
    use proptest::prelude::*;

    pub(super) fn message(bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let sum = checksum(&bytes).to_be_bytes();
        bytes[2..4].copy_from_slice(&sum);
        bytes
    }

    #[test]
    fn queries_of_the_three_versions_are_told_apart() {
        // RFC 3376 §7.1, and §4.1.1 for the code.
        let group = Some(Ipv4Addr::new(239, 1, 2, 3));
        for (bytes, version, group, seconds) in [
            (&[0x11, 0, 0, 0, 0, 0, 0, 0][..], Version::V1, None, 10.0),
            (&[0x11, 25, 0, 0, 239, 1, 2, 3][..], Version::V2, group, 2.5),
            (&[0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0][..], Version::V3, None, 10.0),
            (&[0x11, 0x9f, 0, 0, 239, 1, 2, 3, 2, 125, 0, 0][..], Version::V3, group, 49.6),
        ] {
            let maximum_response_time = Duration::from_secs_f64(seconds);
            assert_eq!(parse(&message(bytes)), Ok(Received::Query { version, group, maximum_response_time }));
        }
        assert_eq!(parse(&message(&[0x11, 0, 0, 0, 0, 0, 0, 0, 0])), Err(Malformed::TooShort));
        assert_eq!(parse(&[0x11, 0, 0, 0, 0, 0, 0]), Err(Malformed::TooShort));
        assert_eq!(parse(&[0x11, 0, 0, 0, 0, 0, 0, 0]), Err(Malformed::Checksum));
    }

    #[test]
    fn records_stand_behind_their_number() {
        let group = Ipv4Addr::new(239, 1, 2, 3);
        let (header, records) = Message::Records(vec![(Record::ToExclude, group), (Record::IsExclude, group)]).emit();
        assert_eq!(header, [0x22, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(records, [4, 0, 0, 0, 239, 1, 2, 3, 2, 0, 0, 0, 239, 1, 2, 3]);
    }

    proptest! {
        #[test]
        fn any_octets_parse_or_not_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 8..40)) {
            let _ = parse(&bytes);
            let _ = parse(&message(&bytes));
        }
    }
}
