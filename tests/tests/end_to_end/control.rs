//! `tapster ctl` and the control socket: one document, two ways to it.

use tapster_tests::lab::{ADDRESS, Lab};

#[test]
fn every_verb_that_shows_something_answers_people_and_programs() {
    let lab = Lab::start();
    // There is something to show in each.
    lab.curl().arg(format!("http://{ADDRESS}/")).output().success();
    lab.dig().args(["www.example.test", "A"]).output().success();
    for verb in ["status", "services", "listeners", "connections", "neighbors", "routes", "statistics"] {
        let table = lab.ctl().arg(verb).output().success().stdout();
        assert!(!table.trim().is_empty() && !table.contains('\u{1b}'), "{verb} printed {table:?}");
        let document = lab.ctl().args([verb, "--json"]).output().success().json();
        assert!(document.is_array() || document.is_object(), "{verb} --json printed {document}");
    }
}

#[test]
fn services_listeners_neighbors_and_routes_name_what_is_there() {
    let lab = Lab::start();
    lab.curl().arg(format!("http://{ADDRESS}/")).output().success();
    let shows = |verb: &str, wanted: &[&str]| {
        let document = lab.ctl().args([verb, "--json"]).output().success().json().to_string();
        for word in wanted {
            assert!(document.contains(word), "{verb} does not name {word}: {document}");
        }
    };
    shows("services", &["http", "dns", "example.test"]);
    shows("listeners", &["http", "dns", "80", "53"]);
    shows("neighbors", &["192.0.2.1"]);
    shows("routes", &["192.0.2.0/24", "192.0.2.1"]);
}

#[test]
fn metrics_are_prometheus_text_and_count_requests() {
    let lab = Lab::start();
    let total = || {
        let text = lab.ctl().arg("metrics").output().success().stdout();
        assert!(text.contains("# TYPE tapster_"), "{text}");
        let samples = text.lines().filter(|line| line.starts_with("tapster_http_requests_total"));
        samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };
    let before = total();
    for _ in 0..3 {
        lab.curl().arg(format!("http://{ADDRESS}/")).output().success();
    }
    let counted = total() - before;
    assert!((counted - 3.0).abs() < 0.5, "{counted} requests were counted instead of 3");
}

#[test]
fn curl_on_the_socket_gets_the_document_that_ctl_prints() {
    let lab = Lab::start();
    let session = lab.session(80);
    let curl = lab.curl().arg("--unix-socket").arg(lab.path("control.sock")).arg("http://tapster/v1/connections");
    let by_curl = curl.output().success().json();
    let by_ctl = lab.ctl().args(["connections", "--json"]).output().success().json();
    // All but the times that pass between the two.
    let steady = |document: &serde_json::Value| {
        let rows = document.as_array().expect("an array").iter();
        rows.map(|row| [row["id"].clone(), row["local"].clone(), row["remote"].clone(), row["state"].clone()]).collect()
    };
    let (by_curl, by_ctl): (Vec<_>, Vec<_>) = (steady(&by_curl), steady(&by_ctl));
    assert_eq!(by_curl, by_ctl);
    let remote = serde_json::json!(format!("192.0.2.1:{}", session.port()));
    assert!(by_curl.iter().any(|[_, _, found, _]| *found == remote), "{by_curl:?}");
}

#[test]
fn curl_on_the_socket_gets_metrics_as_text() {
    let lab = Lab::start();
    let curl = lab.curl().arg("--unix-socket").arg(lab.path("control.sock"));
    let text = curl.args(["--fail", "http://tapster/v1/metrics"]).output().success().stdout();
    assert!(text.contains("# HELP tapster_") && text.contains("# TYPE tapster_"), "{text}");
}

#[test]
fn exit_codes_tell_usage_reach_and_absence_apart() {
    let lab = Lab::start();
    lab.ctl().arg("no-such-verb").output().code(2);
    lab.ctl().arg("kill").output().code(2);
    lab.tapster().args(["ctl", "--socket", "/nonexistent/control.sock", "status"]).output().code(3);
    lab.ctl().args(["kill", "999999999"]).output().code(4);
    lab.ctl().args(["connections", "999999999"]).output().code(4);
}

#[test]
fn a_failure_is_one_sentence() {
    let lab = Lab::start();
    for finished in [
        lab.tapster().args(["ctl", "--socket", "/nonexistent/control.sock", "status"]).output(),
        lab.ctl().args(["kill", "999999999"]).output(),
    ] {
        assert_eq!(finished.stderr().trim_end().lines().count(), 1, "{}", finished.transcript());
        assert_eq!(finished.stdout(), "");
    }
}

#[test]
fn stop_ends_the_daemon() {
    let mut lab = Lab::start();
    lab.ctl().arg("stop").output().success();
    assert_eq!(lab.wait_for_end(std::time::Duration::from_secs(20)), Some(0));
}
