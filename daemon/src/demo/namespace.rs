//! The demo's own user and network namespace (namespaces(7)).
//!
//! Responsible for entering it, and for saying what to change on a machine that does not allow it. Inside, the user is
//! root over the namespace's network and nothing else.

use std::fmt;
use std::fs;
use std::io;

use nix::sched::{CloneFlags, unshare};
use rustix::process::{getegid, geteuid};

use super::DemoError;

/// What stands in the way of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Debian's switch.
    UserNamespacesOff,
    /// The limit is zero, or reached.
    Limit,
    /// Ubuntu's switch.
    AppArmor,
    /// The process has several threads. A mistake of the caller.
    Threads,
    /// Something that leaves no trace, as a container's system call filter.
    Unknown,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserNamespacesOff => {
                "user namespaces are switched off: `sudo sysctl kernel.unprivileged_userns_clone=1`, or run it with sudo"
            }
            Self::Limit => {
                "the limit of user namespaces is reached: `sudo sysctl user.max_user_namespaces=15000`, or run it with \
                 sudo"
            }
            Self::AppArmor => {
                "AppArmor forbids them to this program: `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, \
                 or run it with sudo"
            }
            Self::Threads => "a process with several threads cannot enter one",
            Self::Unknown => {
                "the kernel refuses them: a container must allow `unshare` (seccomp), or run it as root with \
                 CAP_SYS_ADMIN"
            }
        })
    }
}

impl Obstacle {
    /// What the machine's settings say about a refusal.
    fn find(refusal: &io::Error) -> Self {
        Self::judge(refusal, |setting| {
            fs::read_to_string(format!("/proc/sys/{setting}")).ok().and_then(|value| value.trim().parse().ok())
        })
    }

    fn judge(refusal: &io::Error, setting: impl Fn(&str) -> Option<u64>) -> Self {
        if refusal.kind() == io::ErrorKind::InvalidInput {
            Self::Threads
        } else if setting("kernel/unprivileged_userns_clone") == Some(0) {
            Self::UserNamespacesOff
        } else if refusal.kind() == io::ErrorKind::StorageFull || setting("user/max_user_namespaces") == Some(0) {
            Self::Limit
        } else if setting("kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
            Self::AppArmor
        } else {
            Self::Unknown
        }
    }
}

/// Moves the process into a new network namespace, and unless it is root already into a new user namespace first.
pub(super) fn enter() -> Result<(), DemoError> {
    let (user, group) = (geteuid(), getegid());
    // Root in a container may lack the privilege: then it goes on as anybody else.
    if user.is_root() && unshare(CloneFlags::CLONE_NEWNET).is_ok() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(io::Error::from)
        .and_then(|()| {
            // Without this the kernel does not let an unprivileged process map its group (user_namespaces(7)).
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("0 {} 1", user.as_raw()))?;
            fs::write("/proc/self/gid_map", format!("0 {} 1", group.as_raw()))
        })
        .map_err(|source| DemoError::Namespace { obstacle: Obstacle::find(&source), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn the_setting_that_forbids_is_named() {
        let judge = |errno: Errno, name: &'static str, value| {
            Obstacle::judge(&errno.into(), |setting| (setting == name).then_some(value))
        };
        for (name, value, sysctl) in [
            ("kernel/unprivileged_userns_clone", 0, "kernel.unprivileged_userns_clone=1"),
            ("user/max_user_namespaces", 0, "user.max_user_namespaces=15000"),
            ("kernel/apparmor_restrict_unprivileged_userns", 1, "kernel.apparmor_restrict_unprivileged_userns=0"),
        ] {
            let obstacle = judge(Errno::PERM, name, value);
            assert!(obstacle.to_string().contains(sysctl), "{name}: {obstacle}");
        }
        assert_eq!(judge(Errno::NOSPC, "none", 0), Obstacle::Limit);
        assert_eq!(judge(Errno::INVAL, "none", 0), Obstacle::Threads);
        assert_eq!(judge(Errno::PERM, "kernel/unprivileged_userns_clone", 1), Obstacle::Unknown);
    }
}
