//! The documents of the control interface.
//!
//! Responsible for the names and units of what `ctl --json` prints: the contract with other people's programs. A field's
//! name says its unit; what is unknown is `null`. Not for where the figures come from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;
use tapster_config::{Impairment, LogLevel};
use tapster_stack::{Host, ImpairmentCounters, net, tcp, udp};

use super::command::ConnectionFilter;
use crate::sandbox;
use crate::wire::BadLink;

/// `/v1/status`.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) version: &'static str,
    pub(crate) pid: u32,
    pub(crate) uptime_seconds: f64,
    pub(crate) hostname: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) link: LinkStatus,
    pub(crate) services: Vec<&'static str>,
    /// Connections by RFC 9293's state; states without any are left out.
    pub(crate) connections: BTreeMap<&'static str, usize>,
    pub(crate) sessions: usize,
    /// How often a configuration has been put in force, the one at the start included.
    pub(crate) configuration_generation: u64,
    pub(crate) last_reload_successful: bool,
    /// What the process has given up.
    pub(crate) sandbox: sandbox::Report,
    /// Whether the link is made worse than it is: see `/v1/impair`.
    pub(crate) impaired: bool,
    /// How many readers `/v1/events` has.
    pub(crate) event_readers: usize,
    /// How many captures are under way.
    pub(crate) captures: usize,
    pub(crate) log_level: LogLevel,
    pub(crate) draining: bool,
}

/// The link, in `/v1/status`.
#[derive(Debug, Serialize)]
pub(crate) struct LinkStatus {
    pub(crate) name: String,
    pub(crate) mac: String,
    pub(crate) mtu: usize,
    pub(crate) offload: bool,
    pub(crate) frames_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) frames_sent: u64,
    pub(crate) bytes_sent: u64,
}

/// A row of `/v1/services`.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceRow {
    pub(crate) name: &'static str,
    pub(crate) listen: Vec<String>,
    pub(crate) sessions: usize,
    pub(crate) accepted: u64,
    pub(crate) serves: Vec<String>,
}

/// A row of `/v1/listeners`.
#[derive(Debug, Serialize)]
pub(crate) struct ListenerRow {
    pub(crate) protocol: &'static str,
    pub(crate) local: String,
    pub(crate) service: Option<&'static str>,
    /// Half-open connections; `null` for UDP.
    pub(crate) half_open: Option<usize>,
    pub(crate) connections: Option<usize>,
    pub(crate) maximum_connections: Option<usize>,
}

/// A row of `/v1/connections`.
#[derive(Debug, Serialize)]
pub(crate) struct ConnectionRow {
    pub(crate) id: u64,
    pub(crate) protocol: &'static str,
    pub(crate) local: String,
    pub(crate) remote: String,
    pub(crate) state: &'static str,
    pub(crate) service: Option<&'static str>,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) retransmits: u64,
    pub(crate) rtt_us: Option<u64>,
    pub(crate) cwnd: Option<u32>,
    pub(crate) age_seconds: f64,
}

/// A row of `/v1/neighbors`.
#[derive(Debug, Serialize)]
pub(crate) struct NeighborRow {
    pub(crate) address: IpAddr,
    pub(crate) mac: Option<String>,
    pub(crate) state: &'static str,
    pub(crate) age_seconds: f64,
    pub(crate) queued: usize,
}

/// A row of `/v1/routes`.
#[derive(Debug, Serialize)]
pub(crate) struct RouteRow {
    pub(crate) destination: String,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) source: IpAddr,
    pub(crate) metric: u32,
}

/// A row of `/v1/groups`.
#[derive(Debug, Serialize)]
pub(crate) struct GroupRow {
    pub(crate) group: IpAddr,
    /// How often it has been joined and not yet left.
    pub(crate) members: u32,
}

impl From<&net::GroupRow> for GroupRow {
    fn from(row: &net::GroupRow) -> Self {
        Self { group: row.group, members: row.members }
    }
}

impl ConnectionRow {
    /// The row of a connection.
    pub(crate) fn new(row: &tcp::ConnectionRow, service: Option<&'static str>, now: tapster_stack::Instant) -> Self {
        Self {
            id: row.id.as_u64(),
            protocol: "tcp",
            local: row.local.to_string(),
            remote: row.remote.to_string(),
            state: row.state.name(),
            service,
            bytes_received: row.bytes_received,
            bytes_sent: row.bytes_sent,
            retransmits: row.retransmits,
            rtt_us: row.smoothed_round_trip.map(microseconds),
            cwnd: row.congestion_window,
            age_seconds: rounded(now.since(row.opened_at)),
        }
    }

