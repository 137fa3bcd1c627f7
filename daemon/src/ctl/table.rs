//! The control documents as tables.
//!
//! Responsible for how people see them: columns that line up, `-` for what is empty, units that read well. The documents
//! themselves have raw numbers.

use comfy_table::{CellAlignment, ColumnConstraint, Table, presets};
use serde_json::Value;

use crate::command_line::Verb;

/// A column: its heading, the field, and how the field is written.
struct Column {
    heading: &'static str,
    field: &'static str,
    form: Form,
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is, at the left.
    Text,
    /// A number, at the right.
    Number,
    /// Octets, with a unit.
    Bytes,
    /// Microseconds, with a unit.
    Microseconds,
    /// Seconds, with a unit.
    Seconds,
}

use Form::{Bytes, Microseconds, Number, Seconds, Text};

const fn column(heading: &'static str, field: &'static str, form: Form) -> Column {
    Column { heading, field, form }
}

const SERVICES: &[Column] = &[
    column("SERVICE", "name", Text),
    column("LISTENS ON", "listen", Text),
    column("SESSIONS", "sessions", Number),
    column("ACCEPTED", "accepted", Number),
    column("SERVES", "serves", Text),
];

const LISTENERS: &[Column] = &[
    column("PROTOCOL", "protocol", Text),
    column("LOCAL", "local", Text),
    column("SERVICE", "service", Text),
    column("CONNECTIONS", "connections", Number),
    column("HALF-OPEN", "half_open", Number),
    column("MAXIMUM", "maximum_connections", Number),
];

const CONNECTIONS: &[Column] = &[
    column("ID", "id", Number),
    column("SERVICE", "service", Text),
    column("STATE", "state", Text),
    column("LOCAL", "local", Text),
    column("REMOTE", "remote", Text),
    column("RECEIVED", "bytes_received", Bytes),
    column("SENT", "bytes_sent", Bytes),
    column("RETR", "retransmits", Number),
    column("RTT", "rtt_us", Microseconds),
    column("CWND", "cwnd", Bytes),
    column("AGE", "age_seconds", Seconds),
];

const NEIGHBORS: &[Column] = &[
    column("ADDRESS", "address", Text),
    column("MAC", "mac", Text),
    column("STATE", "state", Text),
    column("AGE", "age_seconds", Seconds),
    column("QUEUED", "queued", Number),
];

const ROUTES: &[Column] = &[
    column("DESTINATION", "destination", Text),
    column("GATEWAY", "gateway", Text),
    column("SOURCE", "source", Text),
    column("METRIC", "metric", Number),
];

const GROUPS: &[Column] = &[column("GROUP", "group", Text), column("MEMBERS", "members", Number)];

/// A document as people want to see it.
pub(super) fn of(verb: &Verb, document: &Value) -> String {
    let columns = match verb {
        Verb::Services => SERVICES,
        Verb::Listeners => LISTENERS,
        Verb::Connections { id: None, .. } => CONNECTIONS,
        Verb::Neighbors => NEIGHBORS,
        Verb::Routes => ROUTES,
        Verb::Groups => GROUPS,
        Verb::Status
        | Verb::Connections { id: Some(_), .. }
        | Verb::Statistics
        | Verb::Metrics
        | Verb::Log { .. }
        | Verb::Top
        | Verb::Events
        | Verb::Capture { .. }
        | Verb::Impair { .. }
        | Verb::Kill { .. }
        | Verb::Reset
        | Verb::Reload
        | Verb::Stop => return outline(document),
    };
    let rows = document.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut table = plain_table();
    table.set_header(columns.iter().map(|column| column.heading));
    for row in rows {
        table.add_row(columns.iter().map(|column| written(&row[column.field], column.form)));
    }
    for (column, place) in columns.iter().zip(table.column_iter_mut()) {
        if column.form != Text {
            place.set_cell_alignment(CellAlignment::Right);
        }
        place.set_padding((0, 2));
    }
    lines_of(&table)
}

