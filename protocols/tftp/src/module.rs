//! The module: what the daemon sees of this crate.
//!
//! Responsible for checking the configuration and for building the service from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tapster_service::configuration::endpoints;
use tapster_service::{
    DatagramBinding, Endpoint, Module, PathElement, Port, Preparation, Problem, Service, Severity, Transport,
};

use crate::client::{check_path, is_template};
use crate::configuration::{Configuration, Limits};
use crate::fault::FaultRule;
use crate::files::{Root, open_root};
use crate::generated::{Generated, GeneratedFile};
use crate::metrics::Metrics;
use crate::name::Name;
use crate::options::Kind;
use crate::rename::{Rename, RenameRule};
use crate::service::{Server, Settings};

/// The standard port (RFC 1350 §4).
const PORT: u16 = 69;

/// A TFTP server: the section `[services.tftp]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tftp;

impl Module for Tftp {
    type Configuration = Configuration;
    type Metrics = Metrics;

    fn name(&self) -> &'static str {
        "tftp"
    }

    fn ports(&self) -> &'static [Port] {
        &[Port { transport: Transport::Udp, number: PORT }]
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
        let (endpoints, server, summary) = build(configuration, metrics, preparation)?;
        let binding = DatagramBinding { endpoints, service: Box::new(server) };
        Some(Service { streams: Vec::new(), datagrams: vec![binding], summary: vec![summary] })
    }
}

/// Checks a configuration and builds the server from it: where it listens, and what it serves in one line.
pub(crate) fn build(
    configuration: Configuration,
    metrics: &Metrics,
    preparation: &mut Preparation<'_>,
) -> Option<(Vec<Endpoint>, Server, String)> {
    let (top, of_client) = split_root(&configuration.root);
    let path = preparation.resolve(&top);
    check_root(&path, configuration.writable, preparation);
    if let Some(template) = &of_client
        && let Err(message) = check_path(template)
    {
        preparation.report(Problem::error([PathElement::from("root")], message));
    }
    let renames = load_renames(&configuration.rename, preparation);
    let generated = load_generated(&configuration.generated, configuration.backslashes, preparation);
    check_faults(&configuration.faults, preparation);
    check_limits(&configuration.limits, preparation);
    if configuration.overwrite && !configuration.writable {
        let problem = Problem::error([PathElement::from("overwrite")], "overwrite has no effect without writable");
        preparation.report(problem.as_warning().with_help("set writable = true as well"));
    }
    let refused = refused_options(&configuration.refuse_options, preparation);
    if preparation.failed() {
        return None;
    }
    let endpoints = endpoints(&configuration.listen, PORT);
    let access = match (configuration.writable, configuration.overwrite) {
        (false, _) => "read-only",
        (true, false) => "new files may be written",
        (true, true) => "files may be written and replaced",
    };
    let summary = format!("root {}, {access}", path.display());
    let settings = Settings {
        root: Root { path, of_client, case_insensitive: configuration.case_insensitive },
        writable: configuration.writable,
        overwrite: configuration.overwrite,
        backslashes: configuration.backslashes,
        single_port: configuration.single_port,
        refused,
        rollover: configuration.rollover,
        renames,
        generated,
        faults: configuration.faults.into_iter().map(Arc::new).collect(),
        limits: configuration.limits,
        ports: endpoints.iter().map(|endpoint| endpoint.port).collect(),
        addresses: preparation.addresses.to_vec(),
    };
    Some((endpoints, Server::new(settings, metrics.clone()), summary))
}

/// The part of the root that is the same for all clients, and the part that is a client's.
fn split_root(root: &Path) -> (PathBuf, Option<String>) {
    let own = |component: &std::path::Component<'_>| is_template(&component.as_os_str().to_string_lossy());
    let top: PathBuf = root.components().take_while(|component| !own(component)).collect();
    let rest: PathBuf = root.components().skip_while(|component| !own(component)).collect();
    (top, (!rest.as_os_str().is_empty()).then(|| rest.to_string_lossy().into_owned()))
}

fn load_renames(rules: &[RenameRule], preparation: &mut Preparation<'_>) -> Vec<Rename> {
    let mut renames = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        match Rename::new(rule) {
            Ok(rename) => renames.push(rename),
            Err(message) => {
                let key = [PathElement::from("rename"), index.into(), "from".into()];
                preparation.report(Problem::error(key, message));
            }
        }
    }
    renames
}

/// The largest template, in bytes.
const TEMPLATE_SIZE: u64 = 1024 * 1024;

