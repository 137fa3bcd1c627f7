//! IPv4 headers (RFC 791 §3.1).
//!
//! Responsible for reading and writing a header, and for the structure of its options. Not for what an address means
//! or where a packet goes.

use std::net::Ipv4Addr;

use super::checksum::{Sum, checksum};
use super::fragment::Piece;

/// Octets of a header without options.
pub(crate) const HEADER_LENGTH: usize = 20;

/// The most octets of options (the header's length has four bits).
pub(crate) const MAXIMUM_OPTIONS: usize = 40;

/// The most octets of a packet, header included.
pub(crate) const MAXIMUM_LENGTH: usize = 65_535;

/// The bit of the flags and fragment offset word that forbids fragmentation.
const DONT_FRAGMENT: u16 = 0x4000;
/// The bit that says that this is not the last fragment.
const MORE_FRAGMENTS: u16 = 0x2000;
/// The bits of the fragment offset, in units of eight octets.
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// A header, without its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Octets of the header, options included.
    pub(crate) header_length: usize,
    /// Octets of the packet.
    pub(crate) total_length: usize,
    /// Diffserv code point and ECN.
    pub(crate) traffic_class: u8,
    /// Tells the datagrams apart whose fragments may mix.
    pub(crate) identification: u16,
    /// Whether no router may cut the packet.
    pub(crate) dont_fragment: bool,
    /// Whether more of the datagram follows behind this.
    pub(crate) more_fragments: bool,
    /// Octets of the datagram in front of this: a multiple of eight.
    pub(crate) fragment_offset: usize,
    /// The hops that are left.
    pub(crate) time_to_live: u8,
    /// What the packet carries.
    pub(crate) protocol: u8,
    /// Where it comes from.
    pub(crate) source: Ipv4Addr,
    /// Where it goes to.
    pub(crate) destination: Ipv4Addr,
}

/// Why octets are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Shorter than a header.
    TooShort,
    /// Not version 4.
    Version,
    /// The header length is below the smallest, or beyond the octets.
    HeaderLength,
    /// The header's checksum is wrong.
    Checksum,
    /// The total length is below the header's, or beyond the octets.
    TotalLength,
}

/// A packet taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'f> {
    /// Its header, read.
    pub(crate) header: Header,
    /// Its header, as it came, with options.
    pub(crate) header_octets: &'f [u8],
    /// What it carries, without the padding of the frame.
    pub(crate) payload: &'f [u8],
}

/// Reads a packet and verifies its header. Octets behind its total length are the frame's padding.
pub(crate) fn parse(bytes: &[u8]) -> Result<Packet<'_>, Malformed> {
    let header = parse_header(bytes)?;
    let (header_octets, rest) = bytes.split_at_checked(header.header_length).ok_or(Malformed::HeaderLength)?;
    if checksum(header_octets) != 0 {
        return Err(Malformed::Checksum);
    }
    let length = header.total_length.checked_sub(header.header_length).ok_or(Malformed::TotalLength)?;
    let payload = rest.get(..length).ok_or(Malformed::TotalLength)?;
    Ok(Packet { header, header_octets, payload })
}

