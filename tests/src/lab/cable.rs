//! A bad cable from one network to another: see `lab-client link`.

use super::client::Client;
use super::namespace::Namespace;
use super::program::Program;
use super::{HOST, built_program};

/// The interface at the near end, which the server's side looks after.
pub const NEAR: &str = "near0";

/// The interface at the far end, which has the address [`HOST`].
pub const FAR: &str = "far0";

/// A machine at the far end of a bad cable.
#[derive(Debug)]
pub struct Far {
    // The cable ends before the namespace that one end of it is in.
    _cable: Client,
    namespace: Namespace,
}

impl Far {
    /// Lays a cable out of `near`. `conditions` are arguments of `lab-client link`. The near end is up, and without an
    /// address.
    ///
    /// # Panics
    /// When it cannot be laid.
    #[must_use]
    #[track_caller]
    pub fn beyond(near: &Namespace, conditions: &[&str]) -> Self {
        let namespace = near.neighbor();
        let lab_client = built_program("lab-client");
        let cable = near.program(&lab_client.to_string_lossy()).args(["link", NEAR, FAR]).args(conditions);
        let cable = Client::start(cable);
        assert_eq!(cable.greeting(), "ready", "the cable is not laid");
        let ip = |namespace: &Namespace, arguments: &[&str]| {
            namespace.program("ip").args(arguments).output().success();
        };
        ip(near, &["link", "set", FAR, "netns", &namespace.id().to_string()]);
        ip(near, &["link", "set", NEAR, "up"]);
        ip(&namespace, &["address", "add", &format!("{HOST}/24"), "dev", FAR]);
        ip(&namespace, &["link", "set", FAR, "up"]);
        Self { _cable: cable, namespace }
    }

    /// A program on this machine.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn program(&self, name: &str) -> Program {
        self.namespace.program(name)
    }
}
