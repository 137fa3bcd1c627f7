//! ICMP messages (RFC 792).
//!
//! Responsible for the octets of messages, and for reading what an error quotes. Not for when a message is sent: see
//! [`reply`](super::reply).

use std::net::IpAddr;

use super::checksum::checksum;
use super::ipv4;
use super::path_mtu::next_plateau;
use crate::packet::{ErrorKind, ReceivedError};

/// Octets in front of a message's data.
pub(crate) const HEADER_LENGTH: usize = 8;

/// Octets from a message's first to its checksum.
pub(crate) const CHECKSUM_OFFSET: usize = 2;

/// Octets of an error's packet at most (RFC 1812 §4.3.2.3): no path is too narrow for it.
pub(crate) const MAXIMUM_ERROR_LENGTH: usize = 576;

/// The types of messages.
pub(crate) mod kind {
    pub(crate) const ECHO_REPLY: u8 = 0;
    pub(crate) const DESTINATION_UNREACHABLE: u8 = 3;
    pub(crate) const SOURCE_QUENCH: u8 = 4;
    pub(crate) const REDIRECT: u8 = 5;
    pub(crate) const ECHO: u8 = 8;
    pub(crate) const TIME_EXCEEDED: u8 = 11;
    pub(crate) const PARAMETER_PROBLEM: u8 = 12;
    pub(crate) const TIMESTAMP: u8 = 13;
    pub(crate) const TIMESTAMP_REPLY: u8 = 14;
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

/// Reads a message and verifies it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Message<'_>, Malformed> {
    let (&[kind, code, _, _, rest @ ..], data) =
        bytes.split_first_chunk::<HEADER_LENGTH>().ok_or(Malformed::TooShort)?;
    if checksum(bytes) != 0 {
        return Err(Malformed::Checksum);
    }
    Ok(Message { kind, code, rest, data })
}

/// The header of a message that is to be sent. The checksum is zero.
pub(crate) fn header(kind: u8, code: u8, rest: [u8; 4]) -> [u8; HEADER_LENGTH] {
    let [r0, r1, r2, r3] = rest;
    [kind, code, 0, 0, r0, r1, r2, r3]
}

/// Whether a type of message reports an error. No error is reported about those (RFC 1122 §3.2.2). Types that we do
/// not know might, so that they count as errors.
pub(crate) fn is_error(kind: u8) -> bool {
    !matches!(kind, kind::ECHO | kind::ECHO_REPLY | kind::TIMESTAMP | kind::TIMESTAMP_REPLY | 15..=18)
}

/// An error that we report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// Nobody here speaks the protocol.
    ProtocolUnreachable,
    /// Nobody here listens on the port.
    PortUnreachable,
    /// The rest of a datagram has not come in time.
    ReassemblyTimeExceeded,
    /// The header is wrong at this octet.
    ParameterProblem(u8),
}

impl Error {
    /// The message's header.
    pub(crate) fn header(self) -> [u8; HEADER_LENGTH] {
        match self {
            Self::ProtocolUnreachable => header(kind::DESTINATION_UNREACHABLE, 2, [0; 4]),
            Self::PortUnreachable => header(kind::DESTINATION_UNREACHABLE, 3, [0; 4]),
            Self::ReassemblyTimeExceeded => header(kind::TIME_EXCEEDED, 1, [0; 4]),
            Self::ParameterProblem(pointer) => header(kind::PARAMETER_PROBLEM, 0, [pointer, 0, 0, 0]),
        }
    }
}

/// Why an error is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unbelievable {
    /// It quotes too little, or not a packet's beginning.
    Quotation,
    /// It says that a packet did not fit which would have fitted (RFC 5927 §7.2).
    Mtu,
}

