//! Why a TAP could not be opened, and what to do about it.
//!
//! Responsible for telling apart the causes that share an error number: the kernel has four of them for a dozen
//! situations. It looks at the machine after the failure, so what it says is a well-founded guess, made once.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use super::netlink::{Connection, LinkKind};

/// The device from which every TAP is opened.
const DEVICE: &str = "/dev/net/tun";

/// A TAP could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The name is none that an interface can have.
    #[error("{name:?} cannot be an interface's name: it takes 1 to 15 octets without '/', ':', '%' or white space")]
    Name {
        /// The name that was asked for.
        name: String,
    },
    /// `/dev/net/tun` does not exist, or has no driver behind it.
    #[error(
        "there is no {DEVICE}: load the driver with `modprobe tun`, or in a container pass the device in \
         (`--device {DEVICE}`)"
    )]
    NoDevice,
    /// `/dev/net/tun` may not be opened.
    #[error(
        "{DEVICE} may not be opened by this user: its mode should be 0666 (`chmod 0666 {DEVICE}`; udev's default), \
         and a container must allow the device"
    )]
    DeviceForbidden,
    /// The interface does not exist, and may not be created.
    #[error(
        "the TAP interface {name} does not exist and creating it takes CAP_NET_ADMIN: have root make it once, with \
         `ip tuntap add dev {name} mode tap user {user} vnet_hdr`, or run as root, or try `tapster demo`"
    )]
    MayNotCreate {
        /// The interface.
        name: String,
        /// The user who runs this process, by number.
        user: u32,
    },
    /// The interface exists and belongs to another user.
    #[error(
        "the TAP interface {name} belongs to another user: have root make it for this one, with \
         `ip tuntap del dev {name} mode tap` and `ip tuntap add dev {name} mode tap user {user} vnet_hdr`, or run as \
         its owner"
    )]
    MayNotAttach {
        /// The interface.
        name: String,
        /// The user who runs this process, by number.
        user: u32,
    },
    /// Another process has it open.
    #[error("the TAP interface {name} is in use by {holder}: stop that, or choose another `link.name`")]
    Busy {
        /// The interface.
        name: String,
        /// Who has it.
        holder: Holder,
    },
    /// An interface of that name exists which is not a TAP that one process can attach to.
    #[error("the interface {name} {}: choose another `link.name`, or remake it with `ip tuntap add dev {name} mode tap`",
        kind.complaint())]
    NotATap {
        /// The interface.
        name: String,
        /// What it is, where the kernel tells.
        kind: LinkKind,
    },
    /// Anything else.
    #[error("{doing} the TAP interface {name} failed: {source}")]
    Unusable {
        /// The interface.
        name: String,
        /// What was being done.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl LinkKind {
    /// Why such an interface will not do.
    fn complaint(&self) -> &'static str {
        match self {
            Self::Tun => "is a TUN, which carries packets without Ethernet frames",
            Self::MultiQueueTap => "is a TAP made with several queues (`multi_queue`), and this program uses one",
            Self::Tap | Self::Bridge | Self::Other => "is not a TAP",
            Self::Unknown => "is not a TAP with a single queue",
        }
    }
}

/// Who has a TAP open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process and the name of its program; `None` when the processes that may be looked at do not have it.
    pub process: Option<(u32, String)>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.process {
            Some((pid, program)) => write!(f, "process {pid} ({program})"),
            None => write!(f, "a process of another user (`sudo grep -l iff: /proc/*/fdinfo/*` names it)"),
        }
    }
}

impl Holder {
    /// Looks for an open TAP of this name: `/proc/PID/fdinfo/FD` has a line `iff:` for each.
    ///
    /// Names belong to a network namespace, so processes in another one than ours are passed over.
    fn find(name: &str) -> Self {
        let line = format!("iff:\t{name}");
        let ours = fs::read_link("/proc/self/ns/net").ok();
        let holds = |process: &Path| {
            let descriptors = fs::read_dir(process.join("fdinfo")).into_iter().flatten().flatten();
            fs::read_link(process.join("ns/net")).ok() == ours
                && descriptors
                    .filter_map(|descriptor| fs::read_to_string(descriptor.path()).ok())
                    .any(|information| information.lines().any(|found| found == line))
        };
        let process = fs::read_dir("/proc").into_iter().flatten().flatten().find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let path = entry.path();
            holds(&path).then(|| (pid, fs::read_to_string(path.join("comm")).unwrap_or_default().trim_end().to_owned()))
        });
        Self { process }
    }
}

