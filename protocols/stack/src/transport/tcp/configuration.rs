//! The knobs of TCP.
//!
//! Responsible for their names, units and defaults. Each limit here has a counter in [`Counters`](super::Counters).

use std::time::Duration;

pub use super::congestion::CongestionControl;

/// How TCP behaves. A change takes effect for connections opened afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The largest receive buffer of a connection, in octets, up to 1 GiB. The window that is announced grows up to it as the
    /// application keeps up; no memory is taken before data come. Default: 4 MiB.
    pub receive_buffer: usize,
    /// The largest send buffer of a connection, in octets: what `room` may offer. Default: 4 MiB.
    pub send_buffer: usize,
    /// Memory for the data of all connections together, in octets. Beyond it windows stop growing and data that arrive out
    /// of order are dropped. Default: 512 MiB.
    pub memory_limit: usize,
    /// Half-open connections that a listener may have; each further SYN is answered with a cookie, or dropped. It is the default
    /// for [`ListenOptions`](super::ListenOptions). Default: 1024.
    pub syn_backlog: usize,
    /// Whether a full backlog is answered with SYN cookies (RFC 4987 §3.6) instead of being dropped. Default: on.
    pub syn_cookies: bool,
    /// Connections at the same time, half-open ones included and those in TIME-WAIT not. Further SYNs are dropped.
    /// Default: 262 144.
    pub maximum_connections: usize,
    /// Connections in TIME-WAIT. Beyond it the oldest is forgotten early. Default: 65 536.
    pub maximum_time_wait: usize,
    /// How long TIME-WAIT lasts: 2 MSL (RFC 9293 §3.4.2 lets an MSL be chosen). Default: 60 s.
    pub time_wait: Duration,
    /// How long a connection that its user has closed waits for the peer's FIN. Default: 60 s.
    pub fin_wait_2: Duration,
    /// How long data may stay unacknowledged, or a window closed without a sign of life, before the connection is given up
    /// (RFC 9293 §3.8.3: R2, at least 100 s). An active open is given up after the same time, but not before 180 s
    /// (MUST-23). Default: 300 s.
    pub user_timeout: Duration,
    /// How long a half-open connection is kept. Default: 60 s.
    pub syn_received: Duration,
    /// Keep-alive probes (RFC 9293 §3.8.4), off by default (MUST-25).
    pub keep_alive: Option<KeepAlive>,
    /// How long an acknowledgment may be held back, below 500 ms (MUST-40). Default: 40 ms.
    pub delayed_acknowledgment: Duration,
    /// The lower limit of the retransmission time-out (RFC 6298 §2.4 suggests 1 s). Default: 200 ms.
    pub minimum_retransmission_timeout: Duration,
    /// Whether small segments wait while another small one is unacknowledged (RFC 9293 §3.7.4). A connection can switch it
    /// off. Default: on.
    pub nagle: bool,
    /// Which congestion control is used. Default: CUBIC.
    pub congestion_control: CongestionControl,
    /// Whether Explicit Congestion Notification is offered and accepted (RFC 3168). Default: on.
    pub ecn: bool,
    /// Whether timestamps are offered and accepted (RFC 7323 §3). Default: on.
    pub timestamps: bool,
    /// Whether the congestion window is reduced to the initial one after an idle time (RFC 5681 §4.1). Default: on.
    pub restart_after_idle: bool,
    /// Time to live, or hop limit, of what is sent (MUST-49). Default: 64.
    pub hop_limit: u8,
    /// The traffic class of what is sent; its lowest two bits are ECN's and are ignored (MUST-48). Default: 0.
    pub traffic_class: u8,
    /// The first and the last port that [`ephemeral ports`](https://www.rfc-editor.org/rfc/rfc6056) are taken from.
    /// Default: 49152 to 65535.
    pub ephemeral_ports: (u16, u16),
}

/// Keep-alive probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe (MUST-26, MUST-28). Default: 2 hours.
    pub idle: Duration,
    /// Between probes. Default: 75 s.
    pub interval: Duration,
    /// Probes without an answer before the connection is given up (MUST-29). Default: 9.
    pub probes: u32,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(7200), interval: Duration::from_secs(75), probes: 9 }
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            receive_buffer: 4 << 20,
            send_buffer: 4 << 20,
            memory_limit: 512 << 20,
            syn_backlog: 1024,
            syn_cookies: true,
            maximum_connections: 1 << 18,
            maximum_time_wait: 1 << 16,
            time_wait: Duration::from_secs(60),
            fin_wait_2: Duration::from_secs(60),
            user_timeout: Duration::from_secs(300),
            syn_received: Duration::from_secs(60),
            keep_alive: None,
            delayed_acknowledgment: Duration::from_millis(40),
            minimum_retransmission_timeout: Duration::from_millis(200),
            nagle: true,
            congestion_control: CongestionControl::default(),
            ecn: true,
            timestamps: true,
            restart_after_idle: true,
            hop_limit: 64,
            traffic_class: 0,
            ephemeral_ports: (49_152, 65_535),
        }
    }
}
