//! Words for what a type did not accept.
//!
//! Responsible for turning serde's terms into those of the person who writes the file: `u16` into a range, a map into
//! a table, a wrong name into the nearest right one.

use crate::path::KeyPath;
use crate::tree::FailureKind;

/// A message and advice.
#[derive(Debug, PartialEq)]
pub(crate) struct Explanation {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// Says what is wrong at a path, given whether a table stands there.
pub(crate) fn explain(kind: &FailureKind, path: &KeyPath, is_table: bool) -> Explanation {
    let (name, table) = (path.name(), path.table());
    match kind {
        FailureKind::UnknownKey { key, known } => Explanation {
            message: if is_table {
                format!("unknown section [{path}]")
            } else {
                format!("unknown key `{key}` {table}")
            },
            help: Some(suggest(key, known)),
        },
        FailureKind::UnknownValue { value, known } => Explanation {
            message: format!("unknown value `{value}` for `{name}` {table}"),
            help: Some(suggest(value, known)),
        },
        FailureKind::MissingKey(key) => {
            Explanation { message: format!("missing key `{key}` {}", path.as_table()), help: None }
        }
        FailureKind::Message(message) => Explanation { message: prefixed(path, message), help: None },
        FailureKind::Wrong { found, expected } => {
            let (expected, help) = plain_expectation(expected);
            let found = plain_finding(found);
            Explanation {
                message: prefixed(path, &format!("expected {expected}, found {found}")),
                help: help.map(str::to_owned),
            }
        }
    }
}

fn prefixed(path: &KeyPath, message: &str) -> String {
    if path.elements().is_empty() {
        message.to_owned()
    } else {
        format!("invalid `{}` {}: {message}", path.name(), path.table())
    }
}

/// What serde and the crates on it say they expect, in plain words, and an example where one helps.
fn plain_expectation(expected: &str) -> (&str, Option<&'static str>) {
    match expected {
        "u8" => ("an integer from 0 to 255", None),
        "u16" => ("an integer from 0 to 65535", None),
        "u32" => ("an integer from 0 to 4294967295", None),
        "u64" | "usize" => ("an integer that is not negative", None),
        "i64" | "i32" | "isize" => ("an integer", None),
        "f32" | "f64" => ("a number", None),
        "a boolean" => ("true or false", None),
        "a string" => ("a string", Some("a string stands in quotes")),
        "path string" => ("a path", Some("a path is a string in quotes")),
        "a sequence" => ("an array", Some("an array stands in brackets: [\"a\", \"b\"]")),
        "a map" => ("a table", None),
        "a duration" => ("a duration", Some("such as \"30s\", \"5m\" or \"1h 30m\"")),
        // What `bytesize` says.
        "an integer or string" | "parsable string" | "integer overflow" => ("a size", Some("such as 4096 or \"4MiB\"")),
        other if other.starts_with("struct ") => ("a table", None),
        other => (other, None),
    }
}

/// What serde says it found, in plain words.
fn plain_finding(found: &str) -> String {
    match found {
        "map" => "a table".to_owned(),
        "sequence" => "an array".to_owned(),
        other => match other.split_once(' ') {
            Some(("integer", value)) => format!("the integer {value}"),
            Some(("string", value)) => format!("the string {value}"),
            Some(("boolean", value)) => value.to_owned(),
            Some(("floating", value)) => format!("the number {}", value.trim_start_matches("point ")),
            _ => other.to_owned(),
        },
    }
}

/// The nearest known name, or all of them when none is near.
pub(crate) fn suggest(name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None if known.is_empty() => "there are no keys here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known name that is most like this one, if one is near enough to have been meant.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let length = name.chars().count();
    // The distance costs the product of the lengths; a name this long is no slip of the hand.
    if length > 64 {
        return None;
    }
    let name = name.to_lowercase();
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&name, known), *known))
        .filter(|(distance, known)| *distance <= known.len().max(length).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name() {
        let known = ["hostname", "addresses", "gateways", "routes"];
        assert_eq!(nearest("adresses", &known), Some("addresses"));
        assert_eq!(nearest("Gateway", &known), Some("gateways"));
        assert_eq!(nearest("host_name", &known), Some("hostname"));
        assert_eq!(nearest("zzz", &known), None);
        assert_eq!(nearest(&"a".repeat(100_000), &known), None);
    }

    #[test]
    fn suggestions() {
        assert_eq!(suggest("adresses", &["addresses"]), "did you mean `addresses`?");
        assert_eq!(suggest("bbr", &["newreno", "cubic"]), "known here: newreno, cubic");
        assert_eq!(suggest("x", &[]), "there are no keys here");
    }
}
