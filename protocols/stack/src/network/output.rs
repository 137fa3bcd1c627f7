//! The way out: from a transport's packet to a frame.
//!
//! Responsible for the route, the neighbour, the IP header, the transport checksum or what the device needs to complete
//! it, fragments, and the Ethernet header. Headers and data go to the device as they are, in slices; only what must
//! wait is copied.

mod version6;

use std::net::{IpAddr, Ipv4Addr};

use foldhash::fast::FixedState;

use super::checksum::Sum;
use super::configuration::OffloadCapabilities;
use super::egress::{Egress, Frame};
use super::identification::Identifications;
use super::neighbor::{Cache, Waiting};
use super::path_mtu::PathMtus;
use super::route::{NextHop, Table};
use super::{Network, address::Addresses, fragment, ipv4, ipv6, protocol};
use crate::counters::Counters;
use crate::link::ethernet::{self, EtherType};
use crate::packet::{OutgoingPacket, PacketSink, SendFailure};
use crate::{
    ChecksumOffload, DeviceFull, FrameSink, HardwareAddress, Instant, Offload, Segmentation, SegmentationOffload,
};

/// Octets of the longest transport header: TCP's, with all options.
const MAXIMUM_TRANSPORT_HEADER: usize = 60;

/// Octets of the longest IP header: IPv4's with all options. IPv6's with the extension headers that we send is shorter.
const MAXIMUM_NETWORK_HEADER: usize = ipv4::HEADER_LENGTH + ipv4::MAXIMUM_OPTIONS;

/// Octets of all headers at most.
const MAXIMUM_HEADERS: usize = ethernet::HEADER_LENGTH + MAXIMUM_NETWORK_HEADER + MAXIMUM_TRANSPORT_HEADER;

/// Everything that a packet needs on its way out.
#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) hardware_address: HardwareAddress,
    pub(crate) mtu: usize,
    /// The MTU for IPv6, which a router may lower (RFC 4861 §6.3.4).
    pub(crate) mtu6: usize,
    pub(crate) offload: OffloadCapabilities,
    pub(crate) addresses: Addresses,
    pub(crate) routes: Table,
    pub(crate) neighbors: Cache,
    pub(crate) path_mtus: PathMtus,
    pub(crate) identifications: Identifications,
    /// Makes flow labels (RFC 6437).
    pub(crate) flow_labels: FixedState,
    pub(crate) counters: Counters,
}

/// The shape in which a packet goes to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// In one piece.
    Whole,
    /// In one piece, for the device to cut into segments.
    Segmented(Segmentation, u16),
    /// Cut by us into IP packets of this size.
    Fragmented(usize),
}

/// What a path has room for.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Octets of the IP header with all that belongs to it.
    header: usize,
    /// The largest packet that goes in one piece.
    mtu: usize,
    /// The largest packet at all.
    largest: usize,
}

/// A packet's headers, put together: Ethernet, IP and transport.
struct Headers {
    octets: [u8; MAXIMUM_HEADERS],
    /// Where the transport header begins.
    transport: usize,
    length: usize,
}

