//! The segment: TCP's header on the wire (RFC 9293 §3.1).
//!
//! Responsible for taking a header apart and for writing one. Options are in [`options`](super::options), the checksum in
//! [`checksum`](super::checksum). Not for what a segment means to a connection.

use std::fmt;
use std::ops::BitOr;

use super::options::{Options, TIMESTAMPS_SPACE};
use super::sequence::SequenceNumber;
use crate::Payload;

/// Octets of a header without options.
pub(crate) const HEADER_LENGTH: usize = 20;
/// Octets of the longest header: the data offset counts 15 words.
pub(crate) const MAXIMUM_HEADER_LENGTH: usize = 60;
/// Octets from the header's first to its checksum.
pub(crate) const CHECKSUM_OFFSET: usize = 16;

/// The control bits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u8);

impl Flags {
    pub(crate) const FIN: Self = Self(0x01);
    pub(crate) const SYN: Self = Self(0x02);
    pub(crate) const RST: Self = Self(0x04);
    pub(crate) const PSH: Self = Self(0x08);
    pub(crate) const ACK: Self = Self(0x10);
    pub(crate) const URG: Self = Self(0x20);
    pub(crate) const ECE: Self = Self(0x40);
    pub(crate) const CWR: Self = Self(0x80);

    /// Whether all of `flags` are set.
    pub(crate) const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The octets of sequence space that SYN and FIN take: one each.
    pub(crate) const fn sequence_length(self) -> u32 {
        self.contains(Self::SYN) as u32 + self.contains(Self::FIN) as u32
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
        let set = NAMES.iter().enumerate().filter(|(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| *name);
        f.write_str(&set.collect::<Vec<_>>().join(","))
    }
}

/// A header, in the RFC's terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// SEG.SEQ
    pub(crate) seq: SequenceNumber,
    /// SEG.ACK. Meaningful when ACK is set.
    pub(crate) ack: SequenceNumber,
    pub(crate) flags: Flags,
    /// SEG.WND as it stands in the header, not scaled.
    pub(crate) window: u16,
    /// SEG.UP: from SEG.SEQ to the octet after the urgent data (RFC 9293 §3.8.5). Meaningful when URG is set.
    pub(crate) urgent_pointer: u16,
    pub(crate) options: Options,
}

impl Header {
    /// Writes the header, with a checksum of zero.
    ///
    /// Returns its length in octets, a multiple of four. The options must fit: that is for the maker of the header to see
    /// to, and what does not fit is left out.
    pub(crate) fn emit(&self, buffer: &mut [u8; MAXIMUM_HEADER_LENGTH]) -> usize {
        let length = HEADER_LENGTH + self.options.emit(&mut buffer[HEADER_LENGTH..]);
        buffer[0..2].copy_from_slice(&self.source_port.to_be_bytes());
        buffer[2..4].copy_from_slice(&self.destination_port.to_be_bytes());
        buffer[4..8].copy_from_slice(&self.seq.0.to_be_bytes());
        buffer[8..12].copy_from_slice(&self.ack.0.to_be_bytes());
        // At most 60 octets, so at most 15 words.
        buffer[12] = ((length / 4) << 4) as u8;
        buffer[13] = self.flags.0;
        buffer[14..16].copy_from_slice(&self.window.to_be_bytes());
        buffer[16..18].copy_from_slice(&[0, 0]);
        buffer[18..20].copy_from_slice(&self.urgent_pointer.to_be_bytes());
        length
    }
}

/// A segment that has arrived.
#[derive(Debug)]
pub(crate) struct Segment<'f> {
    pub(crate) header: Header,
    /// The data.
    pub(crate) text: Payload<'f>,
    /// The data octets of each segment that the device has merged into this one.
    pub(crate) segment_size: u32,
    /// The packet carried a congestion mark (RFC 3168 §5).
    pub(crate) congestion_experienced: bool,
}

