//! What can be asked of a running daemon.
//!
//! Responsible for the paths of the control interface (`/v1/…`): which request means which [`Command`], and who may give
//! it. Not for carrying it out.

use std::net::IpAddr;
use std::time::Duration;

use tapster_config::LogLevel;
use tapster_http::Method;
use tapster_stack::ConnectionId;

use super::query;
use crate::wire::Order;
use crate::wire::capture::Filter;

/// One order or question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Status,
    Services,
    Listeners,
    Connections(ConnectionFilter),
    Connection(ConnectionId),
    Neighbors,
    Routes,
    Groups,
    Statistics,
    Metrics,
    LogLevel,
    SetLogLevel(LogLevel),
    Kill(ConnectionId),
    /// The stack back to its initial state.
    Reset,
    /// How bad the link is.
    Impairment,
    Impair(Box<Order>),
    /// No impairment any more.
    Mend,
    /// What happens from now on, until the reader goes.
    Events,
    Capture(CaptureRequest),
    Reload,
    Stop,
}

/// Which connections are meant. Everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionFilter {
    /// The state, in RFC 9293's spelling; upper and lower case are the same.
    pub(crate) state: Option<String>,
    /// The service's name.
    pub(crate) service: Option<String>,
    /// The peer's address.
    pub(crate) peer: Option<IpAddr>,
}

/// Which frames are to be captured, and for how long.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CaptureRequest {
    /// What must be true of each; the ends of a connection are not known yet.
    pub(crate) filter: Filter,
    /// Only those of this connection.
    pub(crate) connection: Option<ConnectionId>,
    /// After so many frames the capture ends.
    pub(crate) count: Option<u64>,
    /// After so long the capture ends.
    pub(crate) duration: Option<Duration>,
}

/// A request that is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotACommand {
    /// There is nothing at that path.
    NotFound,
    /// There is, but not for that method; these are allowed.
    MethodNotAllowed(&'static str),
    /// A part of the query is wrong.
    BadQuery(String),
}

impl Command {
    /// Whether it changes something, so that not everybody who may look may give it.
    pub(crate) const fn changes(&self) -> bool {
        match self {
            Self::Kill(_)
            | Self::Reload
            | Self::Stop
            | Self::SetLogLevel(_)
            | Self::Reset
            | Self::Impair(_)
            | Self::Mend => true,
            // Nothing changes, but what passes is not everybody's to read.
            Self::Capture(_) => true,
            Self::Status
            | Self::Services
            | Self::Listeners
            | Self::Connections(_)
            | Self::Connection(_)
            | Self::Neighbors
            | Self::Routes
            | Self::Groups
            | Self::LogLevel
            | Self::Impairment
            | Self::Events
            | Self::Statistics
            | Self::Metrics => false,
        }
    }