/// Reads an error: destination unreachable, time exceeded or parameter problem. Whether the quoted packet was ours is
/// left to the caller, and whether its ports and numbers are in use to the transport (RFC 5927 §4).
pub(crate) fn parse_error<'f>(message: &Message<'f>) -> Result<ReceivedError<'f>, Unbelievable> {
    let quoted = ipv4::parse_header(message.data).map_err(|_| Unbelievable::Quotation)?;
    let transport = message.data.get(quoted.header_length..).unwrap_or_default();
    // RFC 792: 64 bits at least. Only a first fragment has ports in them.
    if transport.len() < 8 || quoted.fragment_offset != 0 {
        return Err(Unbelievable::Quotation);
    }
    let kind = match (message.kind, message.code) {
        (kind::DESTINATION_UNREACHABLE, 4) => {
            let [_, _, m0, m1] = message.rest;
            let mtu = match u16::from_be_bytes([m0, m1]) {
                // RFC 1191 §5: a router of before.
                0 => next_plateau(quoted.total_length),
                mtu => mtu.into(),
            };
            if mtu >= quoted.total_length || mtu < 68 {
                return Err(Unbelievable::Mtu);
            }
            ErrorKind::PacketTooBig(u32::try_from(mtu).unwrap_or(u32::MAX))
        }
        (kind::DESTINATION_UNREACHABLE, 2 | 3 | 9 | 10 | 13) => ErrorKind::Refused,
        _ => ErrorKind::Unreachable,
    };
    Ok(ReceivedError {
        local: IpAddr::V4(quoted.source),
        remote: IpAddr::V4(quoted.destination),
        protocol: quoted.protocol,
        kind,
        quoted: transport,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn quotation(total_length: usize, fragment_offset: usize) -> Vec<u8> {
        let header = ipv4::Header {
            header_length: 20,
            total_length,
            traffic_class: 0,
            identification: 1,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset,
            time_to_live: 1,
            protocol: 6,
            source: Ipv4Addr::new(192, 0, 2, 2),
            destination: Ipv4Addr::new(203, 0, 113, 1),
        };
        let mut bytes = header.emit(&[]).to_vec();
        bytes.extend_from_slice(&[0, 80, 1, 2, 3, 4, 5, 6]);
        bytes
    }

    fn error(kind: u8, code: u8, mtu: u16, data: &[u8]) -> Result<ErrorKind, Unbelievable> {
        let [m0, m1] = mtu.to_be_bytes();
        parse_error(&Message { kind, code, rest: [0, 0, m0, m1], data }).map(|error| error.kind)
    }

    #[test]
    fn codes_mean_what_rfc_1122_section_4_2_3_9_says() {
        let quoted = quotation(1500, 0);
        for (kind, code, expected) in [
            (3, 0, ErrorKind::Unreachable),
            (3, 1, ErrorKind::Unreachable),
            (3, 2, ErrorKind::Refused),
            (3, 3, ErrorKind::Refused),
            (3, 5, ErrorKind::Unreachable),
            (3, 13, ErrorKind::Refused),
            (11, 0, ErrorKind::Unreachable),
            (11, 1, ErrorKind::Unreachable),
            (12, 0, ErrorKind::Unreachable),
        ] {
            assert_eq!(error(kind, code, 0, &quoted), Ok(expected), "type {kind}, code {code}");
        }
    }

    #[test]
    fn a_reported_mtu_is_taken_or_guessed_when_it_can_be_true() {
        let quoted = quotation(1500, 0);
        assert_eq!(error(3, 4, 1400, &quoted), Ok(ErrorKind::PacketTooBig(1400)));
        // RFC 1191 §5 and §7.
        assert_eq!(error(3, 4, 0, &quoted), Ok(ErrorKind::PacketTooBig(1492)));
        // RFC 5927 §7.2.
        assert_eq!(error(3, 4, 1500, &quoted), Err(Unbelievable::Mtu));
        assert_eq!(error(3, 4, 67, &quoted), Err(Unbelievable::Mtu));
    }

    #[test]
    fn a_quotation_needs_the_ports() {
        let quoted = quotation(1500, 0);
        assert_eq!(error(3, 3, 0, &quoted[..27]), Err(Unbelievable::Quotation));
        assert_eq!(error(3, 3, 0, &quotation(1500, 8)), Err(Unbelievable::Quotation));
        assert_eq!(error(3, 3, 0, &[]), Err(Unbelievable::Quotation));
    }

    #[test]
    fn short_messages_and_wrong_checksums_are_refused() {
        let mut message = header(kind::ECHO, 0, [1, 2, 3, 4]);
        assert_eq!(parse(&message), Err(Malformed::Checksum));
        let sum = checksum(&message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
        assert_eq!(parse(&message), Ok(Message { kind: kind::ECHO, code: 0, rest: [1, 2, 3, 4], data: &[] }));
        assert_eq!(parse(&message[..7]), Err(Malformed::TooShort));
    }

    proptest! {
        #[test]
        fn any_octets_parse_or_not_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in any::<u8>(), code in any::<u8>()
        ) {
            let _ = parse(&bytes);
            let _ = parse_error(&Message { kind, code, rest: [0; 4], data: &bytes });
        }
    }
}
