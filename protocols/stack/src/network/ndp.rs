//! Neighbour discovery messages (RFC 4861 §4).
//!
//! Responsible for the octets of solicitations, advertisements and redirects with their options, and for the checks of
//! §6.1, §7.1 and §8.1 that a message alone can fail. Not for what they bring about.

use std::net::Ipv6Addr;

use smallvec::SmallVec;

use super::icmpv6::kind;
use crate::HardwareAddress;

/// The hop limit of all these messages: what has passed a router has less (RFC 4861 §3.1).
pub(crate) const HOP_LIMIT: u8 = 255;

mod option {
    pub(super) const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
    pub(super) const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A host looks for routers, of which we are none.
    RouterSolicitation,
    /// A router shows itself, which nobody here needs: routers are configured.
    RouterAdvertisement,
    /// A station looks for another, or asks whether an address is free.
    NeighborSolicitation {
        /// Whom it looks for.
        target: Ipv6Addr,
        /// Its own hardware address.
        source: Option<HardwareAddress>,
    },
    /// A station shows itself.
    NeighborAdvertisement(Advertisement),
    /// A router knows a better way.
    Redirect,
}

/// What a station says of itself (RFC 4861 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advertisement {
    /// Whose hardware address it tells.
    pub(crate) target: Ipv6Addr,
    /// That hardware address.
    pub(crate) hardware_address: Option<HardwareAddress>,
    /// It is a router.
    pub(crate) router: bool,
    /// It answers a solicitation.
    pub(crate) solicited: bool,
    /// It corrects what is known.
    pub(crate) overrides: bool,
}

/// Reads a message, type and all. `None` when it is too short, when an option is empty or goes beyond it (RFC 4861
/// §4.6: such a message is dropped whole), or when a code is not nought.
pub(crate) fn parse(octets: &[u8]) -> Option<Message> {
    let (&[kind, code, _, _, flags, _, _, _], body) = octets.split_first_chunk::<8>()?;
    if code != 0 {
        return None;
    }
    match kind {
        kind::ROUTER_SOLICITATION => {
            for_each_option(body, |_, _| {})?;
            Some(Message::RouterSolicitation)
        }
        kind::ROUTER_ADVERTISEMENT => {
            // Lifetimes and two intervals stand before the options.
            for_each_option(body.get(8..)?, |_, _| {})?;
            Some(Message::RouterAdvertisement)
        }
        kind::NEIGHBOR_SOLICITATION => {
            let (target, options) = target(body)?;
            let mut source = None;
            for_each_option(options, |kind, data| {
                if kind == option::SOURCE_LINK_LAYER_ADDRESS {
                    source = hardware_address(data);
                }
            })?;
            Some(Message::NeighborSolicitation { target, source })
        }
        kind::NEIGHBOR_ADVERTISEMENT => {
            let (target, options) = target(body)?;
            let mut address = None;
            for_each_option(options, |kind, data| {
                if kind == option::TARGET_LINK_LAYER_ADDRESS {
                    address = hardware_address(data);
                }
            })?;
            Some(Message::NeighborAdvertisement(Advertisement {
                target,
                hardware_address: address,
                router: flags & 0x80 != 0,
                solicited: flags & 0x40 != 0,
                overrides: flags & 0x20 != 0,
            }))
        }
        kind::REDIRECT => {
            body.get(..32)?;
            Some(Message::Redirect)
        }
        _ => None,
    }
}

fn target(body: &[u8]) -> Option<(Ipv6Addr, &[u8])> {
    let (target, options) = body.split_first_chunk::<16>()?;
    let target = Ipv6Addr::from(*target);
    (!target.is_multicast()).then_some((target, options))
}

/// Hands each option's type and data to `take`. `None` when one is empty or goes beyond the message.
fn for_each_option(mut options: &[u8], mut take: impl FnMut(u8, &[u8])) -> Option<()> {
    while let Some((&[kind, units], _)) = options.split_first_chunk::<2>() {
        let (option, behind) = options.split_at_checked(usize::from(units) * 8).filter(|_| units > 0)?;
        take(kind, option.get(2..).unwrap_or_default());
        options = behind;
    }
    options.is_empty().then_some(())
}

/// An Ethernet address (RFC 2464 §6). A group's is nobody's.
fn hardware_address(data: &[u8]) -> Option<HardwareAddress> {
    let address = HardwareAddress(*data.first_chunk::<6>()?);
    (data.len() == 6 && !address.is_multicast() && address != HardwareAddress::default()).then_some(address)
}

/// A message that is to be sent. The checksum is zero.
pub(crate) type Octets = SmallVec<[u8; 32]>;

/// A solicitation for `target`, with our hardware address unless the source is unspecified (RFC 4861 §4.3).
pub(crate) fn neighbor_solicitation(target: Ipv6Addr, source: Option<HardwareAddress>) -> Octets {
    let mut octets = Octets::from_slice(&[kind::NEIGHBOR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
    octets.extend_from_slice(&target.octets());
    if let Some(address) = source {
        octets.extend_from_slice(&[option::SOURCE_LINK_LAYER_ADDRESS, 1]);
        octets.extend_from_slice(&address.0);
    }
    octets
}

/// An advertisement.
pub(crate) fn neighbor_advertisement(advertisement: &Advertisement) -> Octets {
    let Advertisement { target, hardware_address, router, solicited, overrides } = *advertisement;
    let flags = u8::from(router) << 7 | u8::from(solicited) << 6 | u8::from(overrides) << 5;
    let mut octets = Octets::from_slice(&[kind::NEIGHBOR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0]);
    octets.extend_from_slice(&target.octets());
    if let Some(address) = hardware_address {
        octets.extend_from_slice(&[option::TARGET_LINK_LAYER_ADDRESS, 1]);
        octets.extend_from_slice(&address.0);
    }
    octets
}

#[cfg(test)]
mod tests;
