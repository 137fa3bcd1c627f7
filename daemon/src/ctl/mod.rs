//! `tapster ctl`: asks the running daemon and shows the answer.
//!
//! Responsible for turning a verb into a request, and an answer into a table or JSON and an exit code. The documents are
//! the daemon's own: `--json` prints what the socket sends.

mod capture;
mod chunks;
mod client;
mod events;
mod table;
mod top;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use self::client::{ClientError, Reply};
use crate::command_line::{Ctl, ImpairSetting, Verb, exit_code};
use crate::start;

/// Runs one `ctl` command.
pub(crate) fn run(ctl: &Ctl) -> ExitCode {
    if let Verb::Impair { settings } = &ctl.verb
        && settings.len() > 1
        && settings.contains(&ImpairSetting::Off)
    {
        eprintln!("tapster: `impair off` takes nothing else");
        return ExitCode::from(exit_code::USAGE);
    }
    let socket = socket(ctl);
    let (method, target) = request(&ctl.verb);
    match &ctl.verb {
        Verb::Top => return top::run(&socket, ctl.json),
        Verb::Events => return events::run(&socket, &target, ctl.json),
        Verb::Capture { file, .. } => return capture::run(&socket, &target, file, ctl.json),
        _ => {}
    }
    if let Some(pause) = ctl.watch {
        if method != "GET" {
            eprintln!("tapster: --watch is for verbs that show something");
            return ExitCode::from(exit_code::USAGE);
        }
        return watch(ctl, &socket, &target, pause);
    }
    match client::ask(&socket, method, &target) {
        Ok(reply) if reply.status < 400 => show(ctl, &reply),
        Ok(reply) => refused(&reply),
        Err(error) => failed(&error),
    }
}

/// Asks and shows again and again, until it fails or is interrupted. On a terminal each answer takes the place of the one
/// before.
fn watch(ctl: &Ctl, socket: &Path, target: &str, pause: Duration) -> ExitCode {
    const CLEAR: &str = "\u{1b}[H\u{1b}[2J";
    loop {
        let code = match client::ask(socket, "GET", target) {
            Ok(reply) if reply.status < 400 => {
                if io::stdout().is_terminal() && !ctl.json {
                    print!("{CLEAR}");
                }
                show(ctl, &reply)
            }
            Ok(reply) => refused(&reply),
            Err(error) => failed(&error),
        };
        if code != ExitCode::SUCCESS {
            return code;
        }
        thread::sleep(pause);
    }
}

/// Says why no answer came, and returns the exit code for it.
fn failed(error: &ClientError) -> ExitCode {
    if error.is_permission() {
        eprintln!("tapster: {error}: ask as root, or as a member of the socket's group");
        return ExitCode::from(exit_code::NOT_PERMITTED);
    }
    eprintln!("tapster: {error}");
    ExitCode::from(exit_code::UNREACHABLE)
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
            let given = filters.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
            get(&format!("connections{}", query(given)))
        }
        Verb::Neighbors => get("neighbors"),
        Verb::Routes => get("routes"),
        Verb::Groups => get("groups"),
        Verb::Statistics => get("statistics"),
        Verb::Metrics => get("metrics"),
        Verb::Top => get("connections"),
        Verb::Events => get("events"),
        Verb::Capture { port, host, connection, count, seconds, file: _ } => {
            let text = |value: Option<&dyn ToString>| value.map(ToString::to_string);
            let filters = [
                ("port", text(port.as_ref().map(|port| port as &dyn ToString))),
                ("host", text(host.as_ref().map(|host| host as &dyn ToString))),
                ("connection", text(connection.as_ref().map(|id| id as &dyn ToString))),
                ("count", text(count.as_ref().map(|count| count as &dyn ToString))),
                ("seconds", text(seconds.as_ref().map(|seconds| seconds as &dyn ToString))),
            ];
            let given = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
            get(&format!("capture{}", query(given)))
        }
        Verb::Impair { settings } if settings.is_empty() => get("impair"),
        Verb::Impair { settings } if settings.contains(&ImpairSetting::Off) => ("DELETE", "/v1/impair".to_owned()),
        Verb::Impair { settings } => {
            let pairs = settings.iter().filter_map(|setting| match setting {
                ImpairSetting::Set(key, value) => Some((key.as_str(), value.clone())),
                ImpairSetting::Off => None,
            });
            ("POST", format!("/v1/impair{}", query(pairs)))
        }
        Verb::Kill { id } => ("DELETE", format!("/v1/connections/{id}")),
        Verb::Log { level: None } => get("log"),
        Verb::Log { level: Some(level) } => ("POST", format!("/v1/log?level={level}")),
        Verb::Reset => ("POST", "/v1/reset".to_owned()),
        Verb::Reload => ("POST", "/v1/reload".to_owned()),
        Verb::Stop => ("POST", "/v1/stop".to_owned()),
    }
}

/// Keys and values as a query, with its `?` when there is any.
fn query<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<_> = pairs.map(|(key, value)| format!("{key}={}", encoded(&value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
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
        let set = |key: &str, value: &str| ImpairSetting::Set(key.to_owned(), value.to_owned());
        let impair = Verb::Impair { settings: vec![set("loss", "5%"), set("delay", "100ms")] };
        assert_eq!(request(&impair), ("POST", "/v1/impair?loss=5%25&delay=100ms".to_owned()));
        assert_eq!(request(&Verb::Impair { settings: vec![ImpairSetting::Off] }).0, "DELETE");
        assert_eq!(request(&Verb::Log { level: None }), ("GET", "/v1/log".to_owned()));
    }
}
