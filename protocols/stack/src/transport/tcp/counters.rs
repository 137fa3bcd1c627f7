//! What TCP has done since its start.
//!
//! Responsible for the numbers' names. They only grow, but for the gauges.

use crate::counters::counters;

counters! {
    /// The counters of one host's TCP. Names follow RFC 4022 where it has them.
    pub struct Counters in "tcp" {
        counts {
            /// Connections that we opened (tcpActiveOpens).
            active_opens,
            /// Connections that a listener accepted: the handshake is complete.
            passive_opens,
            /// Handshakes that came to nothing (tcpAttemptFails).
            failed_opens,
            /// Connections that a peer's reset ended (part of tcpEstabResets).
            resets_received,
            /// Resets that we sent (tcpOutRsts).
            resets_sent,
            /// Connections that we ended by a reset.
            aborted,
            /// Connections that the user time-out, keep-alive or the limit of a state ended.
            timed_out,
            /// Frames with TCP that came in, each counted once, however many segments it stands for.
            segments_received,
            /// Frames with TCP that went out, counted the same way.
            segments_sent,
            /// Octets of data that came in, repetitions included.
            octets_received,
            /// Octets of data that went out, repetitions included.
            octets_sent,
            /// Octets of ours, SYN and FIN included, that peers have acknowledged.
            octets_acknowledged,
            /// Frames that were sent again (tcpRetransSegs).
            segments_retransmitted,
            /// Times that a retransmission timer expired.
            retransmission_timeouts,
            /// Times that loss was found without a time-out.
            fast_retransmits,
            /// Probes of a peer's window that is closed or too small.
            window_probes_sent,
            /// Keep-alive probes sent.
            keep_alive_probes_sent,
            /// Tail loss probes sent (RFC 8985 §7).
            tail_loss_probes_sent,
            /// Reductions of the window that were taken back, since nothing had been lost.
            spurious_recoveries_undone,
            /// Segments that came before what leads to them.
            out_of_order,
            /// Challenge ACKs sent (RFC 5961).
            challenge_acknowledgments,
            /// Challenge ACKs that were held back by the limit on their rate (RFC 5961 §7).
            challenge_acknowledgments_suppressed,
            /// Connections that left TIME-WAIT for a new SYN (RFC 6191).
            time_wait_reused,
            /// Connections that left TIME-WAIT early, since there were too many.
            time_wait_overflow,
            /// SYNs answered with a cookie because the listener had its backlog of half-open connections.
            syn_cookies_sent,
            /// Connections made from a cookie.
            syn_cookies_accepted,
            /// Reductions of the window because a peer echoed a congestion mark (RFC 3168 §6.1.2).
            ecn_reductions,
            /// Frames received with a congestion mark (RFC 3168).
            congestion_experienced,
        }
        drops {
            /// Segments whose octets had all come before.
            duplicates,
            /// Segments outside the window, or with an unacceptable acknowledgment.
            unacceptable,
            /// Segments with an old timestamp (RFC 7323 §5.3).
            paws_rejected,
            /// Segments whose header could not be read.
            bad_header,
            /// Segments with a wrong checksum (with `bad_header`: tcpInErrs).
            bad_checksum,
            /// Segments to a group address: dropped (MUST-57).
            group_destination,
            /// SYNs dropped because the listener had its backlog of half-open connections.
            syn_dropped_backlog,
            /// SYNs dropped because the listener, or the host, had all the connections it may have.
            syn_dropped_connections,
            /// SYNs to a port where nobody listens.
            syn_refused,
            /// Data that arrived out of order and were dropped: memory, or too many holes.
            reassembly_dropped,
            /// Replies without a connection that were dropped, since too many waited to be sent.
            replies_dropped,
        }
        gauges {
            /// Connections, half-open ones and those in TIME-WAIT included.
            connections,
            /// Connections in TIME-WAIT.
            time_wait,
            /// Half-open connections.
            half_open,
            /// Octets of memory in the queues of all connections.
            memory_in_use,
        }
    }
}
