//! The running daemon: started, waited for, signalled, ended.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use super::Signal;
use super::namespace::Namespace;
use super::program;

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How long it pauses between two looks at a socket that is not there yet.
const PAUSE: Duration = Duration::from_millis(10);

/// A `tapster run` process, whose output goes to a log file.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it and waits until its control socket answers.
    ///
    /// # Panics
    /// When it ends or does not answer within 10 s; the message holds its log.
    #[must_use]
    #[track_caller]
    pub fn start(namespace: &Namespace, configuration: &Path, socket: &Path, log: &Path) -> Self {
        let binary = super::tapster_binary();
        let program = namespace.program(&binary.to_string_lossy()).arg("run").arg("--config").arg(configuration);
        let file = File::create(log).unwrap_or_else(|error| panic!("cannot create {}: {error}", log.display()));
        let errors = file.try_clone().unwrap_or_else(|error| panic!("cannot share {}: {error}", log.display()));
        let mut command = program.into_command();
        let child = command
            .stdout(file)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", program::describe(&command)));
        let daemon = Self { child, log: log.to_owned() };
        let deadline = Instant::now() + START_LIMIT;
        while !answers(socket) {
            if program::exits_within(&daemon.child, PAUSE) {
                panic!("the daemon ended while it started\n{}", daemon.end());
            }
            if Instant::now() >= deadline {
                panic!("the daemon does not answer on {}\n{}", socket.display(), daemon.end());
            }
        }
        daemon
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        program::signal(&self.child, signal);
    }

    /// Waits for its end and returns its exit code, `None` when a signal ended it.
    ///
    /// # Panics
    /// When it does not end within `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> Option<i32> {
        assert!(program::exits_within(&self.child, limit), "the daemon did not end within {limit:?}");
        self.child.wait().unwrap_or_else(|error| panic!("cannot wait for the daemon: {error}")).code()
    }

    /// The memory that it holds now, in bytes (`VmRSS`, see proc(5)).
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        1024 * kibibytes.unwrap_or_else(|| panic!("no VmRSS in {path}: the daemon has ended"))
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once and returns its log.
    pub fn end(mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.log()
    }
}

/// Whether `GET /v1/status` on the control socket is answered by 200.
fn answers(socket: &Path) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: tapster\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}
