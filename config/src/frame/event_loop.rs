//! `[event_loop]`: how work is shared out.

use std::time::Duration;

use serde::Deserialize;

use super::off_when_zero;

/// `[event_loop]`: how work is shared out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventLoop {
    /// The most frames that are read from the device before anything else gets its turn. 1 to 65536; default 256.
    pub frames_per_turn: u32,
    /// The threads for work that can block, such as reading large files. 1 to 64; default 2.
    pub workers: u32,
    /// The most jobs that wait for a worker. 1 to 65536; default 1024.
    pub worker_queue: u32,
    /// For how long the loop looks for frames without sleeping after the last one: shorter delays, for a busy
    /// processor. At most 1 s; default off ("0s").
    #[serde(deserialize_with = "off_when_zero")]
    pub busy_poll: Option<Duration>,
    /// How long connections may take to finish when tapster stops; then they are reset. At most 10 min; default 5 s.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

impl Default for EventLoop {
    fn default() -> Self {
        Self {
            frames_per_turn: 256,
            workers: 2,
            worker_queue: 1024,
            busy_poll: None,
            drain_timeout: Duration::from_secs(5),
        }
    }
}
