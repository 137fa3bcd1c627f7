//! Packets: what RFC 1350 §5 and RFC 2347 put on the wire.
//!
//! Responsible for the layout alone. What an option means is in `options`, what a packet does in the transfers.

use smallvec::SmallVec;

/// Bytes of a DATA packet before its data (RFC 1350 §5).
pub(crate) const DATA_HEADER: usize = 4;

/// The longest text that an ERROR is sent with, in bytes.
const MAXIMUM_TEXT: usize = 400;

const READ_REQUEST: u16 = 1;
const WRITE_REQUEST: u16 = 2;
const DATA: u16 = 3;
const ACKNOWLEDGMENT: u16 = 4;
const ERROR: u16 = 5;
const OPTION_ACKNOWLEDGMENT: u16 = 6;

/// One packet as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// RRQ or WRQ.
    Request(Request<'a>),
    /// DATA.
    Data { block: u16, data: &'a [u8] },
    /// ACK.
    Acknowledgment { block: u16 },
    /// ERROR.
    Error { code: u16, text: &'a [u8] },
    /// OACK; only a server sends these.
    OptionAcknowledgment,
}

/// RRQ or WRQ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) direction: Direction,
    pub(crate) name: &'a [u8],
    pub(crate) mode: &'a [u8],
    /// Names and values in the order in which they came.
    pub(crate) options: SmallVec<[(&'a [u8], &'a [u8]); 4]>,
}

/// Which way a file goes, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// RRQ: from us to the client.
    Read,
    /// WRQ: from the client to us.
    Write,
}

impl Direction {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Not a TFTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It has no whole header, or an opcode that does not exist.
    Packet,
    /// It is a request whose fields do not end (RFC 1350 §5).
    Request,
}

/// Whether a packet is an RRQ or WRQ, of whatever length.
pub(crate) fn is_request(payload: &[u8]) -> bool {
    matches!(number(payload), Some((READ_REQUEST | WRITE_REQUEST, _)))
}

impl<'a> Packet<'a> {
    /// Reads a packet.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let (opcode, rest) = number(payload).ok_or(Malformed::Packet)?;
        match opcode {
            READ_REQUEST => Request::parse(Direction::Read, rest).map(Self::Request),
            WRITE_REQUEST => Request::parse(Direction::Write, rest).map(Self::Request),
            DATA => number(rest).map(|(block, data)| Self::Data { block, data }).ok_or(Malformed::Packet),
            ACKNOWLEDGMENT => number(rest).map(|(block, _)| Self::Acknowledgment { block }).ok_or(Malformed::Packet),
            // Many senders leave out the NUL at the end of the text.
            ERROR => {
                let (code, text) = number(rest).ok_or(Malformed::Packet)?;
                Ok(Self::Error { code, text: text.split(|byte| *byte == 0).next().unwrap_or_default() })
            }
            OPTION_ACKNOWLEDGMENT => Ok(Self::OptionAcknowledgment),
            _ => Err(Malformed::Packet),
        }
    }
}

impl<'a> Request<'a> {
    fn parse(direction: Direction, rest: &'a [u8]) -> Result<Self, Malformed> {
        let (name, rest) = field(rest).ok_or(Malformed::Request)?;
        let (mode, mut rest) = field(rest).ok_or(Malformed::Request)?;
        let mut options = SmallVec::new();
        // Some boot ROMs pad a request with NULs; an option without a name is such padding.
        while !matches!(rest.first(), None | Some(0)) {
            let (option, after) = field(rest).ok_or(Malformed::Request)?;
            let (value, after) = field(after).ok_or(Malformed::Request)?;
            options.push((option, value));
            rest = after;
        }
        Ok(Self { direction, name, mode, options })
    }
}

/// The codes of RFC 1350's appendix, and RFC 2347's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    NotDefined = 0,
    FileNotFound = 1,
    AccessViolation = 2,
    DiskFull = 3,
    IllegalOperation = 4,
    UnknownTransferId = 5,
    FileExists = 6,
    OptionNegotiation = 8,
}

/// An ERROR packet. Its text ends where it becomes too long.
pub(crate) fn error(code: ErrorCode, text: &str) -> Vec<u8> {
    error_of(code as u16, text)
}

