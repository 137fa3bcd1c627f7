//! `tapster ctl events`: what happens, line by line.
//!
//! Responsible for writing each event as it comes: as JSON, or as a line for people.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use super::{client, failed, refused};
use crate::command_line::exit_code;

/// Follows the events until the reader or the daemon goes.
pub(super) fn run(socket: &Path, target: &str, json: bool) -> ExitCode {
    let mut stream = match client::follow(socket, target) {
        Ok(Ok(stream)) => stream,
        Ok(Err(refusal)) => return refused(&refusal),
        Err(error) => return failed(&error),
    };
    let mut begun = Vec::new();
    loop {
        match stream.next() {
            Ok(Some(bytes)) => begun.extend_from_slice(&bytes),
            Ok(None) => return ExitCode::SUCCESS,
            Err(error) => return failed(&error),
        }
        let whole = begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let lines = String::from_utf8_lossy(&begun[..whole]);
        let shown: String = if json { lines.into_owned() } else { lines.lines().map(for_people).collect() };
        let mut output = io::stdout().lock();
        match output.write_all(shown.as_bytes()).and_then(|()| output.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("tapster: cannot print: {error}");
                return ExitCode::from(exit_code::REFUSED);
            }
        }
        begun.drain(..whole);
    }
}

/// An event as a line: time of day (UTC), name, what it is about.
fn for_people(line: &str) -> String {
    let Ok(event) = serde_json::from_str::<Value>(line) else { return format!("{line}\n") };
    let name = event["event"].as_str().unwrap_or_default().replace('_', "-");
    let text = |field: &str| event[field].as_str().unwrap_or("-").to_owned();
    let about = match (&event["connection"], event["event"].as_str()) {
        (Value::Number(id), _) => {
            let id = id.to_string();
            format!("{id:<6} {:<6} {} - {}", text("service"), text("remote"), text("local"))
        }
        (_, Some("conflict")) => {
            let kept = if event["in_use"] == true { "kept" } else { "given up" };
            format!("{} is also at {}: {kept}", text("address"), text("mac"))
        }
        _ => {
            let fields = event.as_object().into_iter().flatten();
            let others = fields.filter(|(key, _)| !matches!(key.as_str(), "time_seconds" | "event"));
            others.map(|(key, value)| format!("{key} {}", bare(value))).collect::<Vec<_>>().join(", ")
        }
    };
    format!("{}  {name:<12}  {about}\n", time_of_day(event["time_seconds"].as_f64().unwrap_or_default()))
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `HH:MM:SS.mmm`, UTC.
fn time_of_day(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a day has few milliseconds")]
    let milliseconds = (seconds.rem_euclid(86_400.0) * 1000.0) as u64;
    let (seconds, milliseconds) = (milliseconds / 1000, milliseconds % 1000);
    format!("{:02}:{:02}:{:02}.{milliseconds:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_time_name_and_ends() {
        let opened = r#"{"time_seconds":90061.5,"event":"opened","connection":3,"service":"http","local":"192.0.2.2:80","remote":"192.0.2.1:40000"}"#;
        let expected = "01:01:01.500  opened        3      http   192.0.2.1:40000 - 192.0.2.2:80\n";
        assert_eq!(for_people(opened), expected);
        let reload = r#"{"time_seconds":0,"event":"reload","generation":2,"successful":true}"#;
        assert_eq!(for_people(reload), "00:00:00.000  reload        generation 2, successful true\n");
        assert_eq!(for_people("nonsense"), "nonsense\n");
    }
}
