//! The section `[services.http]`.
//!
//! Responsible for its keys and their defaults. What the values must be is checked in `module`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use tapster_service::configuration::ListenAddress;
use tapster_tls::TlsConfiguration;

use crate::Limits;

/// The section. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// Where to listen; empty: port 80 of every own address.
    pub listen: Vec<ListenAddress>,
    /// Where certificates come from, for HTTPS; not set: there is none.
    pub tls: Option<TlsConfiguration>,
    /// Where to listen for HTTPS; empty: port 443 of every own address.
    pub tls_listen: Vec<ListenAddress>,
    /// The sites. The default is one site for all hosts, whose root is `www`.
    pub sites: Vec<SiteConfiguration>,
    /// What the server grants its peers.
    pub limits: LimitsConfiguration,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            tls: None,
            tls_listen: Vec::new(),
            sites: vec![SiteConfiguration::default()],
            limits: LimitsConfiguration::default(),
        }
    }
}

/// A site of files.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteConfiguration {
    /// The hosts it answers for: `www.example.test`, `*.example.test`, or `*` for any other.
    pub hosts: Vec<String>,
    /// The directory served, relative to the configuration file. The default is `www`, or no directory at all where
    /// there are `responses`.
    pub root: Option<PathBuf>,
    /// The files tried for a directory, in order.
    pub index: Vec<String>,
    /// Whether a directory without index is listed.
    pub autoindex: bool,
    /// Whether `FILE.br`, `FILE.zst` or `FILE.gz` is sent instead of `FILE` to those who accept that coding.
    pub precompressed: bool,
    /// Whether files may be put and deleted beneath the root.
    pub writable: bool,
    /// Whether plain HTTP is answered by nothing but a redirect to HTTPS.
    pub https_only: bool,
    /// Header fields for each response.
    pub headers: BTreeMap<String, String>,
    /// Answers for particular paths, instead of files. The first that matches is given.
    pub responses: Vec<ResponseConfiguration>,
}

/// An answer for particular paths: a redirect, or a response without a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseConfiguration {
    /// The path, `/healthz`, or the begin of paths, `/old/*`.
    pub path: String,
    /// The status code, 200 to 599. The default is 302 with `location`, else 200.
    pub status: Option<u16>,
    /// Where to send the client: the value of the Location field.
    pub location: Option<String>,
    /// Further header fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body. Its type is `text/plain; charset=utf-8` unless `headers` says otherwise.
    #[serde(default)]
    pub body: String,
}

impl Default for SiteConfiguration {
    fn default() -> Self {
        Self {
            hosts: vec!["*".to_owned()],
            root: None,
            index: vec!["index.html".to_owned()],
            autoindex: false,
            precompressed: false,
            writable: false,
            https_only: false,
            headers: BTreeMap::new(),
            responses: Vec::new(),
        }
    }
}

/// The table `limits`. Durations and sizes are written as people write them: `"60s"`, `"16KiB"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfiguration {
    /// How long a request's head may take.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a connection may be idle between two requests.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// How long a request's body may make no progress.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long the peer may acknowledge nothing of a response.
    #[serde(with = "humantime_serde")]
    pub send_timeout: Duration,
    /// The least average rate of a body, either way, a second. 0 allows any.
    pub min_rate: ByteSize,
    /// The largest head of a request.
    pub max_header_size: ByteSize,
    /// The most header fields of a request, 1 to 256.
    pub max_headers: usize,
    /// The largest request body that is skipped; one that is larger costs the connection.
    pub max_body_size: ByteSize,
    /// The largest file that may be put, where a site is writable.
    pub max_upload_size: ByteSize,
    /// The most requests on one connection; 0 is no limit.
    pub max_requests: u64,
    /// The most connections at once, on each address listened on.
    pub max_connections: usize,
    /// How much memory the cache of small files may take; 0 switches it off.
    pub cache_size: ByteSize,
    /// Larger files are not cached.
    pub cache_file_size: ByteSize,
    /// How long a cached file is served without looking whether it has changed.
    #[serde(with = "humantime_serde")]
    pub cache_trusted_for: Duration,
    /// How long a TLS handshake may take.
    #[serde(with = "humantime_serde")]
    pub tls_handshake_timeout: Duration,
    /// How much the peer may send for a TLS handshake.
    pub tls_handshake_size: ByteSize,
    /// The most entries of a directory that are listed.
    pub listing_entries: usize,
}

impl Default for LimitsConfiguration {
    fn default() -> Self {
        let limits = Limits::default();
        let tls = tapster_tls::Limits::default();
        Self {
            header_timeout: limits.header_timeout,
            keepalive_timeout: limits.keepalive_timeout,
            body_timeout: limits.body_timeout,
            send_timeout: limits.send_timeout,
            min_rate: ByteSize(limits.min_rate),
            max_header_size: ByteSize(limits.max_header_size as u64),
            max_headers: limits.max_headers,
            max_body_size: ByteSize(limits.max_body_size),
            max_upload_size: ByteSize::gib(1),
            max_requests: limits.max_requests,
            max_connections: 10_000,
            cache_size: ByteSize::mib(32),
            cache_file_size: ByteSize::kib(64),
            cache_trusted_for: Duration::from_secs(1),
            tls_handshake_timeout: tls.handshake_timeout,
            tls_handshake_size: ByteSize(tls.handshake_size as u64),
            listing_entries: 10_000,
        }
    }
}

impl LimitsConfiguration {
    /// The limits of the TLS layer.
    pub(crate) fn tls(&self) -> tapster_tls::Limits {
        tapster_tls::Limits {
            handshake_timeout: self.tls_handshake_timeout,
            handshake_size: usize::try_from(self.tls_handshake_size.as_u64()).unwrap_or(usize::MAX),
        }
    }

    /// The limits of the protocol layer.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            header_timeout: self.header_timeout,
            keepalive_timeout: self.keepalive_timeout,
            body_timeout: self.body_timeout,
            send_timeout: self.send_timeout,
            min_rate: self.min_rate.as_u64(),
            max_header_size: usize::try_from(self.max_header_size.as_u64()).unwrap_or(usize::MAX),
            max_headers: self.max_headers,
            max_body_size: self.max_body_size.as_u64(),
            max_requests: self.max_requests,
            ..Limits::default()
        }
    }
}