impl Headers {
    fn all(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    fn transport(&self) -> &[u8] {
        self.octets.get(self.transport..self.length).unwrap_or_default()
    }

    fn write(&mut self, at: usize, octets: &[u8]) {
        if let Some(place) = self.octets.get_mut(at..at + octets.len()) {
            place.copy_from_slice(octets);
        }
    }
}

impl Interface {
    /// Sends a packet to `device`, or keeps it until its neighbour is known. `options` are those of the IPv4 header, or
    /// the hop-by-hop header of IPv6.
    ///
    /// When the device takes only the first fragments, the rest goes to `spill`. When it takes nothing, nothing has
    /// changed.
    pub(crate) fn transmit<D: FrameSink>(
        &mut self,
        now: Instant,
        packet: &OutgoingPacket<'_>,
        options: &[u8],
        device: &mut D,
        spill: Option<&mut Egress>,
    ) -> Result<(), SendFailure> {
        if packet.destination.is_ipv6() {
            return self.transmit_ipv6(now, packet, options, device, spill);
        }
        let hop = self.routes.next_hop(&self.addresses, packet.destination);
        let (Some(hop), IpAddr::V4(source), IpAddr::V4(destination)) = (hop, packet.source, packet.destination) else {
            self.counters.ip.no_route += 1;
            return Err(SendFailure::NoRoute);
        };
        let data = packet.payload.iter().map(|slice| slice.len()).sum();
        let path = self.path_mtus.get(now, packet.destination);
        let room = Room {
            header: ipv4::HEADER_LENGTH + options.len(),
            mtu: path.map_or(self.mtu, |path| path.mtu.min(self.mtu)),
            largest: ipv4::MAXIMUM_LENGTH,
        };
        let may_fragment = !packet.dont_fragment || path.is_some_and(|path| path.below_minimum);
        let shape = self.shape(packet, data, room, may_fragment).inspect_err(|_| self.counters.ip.too_large += 1)?;
        let dont_fragment = !may_fragment;
        let header = ipv4::Header {
            header_length: room.header,
            total_length: room.header + packet.header.len() + data,
            traffic_class: packet.traffic_class,
            identification: self.identification(packet, shape, data, dont_fragment, (source, destination)),
            dont_fragment,
            more_fragments: false,
            fragment_offset: 0,
            time_to_live: packet.hop_limit,
            protocol: packet.protocol,
            source,
            destination,
        };
        let (mut headers, offload) = self.headers(packet, &header, options, shape);
        let neighbor = match hop {
            NextHop::Group(hardware_address) => Ok(hardware_address),
            NextHop::Neighbor(address) => self.neighbors.resolve(now, address, &mut self.counters.arp).ok_or(address),
        };
        match neighbor {
            Ok(hardware_address) => {
                headers.write(0, &hardware_address.0);
                self.emit(&headers, packet.payload, &header, shape, offload, device, spill)?;
            }
            Err(address) => {
                let mut collected = Collector(Waiting::new());
                self.emit(&headers, packet.payload, &header, shape, offload, &mut collected, None)?;
                self.neighbors.wait(address, collected.0, &mut self.counters.arp);
            }
        }
        self.counters.ip.sent += 1;
        Ok(())
    }

    /// In which shape a packet fits the path.
    fn shape(
        &self,
        packet: &OutgoingPacket<'_>,
        data: usize,
        room: Room,
        may_fragment: bool,
    ) -> Result<Shape, SendFailure> {
        let headers = room.header + packet.header.len();
        let length = headers + data;
        if length > room.largest
            || packet.header.len() > MAXIMUM_TRANSPORT_HEADER
            || room.header > MAXIMUM_NETWORK_HEADER
        {
            return Err(SendFailure::TooLarge);
        }
        if let Some(size) = packet.segment_size.filter(|&size| data > usize::from(size)) {
            let kind = match packet.protocol {
                protocol::TCP if packet.destination.is_ipv4() => Segmentation::Tcp4,
                protocol::TCP => Segmentation::Tcp6,
                protocol::UDP => Segmentation::Udp,
                _ => return Err(SendFailure::TooLarge),
            };
            let limit = self.offload.segmentation.filter(|_| self.offload.checksum && size > 0).unwrap_or(0);
            let fits = length <= limit && headers + usize::from(size) <= room.mtu;
            return if fits { Ok(Shape::Segmented(kind, size)) } else { Err(SendFailure::TooLarge) };
        }
        if length <= room.mtu {
            Ok(Shape::Whole)
        } else if may_fragment {
            Ok(Shape::Fragmented(room.mtu))
        } else {
            Err(SendFailure::TooLarge)
        }
    }

