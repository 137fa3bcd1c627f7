//! More of everything than anybody should send: the service goes on, memory stays within its bounds, and every frame is
//! accounted for.

use serde_json::Value;
use tapster_tests::lab::{ADDRESS, Lab, MAC, Plan, Signal};

const MIB: u64 = 1 << 20;
const BRIDGE: &str = "br0";

fn statistics(lab: &Lab) -> Value {
    lab.ctl().args(["statistics", "--json"]).output().success().json()
}

/// A counter, named as `protocol.counter`.
#[track_caller]
fn count(statistics: &Value, name: &str) -> u64 {
    let (protocol, counter) = name.split_once('.').expect("protocol.counter");
    statistics[protocol][counter].as_u64().unwrap_or_else(|| panic!("there is no {name} in {statistics}"))
}

fn drops(statistics: &Value, protocol: &str) -> u64 {
    let dropped = statistics[protocol]["dropped"].as_object().expect("drops");
    dropped.values().map(|count| count.as_u64().expect("a count")).sum()
}

/// A lab whose interface has a longer queue: on a busy machine the flood would fill the usual one while tapster waits for
/// a processor, and what the kernel drops there never comes to tapster.
fn lab_with_a_long_queue() -> Lab {
    let lab = Lab::start();
    lab.program("ip").args(["link", "set", "tapster0", "txqueuelen", "50000"]).output().success();
    lab
}

/// A newcomer is served at once. Had its SYN, or the answer to it, been lost, it would have had to wait a second.
fn serves_at_once(lab: &Lab) {
    let curl = lab.curl().args(["--fail", "--connect-timeout", "0.9", "--output", "/dev/null"]);
    curl.arg(format!("http://{ADDRESS}/")).output().success();
}

#[test]
fn a_flood_of_syns_from_spoofed_sources_keeps_nobody_out() {
    let lab = lab_with_a_long_queue();
    serves_at_once(&lab);
    let before = lab.daemon().resident_bytes();
    let hping = lab.program("hping3").args(["-q", "-S", "-p", "80", "--rand-source", "-i", "u10", ADDRESS]).start();
    let seen = lab.eventually("100,000 SYNs have come", || {
        serves_at_once(&lab);
        Some(statistics(&lab)).filter(|statistics| count(statistics, "tcp.segments_received") >= 100_000)
    });
    hping.end(Signal::INT);
    assert!(count(&seen, "tcp.syn_cookies_sent") > 50_000, "{seen}");
    assert!(count(&seen, "tcp.syn_cookies_accepted") > 0, "{seen}");
    let grown = lab.daemon().resident_bytes().saturating_sub(before);
    assert!(grown <= 4 * MIB, "the flood costs {} KiB", grown / 1024);
}

#[test]
fn floods_of_other_kinds_keep_nobody_out() {
    let lab = lab_with_a_long_queue();
    serves_at_once(&lab);
    let before = lab.daemon().resident_bytes();
    for kind in [
        &["--icmp"][..],
        &["--icmp", "--frag", "--data", "1000", "--rand-source"],
        &["--icmp", "--icmptype", "13"],
        &["--udp", "-p", "9", "--rand-source"],
        &["--udp", "-p", "53", "--data", "40"],
        &["-A", "-p", "80", "--rand-source"],
        &["-F", "-P", "-U", "-p", "80", "--rand-source"],
        &["-S", "-A", "-p", "80"],
        &["-S", "-p", "80", "--spoof", ADDRESS],
        &["-S", "-p", "80", "--data", "500", "--badcksum"],
        &["--rawip", "--ipproto", "200", "--data", "20"],
    ] {
        let first = count(&statistics(&lab), "link.received");
        let hping = lab.program("hping3").args(["-q", "-i", "u20"]).args(kind).arg(ADDRESS).start();
        lab.eventually(&format!("10,000 frames of {kind:?}"), || {
            serves_at_once(&lab);
            (count(&statistics(&lab), "link.received") > first + 10_000).then_some(())
        });
        hping.end(Signal::INT);
    }
    let grown = lab.daemon().resident_bytes().saturating_sub(before);
    assert!(grown <= 8 * MIB, "the floods cost {} KiB", grown / 1024);
}

