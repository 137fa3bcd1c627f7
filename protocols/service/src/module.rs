//! What a module declares: its name, configuration, ports, metrics, and how it is checked and built.
//!
//! Responsible for the steps from a configuration section to a running [`Service`]: deserialise (the daemon does
//! this), [`Module::prepare`] (check everything and build), listen (the daemon again). `tapster check` does all but
//! the last, so a configuration that checks also runs.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use prometheus::Registry;
use serde::de::DeserializeOwned;

use crate::{DatagramService, StreamService};

/// A plug-in: serves one application protocol. A new configuration is prepared by a worker while the old one serves, so a
/// module can be sent to another thread; what it runs stays in one.
pub trait Module: Send + 'static {
    /// The type of its section `[services.NAME]`. Unknown keys must be errors (`#[serde(deny_unknown_fields)]`), and
    /// every key should have a default.
    type Configuration: DeserializeOwned + 'static;

    /// Its counters, made once and kept over reloads.
    type Metrics: Send + 'static;

    /// Its name: the key of its section, and the word that `ctl` and the metrics use.
    fn name(&self) -> &'static str;

    /// The ports that it serves when its section does not say otherwise.
    fn ports(&self) -> &'static [Port];

    /// Makes its metrics, named `tapster_NAME_…`.
    ///
    /// # Errors
    /// What the registry says, such as that a name is taken.
    fn metrics(&self, registry: &Registry) -> Result<Self::Metrics, prometheus::Error>;

    /// Checks a configuration and builds the service from it. Everything that can be known before running is
    /// found here: files that cannot be read, zones that do not parse, values that clash. All problems are reported
    /// to `preparation`, not only the first; the result is used only if none of them is an error.
    fn prepare(
        &self,
        configuration: Self::Configuration,
        metrics: &Self::Metrics,
        preparation: &mut Preparation<'_>,
    ) -> Option<Service>;
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A default port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The transport.
    pub transport: Transport,
    /// The number.
    pub number: u16,
}

/// Where a service listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// The address; `None` is every address that tapster has, of both families.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

/// What a module built: the listeners, and a few words about each thing that it serves.
#[derive(Default)]
pub struct Service {
    /// What listens for connections.
    pub streams: Vec<StreamBinding>,
    /// What listens for datagrams.
    pub datagrams: Vec<DatagramBinding>,
    /// One line for each thing served ("zone example.test, 12 records"), for `check` and `ctl services`.
    pub summary: Vec<String>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("summary", &self.summary).finish_non_exhaustive()
    }
}

/// A listener of connections.
pub struct StreamBinding {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// How many connections it may have at once; further ones are not accepted.
    pub maximum_connections: usize,
    /// What makes the sessions.
    pub service: Box<dyn StreamService>,
}

/// A listener of datagrams. One service may answer on several ports.
pub struct DatagramBinding {
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// What answers.
    pub service: Box<dyn DatagramService>,
}

/// What [`Module::prepare`] is given.
#[derive(Debug)]
pub struct Preparation<'a> {
    /// The directory that relative paths in the section start from: the configuration file's own.
    pub directory: &'a Path,
    /// Tapster's own addresses.
    pub addresses: &'a [IpAddr],
    /// Tapster's host name.
    pub hostname: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Preparation<'a> {
    /// What a module needs to know of its surroundings.
    #[must_use]
    pub const fn new(directory: &'a Path, addresses: &'a [IpAddr], hostname: &'a str) -> Self {
        Self { directory, addresses, hostname, problems: Vec::new() }
    }

    /// Reports one problem.
    pub fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Whether an error (not only warnings) has been reported.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Everything that was reported, in order.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// A path of the section as a path of the system.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it forbids running.
    pub severity: Severity,
    /// Which key it is about, from the module's section downwards: `["zones", 0, "file"]`. The daemon turns it into
    /// file, line and column of the configuration.
    pub key: Vec<PathElement>,
    /// Where in another file it is, such as a zone file. Shown instead of the key's place.
    pub source: Option<Source>,
    /// What is wrong, as one sentence without a full stop.
    pub message: String,
    /// What to do about it, if that is known: the nearest known value, for instance.
    pub help: Option<String>,
}

impl Problem {
    /// An error at a key.
    pub fn error(key: impl IntoIterator<Item = PathElement>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            key: key.into_iter().collect(),
            source: None,
            message: message.into(),
            help: None,
        }
    }

    /// The same, as a warning: it is told, and tapster runs all the same.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same, at a place in another file.
    #[must_use]
    pub fn at(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// The same, with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Whether a [`Problem`] forbids running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// A place in a file that a configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One step of a key's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathElement {
    /// A key of a table.
    Key(String),
    /// A place in an array, from 0.
    Index(usize),
}

impl From<&str> for PathElement {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for PathElement {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}