fn load_generated(files: &[GeneratedFile], backslashes: bool, preparation: &mut Preparation<'_>) -> Vec<Generated> {
    let mut generated = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let key = |key: &str| [PathElement::from("generated"), index.into(), key.into()];
        if let Err(message) = check_path(&file.name) {
            preparation.report(Problem::error(key("name"), message));
        }
        let name = Name::parse(file.name.as_bytes(), backslashes);
        let Ok(name) = name.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned()) else {
            let message = format!("{:?} is not a name that a file can have", file.name);
            preparation.report(Problem::error(key("name"), message));
            continue;
        };
        let text = match (&file.text, &file.template) {
            (Some(text), None) => Ok(text.clone()),
            (None, Some(template)) => read_template(&preparation.resolve(template)).map_err(|error| {
                let message = format!("the template {} cannot be read: {error}", template.display());
                Problem::error(key("template"), message)
            }),
            _ => Err(Problem::error(key("name"), "a generated file has either a text or a template")),
        };
        match text {
            Ok(text) => generated.push(Generated { name, text: text.into() }),
            Err(problem) => preparation.report(problem),
        }
    }
    generated
}

fn read_template(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > TEMPLATE_SIZE {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    std::fs::read_to_string(path)
}

fn check_faults(faults: &[FaultRule], preparation: &mut Preparation<'_>) {
    for (index, fault) in faults.iter().enumerate() {
        let mut report = |key: &str, message: &str| {
            let key = [PathElement::from("faults"), index.into(), key.into()];
            preparation.report(Problem::error(key, message));
        };
        if !(0.0..=100.0).contains(&fault.probability) {
            report("probability", "probability must be from 0 to 100");
        }
        if fault.code > 8 {
            report("code", "code must be from 0 to 8");
        }
    }
}

/// The root must be there and can be read, and written where clients may.
fn check_root(path: &Path, writable: bool, preparation: &mut Preparation<'_>) {
    let key = || [PathElement::from("root")];
    if let Err(error) = open_root(path) {
        let message = format!("the directory {} cannot be served: {}", path.display(), std::io::Error::from(error));
        preparation.report(Problem::error(key(), message));
        return;
    }
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    if writable && let Err(error) = rustix::fs::access(path, access) {
        let message = format!("{} cannot be written to: {}", path.display(), std::io::Error::from(error));
        // A warning: the daemon may run as another user than the one who checks.
        preparation.report(Problem { severity: Severity::Warning, ..Problem::error(key(), message) });
    }
}

fn refused_options(names: &[String], preparation: &mut Preparation<'_>) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match Kind::of(name.as_bytes()) {
            Some(kind) => kinds.push(kind),
            None => {
                let key = [PathElement::from("refuse_options"), index.into()];
                let known = Kind::names().collect::<Vec<_>>().join(", ");
                let problem = Problem::error(key, format!("{name:?} is not an option that this server knows"));
                preparation.report(problem.with_help(format!("known options: {known}")));
            }
        }
    }
    kinds
}

fn check_limits(limits: &Limits, preparation: &mut Preparation<'_>) {
    let mut report = |key: &str, right: bool, allowed: &str| {
        if !right {
            let message = format!("{key} must be {allowed}");
            preparation.report(Problem::error([PathElement::from("limits"), key.into()], message));
        }
    };
    report("transfers", limits.transfers > 0, "at least 1");
    report("transfers_per_client", limits.transfers_per_client > 0, "at least 1");
    report("request_size", (64..=65_507).contains(&limits.request_size), "from 64 to 65507 bytes");
    report("options", (1..=64).contains(&limits.options), "from 1 to 64");
    let block_sizes = limits.block_size.is_none_or(|size| (512..=65_464).contains(&size));
    report("block_size", block_sizes, "from 512 to 65464 bytes");
    report("window_size", (1..=32_768).contains(&limits.window_size), "from 1 to 32768 blocks");
    report("retransmissions", (1..=100).contains(&limits.retransmissions), "from 1 to 100");
    let allowed = Duration::from_millis(10)..=Duration::from_secs(3600);
    for (key, timeout) in [
        ("initial_timeout", limits.initial_timeout),
        ("minimum_timeout", limits.minimum_timeout),
        ("maximum_timeout", limits.maximum_timeout),
        ("idle_timeout", limits.idle_timeout),
    ] {
        report(key, allowed.contains(&timeout), "from 10ms to 1h");
    }
    report("minimum_timeout", limits.minimum_timeout <= limits.maximum_timeout, "no more than maximum_timeout");
    report("initial_timeout", limits.initial_timeout <= limits.maximum_timeout, "no more than maximum_timeout");
}

#[cfg(test)]
mod tests;
