//! What can be asked of a running daemon.
//!
//! Responsible for the paths of the control interface (`/v1/…`): which request means which [`Command`], and who may give
//! it. Not for carrying it out.

use std::borrow::Cow;
use std::net::IpAddr;

use tapster_config::LogLevel;
use tapster_http::Method;
use tapster_stack::ConnectionId;

/// One order or question.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            Self::Kill(_) | Self::Reload | Self::Stop | Self::SetLogLevel(_) | Self::Reset => true,
            Self::Status
            | Self::Services
            | Self::Listeners
            | Self::Connections(_)
            | Self::Connection(_)
            | Self::Neighbors
            | Self::Routes
            | Self::Groups
            | Self::LogLevel
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
        match path {
            "/v1/status" => read(Self::Status),
            "/v1/services" => read(Self::Services),
            "/v1/listeners" => read(Self::Listeners),
            "/v1/connections" => ConnectionFilter::parse(query).and_then(|filter| read(Self::Connections(filter))),
            "/v1/neighbors" => read(Self::Neighbors),
            "/v1/routes" => read(Self::Routes),
            "/v1/groups" => read(Self::Groups),
            "/v1/statistics" => read(Self::Statistics),
            "/v1/metrics" => read(Self::Metrics),
            "/v1/log" => match method {
                Method::Post => log_level(query).map(Self::SetLogLevel),
                Method::Get | Method::Head => Ok(Self::LogLevel),
                _ => Err(NotACommand::MethodNotAllowed("GET, HEAD, POST")),
            },
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

impl ConnectionFilter {
    fn parse(query: &str) -> Result<Self, NotACommand> {
        let mut filter = Self::default();
        for pair in pairs(query) {
            let (key, value) = pair?;
            match key {
                "state" => filter.state = Some(value),
                "service" => filter.service = Some(value),
                "peer" => {
                    let peer = value.parse().map_err(|_| NotACommand::BadQuery(format!("{value:?} is no address")))?;
                    filter.peer = Some(peer);
                }
                _ => return Err(NotACommand::BadQuery(format!("{key:?} is none of state, service, peer"))),
            }
        }
        Ok(filter)
    }
}

/// The keys and values of a query.
fn pairs(query: &str) -> impl Iterator<Item = Result<(&str, String), NotACommand>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_encoding::percent_decode_str(value).decode_utf8().map(Cow::into_owned);
        Ok((key, value.map_err(|_| NotACommand::BadQuery(format!("{key} is not UTF-8")))?))
    })
}

/// The level in `?level=debug`.
fn log_level(query: &str) -> Result<LogLevel, NotACommand> {
    let names = || LogLevel::ALL.map(|(name, _)| name).join(", ");
    match pairs(query).next().transpose()? {
        Some(("level", name)) => {
            LogLevel::from_name(&name).ok_or_else(|| NotACommand::BadQuery(format!("{name:?} is none of {}", names())))
        }
        _ => Err(NotACommand::BadQuery(format!("level is missing: one of {}", names()))),
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
