//! Captures: the frames on the link as a pcapng file, while they pass.
//!
//! Responsible for choosing the frames, for the file's blocks (draft-ietf-opsawg-pcapng), and for a reader that is too
//! slow: frames are left out then, and the next block says how many. Frames are captured as they cross the link: a
//! segment that the other end will cut is one frame, with a comment that says so.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness};
use tapster_stack::{HardwareAddress, Instant, Offload, ReceivedFrame};

use super::flow::Flow;
use crate::control::Feed;

/// How many bytes of a capture wait for a slow reader.
pub(crate) const QUEUE: usize = 8 << 20;

/// Which frames are captured. All by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter {
    /// Those from or to this port.
    pub(crate) port: Option<u16>,
    /// Those from or to this address.
    pub(crate) host: Option<IpAddr>,
    /// Those of the TCP connection between these two.
    pub(crate) ends: Option<(SocketAddr, SocketAddr)>,
}

impl Filter {
    fn passes(&self, frame: &[u8]) -> bool {
        if *self == Self::default() {
            return true;
        }
        let Some(flow) = Flow::of(frame) else { return false };
        self.port.is_none_or(|port| flow.ports.is_some_and(|(from, to)| from == port || to == port))
            && self.host.is_none_or(|host| flow.source == host || flow.destination == host)
            && self.ends.is_none_or(|(local, remote)| flow.is_between(local, remote))
    }
}

/// The link that is captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interface<'a> {
    pub(crate) name: &'a str,
    pub(crate) hardware_address: HardwareAddress,
}

/// When a capture ends by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    /// After so many frames.
    pub(crate) count: Option<u64>,
    /// At this moment.
    pub(crate) deadline: Option<Instant>,
}

/// A capture that is under way.
pub(crate) struct Capture {
    filter: Filter,
    end: End,
    feed: Feed,
    writer: PcapNgWriter<Vec<u8>>,
    /// Frames left out since the last block.
    dropped: u64,
    is_over: bool,
}

/// The flags of a frame (epb_flags, §4.3.1): bits 0 and 1 are the direction.
const INBOUND: u32 = 0b01;
const OUTBOUND: u32 = 0b10;
/// if_tsresol: 10^-9 s.
const NANOSECONDS: u8 = 9;

impl Capture {
    /// Begins a capture: the head of the file is queued.
    ///
    /// # Errors
    /// What the writer says, which cannot be when it writes into memory.
    pub(crate) fn begin(
        interface: Interface<'_>,
        filter: Filter,
        end: End,
        feed: Feed,
    ) -> Result<Self, pcap_file::PcapError> {
        let application = concat!("tapster ", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            endianness: Endianness::native(),
            options: vec![SectionHeaderOption::UserApplication(Cow::Borrowed(application))],
            ..SectionHeaderBlock::default()
        };
        let mut writer = PcapNgWriter::with_section_header(Vec::new(), section)?;
        writer.write_pcapng_block(InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: 0,
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed(interface.name)),
                InterfaceDescriptionOption::IfMacAddr(Cow::Borrowed(&interface.hardware_address.0)),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        })?;
        let mut capture = Self { filter, end, feed, writer, dropped: 0, is_over: false };
        let head = std::mem::take(capture.writer.get_mut());
        capture.feed.push(head.into());
        Ok(capture)
    }

    /// A frame came from the device.
    pub(super) fn received(&mut self, frame: &ReceivedFrame<'_>) {
        let comment = || match (frame.segment_size, frame.transport_checksum_valid) {
            (Some(size), _) => {
                Some(format!("uncut: stands for segments of {size} octets; checksum left to the receiver"))
            }
            (None, true) => Some("checksum left to the receiver, or verified by the device".to_owned()),
            (None, false) => None,
        };
        self.take(frame.bytes, INBOUND, comment);
    }

    /// The device has taken a frame.
    pub(super) fn sent(&mut self, octets: &[u8], offload: Offload) {
        let comment = || match offload {
            Offload { segmentation: Some(segmentation), .. } => {
                let size = segmentation.segment_size;
                Some(format!("uncut: stands for segments of {size} octets; checksum left to the device"))
            }
            Offload { checksum: Some(_), .. } => Some("checksum left to the device".to_owned()),
            Offload { .. } => None,
        };
        self.take(octets, OUTBOUND, comment);
    }

    fn take(&mut self, octets: &[u8], direction: u32, comment: impl FnOnce() -> Option<String>) {
        if self.is_over || !self.filter.passes(octets) {
            return;
        }
        // A block that nobody will get is not made.
        let has_room = self.feed.has_room(octets.len());
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let block = has_room.then(|| self.block(octets, timestamp, direction, comment())).flatten();
        if block.is_some_and(|block| self.feed.push(block)) {
            self.dropped = 0;
        } else {
            self.dropped += 1;
        }
        if let Some(count) = &mut self.end.count {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.finish();
            }
        }
    }

    fn block(&mut self, octets: &[u8], timestamp: Duration, direction: u32, comment: Option<String>) -> Option<Bytes> {
        let mut options = vec![EnhancedPacketOption::Flags(direction)];
        options.extend((self.dropped > 0).then_some(EnhancedPacketOption::DropCount(self.dropped)));
        options.extend(comment.map(|comment| EnhancedPacketOption::Comment(Cow::Owned(comment))));
        let written = self.writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: 0,
            timestamp,
            original_len: u32::try_from(octets.len()).ok()?,
            data: Cow::Borrowed(octets),
            options,
        });
        let block = std::mem::take(self.writer.get_mut());
        written.ok().map(|_| block.into())
    }

    fn finish(&mut self) {
        self.is_over = true;
        self.feed.end();
    }

    /// When it ends by itself.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.end.deadline
    }

    /// Whether it may be dropped: it has ended and its reader knows, or its reader has gone.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        if !self.is_over && self.end.deadline.is_some_and(|deadline| deadline <= now) {
            self.finish();
        }
        self.feed.is_abandoned() || self.is_over && !self.feed.has_news()
    }

    /// See [`Feed::take_news`].
    pub(super) fn take_news(&mut self) -> Option<usize> {
        self.feed.take_news()
    }
}

