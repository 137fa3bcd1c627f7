//! The life of a connection, as tapster tells it and as the kernel at the other end sees it.

use tapster_tests::content;
use tapster_tests::lab::{Lab, Plan};

/// The state of the kernel's end of the connection with this local port, in ss's words.
fn peer_state(lab: &Lab, port: u16) -> Option<String> {
    let filter = format!("sport = :{port}");
    let output = lab.program("ss").args(["-Htan", &filter]).output().success().stdout();
    output.split_whitespace().next().map(str::to_owned)
}

/// Waits until both ends are in these states. What was seen on the way is printed when the test fails.
#[track_caller]
fn becomes(lab: &Lab, port: u16, state: &str, peer: &str) {
    let mut last = (String::new(), String::new());
    lab.eventually(&format!("{state} here and {peer} at the peer"), || {
        let row = lab.connection(port);
        let ours = row.as_ref().and_then(|row| row["state"].as_str()).unwrap_or("gone").to_owned();
        let seen = (ours, peer_state(lab, port).unwrap_or_else(|| "gone".to_owned()));
        if seen != last {
            println!("{} here, {} at the peer", seen.0, seen.1);
            last = seen;
        }
        (last.0 == state && last.1 == peer).then_some(())
    });
}

#[test]
fn the_server_closes_first_and_waits_out_the_last_segments() {
    let lab = Lab::start();
    let mut session = lab.session(80);
    let port = session.port();
    becomes(&lab, port, "ESTABLISHED", "ESTAB");
    session.must(r"send GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    // A client that closes with data unread resets the connection (RFC 2525 §2.17), so it reads first.
    session.must("save answer");
    becomes(&lab, port, "FIN-WAIT-2", "CLOSE-WAIT");
    session.must("close");
    becomes(&lab, port, "TIME-WAIT", "gone");
}

#[test]
fn the_client_closes_its_half_first_while_the_server_still_sends() {
    let plan = Plan::new();
    plan.file("www/file", content::bytes(16 << 20));
    let lab = plan.start();
    let mut session = lab.session(80);
    let port = session.port();
    session.must(r"send GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    session.must("finish");
    becomes(&lab, port, "CLOSE-WAIT", "FIN-WAIT-2");
    session.must("save answer");
    session.must("close");
    lab.eventually("the connection is gone here", || lab.connection(port).is_none().then_some(()));
    assert_eq!(peer_state(&lab, port).as_deref(), Some("TIME-WAIT"));
}

#[test]
fn an_idle_client_that_goes_leaves_nothing_here() {
    let lab = Lab::start();
    let mut session = lab.session(80);
    let port = session.port();
    session.must("close");
    lab.eventually("the connection is gone here", || lab.connection(port).is_none().then_some(()));
}

#[test]
fn a_row_tells_who_what_and_how_much() {
    let plan = Plan::new();
    plan.file("www/file", content::bytes(100_000));
    let lab = plan.start();
    let mut session = lab.session(80);
    let request = "GET /file HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n";
    session.must(&format!("send {request}"));
    session.must("skip 100000");
    let row = lab.connection(session.port()).expect("a row");
    assert_eq!(row["protocol"].as_str().map(str::to_ascii_lowercase).as_deref(), Some("tcp"), "{row}");
    assert_eq!(row["local"], "192.0.2.2:80", "{row}");
    assert_eq!(row["remote"], format!("192.0.2.1:{}", session.port()), "{row}");
    assert_eq!(row["service"], "http", "{row}");
    assert_eq!(row["bytes_received"].as_u64(), Some(request.replace("\\r\\n", "\r\n").len() as u64), "{row}");
    assert!(row["bytes_sent"].as_u64() > Some(100_000), "{row}");
    for number in ["retransmits", "rtt_us", "cwnd", "age_seconds"] {
        assert!(row[number].is_number(), "{number} in {row}");
    }
    assert!(row["rtt_us"].as_f64() > Some(0.0), "{row}");
}

#[test]
fn rows_are_chosen_by_state_service_and_peer_and_one_is_shown_whole() {
    let lab = Lab::start();
    let session = lab.session(80);
    let id = lab.connection(session.port()).expect("a row")["id"].to_string();
    let id = id.trim_matches('"');
    let count = |arguments: &[&str]| {
        let rows = lab.ctl().args(["connections", "--json"]).args(arguments).output().success().json();
        let rows = rows.as_array().expect("an array").clone();
        rows.iter().filter(|row| row["id"].to_string().trim_matches('"') == id).count()
    };
    for (chosen, left_out) in [
        (["--state", "ESTABLISHED"], ["--state", "TIME-WAIT"]),
        (["--service", "http"], ["--service", "dns"]),
        (["--peer", "192.0.2.1"], ["--peer", "192.0.2.77"]),
    ] {
        assert_eq!(count(&chosen), 1, "{chosen:?}");
        assert_eq!(count(&left_out), 0, "{left_out:?}");
    }
    let whole = lab.ctl().args(["connections", id, "--json"]).output().success().json();
    assert!(whole.to_string().contains("ESTABLISHED"), "{whole}");
}

#[test]
fn kill_resets_the_connection_at_once() {
    let lab = Lab::start();
    let mut session = lab.session(80);
    let id = lab.connection(session.port()).expect("a row")["id"].to_string();
    lab.ctl().args(["kill", id.trim_matches('"')]).output().success();
    assert_eq!(session.command("skip 1"), "reset");
    assert!(lab.connection(session.port()).is_none());
}
