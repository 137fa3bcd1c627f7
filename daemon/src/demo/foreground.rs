//! The shell or command inside the demo, which has the terminal.
//!
//! Responsible for its surroundings (`PATH`, prompt, where the control socket is), and for waiting until it ends. A
//! signal from the terminal reaches it directly, as it shares the demo's process group: the demo only stays out of the
//! way. A signal to the demo alone is passed on.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Signal, pidfd_send_signal};

use super::server::{Server, pidfd_of};
use super::signals::Signals;
use super::{DemoError, Surroundings};

/// Read by bash in place of the user's own file, which may set a prompt that hides where one is, and put other
/// directories before ours.
const BASHRC: &str = "\
tapster_directory=${PATH%%:*}
[ -f /etc/bash.bashrc ] && . /etc/bash.bashrc
[ -f ~/.bashrc ] && . ~/.bashrc
PATH=\"$tapster_directory:$PATH\"
PS1=\"(tapster) $PS1\"
unset tapster_directory
";

/// A running shell or command.
pub(super) struct Foreground {
    child: Child,
    pidfd: OwnedFd,
    is_shell: bool,
}

impl Foreground {
    /// Starts the command, or a shell when it is empty.
    pub(super) fn start(surroundings: &Surroundings, command: &[OsString]) -> Result<Self, DemoError> {
        let (program, arguments) = match command {
            [] => shell(&surroundings.directory).map_err(DemoError::io("preparing the shell"))?,
            [program, arguments @ ..] => (PathBuf::from(program), arguments.to_vec()),
        };
        let mut command_line = Command::new(&program);
        command_line.args(arguments).envs(surroundings.variables()).env("PATH", path(&surroundings.executable));
        if command.is_empty() {
            command_line.env("PS1", "(tapster) $ ");
        }
        let child = command_line.spawn().map_err(|source| DemoError::Command { command: program, source })?;
        let pidfd = pidfd_of(&child).map_err(DemoError::io("watching the command"))?;
        Ok(Self { child, pidfd, is_shell: command.is_empty() })
    }

    /// Waits for its end and returns its exit code. If the daemon ends before, that is told on standard error.
    pub(super) fn wait(mut self, signals: &mut Signals, server: &mut Server) -> io::Result<u8> {
        let mut daemon_runs = true;
        loop {
            let daemon = if daemon_runs { server.end() } else { self.pidfd.as_fd() };
            let descriptors = [self.pidfd.as_fd(), daemon, server.notifications()];
            let (signals, [ended, daemon_ended, _]) = signals.wait(descriptors, None)?;
            for signal in signals {
                self.pass_on(signal);
            }
            server.take_notifications();
            if ended {
                let status = self.child.wait()?;
                let killed = status.signal().map(|signal| 128 + signal);
                return Ok(status.code().or(killed).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX));
            }
            if daemon_ended {
                daemon_runs = false;
                eprintln!("tapster demo: the daemon has ended; it said:\n{}", server.log());
            }
        }
    }

    /// Passes on a signal that the terminal has not sent it already.
    fn pass_on(&self, signal: Signal) {
        let signal = match signal {
            // An interactive shell ignores the request to end, but not that its terminal is gone.
            Signal::TERM if self.is_shell => Signal::HUP,
            Signal::TERM | Signal::HUP => signal,
            _ => return,
        };
        if let Err(error) = pidfd_send_signal(&self.pidfd, signal) {
            tracing::debug!(%error, "a signal that was to be passed on");
        }
    }
}

/// The user's shell, and its arguments.
fn shell(directory: &Path) -> io::Result<(PathBuf, Vec<OsString>)> {
    let shell = env::var_os("SHELL").filter(|shell| !shell.is_empty()).map_or_else(|| "sh".into(), PathBuf::from);
    if shell.file_name() != Some(OsStr::new("bash")) {
        return Ok((shell, Vec::new()));
    }
    let file = directory.join("bashrc");
    fs::write(&file, BASHRC)?;
    Ok((shell, vec!["--rcfile".into(), file.into()]))
}

/// `PATH` with this program's own directory first, so that `tapster ctl` is the same program.
fn path(executable: &Path) -> OsString {
    let mut path = executable.parent().unwrap_or(Path::new("/")).as_os_str().to_owned();
    if let Some(inherited) = env::var_os("PATH") {
        path.push(":");
        path.push(inherited);
    }
    path
}
