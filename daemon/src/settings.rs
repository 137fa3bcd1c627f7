//! A configuration, read and checked whole.
//!
//! Responsible for the way from the sources to something that can run: the document, its frame, and a prepared service
//! for each section that is present. `check`, `run` and a reload take the same way, so what checks also runs.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tapster_config::{Diagnostic, Document, Frame, KeyPath, Severity, Sources};

use tapster_service::Transport;

use crate::control::group_number;
use crate::modules::{Modules, Surroundings};
use crate::services::{Clash, NamedService, clashes};
use crate::start::control_socket;

/// What runs, according to a configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// All sections but the services'.
    pub(crate) frame: Frame,
    /// The services, ready to run.
    pub(crate) services: Vec<NamedService>,
    /// What is odd and does not forbid running.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Where a configuration comes from, and where the embedded default's files are put when it is that.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The layers.
    pub(crate) sources: Sources,
    /// The directory for the embedded default's files. `None` is the one `default` beside the control socket.
    pub(crate) embedded_directory: Option<PathBuf>,
}

impl Settings {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// All that is wrong, in the order of the files.
    pub(crate) fn load(origin: &Origin, modules: &mut Modules) -> Result<Self, Vec<Diagnostic>> {
        let document = Document::load(&origin.sources)?;
        let (frame, mut diagnostics) = Frame::read(&document, &modules.names());
        let mut services = Vec::new();
        if let Some(frame) = &frame {
            let directory = match document.directory() {
                Some(directory) => directory.to_owned(),
                None => {
                    let beside = || control_socket(frame.control.socket.as_deref()).with_file_name("default");
                    let directory = origin.embedded_directory.clone().unwrap_or_else(beside);
                    if let Err(error) = write_embedded_files(&directory) {
                        let message = format!("cannot write the default's files to {}: {error}", directory.display());
                        diagnostics.push(document.diagnose(&KeyPath::default(), Severity::Error, message, None));
                    }
                    directory
                }
            };
            if let Some(group) = &frame.control.group
                && let Err(error) = group_number(group)
            {
                let path = KeyPath::dotted("control.group");
                diagnostics.push(document.diagnose(&path, Severity::Error, error.to_string(), None));
            }
            let addresses: Vec<IpAddr> = frame.network.addresses.iter().map(|own| own.address()).collect();
            let surroundings =
                Surroundings { directory: &directory, addresses: &addresses, hostname: &frame.network.hostname };
            services = modules.prepare(&document, &surroundings, &mut diagnostics);
            let clashes = clashes(&services);
            diagnostics.extend(clashes.iter().map(|clash| diagnose_clash(&document, clash, modules)));
        }
        match frame {
            Some(frame) if !diagnostics.iter().any(Diagnostic::is_error) => {
                Ok(Self { frame, services, warnings: diagnostics })
            }
            _ => Err(diagnostics),
        }
    }
}

/// A port that two services want, as a diagnostic at the second one's `listen`.
fn diagnose_clash(document: &Document, clash: &Clash, modules: &Modules) -> Diagnostic {
    let Clash { module, holder, transport, endpoint } = clash;
    let port = format!("{} port {}", transport_name(*transport), endpoint.port);
    let message = if module == holder {
        format!("{module} listens on {port} twice")
    } else {
        format!("{module} cannot have {port}: {holder} listens there")
    };
    let standard = modules.ports(module).iter();
    let standard: Vec<_> = standard.map(|port| format!("{}/{}", port.number, transport_name(port.transport))).collect();
    let help = format!("the standard ports of {module} are {}", standard.join(", "));
    let path = KeyPath::dotted(&format!("services.{module}.listen"));
    document.diagnose(&path, Severity::Error, message, Some(help))
}

const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

/// Puts the embedded default's files (zone, web root, …) where the services read them. Files that are there already are
/// written anew; others are left alone.
fn write_embedded_files(directory: &Path) -> io::Result<()> {
    for (name, content) in tapster_config::embedded_files() {
        let path = directory.join(name);
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        fs::write(path, content)?;
    }
    Ok(())
}
