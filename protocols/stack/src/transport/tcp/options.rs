//! TCP's options (RFC 9293 §3.2, RFC 7323, RFC 2018).
//!
//! Responsible for reading and writing the options that this stack knows; others are skipped (MUST-6). Not for when they
//! are sent.

use super::sequence::SequenceNumber;

const END_OF_OPTION_LIST: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// The largest shift that may be used (RFC 7323 §2.3).
pub(crate) const MAXIMUM_WINDOW_SHIFT: u8 = 14;
/// Octets that the timestamps option takes, with its padding (RFC 7323 appendix A).
pub(crate) const TIMESTAMPS_SPACE: usize = 12;

/// The timestamps option (RFC 7323 §3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timestamps {
    /// TSval: the sender's clock.
    pub(crate) value: u32,
    /// TSecr: what it has last received from us. Meaningful when ACK is set.
    pub(crate) echo_reply: u32,
}

/// Octets that have been received beyond a hole (RFC 2018 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SackBlock {
    /// The first octet.
    pub(crate) left: SequenceNumber,
    /// The octet after the last.
    pub(crate) right: SequenceNumber,
}

/// Up to four SACK blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SackBlocks {
    blocks: [SackBlock; 4],
    count: u8,
}

impl SackBlocks {
    /// Adds a block. Returns `false` when there are four already.
    pub(crate) fn push(&mut self, block: SackBlock) -> bool {
        let Some(place) = self.blocks.get_mut(usize::from(self.count)) else { return false };
        *place = block;
        self.count += 1;
        true
    }

    pub(crate) fn as_slice(&self) -> &[SackBlock] {
        self.blocks.get(..usize::from(self.count)).unwrap_or(&self.blocks)
    }

    /// Octets that the option takes in a header, with its padding.
    pub(crate) const fn space(&self) -> usize {
        if self.count == 0 { 0 } else { 4 + 8 * self.count as usize }
    }
}

/// The options of one segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The largest segment that the sender can receive, in octets of data.
    pub(crate) maximum_segment_size: Option<u16>,
    /// The shift of the windows that the sender will announce, at most 14.
    pub(crate) window_scale: Option<u8>,
    /// Whether the sender takes SACK blocks.
    pub(crate) sack_permitted: bool,
    pub(crate) timestamps: Option<Timestamps>,
    pub(crate) sack: SackBlocks,
}

impl Options {
    /// Reads the options between a header and its data. It never fails: reading stops at an option with an impossible
    /// length, and what came before it counts (MUST-7).
    pub(crate) fn parse(mut octets: &[u8]) -> Self {
        let mut options = Self::default();
        // RFC 7323 appendix A: what nearly every segment carries.
        if let [NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10, value @ ..] = octets
            && let Some(timestamps) = parse_timestamps(value)
            && value.len() == 8
        {
            options.timestamps = Some(timestamps);
            return options;
        }
        loop {
            match octets {
                [] | [END_OF_OPTION_LIST, ..] => return options,
                [NO_OPERATION, rest @ ..] => octets = rest,
                [kind, length, ..] => {
                    let length = usize::from(*length);
                    let Some((option, rest)) = octets.split_at_checked(length) else { return options };
                    let Some(value) = option.get(2..) else { return options };
                    options.take(*kind, value);
                    octets = rest;
                }
                [_] => return options,
            }
        }
    }

