//! The counters.
//!
//! Responsible for their names and for keeping every label's values few. A counter is looked up once and then kept.

use std::sync::{Arc, OnceLock};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::data::{Form, Forms};
use crate::rules::Stage;

/// The codes that the server answers with.
const CODES: [u16; 20] =
    [214, 220, 221, 250, 252, 354, 421, 450, 451, 452, 500, 501, 502, 503, 504, 550, 552, 553, 554, 555];

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageResult {
    /// It is in the mailboxes of all its recipients.
    Delivered,
    /// It had a CR or LF that stood alone.
    BareNewline,
    /// It was larger than the limit.
    TooLarge,
    /// The memory for messages was used up.
    NoMemory,
    /// The disk or a quota was full, or there were too many mailboxes.
    Full,
    /// It went round in circles.
    Loop,
    /// The disk did not take it, for another reason.
    Failed,
    /// A rule refused it.
    Rule,
    /// The worker pool was full.
    Busy,
    /// The client went away, was too slow, or took it back, before its end.
    Aborted,
}

impl MessageResult {
    const ALL: [Self; 10] = [
        Self::Delivered,
        Self::BareNewline,
        Self::TooLarge,
        Self::NoMemory,
        Self::Full,
        Self::Loop,
        Self::Failed,
        Self::Rule,
        Self::Busy,
        Self::Aborted,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::BareNewline => "bare_newline",
            Self::TooLarge => "too_large",
            Self::NoMemory => "no_memory",
            Self::Full => "full",
            Self::Loop => "loop",
            Self::Failed => "failed",
            Self::Rule => "rule",
            Self::Busy => "busy",
            Self::Aborted => "aborted",
        }
    }
}

/// A limit that ended or slowed a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// A client was idle, or read no replies.
    Idle,
    /// A message came too slowly.
    DataRate,
    /// A command line was too long.
    CommandLine,
    /// A client sent what it might not send yet.
    Pipelining,
    /// A reply was held back after many errors.
    ErrorDelay,
    /// There were too many errors.
    Errors,
    /// There were too many transactions.
    Transactions,
    /// A message had too many recipients, and then as many again.
    Recipients,
    /// A peer had too many connections.
    ConnectionsPerPeer,
    /// The memory for messages was used up.
    Memory,
    /// A message went on long after it was too large.
    Overshoot,
}

impl Limit {
    const ALL: [Self; 11] = [
        Self::Idle,
        Self::DataRate,
        Self::CommandLine,
        Self::Pipelining,
        Self::ErrorDelay,
        Self::Errors,
        Self::Transactions,
        Self::Recipients,
        Self::ConnectionsPerPeer,
        Self::Memory,
        Self::Overshoot,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::DataRate => "data_rate",
            Self::CommandLine => "command_line",
            Self::Pipelining => "pipelining",
            Self::ErrorDelay => "error_delay",
            Self::Errors => "errors",
            Self::Transactions => "transactions",
            Self::Recipients => "recipients",
            Self::ConnectionsPerPeer => "connections_per_peer",
            Self::Memory => "memory",
            Self::Overshoot => "overshoot",
        }
    }
}

