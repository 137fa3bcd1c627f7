//! What the process gives up once it has what it needs.
//!
//! Responsible for dropping all capabilities and for no-new-privileges, after the device and the control socket are open
//! and before any other thread runs: both belong to a thread, and those that it starts inherit them. Not for what the
//! service manager adds around the process (see `systemd/`).

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, no_new_privs,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use serde::Serialize;

/// What is in force, as the kernel tells it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// No program that is run gets more than this process has (prctl(2), PR_SET_NO_NEW_PRIVS).
    no_new_privileges: bool,
    /// The capabilities that are left; none is as it should be.
    capabilities: Vec<String>,
}

/// Gives up all privileges of the calling thread. What cannot be given up is told in the log, and by [`report`].
pub(crate) fn enter() {
    let steps = [
        ("no-new-privileges", set_no_new_privs(true)),
        ("the ambient capabilities", clear_ambient_capability_set()),
        ("the bounding set", empty_bounding_set()),
        ("the capabilities", set_capabilities(None, NOTHING)),
    ];
    for (what, outcome) in steps {
        if let Err(error) = outcome {
            tracing::warn!(%error, "{what} cannot be given up");
        }
    }
}

const NOTHING: CapabilitySets = CapabilitySets {
    effective: CapabilitySet::empty(),
    permitted: CapabilitySet::empty(),
    inheritable: CapabilitySet::empty(),
};

/// A program that root would run would get no capability either. Only who may (CAP_SETPCAP) has anything to give up here.
fn empty_bounding_set() -> rustix::io::Result<()> {
    if !capabilities(None)?.effective.contains(CapabilitySet::SETPCAP) {
        return Ok(());
    }
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // One that this kernel does not know.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is in force for the calling thread.
pub(crate) fn report() -> Report {
    let left = capabilities(None).map_or(CapabilitySet::all(), |sets| sets.effective | sets.permitted);
    Report {
        no_new_privileges: no_new_privs().unwrap_or(false),
        capabilities: left.iter_names().map(|(name, _)| format!("CAP_{name}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_the_thread_that_enters() {
        // Both belong to the thread alone.
        let report = std::thread::spawn(|| {
            enter();
            report()
        });
        let report = report.join().unwrap();
        assert!(report.no_new_privileges);
        assert_eq!(report.capabilities, Vec::<String>::new());
    }
}
