//! The module's counters.
//!
//! Responsible for their names and labels. Every handle is looked up once, here, so that counting costs no look-up by
//! label.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::fault::FaultAction;
use crate::packet::Direction;

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of the file arrived.
    Completed,
    /// The client stopped answering.
    TimedOut,
    /// The client sent an ERROR.
    Aborted,
    /// We sent an ERROR.
    Failed,
    /// The network says that the client is not there.
    Unreachable,
    /// The client began another transfer in its place.
    Superseded,
}

impl Outcome {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Completed, "completed"),
        (Self::TimedOut, "timed_out"),
        (Self::Aborted, "aborted"),
        (Self::Failed, "failed"),
        (Self::Unreachable, "unreachable"),
        (Self::Superseded, "superseded"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(outcome, _)| *outcome == self).map_or("", |(_, name)| name)
    }
}

/// Why a request was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooLong,
    Malformed,
    TooManyOptions,
    Options,
    Mode,
    Name,
    ReadOnly,
    TooManyTransfers,
    TooManyFromClient,
    NotFound,
    Access,
    Exists,
    TooLarge,
    Busy,
    Broadcast,
    Disk,
}

impl Refusal {
    const ALL: [(Self, &'static str); 16] = [
        (Self::TooLong, "request_size"),
        (Self::Malformed, "malformed"),
        (Self::TooManyOptions, "options"),
        (Self::Options, "option_repeated"),
        (Self::Mode, "mode"),
        (Self::Name, "name"),
        (Self::ReadOnly, "read_only"),
        (Self::TooManyTransfers, "transfers"),
        (Self::TooManyFromClient, "transfers_per_client"),
        (Self::NotFound, "not_found"),
        (Self::Access, "access"),
        (Self::Exists, "exists"),
        (Self::TooLarge, "upload_size"),
        (Self::Busy, "busy"),
        (Self::Broadcast, "broadcast"),
        (Self::Disk, "disk"),
    ];
}

/// What is counted for one direction.
#[derive(Clone, Debug)]
struct PerDirection {
    /// In the order of [`Outcome::ALL`].
    outcomes: [IntCounter; Outcome::ALL.len()],
    bytes: IntCounter,
    duration: Histogram,
}

/// The counters `tapster_tftp_…`.
#[derive(Clone, Debug)]
pub struct Metrics {
    read: PerDirection,
    write: PerDirection,
    /// In the order of [`Refusal::ALL`].
    refusals: [IntCounter; Refusal::ALL.len()],
    /// In the order of [`FaultAction::ALL`].
    faults: [IntCounter; FaultAction::ALL.len()],
    /// Blocks sent more than once.
    pub(crate) retransmitted: IntCounter,
    /// Packets for a transfer that is not theirs (RFC 1350 §4).
    pub(crate) strays: IntCounter,
    /// Packets that are no TFTP.
    pub(crate) malformed: IntCounter,
    /// Times that a block was not in the page cache.
    pub(crate) cache_misses: IntCounter,
    /// Transfers that run now.
    pub(crate) active: IntGauge,
}

impl Metrics {
    /// Makes and registers the counters.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let transfers = counters(
            "tapster_tftp_transfers_total",
            "Transfers that have ended, by direction and result",
            &["direction", "result"],
        )?;
        let bytes = counters("tapster_tftp_bytes_total", "Bytes of file data delivered, by direction", &["direction"])?;
        let refused = counters("tapster_tftp_requests_refused_total", "Requests not served, by reason", &["reason"])?;
        let faults =
            counters("tapster_tftp_faults_total", "Packets that met a fault on purpose, by action", &["action"])?;
        let duration = HistogramVec::new(
            HistogramOpts::new("tapster_tftp_transfer_duration_seconds", "How long completed transfers took")
                .buckets(vec![0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 300.0]),
            &["direction"],
        )?;
        registry.register(Box::new(duration.clone()))?;
        let active = IntGauge::new("tapster_tftp_active_transfers", "Transfers that run now")?;
        registry.register(Box::new(active.clone()))?;
        let per_direction = |direction: Direction| PerDirection {
            outcomes: Outcome::ALL.map(|(_, result)| transfers.with_label_values(&[direction.name(), result])),
            bytes: bytes.with_label_values(&[direction.name()]),
            duration: duration.with_label_values(&[direction.name()]),
        };
        Ok(Self {
            read: per_direction(Direction::Read),
            write: per_direction(Direction::Write),
            refusals: Refusal::ALL.map(|(_, reason)| refused.with_label_values(&[reason])),
            faults: FaultAction::ALL.map(|(_, action)| faults.with_label_values(&[action])),
            retransmitted: counter("tapster_tftp_blocks_retransmitted_total", "Blocks sent more than once")?,
            strays: counter("tapster_tftp_stray_packets_total", "Packets that belong to no transfer")?,
            malformed: counter("tapster_tftp_malformed_packets_total", "Packets that are not TFTP")?,
            cache_misses: counter(
                "tapster_tftp_page_cache_misses_total",
                "Reads left to a worker since the data was not in memory",
            )?,
            active,
        })
    }

    fn of(&self, direction: Direction) -> &PerDirection {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// A transfer has ended after so many seconds.
    pub(crate) fn ended(&self, direction: Direction, outcome: Outcome, bytes: u64, seconds: f64) {
        let counters = self.of(direction);
        if let Some((_, counter)) =
            Outcome::ALL.iter().zip(&counters.outcomes).find(|((known, _), _)| *known == outcome)
        {
            counter.inc();
        }
        counters.bytes.inc_by(bytes);
        if outcome == Outcome::Completed {
            counters.duration.observe(seconds);
        }
    }

    /// A packet met a fault.
    pub(crate) fn fault(&self, action: FaultAction) {
        if let Some((_, counter)) = FaultAction::ALL.iter().zip(&self.faults).find(|((known, _), _)| *known == action) {
            counter.inc();
        }
    }

    /// A request was refused.
    pub(crate) fn refused(&self, refusal: Refusal) {
        if let Some((_, counter)) = Refusal::ALL.iter().zip(&self.refusals).find(|((known, _), _)| *known == refusal) {
            counter.inc();
        }
    }
}
