//! The module `http`: from its configuration to listeners.
//!
//! Responsible for checking the section, all of it at once, and for building what the connections share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use prometheus::Registry;
use tapster_service::configuration::endpoints;
use tapster_service::{
    Context, Endpoint, Module, PathElement, Peer, Port, Preparation, Problem, Service, Session, StreamBinding,
    StreamService, Transport,
};
use tapster_tls::{Acceptor, Protected, TlsService};

use crate::configuration::{Configuration, LimitsConfiguration, ResponseConfiguration, SiteConfiguration};
use crate::files::open::check_root;
use crate::files::rules::{Pattern, Rule};
use crate::files::site::{Hosts, Site};
use crate::files::{Files, Shared};
use crate::response::{has_body, write_field};
use crate::{Connection, Metrics, Server};

const STANDARD_PORT: u16 = 80;
/// RFC 9110 §4.2.2.
const STANDARD_TLS_PORT: u16 = 443;
/// In ALPN (RFC 7301 §6).
const PROTOCOLS: [&str; 2] = ["http/1.1", "http/1.0"];
const STANDARD_ROOT: &str = "www";

/// Serves sites of files over HTTP/1.1.
#[derive(Clone, Copy, Debug)]
pub struct Http;

impl Module for Http {
    type Configuration = Configuration;
    type Metrics = Metrics;

    fn name(&self) -> &'static str {
        "http"
    }

    fn ports(&self) -> &'static [Port] {
        &[Port { transport: Transport::Tcp, number: STANDARD_PORT }]
    }

    fn metrics(&self, registry: &Registry) -> Result<Metrics, prometheus::Error> {
        Metrics::new(registry)
    }

    fn prepare(
        &self,
        configuration: Configuration,
        metrics: &Metrics,
        preparation: &mut Preparation<'_>,
    ) -> Option<Service> {
        let Configuration { listen, tls, tls_listen, sites: configured, limits } = configuration;
        check_limits(&limits, preparation);
        if configured.is_empty() {
            preparation.report(Problem::error(["sites".into()], "there is no site to serve"));
        }
        if configured.len() > usize::from(u16::MAX) {
            preparation.report(Problem::error(["sites".into()], "there are more than 65535 sites"));
        }
        if tls.is_none() && !tls_listen.is_empty() {
            let problem = Problem::error(["tls_listen".into()], "HTTPS needs certificates");
            preparation.report(problem.with_help("set tls = { certificate = \"…\", key = \"…\" }, or tls = \"lab\""));
        }
        let tls_endpoints = endpoints(&tls_listen, STANDARD_TLS_PORT);
        let tls_port = tls.as_ref().and(tls_endpoints.first()).map(|endpoint| endpoint.port);
        let names: Vec<_> = configured.iter().flat_map(|site| site.hosts.iter().cloned()).collect();
        let acceptor = tls.as_ref().and_then(|tls| {
            let protected = Protected { hosts: &names, protocols: &PROTOCOLS };
            Acceptor::prepare(tls, protected, limits.tls(), metrics.tls(), preparation)
        });
        let mut hosts = Hosts::default();
        let mut sites = Vec::new();
        let mut summary = Vec::new();
        for (number, site) in configured.into_iter().enumerate() {
            add_hosts(&mut hosts, number, &site, preparation);
            let hosts = site.hosts.join(" ");
            let site = prepare_site(number, site, tls_port, &limits, preparation);
            summary.push(match &site.root {
                Some(root) => format!("site {hosts}, {}", root.display()),
                None => format!("site {hosts}, {} responses", site.rules.len()),
            });
            sites.push(site);
        }
        if preparation.failed() {
            return None;
        }
        let cache_size = usize::try_from(limits.cache_size.as_u64()).unwrap_or(usize::MAX);
        let server = Server::new(limits.limits());
        let trusted_for = limits.cache_trusted_for;
        let shared = Arc::new(Shared::new(server, sites, hosts, cache_size, trusted_for, metrics.clone()));
        let listener = |secure: bool| Listener { shared: Arc::clone(&shared), secure };
        let binding = |endpoint: Endpoint, service: Box<dyn StreamService>| StreamBinding {
            endpoint,
            maximum_connections: limits.max_connections,
            service,
        };
        let plain = endpoints(&listen, STANDARD_PORT).into_iter();
        let mut streams: Vec<_> = plain.map(|endpoint| binding(endpoint, Box::new(listener(false)))).collect();
        if let Some(acceptor) = acceptor {
            summary.push(acceptor.summary().to_owned());
            let service = || TlsService::new(Arc::clone(&acceptor), listener(true));
            streams.extend(tls_endpoints.into_iter().map(|endpoint| binding(endpoint, Box::new(service()))));
        }
        Some(Service { streams, datagrams: Vec::new(), summary })
    }
}

