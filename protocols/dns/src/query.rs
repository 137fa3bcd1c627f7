//! The message that comes in.
//!
//! Responsible for reading a query in place, without allocating: the header and its counts first, then the question,
//! then what EDNS adds (RFC 6891). Not for answering it.
//!
//! hickory-proto's decoder is not used on this way: it allocates, and logs a warning for each malformed option, at the
//! rate at which somebody sends them. It is the oracle in the tests instead.

use crate::cookie::CLIENT;
use crate::edns::{COOKIE, KEEPALIVE, NSID};
use crate::name::LookupName;
use crate::zone::RecordType;

/// Octets of a message's header (RFC 1035 §4.1.1).
pub(crate) const HEADER: usize = 12;

/// The header's second word (RFC 1035 §4.1.1, RFC 4035 §3.2.2 for CD).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u16);

impl Flags {
    pub(crate) const RESPONSE: u16 = 0x8000;
    const OPCODE: u16 = 0x7800;
    pub(crate) const AUTHORITATIVE: u16 = 0x0400;
    pub(crate) const TRUNCATED: u16 = 0x0200;
    const RECURSION_DESIRED: u16 = 0x0100;
    const CHECKING_DISABLED: u16 = 0x0010;

    /// The flags of a response to a query with these: opcode, RD and CD are copied.
    pub(crate) fn response(self) -> u16 {
        Self::RESPONSE | self.0 & (Self::OPCODE | Self::RECURSION_DESIRED | Self::CHECKING_DISABLED)
    }

    fn opcode(self) -> u16 {
        (self.0 & Self::OPCODE) >> 11
    }
}

/// What is read of a message before anything else: its first 12 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: u16,
    pub(crate) flags: Flags,
    /// QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT.
    counts: [u16; 4],
}

/// A question (RFC 1035 §4.1.2).
pub(crate) struct Question<'p> {
    /// Name, type and class as they came: sent back octet by octet, so the case of the name is kept (RFC 4343 §4.1).
    pub(crate) wire: &'p [u8],
    pub(crate) name: LookupName,
    pub(crate) kind: RecordType,
    pub(crate) class: u16,
}

/// What the OPT record of a query says (RFC 6891 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    /// The largest response that the client takes, in octets.
    pub(crate) payload_size: u16,
    pub(crate) version: u8,
    /// The DO bit (RFC 3225).
    pub(crate) dnssec_ok: bool,
    /// Whether the client wants to know how long it may keep a TCP connection (RFC 7828).
    pub(crate) keepalive: bool,
    /// Whether the client wants to know the name server's identifier (RFC 5001).
    pub(crate) nsid: bool,
    /// The client's cookie (RFC 7873). What it holds of ours is not needed: everybody is answered, and given a new one.
    pub(crate) cookie: Option<[u8; CLIENT]>,
}

/// A query.
pub(crate) struct Query<'p> {
    pub(crate) question: Question<'p>,
    pub(crate) edns: Option<Edns>,
}

/// Why a message is not answered as a query.
pub(crate) enum Refusal<'p> {
    /// Not at all: it is too short to tell whom to answer what, or is itself a response. To answer a response would let
    /// two servers talk to each other for ever.
    Silence(Silence),
    /// With FORMERR; the question, in wire format, is sent back where it could be read.
    FormatError(Header, Option<&'p [u8]>),
    /// With NOTIMP: its opcode is not QUERY, so its sections may mean anything.
    NotImplemented(Header),
}

/// Why a message is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    Short,
    Response,
}