#[cfg(test)]
mod tests {
    use pcap_file::pcapng::{Block, PcapNgReader};
    use tapster_stack::ChecksumOffload;

    use super::super::flow::tests::segment;
    use super::*;
    use crate::control::read_feed;

    fn begin(filter: Filter, count: Option<u64>, limit: usize) -> (Capture, crate::control::Outlet) {
        let (feed, outlet) = Feed::new(0, limit);
        let interface = Interface { name: "tapster0", hardware_address: HardwareAddress([2, 0, 0, 0, 0, 1]) };
        (Capture::begin(interface, filter, End { count, deadline: None }, feed).unwrap(), outlet)
    }

    #[test]
    fn a_reader_of_pcapng_finds_frames_directions_and_comments() {
        let (mut capture, outlet) = begin(Filter::default(), None, QUEUE);
        capture.received(&ReceivedFrame::plain(&segment()));
        let checksum = Some(ChecksumOffload { start: 34, offset: 16 });
        capture.sent(&segment(), Offload { checksum, segmentation: None });
        let file = read_feed(&outlet);
        let mut reader = PcapNgReader::new(&file[..]).unwrap();
        assert!(matches!(reader.next_block(), Some(Ok(Block::InterfaceDescription(_)))));
        let mut options = Vec::new();
        for _ in 0..2 {
            let Some(Ok(Block::EnhancedPacket(packet))) = reader.next_block() else { panic!("a packet is missing") };
            assert_eq!(packet.data, segment());
            options.push(packet.into_owned().options);
        }
        assert_eq!(options[0], [EnhancedPacketOption::Flags(INBOUND)]);
        let comment = EnhancedPacketOption::Comment(Cow::Borrowed("checksum left to the device"));
        assert_eq!(options[1], [EnhancedPacketOption::Flags(OUTBOUND), comment]);
        assert!(reader.next_block().is_none());
    }

    #[test]
    fn a_filter_lets_only_its_frames_through_and_a_count_ends_it() {
        let (mut capture, outlet) = begin(Filter { port: Some(81), ..Filter::default() }, None, QUEUE);
        let head = read_feed(&outlet).len();
        capture.received(&ReceivedFrame::plain(&segment()));
        assert!(head > 0 && read_feed(&outlet).is_empty());
        let filter = Filter { port: Some(80), host: Some("192.0.2.1".parse().unwrap()), ends: None };
        let (mut capture, outlet) = begin(filter, Some(1), QUEUE);
        for _ in 0..2 {
            capture.received(&ReceivedFrame::plain(&segment()));
        }
        assert!(read_feed(&outlet).len() < head + 2 * segment().len());
        assert_eq!(capture.take_news(), Some(0));
        assert!(capture.is_over(Instant::START));
    }

    #[test]
    fn frames_that_a_slow_reader_misses_are_counted_in_the_next_block() {
        let (mut capture, outlet) = begin(Filter::default(), None, 300);
        for _ in 0..4 {
            capture.received(&ReceivedFrame::plain(&segment()));
        }
        let mut file = read_feed(&outlet);
        capture.received(&ReceivedFrame::plain(&segment()));
        file.extend(read_feed(&outlet));
        let mut reader = PcapNgReader::new(&file[..]).unwrap();
        let mut seen = 0;
        let mut dropped = 0;
        while let Some(block) = reader.next_block() {
            let Block::EnhancedPacket(packet) = block.unwrap() else { continue };
            seen += 1;
            dropped += packet
                .options
                .iter()
                .map(|o| if let EnhancedPacketOption::DropCount(n) = o { *n } else { 0 })
                .sum::<u64>();
        }
        assert!(dropped > 0);
        assert_eq!(seen + dropped, 5);
    }

    #[test]
    fn a_capture_whose_reader_is_gone_is_over() {
        let (mut capture, outlet) = begin(Filter::default(), None, QUEUE);
        assert!(!capture.is_over(Instant::START));
        drop(outlet);
        assert!(capture.is_over(Instant::START));
    }
}