    /// RFC 6864 §4: of an atomic packet any value will do; others must not repeat one while the last is on its way.
    fn identification(
        &mut self,
        packet: &OutgoingPacket<'_>,
        shape: Shape,
        data: usize,
        dont_fragment: bool,
        (source, destination): (Ipv4Addr, Ipv4Addr),
    ) -> u16 {
        if dont_fragment {
            return self.identifications.atomic();
        }
        let packets = match shape {
            // The device counts on from the first segment.
            Shape::Segmented(_, size) => data.div_ceil(usize::from(size.max(1))),
            Shape::Whole | Shape::Fragmented(_) => 1,
        };
        self.identifications.next(source, destination, packet.protocol, packets)
    }

    /// All headers with the transport checksum, complete or as the device wants it. The frame's destination is left
    /// open.
    fn headers(
        &self,
        packet: &OutgoingPacket<'_>,
        header: &ipv4::Header,
        options: &[u8],
        shape: Shape,
    ) -> (Headers, Offload) {
        let mut headers = self.new_headers(EtherType::IPV4, header.header_length, packet.header);
        headers.write(ethernet::HEADER_LENGTH, &header.emit(options));
        headers.write(ethernet::HEADER_LENGTH + ipv4::HEADER_LENGTH, options);
        let offload = self.complete_transport(packet, &mut headers, shape);
        (headers, offload)
    }

    /// Headers with those of the link and of the transport, and room for that of the network between them.
    fn new_headers(&self, ether_type: EtherType, network_header: usize, transport_header: &[u8]) -> Headers {
        let link =
            ethernet::Header { destination: HardwareAddress::default(), source: self.hardware_address, ether_type };
        let transport = ethernet::HEADER_LENGTH + network_header;
        let length = transport + transport_header.len();
        let mut headers = Headers { octets: [0; MAXIMUM_HEADERS], transport, length };
        headers.write(0, &link.emit());
        headers.write(transport, transport_header);
        headers
    }

    /// Completes the transport checksum, or prepares what the device completes.
    #[expect(clippy::cast_possible_truncation, reason = "headers are far shorter than 65,535 octets")]
    fn complete_transport(&self, packet: &OutgoingPacket<'_>, headers: &mut Headers, shape: Shape) -> Offload {
        let has_pseudo_header = !matches!(packet.protocol, protocol::ICMP | protocol::IGMP);
        let mut sum = if has_pseudo_header {
            let length = packet.header.len() + packet.payload.iter().map(|slice| slice.len()).sum::<usize>();
            Sum::pseudo_header(packet.source, packet.destination, packet.protocol, length)
        } else {
            Sum::new()
        };
        let mut offload = Offload::default();
        let left_to_device = self.offload.checksum && matches!(packet.protocol, protocol::TCP | protocol::UDP);
        let checksum = if left_to_device && !matches!(shape, Shape::Fragmented(_)) {
            let start = headers.transport as u16;
            offload.checksum = Some(ChecksumOffload { start, offset: packet.checksum_offset as u16 });
            sum.folded()
        } else {
            sum.add(packet.header);
            for slice in packet.payload {
                sum.add(slice);
            }
            match sum.checksum() {
                // RFC 768: zero says that there is no checksum.
                0 if packet.protocol == protocol::UDP => 0xffff,
                checksum => checksum,
            }
        };
        headers.write(headers.transport + packet.checksum_offset, &checksum.to_be_bytes());
        if let Shape::Segmented(kind, segment_size) = shape {
            /// Where TCP has its flags, and the one that says that the congestion window was reduced.
            const FLAGS: usize = 13;
            const CWR: u8 = 0x80;
            let flags = if kind == Segmentation::Udp { None } else { packet.header.get(FLAGS).copied() };
            offload.segmentation = Some(SegmentationOffload {
                kind,
                segment_size,
                header_length: headers.length as u16,
                congestion_window_reduced: flags.is_some_and(|flags| flags & CWR != 0),
            });
        }
        offload
    }