/// A document of named values, one a line; what is inside another is indented.
fn outline(document: &Value) -> String {
    let mut table = plain_table();
    add_outline(&mut table, document, 0);
    for place in table.column_iter_mut() {
        place.set_padding((0, 2));
        place.set_constraint(ColumnConstraint::ContentWidth);
    }
    lines_of(&table)
}

fn add_outline(table: &mut Table, document: &Value, depth: usize) {
    for (name, value) in document.as_object().into_iter().flatten() {
        let label = format!("{}{}", "  ".repeat(depth), name.replace('_', " "));
        if value.is_object() {
            table.add_row([label, String::new()]);
            add_outline(table, value, depth + 1);
        } else {
            table.add_row([label, written(value, Text)]);
        }
    }
}

/// A table without lines. Long cells are not broken: a narrow terminal does that, a file keeps them whole.
fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn lines_of(table: &Table) -> String {
    table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// Octets with the unit that fits.
pub(super) fn octets(count: f64) -> String {
    scaled(count, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// Microseconds with the unit that fits.
pub(super) fn microseconds(count: f64) -> String {
    scaled(count, 1000.0, &["µs", "ms", "s"])
}

/// A value as text.
fn written(value: &Value, form: Form) -> String {
    match (value, form) {
        (Value::Null, _) => "-".to_owned(),
        (Value::String(text), _) if text.is_empty() => "-".to_owned(),
        (Value::String(text), _) => text.clone(),
        (Value::Array(values), _) if values.is_empty() => "-".to_owned(),
        (Value::Array(values), _) => values.iter().map(|value| written(value, form)).collect::<Vec<_>>().join("\n"),
        (Value::Bool(yes), _) => (if *yes { "yes" } else { "no" }).to_owned(),
        (Value::Number(number), form) => match (number.as_f64().unwrap_or_default(), form) {
            (bytes, Bytes) => octets(bytes),
            (count, Microseconds) => microseconds(count),
            (seconds, Seconds) => age(seconds),
            (_, Number | Text) => number.to_string(),
        },
        (Value::Object(_), _) => value.to_string(),
    }
}

/// A figure with the largest unit that leaves it at 1 or more.
fn scaled(mut figure: f64, step: f64, units: &[&str]) -> String {
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for larger in units {
        if figure < step {
            break;
        }
        figure /= step;
        unit = larger;
    }
    let digits = usize::from(figure < 100.0 && figure.fract() != 0.0);
    format!("{figure:.digits$} {unit}")
}

/// A time span in the two units that matter.
fn age(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ages are small and not negative")]
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86400, whole % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_line_up_and_nothing_is_a_dash() {
        let document = json!([
            {"protocol": "tcp", "local": "*:80", "service": "http", "connections": 12, "half_open": 0,
             "maximum_connections": 1024},
            {"protocol": "udp", "local": "192.0.2.2:53", "service": null, "connections": null, "half_open": null,
             "maximum_connections": null},
        ]);
        let expected = "\
PROTOCOL  LOCAL         SERVICE  CONNECTIONS  HALF-OPEN  MAXIMUM
tcp       *:80          http              12          0     1024
udp       192.0.2.2:53  -                  -          -        -
";
        assert_eq!(of(&Verb::Listeners, &document), expected);
    }

    #[test]
    fn an_outline_indents_what_is_inside() {
        let document = json!({"pid": 7, "link": {"name": "tapster0", "offload": true}, "services": ["dns", "http"]});
        let expected = "pid        7\nlink\n  name     tapster0\n  offload  yes\nservices   dns\n           http\n";
        assert_eq!(of(&Verb::Status, &document), expected);
    }

    #[test]
    fn figures_have_the_unit_that_fits() {
        assert_eq!(written(&json!(0), Bytes), "0 B");
        assert_eq!(written(&json!(1536), Bytes), "1.5 KiB");
        assert_eq!(written(&json!(1_073_741_824_u64), Bytes), "1 GiB");
        assert_eq!(written(&json!(950), Microseconds), "950 µs");
        assert_eq!(written(&json!(12_345), Microseconds), "12.3 ms");
        assert_eq!(age(59.94), "59.9 s");
        assert_eq!(age(61.0), "1 min 1 s");
        assert_eq!(age(90_000.0), "1 d 1 h");
    }
}
