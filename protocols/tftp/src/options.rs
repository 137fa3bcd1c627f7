//! Options: what a client asks for beyond RFC 1350, and what it gets.
//!
//! Responsible for `blksize` (RFC 2348), `tsize` and `timeout` (RFC 2349) and `windowsize` (RFC 7440), and for
//! RFC 2347's rules about which of them are acknowledged. Not for what they change in a transfer.

use std::time::Duration;

use smallvec::SmallVec;

use crate::packet::{self, Direction, Request};

/// The block size without an option (RFC 1350 §2), in bytes.
pub(crate) const DEFAULT_BLOCK_SIZE: u16 = 512;
/// The smallest and the largest block that can be asked for (RFC 2348), in bytes.
pub(crate) const BLOCK_SIZES: std::ops::RangeInclusive<u16> = 8..=65_464;

/// An option that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    BlockSize,
    TransferSize,
    Timeout,
    WindowSize,
}

/// The names as they stand on the wire; they compare without regard to case (RFC 2347).
const NAMES: [(&str, Kind); 4] = [
    ("blksize", Kind::BlockSize),
    ("tsize", Kind::TransferSize),
    ("timeout", Kind::Timeout),
    ("windowsize", Kind::WindowSize),
];

impl Kind {
    /// The option of this name, if it is understood.
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(|(_, kind)| *kind)
    }

    /// All names.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }
}

/// What the server grants at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    /// The largest block, in bytes.
    pub(crate) block_size: u16,
    /// The largest window, in blocks.
    pub(crate) window_size: u16,
    /// The largest window, in bytes; one block is granted always.
    pub(crate) window_bytes: usize,
    /// How many options one request may carry.
    pub(crate) count: usize,
    /// Options that are treated as unknown.
    pub(crate) refused: &'a [Kind],
}

/// Why a request's options end it (ERROR 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionError {
    /// An option stands there twice (RFC 2347: it may only be specified once).
    Repeated,
    /// There are more than the limit.
    TooMany,
}

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// In bytes.
    pub(crate) block_size: u16,
    /// In blocks.
    pub(crate) window_size: u16,
    /// How long to wait before sending again, where the client fixes it.
    pub(crate) timeout: Option<Duration>,
    /// The size that the client announced of a file that it writes, in bytes.
    pub(crate) announced: Option<u64>,
    /// What is acknowledged, in the client's order and spelling.
    acknowledged: SmallVec<[Granted; 4]>,
}

/// An option that is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Granted {
    kind: Kind,
    /// As the client spelled it.
    name: SmallVec<[u8; 12]>,
    value: u64,
}

impl Agreement {
    /// Settles a request's options.
    pub(crate) fn reach(request: &Request<'_>, offer: Offer<'_>) -> Result<Self, OptionError> {
        if request.options.len() > offer.count {
            return Err(OptionError::TooMany);
        }
        for (index, (name, _)) in request.options.iter().enumerate() {
            if request.options.iter().skip(index + 1).any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(OptionError::Repeated);
            }
        }
        let mut agreement = Self {
            block_size: DEFAULT_BLOCK_SIZE,
            window_size: 1,
            timeout: None,
            announced: None,
            acknowledged: SmallVec::new(),
        };
        let understood = request.options.iter().filter_map(|(name, value)| {
            let kind = Kind::of(name).filter(|kind| !offer.refused.contains(kind))?;
            Some((kind, *name, decimal(value)?))
        });
        // The window depends on the block size, and the order of options means nothing (RFC 2347).
        for (kind, _, value) in understood.clone().filter(|(kind, ..)| *kind == Kind::BlockSize) {
            agreement.take(kind, value, request, offer);
        }
        for (kind, name, value) in understood {
            if let Some(value) = agreement.take(kind, value, request, offer) {
                agreement.acknowledged.push(Granted { kind, name: SmallVec::from_slice(name), value });
            }
        }
        Ok(agreement)
    }

    /// Takes one option, and returns the value that is granted. Whatever is out of range is left out of the OACK, as
    /// if it were unknown.
    fn take(&mut self, kind: Kind, value: u64, request: &Request<'_>, offer: Offer<'_>) -> Option<u64> {
        match kind {
            Kind::BlockSize => {
                let granted = value.min(u64::from(offer.block_size));
                self.block_size = u16::try_from(granted).ok().filter(|size| BLOCK_SIZES.contains(size))?;
                Some(granted)
            }
            Kind::WindowSize => {
                let fitting = (offer.window_bytes / usize::from(self.block_size)).max(1);
                let granted = value.min(u64::from(offer.window_size)).min(fitting as u64);
                self.window_size = u16::try_from(granted).ok().filter(|size| *size > 0)?;
                Some(granted)
            }
            Kind::Timeout => {
                self.timeout = (1..=255).contains(&value).then(|| Duration::from_secs(value));
                self.timeout.map(|_| value)
            }
            Kind::TransferSize => {
                match request.direction {
                    // The size of a text as it goes over the wire is not known before it has gone.
                    Direction::Read if request.mode.eq_ignore_ascii_case(b"netascii") => return None,
                    Direction::Read => {}
                    Direction::Write => self.announced = Some(value),
                }
                Some(value)
            }
        }
    }

    /// The OACK, unless no option is acknowledged. `size` is the size of the file that is read, in bytes.
    pub(crate) fn option_acknowledgment(&self, size: Option<u64>) -> Option<Vec<u8>> {
        if self.acknowledged.is_empty() {
            return None;
        }
        let mut packet = packet::option_acknowledgment();
        for granted in &self.acknowledged {
            let value = size.filter(|_| granted.kind == Kind::TransferSize).unwrap_or(granted.value);
            packet::push_option(&mut packet, &granted.name, value);
        }
        Some(packet)
    }
}

