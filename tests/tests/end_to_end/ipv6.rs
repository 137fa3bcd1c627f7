//! The same over IPv6: echoes, names, pages and large files, and what `ctl` says of them.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tapster_tests::lab::{ADDRESS6, HOST6, Lab, MAC, Plan};

const MIB: u64 = 1 << 20;

/// The link-local address that tapster makes of its hardware address (RFC 4291 appendix A).
const LINK_LOCAL: &str = "fe80::54:41ff:fe50:5302";

/// A lab whose IPv6 address has come into use: nobody else has it, which takes a second or two to find out.
fn start(plan: Plan) -> Lab {
    let lab = plan.start();
    lab.eventually("tapster's IPv6 addresses", || {
        let status = lab.ctl().args(["status", "--json"]).output().success().json();
        let in_use = |address: &str| {
            let addresses = status["addresses"].as_array()?;
            addresses.iter().find(|row| row.as_str().is_some_and(|row| row.starts_with(address)))
        };
        in_use(ADDRESS6).and(in_use(LINK_LOCAL)).cloned()
    });
    lab
}

fn url(path: &str) -> String {
    format!("http://[{ADDRESS6}]/{path}")
}

fn all_come_back(lab: &Lab, arguments: &[&str], destination: &str, count: u32) {
    let count_text = count.to_string();
    let ping = lab.program("ping").args(["-6", "-n", "-w", "20", "-c", &count_text]).args(arguments).arg(destination);
    let output = ping.output().success().stdout();
    assert!(output.contains(&format!("{count} packets transmitted, {count} received")), "{output}");
    for trouble in ["wrong data byte", "truncated"] {
        assert!(!output.contains(trouble), "{output}");
    }
}

fn download_and_compare(lab: &Lab, path: &str, original: &Path) {
    let script = r#"set -o pipefail; curl --silent --show-error --fail --max-time 100 "$1" | cmp - "$2""#;
    let bash = lab.program("bash").args(["-c", script, "bash", &url(path)]).arg(original);
    bash.limit(Duration::from_secs(110)).output().success();
}

#[test]
fn an_address_can_be_reached_as_soon_as_the_daemon_runs() {
    // The kernel asks again for an address that is not in use yet: nobody notices more than a delay.
    let lab = Plan::new().start();
    assert_eq!(lab.curl().arg(url("")).output().success().stdout(), "<h1>The lab</h1>\n");
}

#[test]
fn echoes_of_every_size_come_back() {
    let lab = start(Plan::new());
    for size in ["0", "56", "1452", "1453", "8000", "65000", "65527"] {
        all_come_back(&lab, &["-i", "0.05", "-s", size], ADDRESS6, 3);
    }
    all_come_back(&lab, &["-i", "0.05"], &format!("{LINK_LOCAL}%tapster0"), 3);
    all_come_back(&lab, &["-f"], ADDRESS6, 5000);
}

#[test]
fn without_offload_large_echoes_and_64_mebibytes_come_too() {
    let mut plan = Plan::new();
    plan.offload = false;
    let original = plan.large_file("www/large", 64 * MIB);
    let lab = start(plan);
    for size in ["56", "8000", "65527"] {
        all_come_back(&lab, &["-i", "0.05", "-s", size], ADDRESS6, 3);
    }
    download_and_compare(&lab, "large", &original);
}

#[test]
fn one_gibibyte_arrives_intact() {
    let plan = Plan::new();
    let original = plan.large_file("www/large", 1024 * MIB);
    download_and_compare(&start(plan), "large", &original);
}

#[test]
fn a_download_travels_in_frames_of_many_segments() {
    let plan = Plan::new();
    plan.large_file("www/large", 256 * MIB);
    let lab = start(plan);
    let link = || lab.ctl().args(["status", "--json"]).output().success().json()["link"].clone();
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("no number: {value}"));
    let before = link();
    lab.curl().args(["--output", "/dev/null", &url("large")]).output().success();
    let after = link();
    let frames = number(&after["frames_sent"]) - number(&before["frames_sent"]);
    let bytes = number(&after["bytes_sent"]) - number(&before["bytes_sent"]);
    assert!(bytes / frames > 20_000.0, "{bytes} bytes in {frames} frames");
}

#[test]
fn names_are_answered_over_both_transports() {
    let lab = start(Plan::new());
    let dig = |arguments: &[&str]| {
        let server = format!("@{ADDRESS6}");
        let dig = lab.program("dig").args([&server, "+tries=1", "+time=5", "+short"]).args(arguments);
        dig.output().success().stdout()
    };
    assert_eq!(dig(&["six.example.test", "AAAA"]), format!("{ADDRESS6}\n"));
    assert_eq!(dig(&["+tcp", "www.example.test", "A"]), "192.0.2.2\n");
    // Cut in UDP, whole in TCP.
    assert_eq!(dig(&["large.example.test", "TXT"]).lines().count(), 20);
}

#[test]
fn ctl_shows_connections_neighbours_and_routes() {
    let lab = start(Plan::new());
    let session = lab.client(&["session", &format!("[{ADDRESS6}]:80")]);
    let port = session.port();
    let row = lab.eventually("the connection", || lab.connection(port));
    assert_eq!(row["local"], format!("[{ADDRESS6}]:80"));
    assert_eq!(row["remote"], format!("[{HOST6}]:{port}"));
    assert_eq!((&row["state"], &row["service"]), (&"ESTABLISHED".into(), &"http".into()));
    let rows = |verb: &str| lab.ctl().args([verb, "--json"]).output().success().json();
    let has = |rows: &Value, key: &str, value: &str| {
        rows.as_array().is_some_and(|rows| rows.iter().any(|row| row[key] == value))
    };
    assert!(has(&rows("neighbors"), "address", HOST6));
    assert!(has(&rows("routes"), "destination", "2001:db8:77::/64"));
    let neighbor = lab.program("ip").args(["-6", "neighbor", "show", ADDRESS6]).output().success().stdout();
    assert!(neighbor.contains(MAC), "{neighbor}");
}

#[test]
fn a_closed_port_is_refused() {
    let lab = start(Plan::new());
    let output = lab.curl().arg(format!("http://[{ADDRESS6}]:81/")).output();
    output.code(7);
}
