//! Answers to questions about the running daemon.
//!
//! Responsible for collecting what a document says from the parts that know it. Nothing is changed here.

use std::collections::BTreeMap;

use serde_json::json;
use tapster_stack::{ConnectionId, Instant};

use super::EventLoop;
use crate::control::Response;
use crate::control::command::{Command, ConnectionFilter};
use crate::control::rows::{
    ConnectionDetail, ConnectionRow, GroupRow, ImpairmentReport, LinkStatus, ListenerRow, NeighborRow, RouteRow,
    ServiceRow, Statistics, Status, rounded,
};
use crate::metrics::Sources;
use crate::sandbox;

/// The answer to a question about a connection that does not exist.
pub(super) fn no_such_connection(connection: ConnectionId) -> Response {
    Response::error(404, format!("there is no connection {}", connection.as_u64()))
}

impl EventLoop {
    /// Answers a question. An order is carried out elsewhere.
    pub(super) fn answer_to(&self, question: &Command) -> Response {
        let now = self.clock.now();
        match question {
            Command::Status => Response::json(&self.status()),
            Command::Services => Response::json(&self.service_rows()),
            Command::Listeners => Response::json(&self.listener_rows()),
            Command::Connections(filter) => Response::json(&self.connection_rows(filter, now)),
            Command::Connection(id) => self.connection_detail(*id, now),
            Command::Neighbors => {
                Response::json(&self.host.neighbors(now).iter().map(NeighborRow::from).collect::<Vec<_>>())
            }
            Command::Routes => Response::json(&self.host.routes().iter().map(RouteRow::from).collect::<Vec<_>>()),
            Command::Statistics => Response::json(&Statistics::collect(&self.host)),
            Command::Metrics => match self.metrics.text(&self.metric_sources(now)) {
                Ok(text) => Response::prometheus(text),
                Err(error) => Response::error(500, error.to_string()),
            },
            Command::Groups => Response::json(&self.host.groups().map(|row| GroupRow::from(&row)).collect::<Vec<_>>()),
            Command::LogLevel => Response::json(&json!({ "level": self.log_level.get() })),
            Command::Impairment => Response::json(&ImpairmentReport::new(self.wire.bad_link())),
            _ => Response::error(500, "this is no question"),
        }
    }

    fn metric_sources(&self, now: Instant) -> Sources<'_> {
        Sources {
            host: &self.host,
            services: &self.services,
            link: self.wire.device().counters(),
            neighbors: self.host.neighbors(now).len(),
            generation: self.reloader.generation(),
            last_reload_successful: self.reloader.last_successful(),
        }
    }

    fn status(&self) -> Status {
        let frame = self.reloader.frame();
        let link = self.wire.device().counters();
        let mut connections = BTreeMap::new();
        for row in self.host.connections() {
            *connections.entry(row.state.name()).or_default() += 1;
        }
        let modules = self.services.modules().iter().filter(|module| module.configured);
        Status {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            uptime_seconds: rounded(self.started.elapsed()),
            hostname: frame.network.hostname.clone(),
            addresses: self.host.addresses().iter().map(|(address, prefix)| format!("{address}/{prefix}")).collect(),
            link: LinkStatus {
                name: self.wire.device().name().to_owned(),
                mac: frame.link.mac.to_string(),
                mtu: frame.link.mtu.into(),
                offload: frame.link.offload,
                frames_received: link.frames_received,
                bytes_received: link.octets_received,
                frames_sent: link.frames_sent,
                bytes_sent: link.octets_sent,
            },
            services: modules.map(|module| module.name).collect(),
            connections,
            sessions: self.services.session_count(),
            configuration_generation: self.reloader.generation(),
            last_reload_successful: self.reloader.last_successful(),
            sandbox: sandbox::report(),
            impaired: self.wire.bad_link().is_some(),
            event_readers: self.news.readers(),
            captures: self.wire.captures(),
            log_level: self.log_level.get(),
            draining: self.stopping.is_some(),
        }
    }

    fn service_rows(&self) -> Vec<ServiceRow> {
        let listeners = self.listener_rows();
        let modules = self.services.modules().iter().filter(|module| module.configured);
        modules
            .map(|module| {
                let own = listeners.iter().filter(|row| row.service == Some(module.name));
                ServiceRow {
                    name: module.name,
                    listen: own.map(|row| format!("{}/{}", row.local, row.protocol)).collect(),
                    sessions: module.sessions,
                    accepted: module.accepted,
                    serves: module.summary.clone(),
                }
            })
            .collect()
    }

    fn listener_rows(&self) -> Vec<ListenerRow> {
        let tcp = self.host.listeners().map(|row| ListenerRow::tcp(&row, self.services.module_of_listener(row.id)));
        let udp = self.host.sockets().map(|row| ListenerRow::udp(&row, self.services.module_of_socket(row.id)));
        let mut rows: Vec<_> = tcp.chain(udp).collect();
        rows.sort_by(|a, b| (a.service, a.protocol, &a.local).cmp(&(b.service, b.protocol, &b.local)));
        rows
    }

    fn connection_rows(&self, filter: &ConnectionFilter, now: Instant) -> Vec<ConnectionRow> {
        let mut rows: Vec<_> = self
            .host
            .connections()
            .filter_map(|row| {
                let service = self.services.module_of(row.id, row.listener);
                let shown = ConnectionRow::new(&row, service, now);
                shown.passes(filter, row.remote.ip()).then_some(shown)
            })
            .collect();
        rows.sort_by_key(|row| row.id);
        rows
    }

    fn connection_detail(&self, id: ConnectionId, now: Instant) -> Response {
        match self.host.connection(id) {
            Some(detail) => {
                let service = self.services.module_of(id, detail.row.listener);
                Response::json(&ConnectionDetail::new(&detail, service, now))
            }
            None => no_such_connection(id),
        }
    }
}