impl OpenError {
    /// Whether the kernel would take the name as it stands (`dev_valid_name`). A `%` would be taken for a pattern.
    pub(super) fn check_name(name: &str) -> Result<(), Self> {
        let forbidden = |octet: u8| matches!(octet, b'/' | b':' | b'%' | 0 | 0x0b) || octet.is_ascii_whitespace();
        if (1..=15).contains(&name.len()) && name != "." && name != ".." && !name.bytes().any(forbidden) {
            Ok(())
        } else {
            Err(Self::Name { name: name.to_owned() })
        }
    }

    /// What the kernel meant.
    pub(super) fn explain(name: &str, source: io::Error) -> Self {
        let name = name.to_owned();
        let user = rustix::process::geteuid().as_raw();
        // The crate opens the device and then names the interface; the error does not say which of the two failed.
        let device_opens = File::options().read(true).write(true).open(DEVICE).is_ok();
        match Errno::from_io_error(&source) {
            Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => Self::NoDevice,
            Some(Errno::ACCESS | Errno::PERM) if !device_opens => Self::DeviceForbidden,
            Some(Errno::ACCESS | Errno::PERM) if exists(&name) => Self::MayNotAttach { name, user },
            Some(Errno::ACCESS | Errno::PERM) => Self::MayNotCreate { name, user },
            Some(Errno::BUSY) => Self::Busy { holder: Holder::find(&name), name },
            Some(Errno::INVAL) if exists(&name) => {
                let kind = Connection::open().and_then(|mut netlink| netlink.link(&name));
                Self::NotATap { name, kind: kind.ok().flatten().map_or(LinkKind::Unknown, |link| link.kind) }
            }
            _ => Self::Unusable { name, doing: "opening", source },
        }
    }
}

/// Whether there is an interface of that name. By ioctl on a Unix socket: that works in a sandbox without netlink.
fn exists(name: &str) -> bool {
    socket(AddressFamily::UNIX, SocketType::DGRAM, None)
        .is_ok_and(|socket| netdevice::name_to_index(&socket, name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_the_kernel_does() {
        for name in ["tapster0", "t", "fifteen-octets0", "a.b", "ä"] {
            assert!(OpenError::check_name(name).is_ok(), "{name}");
        }
        for name in ["", "sixteen-octets-0", ".", "..", "a/b", "a:b", "a b", "a\tb", "tap%d", "a\0b", "a\x0bb"] {
            assert!(matches!(OpenError::check_name(name), Err(OpenError::Name { .. })), "{name:?}");
        }
    }

    #[test]
    fn each_sentence_says_what_to_do() {
        let name = || "tap0".to_owned();
        for (error, advice) in [
            (OpenError::NoDevice, "modprobe tun"),
            (OpenError::DeviceForbidden, "chmod 0666 /dev/net/tun"),
            (OpenError::MayNotCreate { name: name(), user: 7 }, "ip tuntap add dev tap0 mode tap user 7"),
            (OpenError::MayNotAttach { name: name(), user: 7 }, "ip tuntap add dev tap0 mode tap user 7"),
            (OpenError::NotATap { name: name(), kind: LinkKind::MultiQueueTap }, "multi_queue"),
            (OpenError::NotATap { name: name(), kind: LinkKind::Tun }, "without Ethernet"),
        ] {
            assert!(error.to_string().contains(advice), "{error}");
        }
        let holder = Holder { process: Some((42, "qemu".to_owned())) };
        let error = OpenError::Busy { name: name(), holder };
        assert!(error.to_string().contains("process 42 (qemu)"), "{error}");
    }
}
