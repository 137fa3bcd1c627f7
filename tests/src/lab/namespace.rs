//! A network of its own: a Linux user and network namespace that lives as long as its value.
//!
//! A holder process keeps the namespace: `cat`, which ends when its standard input does, so it also ends with a
//! test that is killed. Programs join through `nsenter`. This needs no privilege where the kernel lets ordinary users
//! make user namespaces, and works for root too. No `unsafe`, no helper that has to be installed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::program::{self, Program};

/// A network namespace with its loopback up, inside a user namespace in which the caller is root.
#[derive(Debug)]
pub struct Namespace {
    holder: Child,
}

impl Namespace {
    /// A new user namespace with a new, empty network.
    ///
    /// # Panics
    /// When the system does not allow it; the message says what to change.
    #[must_use]
    pub fn new() -> Self {
        let mut command = Command::new(program::find("unshare"));
        command.args(["--user", "--map-root-user", "--net", "--"]);
        Self::hold(command)
    }

    /// A second network beside this one, under the same user namespace: so that a cable can be laid between them.
    ///
    /// # Panics
    /// When the system does not allow it.
    #[must_use]
    pub fn neighbor(&self) -> Self {
        let mut command = Command::new(program::find("nsenter"));
        command.args(self.entrance()).arg(program::find("unshare")).args(["--net", "--"]);
        Self::hold(command)
    }

    /// Lays a cable (a veth pair) to another namespace made by [`neighbor`](Self::neighbor). `ours` and `theirs` are
    /// addresses with prefix lengths.
    ///
    /// # Panics
    /// When `ip` fails.
    pub fn connect(&self, ours: &str, other: &Self, theirs: &str) {
        let holder = other.holder.id().to_string();
        let ip = |namespace: &Self, arguments: &[&str]| {
            namespace.program("ip").args(arguments).output().success();
        };
        ip(self, &["link", "add", "cable0", "type", "veth", "peer", "name", "cable0", "netns", &holder]);
        for (namespace, address) in [(self, ours), (other, theirs)] {
            ip(namespace, &["address", "add", address, "dev", "cable0", "nodad"]);
            ip(namespace, &["link", "set", "cable0", "up"]);
        }
    }

    /// The number of a process in it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.holder.id()
    }

    /// A program to be run in this namespace.
    ///
    /// # Panics
    /// When the program is not installed; the message says how to install it.
    #[must_use]
    pub fn program(&self, name: &str) -> Program {
        let mut command = Command::new(program::find("nsenter"));
        command.args(self.entrance());
        // A program that has no parent any more (the test was killed) must end, too.
        command.arg(program::find("setpriv")).args(["--pdeathsig", "KILL", "--"]).arg(program::find(name));
        Program::new(name, command)
    }

    fn entrance(&self) -> [String; 6] {
        let target = self.holder.id().to_string();
        ["--target", &target, "--user", "--net", "--preserve-credentials", "--"].map(str::to_owned)
    }

    fn hold(mut command: Command) -> Self {
        command.args(["sh", "-c", "ip link set lo up && echo ready && exec cat"]);
        command.env("PATH", program::search_path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder =
            command.spawn().unwrap_or_else(|error| panic!("cannot run {}: {error}", program::describe(&command)));
        let mut ready = String::new();
        if let Some(output) = holder.stdout.take() {
            // Either the word or the end of the output comes, so this is bounded.
            let _ = BufReader::new(output).read_line(&mut ready);
        }
        assert!(
            ready.trim_end() == "ready",
            "cannot make a network namespace. Run as root, or let ordinary users do it: \
             `sysctl kernel.unprivileged_userns_clone=1` on Debian, \
             `sysctl kernel.apparmor_restrict_unprivileged_userns=0` on Ubuntu; `ip` (iproute2) must be installed"
        );
        Self { holder }
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_a_loopback_and_nothing_else() {
        let namespace = Namespace::new();
        let links = namespace.program("ip").args(["-brief", "link"]).output().success().stdout();
        assert_eq!(links.lines().count(), 1, "{links}");
        assert!(links.starts_with("lo"), "{links}");
    }

    #[test]
    fn two_neighbors_reach_each_other_by_cable() {
        let near = Namespace::new();
        let far = near.neighbor();
        near.connect("192.0.2.1/24", &far, "192.0.2.2/24");
        near.program("ping").args(["-c", "1", "-w", "5", "192.0.2.2"]).output().success();
    }
}
