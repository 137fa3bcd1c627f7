//! `[control]`: the socket of `tapster ctl`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[control]`: the socket of `tapster ctl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// The socket's path: absolute, at most 107 bytes. Default: [`default_control_socket`].
    pub socket: Option<PathBuf>,
    /// The group that may read the state. Default: none but the daemon's own.
    pub group: Option<String>,
}

/// The control socket when none is configured: `/run/tapster/control.sock` for root, else
/// `$XDG_RUNTIME_DIR/tapster/control.sock`. `runtime_directory` is that variable; when it is not set either, or not an
/// absolute path (which the XDG Base Directory Specification says to ignore), root's is taken.
#[must_use]
pub fn default_control_socket(user: u32, runtime_directory: Option<&OsStr>) -> PathBuf {
    match runtime_directory.map(Path::new) {
        Some(directory) if user != 0 && directory.is_absolute() => directory.join("tapster/control.sock"),
        _ => PathBuf::from("/run/tapster/control.sock"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_socket() {
        let own = Some(OsStr::new("/run/user/1000"));
        let system = Path::new("/run/tapster/control.sock");
        assert_eq!(default_control_socket(1000, own), Path::new("/run/user/1000/tapster/control.sock"));
        assert_eq!(default_control_socket(0, own), system);
        assert_eq!(default_control_socket(1000, None), system);
        assert_eq!(default_control_socket(1000, Some(OsStr::new("run"))), system);
    }
}