struct Listener {
    shared: Arc<Shared>,
    /// Whether it stands behind TLS.
    secure: bool,
}

impl StreamService for Listener {
    fn accept(&mut self, peer: Peer, cx: &mut Context<'_>) -> Box<dyn Session> {
        let handler = Files::new(Arc::clone(&self.shared), self.secure);
        Box::new(Connection::new(Arc::clone(&self.shared.server), handler, peer, cx))
    }
}

fn key(site: usize, name: &str) -> Vec<PathElement> {
    vec!["sites".into(), site.into(), name.into()]
}

fn check_limits(limits: &LimitsConfiguration, preparation: &mut Preparation<'_>) {
    let mut require = |fulfilled: bool, name: &str, message: &str| {
        if !fulfilled {
            preparation.report(Problem::error(["limits".into(), name.into()], message));
        }
    };
    require((1..=256).contains(&limits.max_headers), "max_headers", "must be from 1 to 256");
    require(limits.max_connections > 0, "max_connections", "must be at least 1");
    let header_size = limits.max_header_size.as_u64();
    require((256..=1 << 20).contains(&header_size), "max_header_size", "must be from 256B to 1MiB");
    require(limits.cache_file_size.as_u64() <= 16 << 20, "cache_file_size", "must be at most 16MiB");
    for (timeout, name) in [
        (limits.header_timeout, "header_timeout"),
        (limits.keepalive_timeout, "keepalive_timeout"),
        (limits.body_timeout, "body_timeout"),
        (limits.send_timeout, "send_timeout"),
    ] {
        let day = std::time::Duration::from_secs(86_400);
        require(!timeout.is_zero() && timeout <= day, name, "must be more than 0 and at most a day");
    }
}

fn add_hosts(hosts: &mut Hosts, number: usize, site: &SiteConfiguration, preparation: &mut Preparation<'_>) {
    if site.hosts.is_empty() {
        let problem = Problem::error(key(number, "hosts"), "a site without hosts is never served");
        preparation.report(problem.with_help("write \"*\" for any host"));
    }
    for (place, host) in site.hosts.iter().enumerate() {
        let mut at = key(number, "hosts");
        at.push(place.into());
        if !is_host_pattern(host) {
            let problem = Problem::error(at, format!("{host:?} is not a host"));
            preparation.report(problem.with_help("write a name, an address, \"*.example.test\", or \"*\""));
        } else if let Some(other) = hosts.add(host, number) {
            preparation.report(Problem::error(at, format!("the host {host:?} is already that of site {}", other + 1)));
        }
    }
}

