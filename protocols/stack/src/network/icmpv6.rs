//! ICMPv6 messages (RFC 4443).
//!
//! Responsible for the octets of messages, and for reading what an error quotes. Not for when a message is sent (see
//! [`reply6`](super::reply6)), nor for neighbour discovery and groups, whose messages have rules of their own.

use std::net::IpAddr;

use super::checksum::Sum;
use super::extension::{self, Carried};
use super::{ipv6, protocol};
use crate::packet::{ErrorKind, ReceivedError, ReceivedPacket};

/// Octets in front of a message's data.
pub(crate) const HEADER_LENGTH: usize = 8;

/// Octets from a message's first to its checksum.
pub(crate) const CHECKSUM_OFFSET: usize = 2;

/// Octets of an error's packet at most (RFC 4443 §2.4 (c)): no path is too narrow for it.
pub(crate) const MAXIMUM_ERROR_LENGTH: usize = ipv6::MINIMUM_MTU;

/// The types of messages.
pub(crate) mod kind {
    pub(crate) const DESTINATION_UNREACHABLE: u8 = 1;
    pub(crate) const PACKET_TOO_BIG: u8 = 2;
    pub(crate) const TIME_EXCEEDED: u8 = 3;
    pub(crate) const PARAMETER_PROBLEM: u8 = 4;
    pub(crate) const ECHO_REQUEST: u8 = 128;
    pub(crate) const ECHO_REPLY: u8 = 129;
    pub(crate) const MULTICAST_LISTENER_QUERY: u8 = 130;
    pub(crate) const MULTICAST_LISTENER_REPORT: u8 = 131;
    pub(crate) const MULTICAST_LISTENER_DONE: u8 = 132;
    pub(crate) const ROUTER_SOLICITATION: u8 = 133;
    pub(crate) const ROUTER_ADVERTISEMENT: u8 = 134;
    pub(crate) const NEIGHBOR_SOLICITATION: u8 = 135;
    pub(crate) const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    pub(crate) const REDIRECT: u8 = 137;
    pub(crate) const MULTICAST_LISTENER_REPORT_V2: u8 = 143;
}

/// A message taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'f> {
    /// Its type: see [`kind`].
    pub(crate) kind: u8,
    /// What it means more closely.
    pub(crate) code: u8,
    /// The second half of the header, of which each type makes its own use.
    pub(crate) rest: [u8; 4],
    /// What follows.
    pub(crate) data: &'f [u8],
}

/// Why octets are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Shorter than a header.
    TooShort,
    /// The checksum is wrong.
    Checksum,
}

/// Reads a message and verifies it, unless the device has done that.
pub(crate) fn parse<'a>(packet: &ReceivedPacket<'_>, octets: &'a [u8]) -> Result<Message<'a>, Malformed> {
    let message = split(octets).ok_or(Malformed::TooShort)?;
    if !packet.checksum_valid {
        let mut sum = Sum::pseudo_header(packet.source, packet.destination, protocol::ICMPV6, octets.len());
        sum.add(octets);
        if sum.checksum() != 0 {
            return Err(Malformed::Checksum);
        }
    }
    Ok(message)
}

/// Reads a message that has been verified.
pub(crate) fn split(octets: &[u8]) -> Option<Message<'_>> {
    let (&[kind, code, _, _, rest @ ..], data) = octets.split_first_chunk::<HEADER_LENGTH>()?;
    Some(Message { kind, code, rest, data })
}

/// The header of a message that is to be sent. The checksum is zero.
pub(crate) fn header(kind: u8, code: u8, rest: [u8; 4]) -> [u8; HEADER_LENGTH] {
    let [r0, r1, r2, r3] = rest;
    [kind, code, 0, 0, r0, r1, r2, r3]
}

/// Whether no error may be sent about a type of message: errors themselves, and redirects (RFC 4443 §2.4 (e)).
pub(crate) fn forbids_errors(kind: u8) -> bool {
    kind < 128 || kind == kind::REDIRECT
}

/// An error that we report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// Nobody here listens on the port.
    PortUnreachable,
    /// The rest of a packet has not come in time.
    ReassemblyTimeExceeded,
    /// A field of a header is wrong.
    ErroneousHeader(usize),
    /// Nobody here speaks the protocol that this field names.
    UnrecognizedNextHeader(usize),
    /// An option that we do not know, and that may not be skipped. `even_for_group`: also in a packet for a group.
    UnrecognizedOption {
        /// Where it stands.
        pointer: usize,
        /// Whether the error is sent though the packet went to a group.
        even_for_group: bool,
    },
    /// The first fragment does not hold all headers (RFC 7112).
    IncompleteHeaderChain,
}

impl Error {
    /// The message's header.
    pub(crate) fn header(self) -> [u8; HEADER_LENGTH] {
        let pointer = |pointer: usize| u32::try_from(pointer).unwrap_or(u32::MAX).to_be_bytes();
        match self {
            Self::PortUnreachable => header(kind::DESTINATION_UNREACHABLE, 4, [0; 4]),
            Self::ReassemblyTimeExceeded => header(kind::TIME_EXCEEDED, 1, [0; 4]),
            Self::ErroneousHeader(at) => header(kind::PARAMETER_PROBLEM, 0, pointer(at)),
            Self::UnrecognizedNextHeader(at) => header(kind::PARAMETER_PROBLEM, 1, pointer(at)),
            Self::UnrecognizedOption { pointer: at, .. } => header(kind::PARAMETER_PROBLEM, 2, pointer(at)),
            Self::IncompleteHeaderChain => header(kind::PARAMETER_PROBLEM, 3, [0; 4]),
        }
    }
}

