//! Queries: the part of a request's target after the `?`.
//!
//! Responsible for turning keys and values into what a command needs, and for saying which of them is wrong.

use std::borrow::Cow;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use tapster_config::{Impairment, LogLevel};
use tapster_stack::ConnectionId;

use super::command::{CaptureRequest, ConnectionFilter, NotACommand};
use crate::wire::{Directions, Order};

/// The keys and values of a query.
fn pairs(query: &str) -> impl Iterator<Item = Result<(&str, String), NotACommand>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_encoding::percent_decode_str(value).decode_utf8().map(Cow::into_owned);
        Ok((key, value.map_err(|_| NotACommand::BadQuery(format!("{key} is not UTF-8")))?))
    })
}

/// A value of a key.
fn value<T: FromStr>(text: &str, what: &str) -> Result<T, NotACommand> {
    text.parse().map_err(|_| NotACommand::BadQuery(format!("{text:?} is no {what}")))
}

fn unknown(key: &str, known: &str) -> NotACommand {
    NotACommand::BadQuery(format!("{key:?} is none of {known}"))
}

/// `?state=ESTABLISHED&service=http&peer=192.0.2.1`.
pub(super) fn connections(query: &str) -> Result<ConnectionFilter, NotACommand> {
    let mut filter = ConnectionFilter::default();
    for pair in pairs(query) {
        let (key, text) = pair?;
        match key {
            "state" => filter.state = Some(text),
            "service" => filter.service = Some(text),
            "peer" => filter.peer = Some(value::<IpAddr>(&text, "address")?),
            _ => return Err(unknown(key, "state, service, peer")),
        }
    }
    Ok(filter)
}

/// `?level=debug`.
pub(super) fn log_level(query: &str) -> Result<LogLevel, NotACommand> {
    let names = || LogLevel::ALL.map(|(name, _)| name).join(", ");
    match pairs(query).next().transpose()? {
        Some(("level", name)) => LogLevel::from_name(&name).ok_or_else(|| unknown(&name, &names())),
        _ => Err(NotACommand::BadQuery(format!("level is missing: one of {}", names()))),
    }
}

/// `?loss=5%25&delay=100ms&direction=out&seed=7`: the keys of the section `[impair.in]`, and these two.
pub(super) fn impair(query: &str) -> Result<Order, NotACommand> {
    let (mut directions, mut seed, mut rest) = (Directions::Both, None, Vec::new());
    for pair in pairs(query) {
        let (key, text) = pair?;
        match key {
            "direction" => {
                directions = match text.as_str() {
                    "in" => Directions::In,
                    "out" => Directions::Out,
                    "both" => Directions::Both,
                    _ => return Err(unknown(&text, "in, out, both")),
                }
            }
            "seed" => seed = Some(value(&text, "seed: a whole number")?),
            _ => rest.push((key.to_owned(), text)),
        }
    }
    let impairment = Impairment::from_pairs(rest).map_err(NotACommand::BadQuery)?;
    Ok(Order::new(directions, impairment, seed))
}

/// `?port=80&host=192.0.2.1&connection=7&count=100&seconds=5`.
pub(super) fn capture(query: &str) -> Result<CaptureRequest, NotACommand> {
    let mut request = CaptureRequest::default();
    for pair in pairs(query) {
        let (key, text) = pair?;
        match key {
            "port" => request.filter.port = Some(value(&text, "port")?),
            "host" => request.filter.host = Some(value(&text, "address")?),
            "connection" => request.connection = Some(ConnectionId::from_u64(value(&text, "connection's number")?)),
            "count" => request.count = Some(value(&text, "count")?),
            "seconds" => {
                let seconds = Duration::try_from_secs_f64(value(&text, "number of seconds")?);
                let seconds = seconds.ok().filter(|seconds| *seconds <= LONGEST_CAPTURE);
                let wrong = || NotACommand::BadQuery(format!("{text:?} is no number of seconds of a year at most"));
                request.duration = Some(seconds.ok_or_else(wrong)?);
            }
            _ => return Err(unknown(key, "port, host, connection, count, seconds")),
        }
    }
    Ok(request)
}

/// The longest capture that ends by itself: a year, so that its end is a moment that clocks know.
const LONGEST_CAPTURE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_network_in_one_line() {
        let order = impair("loss=5%25&delay=100ms&direction=out&seed=7").unwrap();
        let pairs = [("loss", "5%"), ("delay", "100ms")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let asked = Impairment::from_pairs(pairs).unwrap();
        assert_eq!(order, Order { seed: Some(7), inbound: None, outbound: Some(asked) });
        for wrong in ["lost=5%25", "direction=up", "seed=x", "loss=500%25", "delay=%ff"] {
            assert!(matches!(impair(wrong), Err(NotACommand::BadQuery(_))), "{wrong}");
        }
    }

    #[test]
    fn a_capture_with_everything() {
        let request = capture("port=80&host=192.0.2.1&connection=7&count=100&seconds=0.5").unwrap();
        assert_eq!((request.filter.port, request.count), (Some(80), Some(100)));
        assert_eq!(request.connection, Some(ConnectionId::from_u64(7)));
        assert_eq!(request.duration, Some(Duration::from_millis(500)));
        for wrong in ["port=65536", "host=nobody", "count=-1", "seconds=-1", "seconds=inf", "seconds=1e300", "ports=1"]
        {
            assert!(matches!(capture(wrong), Err(NotACommand::BadQuery(_))), "{wrong}");
        }
    }
}
