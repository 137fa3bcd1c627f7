//! Many connections: what they cost, and what is left of them.

use tapster_tests::lab::{ADDRESS, Lab, Plan};

const MIB: u64 = 1 << 20;

#[test]
fn a_thousand_connections_reset_by_their_clients_leave_nothing() {
    let lab = Lab::start();
    let client = lab.client(&["reset", &format!("{ADDRESS}:80"), "1000"]);
    assert_eq!(client.greeting(), "1000 reset");
    lab.eventually("no connection is left", || {
        let left = lab.connections();
        left.iter().all(|row| matches!(row["state"].as_str(), Some("TIME-WAIT" | "LISTEN"))).then_some(())
    });
    // And the service is as it was.
    lab.curl().args(["--fail", &format!("http://{ADDRESS}/")]).output().success();
}

#[test]
fn ten_thousand_idle_connections_cost_at_most_20_mebibytes() {
    let mut plan = Plan::new();
    // The usual limit is 10,000, and there shall be room for a newcomer.
    plan.services.push_str("\n[services.http.limits]\nmax_connections = 20000\n");
    let lab = plan.start();
    lab.curl().args(["--fail", &format!("http://{ADDRESS}/")]).output().success();
    let before = lab.daemon().resident_bytes();
    // Ten processes, so that none needs more than the usual 1,024 descriptors.
    let clients: Vec<_> = (0..10).map(|_| lab.client(&["idle", &format!("{ADDRESS}:80"), "1000"])).collect();
    for client in &clients {
        assert_eq!(client.greeting(), "1000 open");
    }
    let rows = lab.connections();
    let established = rows.iter().filter(|row| row["state"] == "ESTABLISHED").count();
    let after = lab.daemon().resident_bytes();
    assert_eq!(established, 10_000);
    let grown = after.saturating_sub(before);
    println!("10,000 idle connections cost {} KiB", grown / 1024);
    assert!(grown <= 20 * MIB);
    // A newcomer is served all the same.
    lab.curl().args(["--fail", &format!("http://{ADDRESS}/")]).output().success();
}