/// Why an error is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unbelievable {
    /// It quotes too little, or not a packet's beginning.
    Quotation,
    /// It says that a packet did not fit which would have fitted (RFC 5927 §7.2), or that a link takes less than every
    /// link must (RFC 8201 §4).
    Mtu,
}

/// Reads an error. Whether the quoted packet was ours is left to the caller, and whether its ports and numbers are in
/// use to the transport (RFC 5927 §4).
pub(crate) fn parse_error<'f>(message: &Message<'f>) -> Result<ReceivedError<'f>, Unbelievable> {
    let quoted = ipv6::parse_header(message.data).map_err(|_| Unbelievable::Quotation)?;
    let mut carried = extension::walk_packet(message.data);
    if let Ok(Carried::Fragment { fragment, offset }) = carried
        && fragment.offset == 0
    {
        let behind = offset + extension::FRAGMENT_HEADER_LENGTH;
        carried = extension::walk(message.data, fragment.next_header, behind, offset);
    }
    let Ok(Carried::Upper { protocol, offset, .. }) = carried else { return Err(Unbelievable::Quotation) };
    // Ports and a sequence number at least; RFC 4443 §2.4 (c) promises far more.
    let transport = message.data.get(offset..).filter(|transport| transport.len() >= 8);
    let transport = transport.ok_or(Unbelievable::Quotation)?;
    let kind = match (message.kind, message.code) {
        (kind::PACKET_TOO_BIG, _) => {
            let mtu = u32::from_be_bytes(message.rest);
            let octets = usize::try_from(mtu).unwrap_or(usize::MAX);
            if octets < ipv6::MINIMUM_MTU || octets >= ipv6::HEADER_LENGTH + quoted.payload_length {
                return Err(Unbelievable::Mtu);
            }
            ErrorKind::PacketTooBig(mtu)
        }
        // Prohibited, port unreachable, failed policy, rejected: what RFC 1122 §4.2.3.9 calls hard errors.
        (kind::DESTINATION_UNREACHABLE, 1 | 4 | 5 | 6) | (kind::PARAMETER_PROBLEM, 1) => ErrorKind::Refused,
        _ => ErrorKind::Unreachable,
    };
    let (local, remote) = (IpAddr::V6(quoted.source), IpAddr::V6(quoted.destination));
    Ok(ReceivedError { local, remote, protocol, kind, quoted: transport })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quotation(next_header: u8, payload_length: usize, behind: &[u8]) -> Vec<u8> {
        let header = ipv6::Header {
            traffic_class: 0,
            flow_label: 0,
            payload_length,
            next_header,
            hop_limit: 1,
            source: "2001:db8::2".parse().unwrap(),
            destination: "2001:db8:1::1".parse().unwrap(),
        };
        [&header.emit()[..], behind].concat()
    }

    fn error(kind: u8, code: u8, mtu: u32, data: &[u8]) -> Result<ReceivedError<'_>, Unbelievable> {
        parse_error(&Message { kind, code, rest: mtu.to_be_bytes(), data })
    }

    const TRANSPORT: [u8; 8] = [0, 80, 1, 2, 3, 4, 5, 6];

    #[test]
    fn codes_mean_what_rfc_4443_section_3_says() {
        let quoted = quotation(6, 1460, &TRANSPORT);
        for (kind, code, expected) in [
            (1, 0, ErrorKind::Unreachable),
            (1, 1, ErrorKind::Refused),
            (1, 3, ErrorKind::Unreachable),
            (1, 4, ErrorKind::Refused),
            (3, 0, ErrorKind::Unreachable),
            (3, 1, ErrorKind::Unreachable),
            (4, 0, ErrorKind::Unreachable),
            (4, 1, ErrorKind::Refused),
        ] {
            let read = error(kind, code, 0, &quoted).unwrap();
            assert_eq!(read.kind, expected, "type {kind}, code {code}");
            assert_eq!((read.protocol, read.quoted), (6, &TRANSPORT[..]));
        }
    }

    #[test]
    fn a_reported_mtu_is_believed_when_it_can_be_true() {
        let quoted = quotation(6, 1460, &TRANSPORT);
        let mtu = |mtu| error(2, 0, mtu, &quoted).map(|error| error.kind);
        assert_eq!(mtu(1280), Ok(ErrorKind::PacketTooBig(1280)));
        assert_eq!(mtu(1499), Ok(ErrorKind::PacketTooBig(1499)));
        assert_eq!(mtu(1500), Err(Unbelievable::Mtu));
        // RFC 8201 §4.
        assert_eq!(mtu(1279), Err(Unbelievable::Mtu));
    }

    #[test]
    fn a_quoted_fragment_is_believed_when_it_is_the_first() {
        let mut fragment = extension::FragmentHeader { next_header: 17, offset: 0, more: true, identification: 1 };
        let quoted = quotation(44, 1460, &[&fragment.emit()[..], &TRANSPORT].concat());
        assert_eq!(error(1, 4, 0, &quoted).unwrap().protocol, 17);
        fragment.offset = 8;
        let quoted = quotation(44, 1460, &[&fragment.emit()[..], &TRANSPORT].concat());
        assert_eq!(error(1, 4, 0, &quoted), Err(Unbelievable::Quotation));
        assert_eq!(error(1, 4, 0, &quotation(6, 1460, &TRANSPORT[..7])), Err(Unbelievable::Quotation));
        assert_eq!(error(1, 4, 0, &[]), Err(Unbelievable::Quotation));
    }

    proptest! {
        #[test]
        fn any_octets_parse_or_not_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in any::<u8>(), code in any::<u8>(),
            first in prop::sample::select(vec![0u8, 6, 17, 43, 44, 58, 60]),
        ) {
            let _ = split(&bytes);
            let _ = error(kind, code, 1300, &bytes);
            let _ = error(kind, code, 1300, &quotation(first, 1460, &bytes));
        }
    }
}
