//! The counters of IPv6 and of what belongs to it.

counters! {
    /// IPv6.
    pub struct Ipv6Counters in "ipv6" {
        counts {
            /// Packets received in frames for us.
            received,
            /// Packets that came through all checks, fragments put together.
            delivered,
            /// Packets that came as one fragment that is the whole (RFC 6946).
            atomic_fragments,
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
            /// Not version 6.
            bad_version,
            /// A payload length beyond the frame.
            bad_payload_length,
            /// Extension headers that end beyond the packet, in the wrong order, or that hold no options.
            bad_extension_header,
            /// A routing header with segments left, which is refused (RFC 5095).
            routing_header,
            /// An option that nobody here knows and that may not be skipped.
            unknown_option,
            /// Extension headers that are more or longer than a host puts up with (RFC 8504 §5.3).
            extension_limit,
            /// A first fragment without all headers (RFC 7112).
            incomplete_header_chain,
            /// A fragment whose length or place cannot be.
            bad_fragment,
            /// From an address that no node sends from.
            martian_source,
            /// From one of our own addresses.
            own_source,
            /// For another node.
            other_destination,
            /// For one node, but in a frame for many.
            group_frame,
            /// Nothing but headers (next header 59).
            nothing_carried,
            /// Of a protocol that is not built in.
            unknown_protocol,
            /// Outgoing: no route to the destination.
            no_route,
            /// Outgoing: larger than the path allows, or than IP can carry.
            too_large,
        }
    }
}

counters! {
    /// ICMPv6.
    pub struct Icmpv6Counters in "icmpv6" {
        counts {
            /// Messages received.
            received,
            /// Echo requests answered.
            echo_replies_sent,
            /// Errors sent.
            errors_sent,
            /// Errors received and handed up.
            errors_received,
        }
        drops {
            /// Shorter than a message.
            too_short,
            /// A wrong checksum.
            bad_checksum,
            /// A request from nobody.
            bad_source,
            /// An error that quotes too little, or nothing that we sent.
            bad_quotation,
            /// A packet-too-big message whose MTU is below 1,280, or the quoted packet would have fitted.
            implausible_mtu,
            /// A reply to nothing that we asked.
            unsolicited_reply,
            /// A type that is not built in.
            unknown_type,
            /// Errors, and replies to requests for a group, not sent since too many were due.
            limited,
            /// Messages not sent since there was no way or no room.
            not_sent,
        }
    }
}

counters! {
    /// Neighbour discovery (RFC 4861).
    pub struct NdpCounters in "ndp" {
        counts {
            /// Messages received.
            received,
            /// Solicitations that asked for one of our addresses.
            solicitations_for_us,
            /// Solicitations sent, multicast or unicast.
            solicitations_sent,
            /// Advertisements sent.
            advertisements_sent,
            /// Solicitations sent to find out whether one of our addresses is taken (RFC 4862 §5.4).
            probes_sent,
            /// Messages of another station that uses one of our addresses.
            address_conflicts,
        }
        drops {
            /// A hop limit other than 255: from behind a router, whatever it says.
            bad_hop_limit,
            /// In a fragment (RFC 6980).
            fragmented,
            /// Too short, with a code, with an option that cannot be, or from and to addresses that it may not have.
            malformed,
            /// About an address that is not ours, or that is not in use yet.
            other_target,
            /// An advertisement that nobody here has asked for.
            unsolicited,
            /// From a router, as routers are configured here.
            router_advertisement,
            /// A solicitation for routers.
            router_solicitation,
            /// A redirect, which a host with fixed routes does not follow.
            redirect,
        }
    }
}

counters! {
    /// Multicast listener discovery (RFC 3810).
    pub struct MldCounters in "mld" {
        counts {
            /// Messages received.
            received,
            /// Queries received.
            queries_received,
            /// Reports of other nodes received.
            reports_received,
            /// Reports and done messages sent.
            reports_sent,
        }
        drops {
            /// Shorter than a message.
            too_short,
            /// Not from the link itself: no link-local source, a hop limit other than 1, or no router alert.
            not_from_link,
            /// A type that is not built in.
            unknown_type,
            /// Messages not sent for want of room.
            not_sent,
        }
    }
}
