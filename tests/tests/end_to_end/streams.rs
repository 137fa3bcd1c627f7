//! What goes on: events, captures, and a link made bad while tapster runs.

use std::time::Duration;

use serde_json::{Value, json};
use tapster_tests::lab::{ADDRESS, Finished, Lab, Plan, Signal};

/// The lines of a stream of events.
fn events(finished: &Finished) -> Vec<Value> {
    finished.stdout().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// How many streams the daemon's status knows of, by way of a figure that is there when one has begun.
fn status(lab: &Lab) -> Value {
    lab.ctl().args(["status", "--json"]).output().success().json()
}

#[test]
fn events_tell_of_connections_reloads_and_the_link() {
    let lab = Lab::start();
    let watcher = lab.ctl().args(["events", "--json"]).start();
    lab.eventually("the reader", || (status(&lab)["event_readers"] == json!(1)).then_some(()));
    lab.curl().arg(format!("http://{ADDRESS}/")).output().success();
    let session = lab.session(80);
    let id = lab.eventually("the connection", || lab.connection(session.port()))["id"].clone();
    lab.ctl().args(["kill", &id.to_string()]).output().success();
    lab.ctl().arg("reload").output().success();
    lab.ctl().args(["impair", "loss=1%"]).output().success();
    lab.ctl().args(["impair", "off"]).output().success();
    lab.ctl().arg("reset").output().success();
    lab.ctl().arg("stop").output().success();
    // The stream ends with the daemon.
    let finished = watcher.wait().code(3);
    let seen = events(&finished);
    let names: Vec<_> = seen.iter().filter_map(|event| event["event"].as_str()).collect();
    let wanted = ["opened", "closed", "opened", "killed", "reload", "impair", "impair", "stack_reset"];
    assert_eq!(names.iter().filter(|name| **name != "usable").copied().collect::<Vec<_>>(), wanted, "{seen:?}");
    let killed = seen.iter().find(|event| event["event"] == "killed").unwrap();
    assert_eq!(killed["connection"], id);
    assert_eq!(killed["remote"], json!(format!("192.0.2.1:{}", session.port())));
    assert_eq!(killed["service"], json!("http"));
}

#[test]
fn a_peer_that_does_not_acknowledge_is_an_event() {
    let plan = Plan::new();
    plan.large_file("www/large", 5_000_000);
    let lab = plan.start();
    let mut session = lab.session(80);
    let watcher = lab.ctl().args(["events", "--json"]).start();
    lab.eventually("the reader", || (status(&lab)["event_readers"] == json!(1)).then_some(()));
    lab.ctl().args(["impair", "delay=300ms", "direction=in"]).output().success();
    session.must("send GET /large HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n");
    lab.eventually("the answer", || (lab.connection(session.port())?["bytes_sent"] != json!(0)).then_some(()));
    lab.ctl().args(["impair", "loss=100%", "direction=in"]).output().success();
    let total =
        || lab.ctl().args(["statistics", "--json"]).output().success().json()["tcp"]["retransmission_timeouts"].clone();
    lab.eventually("a time-out", || (total() != json!(0)).then_some(()));
    lab.ctl().arg("stop").output().success();
    let seen = events(&watcher.wait().code(3));
    let late = seen.iter().find(|event| event["event"] == "retransmission_time_out");
    let late = late.unwrap_or_else(|| panic!("{seen:?}"));
    assert_eq!(late["remote"], json!(format!("192.0.2.1:{}", session.port())));
}

#[test]
fn readers_of_events_that_have_gone_are_forgotten() {
    let lab = Lab::start();
    for _ in 0..20 {
        let watcher = lab.ctl().arg("events").start();
        lab.eventually("the reader", || (status(&lab)["event_readers"] != json!(0)).then_some(()));
        watcher.end(Signal::KILL);
        lab.eventually("its end", || (status(&lab)["event_readers"] == json!(0)).then_some(()));
    }
}

#[test]
fn ping_takes_the_delay_that_was_asked_for() {
    let lab = Lab::start();
    let report =
        lab.ctl().args(["impair", "delay=100ms", "direction=out", "seed=1", "--json"]).output().success().json();
    assert_eq!(report["out"]["delay_seconds"], json!(0.1));
    assert_eq!(report["in"]["delay_seconds"], json!(0.0));
    let round_trip = |finished: Finished| -> f64 {
        let text = finished.stdout();
        let (_, figures) = text.split_once("min/avg/max/mdev = ").unwrap_or_else(|| panic!("{text}"));
        figures.split('/').next().and_then(|least| least.parse().ok()).unwrap_or_else(|| panic!("{text}"))
    };
    let ping = |lab: &Lab| lab.program("ping").args(["-c", "3", "-i", "0.2", "-W", "5", ADDRESS]).output().success();
    assert!(round_trip(ping(&lab)) >= 100.0);
    let off = lab.ctl().args(["impair", "off", "--json"]).output().success().json();
    assert_eq!(off, json!({"impaired": false, "seed": null, "in": null, "out": null}));
    assert!(round_trip(ping(&lab)) < 100.0);
}

#[test]
fn a_large_file_comes_whole_through_a_bad_network() {
    let plan = Plan::new();
    plan.large_file("www/large", 5_000_000);
    let lab = plan.start();
    lab.ctl().args(["impair", "loss=5%", "reorder=2%", "duplicate=1%", "corrupt=1%", "seed=7"]).output().success();
    let curl = lab.program("curl").args(["--silent", "--show-error", "--max-time", "55", "--output", "got"]);
    curl.arg(format!("http://{ADDRESS}/large")).limit(Duration::from_secs(60)).output().success();
    assert!(std::fs::read(lab.path("got")).unwrap() == std::fs::read(lab.path("www/large")).unwrap());
    let report = lab.ctl().args(["impair", "--json"]).output().success().json();
    for (direction, what) in [("in", "lost"), ("out", "lost")] {
        assert!(report[direction]["dropped"][what].as_u64() > Some(0), "{report}");
    }
    assert!(report["out"]["counts"]["corrupted"].as_u64() > Some(0), "{report}");
    // Offload is back, and the link fast, when it is over.
    lab.ctl().args(["impair", "off"]).output().success();
    let sent = |lab: &Lab| status(lab)["link"]["frames_sent"].as_u64().unwrap();
    let before = sent(&lab);
    let curl = lab.program("curl").args(["--silent", "--show-error", "--output", "got"]);
    curl.arg(format!("http://{ADDRESS}/large")).output().success();
    // 5 MB are 3450 segments, or at least 77 uncut ones.
    assert!(sent(&lab) - before < 1000, "{} frames", sent(&lab) - before);
}

#[test]
fn the_configuration_can_make_the_link_bad() {
    let mut plan = Plan::new();
    plan.services += "\n[impair]\nseed = 3\n[impair.in]\nloss = \"100%\"\n";
    let lab = plan.start();
    let ping = |lab: &Lab| lab.program("ping").args(["-c", "1", "-W", "1", ADDRESS]).output();
    ping(&lab).code(1);
    let report = lab.ctl().args(["impair", "--json"]).output().success().json();
    assert_eq!((&report["seed"], &report["in"]["loss"]), (&json!(3), &json!(1.0)));
    lab.ctl().args(["impair", "off"]).output().success();
    ping(&lab).success();
    // What was set by hand stays until the section changes.
    let impaired = || lab.ctl().args(["impair", "--json"]).output().success().json()["impaired"].clone();
    lab.ctl().arg("reload").output().success();
    assert_eq!(impaired(), json!(false));
    let text = std::fs::read_to_string(lab.path("tapster.toml")).unwrap();
    lab.plan().file("tapster.toml", text.replace("100%", "1%") + "[log]\nlevel = \"debug\"\n");
    lab.ctl().arg("reload").output().success();
    assert_eq!(impaired(), json!(true));
    assert_eq!(lab.ctl().args(["log", "--json"]).output().success().json(), json!({"level": "debug"}));
    lab.ctl().args(["impair", "lost=1%"]).output().code(1);
    lab.ctl().args(["impair", "off", "loss=1%"]).output().code(2);
}

#[test]
fn a_capture_shows_the_handshake_and_the_close_of_a_request() {
    let lab = Lab::start();
    let capture = lab.ctl().args(["capture", "seen.pcapng", "--port", "80", "--json"]).start();
    lab.eventually("the capture", || (status(&lab)["captures"] == json!(1)).then_some(()));
    lab.curl().arg(format!("http://{ADDRESS}/")).output().success();
    lab.dig().args(["www.example.test", "A"]).output().success();
    lab.eventually("the end of the connection", || {
        lab.connections().iter().all(|row| row["state"] == "TIME-WAIT").then_some(())
    });
    // What ended it is written: the close is complete.
    let capture = {
        lab.eventually("the capture's frames", || {
            (std::fs::read(lab.path("seen.pcapng")).unwrap_or_default().len() > 900).then_some(())
        });
        rustix_interrupt(&lab, capture.id());
        capture.wait().success().json()
    };
    assert_eq!(capture["file"], json!("seen.pcapng"));
    let tshark = lab.program("tshark").args(["-r", "seen.pcapng", "-T", "fields", "-e", "tcp.flags.str"]);
    let flags: Vec<_> = tshark.output().success().stdout().lines().map(|line| line.replace('·', "")).collect();
    assert_eq!(capture["frames"], json!(flags.len()));
    assert_eq!(flags[..3], ["S", "AS", "A"], "{flags:?}");
    assert_eq!(flags.iter().filter(|flags| flags.contains('F')).count(), 2, "{flags:?}");
    assert_eq!(flags.last().map(String::as_str), Some("A"), "{flags:?}");
    let directions =
        lab.program("tshark").args(["-r", "seen.pcapng", "-T", "fields", "-e", "frame.packet_flags_direction"]);
    let directions = directions.output().success().stdout();
    assert!(directions.starts_with("0x00000001\n0x00000002\n0x00000001\n"), "{directions}");
}

fn rustix_interrupt(lab: &Lab, process: u32) {
    lab.program("kill").args(["-INT", &process.to_string()]).output().success();
}

#[test]
fn a_capture_ends_after_its_count() {
    let lab = Lab::start();
    let capture = lab.ctl().args(["capture", "-", "--host", "192.0.2.1", "--count", "2"]).start();
    lab.eventually("the capture", || (status(&lab)["captures"] == json!(1)).then_some(()));
    lab.program("ping").args(["-c", "3", "-i", "0.2", ADDRESS]).output().success();
    let finished = capture.wait().success();
    assert!(finished.stderr().starts_with("2 frames, "), "{}", finished.stderr());
    assert_eq!(finished.bytes()[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    lab.eventually("its end", || (status(&lab)["captures"] == json!(0)).then_some(()));
    lab.ctl().args(["capture", "-", "--connection", "999999"]).output().code(4);
    lab.ctl().args(["capture", "-", "--seconds", "0"]).output().success();
}
