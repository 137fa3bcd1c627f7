//! The host's end of the segment.
//!
//! Responsible for bringing the TAP's interface up on the host and giving it its MTU, addresses and bridge, for those
//! who do not leave that to networkd. Only what is missing is changed, so it can be done again, and needs no privilege
//! when there is nothing to do. Nothing is taken away. Not for tapster's own end, which the stack has.

use std::io;
use std::net::IpAddr;

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rustix::io::Errno;

use super::netlink::{Connection, Link, LinkKind, family};

/// What the host's end should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEnd<'a> {
    /// The TAP's interface.
    pub name: &'a str,
    /// The largest network packet, in octets.
    pub mtu: u16,
    /// The host's own addresses on the segment. With a bridge it is the bridge that gets them, as the host hears
    /// nothing through an interface that is the port of one.
    pub addresses: &'a [InterfaceAddress],
    /// A bridge, which must exist, to make the interface a port of.
    pub bridge: Option<&'a str>,
}

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: IpAddr,
    /// The prefix's length in bits: 0 to 32 or 128.
    pub prefix_length: u8,
}

/// The host's end could not be configured.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// There is no such interface.
    #[error("there is no interface {name} on the host")]
    NoInterface {
        /// The interface.
        name: String,
    },
    /// There is no such bridge.
    #[error("there is no bridge {name} on the host: make it with `ip link add {name} type bridge`")]
    NoBridge {
        /// The bridge.
        name: String,
    },
    /// The process may not change the host's network.
    #[error(
        "{doing} takes CAP_NET_ADMIN: leave out [link.host] and configure the interface with networkd or `ip`, or run \
         as root"
    )]
    NotPermitted {
        /// What was being done.
        doing: String,
    },
    /// A sandbox keeps netlink away.
    #[error(
        "the host's end of the link cannot be configured without netlink: leave out [link.host], or let the unit have \
         `RestrictAddressFamilies=AF_NETLINK`"
    )]
    NoNetlink,
    /// The kernel refused.
    #[error("{doing} failed: {source}")]
    Refused {
        /// What was being done.
        doing: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl HostError {
    /// An error of the kernel, with what was being done.
    fn refused(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| match Errno::from_io_error(&source) {
            Some(Errno::PERM | Errno::ACCESS) => Self::NotPermitted { doing },
            Some(Errno::AFNOSUPPORT) => Self::NoNetlink,
            _ => Self::Refused { doing, source },
        }
    }
}

/// Brings the host's end to the state that is wanted.
///
/// # Errors
/// [`HostError`]. What was done before it stays done.
pub fn configure(end: &HostEnd<'_>) -> Result<(), HostError> {
    let HostEnd { name, mtu, addresses, bridge } = *end;
    let mut netlink = connect()?;
    let link = look_up(&mut netlink, name)?.ok_or_else(|| HostError::NoInterface { name: name.to_owned() })?;
    let bridge = bridge.map(|bridge| look_up_bridge(&mut netlink, bridge)).transpose()?;

    if link.mtu != Some(mtu.into()) {
        let message = change(&link, Some(LinkAttribute::Mtu(mtu.into())));
        netlink.set_link(message).map_err(HostError::refused(format!("giving {name} the MTU {mtu}")))?;
    }
    if let Some(bridge) = &bridge
        && link.controller != Some(bridge.index)
    {
        let message = change(&link, Some(LinkAttribute::Controller(bridge.index)));
        netlink.set_link(message).map_err(HostError::refused(format!("making {name} a port of the bridge")))?;
    }
    let holder = bridge.as_ref().unwrap_or(&link);
    let present = netlink.addresses(holder.index).map_err(HostError::refused("reading the host's addresses"))?;
    for InterfaceAddress { address, prefix_length } in addresses {
        if present.contains(&(*address, *prefix_length)) {
            continue;
        }
        // On our own segment nobody but tapster could have the address. Without the look for duplicates it can be
        // used at once instead of a second or two later.
        let message = address_message(holder, *address, *prefix_length, bridge.is_none());
        match netlink.add_address(message) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::EXIST) => {}
            outcome => {
                outcome
                    .map_err(HostError::refused(format!("giving the host the address {address}/{prefix_length}")))?;
            }
        }
    }
    bring_up(&mut netlink, name, &link)
}

/// Brings up the loopback interface, which is down in a new network namespace.
///
/// # Errors
/// [`HostError`].
pub fn bring_up_loopback() -> Result<(), HostError> {
    let mut netlink = connect()?;
    let link = look_up(&mut netlink, "lo")?.ok_or_else(|| HostError::NoInterface { name: "lo".to_owned() })?;
    bring_up(&mut netlink, "lo", &link)
}

fn connect() -> Result<Connection, HostError> {
    Connection::open().map_err(HostError::refused("speaking netlink with the kernel"))
}

fn look_up(netlink: &mut Connection, name: &str) -> Result<Option<Link>, HostError> {
    netlink.link(name).map_err(HostError::refused(format!("looking up {name}")))
}

fn look_up_bridge(netlink: &mut Connection, name: &str) -> Result<Link, HostError> {
    look_up(netlink, name)?
        .filter(|link| link.kind == LinkKind::Bridge)
        .ok_or_else(|| HostError::NoBridge { name: name.to_owned() })
}

fn bring_up(netlink: &mut Connection, name: &str, link: &Link) -> Result<(), HostError> {
    if link.up {
        return Ok(());
    }
    let mut message = change(link, None);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    netlink.set_link(message).map_err(HostError::refused(format!("bringing {name} up")))
}

/// A request that changes the attribute of a link.
fn change(link: &Link, attribute: Option<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = link.index;
    message.attributes.extend(attribute);
    message
}

/// A request that gives an interface an address.
fn address_message(link: &Link, address: IpAddr, prefix_length: u8, unique: bool) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = prefix_length;
    message.header.index = link.index;
    // IPv4 takes the interface's own address from IFA_LOCAL, IPv6 from either.
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    match address {
        IpAddr::V4(address) if prefix_length < 31 => {
            let host_bits = u32::MAX.checked_shr(prefix_length.into()).unwrap_or(0);
            message.attributes.push(AddressAttribute::Broadcast((u32::from(address) | host_bits).into()));
        }
        IpAddr::V6(_) if unique => message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad)),
        _ => {}
    }
    message
}