    /// Whether a filter lets it through.
    pub(crate) fn passes(&self, filter: &ConnectionFilter, remote: IpAddr) -> bool {
        filter.state.as_ref().is_none_or(|state| state.eq_ignore_ascii_case(self.state))
            && filter.service.as_ref().is_none_or(|service| Some(service.as_str()) == self.service)
            && filter.peer.is_none_or(|peer| peer == remote)
    }
}

impl ListenerRow {
    /// The row of a TCP listener.
    pub(crate) fn tcp(row: &tcp::ListenerRow, service: Option<&'static str>) -> Self {
        Self {
            protocol: "tcp",
            local: endpoint(row.address, row.port),
            service,
            half_open: Some(row.half_open),
            connections: Some(row.connections),
            maximum_connections: Some(row.maximum_connections),
        }
    }

    /// The row of an open UDP port.
    pub(crate) fn udp(row: &udp::SocketRow, service: Option<&'static str>) -> Self {
        Self {
            protocol: "udp",
            local: endpoint(row.address, row.port),
            service,
            half_open: None,
            connections: None,
            maximum_connections: None,
        }
    }
}

/// `/v1/connections/ID`: the whole control block. The names are the RFCs'; sequence numbers are as on the wire.
#[derive(Debug, Serialize)]
pub(crate) struct ConnectionDetail {
    #[serde(flatten)]
    row: ConnectionRow,
    iss: u32,
    snd_una: u32,
    snd_nxt: u32,
    snd_wnd: u32,
    max_snd_wnd: u32,
    snd_wind_shift: u8,
    irs: u32,
    rcv_nxt: u32,
    rcv_wnd: u32,
    rcv_buffer_bytes: usize,
    rcv_wind_shift: u8,
    smss: u32,
    path_mtu: u16,
    sack_permitted: bool,
    timestamps: bool,
    congestion_control: &'static str,
    ssthresh: u32,
    pipe: u32,
    sacked: u32,
    lost: u32,
    recovery: &'static str,
    rttvar_us: Option<u64>,
    minimum_rtt_us: Option<u64>,
    rto_us: u64,
    backoff: u32,
    unsent_bytes: u32,
    send_queue_bytes: usize,
    receive_queue_bytes: usize,
    memory_bytes: usize,
    retransmission_timer_seconds: Option<f64>,
    persist_timer_seconds: Option<f64>,
    idle_seconds: f64,
}

impl ConnectionDetail {
    /// The document of a connection.
    pub(crate) fn new(
        detail: &tcp::ConnectionDetail,
        service: Option<&'static str>,
        now: tapster_stack::Instant,
    ) -> Self {
        Self {
            row: ConnectionRow::new(&detail.row, service, now),
            iss: detail.iss,
            snd_una: detail.snd_una,
            snd_nxt: detail.snd_nxt,
            snd_wnd: detail.snd_wnd,
            max_snd_wnd: detail.max_snd_wnd,
            snd_wind_shift: detail.snd_wind_shift,
            irs: detail.irs,
            rcv_nxt: detail.rcv_nxt,
            rcv_wnd: detail.rcv_wnd,
            rcv_buffer_bytes: detail.rcv_buff,
            rcv_wind_shift: detail.rcv_wind_shift,
            smss: detail.smss,
            path_mtu: detail.path_mtu,
            sack_permitted: detail.sack_permitted,
            timestamps: detail.timestamps,
            congestion_control: match detail.congestion_control {
                tcp::CongestionControl::NewReno => "newreno",
                tcp::CongestionControl::Cubic => "cubic",
            },
            ssthresh: detail.ssthresh,
            pipe: detail.pipe,
            sacked: detail.sacked,
            lost: detail.lost,
            recovery: detail.recovery,
            rttvar_us: detail.rttvar.map(microseconds),
            minimum_rtt_us: detail.minimum_round_trip.map(microseconds),
            rto_us: microseconds(detail.rto),
            backoff: detail.backoff,
            unsent_bytes: detail.unsent,
            send_queue_bytes: detail.send_queue,
            receive_queue_bytes: detail.receive_queue,
            memory_bytes: detail.memory,
            retransmission_timer_seconds: detail.retransmission_timer.map(|at| rounded(at.since(now))),
            persist_timer_seconds: detail.persist_timer.map(|at| rounded(at.since(now))),
            idle_seconds: rounded(now.since(detail.last_received.max(detail.last_sent))),
        }
    }
}

