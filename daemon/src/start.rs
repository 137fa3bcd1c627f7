//! From the command line to a running loop.
//!
//! Responsible for the order of the start: read and check the configuration, open the device, set up the host's end, make
//! the host, run the loop. Each failure is one sentence that says what to do.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};
use tapster_config::{CongestionControl, Diagnostic, Frame, Sources};
use tapster_service::Endpoint;
use tapster_stack::{HardwareAddress, Host, net, tcp};

use crate::clock::Clock;
use crate::command_line::{Configuration, exit_code};
use crate::control::rows;
use crate::event_loop::{EventLoop, LoopError, Parts};
use crate::link::{self, Tap};
use crate::logging;
use crate::metrics::Metrics;
use crate::modules::Modules;
use crate::reload::Reloader;
use crate::settings::{Origin, Settings};
use crate::wire;

/// Why `run` ended otherwise than by being told to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The problems were printed.
    #[error("the configuration is invalid")]
    Configuration,
    #[error(transparent)]
    Device(#[from] link::OpenError),
    #[error(transparent)]
    HostEnd(#[from] link::HostError),
    #[error("the system gives no random numbers: {0}")]
    Randomness(#[source] rand::rngs::SysError),
    #[error("the metrics cannot be made: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the manual pages cannot be written: {0}")]
    Manual(#[source] std::io::Error),
    #[error(transparent)]
    Loop(#[from] LoopError),
}

/// `tapster run`.
///
/// # Errors
/// See [`StartError`].
pub(crate) fn run(mut modules: Modules, configuration: Configuration) -> Result<(), StartError> {
    let origin = origin(configuration);
    let settings = Settings::load(&origin, &mut modules).map_err(|diagnostics| {
        print(&diagnostics);
        StartError::Configuration
    })?;
    print(&settings.warnings);
    let frame = settings.frame.clone();
    let log_level = logging::set_up(frame.log);
    let device =
        Tap::open(&link::Settings { name: frame.link.name.clone(), mtu: frame.link.mtu, offload: frame.link.offload })?;
    set_up_host_end(&frame, &device)?;
    let clock = Clock::start();
    let mut random = StdRng::try_from_rng(&mut SysRng).map_err(StartError::Randomness)?;
    let mut seed = [0; 32];
    random.fill_bytes(&mut seed);
    let host_configuration = host_configuration(&frame, device.features());
    let host = Host::new(host_configuration.clone(), seed, clock.now());
    let metrics = Metrics::new(modules.registry())?;
    let services: Vec<_> = settings.services.iter().map(|service| service.module).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        link = frame.link.name,
        addresses = ?host.addresses().iter().map(|(address, _)| address).collect::<Vec<_>>(),
        ?services,
        "tapster runs"
    );
    let control_socket = control_socket(frame.control.socket.as_deref());
    let event_loop = EventLoop::new(Parts {
        device,
        host,
        clock,
        control_random: StdRng::from_rng(&mut random),
        random,
        settings,
        control_socket,
        reloader: Reloader::new(origin, modules, frame),
        metrics,
        log_level,
        host_configuration,
    })?;
    Ok(event_loop.run()?)
}

/// `tapster check`: prints what is wrong, or what would run.
pub(crate) fn check(mut modules: Modules, configuration: Configuration) -> ExitCode {
    let mut origin = origin(configuration);
    // Nothing is left behind, and no right to write beside the control socket is needed.
    let scratch = tempfile::tempdir();
    origin.embedded_directory = scratch.as_ref().ok().map(|scratch| scratch.path().to_owned());
    let settings = match Settings::load(&origin, &mut modules) {
        Ok(settings) => settings,
        Err(diagnostics) => {
            print(&diagnostics);
            let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
            eprintln!("{errors} {}", if errors == 1 { "error" } else { "errors" });
            return ExitCode::from(exit_code::INVALID_CONFIGURATION);
        }
    };
    print(&settings.warnings);
    let Frame { link, network, control, .. } = &settings.frame;
    let addresses: Vec<_> = network.addresses.iter().map(ToString::to_string).collect();
    println!("link      {}, {}, MTU {}, offload {}", link.name, link.mac, link.mtu, on_or_off(link.offload));
    println!("network   {} at {}", network.hostname, addresses.join(", "));
    println!("control   {}", control_socket(control.socket.as_deref()).display());
    for service in &settings.services {
        let streams = service.service.streams.iter().map(|binding| (binding.endpoint, "tcp"));
        let datagrams = service.service.datagrams.iter().flat_map(|binding| &binding.endpoints);
        let listens: Vec<_> = streams.chain(datagrams.map(|endpoint| (*endpoint, "udp"))).map(listening).collect();
        println!("{:<9} {}", service.module, listens.join(", "));
        for line in &service.service.summary {
            println!("          {line}");
        }
    }
    ExitCode::SUCCESS
}

fn listening((Endpoint { address, port }, protocol): (Endpoint, &str)) -> String {
    format!("{}/{protocol}", rows::endpoint(address, port))
}

const fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn print(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        eprintln!("{diagnostic}");
    }
}

/// Where the configuration comes from, according to the command line and the environment.
fn origin(configuration: Configuration) -> Origin {
    Origin { sources: Sources::of_process(configuration.config, configuration.assignments), embedded_directory: None }
}

/// The control socket that is configured, or the default.
pub(crate) fn control_socket(configured: Option<&Path>) -> PathBuf {
    configured.map_or_else(default_control_socket, Path::to_owned)
}

fn default_control_socket() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    tapster_config::default_control_socket(user, env::var_os("XDG_RUNTIME_DIR").as_deref())
}

/// Sets up the host's end of the link, when the configuration wants that.
fn set_up_host_end(frame: &Frame, device: &Tap) -> Result<(), link::HostError> {
    let Some(host_end) = &frame.link.host else { return Ok(()) };
    if !host_end.up {
        return Ok(());
    }
    let own = |a: &tapster_config::InterfaceAddress| link::InterfaceAddress {
        address: a.address(),
        prefix_length: a.prefix_length(),
    };
    let addresses: Vec<_> = host_end.addresses.iter().map(own).collect();
    link::host::configure(&link::HostEnd {
        name: device.name(),
        mtu: frame.link.mtu,
        addresses: &addresses,
        bridge: host_end.bridge.as_deref(),
    })
}

/// The stack's configuration, from the document's frame and what the device offers.
fn host_configuration(frame: &Frame, features: link::Features) -> tapster_stack::Configuration {
    let Frame { link, network, tcp: transport, arp, .. } = frame;
    let routes = network.routes.iter().map(|route| net::Route {
        destination: route.destination.address(),
        prefix: route.destination.prefix_length(),
        gateway: Some(route.gateway),
        metric: route.metric,
    });
    tapster_stack::Configuration {
        network: net::Configuration {
            hardware_address: HardwareAddress(link.mac.0),
            mtu: link.mtu.into(),
            addresses: network.addresses.iter().map(|own| (own.address(), own.prefix_length())).collect(),
            gateways: network.gateways.clone(),
            routes: routes.collect(),
            offload: wire::capabilities(features),
            neighbors: net::NeighborLimits {
                capacity: arp.cache_size as usize,
                waiting_packets: arp.queue_length as usize,
                reachable_time: arp.reachable_time,
                ..net::NeighborLimits::default()
            },
            ..net::Configuration::default()
        },
        tcp: tcp::Configuration {
            receive_buffer: size(transport.receive_buffer),
            send_buffer: size(transport.send_buffer),
            syn_backlog: transport.syn_backlog as usize,
            maximum_connections: transport.maximum_connections as usize,
            time_wait: transport.time_wait,
            user_timeout: transport.user_timeout,
            keep_alive: transport.keep_alive.map(|idle| tcp::KeepAlive { idle, ..tcp::KeepAlive::default() }),
            congestion_control: match transport.congestion_control {
                CongestionControl::NewReno => tcp::CongestionControl::NewReno,
                CongestionControl::Cubic => tcp::CongestionControl::Cubic,
            },
            ..tcp::Configuration::default()
        },
    }
}

fn size(size: bytesize::ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