/// Reads a message up to its question, and to the OPT record.
#[inline]
pub(crate) fn read(packet: &[u8]) -> Result<(Header, Query<'_>), Refusal<'_>> {
    let header = header(packet).map_err(Refusal::Silence)?;
    if header.flags.opcode() != 0 {
        return Err(Refusal::NotImplemented(header));
    }
    let [questions, answers, authorities, additionals] = header.counts;
    if questions != 1 || answers != 0 || authorities > 1 || additionals > 2 {
        return Err(Refusal::FormatError(header, None));
    }
    let (question, mut rest) = question(packet).ok_or(Refusal::FormatError(header, None))?;
    let wire = question.wire;
    let malformed = || Refusal::FormatError(header, Some(wire));
    // Only an IXFR query has an authority section: the SOA record that the client has (RFC 1995 §3).
    if authorities == 1 {
        if question.kind != RecordType::IXFR {
            return Err(malformed());
        }
        rest = record(rest).ok_or_else(malformed)?.rest;
    }
    let mut edns = None;
    for _ in 0..additionals {
        let record = record(rest).ok_or_else(malformed)?;
        rest = record.rest;
        if record.kind != RecordType::OPT {
            continue;
        }
        // RFC 6891 §6.1.1: one OPT record at most, and its name is the root.
        if edns.is_some() || !record.root {
            return Err(malformed());
        }
        edns = Some(options(&record).ok_or_else(malformed)?);
    }
    Ok((header, Query { question, edns }))
}

fn header(packet: &[u8]) -> Result<Header, Silence> {
    let Some(octets) = packet.first_chunk::<HEADER>() else { return Err(Silence::Short) };
    let [i0, i1, f0, f1, q0, q1, a0, a1, n0, n1, r0, r1] = *octets;
    let flags = Flags(u16::from_be_bytes([f0, f1]));
    if flags.0 & Flags::RESPONSE != 0 {
        return Err(Silence::Response);
    }
    let counts = [[q0, q1], [a0, a1], [n0, n1], [r0, r1]].map(u16::from_be_bytes);
    Ok(Header { id: u16::from_be_bytes([i0, i1]), flags, counts })
}

/// The question, and what follows it. Its name cannot be compressed: no name comes before it.
#[inline]
fn question(packet: &[u8]) -> Option<(Question<'_>, &[u8])> {
    let rest = packet.get(HEADER..)?;
    let name = LookupName::read(rest).ok()?;
    let (wire, after) = rest.split_at_checked(name.as_wire().len() + 4)?;
    let [t0, t1, c0, c1] = *wire.last_chunk()?;
    let kind = RecordType(u16::from_be_bytes([t0, t1]));
    Some((Question { wire, name, kind, class: u16::from_be_bytes([c0, c1]) }, after))
}

/// A record of the authority or additional section.
struct RawRecord<'p> {
    /// Whether it is owned by the root.
    root: bool,
    kind: RecordType,
    class: u16,
    ttl: u32,
    data: &'p [u8],
    rest: &'p [u8],
}

fn record(octets: &[u8]) -> Option<RawRecord<'_>> {
    let (root, rest) = skip_name(octets)?;
    let (fixed, rest) = rest.split_first_chunk::<10>()?;
    let [t0, t1, c0, c1, l0, l1, l2, l3, d0, d1] = *fixed;
    let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([d0, d1])))?;
    Some(RawRecord {
        root,
        kind: RecordType(u16::from_be_bytes([t0, t1])),
        class: u16::from_be_bytes([c0, c1]),
        ttl: u32::from_be_bytes([l0, l1, l2, l3]),
        data,
        rest,
    })
}

/// Whether a name is the root, and what follows it. A pointer ends a name, and is not followed: nobody asks where to.
fn skip_name(octets: &[u8]) -> Option<(bool, &[u8])> {
    let mut rest = octets;
    let mut length: usize = 0;
    loop {
        match rest {
            [0, after @ ..] => return Some((length == 0, after)),
            [0xc0..=0xff, _, after @ ..] => return Some((false, after)),
            [label @ 1..=63, after @ ..] => {
                rest = after.get(usize::from(*label)..)?;
                length += 1 + usize::from(*label);
                if length > crate::name::MAXIMUM_NAME {
                    return None;
                }
            }
            _ => return None,
        }
    }
}

/// The OPT record's parts (RFC 6891 §6.1.2, §6.1.3). Unknown options are passed over.
fn options(record: &RawRecord<'_>) -> Option<Edns> {
    let [_, version, flags, _] = record.ttl.to_be_bytes();
    let mut edns = Edns {
        payload_size: record.class,
        version,
        dnssec_ok: flags & 0x80 != 0,
        keepalive: false,
        nsid: false,
        cookie: None,
    };
    let mut rest = record.data;
    while !rest.is_empty() {
        let (fixed, after) = rest.split_first_chunk::<4>()?;
        let [c0, c1, l0, l1] = *fixed;
        let (data, after) = after.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        match u16::from_be_bytes([c0, c1]) {
            KEEPALIVE => edns.keepalive = true,
            NSID => edns.nsid = true,
            // RFC 7873 §5.2.2: 8 octets, or 8 and 8 to 32 more. Only the first cookie counts (§5.2).
            COOKIE if !matches!(data.len(), 8 | 16..=40) => return None,
            COOKIE if edns.cookie.is_none() => edns.cookie = data.first_chunk().copied(),
            _ => {}
        }
        rest = after;
    }
    Some(edns)
}