fn lab_on_a_bridge() -> Lab {
    let mut plan = Plan::new();
    plan.bridge = Some(BRIDGE.to_owned());
    plan.start()
}

#[test]
fn every_frame_is_delivered_or_dropped_for_a_reason_that_is_counted() {
    let lab = lab_on_a_bridge();
    let mut injector = lab.client(&["inject", "inject0", MAC]);
    lab.program("ip").args(["link", "set", "inject0", "master", BRIDGE, "up"]).output().success();
    // No more at a time than the interface's queue holds: what it drops never comes to tapster.
    for seed in 1..=40 {
        injector.must(&format!("garbage {seed} 500"));
        serves_at_once(&lab);
    }
    let seen = statistics(&lab);
    let count = |name| count(&seen, name);
    assert!(count("link.received") > 15_000, "{seen}");
    // What cannot be sent is a drop of the link, too.
    let link = drops(&seen, "link") - seen["link"]["dropped"]["egress_overflow"].as_u64().expect("a count");
    assert_eq!(count("link.received"), count("arp.received") + count("ip.received") + link, "link: {seen}");
    // A protocol that nobody speaks is found out after delivery.
    let unknown = seen["ip"]["dropped"]["unknown_protocol"].as_u64().expect("a count");
    let ip = drops(&seen, "ip") - unknown;
    // Fragments go in, whole datagrams come out.
    let reassembly = count("reassembly.received") - count("reassembly.reassembled");
    assert_eq!(count("ip.received"), count("ip.delivered") + ip + reassembly, "ip: {seen}");
    let above = unknown
        + count("icmp.received")
        + count("igmp.received")
        + count("udp.received")
        + count("tcp.segments_received");
    assert_eq!(count("ip.delivered"), above, "above ip: {seen}");
    assert_eq!(count("udp.received"), count("udp.delivered") + drops(&seen, "udp"), "udp: {seen}");
    for (protocol, drop) in
        [("ip", "bad_checksum"), ("ip", "bad_total_length"), ("tcp", "bad_checksum"), ("icmp", "bad_checksum")]
    {
        assert!(seen[protocol]["dropped"][drop].as_u64() > Some(0), "{protocol} {drop}: {seen}");
    }
}

#[test]
fn fragments_that_never_become_whole_keep_within_their_bound() {
    let lab = lab_on_a_bridge();
    let mut injector = lab.client(&["inject", "inject0", MAC]);
    lab.program("ip").args(["link", "set", "inject0", "master", BRIDGE, "up"]).output().success();
    serves_at_once(&lab);
    let before = lab.daemon().resident_bytes();
    // 140 MB in all.
    injector.must("fragments 100000");
    let seen = lab.eventually("most fragments have come", || {
        Some(statistics(&lab)).filter(|seen| count(seen, "reassembly.received") > 50_000)
    });
    assert!(drops(&seen, "reassembly") > 40_000, "{seen}");
    let grown = lab.daemon().resident_bytes().saturating_sub(before);
    assert!(grown <= 16 * MIB, "the fragments cost {} KiB", grown / 1024);
    serves_at_once(&lab);
    // There is room for an honest datagram of 45 fragments.
    lab.program("ping").args(["-c", "1", "-w", "5", "-s", "65000", ADDRESS]).output().success();
}

#[test]
fn neighbors_that_nobody_asked_for_keep_within_their_bound() {
    let lab = lab_on_a_bridge();
    let mut injector = lab.client(&["inject", "inject0", MAC]);
    lab.program("ip").args(["link", "set", "inject0", "master", BRIDGE, "up"]).output().success();
    serves_at_once(&lab);
    let before = lab.daemon().resident_bytes();
    injector.must("neighbors 60000");
    lab.eventually("most requests have come", || (count(&statistics(&lab), "arp.received") > 30_000).then_some(()));
    let rows = lab.ctl().args(["neighbors", "--json"]).output().success().json();
    let rows = rows.as_array().expect("rows").len();
    assert!(rows <= 1024, "{rows} neighbours");
    let grown = lab.daemon().resident_bytes().saturating_sub(before);
    assert!(grown <= 4 * MIB, "the requests cost {} KiB", grown / 1024);
    serves_at_once(&lab);
}