    /// The command that a request means.
    pub(crate) fn parse(method: Method, target: &str) -> Result<Self, NotACommand> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let read = |command| match method {
            Method::Get | Method::Head => Ok(command),
            _ => Err(NotACommand::MethodNotAllowed("GET, HEAD")),
        };
        let act = |command| match method {
            Method::Post => Ok(command),
            _ => Err(NotACommand::MethodNotAllowed("POST")),
        };
        // A stream has no end that a HEAD request could wait for.
        let stream = |command| match method {
            Method::Get => Ok(command),
            _ => Err(NotACommand::MethodNotAllowed("GET")),
        };
        match path {
            "/v1/status" => read(Self::Status),
            "/v1/services" => read(Self::Services),
            "/v1/listeners" => read(Self::Listeners),
            "/v1/connections" => query::connections(query).and_then(|filter| read(Self::Connections(filter))),
            "/v1/neighbors" => read(Self::Neighbors),
            "/v1/routes" => read(Self::Routes),
            "/v1/groups" => read(Self::Groups),
            "/v1/statistics" => read(Self::Statistics),
            "/v1/metrics" => read(Self::Metrics),
            "/v1/log" => match method {
                Method::Post => query::log_level(query).map(Self::SetLogLevel),
                Method::Get | Method::Head => Ok(Self::LogLevel),
                _ => Err(NotACommand::MethodNotAllowed("GET, HEAD, POST")),
            },
            "/v1/impair" => match method {
                Method::Post => query::impair(query).map(|order| Self::Impair(Box::new(order))),
                Method::Delete => Ok(Self::Mend),
                Method::Get | Method::Head => Ok(Self::Impairment),
                _ => Err(NotACommand::MethodNotAllowed("GET, HEAD, POST, DELETE")),
            },
            "/v1/events" => stream(Self::Events),
            "/v1/capture" => query::capture(query).and_then(|request| stream(Self::Capture(request))),
            "/v1/reset" => act(Self::Reset),
            "/v1/reload" => act(Self::Reload),
            "/v1/stop" => act(Self::Stop),
            _ => {
                let id = path.strip_prefix("/v1/connections/").and_then(|id| id.parse().ok());
                let id = ConnectionId::from_u64(id.ok_or(NotACommand::NotFound)?);
                match method {
                    Method::Get | Method::Head => Ok(Self::Connection(id)),
                    Method::Delete => Ok(Self::Kill(id)),
                    _ => Err(NotACommand::MethodNotAllowed("GET, HEAD, DELETE")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods() {
        assert_eq!(Command::parse(Method::Get, "/v1/status"), Ok(Command::Status));
        assert_eq!(Command::parse(Method::Post, "/v1/status"), Err(NotACommand::MethodNotAllowed("GET, HEAD")));
        assert_eq!(Command::parse(Method::Get, "/v1/stop"), Err(NotACommand::MethodNotAllowed("POST")));
        let id = ConnectionId::from_u64((7 << 32) | 3);
        let path = format!("/v1/connections/{}", id.as_u64());
        assert_eq!(Command::parse(Method::Get, &path), Ok(Command::Connection(id)));
        assert_eq!(Command::parse(Method::Delete, &path), Ok(Command::Kill(id)));
        assert_eq!(Command::parse(Method::Get, "/v1/log"), Ok(Command::LogLevel));
        assert_eq!(Command::parse(Method::Post, "/v1/log?level=debug"), Ok(Command::SetLogLevel(LogLevel::Debug)));
        for wrong in ["/v1/log", "/v1/log?level=loud", "/v1/log?grade=debug"] {
            assert!(matches!(Command::parse(Method::Post, wrong), Err(NotACommand::BadQuery(_))), "{wrong}");
        }
        assert_eq!(Command::parse(Method::Get, "/v1/events"), Ok(Command::Events));
        assert_eq!(Command::parse(Method::Head, "/v1/events"), Err(NotACommand::MethodNotAllowed("GET")));
        assert_eq!(Command::parse(Method::Delete, "/v1/impair"), Ok(Command::Mend));
        for nowhere in ["/", "/v1", "/v1/", "/v2/status", "/v1/connections/", "/v1/connections/x", "/v1/status/"] {
            assert_eq!(Command::parse(Method::Get, nowhere), Err(NotACommand::NotFound), "{nowhere}");
        }
    }

    #[test]
    fn filters() {
        let parsed = Command::parse(Method::Get, "/v1/connections?state=ESTABLISHED&peer=192.0.2.1&service=ht%74p");
        let expected = ConnectionFilter {
            state: Some("ESTABLISHED".into()),
            service: Some("http".into()),
            peer: Some("192.0.2.1".parse().unwrap()),
        };
        assert_eq!(parsed, Ok(Command::Connections(expected)));
        assert!(Command::parse(Method::Get, "/v1/connections?peer=nobody").is_err());
        assert!(Command::parse(Method::Get, "/v1/connections?color=red").is_err());
    }
}
