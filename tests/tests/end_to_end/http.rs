//! Web pages and large files over tapster's own TCP.

use std::path::Path;
use std::time::Duration;

use tapster_tests::content;
use tapster_tests::lab::{ADDRESS, Lab, Plan};

const MIB: u64 = 1 << 20;

fn url(path: &str) -> String {
    format!("http://{ADDRESS}/{path}")
}

/// Downloads by curl straight into `cmp`, which names the first byte that differs.
fn download_and_compare(lab: &Lab, path: &str, original: &Path) {
    let script = r#"set -o pipefail; curl --silent --show-error --fail --max-time 100 "$1" | cmp - "$2""#;
    let bash = lab.program("bash").args(["-c", script, "bash", &url(path)]).arg(original);
    bash.limit(Duration::from_secs(110)).output().success();
}

#[test]
fn a_page_is_served_with_its_type_and_length() {
    let lab = Lab::start();
    let page = lab.curl().args(["--include", &url("")]).output().success().stdout();
    let (head, body) = page.split_once("\r\n\r\n").expect("a header and a body");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-type: text/html"), "{head}");
    assert!(head.contains("content-length: 17"), "{head}");
    assert_eq!(body, "<h1>The lab</h1>\n");
}

#[test]
fn one_gibibyte_arrives_intact_three_times() {
    let plan = Plan::new();
    let original = plan.large_file("www/large", 1024 * MIB);
    let lab = plan.start();
    for _ in 0..3 {
        download_and_compare(&lab, "large", &original);
    }
}

#[test]
fn without_offload_and_with_an_ordinary_mtu_64_mebibytes_arrive_intact() {
    let mut plan = Plan::new();
    plan.offload = false;
    plan.mtu = 1500;
    let original = plan.large_file("www/large", 64 * MIB);
    download_and_compare(&plan.start(), "large", &original);
}

#[test]
fn with_jumbo_frames_64_mebibytes_arrive_intact() {
    let mut plan = Plan::new();
    plan.mtu = 9000;
    let original = plan.large_file("www/large", 64 * MIB);
    download_and_compare(&plan.start(), "large", &original);
}

#[test]
fn a_hundred_clients_at_once_each_get_their_file() {
    let plan = Plan::new();
    let original = content::bytes(MIB as usize);
    plan.file("www/file", &original);
    let lab = plan.start();
    let script = r#"seq 100 | xargs -P 100 -I{} curl --silent --show-error --fail --max-time 50 --output copy-{} "$1""#;
    lab.program("bash").args(["-c", script, "bash", &url("file")]).limit(Duration::from_secs(60)).output().success();
    for number in 1..=100 {
        assert!(std::fs::read(lab.path(&format!("copy-{number}"))).unwrap() == original, "copy {number} differs");
    }
}

#[test]
fn several_urls_are_served_on_one_kept_connection() {
    let plan = Plan::new();
    for name in ["a", "b", "c"] {
        plan.file(&format!("www/{name}"), name);
    }
    let lab = plan.start();
    let curl = lab.curl().args(["--write-out", " %{num_connects}\n", &url("a"), &url("b"), &url("c")]);
    assert_eq!(curl.output().success().stdout(), "a 1\nb 0\nc 0\n");
}

#[test]
fn head_has_the_length_and_no_body() {
    let plan = Plan::new();
    plan.file("www/file", content::bytes(12_345));
    let lab = plan.start();
    // A second request on the same connection would choke on a body that should not be there.
    let curl = lab.curl().args(["--head", "--write-out", "%{num_connects}\n", &url("file"), &url("file")]);
    let output = curl.output().success().stdout().to_ascii_lowercase();
    assert_eq!(output.matches("content-length: 12345\r\n").count(), 2, "{output}");
    assert!(output.ends_with("\r\n\r\n0\n"), "the second used the first's connection\n{output}");
}

#[test]
fn what_is_not_there_is_404_and_the_connection_lives_on() {
    let lab = Lab::start();
    let format = "%{http_code} %{num_connects}\n";
    let curl = lab.curl().args(["--output", "/dev/null", "--output", "/dev/null", "--write-out", format]);
    assert_eq!(curl.args([url("missing"), url("")]).output().success().stdout(), "404 1\n200 0\n");
}

#[test]
fn a_path_does_not_lead_out_of_the_root() {
    let lab = Lab::start();
    for path in ["../example.test.zone", "%2e%2e/example.test.zone", "..%2fexample.test.zone"] {
        let curl = lab.curl().args(["--path-as-is", "--output", "/dev/null", "--write-out", "%{http_code}"]);
        let status = curl.arg(url(path)).output().success().stdout();
        assert!(["400", "403", "404"].contains(&status.as_str()), "{path} is answered by {status}");
    }
}

#[test]
fn ranges_are_the_bytes_asked_for() {
    let plan = Plan::new();
    let original = content::bytes(100_000);
    plan.file("www/file", &original);
    let lab = plan.start();
    for (range, expected) in [("1000-1999", &original[1000..2000]), ("99000-", &original[99_000..])] {
        let finished = lab.curl().args(["--range", range, &url("file")]).output().success();
        assert!(finished.bytes() == expected, "range {range}: {} bytes", finished.bytes().len());
    }
    let last = lab.curl().args(["--range", "-500", &url("file")]).output().success();
    assert!(last.bytes() == &original[99_500..], "the last 500: {} bytes", last.bytes().len());
    let format = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    let status =
        |range: &str| lab.curl().args(format).args(["--range", range, &url("file")]).output().success().stdout();
    assert_eq!(status("0-0"), "206");
    assert_eq!(status("100000-"), "416");
}

#[test]
fn a_client_that_closes_its_half_first_still_gets_the_whole_answer() {
    let plan = Plan::new();
    let original = content::bytes(8 * MIB as usize);
    plan.file("www/file", &original);
    let lab = plan.start();
    let mut session = lab.session(80);
    session.must(r"send GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    session.must("finish");
    session.must("save answer");
    let answer = std::fs::read(lab.path("answer")).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert!(answer.ends_with(&original), "the body is not whole: {} bytes with the header", answer.len());
}

#[test]
fn a_reader_that_stops_closes_the_window_and_gets_everything_once_it_reads_on() {
    let plan = Plan::new();
    let original = content::bytes(16 * MIB as usize);
    plan.file("www/file", &original);
    let lab = plan.start();
    let mut session = lab.client(&["session", &format!("{ADDRESS}:80"), "--receive-buffer", "16384"]);
    let port = session.port();
    session.must(r"send GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    session.must("skip 9");
    // The window is closed when nothing more goes although there is much left.
    let mut before = None;
    let sent = lab.eventually("tapster stops sending", || {
        let sent = lab.connection(port)?["bytes_sent"].as_u64().filter(|sent| *sent > 0);
        let same = (sent.is_some() && sent == before).then_some(sent?);
        before = sent;
        same
    });
    assert!(sent < 8 * MIB, "{sent} bytes went to a reader that does not read");
    session.must("save answer");
    let answer = std::fs::read(lab.path("answer")).unwrap();
    assert!(answer.ends_with(&original), "the body is not whole: {} bytes with the header", answer.len());
}
