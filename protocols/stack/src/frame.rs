//! Frames, and the device as the stack sees it.
//!
//! Responsible for what crosses the border to the device: received frames with what the device knows about them, and
//! frames to send with what is left for the device to do. The work left over is described as the virtio-net header does
//! it (Virtual I/O Device 1.2 §5.1.6), which is what a TAP speaks. Not for the header's octets: the device writes them.

use std::fmt;

/// An IEEE 802 hardware address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HardwareAddress(pub [u8; 6]);

impl HardwareAddress {
    /// All ones: every station.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it names a group of stations (the broadcast address included): the lowest bit of the first octet.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl fmt::Display for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A frame that the device received, with what the device says of it.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedFrame<'f> {
    /// From the destination address on, without the frame check sequence.
    pub bytes: &'f [u8],
    /// Whether the transport checksum needs no look: the device has verified it, or the sender is on this machine and
    /// has left it for an offload that never came (`VIRTIO_NET_HDR_F_DATA_VALID`, `_NEEDS_CSUM`).
    pub transport_checksum_valid: bool,
    /// Set when the frame stands for several: the data octets that each of them would have had, the last perhaps
    /// fewer (the header's `gso_size`). Acknowledgement and congestion rules count those.
    pub segment_size: Option<u16>,
}

impl<'f> ReceivedFrame<'f> {
    /// A frame about which the device says nothing.
    #[must_use]
    pub const fn plain(bytes: &'f [u8]) -> Self {
        Self { bytes, transport_checksum_valid: false, segment_size: None }
    }
}

/// Something that takes frames: a TAP, a simulated wire, a test.
pub trait FrameSink {
    /// Sends one frame: `headers`, then the slices of `payload`, without a gap. It is taken whole or not at all.
    ///
    /// # Errors
    /// [`DeviceFull`] when it cannot be taken now. It was not sent then, and must be offered again.
    fn send(&mut self, headers: &[u8], payload: &[&[u8]], offload: Offload) -> Result<(), DeviceFull>;
}

/// The device cannot take a frame now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device cannot take a frame now")]
pub struct DeviceFull;

/// What a frame leaves to the device. Nothing by default: the frame is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// The transport checksum is partial.
    pub checksum: Option<ChecksumOffload>,
    /// The frame is to be cut into segments. Only with a partial checksum.
    pub segmentation: Option<SegmentationOffload>,
}

/// Where the device completes a checksum: it sums from `start` to the frame's end, the field holding the folded
/// sum of the pseudo-header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChecksumOffload {
    /// Octets from the frame's first to the first that is summed.
    pub start: u16,
    /// Octets from `start` to the checksum field.
    pub offset: u16,
}

/// How the device cuts a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentationOffload {
    /// Which protocol the segments have.
    pub kind: Segmentation,
    /// Data octets in each segment but the last.
    pub segment_size: u16,
    /// Octets of all headers, which are repeated in front of each segment.
    pub header_length: u16,
    /// The frame's TCP header has CWR set, which belongs to the first segment only (RFC 3168 §6.1.2).
    pub congestion_window_reduced: bool,
}

/// A protocol that a device can cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segmentation {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over either: each piece becomes a datagram.
    Udp,
}
