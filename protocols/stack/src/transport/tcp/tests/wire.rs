//! A device that keeps what it is given.

use std::net::IpAddr;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::super::segment::Segment;
use crate::network::protocol;
use crate::packet::{OutgoingPacket, PacketSink, ReceivedPacket, SendFailure};
use crate::{HardwareAddress, Payload};

/// Randomness for tests.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit.max(1)
    }

    /// True so many times in a thousand.
    pub(super) fn chance(&mut self, per_thousand: u64) -> bool {
        self.below(1000) < per_thousand
    }
}

/// A packet on the wire.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) bytes: Vec<u8>,
    pub(super) segment_size: Option<u16>,
    pub(super) traffic_class: u8,
}

impl Packet {
    pub(super) fn segment(&self) -> Segment<'_> {
        Segment::parse(Payload::Lent(&self.bytes), self.segment_size).expect("we send what can be read")
    }

    /// As the receiver's network layer hands it up.
    pub(super) fn received(&self) -> ReceivedPacket<'_> {
        ReceivedPacket {
            source: self.source,
            destination: self.destination,
            link_source: HardwareAddress::default(),
            group: false,
            protocol: protocol::TCP,
            traffic_class: self.traffic_class,
            checksum_valid: true,
            segment_size: self.segment_size,
            payload: Payload::Lent(&self.bytes),
            network_header: Payload::EMPTY,
        }
    }
}

/// The device.
pub(super) struct Wire {
    pub(super) sent: Vec<Packet>,
    pub(super) mtu: usize,
    pub(super) segmentation: Option<usize>,
    /// Refuses a packet so many times in a thousand.
    pub(super) refuses: u64,
    pub(super) dice: Dice,
    /// Of the last packet.
    pub(super) hop_limit: u8,
}

impl Wire {
    pub(super) fn new(seed: u64) -> Self {
        Self { sent: Vec::new(), mtu: 1500, segmentation: None, refuses: 0, dice: Dice::new(seed), hop_limit: 0 }
    }
}

impl PacketSink for Wire {
    fn send(&mut self, packet: OutgoingPacket<'_>) -> Result<(), SendFailure> {
        if self.dice.chance(self.refuses) {
            return Err(SendFailure::DeviceFull);
        }
        assert_eq!(packet.checksum_offset, 16);
        assert_eq!(&packet.header[16..18], [0, 0]);
        assert!(packet.payload.iter().all(|slice| !slice.is_empty()), "no empty slices");
        let length: usize = packet.payload.iter().map(|slice| slice.len()).sum();
        let ip_header = if packet.source.is_ipv4() { 20 } else { 40 };
        let one = packet.segment_size.map_or(length, |size| {
            assert!(length > usize::from(size), "only more than one segment is cut");
            assert!(
                Some(length) <= self.segmentation,
                "{length} octets for a device that cuts {:?}",
                self.segmentation
            );
            usize::from(size)
        });
        if ip_header + packet.header.len() + one > self.mtu {
            return Err(SendFailure::TooLarge);
        }
        let mut bytes = packet.header.to_vec();
        packet.payload.iter().for_each(|slice| bytes.extend_from_slice(slice));
        self.hop_limit = packet.hop_limit;
        self.sent.push(Packet {
            source: packet.source,
            destination: packet.destination,
            bytes,
            segment_size: packet.segment_size,
            traffic_class: packet.traffic_class,
        });
        Ok(())
    }

    fn path_mtu(&self, _destination: IpAddr) -> usize {
        self.mtu
    }

    fn segmentation_limit(&self) -> Option<usize> {
        self.segmentation
    }
}

/// Cuts a packet as a device does.
pub(super) fn cut(packet: &Packet) -> Vec<Packet> {
    let Some(size) = packet.segment_size else { return vec![packet.clone()] };
    let header_length = usize::from(packet.bytes[12] >> 4) * 4;
    let (header, text) = packet.bytes.split_at(header_length);
    let pieces: Vec<&[u8]> = text.chunks(usize::from(size)).collect();
    let count = pieces.len();
    pieces
        .into_iter()
        .enumerate()
        .map(|(index, piece)| {
            let mut bytes = header.to_vec();
            let seq = u32::from_be_bytes(header[4..8].try_into().unwrap());
            let seq = seq.wrapping_add(index as u32 * u32::from(size));
            bytes[4..8].copy_from_slice(&seq.to_be_bytes());
            if index + 1 < count {
                // FIN and PSH belong to the last.
                bytes[13] &= !0x09;
            }
            bytes.extend_from_slice(piece);
            Packet { bytes, segment_size: None, ..packet.clone() }
        })
        .collect()
}
