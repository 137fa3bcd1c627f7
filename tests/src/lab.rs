//! The lab: a network namespace, the real daemon in it, and clients beside it.
//!
//! A [`Plan`] says what to serve; [`Plan::start`] makes a [`Lab`] of it. The kernel of the namespace is the machine at
//! the other end of tapster's wire: it has the address [`HOST`], tapster has [`ADDRESS`], and both have an IPv6 address,
//! too. When a test fails, the daemon's log is printed; a daemon that panicked fails its test even if every client was
//! content.

mod cable;
mod client;
mod daemon;
mod namespace;
mod program;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub use cable::{FAR, Far, NEAR};
pub use client::Client;
pub use daemon::Daemon;
pub use namespace::Namespace;
pub use program::{Finished, Program, Running};
pub use rustix::process::Signal;

/// Tapster's address in the lab.
pub const ADDRESS: &str = "192.0.2.2";

/// The address of the machine at the other end of the wire: the namespace's kernel.
pub const HOST: &str = "192.0.2.1";

/// Tapster's IPv6 address in the lab. It is used after a second or two in which nobody has claimed it.
pub const ADDRESS6: &str = "2001:db8:77::2";

/// The IPv6 address of the machine at the other end of the wire.
pub const HOST6: &str = "2001:db8:77::1";

/// Tapster's hardware address in the lab.
pub const MAC: &str = "02:54:41:50:53:02";

/// How long [`Lab::eventually`] looks.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it pauses between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The zone that a lab serves unless a test writes another one.
pub const ZONE: &str = include_str!("lab/example.test.zone");

/// The services that a lab switches on unless a test says otherwise.
const SERVICES: &str = r#"
[services.dns]
[[services.dns.zones]]
name = "example.test"
file = "example.test.zone"

[services.http]
[[services.http.sites]]
hosts = ["*"]
root = "www"
index = ["index.html"]
autoindex = true
"#;

/// What a lab shall serve, and how.
#[derive(Debug)]
pub struct Plan {
    directory: TempDir,
    /// The key `link.mtu`.
    pub mtu: u16,
    /// The key `link.offload`.
    pub offload: bool,
    /// The key `link.host.bridge`, if any. The lab makes the bridge.
    pub bridge: Option<String>,
    /// The sections under `services`, and any further ones, as TOML.
    pub services: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl Plan {
    /// A plan with one zone and an empty web root.
    ///
    /// # Panics
    /// When no temporary directory can be made.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("tapster-")
            .tempdir()
            .unwrap_or_else(|error| panic!("cannot make a temporary directory: {error}"));
        let plan = Self { directory, mtu: 1500, offload: true, bridge: None, services: SERVICES.to_owned() };
        plan.file("example.test.zone", ZONE);
        plan.file("www/index.html", "<h1>The lab</h1>\n");
        plan
    }

    /// A path below the plan's directory, in which the configuration lies, too.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// Writes a file below the plan's directory.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn file(&self, relative: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.make_room_for(relative);
        std::fs::write(&path, contents).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }

    /// Writes a file of `length` bytes whose every byte tells its place.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn large_file(&self, relative: &str, length: u64) -> PathBuf {
        let path = self.make_room_for(relative);
        crate::content::write_file(&path, length);
        path
    }

    /// Writes the configuration and returns its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_configuration(&self) -> PathBuf {
        let Self { mtu, offload, services, .. } = self;
        let host = match &self.bridge {
            Some(bridge) => format!("bridge = {bridge:?}"),
            None => format!("addresses = [\"{HOST}/24\", \"{HOST6}/64\"]"),
        };
        let socket = self.path("control.sock");
        let socket = socket.display();
        self.file(
            "tapster.toml",
            format!(
                "[link]\nname = \"tapster0\"\nmac = \"{MAC}\"\nmtu = {mtu}\noffload = {offload}\n[link.host]\n{host}\n\n\
                 [network]\nhostname = \"tapster\"\naddresses = [\"{ADDRESS}/24\", \"{ADDRESS6}/64\"]\n\
                 gateways = [\"{HOST}\"]\n\n\
                 [control]\nsocket = \"{socket}\"\n{services}"
            ),
        )
    }

    /// Starts the daemon in a namespace of its own and waits until it answers on its control socket.
    ///
    /// # Panics
    /// When it does not come up; the message holds its log.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Lab {
        let namespace = Namespace::new();
        if let Some(bridge) = &self.bridge {
            let ip = |arguments: &[&str]| namespace.program("ip").args(arguments).output().success();
            ip(&["link", "add", bridge, "type", "bridge"]);
            ip(&["address", "add", &format!("{HOST}/24"), "dev", bridge]);
            ip(&["link", "set", bridge, "up"]);
            // Where the kernel has a bridge's firewall, that would hold back broken packets.
            let script = "for file in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $file ] || echo 0 > $file; done";
            namespace.program("sh").args(["-c", script]).output().success();
        }
        let configuration = self.write_configuration();
        let daemon = Daemon::start(&namespace, &configuration, &self.path("control.sock"), &self.path("daemon.log"));
        Lab { daemon: Some(daemon), namespace, plan: self }
    }

    fn make_room_for(&self, relative: &str) -> PathBuf {
        let path = self.path(relative);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).unwrap_or_else(|error| panic!("cannot make {}: {error}", parent.display()));
        }
        path
    }
}

/// A daemon that runs in a network of its own.
#[derive(Debug)]
pub struct Lab {
    // The order matters: the daemon ends before its namespace and its files go.
    daemon: Option<Daemon>,
    namespace: Namespace,
    plan: Plan,
}