fn is_host_pattern(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let bracketed = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = bracketed {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let labels = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    host == "*" || (!name.is_empty() && name.len() <= 254 && name.bytes().all(labels) && !name.starts_with('.'))
}

fn prepare_site(
    number: usize,
    site: SiteConfiguration,
    tls_port: Option<u16>,
    limits: &LimitsConfiguration,
    preparation: &mut Preparation<'_>,
) -> Site {
    let root = match &site.root {
        None if !site.responses.is_empty() => None,
        root => Some(preparation.resolve(root.as_deref().unwrap_or(Path::new(STANDARD_ROOT)))),
    };
    if let Some(root) = &root
        && let Err(error) = check_root(root)
    {
        let error = std::io::Error::from(error);
        let message = format!("the directory {} cannot be served: {error}", root.display());
        preparation.report(Problem::error(key(number, "root"), message));
    }
    for (place, index) in site.index.iter().enumerate() {
        if index.is_empty() || index.contains(['/', '\0']) || index.starts_with('.') {
            let mut at = key(number, "index");
            at.push(place.into());
            preparation.report(Problem::error(at, format!("{index:?} is not the name of a file that is served")));
        }
    }
    if site.https_only && tls_port.is_none() {
        let problem = Problem::error(key(number, "https_only"), "HTTPS is not switched on");
        preparation.report(problem.with_help("set services.http.tls"));
    }
    let fields = prepare_fields(&site.headers, &key(number, "headers"), preparation);
    let mut rules = Vec::new();
    for (place, response) in site.responses.iter().enumerate() {
        let mut at = key(number, "responses");
        at.push(place.into());
        rules.extend(prepare_rule(response, &at, preparation));
    }
    Site {
        root,
        index: site.index,
        autoindex: site.autoindex,
        precompressed: site.precompressed,
        writable: site.writable,
        https_only: tls_port.filter(|_| site.https_only),
        max_upload_size: limits.max_upload_size.as_u64(),
        rules,
        fields,
        cache_file_size: if limits.cache_size.as_u64() == 0 { 0 } else { limits.cache_file_size.as_u64() },
        listing_entries: limits.listing_entries,
    }
}

/// Checks header fields and writes their lines.
fn prepare_fields(
    headers: &BTreeMap<String, String>,
    at: &[PathElement],
    preparation: &mut Preparation<'_>,
) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in headers {
        if let Some(message) = wrong_with_field(name, value) {
            let at = at.iter().cloned().chain([name.as_str().into()]);
            preparation.report(Problem::error(at, message));
        }
        write_field(&mut fields, name, value.as_bytes());
    }
    fields
}

fn prepare_rule(
    response: &ResponseConfiguration,
    at: &[PathElement],
    preparation: &mut Preparation<'_>,
) -> Option<Rule> {
    let key = |name: &str| at.iter().cloned().chain([name.into()]).collect::<Vec<_>>();
    let status = response.status.unwrap_or(if response.location.is_some() { 302 } else { 200 });
    if !(200..=599).contains(&status) {
        preparation.report(Problem::error(key("status"), "must be from 200 to 599"));
    }
    if !has_body(status) && !response.body.is_empty() {
        preparation.report(Problem::error(key("body"), format!("a response with status {status} has no body")));
    }
    let mut headers = response.headers.clone();
    if let Some(location) = &response.location {
        headers.insert("Location".to_owned(), location.clone());
    }
    let typed = headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
    if !response.body.is_empty() && !typed {
        headers.insert("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned());
    }
    let fields = prepare_fields(&headers, &key("headers"), preparation);
    let Some(pattern) = Pattern::parse(&response.path) else {
        let problem = Problem::error(key("path"), format!("{:?} is not a path that can be asked for", response.path));
        preparation.report(problem.with_help("write \"/path\" or \"/begin/*\""));
        return None;
    };
    Some(Rule { pattern, status, fields, body: response.body.clone().into() })
}

/// What is wrong with a header field of the configuration.
fn wrong_with_field(name: &str, value: &str) -> Option<String> {
    const OURS: [&str; 6] = ["connection", "content-length", "content-range", "date", "server", "transfer-encoding"];
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Some(format!("{name:?} is not the name of a header field"));
    }
    if OURS.contains(&name.to_ascii_lowercase().as_str()) {
        return Some(format!("the header field {name} is set by the server itself"));
    }
    let printable = value.bytes().all(|byte| byte >= b' ' && byte != 0x7f);
    (!printable || value.trim() != value).then(|| format!("{value:?} is not the value of a header field"))
}

#[cfg(test)]
mod tests;