/// Reads a header alone, as an ICMP error quotes one: the packet may be cut behind it, and routers on the way have
/// changed what the checksum covers.
pub(crate) fn parse_header(bytes: &[u8]) -> Result<Header, Malformed> {
    let fixed = bytes.first_chunk::<HEADER_LENGTH>().ok_or(Malformed::TooShort)?;
    let &[version, traffic_class, l0, l1, i0, i1, f0, f1, time_to_live, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        fixed;
    if version >> 4 != 4 {
        return Err(Malformed::Version);
    }
    let header_length = usize::from(version & 0x0f) * 4;
    if header_length < HEADER_LENGTH || header_length > bytes.len() {
        return Err(Malformed::HeaderLength);
    }
    let fragment = u16::from_be_bytes([f0, f1]);
    Ok(Header {
        header_length,
        total_length: u16::from_be_bytes([l0, l1]).into(),
        traffic_class,
        identification: u16::from_be_bytes([i0, i1]),
        dont_fragment: fragment & DONT_FRAGMENT != 0,
        more_fragments: fragment & MORE_FRAGMENTS != 0,
        fragment_offset: usize::from(fragment & FRAGMENT_OFFSET) * 8,
        time_to_live,
        protocol,
        source: Ipv4Addr::new(s0, s1, s2, s3),
        destination: Ipv4Addr::new(d0, d1, d2, d3),
    })
}

impl Header {
    /// Whether the packet is a piece of a datagram.
    pub(crate) fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }

    /// The header of a fragment. Options are in the first one's only: those that we send are not of the kind that is
    /// copied.
    pub(crate) fn of_fragment(&self, piece: &Piece<'_>) -> Self {
        let header_length = if piece.offset == 0 { self.header_length } else { HEADER_LENGTH };
        Self {
            header_length,
            total_length: header_length + piece.length,
            more_fragments: piece.more,
            fragment_offset: piece.offset,
            ..*self
        }
    }

    /// The room for data in the first fragment and in the others.
    pub(crate) fn fragment_room(&self, mtu: usize) -> (usize, usize) {
        (mtu.saturating_sub(self.header_length), mtu.saturating_sub(HEADER_LENGTH))
    }

    /// The octets in front of the options, with a checksum that covers those. Lengths beyond their fields are the
    /// caller's error; they are cut to their lower bits.
    #[expect(clippy::cast_possible_truncation, reason = "the caller keeps packets within 65,535 octets")]
    pub(crate) fn emit(&self, options: &[u8]) -> [u8; HEADER_LENGTH] {
        let [l0, l1] = (self.total_length as u16).to_be_bytes();
        let [i0, i1] = self.identification.to_be_bytes();
        let mut fragment = (self.fragment_offset / 8) as u16 & FRAGMENT_OFFSET;
        if self.dont_fragment {
            fragment |= DONT_FRAGMENT;
        }
        if self.more_fragments {
            fragment |= MORE_FRAGMENTS;
        }
        let [f0, f1] = fragment.to_be_bytes();
        let [s0, s1, s2, s3] = self.source.octets();
        let [d0, d1, d2, d3] = self.destination.octets();
        let mut octets = [
            0x40 | (self.header_length / 4) as u8 & 0x0f,
            self.traffic_class,
            l0,
            l1,
            i0,
            i1,
            f0,
            f1,
            self.time_to_live,
            self.protocol,
            0,
            0,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
        ];
        let mut sum = Sum::new();
        sum.add(&octets);
        sum.add(options);
        let [c0, c1] = sum.checksum().to_be_bytes();
        octets[10] = c0;
        octets[11] = c1;
        octets
    }
}

/// What is wrong with a header's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionError {
    /// One that is not built as an option is; the pointer for a parameter problem, in octets from the header's first.
    Malformed(u8),
    /// A source route. It would let a stranger choose the way of our answers, so that it is refused.
    SourceRoute,
}

/// Goes through the options of a header (RFC 791 §3.1). Those that we do not know are skipped (RFC 1122 §3.2.1.8).
#[expect(clippy::cast_possible_truncation, reason = "a header has 60 octets at most")]
pub(crate) fn check_options(header_octets: &[u8]) -> Result<(), OptionError> {
    /// End of option list, and no operation: one octet each.
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    /// Loose and strict source route.
    const SOURCE_ROUTES: [u8; 2] = [131, 137];

    let mut at = HEADER_LENGTH;
    while let Some(&kind) = header_octets.get(at) {
        match kind {
            END => break,
            NO_OPERATION => at += 1,
            kind => {
                let length = header_octets.get(at + 1).copied().map_or(0, usize::from);
                if length < 2 || at + length > header_octets.len() {
                    return Err(OptionError::Malformed(at as u8 + 1));
                }
                if SOURCE_ROUTES.contains(&kind) {
                    return Err(OptionError::SourceRoute);
                }
                at += length;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
