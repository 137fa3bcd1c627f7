//! The command line.
//!
//! Responsible for the commands, options and exit codes of the contract; the help texts, and later the man pages, come
//! from here. Not for carrying anything out.

use std::net::IpAddr;
use std::path::PathBuf;

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

/// The exit codes of the contract.
pub(crate) mod exit_code {
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
