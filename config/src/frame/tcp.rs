//! `[tcp]`: the transport.

use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

use super::off_when_zero;

/// `[tcp]`: the transport (RFC 9293).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tcp {
    /// How the sending rate follows the network. Default "cubic".
    pub congestion_control: CongestionControl,
    /// The most that one connection holds of what has arrived and not been read, so the largest window offered. 4 KiB
    /// to 1 GiB (the largest window, RFC 7323 §2.3); default 4 MiB.
    pub receive_buffer: ByteSize,
    /// The most that one connection holds of what is to be sent or not acknowledged. 4 KiB to 1 GiB; default 4 MiB.
    pub send_buffer: ByteSize,
    /// After how long without a segment a peer is asked whether it is still there. 1 s to 1 day; default off ("0s"),
    /// as RFC 9293 §3.8.4 demands.
    #[serde(deserialize_with = "off_when_zero")]
    pub keep_alive: Option<Duration>,
    /// The most connections of one listener that are being opened; beyond them, SYN cookies. 1 to 1048576; default
    /// 1024.
    pub syn_backlog: u32,
    /// The most connections at once, of all services. 1 to 4194304; default 65536.
    pub maximum_connections: u32,
    /// How long a closed connection stays in TIME-WAIT. 1 s to 4 min (two MSL, RFC 9293 §3.4.1); default 1 min.
    #[serde(with = "humantime_serde")]
    pub time_wait: Duration,
    /// After how long without an acknowledgement a connection is given up. 1 s to 1 day; default 5 min (RFC 9293
    /// §3.9.1.1).
    #[serde(with = "humantime_serde")]
    pub user_timeout: Duration,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            congestion_control: CongestionControl::default(),
            receive_buffer: ByteSize::mib(4),
            send_buffer: ByteSize::mib(4),
            keep_alive: None,
            syn_backlog: 1024,
            maximum_connections: 65536,
            time_wait: Duration::from_secs(60),
            user_timeout: Duration::from_secs(300),
        }
    }
}

/// How the sending rate follows the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CongestionControl {
    /// RFC 5681 and RFC 6582.
    NewReno,
    /// RFC 9438.
    #[default]
    Cubic,
}
