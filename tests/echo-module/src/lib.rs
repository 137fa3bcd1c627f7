//! The Echo Protocol (RFC 862) as a tapster module: the shortest one that has everything a module has.
//!
//! Responsible for the module: its name, configuration, ports, metrics and checks. The conversations are in
//! [`stream`] and [`datagram`]. Read this file from top to bottom, then those two; nothing else is needed to write a
//! module of one's own. It is sans-I/O, like every module: see the tests for how it is driven without a network.

#![forbid(unsafe_code)]

pub mod datagram;
pub mod stream;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use serde::Deserialize;
use tapster_service::configuration::{ListenAddress, endpoints};
use tapster_service::{DatagramBinding, Module, Port, Preparation, Problem, Service, StreamBinding, Transport};

/// The port that IANA gave to the protocol, for both transports.
pub const PORT: u16 = 7;

/// The module, to be added to a daemon.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

/// The section `[services.echo]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// Where to listen; every own address, port 7, when left out.
    pub listen: Vec<ListenAddress>,
    /// The bounds.
    pub limits: Limits,
}

/// The section `[services.echo.limits]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How many connections there may be at once. At least 1.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1000 }
    }
}

/// What the module counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    bytes: IntCounterVec,
}

impl Metrics {
    fn bytes(&self, transport: &str) -> IntCounter {
        self.bytes.with_label_values(&[transport])
    }
}

impl Module for Echo {
    type Configuration = Configuration;
    type Metrics = Metrics;

    fn name(&self) -> &'static str {
        "echo"
    }

    fn ports(&self) -> &'static [Port] {
        &[Port { transport: Transport::Tcp, number: PORT }, Port { transport: Transport::Udp, number: PORT }]
    }

    fn metrics(&self, registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let options = Opts::new("tapster_echo_bytes_total", "Bytes sent back");
        let bytes = IntCounterVec::new(options, &["transport"])?;
        registry.register(Box::new(bytes.clone()))?;
        Ok(Metrics { bytes })
    }

    fn prepare(
        &self,
        configuration: Configuration,
        metrics: &Metrics,
        preparation: &mut Preparation<'_>,
    ) -> Option<Service> {
        let maximum_connections = configuration.limits.connections;
        if maximum_connections == 0 {
            let key = ["limits".into(), "connections".into()];
            preparation.report(Problem::error(key, "with 0 connections the service could not be used"));
            return None;
        }
        let endpoints = endpoints(&configuration.listen, PORT);
        let streams = endpoints.iter().map(|endpoint| StreamBinding {
            endpoint: *endpoint,
            maximum_connections,
            service: Box::new(stream::EchoStreams::new(metrics.bytes("tcp"))),
        });
        Some(Service {
            streams: streams.collect(),
            datagrams: vec![DatagramBinding {
                endpoints: endpoints.clone(),
                service: Box::new(datagram::EchoDatagrams::new(metrics.bytes("udp"))),
            }],
            summary: vec![format!("echo, {maximum_connections} connections at most")],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn without_a_setting_it_listens_on_port_7_of_both_transports() {
        let metrics = Echo.metrics(&Registry::new()).unwrap();
        let mut preparation = Preparation::new(Path::new("/"), &[], "host");
        let service = Echo.prepare(Configuration::default(), &metrics, &mut preparation).unwrap();
        assert_eq!(service.streams[0].endpoint.port, PORT);
        assert_eq!(service.datagrams[0].endpoints[0].port, PORT);
        assert!(!preparation.failed());
    }

    #[test]
    fn no_connections_at_all_is_a_mistake_at_its_key() {
        let metrics = Echo.metrics(&Registry::new()).unwrap();
        let mut preparation = Preparation::new(Path::new("/"), &[], "host");
        let configuration = Configuration { limits: Limits { connections: 0 }, ..Configuration::default() };
        assert!(Echo.prepare(configuration, &metrics, &mut preparation).is_none());
        assert_eq!(preparation.into_problems()[0].key, ["limits".into(), "connections".into()]);
    }
}
