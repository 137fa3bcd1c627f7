//! The section `[services.dns]`.
//!
//! Responsible for the keys, their defaults and their units.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use tapster_service::configuration::ListenAddress;
use tapster_tls::TlsConfiguration;

/// `[services.dns]`: an authoritative name server (RFC 1034, RFC 1035).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// Where to listen, over UDP and TCP alike. Empty: every own address, port 53.
    pub listen: Vec<ListenAddress>,
    /// Where certificates come from, for DNS over TLS (RFC 7858); not set: there is none.
    pub tls: Option<TlsConfiguration>,
    /// Where to listen for DNS over TLS. Empty: every own address, port 853.
    pub tls_listen: Vec<ListenAddress>,
    /// The zones that are served. Names outside of them are refused.
    pub zones: Vec<ZoneConfiguration>,
    /// Addresses that are answered for every name that is in no zone, for labs. Empty: such names are refused.
    pub catch_all: Vec<IpAddr>,
    /// What is told as `version.bind` (RFC 4892), up to 255 bytes. Nothing: it is refused.
    pub version: Option<String>,
    /// The name server's identifier, for clients that ask by NSID (RFC 5001) or for `id.server` (RFC 4892), up to 128
    /// bytes. Nothing: not told.
    pub identity: Option<String>,
    /// The secret of DNS cookies (RFC 9018 §5), 32 hexadecimal digits; servers that share an address need the same one.
    /// Nothing: made at random at each start and reload.
    pub cookie_secret: Option<String>,
    /// Time-outs and limits.
    pub limits: Limits,
}

/// `[[services.dns.zones]]`: one zone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneConfiguration {
    /// The zone's name, such as `example.test`, with or without a dot at its end.
    pub name: String,
    /// Its master file (RFC 1035 §5), relative to the configuration file. `$INCLUDE` in it is relative to the file
    /// that includes, and cannot leave the configuration's directory.
    pub file: Option<PathBuf>,
    /// Entries of a master file, such as `"www 3600 IN A 192.0.2.5"`, after those of `file`, or instead of it.
    #[serde(default)]
    pub records: Vec<String>,
}

/// `[services.dns.limits]`: time-outs and limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest response over UDP, in bytes, 512 to 4096; also what clients are told by EDNS (RFC 6891 §6.2.3).
    /// Longer responses are truncated, and the client asks again over TCP. 1232 fits any path (IPv6's 1280).
    pub udp_payload_size: u16,
    /// How many alike responses go to one network (/24 or /56) each second over UDP; 0 is any number. A defence against
    /// forged queries, needed where clients are not neighbours.
    pub responses_per_second: u32,
    /// Of the responses beyond `responses_per_second`, every so many is sent cut short, so that a real client asks again
    /// over TCP; the others are dropped. 0: all are dropped.
    pub slip: u32,
    /// How many TCP connections may be open at once, at least 1, at each address that is listened on.
    pub tcp_connections: usize,
    /// How many queries are answered on one TCP connection before it is closed; 0 is any number.
    pub tcp_queries: u64,
    /// How long a TCP connection may be idle between queries, or leave a response unread (RFC 7766 §6.2.3).
    #[serde(with = "humantime_serde")]
    pub tcp_idle_timeout: Duration,
    /// How long a client may take to send one query, once it has begun it.
    #[serde(with = "humantime_serde")]
    pub tcp_query_timeout: Duration,
    /// How long a TLS handshake may take.
    #[serde(with = "humantime_serde")]
    pub tls_handshake_timeout: Duration,
    /// How many bytes a client may send for a TLS handshake.
    pub tls_handshake_size: ByteSize,
    /// The largest zone file, and the largest file that it includes.
    pub zone_file_size: ByteSize,
}

impl Limits {
    /// The limits of the TLS layer.
    pub(crate) fn tls(&self) -> tapster_tls::Limits {
        tapster_tls::Limits {
            handshake_timeout: self.tls_handshake_timeout,
            handshake_size: usize::try_from(self.tls_handshake_size.as_u64()).unwrap_or(usize::MAX),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let tls = tapster_tls::Limits::default();
        Self {
            udp_payload_size: 1232,
            responses_per_second: 0,
            slip: 2,
            tcp_connections: 1000,
            tcp_queries: 0,
            tcp_idle_timeout: Duration::from_secs(10),
            tcp_query_timeout: Duration::from_secs(5),
            tls_handshake_timeout: tls.handshake_timeout,
            tls_handshake_size: ByteSize(tls.handshake_size as u64),
            zone_file_size: ByteSize::mib(64),
        }
    }
}
