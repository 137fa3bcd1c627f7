//! What TCP has done since its start.
//!
//! Responsible for the numbers' names. They only grow, but for those that say otherwise.

/// The counters of one host's TCP. Names follow RFC 4022 where it has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that we opened (tcpActiveOpens).
    pub active_opens: u64,
    /// Connections that a listener accepted: the handshake is complete.
    pub passive_opens: u64,
    /// Handshakes that came to nothing (tcpAttemptFails).
    pub failed_opens: u64,
    /// Connections that a peer's reset ended (part of tcpEstabResets).
    pub resets_received: u64,
    /// Resets that we sent (tcpOutRsts).
    pub resets_sent: u64,
    /// Connections that we ended by a reset.
    pub aborted: u64,
    /// Connections that the user time-out, keep-alive or the limit of a state ended.
    pub timed_out: u64,
    /// Frames with TCP that came in, each counted once, however many segments it stands for.
    pub segments_received: u64,
    /// Frames with TCP that went out, counted the same way.
    pub segments_sent: u64,
    /// Octets of data that came in, repetitions included.
    pub octets_received: u64,
    /// Octets of data that went out, repetitions included.
    pub octets_sent: u64,
    /// Frames that were sent again (tcpRetransSegs).
    pub segments_retransmitted: u64,
    /// Times that a retransmission timer expired.
    pub retransmission_timeouts: u64,
    /// Times that loss was found without a time-out.
    pub fast_retransmits: u64,
    /// Probes of a peer's window that is closed or too small.
    pub window_probes_sent: u64,
    /// Keep-alive probes sent.
    pub keep_alive_probes_sent: u64,
    /// Tail loss probes sent (RFC 8985 §7).
    pub tail_loss_probes_sent: u64,
    /// Reductions of the window that were taken back, since nothing had been lost.
    pub spurious_recoveries_undone: u64,
    /// Segments that came before what leads to them.
    pub out_of_order: u64,
    /// Segments whose octets had all come before.
    pub duplicates: u64,
    /// Segments outside the window, or with an unacceptable acknowledgment.
    pub unacceptable: u64,
    /// Segments with an old timestamp (RFC 7323 §5.3).
    pub paws_rejected: u64,
    /// Challenge ACKs sent (RFC 5961).
    pub challenge_acknowledgments: u64,
    /// Challenge ACKs that were held back by the limit on their rate (RFC 5961 §7).
    pub challenge_acknowledgments_suppressed: u64,
    /// Segments whose header could not be read.
    pub bad_header: u64,
    /// Segments with a wrong checksum (with `bad_header`: tcpInErrs).
    pub bad_checksum: u64,
    /// Segments to a group address: dropped (MUST-57).
    pub group_destination: u64,
    /// SYNs dropped because the listener had its backlog of half-open connections.
    pub syn_dropped_backlog: u64,
    /// SYNs answered with a cookie because the listener had its backlog of half-open connections.
    pub syn_cookies_sent: u64,
    /// Connections made from a cookie.
    pub syn_cookies_accepted: u64,
    /// SYNs dropped because the listener, or the host, had all the connections it may have.
    pub syn_dropped_connections: u64,
    /// SYNs to a port where nobody listens.
    pub syn_refused: u64,
    /// Connections that left TIME-WAIT for a new SYN (RFC 6191).
    pub time_wait_reused: u64,
    /// Connections that left TIME-WAIT early, since there were too many.
    pub time_wait_overflow: u64,
    /// Data that arrived out of order and were dropped: memory, or too many holes.
    pub reassembly_dropped: u64,
    /// Replies without a connection that were dropped, since too many waited to be sent.
    pub replies_dropped: u64,
    /// Frames received with a congestion mark (RFC 3168).
    pub congestion_experienced: u64,
    /// Reductions of the window because a peer echoed a congestion mark (RFC 3168 §6.1.2).
    pub ecn_reductions: u64,
    /// Gauge: connections, half-open ones and those in TIME-WAIT included.
    pub connections: u64,
    /// Gauge: connections in TIME-WAIT.
    pub time_wait: u64,
    /// Gauge: half-open connections.
    pub half_open: u64,
    /// Gauge: octets of memory in the queues of all connections.
    pub memory_in_use: u64,
}