    fn take(&mut self, kind: u8, value: &[u8]) {
        match (kind, value) {
            (MAXIMUM_SEGMENT_SIZE, &[high, low]) => {
                self.maximum_segment_size = Some(u16::from_be_bytes([high, low]));
            }
            // RFC 7323 §2.3: a larger shift is used as 14.
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift.min(MAXIMUM_WINDOW_SHIFT)),
            (SACK_PERMITTED, []) => self.sack_permitted = true,
            (SACK, blocks) if blocks.len() % 8 == 0 => {
                for block in blocks.chunks_exact(8) {
                    let edge = |at: usize| read_u32(block.get(at..).unwrap_or_default()).map(SequenceNumber);
                    if let (Some(left), Some(right)) = (edge(0), edge(4)) {
                        self.sack.push(SackBlock { left, right });
                    }
                }
            }
            (TIMESTAMPS, value) if value.len() == 8 => self.timestamps = parse_timestamps(value),
            _ => {}
        }
    }

    /// Writes the options, padded with zero to a multiple of four (MUST-69). Returns how many octets were written. An
    /// option that does not fit is left out.
    pub(crate) fn emit(&self, buffer: &mut [u8]) -> usize {
        let mut writer = Writer { buffer, length: 0 };
        if let Some(size) = self.maximum_segment_size {
            let [high, low] = size.to_be_bytes();
            writer.put(&[MAXIMUM_SEGMENT_SIZE, 4, high, low]);
        }
        // SACK-permitted takes the place of the padding in front of the timestamps, where there are any.
        let before_timestamps = if self.sack_permitted { [SACK_PERMITTED, 2] } else { [NO_OPERATION, NO_OPERATION] };
        if let Some(timestamps) = self.timestamps {
            let [first, second] = before_timestamps;
            let mut option = [first, second, TIMESTAMPS, 10, 0, 0, 0, 0, 0, 0, 0, 0];
            option[4..8].copy_from_slice(&timestamps.value.to_be_bytes());
            option[8..].copy_from_slice(&timestamps.echo_reply.to_be_bytes());
            writer.put(&option);
        } else if self.sack_permitted {
            writer.put(&[NO_OPERATION, NO_OPERATION, SACK_PERMITTED, 2]);
        }
        if let Some(shift) = self.window_scale {
            writer.put(&[NO_OPERATION, WINDOW_SCALE, 3, shift]);
        }
        if self.sack.count > 0 {
            let mut option = [NO_OPERATION; 36];
            option[2] = SACK;
            option[3] = 2 + 8 * self.sack.count;
            for (place, block) in option[4..].chunks_exact_mut(8).zip(self.sack.as_slice()) {
                place[..4].copy_from_slice(&block.left.0.to_be_bytes());
                place[4..].copy_from_slice(&block.right.0.to_be_bytes());
            }
            writer.put(&option[..self.sack.space()]);
        }
        writer.length
    }
}

fn read_u32(octets: &[u8]) -> Option<u32> {
    octets.first_chunk().map(|chunk| u32::from_be_bytes(*chunk))
}

fn parse_timestamps(value: &[u8]) -> Option<Timestamps> {
    Some(Timestamps { value: read_u32(value)?, echo_reply: read_u32(value.get(4..)?)? })
}

struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl Writer<'_> {
    /// Every option here is padded to whole words, so no padding is left for the end.
    fn put(&mut self, option: &[u8]) {
        if let Some(place) = self.buffer.get_mut(self.length..self.length + option.len()) {
            place.copy_from_slice(option);
            self.length += option.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn impossible_lengths_end_the_reading() {
        let read = |octets: &[u8]| Options::parse(octets);
        assert_eq!(read(&[2, 4, 5, 0xb4, 3, 0]).maximum_segment_size, Some(1460), "length 0");
        assert!(!read(&[2, 4, 5, 0xb4, 3, 1, 4, 2]).sack_permitted, "length 1");
        assert_eq!(read(&[2, 4, 5, 0xb4, 8, 10, 1, 2]).timestamps, None, "longer than the header");
        assert_eq!(read(&[2, 4, 5, 0xb4, 8]).maximum_segment_size, Some(1460), "no length");
    }

    #[test]
    fn unknown_options_are_skipped() {
        let options = Options::parse(&[1, 254, 4, 9, 9, 30, 3, 9, 4, 2, 0, 2, 4, 5, 0xb4]);
        assert!(options.sack_permitted);
        assert_eq!(options.maximum_segment_size, None, "after the end of the list");
    }

    #[test]
    fn a_shift_beyond_14_is_14() {
        assert_eq!(Options::parse(&[3, 3, 200]).window_scale, Some(14));
    }

    proptest! {
        #[test]
        fn any_octets_are_read(octets in proptest::collection::vec(any::<u8>(), 0..44)) {
            Options::parse(&octets);
        }

        #[test]
        fn what_is_written_is_read(
            maximum_segment_size: Option<u16>, window_scale in proptest::option::of(0_u8..=14), sack_permitted: bool,
            timestamps: Option<(u32, u32)>, blocks in proptest::collection::vec(any::<(u32, u32)>(), 0..=3),
        ) {
            let mut options = Options {
                maximum_segment_size, window_scale, sack_permitted,
                timestamps: timestamps.map(|(value, echo_reply)| Timestamps { value, echo_reply }),
                sack: SackBlocks::default(),
            };
            if maximum_segment_size.is_none() && window_scale.is_none() && !sack_permitted {
                for (left, right) in blocks {
                    options.sack.push(SackBlock { left: SequenceNumber(left), right: SequenceNumber(right) });
                }
            }
            let mut buffer = [0; 40];
            let length = options.emit(&mut buffer);
            prop_assert_eq!(length % 4, 0);
            prop_assert_eq!(Options::parse(&buffer[..length]), options);
        }
    }
}