/// The counters. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sessions: IntCounter,
    sessions_open: IntGauge,
    messages: Vec<IntCounter>,
    message_bytes: IntCounter,
    replies: IntCounterVec,
    /// The counters of `replies` that have been used; the last is for any other code.
    resolved: [OnceLock<IntCounter>; CODES.len() + 1],
    smuggling: Vec<IntCounter>,
    limits: Vec<IntCounter>,
    rules: Vec<IntCounter>,
    memory: IntGauge,
    delivery_seconds: Histogram,
    commit_messages: Histogram,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// What the registry says, such as that a name is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| registered(registry, IntCounter::new(name, help)?);
        let gauge = |name: &str, help: &str| registered(registry, IntGauge::new(name, help)?);
        let labelled = |name: &str, help: &str, label: &str| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), &[label])?)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            registered(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?)
        };
        let messages = labelled("tapster_smtp_messages_total", "Messages, by what became of them.", "result")?;
        let smuggling =
            labelled("tapster_smtp_smuggling_total", "Line ends that RFC 5321 forbids, by their form.", "form")?;
        let limits = labelled("tapster_smtp_limits_hit_total", "How often a limit was hit.", "limit")?;
        let rules = labelled("tapster_smtp_rules_applied_total", "How often a rule applied, by its stage.", "at")?;
        Ok(Self(Arc::new(Inner {
            sessions: counter("tapster_smtp_sessions_total", "Sessions begun.")?,
            sessions_open: gauge("tapster_smtp_sessions_open", "Sessions that are open.")?,
            messages: MessageResult::ALL.iter().map(|result| messages.with_label_values(&[result.name()])).collect(),
            message_bytes: counter("tapster_smtp_message_bytes_total", "Bytes of messages received.")?,
            replies: labelled("tapster_smtp_replies_total", "Replies sent, by code.", "code")?,
            resolved: std::array::from_fn(|_| OnceLock::new()),
            smuggling: Form::ALL.iter().map(|form| smuggling.with_label_values(&[form.name()])).collect(),
            limits: Limit::ALL.iter().map(|limit| limits.with_label_values(&[limit.name()])).collect(),
            rules: Stage::ALL.iter().map(|stage| rules.with_label_values(&[stage.name()])).collect(),
            memory: gauge("tapster_smtp_memory_bytes", "Memory held for messages and recipients, in bytes.")?,
            delivery_seconds: histogram(
                "tapster_smtp_delivery_seconds",
                "Time from the end of a message to its being durable, in seconds.",
                prometheus::exponential_buckets(0.000_25, 2.0, 16)?,
            )?,
            commit_messages: histogram(
                "tapster_smtp_commit_messages",
                "Messages made durable by one commit.",
                prometheus::exponential_buckets(1.0, 2.0, 9)?,
            )?,
        })))
    }

    pub(crate) fn session_began(&self) {
        self.0.sessions.inc();
        self.0.sessions_open.inc();
    }

    pub(crate) fn session_ended(&self) {
        self.0.sessions_open.dec();
    }

    pub(crate) fn message(&self, result: MessageResult) {
        increase(&self.0.messages, result as usize, 1);
    }

    pub(crate) fn message_bytes(&self, count: usize) {
        self.0.message_bytes.inc_by(count as u64);
    }

    pub(crate) fn reply(&self, code: u16) {
        let place = CODES.iter().position(|known| *known == code);
        let Some(slot) = self.0.resolved.get(place.unwrap_or(CODES.len())) else { return };
        let label = || place.map_or_else(|| "other".to_owned(), |_| code.to_string());
        slot.get_or_init(|| self.0.replies.with_label_values(&[label()])).inc();
    }

    pub(crate) fn smuggling(&self, forms: Forms) {
        for (form, count) in forms.iter() {
            increase(&self.0.smuggling, form as usize, u64::from(count));
        }
    }

    pub(crate) fn limit(&self, limit: Limit) {
        increase(&self.0.limits, limit as usize, 1);
    }

    pub(crate) fn rule(&self, stage: Stage) {
        increase(&self.0.rules, stage as usize, 1);
    }

    pub(crate) fn delivery(&self, time: std::time::Duration) {
        self.0.delivery_seconds.observe(time.as_secs_f64());
    }

    pub(crate) fn commit_messages(&self) -> Histogram {
        self.0.commit_messages.clone()
    }

    pub(crate) fn memory(&self) -> IntGauge {
        self.0.memory.clone()
    }

    #[cfg(test)]
    pub(crate) fn messages_with(&self, result: MessageResult) -> u64 {
        self.0.messages[result as usize].get()
    }

    #[cfg(test)]
    pub(crate) fn limits_with(&self, limit: Limit) -> u64 {
        self.0.limits[limit as usize].get()
    }

    #[cfg(test)]
    pub(crate) fn smuggling_with(&self, form: Form) -> u64 {
        self.0.smuggling[form as usize].get()
    }
}

fn registered<T: Clone + prometheus::core::Collector + 'static>(
    registry: &Registry,
    metric: T,
) -> Result<T, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn increase(counters: &[IntCounter], place: usize, count: u64) {
    if let Some(counter) = counters.get(place) {
        counter.inc_by(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_results_and_limits_are_their_places() {
        assert!(MessageResult::ALL.iter().enumerate().all(|(place, result)| place == *result as usize));
        assert!(Limit::ALL.iter().enumerate().all(|(place, limit)| place == *limit as usize));
    }
}
