//! The playground: `tapster demo [-- COMMAND...]`, without root and without a trace.
//!
//! Responsible for a network namespace of its own, a daemon in it with a private directory, and a shell or a command
//! beside it; and for leaving nothing behind when that ends. Not for what the daemon does: it is the same program, run
//! as `tapster run`, and the demo learns only whether it is ready.
//!
//! ```text
//! tapster demo ──► new user + network namespace, lo up, private directory
//!      ├── tapster run      its own process group; READY=1 to $NOTIFY_SOCKET; killed when the demo is
//!      └── shell, COMMAND   has the terminal, and its signals
//! ```

mod foreground;
mod namespace;
mod server;
mod signals;

use std::ffi::OsString;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::link::{HostError, host};
use foreground::Foreground;
use server::Server;
use signals::Signals;

pub use namespace::Obstacle;

/// Set to `1` in the environment of everything that runs inside.
pub const MARK: &str = "TAPSTER_DEMO";

/// What the embedded default runs, and what to try with it.
const INTRODUCTION: &str = "\
tapster is 192.0.2.2 and 2001:db8:77::2 on this namespace's tapster0: DNS, HTTP, TFTP and SMTP. Try:

  curl http://192.0.2.2/
  dig @192.0.2.2 www.example.test
  curl smtp://192.0.2.2 --mail-from me@example.test --mail-rcpt you@example.test --crlf -T /etc/hostname
  tapster ctl connections

`exit` ends it, and nothing is left behind.
";

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The command and its arguments. Without one: `$SHELL`, or `sh`.
    pub command: Vec<OsString>,
    /// Further arguments for `tapster run`, such as `--config` and `--set`.
    pub run_arguments: Vec<OsString>,
    /// Printed before a shell starts. Nothing is printed for a command, whose output is its own.
    pub introduction: String,
}

impl Options {
    /// The embedded default, with `command` beside it.
    #[must_use]
    pub fn new(command: Vec<OsString>) -> Self {
        Self { command, run_arguments: Vec::new(), introduction: INTRODUCTION.to_owned() }
    }
}

/// The demo could not do its work. Its exit code is [`DemoError::exit_code`].
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The namespace cannot be had.
    #[error("the demo needs a user and a network namespace of its own, and {obstacle} ({source})")]
    Namespace {
        /// What stands in the way, and what to do about it.
        obstacle: Obstacle,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The namespace's loopback interface cannot be brought up.
    #[error("the namespace's loopback interface: {0}")]
    Loopback(#[from] HostError),
    /// The machine refused something ordinary.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The machine's answer.
        source: io::Error,
    },
    /// The daemon ended before it was ready.
    #[error("the daemon did not start ({status}); it said:\n{log}")]
    NotStarted {
        /// How it ended.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// The daemon was not ready in time.
    #[error("the daemon was not ready after {seconds} seconds; it said:\n{log}")]
    NotReady {
        /// How long it had.
        seconds: u64,
        /// The end of its log.
        log: String,
    },
    /// A signal came while the daemon was starting.
    #[error("interrupted")]
    Interrupted,
    /// The command cannot be run.
    #[error("cannot run {}: {source}", command.display())]
    Command {
        /// The command.
        command: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl DemoError {
    /// The exit code, as `env` and `timeout` have it: 127 when the command is not found, 126 when it cannot be run, 125
    /// when the demo itself failed. A command that runs has its own.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Command { source, .. } if source.kind() == io::ErrorKind::NotFound => ExitCode::from(127),
            Self::Command { .. } => ExitCode::from(126),
            _ => ExitCode::from(125),
        }
    }

    fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// Runs the demo to its end, in the calling process, which must have a single thread and is inside afterwards. Returns
/// the command's own exit code, or 128 and the number of the signal that killed it.
///
/// # Errors
/// [`DemoError`]. Nothing is left running or lying about then either.
pub fn run(options: &Options) -> Result<ExitCode, DemoError> {
    let executable = std::env::current_exe().map_err(DemoError::io("finding this program's own file"))?;
    namespace::enter()?;
    host::bring_up_loopback()?;
    let mut signals = Signals::catch().map_err(DemoError::io("catching signals"))?;
    // The order matters: the server is stopped before its directory goes.
    let directory = private_directory().map_err(DemoError::io("making a private directory"))?;
    let surroundings = Surroundings::new(directory.path(), executable);
    let mut server = Server::start(&surroundings, &options.run_arguments)?;
    server.wait_until_ready(&mut signals)?;
    if options.command.is_empty() {
        println!("{}", options.introduction);
    }
    let foreground = Foreground::start(&surroundings, &options.command)?;
    let code = foreground.wait(&mut signals, &mut server).map_err(DemoError::io("waiting for the command"))?;
    server.stop();
    Ok(ExitCode::from(code))
}

/// What everything inside has in common.
struct Surroundings {
    directory: PathBuf,
    executable: PathBuf,
    control_socket: PathBuf,
}

impl Surroundings {
    fn new(directory: &Path, executable: PathBuf) -> Self {
        // The same place that follows from XDG_RUNTIME_DIR, so that both ways lead to it.
        let control_socket = directory.join("tapster/control.sock");
        Self { directory: directory.to_owned(), executable, control_socket }
    }

    /// The variables that lead the daemon, and `tapster ctl` inside, to the control socket.
    fn variables(&self) -> [(&'static str, OsString); 3] {
        [
            (MARK, "1".into()),
            ("XDG_RUNTIME_DIR", self.directory.clone().into()),
            ("TAPSTER__CONTROL__SOCKET", self.control_socket.clone().into()),
        ]
    }
}

/// A directory for this user alone, which goes when the value is dropped.
fn private_directory() -> io::Result<tempfile::TempDir> {
    // A Unix socket's path has 107 octets at most, so a very long TMPDIR will not do.
    let parent = Some(std::env::temp_dir()).filter(|path| path.as_os_str().len() < 60).unwrap_or("/tmp".into());
    let directory = tempfile::Builder::new()
        .prefix("tapster-demo-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)?;
    DirBuilder::new().mode(0o700).create(directory.path().join("tapster"))?;
    Ok(directory)
}
