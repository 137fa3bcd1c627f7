//! The daemon: tapster's stack and modules in one process.
//!
//! ```text
//! command_line ─► Daemon ─► settings ─► event_loop ─┬─► link      the TAP device
//!                              │                    ├─► wire      a bad network and captures, when switched on
//!                              │                    ├─► stack     (crate) frames in, frames out
//!                              └─► modules          ├─► services  the seam between stack and modules
//!                                                   └─► control   the socket of `tapster ctl`
//! ```
//!
//! Responsible for everything that touches the system: device, clock, signals, threads, files of its own. The protocols
//! are in other crates and know nothing of it. Other people's programs add modules of their own:
//!
//! ```no_run
//! # fn main() -> std::process::ExitCode {
//! tapster::Daemon::builder()
//!     .module(tapster_dns::Dns)
//!     .module(tapster_http::Http)
//!     // .module(my_crate::MyModule)
//!     .build()
//!     .main()
//! # }
//! ```

mod clock;
mod command_line;
mod control;
mod ctl;
pub mod demo;
mod event_loop;
pub mod link;
mod logging;
mod manual;
mod metrics;
mod modules;
mod news;
mod notify;
mod pool;
mod reload;
mod sandbox;
mod services;
mod settings;
mod start;
mod wire;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tapster_service::Module;

use self::command_line::{Command, CommandLine, exit_code};
use self::modules::Modules;

/// Tapster, with the modules that were added to it.
#[derive(Debug)]
pub struct Daemon {
    modules: Modules,
}

/// Collects the modules of a [`Daemon`].
#[derive(Debug, Default)]
pub struct Builder {
    modules: Modules,
}

impl Builder {
    /// Adds a module. Its service is switched on by a section `[services.NAME]`. A second module of the same name
    /// replaces the first.
    #[must_use]
    pub fn module(mut self, module: impl Module) -> Self {
        self.modules.add(module);
        self
    }

    /// The daemon.
    #[must_use]
    pub fn build(self) -> Daemon {
        Daemon { modules: self.modules }
    }
}

impl Daemon {
    /// A daemon without modules.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Does what the command line says, and returns the exit code of the contract. This is the whole of a program's
    /// `main`.
    #[must_use]
    pub fn main(self) -> ExitCode {
        let done = match CommandLine::parse().command {
            Command::Run(configuration) => start::run(self.modules, configuration),
            Command::Check(configuration) => return start::check(self.modules, configuration),
            Command::Demo { command } => return demo_command(command),
            Command::Ctl(ctl) => return ctl::run(&ctl),
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut CommandLine::command(), "tapster", &mut std::io::stdout());
                return ExitCode::SUCCESS;
            }
            Command::Man { directory } => manual::write(&directory).map_err(start::StartError::Manual),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(start::StartError::Configuration) => ExitCode::from(exit_code::INVALID_CONFIGURATION),
            Err(error) => {
                eprintln!("tapster: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// `tapster demo`.
fn demo_command(command: Vec<std::ffi::OsString>) -> ExitCode {
    match demo::run(&demo::Options::new(command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tapster: {error}");
            error.exit_code()
        }
    }
}