/// `/v1/statistics`: for each layer, its counters by name. What was dropped stands under `dropped`, by reason.
#[derive(Debug, Serialize)]
pub(crate) struct Statistics(BTreeMap<&'static str, Layer>);

/// One layer of [`Statistics`].
#[derive(Debug, Default, Serialize)]
struct Layer {
    #[serde(flatten)]
    counts: BTreeMap<&'static str, u64>,
    dropped: BTreeMap<&'static str, u64>,
}

impl Statistics {
    /// All counters of a host.
    pub(crate) fn collect(host: &Host) -> Self {
        let mut layers: BTreeMap<_, Layer> = BTreeMap::new();
        let (network, udp, tcp) = (host.network_counters(), host.udp_counters(), host.tcp_counters());
        for (layer, counter, value) in network.counts().chain(udp.counts()).chain(tcp.counts()) {
            layers.entry(layer).or_default().counts.insert(counter, value);
        }
        for (layer, reason, value) in network.drops().chain(udp.drops()).chain(tcp.drops()) {
            layers.entry(layer).or_default().dropped.insert(reason, value);
        }
        Self(layers)
    }
}

impl From<&net::NeighborRow> for NeighborRow {
    fn from(row: &net::NeighborRow) -> Self {
        Self {
            address: row.address,
            mac: row.hardware_address.map(|address| address.to_string()),
            state: neighbor_state(row.state),
            age_seconds: rounded(row.age),
            queued: row.queued,
        }
    }
}

impl From<&net::RouteRow> for RouteRow {
    fn from(row: &net::RouteRow) -> Self {
        Self {
            destination: format!("{}/{}", row.destination, row.prefix),
            gateway: row.gateway,
            source: row.source,
            metric: row.metric,
        }
    }
}

/// `/v1/impair`. Probabilities are between 0 and 1.
#[derive(Debug, Serialize)]
pub(crate) struct ImpairmentReport {
    impaired: bool,
    /// Where chance began: given again, the same frames meet the same.
    seed: Option<u64>,
    #[serde(rename = "in")]
    inbound: Option<ImpairmentRow>,
    #[serde(rename = "out")]
    outbound: Option<ImpairmentRow>,
}

/// One direction of [`ImpairmentReport`].
#[derive(Debug, Serialize)]
struct ImpairmentRow {
    loss: f64,
    burst_begin: f64,
    burst_end: f64,
    delay_seconds: f64,
    jitter_seconds: f64,
    reorder: f64,
    reorder_by_seconds: f64,
    duplicate: f64,
    corrupt: f64,
    rate_bits: Option<u64>,
    queue_bytes: u64,
    in_flight_bytes: u64,
    counts: BTreeMap<&'static str, u64>,
    dropped: BTreeMap<&'static str, u64>,
}

impl ImpairmentReport {
    /// The report of a link; `None` is a good one.
    pub(crate) fn new(link: Option<&BadLink>) -> Self {
        let directions = link.map(|link| (link.asked(), link.counters()));
        Self {
            impaired: link.is_some(),
            seed: link.map(BadLink::seed),
            inbound: directions.map(|(asked, counters)| ImpairmentRow::new(&asked.0, counters.0)),
            outbound: directions.map(|(asked, counters)| ImpairmentRow::new(&asked.1, counters.1)),
        }
    }
}

impl ImpairmentRow {
    fn new(asked: &Impairment, counters: &ImpairmentCounters) -> Self {
        Self {
            loss: asked.loss.get(),
            burst_begin: asked.burst_begin.get(),
            burst_end: asked.burst_end.get(),
            delay_seconds: asked.delay.as_secs_f64(),
            jitter_seconds: asked.jitter.as_secs_f64(),
            reorder: asked.reorder.get(),
            reorder_by_seconds: asked.reorder_by.as_secs_f64(),
            duplicate: asked.duplicate.get(),
            corrupt: asked.corrupt.get(),
            rate_bits: asked.rate.get(),
            queue_bytes: asked.queue.as_u64(),
            in_flight_bytes: asked.in_flight.as_u64(),
            counts: counters.counts().map(|(_, name, value)| (name, value)).collect(),
            dropped: counters.drops().map(|(_, name, value)| (name, value)).collect(),
        }
    }
}

/// Where something listens; `*` is every own address.
pub(crate) fn endpoint(address: Option<IpAddr>, port: u16) -> String {
    match address {
        Some(address) => std::net::SocketAddr::new(address, port).to_string(),
        None => format!("*:{port}"),
    }
}

/// The state's name in RFC 4861 §7.3.2.
const fn neighbor_state(state: net::NeighborState) -> &'static str {
    match state {
        net::NeighborState::Incomplete => "INCOMPLETE",
        net::NeighborState::Reachable => "REACHABLE",
        net::NeighborState::Stale => "STALE",
        net::NeighborState::Delay => "DELAY",
        net::NeighborState::Probe => "PROBE",
    }
}

fn microseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A duration in seconds, to the millisecond.
pub(crate) fn rounded(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
