//! What all TLS connections of a listener share, and the service that makes them.
//!
//! Responsible for turning a section's keys into rustls's configuration. A reload makes a new acceptor; connections keep
//! the one that they began with.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use tapster_service::{Context, Peer, Preparation, Problem, Session, StreamService};

use crate::authority::Authority;
use crate::certificates::{self, Certificates};
use crate::clock::Clock;
use crate::{Metrics, TlsConfiguration, TlsSession};

/// What a handshake may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it may take.
    pub handshake_timeout: Duration,
    /// How many bytes the peer may send for it. Never more than 64 KiB in one message, whatever this says.
    pub handshake_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { handshake_timeout: Duration::from_secs(10), handshake_size: 64 << 10 }
    }
}

/// What is protected: for which names, and which protocol.
#[derive(Clone, Copy, Debug)]
pub struct Protected<'a> {
    /// The hosts that a lab's authority makes certificates for: names, addresses, `*.example.test` (whatever is below),
    /// `*` (any). Tapster's own name and addresses are always among them.
    pub hosts: &'a [String],
    /// The protocols' names in ALPN (RFC 7301), the preferred one first. A client that offers only others is refused; one
    /// that offers none is not.
    pub protocols: &'a [&'a str],
}

/// What all connections share: certificates, tickets, limits, counters.
pub struct Acceptor {
    configuration: Arc<ServerConfig>,
    clock: Arc<Clock>,
    limits: Limits,
    metrics: Metrics,
    summary: String,
}

impl Acceptor {
    /// Reads the certificates, or the lab's authority, which is made where there is none. What is wrong is reported at
    /// the key `tls`; `None` if that forbids running.
    #[must_use]
    pub fn prepare(
        configuration: &TlsConfiguration,
        protected: Protected<'_>,
        limits: Limits,
        metrics: &Metrics,
        preparation: &mut Preparation<'_>,
    ) -> Option<Arc<Self>> {
        check_limits(limits, preparation);
        let provider = Arc::new(ring::default_provider());
        let clock = Arc::new(Clock::default());
        clock.set(SystemTime::now());
        let (resolver, summary): (Arc<dyn ResolvesServerCert>, _) = match configuration {
            TlsConfiguration::Authority(directory) => {
                let directory = preparation.resolve(directory);
                let shared = (Arc::clone(&provider), Arc::clone(&clock), metrics.clone());
                match Authority::open(&directory, protected.hosts, shared, preparation) {
                    Ok(authority) => {
                        let summary = format!("TLS by the lab's authority in {}", directory.display());
                        (Arc::new(authority), summary)
                    }
                    Err(problem) => {
                        preparation.report(*problem);
                        return None;
                    }
                }
            }
            TlsConfiguration::Certificate(one) => {
                let read = certificates::read(one, &["tls".into()], &clock, &provider, preparation)?;
                (Arc::new(Certificates::new(vec![read])), format!("TLS by {}", one.certificate.display()))
            }
            TlsConfiguration::Certificates(several) => {
                if several.is_empty() {
                    preparation.report(Problem::error(["tls".into()], "there is no certificate"));
                    return None;
                }
                let mut read = Vec::new();
                for (number, one) in several.iter().enumerate() {
                    let key = ["tls".into(), number.into()];
                    read.extend(certificates::read(one, &key, &clock, &provider, preparation));
                }
                // Each one that could not be read has been reported.
                if read.len() < several.len() {
                    return None;
                }
                (Arc::new(Certificates::new(read)), format!("TLS by {} certificates", several.len()))
            }
        };
        match server_configuration(provider, Arc::clone(&clock), resolver, protected.protocols) {
            Ok(configuration) => {
                let configuration = Arc::new(configuration);
                Some(Arc::new(Self { configuration, clock, limits, metrics: metrics.clone(), summary }))
            }
            Err(error) => {
                preparation.report(Problem::error(["tls".into()], format!("TLS cannot be set up: {error}")));
                None
            }
        }
    }

    /// One line about it, for `check`.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    pub(crate) const fn configuration(&self) -> &Arc<ServerConfig> {
        &self.configuration
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("summary", &self.summary).finish_non_exhaustive()
    }
}

/// TLS 1.2 and 1.3, sessions resumed by tickets (RFC 5077, RFC 8446 §2.2) so that nothing is kept for them, no early data.
fn server_configuration(
    provider: Arc<CryptoProvider>,
    clock: Arc<Clock>,
    resolver: Arc<dyn ResolvesServerCert>,
    protocols: &[&str],
) -> Result<ServerConfig, rustls::Error> {
    let mut configuration = ServerConfig::builder_with_details(provider, clock)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    configuration.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    configuration.session_storage = Arc::new(NoServerSessionStorage {});
    configuration.ticketer = ring::Ticketer::new()?;
    Ok(configuration)
}

fn check_limits(limits: Limits, preparation: &mut Preparation<'_>) {
    let mut require = |fulfilled: bool, name: &str, message: &str| {
        if !fulfilled {
            preparation.report(Problem::error(["limits".into(), name.into()], message));
        }
    };
    let timeout = Duration::from_millis(100)..=Duration::from_secs(600);
    require(timeout.contains(&limits.handshake_timeout), "tls_handshake_timeout", "must be from 100ms to 10min");
    let size = 4 << 10..=1 << 20;
    require(size.contains(&limits.handshake_size), "tls_handshake_size", "must be from 4KiB to 1MiB");
}

/// A service whose connections speak TLS, around one that knows of none.
#[derive(Debug)]
pub struct TlsService<S> {
    acceptor: Arc<Acceptor>,
    inner: S,
}

impl<S: StreamService> TlsService<S> {
    /// The service `inner`, over TLS.
    pub const fn new(acceptor: Arc<Acceptor>, inner: S) -> Self {
        Self { acceptor, inner }
    }
}

impl<S: StreamService> StreamService for TlsService<S> {
    fn accept(&mut self, peer: Peer, cx: &mut Context<'_>) -> Box<dyn Session> {
        Box::new(TlsSession::new(Arc::clone(&self.acceptor), self.inner.accept(peer, cx)))
    }
}