impl Lab {
    /// A lab with the usual zone and an almost empty web root.
    ///
    /// # Panics
    /// When the daemon does not come up.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Plan::new().start()
    }

    /// The files that this lab serves. They may be changed while it runs.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A path below the lab's directory.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.plan.path(relative)
    }

    /// A program on the machine at the other end of the wire.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn program(&self, name: &str) -> Program {
        self.namespace.program(name).directory(self.plan.directory.path())
    }

    /// `curl`, silent but for errors, which fails on an HTTP error and does not take longer than `--max-time` tells.
    #[must_use]
    pub fn curl(&self) -> Program {
        self.program("curl").args(["--silent", "--show-error", "--max-time", "25"])
    }

    /// `dig` against tapster, with one try, so that a lost answer is a failure.
    #[must_use]
    pub fn dig(&self) -> Program {
        self.program("dig").args([&format!("@{ADDRESS}"), "+tries=1", "+time=5"])
    }

    /// The binary under test, on the machine at the other end of the wire.
    #[must_use]
    pub fn tapster(&self) -> Program {
        self.program(&tapster_binary().to_string_lossy())
    }

    /// `tapster ctl` for this lab's daemon.
    #[must_use]
    pub fn ctl(&self) -> Program {
        self.tapster().args(["ctl", "--socket"]).arg(self.path("control.sock"))
    }

    /// `lab-client`, on the machine at the other end of the wire, to be driven line by line.
    #[must_use]
    pub fn client(&self, arguments: &[&str]) -> Client {
        let program = self.program(&built_program("lab-client").to_string_lossy());
        Client::start(program.args(arguments))
    }

    /// A machine at the far end of a bad cable that is plugged into this lab's bridge. It takes over the address
    /// [`HOST`]. `conditions` are arguments of `lab-client link`.
    ///
    /// # Panics
    /// When the lab has no bridge, or the cable cannot be laid.
    #[must_use]
    #[track_caller]
    pub fn far(&self, conditions: &[&str]) -> Far {
        let bridge = self.plan.bridge.as_deref().unwrap_or_else(|| panic!("this lab has no bridge"));
        let ip = |arguments: &[&str]| self.program("ip").args(arguments).output().success();
        ip(&["address", "flush", "dev", bridge]);
        let far = Far::beyond(&self.namespace, conditions);
        ip(&["link", "set", NEAR, "master", bridge]);
        far
    }

    /// A TCP connection from a port of its own, to be driven line by line.
    #[must_use]
    pub fn session(&self, port: u16) -> Client {
        self.client(&["session", &format!("{ADDRESS}:{port}")])
    }

    /// The rows of `tapster ctl connections --json`.
    ///
    /// # Panics
    /// When `ctl` fails or does not print an array.
    #[must_use]
    #[track_caller]
    pub fn connections(&self) -> Vec<Value> {
        let document = self.ctl().args(["connections", "--json"]).output().success().json();
        document.as_array().unwrap_or_else(|| panic!("not an array: {document}")).clone()
    }

    /// The row of the connection whose client's port is `port`.
    #[must_use]
    #[track_caller]
    pub fn connection(&self, port: u16) -> Option<Value> {
        let suffix = format!(":{port}");
        let mut rows = self.connections().into_iter();
        rows.find(|row| row["remote"].as_str().is_some_and(|remote| remote.ends_with(&suffix)))
    }

    /// Looks again and again until `look` finds what it looks for.
    ///
    /// # Panics
    /// When it does not within 20 s; the message says `what` was looked for.
    #[track_caller]
    pub fn eventually<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: not seen within {PATIENCE:?}");
            std::thread::sleep(PAUSE);
        }
    }

    /// The running daemon.
    ///
    /// # Panics
    /// When it has been stopped.
    #[must_use]
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap_or_else(|| panic!("the daemon has been stopped"))
    }

    /// Kills the daemon, if it still runs, and starts another one on the same files.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn restart(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.end();
        }
        let (configuration, socket, log) =
            (self.path("tapster.toml"), self.path("control.sock"), self.path("daemon.log"));
        self.daemon = Some(Daemon::start(&self.namespace, &configuration, &socket, &log));
    }

    /// Waits for the daemon's end and returns its exit code, if it ended by itself.
    ///
    /// # Panics
    /// When it does not end within `limit`.
    #[track_caller]
    pub fn wait_for_end(&mut self, limit: Duration) -> Option<i32> {
        self.daemon.as_mut().unwrap_or_else(|| panic!("the daemon has been stopped")).wait(limit)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let Some(daemon) = self.daemon.take() else { return };
        let log = daemon.end();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{log}");
        } else {
            assert!(!log.contains("panicked at"), "the daemon panicked\n{log}");
        }
    }
}

/// The binary under test: `TAPSTER_BIN`, or what `cargo build` has put beside the tests.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn tapster_binary() -> PathBuf {
    match std::env::var_os("TAPSTER_BIN") {
        Some(path) => std::path::absolute(PathBuf::from(path)).unwrap_or_else(|error| panic!("TAPSTER_BIN: {error}")),
        None => built_program("tapster"),
    }
}

/// A program of this workspace, in the directory that the test itself was built into.
fn built_program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_else(|error| panic!("where is this test? {error}"));
    let mut directories = test.ancestors().skip(1).take(2).map(Path::to_path_buf);
    directories.find_map(|directory| Some(directory.join(name)).filter(|path| path.is_file())).unwrap_or_else(|| {
        panic!("{name} has not been built: run tests/run, or build it in the same profile as the tests")
    })
}