impl<'f> Segment<'f> {
    /// Takes a header apart. `None` when it is cut short or its data offset is impossible.
    pub(crate) fn parse(octets: Payload<'f>, segment_size: Option<u16>) -> Option<Self> {
        let bytes: &[u8] = &octets;
        let (fixed, _) = bytes.split_first_chunk::<HEADER_LENGTH>()?;
        let length = usize::from(fixed[12] >> 4) * 4;
        let options = bytes.get(HEADER_LENGTH..length)?;
        let header = Header {
            source_port: u16::from_be_bytes([fixed[0], fixed[1]]),
            destination_port: u16::from_be_bytes([fixed[2], fixed[3]]),
            seq: SequenceNumber(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]])),
            ack: SequenceNumber(u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]])),
            flags: Flags(fixed[13]),
            window: u16::from_be_bytes([fixed[14], fixed[15]]),
            urgent_pointer: u16::from_be_bytes([fixed[18], fixed[19]]),
            options: Options::parse(options),
        };
        let end = octets.len();
        let text = octets.slice(length..end);
        let segment_size = segment_size.map_or(text.len() as u32, u32::from).min(text.len() as u32);
        Some(Self { header, text, segment_size, congestion_experienced: false })
    }

    /// SEG.LEN: the octets of sequence space it takes, SYN and FIN included.
    pub(crate) fn len(&self) -> u32 {
        // IP carries less than 64 KiB.
        self.text.len() as u32 + self.header.flags.sequence_length()
    }

    /// Whether all of `flags` are set.
    pub(crate) const fn has(&self, flags: Flags) -> bool {
        self.header.flags.contains(flags)
    }
}

/// The space that a header with only timestamps leaves for SACK blocks.
pub(crate) const fn maximum_sack_blocks(timestamps: bool) -> usize {
    // RFC 2018 §3: 40 octets of options hold 4 blocks, or 3 beside timestamps.
    let space = MAXIMUM_HEADER_LENGTH - HEADER_LENGTH - if timestamps { TIMESTAMPS_SPACE } else { 0 };
    (space - 4) / 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_that_claims_more_than_there_is_is_refused() {
        let mut bytes = [0; 24];
        bytes[12] = 0x70;
        assert!(Segment::parse(Payload::Lent(&bytes), None).is_none());
        bytes[12] = 0x40;
        assert!(Segment::parse(Payload::Lent(&bytes), None).is_none(), "shorter than a header");
        bytes[12] = 0x60;
        assert!(Segment::parse(Payload::Lent(&bytes), None).is_some());
        assert!(Segment::parse(Payload::Lent(&bytes[..19]), None).is_none());
    }

    #[test]
    fn syn_and_fin_take_one_octet_of_sequence_space_each() {
        let mut bytes = [0; 23];
        bytes[12] = 0x50;
        bytes[13] = (Flags::SYN | Flags::FIN).0;
        let segment = Segment::parse(Payload::Lent(&bytes), None).unwrap();
        assert_eq!(segment.len(), 5);
        assert_eq!(&segment.text[..], &[0, 0, 0]);
    }

    #[test]
    fn sack_blocks_beside_timestamps() {
        assert_eq!(maximum_sack_blocks(true), 3);
        assert_eq!(maximum_sack_blocks(false), 4);
    }

    proptest! {
        #[test]
        fn any_octets_parse_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(segment) = Segment::parse(Payload::Lent(&bytes), None) {
                prop_assert!(segment.text.len() <= bytes.len() - HEADER_LENGTH);
            }
        }

        #[test]
        fn what_is_written_is_read(
            source_port: u16, destination_port: u16, seq: u32, ack: u32, flags: u8, window: u16, urgent_pointer: u16,
            text in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let header = Header {
                source_port, destination_port, seq: SequenceNumber(seq), ack: SequenceNumber(ack), flags: Flags(flags),
                window, urgent_pointer, options: Options::default(),
            };
            let mut buffer = [0xff; MAXIMUM_HEADER_LENGTH];
            let length = header.emit(&mut buffer);
            let mut bytes = buffer[..length].to_vec();
            bytes.extend(&text);
            let segment = Segment::parse(Payload::Lent(&bytes), None).unwrap();
            prop_assert_eq!(&segment.header, &header);
            prop_assert_eq!(&segment.text[..], &text[..]);
        }
    }
}
