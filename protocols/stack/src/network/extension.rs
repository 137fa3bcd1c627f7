//! The extension headers of IPv6 (RFC 8200 §4).
//!
//! Responsible for the way from the fixed header to what the packet carries: which headers may stand there, in which
//! order, how long they may be, and what options that nobody knows ask for. Not for fragments, and not for the errors
//! that come of it.
//!
//! - The order is that of RFC 8200 §4.1, each header at most once but destination options, which may come twice; a
//!   host that takes any order and number (as §4.1 allows) lets a stranger decide how much work a packet is.
//! - Limits are those of RFC 8504 §5.3: eight options a header, and 256 octets for all headers in front of the payload.

use super::ipv6::{HEADER_LENGTH, NEXT_HEADER_OFFSET};

/// The numbers of extension headers.
pub(crate) mod next_header {
    /// Hop-by-hop options.
    pub(crate) const HOP_BY_HOP: u8 = 0;
    /// Routing.
    pub(crate) const ROUTING: u8 = 43;
    /// A fragment.
    pub(crate) const FRAGMENT: u8 = 44;
    /// Nothing follows.
    pub(crate) const NONE: u8 = 59;
    /// Options for the destination.
    pub(crate) const DESTINATION_OPTIONS: u8 = 60;
}

/// Octets of a fragment header.
pub(crate) const FRAGMENT_HEADER_LENGTH: usize = 8;

/// RFC 8504 §5.3.
const MAXIMUM_OPTIONS: usize = 8;
const MAXIMUM_LENGTH: usize = 256;

/// Options that are known. Others are treated as their highest two bits say.
mod option {
    pub(super) const PAD1: u8 = 0;
    pub(super) const PADN: u8 = 1;
    pub(super) const ROUTER_ALERT: u8 = 5;
}

/// What a packet carries behind its extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// A protocol's packet.
    Upper {
        /// The protocol.
        protocol: u8,
        /// Where it begins.
        offset: usize,
        /// Where its number stands.
        pointer: usize,
    },
    /// A fragment header.
    Fragment {
        /// What it says.
        fragment: FragmentHeader,
        /// Where it begins.
        offset: usize,
    },
}

/// A fragment header (RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FragmentHeader {
    /// What stands behind it, if it is the first one.
    pub(crate) next_header: u8,
    /// Octets of the fragmentable part in front of this: a multiple of eight.
    pub(crate) offset: usize,
    /// Whether more follows behind this.
    pub(crate) more: bool,
    /// Tells the packets apart whose fragments may mix.
    pub(crate) identification: u32,
}

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Cut short, or a header that goes beyond the packet: nobody is told, since nothing can be trusted.
    TooShort,
    /// A header may not stand where this number names it: to us its number is unknown there (RFC 8200 §4, parameter
    /// problem, code 1).
    Order(usize),
    /// An option that does not fit its header (code 0).
    Header(usize),
    /// A routing header of type 0 with segments left (RFC 5095), or of any other type, as we know none (code 0).
    Routing(usize),
    /// An option that we do not know and that wants the packet dropped. Its sender is told of it at this pointer
    /// (parameter problem, code 2), and for a multicast packet only when `even_for_group`.
    Option {
        /// Where the option begins.
        pointer: usize,
        /// The highest two bits were 10.
        even_for_group: bool,
    },
    /// An option that we do not know and that wants the packet dropped in silence: the highest two bits were 01.
    SilentOption,
    /// More or longer headers than RFC 8504 §5.3 wants a host to put up with.
    Limit,
}

/// Whether a header stands behind those that must stand in front of it.
fn rank(header: u8, routing_seen: bool) -> Option<u8> {
    match header {
        next_header::HOP_BY_HOP => Some(0),
        next_header::DESTINATION_OPTIONS if !routing_seen => Some(1),
        next_header::ROUTING => Some(2),
        next_header::FRAGMENT => Some(3),
        next_header::DESTINATION_OPTIONS => Some(5),
        _ => None,
    }
}

