//! What is counted.
//!
//! Responsible for the names `tapster_tls_…` and their labels. Each module that uses TLS has counters of its own, told
//! apart by the label `service`.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use rustls::ProtocolVersion;

/// The counters of one module. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// By version and result, in the order of [`VERSIONS`] and [`RESULTS`].
    handshakes: [[IntCounter; RESULTS.len()]; VERSIONS.len()],
    resumptions: IntCounter,
    truncated: IntCounter,
    broken: IntCounter,
    certificates: IntCounter,
}

const VERSIONS: [&str; 3] = ["1.2", "1.3", "none"];
const RESULTS: [&str; 5] = ["completed", "refused", "timeout", "too_large", "closed"];

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// One side sent an alert.
    Refused = 1,
    /// It took too long.
    TimedOut = 2,
    /// The peer sent too much.
    TooLarge = 3,
    /// The peer closed the connection.
    Closed = 4,
}

impl Metrics {
    /// Makes and registers the counters of a module. `service` is its name.
    ///
    /// # Errors
    /// What the registry says, such as that they exist already.
    pub fn new(registry: &Registry, service: &str) -> Result<Self, prometheus::Error> {
        let options = |name: &str, help: &str| Opts::new(name, help).const_label("service", service);
        let handshakes = IntCounterVec::new(
            options("tapster_tls_handshakes_total", "TLS handshakes, by version and result."),
            &["version", "result"],
        )?;
        registry.register(Box::new(handshakes.clone()))?;
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::with_opts(options(name, help))?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            handshakes: VERSIONS.map(|version| RESULTS.map(|result| handshakes.with_label_values(&[version, result]))),
            resumptions: counter("tapster_tls_resumptions_total", "TLS handshakes that resumed an earlier session.")?,
            truncated: counter("tapster_tls_truncated_total", "TLS connections that ended without close_notify.")?,
            broken: counter("tapster_tls_broken_total", "TLS connections ended by a record that was wrong.")?,
            certificates: counter("tapster_tls_certificates_made_total", "Certificates made by the lab's authority.")?,
        })
    }

    pub(crate) fn established(&self, version: Option<ProtocolVersion>, resumed: bool) {
        self.handshake(version, 0);
        if resumed {
            self.resumptions.inc();
        }
    }

    pub(crate) fn failed(&self, version: Option<ProtocolVersion>, failure: Failure) {
        self.handshake(version, failure as usize);
    }

    fn handshake(&self, version: Option<ProtocolVersion>, result: usize) {
        let version = match version {
            Some(ProtocolVersion::TLSv1_2) => 0,
            Some(ProtocolVersion::TLSv1_3) => 1,
            _ => 2,
        };
        if let Some(counter) = self.handshakes.get(version).and_then(|results| results.get(result)) {
            counter.inc();
        }
    }

    pub(crate) fn truncated(&self) {
        self.truncated.inc();
    }

    pub(crate) fn broken(&self) {
        self.broken.inc();
    }

    pub(crate) fn certificate_made(&self) {
        self.certificates.inc();
    }
}