/// A number in ASCII digits.
fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFER: Offer<'_> =
        Offer { block_size: 1468, window_size: 64, window_bytes: 1 << 20, count: 16, refused: &[] };

    fn reach(direction: Direction, options: &[(&str, &str)], offer: Offer<'_>) -> Result<Agreement, OptionError> {
        let options = options.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        Agreement::reach(&Request { direction, name: b"f", mode: b"octet", options }, offer)
    }

    fn oack(options: &[(&str, &str)]) -> Option<String> {
        let packet = reach(Direction::Read, options, OFFER).unwrap().option_acknowledgment(Some(99))?;
        Some(String::from_utf8(packet[2..].to_vec()).unwrap())
    }

    #[test]
    fn each_option_is_granted_as_far_as_it_goes() {
        assert_eq!(oack(&[("blksize", "1024")]).unwrap(), "blksize\x001024\0");
        assert_eq!(oack(&[("blksize", "9000")]).unwrap(), "blksize\x001468\0");
        assert_eq!(oack(&[("windowsize", "65535")]).unwrap(), "windowsize\x0064\0");
        assert_eq!(oack(&[("timeout", "255")]).unwrap(), "timeout\x00255\0");
        assert_eq!(oack(&[("tsize", "0")]).unwrap(), "tsize\x0099\0");
    }

    #[test]
    fn the_clients_order_and_spelling_come_back() {
        assert_eq!(
            oack(&[("TSize", "0"), ("multicast", ""), ("BLKSIZE", "8")]).unwrap(),
            "TSize\x0099\0BLKSIZE\x008\0"
        );
    }

    #[test]
    fn what_is_unknown_or_out_of_range_is_left_out() {
        let wrong = [("utimeout", "1"), ("blksize", "7"), ("timeout", "0"), ("windowsize", "0"), ("tsize", "-1")];
        assert_eq!(oack(&wrong), None);
        assert_eq!(oack(&[("timeout", "256"), ("blksize", "+9"), ("tsize", ""), ("windowsize", "1x")]), None);
        assert_eq!(oack(&[("blksize", "99999999999999999999999")]), None);
    }

    #[test]
    fn refused_options_are_as_unknown() {
        let offer = Offer { refused: &[Kind::BlockSize], ..OFFER };
        let agreement = reach(Direction::Read, &[("blksize", "1024"), ("windowsize", "4")], offer).unwrap();
        assert_eq!((agreement.block_size, agreement.window_size), (512, 4));
        assert_eq!(agreement.option_acknowledgment(None).unwrap(), b"\0\x06windowsize\x004\0");
    }

    #[test]
    fn a_window_has_a_bound_in_bytes() {
        let offer = Offer { window_bytes: 4096, ..OFFER };
        let agreement = reach(Direction::Write, &[("windowsize", "64"), ("blksize", "1024")], offer).unwrap();
        assert_eq!(agreement.window_size, 4);
        let offer = Offer { window_bytes: 100, ..OFFER };
        assert_eq!(reach(Direction::Write, &[("windowsize", "64")], offer).unwrap().window_size, 1);
    }

    #[test]
    fn an_option_stands_once() {
        let twice = [("blksize", "8"), ("tsize", "0"), ("BlkSize", "8")];
        assert_eq!(reach(Direction::Read, &twice, OFFER), Err(OptionError::Repeated));
        assert_eq!(reach(Direction::Read, &[("a", ""), ("A", "")], OFFER), Err(OptionError::Repeated));
        assert_eq!(reach(Direction::Read, &twice, Offer { count: 2, ..OFFER }), Err(OptionError::TooMany));
    }

    #[test]
    fn a_written_files_size_is_echoed() {
        let agreement = reach(Direction::Write, &[("tsize", "673312")], OFFER).unwrap();
        assert_eq!(agreement.announced, Some(673_312));
        assert_eq!(agreement.option_acknowledgment(None).unwrap(), b"\0\x06tsize\x00673312\0");
    }

    proptest! {
        #[test]
        fn never_more_than_asked_for_or_offered(block: u32, window: u32) {
            let (block_text, window_text) = (block.to_string(), window.to_string());
            let options = [("blksize", block_text.as_str()), ("windowsize", window_text.as_str())];
            let agreement = reach(Direction::Read, &options, OFFER).unwrap();
            if block >= 8 {
                prop_assert!(u32::from(agreement.block_size) <= block.min(1468));
            } else {
                prop_assert_eq!(agreement.block_size, 512);
            }
            prop_assert!(agreement.window_size >= 1 && u32::from(agreement.window_size) <= window.clamp(1, 64));
        }
    }
}
