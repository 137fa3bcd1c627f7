//! Which hosts and ports a frame is between.
//!
//! Responsible for as much of a frame as a capture's filter needs: Ethernet, ARP, IPv4, IPv6 without extension headers,
//! ports. Frames are the network's: anything may stand in them. A fragment that is not the first has no ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a frame says of its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// The ports of TCP or UDP.
    pub(super) ports: Option<(u16, u16)>,
    pub(super) is_tcp: bool,
}

const TCP: u8 = 6;
const UDP: u8 = 17;

impl Flow {
    /// Reads a frame.
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let (ether_type, packet) = (frame.get(12..14)?, frame.get(14..)?);
        match ether_type {
            [0x08, 0x00] => Self::of_ipv4(packet),
            [0x86, 0xdd] => Self::of_ipv6(packet),
            // RFC 826, for Ethernet and IPv4.
            [0x08, 0x06] => {
                Some(Self { source: ipv4(packet, 14)?, destination: ipv4(packet, 24)?, ports: None, is_tcp: false })
            }
            _ => None,
        }
    }

    fn of_ipv4(packet: &[u8]) -> Option<Self> {
        let header_length = usize::from(packet.first()? & 0x0f) * 4;
        let protocol = *packet.get(9)?;
        let fragment_offset = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff;
        let payload = packet.get(header_length.max(20)..).filter(|_| fragment_offset == 0);
        Some(Self::new(ipv4(packet, 12)?, ipv4(packet, 16)?, protocol, payload))
    }

    fn of_ipv6(packet: &[u8]) -> Option<Self> {
        let address = |from: usize| -> Option<IpAddr> {
            let octets: [u8; 16] = packet.get(from..from + 16)?.try_into().ok()?;
            Some(Ipv6Addr::from(octets).into())
        };
        Some(Self::new(address(8)?, address(24)?, *packet.get(6)?, packet.get(40..)))
    }

    fn new(source: IpAddr, destination: IpAddr, protocol: u8, payload: Option<&[u8]>) -> Self {
        let ports = payload.filter(|_| matches!(protocol, TCP | UDP)).and_then(|payload| {
            let [a, b, c, d] = *payload.first_chunk()?;
            Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
        });
        Self { source, destination, ports, is_tcp: protocol == TCP && ports.is_some() }
    }

    /// Whether it is between these two ends, either way.
    pub(super) fn is_between(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        let Some((from, to)) = self.ports.filter(|_| self.is_tcp) else { return false };
        let ends = (SocketAddr::new(self.source, from), SocketAddr::new(self.destination, to));
        ends == (local, remote) || ends == (remote, local)
    }
}

fn ipv4(packet: &[u8], from: usize) -> Option<IpAddr> {
    let octets: [u8; 4] = packet.get(from..from + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(octets).into())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A TCP segment from 192.0.2.1:40000 to 192.0.2.2:80.
    pub(in crate::wire) fn segment() -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        frame.extend([0x9c, 0x40, 0, 80]);
        frame.extend([0; 20]);
        frame
    }

    #[test]
    fn a_segment_has_hosts_and_ports_and_a_later_fragment_none() {
        let mut frame = segment();
        let (host, own) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let flow = Flow { source: host, destination: own, ports: Some((40000, 80)), is_tcp: true };
        assert_eq!(Flow::of(&frame), Some(flow));
        assert!(flow.is_between(SocketAddr::new(own, 80), SocketAddr::new(host, 40000)));
        assert!(!flow.is_between(SocketAddr::new(own, 80), SocketAddr::new(host, 40001)));
        frame[21] = 1;
        assert_eq!(Flow::of(&frame), Some(Flow { ports: None, is_tcp: false, ..flow }));
    }

    proptest! {
        #[test]
        fn any_frame_is_read(frame in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _ = Flow::of(&frame);
        }

        #[test]
        fn any_ip_packet_is_read(rest in proptest::collection::vec(any::<u8>(), 0..80), six in any::<bool>()) {
            let mut frame = vec![0; 12];
            frame.extend(if six { [0x86, 0xdd] } else { [0x08, 0x00] });
            frame.extend(rest);
            let _ = Flow::of(&frame);
        }
    }
}
