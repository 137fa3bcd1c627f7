//! Programs with a bound: on how long they run, and on what a test must know to find them.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

/// How long a program may run unless a test says otherwise.
const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

/// How long the output may stay open after the program's end (something it started may still hold it).
const OUTPUT_LIMIT: Duration = Duration::from_secs(5);

/// Where each program that the tests use comes from, on Debian and Ubuntu.
const PACKAGES: &[(&str, &str)] = &[
    ("arping", "iputils-arping"),
    ("atftp", "atftp"),
    ("atftpd", "atftpd"),
    ("cmp", "diffutils"),
    ("curl", "curl"),
    ("dig", "bind9-dnsutils"),
    ("dnsperf", "dnsperf"),
    ("hping3", "hping3"),
    ("ip", "iproute2"),
    ("kdig", "knot-dnsutils"),
    ("nginx", "nginx-light"),
    ("nmap", "nmap"),
    ("nsd", "nsd"),
    ("nsenter", "util-linux"),
    ("openssl", "openssl"),
    ("ping", "iputils-ping"),
    ("setpriv", "util-linux"),
    ("ss", "iproute2"),
    ("swaks", "swaks"),
    ("taskset", "util-linux"),
    ("tftp", "tftp-hpa"),
    ("traceroute", "traceroute"),
    ("unshare", "util-linux"),
    ("wrk", "wrk"),
];

/// A program that is about to run.
#[derive(Debug)]
pub struct Program {
    name: String,
    command: Command,
    limit: Duration,
}

impl Program {
    pub(super) fn new(name: &str, mut command: Command) -> Self {
        command.env("PATH", search_path()).env("LC_ALL", "C").env("NO_COLOR", "1").stdin(Stdio::null());
        Self { name: name.to_owned(), command, limit: DEFAULT_LIMIT }
    }

    /// A program in the namespaces of the test itself.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn outside(name: &str) -> Self {
        let mut command = Command::new(find("setpriv"));
        command.args(["--pdeathsig", "KILL", "--"]).arg(find(name));
        Self::new(name, command)
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the directory to run in.
    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Sets how long it may run. It is killed afterwards, and the test fails.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not start, or runs into its limit.
    #[must_use]
    #[track_caller]
    pub fn output(self) -> Finished {
        self.start().wait()
    }

    /// Starts it, keeping what it prints.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(mut self) -> Running {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("cannot run {}: {error}", describe(&self.command));
        });
        Running {
            name: self.name,
            limit: self.limit,
            started: Instant::now(),
            stdout: collect(child.stdout.take()),
            stderr: collect(child.stderr.take()),
            child,
        }
    }

    /// Gives up the bound: the bare command, for a process whose owner ends it.
    #[must_use]
    pub(super) fn into_command(self) -> Command {
        self.command
    }
}

/// A program that runs. It is killed when this value goes.
#[derive(Debug)]
pub struct Running {
    name: String,
    limit: Duration,
    started: Instant,
    child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
}

