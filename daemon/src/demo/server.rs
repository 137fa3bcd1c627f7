//! The daemon inside the demo.
//!
//! Responsible for starting it, for knowing when it is ready, and for its end. Readiness is what it tells any service
//! manager: `READY=1` to `$NOTIFY_SOCKET` (sd_notify(3)).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::signals::{Signals, readable};
use super::{DemoError, Surroundings};
use crate::link::kernel;

/// How long the daemon may take to be ready.
const START: Duration = Duration::from_secs(10);
/// How long it may take to end when it is asked to.
const STOP: Duration = Duration::from_secs(5);
/// How much of its log is shown: octets from the end.
const LOG_SHOWN: u64 = 8 * 1024;

/// A running daemon. It is stopped when the value is dropped, and killed by the kernel when this process is.
pub(super) struct Server {
    child: Child,
    pidfd: OwnedFd,
    notifications: UnixDatagram,
    log: PathBuf,
}

impl Server {
    /// Starts it.
    pub(super) fn start(surroundings: &Surroundings, arguments: &[OsString]) -> Result<Self, DemoError> {
        let socket = surroundings.directory.join("notify");
        let notifications = UnixDatagram::bind(&socket).map_err(DemoError::io("binding the daemon's notify socket"))?;
        notifications.set_nonblocking(true).map_err(DemoError::io("preparing the daemon's notify socket"))?;
        let log = surroundings.directory.join("log");
        let log_file = File::create(&log).map_err(DemoError::io("creating the daemon's log"))?;
        let log_copy = log_file.try_clone().map_err(DemoError::io("opening the daemon's log"))?;
        let mut command = Command::new(&surroundings.executable);
        command
            .arg("run")
            .args(arguments)
            .envs(surroundings.variables())
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(log_copy)
            .stderr(log_file)
            // What is typed at the terminal is for the command, not for the daemon.
            .process_group(0);
        kernel::kill_with_parent(&mut command);
        let mut child = command.spawn().map_err(DemoError::io("starting the daemon"))?;
        let pidfd = pidfd_of(&child).inspect_err(|_| kill(&mut child)).map_err(DemoError::io("watching the daemon"))?;
        Ok(Self { child, pidfd, notifications, log })
    }

    /// Waits until it says that it is ready.
    pub(super) fn wait_until_ready(&mut self, signals: &mut Signals) -> Result<(), DemoError> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            let descriptors = [self.notifications.as_fd(), self.pidfd.as_fd()];
            let (signals, [_, ended]) =
                signals.wait(descriptors, Some(deadline)).map_err(DemoError::io("waiting for the daemon"))?;
            if self.take_notifications() {
                return Ok(());
            }
            if !signals.is_empty() {
                return Err(DemoError::Interrupted);
            }
            if ended {
                let status = self.child.wait().map_err(DemoError::io("waiting for the daemon"))?;
                return Err(DemoError::NotStarted { status: status.to_string(), log: self.log() });
            }
        }
        Err(DemoError::NotReady { seconds: START.as_secs(), log: self.log() })
    }

    /// Takes what it has notified, and tells whether that was that it is ready. What is not taken would fill the socket,
    /// and block the daemon in the end.
    pub(super) fn take_notifications(&self) -> bool {
        let mut message = [0; 4096];
        let mut ready = false;
        while let Ok(length) = self.notifications.recv(&mut message) {
            let mut lines = message.get(..length).unwrap_or_default().split(|octet| *octet == b'\n');
            ready |= lines.any(|line| line == b"READY=1");
        }
        ready
    }

    /// Readable when it notifies something.
    pub(super) fn notifications(&self) -> BorrowedFd<'_> {
        self.notifications.as_fd()
    }

    /// Readable when it has ended.
    pub(super) fn end(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The end of its log.
    pub(super) fn log(&self) -> String {
        let read = || {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_SHOWN)))?;
            let mut octets = Vec::new();
            file.take(LOG_SHOWN).read_to_end(&mut octets)?;
            io::Result::Ok(String::from_utf8_lossy(&octets).trim_end().to_owned())
        };
        read().unwrap_or_else(|error| format!("(its log cannot be read: {error})"))
    }

    /// Asks it to end, and kills it when it does not.
    pub(super) fn stop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let asked = pidfd_send_signal(&self.pidfd, Signal::TERM);
        let ended = asked.is_ok()
            && readable(vec![self.pidfd.as_fd()], Some(Instant::now() + STOP)).is_ok_and(|ready| ready == [true]);
        if !ended {
            eprintln!("tapster demo: the daemon did not end when asked, and was killed");
        }
        kill(&mut self.child);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Kills a child, unless it has ended, and takes its status so that no zombie is left.
fn kill(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        tracing::debug!(%error, "a child that was to be killed");
    }
}

/// A descriptor for a child, readable when it has ended. The child must not have been waited for.
pub(super) fn pidfd_of(child: &Child) -> io::Result<OwnedFd> {
    Ok(pidfd_open(Pid::from_child(child), PidfdFlags::empty())?)
}