    /// Gives a packet to the device, in one piece or in fragments.
    #[expect(clippy::too_many_arguments, reason = "one packet's parts, all made by `transmit`")]
    fn emit<D: FrameSink>(
        &mut self,
        headers: &Headers,
        payload: &[&[u8]],
        header: &ipv4::Header,
        shape: Shape,
        offload: Offload,
        device: &mut D,
        mut spill: Option<&mut Egress>,
    ) -> Result<(), DeviceFull> {
        let Shape::Fragmented(mtu) = shape else {
            return device.send(headers.all(), payload, offload);
        };
        let mut started = false;
        let data = header.total_length - header.header_length;
        for piece in fragment::cut(data, header.fragment_room(mtu), headers.transport(), payload) {
            let part = header.of_fragment(&piece);
            let slices = piece.slices;
            // The first fragment has the options, in their place already.
            let mut octets = headers.octets;
            let end = ethernet::HEADER_LENGTH + part.header_length;
            let options = headers.octets.get(ethernet::HEADER_LENGTH + ipv4::HEADER_LENGTH..end).unwrap_or_default();
            octets[ethernet::HEADER_LENGTH..ethernet::HEADER_LENGTH + ipv4::HEADER_LENGTH]
                .copy_from_slice(&part.emit(options));
            let octets = octets.get(..end).unwrap_or_default();
            if let Err(full) = device.send(octets, &slices, offload) {
                if !started {
                    return Err(full);
                }
                let frame = Frame::gather(octets, &slices, offload);
                if !spill.as_deref_mut().is_some_and(|egress| egress.push(frame)) {
                    self.counters.link.egress_overflow += 1;
                    return Ok(());
                }
            }
            started = true;
            self.counters.ip.fragments_sent += 1;
        }
        self.counters.ip.fragmented += 1;
        Ok(())
    }
}

/// Takes the frames of a packet that has to wait.
struct Collector(Waiting);

impl FrameSink for Collector {
    fn send(&mut self, headers: &[u8], payload: &[&[u8]], offload: Offload) -> Result<(), DeviceFull> {
        self.0.push(Frame::gather(headers, payload, offload));
        Ok(())
    }
}

/// Counts what the device takes.
pub(crate) struct Counted<'a, D> {
    pub(crate) device: &'a mut D,
    pub(crate) frames: u64,
    pub(crate) octets: u64,
}

impl<D: FrameSink> FrameSink for Counted<'_, D> {
    fn send(&mut self, headers: &[u8], payload: &[&[u8]], offload: Offload) -> Result<(), DeviceFull> {
        self.device.send(headers, payload, offload)?;
        self.frames += 1;
        self.octets += (headers.len() + payload.iter().map(|slice| slice.len()).sum::<usize>()) as u64;
        Ok(())
    }
}

/// The network layer and a device: the way out for a transport.
pub(crate) struct Output<'a, D> {
    pub(super) network: &'a mut Network,
    pub(super) now: Instant,
    pub(super) device: &'a mut D,
}

impl<D: FrameSink> PacketSink for Output<'_, D> {
    fn send(&mut self, packet: OutgoingPacket<'_>) -> Result<(), SendFailure> {
        // What waits goes first, so that packets to a neighbour stay in order.
        if !self.network.egress.is_empty() {
            self.network.flush(self.device)?;
        }
        let mut device = Counted { device: self.device, frames: 0, octets: 0 };
        let Network { interface, egress, .. } = &mut *self.network;
        let result = interface.transmit(self.now, &packet, &[], &mut device, Some(egress));
        interface.counters.link.sent += device.frames;
        interface.counters.link.octets_sent += device.octets;
        result
    }

    fn path_mtu(&self, destination: IpAddr) -> usize {
        self.network.path_mtu(self.now, destination)
    }

    fn segmentation_limit(&self) -> Option<usize> {
        let OffloadCapabilities { checksum, segmentation } = self.network.interface.offload;
        let limit = segmentation.filter(|_| checksum)?.min(ipv4::MAXIMUM_LENGTH);
        // For both families alike: IPv6's header is the longer one.
        limit.checked_sub(ipv6::HEADER_LENGTH + MAXIMUM_TRANSPORT_HEADER)
    }
}

#[cfg(test)]
mod tests;
