//! The daemon's metrics in Prometheus' text form.
//!
//! Responsible for the metrics of the link, the stack and the event loop. They are kept by their owners as plain numbers
//! and copied when somebody asks, so that a packet costs no atomic operation. The modules' own metrics are in the same
//! registry. Not for serving them.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Encoder, Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use tapster_stack::{Host, tcp};

use crate::link;
use crate::services::Services;

/// The handles of the daemon's own metrics.
pub(crate) struct Metrics {
    registry: Registry,
    link_frames: IntCounterVec,
    link_bytes: IntCounterVec,
    link_segments_saved: IntCounter,
    link_errors: IntCounterVec,
    stack: IntCounterVec,
    drops: IntCounterVec,
    tcp_connections: IntGaugeVec,
    tcp_memory: IntGauge,
    neighbors: IntGauge,
    service_connections: IntGaugeVec,
    service_accepted: IntCounterVec,
    jobs: IntCounterVec,
    /// Turns of the event loop; counted as they happen.
    pub(crate) turns: IntCounter,
    generation: IntGauge,
    last_reload_successful: IntGauge,
}

/// What is read from the event loop when somebody asks.
pub(crate) struct Sources<'a> {
    pub(crate) host: &'a Host,
    pub(crate) services: &'a Services,
    pub(crate) link: link::Counters,
    pub(crate) neighbors: usize,
    pub(crate) generation: u64,
    pub(crate) last_reload_successful: bool,
}

impl Metrics {
    /// Makes the metrics.
    ///
    /// # Errors
    /// When a name is taken by a module.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let make = Maker { registry };
        let build = make.gauge_vec("tapster_build_info", "Always 1; the label tells the version", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let start = Gauge::new("tapster_start_time_seconds", "When tapster started, in seconds since 1970")?;
        start.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        registry.register(Box::new(start))?;
        Ok(Self {
            registry: registry.clone(),
            link_frames: make.counter_vec("tapster_link_frames_total", "Frames on the link", &["direction"])?,
            link_bytes: make.counter_vec("tapster_link_bytes_total", "Octets on the link", &["direction"])?,
            link_segments_saved: make.counter(
                "tapster_link_segments_saved_total",
                "Frames more that would have been sent without segmentation offload",
            )?,
            link_errors: make.counter_vec("tapster_link_errors_total", "Frames lost at the device", &["kind"])?,
            stack: make.counter_vec("tapster_stack_total", "What the layers have done", &["layer", "counter"])?,
            drops: make.counter_vec("tapster_drops_total", "What was dropped, and why", &["layer", "reason"])?,
            tcp_connections: make.gauge_vec("tapster_tcp_connections", "TCP connections by state", &["state"])?,
            tcp_memory: make.gauge("tapster_tcp_memory_bytes", "Octets in the queues of all connections")?,
            neighbors: make.gauge("tapster_neighbors", "Neighbours remembered")?,
            service_connections: make.gauge_vec(
                "tapster_service_connections",
                "Connections with a session, by service",
                &["service"],
            )?,
            service_accepted: make.counter_vec(
                "tapster_service_accepted_total",
                "Connections accepted, by service",
                &["service"],
            )?,
            jobs: make.counter_vec("tapster_jobs_total", "Jobs for the worker pool", &["result"])?,
            turns: make.counter("tapster_loop_turns_total", "Turns of the event loop")?,
            generation: make.gauge(
                "tapster_config_generation",
                "How often a configuration has been put in force, the one at the start included",
            )?,
            last_reload_successful: make.gauge(
                "tapster_config_last_reload_successful",
                "Whether the last reload put its configuration in force",
            )?,
        })
    }

    /// All metrics, the modules' among them.
    ///
    /// # Errors
    /// When they cannot be written as text.
    pub(crate) fn text(&self, sources: &Sources<'_>) -> Result<String, prometheus::Error> {
        self.copy(sources);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }

    fn copy(&self, sources: &Sources<'_>) {
        let Sources { host, services, link, .. } = sources;
        for (direction, frames, bytes) in
            [("received", link.frames_received, link.octets_received), ("sent", link.frames_sent, link.octets_sent)]
        {
            set(&self.link_frames.with_label_values(&[direction]), frames);
            set(&self.link_bytes.with_label_values(&[direction]), bytes);
        }
        set(&self.link_segments_saved, link.segments_saved);
        for (kind, value) in [
            ("send", link.send_errors),
            ("full", link.full),
            ("short", link.short_reads),
            ("receive", link.receive_errors),
        ] {
            set(&self.link_errors.with_label_values(&[kind]), value);
        }
        let (network, udp, tcp) = (host.network_counters(), host.udp_counters(), host.tcp_counters());
        for (layer, counter, value) in network.counts().chain(udp.counts()).chain(tcp.counts()) {
            set(&self.stack.with_label_values(&[layer, counter]), value);
        }
        for (layer, reason, value) in network.drops().chain(udp.drops()).chain(tcp.drops()) {
            set(&self.drops.with_label_values(&[layer, reason]), value);
        }
        self.copy_connections(host, tcp);
        set_gauge(&self.neighbors, sources.neighbors as u64);
        for module in services.modules() {
            set_gauge(&self.service_connections.with_label_values(&[module.name]), module.sessions as u64);
            set(&self.service_accepted.with_label_values(&[module.name]), module.accepted);
        }
        let (taken, refused) = services.job_counts();
        set(&self.jobs.with_label_values(&["taken"]), taken);
        set(&self.jobs.with_label_values(&["refused"]), refused);
        set_gauge(&self.generation, sources.generation);
        self.last_reload_successful.set(i64::from(sources.last_reload_successful));
    }

    /// All states are always present, so that a query for one never comes back empty.
    fn copy_connections(&self, host: &Host, counters: tcp::Counters) {
        let mut connections = [0_u64; tcp::State::ALL.len()];
        for row in host.connections() {
            connections[row.state as usize] += 1;
        }
        connections[tcp::State::Listen as usize] = host.listeners().count() as u64;
        for (state, count) in tcp::State::ALL.iter().zip(connections) {
            set_gauge(&self.tcp_connections.with_label_values(&[state.name()]), count);
        }
        set_gauge(&self.tcp_memory, counters.memory_in_use);
    }
}

/// Makes metrics and registers them.
struct Maker<'a> {
    registry: &'a Registry,
}

impl Maker<'_> {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let metric = IntCounter::new(name, help)?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let metric = IntGauge::new(name, help)?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

/// Brings a counter up to a number that grows, or starts again from zero after a reset of the stack.
fn set(counter: &IntCounter, value: u64) {
    if value < counter.get() {
        counter.reset();
    }
    counter.inc_by(value.saturating_sub(counter.get()));
}

fn set_gauge(gauge: &IntGauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
