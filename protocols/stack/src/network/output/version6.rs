//! The way out over IPv6 (RFC 8200).
//!
//! Responsible for what differs from IPv4: the header with its flow label, hop-by-hop options, and fragments with a
//! header of their own. Checksums, neighbours and what is left to the device are the same.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};

use super::{Collector, Headers, Interface, Room, Shape};
use crate::link::ethernet::{self, EtherType};
use crate::network::egress::{Egress, Frame};
use crate::network::extension::{FRAGMENT_HEADER_LENGTH, FragmentHeader, next_header};
use crate::network::neighbor::Waiting;
use crate::network::route::NextHop;
use crate::network::{fragment, ipv6, protocol};
use crate::packet::{OutgoingPacket, SendFailure};
use crate::{DeviceFull, FrameSink, Instant, Offload};

impl Interface {
    /// Sends an IPv6 packet: see [`transmit`](Self::transmit). `options` are a whole hop-by-hop header, or nothing.
    pub(super) fn transmit_ipv6<D: FrameSink>(
        &mut self,
        now: Instant,
        packet: &OutgoingPacket<'_>,
        options: &[u8],
        device: &mut D,
        spill: Option<&mut Egress>,
    ) -> Result<(), SendFailure> {
        let hop = self.routes.next_hop(&self.addresses, packet.destination);
        let (Some(hop), IpAddr::V6(source), IpAddr::V6(destination)) = (hop, packet.source, packet.destination) else {
            self.counters.ipv6.no_route += 1;
            return Err(SendFailure::NoRoute);
        };
        let data: usize = packet.payload.iter().map(|slice| slice.len()).sum();
        let path = self.path_mtus.get(now, packet.destination);
        let room = Room {
            header: ipv6::HEADER_LENGTH + options.len(),
            mtu: path.map_or(self.mtu6, |path| path.mtu.clamp(ipv6::MINIMUM_MTU, self.mtu6)),
            largest: ipv6::HEADER_LENGTH + ipv6::MAXIMUM_PAYLOAD,
        };
        let shape =
            self.shape(packet, data, room, !packet.dont_fragment).inspect_err(|_| self.counters.ipv6.too_large += 1)?;
        let header = ipv6::Header {
            traffic_class: packet.traffic_class,
            flow_label: self.flow_label(packet, source, destination),
            payload_length: options.len() + packet.header.len() + data,
            next_header: if options.is_empty() { packet.protocol } else { next_header::HOP_BY_HOP },
            hop_limit: packet.hop_limit,
            source,
            destination,
        };
        let mut headers = self.new_headers(EtherType::IPV6, room.header, packet.header);
        headers.write(ethernet::HEADER_LENGTH, &header.emit());
        headers.write(ethernet::HEADER_LENGTH + ipv6::HEADER_LENGTH, options);
        let offload = self.complete_transport(packet, &mut headers, shape);
        let neighbor = match hop {
            NextHop::Group(hardware_address) => Ok(hardware_address),
            NextHop::Neighbor(address) => self.neighbors.resolve(now, address, &mut self.counters.arp).ok_or(address),
        };
        match neighbor {
            Ok(hardware_address) => {
                headers.write(0, &hardware_address.0);
                self.emit_ipv6(&headers, packet, &header, shape, offload, device, spill)?;
            }
            Err(address) => {
                let mut collected = Collector(Waiting::new());
                self.emit_ipv6(&headers, packet, &header, shape, offload, &mut collected, None)?;
                self.neighbors.wait(address, collected.0, &mut self.counters.arp);
            }
        }
        self.counters.ipv6.sent += 1;
        Ok(())
    }

    /// RFC 6437 §3: the same for all packets of a flow, different for flows, and not to be guessed. Nobody has to
    /// remember it.
    #[expect(clippy::cast_possible_truncation, reason = "any 20 bits of the hash will do")]
    fn flow_label(&self, packet: &OutgoingPacket<'_>, source: Ipv6Addr, destination: Ipv6Addr) -> u32 {
        let ports = match packet.protocol {
            protocol::TCP | protocol::UDP => packet.header.first_chunk().map_or(0, |ports| u32::from_be_bytes(*ports)),
            _ => 0,
        };
        let hash = self.flow_labels.hash_one((source.to_bits(), destination.to_bits(), ports, packet.protocol));
        // Nought says that there is no label.
        (hash as u32 & 0x000f_ffff).max(1)
    }

    /// Gives a packet to the device, in one piece or in fragments (RFC 8200 §4.5).
    #[expect(clippy::too_many_arguments, reason = "one packet's parts, all made by `transmit_ipv6`")]
    fn emit_ipv6<D: FrameSink>(
        &mut self,
        headers: &Headers,
        packet: &OutgoingPacket<'_>,
        header: &ipv6::Header,
        shape: Shape,
        offload: Offload,
        device: &mut D,
        mut spill: Option<&mut Egress>,
    ) -> Result<(), DeviceFull> {
        let Shape::Fragmented(mtu) = shape else {
            return device.send(headers.all(), packet.payload, offload);
        };
        // What every fragment begins with. Hop-by-hop options belong to it, and name the fragment header behind them.
        let network = headers.transport - ethernet::HEADER_LENGTH;
        let mut octets = headers.octets;
        let number = if network > ipv6::HEADER_LENGTH { ipv6::HEADER_LENGTH } else { ipv6::NEXT_HEADER_OFFSET };
        if let Some(number) = octets.get_mut(ethernet::HEADER_LENGTH + number) {
            *number = next_header::FRAGMENT;
        }
        let first = FragmentHeader {
            next_header: packet.protocol,
            offset: 0,
            more: true,
            identification: self.identifications.next6(header.source, header.destination),
        };
        let end = headers.transport + FRAGMENT_HEADER_LENGTH;
        let data = header.payload_length + ipv6::HEADER_LENGTH - network;
        let room = mtu.saturating_sub(network + FRAGMENT_HEADER_LENGTH);
        let mut started = false;
        for piece in fragment::cut(data, (room, room), headers.transport(), packet.payload) {
            let part = FragmentHeader { offset: piece.offset, more: piece.more, ..first };
            let payload_length = network - ipv6::HEADER_LENGTH + FRAGMENT_HEADER_LENGTH + piece.length;
            let mut place = Headers { octets, transport: headers.transport, length: end };
            let at = ethernet::HEADER_LENGTH + ipv6::PAYLOAD_LENGTH_OFFSET;
            place.write(at, &u16::try_from(payload_length).unwrap_or(u16::MAX).to_be_bytes());
            place.write(headers.transport, &part.emit());
            if let Err(full) = device.send(place.all(), &piece.slices, offload) {
                if !started {
                    return Err(full);
                }
                let frame = Frame::gather(place.all(), &piece.slices, offload);
                if !spill.as_deref_mut().is_some_and(|egress| egress.push(frame)) {
                    self.counters.link.egress_overflow += 1;
                    return Ok(());
                }
            }
            started = true;
            self.counters.ipv6.fragments_sent += 1;
        }
        self.counters.ipv6.fragmented += 1;
        Ok(())
    }
}
