//! What the stack has seen, as plain numbers.
//!
//! Responsible for the counters of the link and network layers and for the way counters are declared: each packet that
//! is dropped counts under the one reason for which it was dropped. Not for their presentation.

/// Declares a struct of counters. Those under `drops` are the reasons for which something was dropped; `counts()` and
/// `drops()` list them with the layer's name. Gauges, which go up and down, are fields and no more.
macro_rules! counters {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident in $layer:literal {
            counts { $($(#[$count_meta:meta])* $count:ident,)* }
            drops { $($(#[$drop_meta:meta])* $drop:ident,)* }
            $(gauges { $($(#[$gauge_meta:meta])* $gauge:ident,)* })?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $visibility struct $name {
            $($(#[$count_meta])* pub $count: u64,)*
            $($(#[$drop_meta])* pub $drop: u64,)*
            $($($(#[$gauge_meta])* pub $gauge: u64,)*)?
        }

        impl $name {
            /// Everything that is not a drop: (layer, name, value).
            pub fn counts(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$(($layer, stringify!($count), self.$count),)*].into_iter()
            }

            /// What was dropped: (layer, reason, value).
            pub fn drops(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$(($layer, stringify!($drop), self.$drop),)*].into_iter()
            }
        }
    };
}
pub(crate) use counters;

pub use self::version6::{Icmpv6Counters, Ipv6Counters, MldCounters, NdpCounters};

mod version6;

/// The counters of the link and network layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Ethernet.
    pub link: LinkCounters,
    /// ARP, and the neighbour cache of both families.
    pub arp: ArpCounters,
    /// IPv4.
    pub ip: IpCounters,
    /// Fragments received.
    pub reassembly: ReassemblyCounters,
    /// ICMP.
    pub icmp: IcmpCounters,
    /// IGMP.
    pub igmp: IgmpCounters,
    /// IPv6.
    pub ipv6: Ipv6Counters,
    /// ICMPv6.
    pub icmpv6: Icmpv6Counters,
    /// Neighbour discovery.
    pub ndp: NdpCounters,
    /// Multicast listener discovery.
    pub mld: MldCounters,
}

impl Counters {
    /// Everything that is not a drop: (layer, name, value).
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let Self { link, arp, ip, reassembly, icmp, igmp, ipv6, icmpv6, ndp, mld } = self;
        link.counts()
            .chain(arp.counts())
            .chain(ip.counts())
            .chain(reassembly.counts())
            .chain(icmp.counts())
            .chain(igmp.counts())
            .chain(ipv6.counts())
            .chain(icmpv6.counts())
            .chain(ndp.counts())
            .chain(mld.counts())
    }

    /// What was dropped: (layer, reason, value).
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let Self { link, arp, ip, reassembly, icmp, igmp, ipv6, icmpv6, ndp, mld } = self;
        link.drops()
            .chain(arp.drops())
            .chain(ip.drops())
            .chain(reassembly.drops())
            .chain(icmp.drops())
            .chain(igmp.drops())
            .chain(ipv6.drops())
            .chain(icmpv6.drops())
            .chain(ndp.drops())
            .chain(mld.drops())
    }
}

counters! {
    /// Ethernet.
    pub struct LinkCounters in "link" {
        counts {
            /// Frames received, whatever came of them.
            received,
            /// Octets in them.
            octets_received,
            /// Frames given to the device.
            sent,
            /// Octets in them; a frame that the device cuts counts once.
            octets_sent,
        }
        drops {
            /// Shorter than a header.
            too_short,
            /// IEEE 802.3 frames, with a length in place of the type.
            length_field,
            /// Sent from a group address, which no station has.
            group_source,
            /// Sent from our own address: a loop, or a second station with it.
            own_source,
            /// For another station.
            other_destination,
            /// With a VLAN tag; no VLAN is configured.
            vlan_tagged,
            /// Of a type that nobody here reads.
            unknown_ether_type,
            /// The queue of frames that wait for the device was full.
            egress_overflow,
        }
    }
}

counters! {
    /// ARP, and the neighbour cache of both families.
    pub struct ArpCounters in "arp" {
        counts {
            /// Packets received.
            received,
            /// Requests that asked for one of our addresses.
            requests_for_us,
            /// Requests sent, broadcast or unicast.
            requests_sent,
            /// Replies sent.
            replies_sent,
            /// Announcements of our own addresses sent (RFC 5227 §2.3).
            announcements_sent,
            /// Probes for our own addresses sent (RFC 5227 §2.1).
            probes_sent,
            /// Packets of another station that uses one of our addresses (RFC 5227 §2.4).
            address_conflicts,
            /// Neighbours that came back with another hardware address.
            changed,
            /// Neighbours that left the cache to make room.
            evicted,
            /// Neighbours that did not answer.
            unresolved,
        }
        drops {
            /// Shorter than a packet, or not for Ethernet and IPv4.
            malformed,
            /// From a sender that cannot be one: a group address, or a foreign network.
            bad_sender,
            /// Our own packet, come back.
            own_echo,
            /// An operation other than request and reply.
            unknown_operation,
            /// From a sender that nobody here has asked for, about somebody else.
            not_asked_for,
            /// A request that could not be remembered: the cache is full of neighbours in use.
            cache_full,
            /// Outgoing packets given up since their neighbour did not answer.
            waiting_unresolved,
            /// Outgoing packets given up since too many were waiting.
            waiting_overflow,
            /// Requests not sent since too many were due.
            request_overflow,
        }
    }
}

counters! {
    /// IPv4.
    pub struct IpCounters in "ip" {
        counts {
            /// Packets received in frames for us.
            received,
            /// Packets that came through all checks, fragments put together.
            delivered,
            /// Packets sent, before fragmentation and segmentation.
            sent,
            /// Packets sent that had to be fragmented.
            fragmented,
            /// Fragments sent.
            fragments_sent,
        }
        drops {
            /// Shorter than a header.
            too_short,
            /// Not version 4.
            bad_version,
            /// A header length below the smallest or beyond the packet.
            bad_header_length,
            /// A wrong header checksum.
            bad_checksum,
            /// A total length below the header's or beyond the frame.
            bad_total_length,
            /// An option that is not one.
            bad_option,
            /// A source route, which is refused.
            source_route,
            /// From an address that no host sends from.
            martian_source,
            /// From one of our own addresses.
            own_source,
            /// For another host.
            other_destination,
            /// For one host, but in a frame for many (RFC 1122 §3.3.6).
            group_frame,
            /// Of a version or protocol that is not built in.
            unknown_protocol,
            /// Outgoing: no route to the destination.
            no_route,
            /// Outgoing: larger than the path allows, or than IP can carry.
            too_large,
        }
    }
}

counters! {
    /// Fragments received.
    pub struct ReassemblyCounters in "reassembly" {
        counts {
            /// Fragments received.
            received,
            /// Datagrams put together.
            reassembled,
            /// Fragments that came twice.
            duplicates,
        }
        drops {
            /// Fragments that are empty, not a multiple of eight octets, or that end beyond 65,535.
            bad_fragment,
            /// Datagrams whose fragments overlap or contradict each other.
            overlapping,
            /// Fragments that came after their datagram was given up for an overlap.
            after_overlap,
            /// Datagrams whose fragments were in part marked by a router, in part not ECN-capable (RFC 3168 §5.3).
            contradicting_ecn,
            /// Datagrams that were not complete in time.
            timed_out,
            /// Datagrams given up to make room for others.
            evicted,
            /// Fragments refused since their source, or their datagram, has as much as one may have.
            over_limit,
        }
    }
}

counters! {
    /// ICMP.
    pub struct IcmpCounters in "icmp" {
        counts {
            /// Messages received.
            received,
            /// Echo requests answered.
            echo_replies_sent,
            /// Timestamp requests answered.
            timestamp_replies_sent,
            /// Errors sent.
            errors_sent,
            /// Errors received and handed up.
            errors_received,
            /// Destinations whose path MTU was lowered.
            path_mtu_lowered,
        }
        drops {
            /// Shorter than a message.
            too_short,
            /// A wrong checksum.
            bad_checksum,
            /// A request sent to a group of hosts.
            group_request,
            /// An error that quotes too little, or nothing that we sent.
            bad_quotation,
            /// A packet-too-big message whose MTU the quoted packet would have fitted (RFC 5927 §7.2).
            implausible_mtu,
            /// A redirect, which a host with fixed routes does not follow.
            redirect,
            /// A source quench, which has no meaning any more (RFC 6633).
            source_quench,
            /// A reply to nothing that we asked.
            unsolicited_reply,
            /// A type that is not built in.
            unknown_type,
            /// Errors not sent since too many were due.
            errors_limited,
            /// Messages not sent since there was no way or no room.
            not_sent,
        }
    }
}

counters! {
    /// IGMP.
    pub struct IgmpCounters in "igmp" {
        counts {
            /// Messages received.
            received,
            /// Queries received.
            queries_received,
            /// Reports of other hosts received.
            reports_received,
            /// Reports and leave messages sent.
            reports_sent,
        }
        drops {
            /// Shorter than a message.
            too_short,
            /// A wrong checksum.
            bad_checksum,
            /// A general query that was not sent to all hosts.
            misdirected_query,
            /// A type that is not built in.
            unknown_type,
            /// Messages not sent since there was no source address or no room.
            not_sent,
        }
    }
}
