//! A conversation with the kernel about interfaces and addresses (rtnetlink(7)).
//!
//! Responsible for requests and their answers, one after the other and blocking: it is used at start-up only. Not for
//! what to configure (see `host`).

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoData, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use rustix::net::sockopt;

/// How long the kernel may take for an answer. It answers at once, so this is for the case that it never does.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// `IFLA_TUN_TYPE`: a `u8`, 1 for TUN and 2 for TAP.
const TUN_TYPE: u16 = 3;
/// `IFLA_TUN_MULTI_QUEUE`: a `u8`, not 0 when the interface takes several queues.
const TUN_MULTI_QUEUE: u16 = 7;

/// A socket on which the kernel answers.
pub(super) struct Connection {
    socket: Socket,
    sequence_number: u32,
}

/// An interface, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) kind: LinkKind,
    pub(super) up: bool,
    pub(super) mtu: Option<u32>,
    /// The index of the bridge that it is a port of.
    pub(super) controller: Option<u32>,
}

/// What sort of interface it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A TAP with one queue.
    Tap,
    /// A TAP with several queues.
    MultiQueueTap,
    /// A TUN: packets without frames.
    Tun,
    /// A bridge.
    Bridge,
    /// Something else.
    Other,
    /// The kernel could not be asked.
    Unknown,
}

impl Connection {
    /// Opens a connection.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        sockopt::set_socket_timeout(socket.as_fd(), sockopt::Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { socket, sequence_number: 0 })
    }

    /// The interface of that name, if there is one.
    pub(super) fn link(&mut self, name: &str) -> io::Result<Option<Link>> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let mut link = None;
        let outcome = self.request(RouteNetlinkMessage::GetLink(message), NLM_F_ACK, |answer| {
            if let RouteNetlinkMessage::NewLink(message) = answer {
                link = Some(Link::from(message));
            }
        });
        match outcome {
            Ok(()) => Ok(link),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes an interface.
    pub(super) fn set_link(&mut self, message: LinkMessage) -> io::Result<()> {
        self.request(RouteNetlinkMessage::SetLink(message), NLM_F_ACK, |_| {})
    }

    /// The addresses of an interface with their prefix lengths.
    pub(super) fn addresses(&mut self, index: u32) -> io::Result<Vec<(IpAddr, u8)>> {
        let mut addresses = Vec::new();
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        self.request(request, NLM_F_DUMP, |answer| {
            let RouteNetlinkMessage::NewAddress(message) = answer else { return };
            if message.header.index != index {
                return;
            }
            // On a broadcast interface IPv4 has the interface's own in both, IPv6 in IFA_ADDRESS alone.
            let own = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            });
            addresses.extend(own.map(|address| (address, message.header.prefix_len)));
        })?;
        Ok(addresses)
    }

    /// Gives an interface an address. That it has the address already is an error, EEXIST.
    pub(super) fn add_address(&mut self, message: AddressMessage) -> io::Result<()> {
        self.request(RouteNetlinkMessage::NewAddress(message), NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |_| {})
    }

    /// Sends one request and reads its answers until the last.
    fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        mut take: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.sequence_number += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence_number;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut octets = vec![0; request.buffer_len()];
        request.serialize(&mut octets);
        self.socket.send(&octets, 0)?;
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            let mut rest = datagram.as_slice();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
                // Messages are padded to four octets. One without a length would be read for ever.
                let length =
                    usize::try_from(answer.header.length).map_err(io::Error::other)?.next_multiple_of(4).max(4);
                rest = rest.get(length..).unwrap_or_default();
                if answer.header.sequence_number != self.sequence_number {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(error) if error.code.is_none() => return Ok(()),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    NetlinkPayload::InnerMessage(message) => take(message),
                    _ => {}
                }
            }
        }
    }
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            kind: LinkKind::Other,
            up: message.header.flags.contains(LinkFlags::Up),
            mtu: None,
            controller: None,
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::Mtu(mtu) => link.mtu = Some(mtu),
                LinkAttribute::Controller(index) => link.controller = Some(index),
                LinkAttribute::LinkInfo(information) => link.kind = kind(&information),
                _ => {}
            }
        }
        link
    }
}

/// What sort of interface the kernel describes.
fn kind(information: &[LinkInfo]) -> LinkKind {
    let flag = |wanted: u16| {
        let attributes = information.iter().find_map(|part| match part {
            LinkInfo::Data(InfoData::Tun(attributes)) => Some(attributes),
            _ => None,
        })?;
        let attribute = attributes.iter().find(|attribute| attribute.kind() == wanted)?;
        let mut value = [0; 8];
        attribute.emit_value(value.get_mut(..attribute.value_len())?);
        Some(value[0])
    };
    let kind = information.iter().find_map(|part| match part {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    });
    match kind {
        Some(InfoKind::Tun) if flag(TUN_TYPE) == Some(1) => LinkKind::Tun,
        Some(InfoKind::Tun) if flag(TUN_MULTI_QUEUE).is_some_and(|flag| flag != 0) => LinkKind::MultiQueueTap,
        Some(InfoKind::Tun) => LinkKind::Tap,
        Some(InfoKind::Bridge) => LinkKind::Bridge,
        _ => LinkKind::Other,
    }
}

/// The family's number for an address.
pub(super) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}
