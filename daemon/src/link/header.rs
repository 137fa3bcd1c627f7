//! The virtio-net header that stands before each frame on the link (Virtual I/O Device 1.2 §5.1.6, `struct
//! virtio_net_hdr_v1`).
//!
//! Responsible for its twelve octets and nothing else. The fields have the byte order of the machine: a TAP speaks the
//! "legacy" order unless it is told otherwise.

use tapster_stack::{ChecksumOffload, Offload, Segmentation, SegmentationOffload};

/// Octets of the header with its `num_buffers` field.
pub(super) const LENGTH: usize = 12;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: the checksum is partial.
const NEEDS_CHECKSUM: u8 = 1;
/// `VIRTIO_NET_HDR_F_DATA_VALID`: the checksum has been verified.
const DATA_VALID: u8 = 2;

/// `VIRTIO_NET_HDR_GSO_TCPV4`.
const GSO_TCP4: u8 = 1;
/// `VIRTIO_NET_HDR_GSO_TCPV6`.
const GSO_TCP6: u8 = 4;
/// `VIRTIO_NET_HDR_GSO_UDP_L4`.
const GSO_UDP: u8 = 5;
/// `VIRTIO_NET_HDR_GSO_ECN`, a bit beside the kind: the first segment has CWR set.
const GSO_ECN: u8 = 0x80;

/// What the header of a received frame says about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// The transport checksum needs no look.
    pub(super) transport_checksum_valid: bool,
    /// Data octets of each segment that the frame stands for.
    pub(super) segment_size: Option<u16>,
}

/// The header that leaves `offload` to the kernel. All zero for a complete frame.
pub(super) fn encode(offload: Offload) -> [u8; LENGTH] {
    let mut header = [0; LENGTH];
    if let Some(ChecksumOffload { start, offset }) = offload.checksum {
        header[0] = NEEDS_CHECKSUM;
        header[6..8].copy_from_slice(&start.to_ne_bytes());
        header[8..10].copy_from_slice(&offset.to_ne_bytes());
    }
    if let Some(segmentation) = offload.segmentation {
        let SegmentationOffload { kind, segment_size, header_length, congestion_window_reduced } = segmentation;
        header[1] = match kind {
            Segmentation::Tcp4 => GSO_TCP4,
            Segmentation::Tcp6 => GSO_TCP6,
            Segmentation::Udp => GSO_UDP,
        } | if congestion_window_reduced { GSO_ECN } else { 0 };
        header[2..4].copy_from_slice(&header_length.to_ne_bytes());
        header[4..6].copy_from_slice(&segment_size.to_ne_bytes());
    }
    header
}

/// What a received header says. Its lengths and offsets are hints that a guest behind a bridge may have written: they
/// are not used, and a kind that is not known counts as no segmentation.
pub(super) fn decode(header: &[u8; LENGTH]) -> Received {
    let [flags, kind, _, _, size_first, size_second, ..] = *header;
    let segment_size = u16::from_ne_bytes([size_first, size_second]);
    let segmented = matches!(kind & !GSO_ECN, GSO_TCP4 | GSO_TCP6 | GSO_UDP) && segment_size > 0;
    Received {
        transport_checksum_valid: flags & (NEEDS_CHECKSUM | DATA_VALID) != 0,
        segment_size: segmented.then_some(segment_size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_complete_frame_has_an_empty_header() {
        assert_eq!(encode(Offload::default()), [0; LENGTH]);
        assert_eq!(decode(&[0; LENGTH]), Received::default());
    }

    #[test]
    fn a_segmented_tcp_frame_has_every_field_in_its_place() {
        let header = encode(Offload {
            checksum: Some(ChecksumOffload { start: 34, offset: 16 }),
            segmentation: Some(SegmentationOffload {
                kind: Segmentation::Tcp4,
                segment_size: 1448,
                header_length: 66,
                congestion_window_reduced: true,
            }),
        });
        assert_eq!(header[..2], [1, 0x81]);
        assert_eq!(header[2..4], 66_u16.to_ne_bytes());
        assert_eq!(header[4..6], 1448_u16.to_ne_bytes());
        assert_eq!(header[6..8], 34_u16.to_ne_bytes());
        assert_eq!(header[8..10], 16_u16.to_ne_bytes());
        assert_eq!(header[10..], [0, 0]);
    }

    #[test]
    fn verified_and_partial_checksums_both_count_as_valid() {
        for flags in [NEEDS_CHECKSUM, DATA_VALID, NEEDS_CHECKSUM | DATA_VALID] {
            let mut header = [0; LENGTH];
            header[0] = flags;
            assert!(decode(&header).transport_checksum_valid);
        }
        let mut header = [0; LENGTH];
        header[0] = !(NEEDS_CHECKSUM | DATA_VALID);
        assert!(!decode(&header).transport_checksum_valid);
    }

    #[test]
    fn a_segment_size_of_zero_or_of_an_unknown_kind_is_none() {
        let mut header = [0; LENGTH];
        header[1] = GSO_TCP4;
        assert_eq!(decode(&header).segment_size, None);
        header[4..6].copy_from_slice(&1000_u16.to_ne_bytes());
        assert_eq!(decode(&header).segment_size, Some(1000));
        header[1] = 0x20;
        assert_eq!(decode(&header).segment_size, None);
    }

    fn offloads() -> impl Strategy<Value = Offload> {
        let kind = prop_oneof![Just(Segmentation::Tcp4), Just(Segmentation::Tcp6), Just(Segmentation::Udp)];
        let segmentation = (kind, 1..=u16::MAX, any::<u16>(), any::<bool>());
        let checksum = proptest::option::of((any::<u16>(), any::<u16>()));
        (checksum, proptest::option::of(segmentation)).prop_map(|(checksum, segmentation)| Offload {
            checksum: checksum.map(|(start, offset)| ChecksumOffload { start, offset }),
            segmentation: segmentation.map(|(kind, segment_size, header_length, congestion_window_reduced)| {
                SegmentationOffload { kind, segment_size, header_length, congestion_window_reduced }
            }),
        })
    }

    proptest! {
        /// What one end leaves to the kernel is what the other end, on the same wire, is told.
        #[test]
        fn the_receiver_reads_what_the_sender_wrote(offload in offloads()) {
            let received = decode(&encode(offload));
            prop_assert_eq!(received.transport_checksum_valid, offload.checksum.is_some());
            prop_assert_eq!(received.segment_size, offload.segmentation.map(|segmentation| segmentation.segment_size));
        }

        /// No header is too strange to be read, and no segment size of zero comes out.
        #[test]
        fn any_header_is_read(header in any::<[u8; LENGTH]>()) {
            prop_assert_ne!(decode(&header).segment_size, Some(0));
        }
    }
}
