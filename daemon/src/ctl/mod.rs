//! `tapster ctl`: asks the running daemon and shows the answer.
//!
//! Responsible for turning a verb into a request, and an answer into a table or JSON and an exit code. The documents are
//! the daemon's own: `--json` prints what the socket sends.

mod client;
mod table;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use self::client::{ClientError, Reply};
use crate::command_line::{Ctl, Verb, exit_code};
use crate::start;

/// Runs one `ctl` command.
pub(crate) fn run(ctl: &Ctl) -> ExitCode {
    let socket = socket(ctl);
    let (method, target) = request(&ctl.verb);
    match client::ask(&socket, method, &target) {
        Ok(reply) if reply.status < 400 => show(ctl, &reply),
        Ok(reply) => refused(&reply),
        Err(error @ ClientError::Connect { .. }) if error.is_permission() => {
            eprintln!("tapster: {error}: ask as root, or as a member of the socket's group");
            ExitCode::from(exit_code::NOT_PERMITTED)
        }
        Err(error) => {
            eprintln!("tapster: {error}");
            ExitCode::from(exit_code::UNREACHABLE)
        }
    }
}

/// The socket to ask: as the command line says, else as the daemon's own environment would, else the default.
fn socket(ctl: &Ctl) -> PathBuf {
    let configured = ctl.socket.clone().or_else(|| env::var_os("TAPSTER__CONTROL__SOCKET").map(PathBuf::from));
    start::control_socket(configured.as_deref())
}

/// The request that a verb means.
fn request(verb: &Verb) -> (&'static str, String) {
    let get = |name: &str| ("GET", format!("/v1/{name}"));
    match verb {
        Verb::Status => get("status"),
        Verb::Services => get("services"),
        Verb::Listeners => get("listeners"),
        Verb::Connections { id: Some(id), .. } => get(&format!("connections/{id}")),
        Verb::Connections { id: None, state, service, peer } => {
            let peer = peer.map(|peer| peer.to_string());
            let filters = [("state", state), ("service", service), ("peer", &peer)];
            let given = filters.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
            let pairs: Vec<_> =
                given.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))).collect();
            let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
            get(&format!("connections{query}"))
        }
        Verb::Neighbors => get("neighbors"),
        Verb::Routes => get("routes"),
        Verb::Groups => get("groups"),
        Verb::Statistics => get("statistics"),
        Verb::Metrics => get("metrics"),
        Verb::Kill { id } => ("DELETE", format!("/v1/connections/{id}")),
        Verb::Log { level: None } => get("log"),
        Verb::Log { level: Some(level) } => ("POST", format!("/v1/log?level={level}")),
        Verb::Reset => ("POST", "/v1/reset".to_owned()),
        Verb::Reload => ("POST", "/v1/reload".to_owned()),
        Verb::Stop => ("POST", "/v1/stop".to_owned()),
    }
}

/// Prints the answer.
fn show(ctl: &Ctl, reply: &Reply) -> ExitCode {
    let text = String::from_utf8_lossy(&reply.body);
    let shown = match (&ctl.verb, ctl.json, serde_json::from_str::<Value>(&text)) {
        (Verb::Metrics, false, _) => text.into_owned(),
        (Verb::Metrics, true, _) => format!("{}\n", Value::from(text.into_owned())),
        (_, true, _) | (_, _, Err(_)) => text.into_owned(),
        (verb, false, Ok(document)) => table::of(verb, &document),
    };
    // A reader that has seen enough (`| head`) is no error.
    match io::stdout().write_all(shown.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tapster: cannot print: {error}");
            ExitCode::from(exit_code::REFUSED)
        }
    }
}

/// Says why the daemon refused, and returns the exit code for it.
fn refused(reply: &Reply) -> ExitCode {
    let document: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    for problem in document["problems"].as_array().into_iter().flatten() {
        eprintln!("{}", problem.as_str().unwrap_or_default());
    }
    match document["error"].as_str() {
        Some(error) => eprintln!("tapster: {error}"),
        None => eprintln!("tapster: the daemon refused with status {}", reply.status),
    }
    ExitCode::from(match reply.status {
        403 => exit_code::NOT_PERMITTED,
        404 => exit_code::NOT_FOUND,
        422 => exit_code::INVALID_CONFIGURATION,
        _ => exit_code::REFUSED,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_become_requests() {
        let connections = |state: Option<&str>, peer: Option<&str>| Verb::Connections {
            id: None,
            state: state.map(str::to_owned),
            service: None,
            peer: peer.map(|peer| peer.parse().unwrap()),
        };
        assert_eq!(request(&connections(None, None)).1, "/v1/connections");
        let both = request(&connections(Some("TIME-WAIT"), Some("2001:db8::1"))).1;
        assert_eq!(both, "/v1/connections?state=TIME%2DWAIT&peer=2001%3Adb8%3A%3A1");
        assert_eq!(request(&Verb::Kill { id: 7 }), ("DELETE", "/v1/connections/7".to_owned()));
        assert_eq!(request(&Verb::Reload).0, "POST");
        assert_eq!(request(&Verb::Log { level: Some("debug".to_owned()) }), ("POST", "/v1/log?level=debug".to_owned()));
        assert_eq!(request(&Verb::Log { level: None }), ("GET", "/v1/log".to_owned()));
    }
}