impl Running {
    /// Waits for its end, until its limit.
    ///
    /// # Panics
    /// When it runs into its limit. It is killed then.
    #[must_use]
    #[track_caller]
    pub fn wait(mut self) -> Finished {
        let left = self.limit.saturating_sub(self.started.elapsed());
        let ended = exits_within(&self.child, left);
        if !ended {
            let _ = self.child.kill();
        }
        let status = self.child.wait().unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.name));
        let finished = Finished {
            name: std::mem::take(&mut self.name),
            status,
            output: self.stdout.recv_timeout(OUTPUT_LIMIT).unwrap_or_default(),
            errors: self.stderr.recv_timeout(OUTPUT_LIMIT).unwrap_or_default(),
            duration: self.started.elapsed(),
        };
        assert!(ended, "{} did not end within {:?}\n{}", finished.name, self.limit, finished.transcript());
        finished
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end by a signal, and kills it when it does not within 5 s.
    pub fn end(self, request: Signal) {
        signal(&self.child, request);
        exits_within(&self.child, OUTPUT_LIMIT);
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn runs(&self) -> bool {
        !exits_within(&self.child, Duration::ZERO)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that has ended, and what it printed.
#[derive(Debug)]
pub struct Finished {
    name: String,
    status: ExitStatus,
    output: Vec<u8>,
    errors: Vec<u8>,
    /// How long it ran.
    pub duration: Duration,
}

impl Finished {
    /// Requires that it succeeded.
    ///
    /// # Panics
    /// When it did not; the message holds all that it printed.
    #[track_caller]
    pub fn success(self) -> Self {
        self.code(0)
    }

    /// Requires an exit code.
    ///
    /// # Panics
    /// When it was another one; the message holds all that it printed.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert!(
            self.status.code() == Some(code),
            "{} ended with {} instead of code {code}\n{}",
            self.name,
            self.status,
            self.transcript()
        );
        self
    }

    /// Whether it succeeded.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Whether it ended with this exit code.
    #[must_use]
    pub fn has_code(&self, code: i32) -> bool {
        self.status.code() == Some(code)
    }

    /// What it printed.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// What it printed, as bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.output
    }

    /// What it printed on its error output.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.errors).into_owned()
    }

    /// What it printed, which must be one JSON document.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.output)
            .unwrap_or_else(|error| panic!("{} printed no JSON: {error}\n{}", self.name, self.transcript()))
    }

    /// Everything that it printed, for a failure's message.
    #[must_use]
    pub fn transcript(&self) -> String {
        format!("--- its output\n{}\n--- its errors\n{}", self.stdout(), self.stderr())
    }
}

/// Waits for the end of a process without reaping it. Says whether it came in time.
pub(super) fn exits_within(child: &Child, limit: Duration) -> bool {
    let descriptor = rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty())
        .unwrap_or_else(|error| panic!("cannot watch process {}: {error}", child.id()));
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() };
        match rustix::event::poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&timeout)) {
            Ok(count) => return count > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("cannot watch process {}: {error}", child.id()),
        }
    }
}

/// Sends a signal to a child that has not been reaped.
pub(super) fn signal(child: &Child, signal: Signal) {
    rustix::process::kill_process(Pid::from_child(child), signal)
        .unwrap_or_else(|error| panic!("cannot signal process {}: {error}", child.id()));
}

/// Reads an output to its end in a thread of its own, so that a full pipe never stops the program.
fn collect(output: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut output) = output {
            let _ = output.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

/// Where a program is.
///
/// # Panics
/// When it is nowhere; the message says how to install it.
#[track_caller]
pub(super) fn find(name: &str) -> PathBuf {
    if name.contains('/') {
        return PathBuf::from(name);
    }
    let found = std::env::split_paths(&search_path()).map(|directory| directory.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        let package = PACKAGES.iter().find(|(program, _)| *program == name).map_or(name, |(_, package)| package);
        panic!("{name} is not installed: apt-get install --no-install-recommends {package}")
    })
}

/// The search path, with the directories that only root's usually holds.
pub(super) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
    path
}

/// A command as one types it.
pub(super) fn describe(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_exit_code_come_back() {
        let finished = Program::outside("sh").args(["-c", "echo out; echo err >&2; exit 3"]).output().code(3);
        assert_eq!(finished.stdout(), "out\n");
        assert_eq!(finished.stderr(), "err\n");
    }

    #[test]
    #[should_panic(expected = "did not end within")]
    fn a_program_that_does_not_end_is_killed_and_fails_the_test() {
        let _ = Program::outside("tail").args(["-f", "/dev/null"]).limit(Duration::from_millis(50)).output();
    }

    #[test]
    #[should_panic(expected = "apt-get install --no-install-recommends no-such-program")]
    fn a_missing_program_fails_the_test_and_says_what_to_install() {
        let _ = Program::outside("no-such-program");
    }
}