/// The same with any code.
pub(crate) fn error_of(code: u16, text: &str) -> Vec<u8> {
    let mut packet = Vec::with_capacity(DATA_HEADER + text.len().min(MAXIMUM_TEXT) + 1);
    packet.extend_from_slice(&ERROR.to_be_bytes());
    packet.extend_from_slice(&code.to_be_bytes());
    packet.extend(text.bytes().take(MAXIMUM_TEXT).filter(|byte| *byte != 0));
    packet.push(0);
    packet
}

/// An ACK packet.
pub(crate) fn acknowledgment(block: u16) -> [u8; 4] {
    header(ACKNOWLEDGMENT, block)
}

/// What stands before the data in a DATA packet.
pub(crate) fn data_header(block: u16) -> [u8; DATA_HEADER] {
    header(DATA, block)
}

/// The start of an OACK packet; options follow by [`push_option`].
pub(crate) fn option_acknowledgment() -> Vec<u8> {
    OPTION_ACKNOWLEDGMENT.to_be_bytes().to_vec()
}

/// Appends an option and its value to an OACK.
pub(crate) fn push_option(packet: &mut Vec<u8>, name: &[u8], value: u64) {
    packet.extend_from_slice(name);
    packet.push(0);
    packet.extend_from_slice(value.to_string().as_bytes());
    packet.push(0);
}

fn header(opcode: u16, block: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (opcode.to_be_bytes(), block.to_be_bytes());
    [a, b, c, d]
}

fn number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u16::from_be_bytes(*number), rest))
}

/// A field that ends with a NUL, and what follows it.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_with_options() {
        let Ok(Packet::Request(request)) = Packet::parse(b"\0\x01foofile\0octet\0blksize\x001432\0tsize\x000\0") else {
            panic!("not a request");
        };
        assert_eq!((request.direction, request.name, request.mode), (Direction::Read, &b"foofile"[..], &b"octet"[..]));
        assert_eq!(request.options[..], [(&b"blksize"[..], &b"1432"[..]), (b"tsize", b"0")]);
    }

    #[test]
    fn a_request_padded_with_nuls() {
        let Ok(Packet::Request(request)) = Packet::parse(b"\0\x02f\0octet\0\0\0\0") else { panic!("not a request") };
        assert!(request.options.is_empty());
    }

    #[test]
    fn fields_that_do_not_end() {
        for wrong in
            [&b"\0\x01"[..], b"\0\x01f", b"\0\x01f\0octet", b"\0\x01f\0octet\0blksize\0", b"\0\x02f\0o\0b\x008"]
        {
            assert_eq!(Packet::parse(wrong), Err(Malformed::Request), "{wrong:?}");
        }
        for wrong in [&b""[..], b"\0", b"\0\x03\0", b"\0\x04\0", b"\0\x05\0", b"\0\0", b"\0\x07\0\0"] {
            assert_eq!(Packet::parse(wrong), Err(Malformed::Packet), "{wrong:?}");
        }
    }

    #[test]
    fn the_packets_of_rfc_1350() {
        assert_eq!(acknowledgment(0x1234), [0, 4, 0x12, 0x34]);
        assert_eq!(data_header(1), [0, 3, 0, 1]);
        assert_eq!(error(ErrorCode::FileNotFound, "no"), b"\0\x05\0\x01no\0");
        assert_eq!(Packet::parse(b"\0\x03\0\x01abc"), Ok(Packet::Data { block: 1, data: b"abc" }));
        assert_eq!(Packet::parse(b"\0\x05\0\x01no"), Ok(Packet::Error { code: 1, text: b"no" }));
        let mut oack = option_acknowledgment();
        push_option(&mut oack, b"BlkSize", 1432);
        assert_eq!(oack, b"\0\x06BlkSize\x001432\0");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Packet::parse(&bytes);
        }

        #[test]
        fn a_request_gives_back_its_fields(
            name in "[^\0]{0,40}", mode in "[^\0]{0,10}",
            options in proptest::collection::vec(("[^\0]{1,10}", "[^\0]{0,10}"), 0..12),
        ) {
            let mut bytes = format!("\0\u{1}{name}\0{mode}\0");
            for (option, value) in &options {
                bytes.push_str(&format!("{option}\0{value}\0"));
            }
            let Ok(Packet::Request(request)) = Packet::parse(bytes.as_bytes()) else { panic!("not a request") };
            prop_assert_eq!((request.name, request.mode), (name.as_bytes(), mode.as_bytes()));
            let expected: Vec<_> = options.iter().map(|(option, value)| (option.as_bytes(), value.as_bytes())).collect();
            prop_assert_eq!(request.options.to_vec(), expected);
        }
    }
}
