//! Multicast listener discovery messages, both versions (RFC 2710, RFC 3810).
//!
//! Responsible for the octets of queries and reports. When a report is sent is the business of
//! [`group`](super::group), which speaks of versions in IGMP's numbers.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::address::ALL_ROUTERS;
use super::group::{Message, Received, Version};
use super::{icmpv6, protocol};

/// The hop-by-hop options in front of each message: a router alert, so that routers look at it though it is not for
/// them (RFC 2711), and two octets of padding.
pub(crate) const ROUTER_ALERT: [u8; 8] = [protocol::ICMPV6, 0, 5, 2, 0, 0, 1, 0];

/// Messages stay on the link (RFC 3810 §5).
pub(crate) const HOP_LIMIT: u8 = 1;

/// Where version 2 reports go (RFC 3810 §5.2.14).
const REPORT_DESTINATION: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// Reads a message, type and all. `None` when it is too short for what it is.
pub(crate) fn parse(message: &icmpv6::Message<'_>) -> Option<Received<Ipv6Addr>> {
    let (group, behind) = message.data.split_first_chunk::<16>()?;
    let group = Ipv6Addr::from(*group);
    match message.kind {
        icmpv6::kind::MULTICAST_LISTENER_QUERY => {
            let [r0, r1, ..] = message.rest;
            let code = u16::from_be_bytes([r0, r1]);
            // RFC 3810 §8.1: the length tells the versions apart.
            let (version, milliseconds) = match behind.len() {
                0 => (Version::V2, code.into()),
                1..4 => return None,
                _ => (Version::V3, milliseconds(code)),
            };
            Some(Received::Query {
                version,
                group: (!group.is_unspecified()).then_some(group),
                maximum_response_time: Duration::from_millis(milliseconds),
            })
        }
        icmpv6::kind::MULTICAST_LISTENER_REPORT => Some(Received::Report(group)),
        _ => Some(Received::Other),
    }
}

/// RFC 3810 §5.1.3: from 32,768 on, a mantissa and an exponent.
fn milliseconds(code: u16) -> u64 {
    let code = u64::from(code);
    if code < 0x8000 { code } else { (code & 0x0fff | 0x1000) << ((code >> 12 & 0x07) + 3) }
}

impl Message<Ipv6Addr> {
    /// Where it goes.
    pub(crate) fn destination(&self) -> Ipv6Addr {
        match self {
            Self::Report(_, group) => *group,
            Self::Leave(_) => ALL_ROUTERS,
            Self::Records(_) => REPORT_DESTINATION,
        }
    }

    /// Its octets, in two parts; the checksum is zero.
    pub(crate) fn emit(&self) -> ([u8; icmpv6::HEADER_LENGTH], Vec<u8>) {
        let with_group = |kind: u8, group: &Ipv6Addr| (icmpv6::header(kind, 0, [0; 4]), group.octets().to_vec());
        match self {
            Self::Report(_, group) => with_group(icmpv6::kind::MULTICAST_LISTENER_REPORT, group),
            Self::Leave(group) => with_group(icmpv6::kind::MULTICAST_LISTENER_DONE, group),
            Self::Records(records) => {
                let [n0, n1] = u16::try_from(records.len()).unwrap_or(u16::MAX).to_be_bytes();
                let mut octets = Vec::with_capacity(records.len() * 20);
                for (record, group) in records {
                    octets.extend_from_slice(&[*record as u8, 0, 0, 0]);
                    octets.extend_from_slice(&group.octets());
                }
                (icmpv6::header(icmpv6::kind::MULTICAST_LISTENER_REPORT_V2, 0, [0, 0, n0, n1]), octets)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::group::Record;
    use proptest::prelude::*;

    const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2);

    fn query(code: u16, data: &[u8]) -> Option<Received<Ipv6Addr>> {
        let [r0, r1] = code.to_be_bytes();
        parse(&icmpv6::Message { kind: 130, code: 0, rest: [r0, r1, 0, 0], data })
    }

    #[test]
    fn queries_of_both_versions_are_told_apart() {
        // RFC 3810 §8.1, and §5.1.3 for the code.
        let expected = |version, group, milliseconds| {
            let maximum_response_time = Duration::from_millis(milliseconds);
            Some(Received::Query { version, group, maximum_response_time })
        };
        assert_eq!(query(10_000, &[0; 16]), expected(Version::V2, None, 10_000));
        assert_eq!(query(0xffff, &GROUP.octets()), expected(Version::V2, Some(GROUP), 65_535));
        assert_eq!(query(10_000, &[0; 20]), expected(Version::V3, None, 10_000));
        assert_eq!(query(0x8001, &[0; 20]), expected(Version::V3, None, 0x1001 << 3));
        assert_eq!(query(0xffff, &[0; 20]), expected(Version::V3, None, 0x1fff << 10));
        assert_eq!(query(1, &[0; 15]), None);
        assert_eq!(query(1, &[0; 18]), None);
    }

    #[test]
    fn records_stand_behind_their_number() {
        let (header, records) = Message::Records(vec![(Record::ToExclude, GROUP)]).emit();
        assert_eq!(header, [143, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(records, [&[4, 0, 0, 0][..], &GROUP.octets()].concat());
    }

    proptest! {
        #[test]
        fn any_octets_parse_or_not_without_a_panic(
            kind in any::<u8>(), rest in any::<[u8; 4]>(), data in proptest::collection::vec(any::<u8>(), 0..60)
        ) {
            let _ = parse(&icmpv6::Message { kind, code: 0, rest, data: &data });
        }
    }
}
