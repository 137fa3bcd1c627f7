//! What all sessions share.

use std::sync::Arc;
use std::time::Duration;

use crate::configuration::BareNewlines;
use crate::delivery::Queue;
use crate::mailboxes::Mailboxes;
use crate::memory::Budget;
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::rules::Rule;

/// The server: what was configured, and what is counted over all sessions.
#[derive(Debug)]
pub(crate) struct Server {
    /// What it calls itself.
    pub(crate) hostname: String,
    /// Whose mail it takes.
    pub(crate) mailboxes: Mailboxes,
    /// The largest message, in bytes.
    pub(crate) max_message_size: u64,
    /// What becomes of a CR or LF that stands alone.
    pub(crate) bare_newlines: BareNewlines,
    /// Whether whoever sends too early is turned away.
    pub(crate) forbid_unauthorized_pipelining: bool,
    /// What clients are to meet besides.
    pub(crate) rules: Vec<Rule>,
    /// What a session may do.
    pub(crate) limits: Limits,
    /// The memory for messages.
    pub(crate) budget: Budget,
    /// The connections of each peer.
    pub(crate) peers: Peers,
    /// The messages on their way to disk.
    pub(crate) queue: Arc<Queue>,
    /// The counters.
    pub(crate) metrics: Metrics,
}

/// The limits of one session; see the configuration's `limits` for what each one means.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) idle_timeout: Duration,
    pub(crate) banner_delay: Duration,
    pub(crate) command_line: usize,
    pub(crate) recipients: usize,
    pub(crate) errors: u32,
    pub(crate) errors_before_delay: u32,
    pub(crate) error_delay: Duration,
    pub(crate) junk_commands: u32,
    pub(crate) transactions: u32,
    pub(crate) min_data_rate: u64,
}
