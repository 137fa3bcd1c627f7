//! The module: what the daemon sees of this crate.
//!
//! Responsible for checking the configuration, loading the zones and handing out the listeners.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::Registry;
use tapster_service::configuration::endpoints;
use tapster_service::{
    DatagramBinding, Endpoint, Module, PathElement, Port, Preparation, Problem, Service, StreamBinding, StreamService,
    Transport,
};
use tapster_tls::{Acceptor, Protected, TlsService};

use crate::configuration::{Configuration, Limits};
use crate::cookie::Secret;
use crate::metrics::Metrics;
use crate::name::Name;
use crate::server::Server;
use crate::sources::{About, Sources};
use crate::tcp::Tcp;
use crate::udp::Udp;
use crate::zone::{self, Zones};

/// The standard port (RFC 1035 §4.2).
const PORT: u16 = 53;
/// That of DNS over TLS (RFC 7858 §3.1), and its name in ALPN (IANA's registry).
const TLS_PORT: u16 = 853;
const TLS_PROTOCOL: &str = "dot";
/// The longest identity, in bytes: an OPT record must fit into the smallest response.
const MAXIMUM_IDENTITY: usize = 128;
/// The longest version, in bytes: a character-string (RFC 1035 §3.3).
const MAXIMUM_VERSION: usize = 255;

/// An authoritative name server: the section `[services.dns]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dns;

impl Module for Dns {
    type Configuration = Configuration;
    type Metrics = Metrics;

    fn name(&self) -> &'static str {
        "dns"
    }

    fn ports(&self) -> &'static [Port] {
        &[Port { transport: Transport::Udp, number: PORT }, Port { transport: Transport::Tcp, number: PORT }]
    }

    fn metrics(&self, registry: &Registry) -> Result<Metrics, prometheus::Error> {
        Metrics::register(registry)
    }

    fn prepare(
        &self,
        configuration: Configuration,
        metrics: &Metrics,
        preparation: &mut Preparation<'_>,
    ) -> Option<Service> {
        let limits = &configuration.limits;
        check_limits(limits, preparation);
        let secret = OnceLock::new();
        if let Some(text) = &configuration.cookie_secret {
            match Secret::from_text(text) {
                Some(known) => drop(secret.set(known)),
                None => preparation.report(Problem::error(
                    [PathElement::from("cookie_secret")],
                    "a cookie secret has 32 hexadecimal digits",
                )),
            }
        }
        for (key, text, longest) in [
            ("identity", &configuration.identity, MAXIMUM_IDENTITY),
            ("version", &configuration.version, MAXIMUM_VERSION),
        ] {
            if text.as_ref().is_some_and(|text| text.len() > longest) {
                let message = format!("{key} has at most {longest} bytes");
                preparation.report(Problem::error([PathElement::from(key)], message));
            }
        }
        let mut zones = Zones::default();
        let mut summary = Vec::new();
        if configuration.zones.is_empty() && configuration.catch_all.is_empty() {
            let problem = Problem::error([PathElement::from("zones")], "no zone is served: every query is refused");
            preparation.report(problem.as_warning().with_help("add zones = [{ name = \"…\", file = \"…\" }]"));
        }
        for (index, zone) in configuration.zones.iter().enumerate() {
            let twin = configuration.zones.iter().take(index).position(|other| same_zone(&other.name, &zone.name));
            if let Some(twin) = twin {
                let key = [PathElement::from("zones"), index.into(), "name".into()];
                preparation.report(Problem::error(key, format!("zones[{twin}] has this name already")));
            }
            if let Some(loaded) = zone::load(zone, index, limits.zone_file_size.as_u64(), preparation) {
                summary.push(format!("zone {}, {} records", zone.name, loaded.records()));
                zones.insert(loaded);
            }
        }
        if !configuration.catch_all.is_empty() {
            summary.push("addresses for every other name".to_owned());
        }
        let acceptor = prepare_tls(&configuration, metrics, preparation);
        if preparation.failed() {
            return None;
        }
        let about = About::new(configuration.version.as_deref(), configuration.identity.as_deref());
        let sources = Sources::new(zones, about, &configuration.catch_all);
        let server = Arc::new(Server {
            sources,
            metrics: metrics.clone(),
            udp_payload_size: limits.udp_payload_size,
            identity: configuration.identity.clone(),
            secret,
        });
        let endpoints = endpoints(&configuration.listen, PORT);
        let tcp = Tcp::new(Arc::clone(&server), limits);
        let binding = |endpoint: Endpoint, service: Box<dyn StreamService>| StreamBinding {
            endpoint,
            maximum_connections: limits.tcp_connections,
            service,
        };
        let mut streams: Vec<_> = endpoints.iter().map(|endpoint| binding(*endpoint, Box::new(tcp.clone()))).collect();
        if let Some(acceptor) = acceptor {
            summary.push(acceptor.summary().to_owned());
            let service = || TlsService::new(Arc::clone(&acceptor), tcp.clone());
            let endpoints = tapster_service::configuration::endpoints(&configuration.tls_listen, TLS_PORT);
            streams.extend(endpoints.into_iter().map(|endpoint| binding(endpoint, Box::new(service()))));
        }
        let datagrams = vec![DatagramBinding { endpoints, service: Box::new(Udp::new(server, limits)) }];
        Some(Service { streams, datagrams, summary })
    }
}

/// What DNS over TLS needs, if it is switched on. A lab's authority makes certificates for the names of the zones.
fn prepare_tls(
    configuration: &Configuration,
    metrics: &Metrics,
    preparation: &mut Preparation<'_>,
) -> Option<Arc<Acceptor>> {
    let Some(tls) = &configuration.tls else {
        if !configuration.tls_listen.is_empty() {
            let problem = Problem::error([PathElement::from("tls_listen")], "DNS over TLS needs certificates");
            preparation.report(problem.with_help("set tls = { certificate = \"…\", key = \"…\" }, or tls = \"lab\""));
        }
        return None;
    };
    let names = configuration.zones.iter().map(|zone| zone.name.strip_suffix('.').unwrap_or(&zone.name));
    let hosts: Vec<_> = names.flat_map(|name| [name.to_owned(), format!("*.{name}")]).collect();
    let protected = Protected { hosts: &hosts, protocols: &[TLS_PROTOCOL] };
    Acceptor::prepare(tls, protected, configuration.limits.tls(), metrics.tls(), preparation)
}

fn same_zone(one: &str, other: &str) -> bool {
    let wire =
        |text: &str| Name::from_text(text.as_bytes(), &Name::root()).map(|name| name.lookup().as_wire().to_vec());
    wire(one).is_ok_and(|name| wire(other) == Ok(name))
}

fn check_limits(limits: &Limits, preparation: &mut Preparation<'_>) {
    let mut report = |key: &str, wrong: bool, message: &str| {
        if wrong {
            preparation.report(Problem::error([PathElement::from("limits"), key.into()], message));
        }
    };
    let payload = 512..=4096;
    report(
        "udp_payload_size",
        !payload.contains(&limits.udp_payload_size),
        "udp_payload_size must be from 512 to 4096 bytes",
    );
    report("tcp_connections", limits.tcp_connections == 0, "tcp_connections must be at least 1");
    for (key, timeout) in
        [("tcp_idle_timeout", limits.tcp_idle_timeout), ("tcp_query_timeout", limits.tcp_query_timeout)]
    {
        let allowed = Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60);
        report(key, !allowed.contains(&timeout), &format!("{key} must be from 100ms to 1day"));
    }
}

#[cfg(test)]
mod tests;
