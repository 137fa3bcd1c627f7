//! The command line.
//!
//! Responsible for the commands, options and exit codes of the contract; the help texts, and later the man pages, come
//! from here. Not for carrying anything out.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// A network host in one process: its own TCP/IP stack on a TAP device, with DNS, HTTP, TFTP and SMTP.
#[derive(Clone, Debug, Parser)]
#[command(name = "tapster", version, about, max_term_width = 100)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Run in the foreground, until SIGTERM or SIGINT
    ///
    /// Without a file: /etc/tapster/tapster.toml, else the embedded default. SIGHUP reloads.
    Run(Configuration),
    /// Validate the configuration and print what would run
    Check(Configuration),
    /// A playground without root: an own network with the embedded default, and a shell inside it
    Demo {
        /// Run this instead of a shell, and exit with its status
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<std::ffi::OsString>,
    },
    /// Talk to the running daemon
    Ctl(Ctl),
    /// Print a shell's completions
    #[command(hide = true)]
    Completions {
        /// Which shell's
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory
    #[command(hide = true)]
    Man {
        /// Where to
        directory: PathBuf,
    },
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Configuration {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set one key, as in --set link.mtu=9000; wins over the files and the environment
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) assignments: Vec<String>,
}

/// The `ctl` command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Ctl {
    /// The control socket [default: $TAPSTER__CONTROL__SOCKET, else the one that `run` uses by default]
    #[arg(long, value_name = "PATH", global = true)]
    pub(crate) socket: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Ask again and again, every second or so many seconds: for verbs that show something
    #[arg(long, global = true, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1",
        value_parser = watch_interval)]
    pub(crate) watch: Option<Duration>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// A verb of `ctl`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Verb {
    /// What runs, since when, and how it is
    Status,
    /// The services and what they serve
    Services,
    /// The open ports
    Listeners,
    /// The TCP connections, or all that is known of one
    Connections {
        /// Only this one, with its whole control block
        id: Option<u64>,
        /// Only those in this state, as in ESTABLISHED
        #[arg(long)]
        state: Option<String>,
        /// Only those of this service
        #[arg(long)]
        service: Option<String>,
        /// Only those with this peer
        #[arg(long, value_name = "ADDRESS")]
        peer: Option<IpAddr>,
    },
    /// The neighbour cache
    Neighbors,
    /// The routing table
    Routes,
    /// The multicast groups
    Groups,
    /// The protocols' counters
    Statistics,
    /// All metrics, in Prometheus' text form
    Metrics,
    /// A live view of the link and the connections; q quits, h shows the keys
    Top,
    /// What happens from now on, a line each: connections, conflicts of addresses, reloads
    Events,
    /// Write the frames on the link into a pcapng file, until interrupted
    ///
    /// `tapster ctl capture - | wireshark -k -i -` shows them live. Only root and the daemon's own user may capture.
    Capture {
        /// The file; - is the standard output
        file: PathBuf,
        /// Only frames from or to this TCP or UDP port
        #[arg(long)]
        port: Option<u16>,
        /// Only frames from or to this address
        #[arg(long, value_name = "ADDRESS")]
        host: Option<IpAddr>,
        /// Only frames of this connection, as `connections` shows its number
        #[arg(long, value_name = "ID")]
        connection: Option<u64>,
        /// End after so many frames
        #[arg(long)]
        count: Option<u64>,
        /// End after so many seconds
        #[arg(long)]
        seconds: Option<f64>,
    },
    /// Show or set what happens to frames: a bad network, on purpose
    ///
    /// `impair loss=5% delay=100ms` sets both directions, `impair loss=5% direction=in` one, `impair off` ends it; without
    /// arguments, it shows what is in force. What is not named has its default. The keys are loss, burst_begin, burst_end,
    /// delay, jitter, reorder, reorder_by, duplicate, corrupt, rate, queue, in_flight, direction (in, out, both) and seed.
    Impair {
        /// What is to happen, or `off`
        #[arg(value_name = "KEY=VALUE", value_parser = impair_setting)]
        settings: Vec<ImpairSetting>,
    },
    /// Reset a connection
    Kill {
        /// Its number, as `connections` shows it
        id: u64,
    },
    /// Show or set how much is logged
    Log {
        /// The least important messages that are logged, until tapster is restarted or the configuration changes it
        #[arg(value_parser = tapster_config::LogLevel::ALL.map(|(name, _)| name))]
        level: Option<String>,
    },
    /// Put the stack back to its initial state: connections, caches, counters; the configuration is kept
    Reset,
    /// Read the configuration again and put it in force, all of it or nothing
    Reload,
    /// Stop the daemon, letting connections finish
    Stop,
}

fn watch_interval(argument: &str) -> Result<Duration, String> {
    let seconds = argument.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|pause| *pause >= Duration::from_millis(100))
        .ok_or_else(|| "expected 0.1 seconds or more".to_owned())
}

/// An argument of `impair`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImpairSetting {
    Off,
    Set(String, String),
}

fn impair_setting(argument: &str) -> Result<ImpairSetting, String> {
    match argument.split_once('=') {
        Some((key, value)) => Ok(ImpairSetting::Set(key.to_owned(), value.to_owned())),
        None if argument == "off" => Ok(ImpairSetting::Off),
        None => Err("expected KEY=VALUE, as in loss=5%, or off".to_owned()),
    }
}

/// The exit codes of the contract.
pub(crate) mod exit_code {
    /// The command line is wrong.
    pub(crate) const USAGE: u8 = 2;
    /// The daemon refused.
    pub(crate) const REFUSED: u8 = 1;
    /// The daemon cannot be reached.
    pub(crate) const UNREACHABLE: u8 = 3;
    /// There is no such thing.
    pub(crate) const NOT_FOUND: u8 = 4;
    /// Not permitted.
    pub(crate) const NOT_PERMITTED: u8 = 5;
    /// The configuration is invalid.
    pub(crate) const INVALID_CONFIGURATION: u8 = 6;
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_demo_command_keeps_its_own_options() {
        let line = CommandLine::parse_from(["tapster", "demo", "--", "sh", "-c", "true"]);
        assert!(matches!(line.command, Command::Demo { command } if command == ["sh", "-c", "true"]));
    }

    #[test]
    fn ctl_takes_its_options_on_either_side_of_the_verb() {
        for arguments in [["tapster", "ctl", "--json", "status"], ["tapster", "ctl", "status", "--json"]] {
            let line = CommandLine::parse_from(arguments);
            assert!(matches!(line.command, Command::Ctl(Ctl { json: true, verb: Verb::Status, .. })));
        }
    }
}