/// Walks from the header that `pointer` names, and that begins at `offset`, to what the packet carries. `octets` are
/// the packet's from the fixed header's first on.
pub(crate) fn walk(octets: &[u8], next: u8, offset: usize, pointer: usize) -> Result<Carried, Problem> {
    let start = offset;
    let (mut next, mut offset, mut pointer) = (next, offset, pointer);
    let mut last_rank = None;
    let mut routing_seen = false;
    let mut destination_options = 0;
    loop {
        let Some(mut rank) = rank(next, routing_seen) else {
            return Ok(Carried::Upper { protocol: next, offset, pointer });
        };
        // Destination options without a routing header behind them are those of the end: nothing but the upper layer
        // follows them, or one header of the same kind if they were meant for the routers on the way.
        if next == next_header::DESTINATION_OPTIONS {
            destination_options += 1;
            if destination_options == 2 {
                rank = 5;
            }
        }
        let misplaced = next == next_header::HOP_BY_HOP && pointer != NEXT_HEADER_OFFSET;
        if misplaced || last_rank.is_some_and(|last| last >= rank) || destination_options > 2 {
            return Err(Problem::Order(pointer));
        }
        last_rank = Some(rank);
        let rest = octets.get(offset..).ok_or(Problem::TooShort)?;
        if next == next_header::FRAGMENT {
            let fragment = parse_fragment(rest).ok_or(Problem::TooShort)?;
            return Ok(Carried::Fragment { fragment, offset });
        }
        let (&[following, units], _) = rest.split_first_chunk::<2>().ok_or(Problem::TooShort)?;
        let length = (usize::from(units) + 1) * 8;
        if offset - start + length > MAXIMUM_LENGTH {
            return Err(Problem::Limit);
        }
        let header = rest.get(..length).ok_or(Problem::TooShort)?;
        if next == next_header::ROUTING {
            routing_seen = true;
            // RFC 8200 §4.4: without segments left the header is skipped, whatever its type. We know no type.
            if header.get(3).is_some_and(|&segments_left| segments_left != 0) {
                return Err(Problem::Routing(offset + 2));
            }
        } else {
            check_options(header, offset)?;
        }
        (next, pointer, offset) = (following, offset, offset + length);
    }
}

/// Whether a number is that of an extension header that we walk.
pub(crate) fn is_extension(number: u8) -> bool {
    rank(number, false).is_some()
}

/// Walks a whole packet.
pub(crate) fn walk_packet(octets: &[u8]) -> Result<Carried, Problem> {
    let next = *octets.get(NEXT_HEADER_OFFSET).ok_or(Problem::TooShort)?;
    walk(octets, next, HEADER_LENGTH, NEXT_HEADER_OFFSET)
}

/// Goes through the options of a header (RFC 8200 §4.2).
fn check_options(header: &[u8], offset: usize) -> Result<(), Problem> {
    let mut at = 2;
    let mut count = 0;
    let mut padding = 0;
    while let Some(&kind) = header.get(at) {
        if kind == option::PAD1 {
            padding += 1;
            at += 1;
        } else {
            let length = header.get(at + 1).copied().map(usize::from).ok_or(Problem::Header(offset + at))?;
            let data = header.get(at + 2..at + 2 + length).ok_or(Problem::Header(offset + at + 1))?;
            match kind {
                option::PADN => {
                    padding += 2 + length;
                    // RFC 8504 §5.3: padding that says something is no padding.
                    if data.iter().any(|&octet| octet != 0) {
                        return Err(Problem::Limit);
                    }
                }
                option::ROUTER_ALERT => (count, padding) = (count + 1, 0),
                _ => {
                    (count, padding) = (count + 1, 0);
                    match kind >> 6 {
                        0b00 => {}
                        0b01 => return Err(Problem::SilentOption),
                        bits => return Err(Problem::Option { pointer: offset + at, even_for_group: bits == 0b10 }),
                    }
                }
            }
            at += 2 + length;
        }
        // RFC 8504 §5.3: no more than seven octets of padding are ever needed in a row.
        if count > MAXIMUM_OPTIONS || padding > 7 {
            return Err(Problem::Limit);
        }
    }
    Ok(())
}

/// Whether a packet's hop-by-hop options hold a router alert (RFC 2711): what queries and reports of groups must have.
pub(crate) fn has_router_alert(octets: &[u8]) -> bool {
    let Some(header) = octets.get(HEADER_LENGTH..) else { return false };
    if octets.get(NEXT_HEADER_OFFSET) != Some(&next_header::HOP_BY_HOP) {
        return false;
    }
    let Some(&units) = header.get(1) else { return false };
    let end = (usize::from(units) + 1) * 8;
    let mut at = 2;
    while at < end {
        match (header.get(at), header.get(at + 1)) {
            (Some(&option::PAD1), _) => at += 1,
            (Some(&option::ROUTER_ALERT), _) => return true,
            (Some(_), Some(&length)) => at += 2 + usize::from(length),
            _ => return false,
        }
    }
    false
}

fn parse_fragment(octets: &[u8]) -> Option<FragmentHeader> {
    let &[next_header, _, o0, o1, i0, i1, i2, i3] = octets.first_chunk::<FRAGMENT_HEADER_LENGTH>()?;
    let offset = u16::from_be_bytes([o0, o1]);
    Some(FragmentHeader {
        next_header,
        offset: usize::from(offset & !7),
        more: offset & 1 != 0,
        identification: u32::from_be_bytes([i0, i1, i2, i3]),
    })
}

impl FragmentHeader {
    /// The octets. An offset beyond its field is the caller's error; it is cut to its lower bits.
    #[expect(clippy::cast_possible_truncation, reason = "the caller keeps packets within 65,535 octets")]
    pub(crate) fn emit(&self) -> [u8; FRAGMENT_HEADER_LENGTH] {
        let [o0, o1] = (self.offset as u16 & !7 | u16::from(self.more)).to_be_bytes();
        let [i0, i1, i2, i3] = self.identification.to_be_bytes();
        [self.next_header, 0, o0, o1, i0, i1, i2, i3]
    }
}

#[cfg(test)]
mod tests;
