//! What the RFCs demand, line by line, and the test that shows each.
//!
//! The lines are in text files beside this one: `id | level | requirement | tests`, or `no:` and why a line does not apply to a
//! host that only runs its own modules. A line with neither fails, and so does one whose test does not exist. The tests
//! themselves are beside the stack's code. [`table`] makes a document of it all, `conformance.md`; `TAPSTER_UPDATE_SNAPSHOT=1`
//! writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const STACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocols/stack/src");
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/conformance.md");

/// Each RFC, its lines, and how many there are: a line that is lost is noticed.
const RFCS: [(&str, &str, usize); 4] = [
    ("RFC 9293, appendix B", include_str!("rfc9293.txt"), 126),
    ("RFC 5961", include_str!("rfc5961.txt"), 6),
    ("RFC 7323, §2 to §5", include_str!("rfc7323.txt"), 11),
    ("RFC 8985, §6 and §7", include_str!("rfc8985.txt"), 11),
];

/// The files that tests are in, by the name that they have in the tables.
const FILES: [(&str, &str); 27] = [
    ("closing", "transport/tcp/tests/rules/closing.rs"),
    ("congestion_marks", "transport/tcp/tests/rules/congestion_marks.rs"),
    ("cubic", "transport/tcp/congestion/cubic.rs"),
    ("hostile", "transport/tcp/tests/rules/hostile.rs"),
    ("listener", "transport/tcp/listener.rs"),
    ("loss", "transport/tcp/tests/rules/loss.rs"),
    ("network_address", "network/address.rs"),
    ("network_checksum", "network/checksum.rs"),
    ("network_icmp", "network/icmp.rs"),
    ("network_input", "network/tests/input.rs"),
    ("network_options", "network/options.rs"),
    ("network_output", "network/output/tests.rs"),
    ("new_reno", "transport/tcp/congestion/new_reno.rs"),
    ("opening", "transport/tcp/tests/rules/opening.rs"),
    ("receive_window", "transport/tcp/receive_window.rs"),
    ("receiving", "transport/tcp/tests/rules/receiving.rs"),
    ("requirements", "transport/tcp/tests/rules/requirements.rs"),
    ("retransmission_queue", "transport/tcp/retransmission_queue.rs"),
    ("retransmission_timeout", "transport/tcp/retransmission_timeout.rs"),
    ("route", "network/route.rs"),
    ("secrets", "transport/tcp/secrets.rs"),
    ("segment", "transport/tcp/segment.rs"),
    ("sending", "transport/tcp/tests/rules/sending.rs"),
    ("tcp_options", "transport/tcp/options.rs"),
    ("conversation", "transport/tcp/tests/conversation.rs"),
    ("reassembly", "transport/tcp/reassembly.rs"),
    ("syn_cookies", "transport/tcp/syn_cookies.rs"),
];

/// One requirement.
struct Line<'a> {
    id: &'a str,
    level: &'a str,
    requirement: &'a str,
    answer: &'a str,
}

impl Line<'_> {
    /// Why it does not apply.
    fn reason(&self) -> Option<&str> {
        self.answer.strip_prefix("no:").map(str::trim)
    }
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).map(|line| {
        let mut columns = line.splitn(4, '|').map(str::trim);
        let mut next = || columns.next().unwrap_or_default();
        Line { id: next(), level: next(), requirement: next(), answer: next() }
    })
}

/// Whether a file has a test of that name.
fn has_test(source: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let Some(at) = source.find(&function) else { return false };
    let before = source[..at].trim_end();
    // A property test's function stands in `proptest!` with the same attribute.
    before.ends_with("#[test]")
}

/// The document.
fn table() -> String {
    let mut text =
        String::from("# What the RFCs demand of TCP, and the test that shows it\n\nMade by tests/conformance.\n");
    for (rfc, lines_of, _) in RFCS {
        let (mut shown, mut left_out) = (0, 0);
        let mut rows = String::new();
        for line in lines(lines_of) {
            let answer = if let Some(reason) = line.reason() {
                left_out += 1;
                format!("does not apply: {reason}")
            } else {
                shown += 1;
                line.answer.split_whitespace().map(|test| format!("`{test}`")).collect::<Vec<_>>().join("<br>")
            };
            let _ = writeln!(rows, "| {} | {} | {} | {answer} |", line.id, line.level, line.requirement);
        }
        let _ = write!(text, "\n## {rfc}\n\n{shown} lines have a test, {left_out} do not apply.\n\n");
        text.push_str("| line | level | requirement | test |\n|---|---|---|---|\n");
        text.push_str(&rows);
    }
    text
}

#[test]
fn each_line_has_a_test_or_a_reason() {
    let files: BTreeMap<&str, String> = FILES
        .iter()
        .map(|(name, path)| (*name, std::fs::read_to_string(Path::new(STACK).join(path)).unwrap_or_default()))
        .collect();
    let mut wrong = Vec::new();
    for (rfc, text, expected) in RFCS {
        let count = lines(text).count();
        if count != expected {
            wrong.push(format!("{rfc} has {count} lines, not {expected}"));
        }
        for line in lines(text) {
            match line.reason() {
                Some(reason) if reason.len() < 5 => wrong.push(format!("{rfc} {}: the reason is missing", line.id)),
                Some(_) => {}
                None if line.answer.is_empty() => wrong.push(format!("{rfc} {}: neither a test nor a reason", line.id)),
                None => {
                    for test in line.answer.split_whitespace() {
                        let (file, name) = test.split_once("::").unwrap_or(("", test));
                        if !files.get(file).is_some_and(|source| has_test(source, name)) {
                            wrong.push(format!("{rfc} {}: there is no test {test}", line.id));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_document_is_up_to_date() {
    let table = table();
    if std::env::var_os("TAPSTER_UPDATE_SNAPSHOT").is_some() && std::fs::write(TABLE, &table).is_err() {
        panic!("{TABLE} cannot be written");
    }
    let known = std::fs::read_to_string(TABLE).unwrap_or_default();
    assert!(
        known == table,
        "conformance.md is old: TAPSTER_UPDATE_SNAPSHOT=1 cargo test -p tapster-tests --test conformance"
    );
}
