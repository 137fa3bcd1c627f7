//! `[arp]`: the neighbour cache.

use std::time::Duration;

use serde::Deserialize;

/// `[arp]`: the neighbour cache (RFC 826; its states are those of RFC 4861).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Arp {
    /// The most neighbours that are remembered. 1 to 65536; default 1024.
    pub cache_size: u32,
    /// For how long a neighbour is taken to be where it last was, without asking again. 1 s to 1 day; default 30 s
    /// (`REACHABLE_TIME`, RFC 4861 §10).
    #[serde(with = "humantime_serde")]
    pub reachable_time: Duration,
    /// The most packets that wait for one neighbour's address. 1 to 1024; default 16.
    pub queue_length: u32,
}

impl Default for Arp {
    fn default() -> Self {
        Self { cache_size: 1024, reachable_time: Duration::from_secs(30), queue_length: 16 }
    }
}
