//! What an operator changes while tapster runs: the log's level, and the stack as a whole.

use serde_json::json;
use tapster_tests::lab::{ADDRESS, Lab};

#[test]
fn the_level_of_the_log_changes_at_once() {
    let lab = Lab::start();
    let level = || lab.ctl().args(["log", "--json"]).output().success().json();
    assert_eq!(level(), json!({"level": "info"}));
    assert_eq!(lab.ctl().args(["log", "trace", "--json"]).output().success().json(), json!({"level": "trace"}));
    assert_eq!(level(), json!({"level": "trace"}));
    lab.ctl().args(["log", "error"]).output().success();
    // Told as information, which is not logged any more.
    lab.ctl().args(["log", "warn"]).output().success();
    let log = lab.daemon().log();
    assert!(log.contains("level=Trace") && !log.contains("level=Warn"), "{log}");
    lab.ctl().args(["log", "loud"]).output().code(2);
}

#[test]
fn the_daemon_keeps_no_privilege() {
    let lab = Lab::start();
    let status = lab.ctl().args(["status", "--json"]).output().success().json();
    assert_eq!(status["sandbox"], json!({"no_new_privileges": true, "capabilities": []}));
    // The same for each of its threads, as the kernel tells it.
    let tasks = format!("/proc/{}/task", lab.daemon().id());
    let threads: Vec<_> = std::fs::read_dir(&tasks).unwrap().map(|task| task.unwrap().path().join("status")).collect();
    assert!(threads.len() > 1, "{threads:?}");
    for thread in threads {
        let status = std::fs::read_to_string(&thread).unwrap();
        for line in
            ["NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000"]
        {
            assert!(status.contains(line), "{line} is not in {status}");
        }
    }
}

#[test]
fn groups_answers_people_and_programs() {
    let lab = Lab::start();
    let groups = lab.ctl().args(["groups", "--json"]).output().success().json();
    assert!(groups.is_array(), "{groups}");
    let table = lab.ctl().arg("groups").output().success().stdout();
    assert!(table.starts_with("GROUP"), "{table}");
}

#[test]
fn a_reset_ends_connections_and_counters_and_goes_on_serving() {
    let lab = Lab::start();
    let mut session = lab.session(80);
    lab.eventually("the connection", || lab.connection(session.port()));
    let reset = lab.ctl().args(["reset", "--json"]).output().success().json();
    assert_eq!(reset, json!({"reset": true, "connections": 1}));
    // The peer is told.
    assert_eq!(session.command("skip 1"), "reset");
    assert_eq!(lab.connections(), Vec::<serde_json::Value>::new());
    let statistics = lab.ctl().args(["statistics", "--json"]).output().success().json();
    assert_eq!(statistics["tcp"]["passive_opens"], json!(0), "{statistics}");
    let services = |verb: &str| lab.ctl().args([verb, "--json"]).output().success().json();
    assert_eq!(services("listeners").as_array().map(Vec::len), Some(3), "{}", services("listeners"));
    lab.curl().arg(format!("http://{ADDRESS}/")).output().success();
    lab.dig().args(["www.example.test", "A"]).output().success();
    lab.dig().args(["+tcp", "www.example.test", "A"]).output().success();
    assert_eq!(services("statistics")["tcp"]["passive_opens"], json!(2));
}
