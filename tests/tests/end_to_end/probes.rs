//! What network engineers point at a host: arping, ping with options, traceroute, nmap.

use std::time::Duration;

use tapster_tests::lab::{ADDRESS, Lab, MAC, Plan};

const INTERFACE: &str = "tapster0";

#[test]
fn arping_is_answered_and_finds_the_address_taken() {
    let lab = Lab::start();
    let arping = lab.program("arping").args(["-c", "2", "-w", "10", "-I", INTERFACE, ADDRESS]);
    let told = arping.output().success().stdout();
    assert!(told.contains(&format!("[{MAC}]")), "{told}");
    // 0 would mean that nobody has the address (RFC 5227 §2.1.1).
    lab.program("arping").args(["-D", "-c", "1", "-w", "10", "-I", INTERFACE, ADDRESS]).output().code(1);
    lab.program("arping").args(["-D", "-c", "1", "-w", "2", "-I", INTERFACE, "192.0.2.77"]).output().code(0);
}

#[test]
fn somebody_who_claims_tapsters_address_is_seen_and_answered() {
    let lab = Lab::start();
    let conflicts =
        || lab.ctl().args(["statistics", "--json"]).output().success().json()["arp"]["address_conflicts"].as_u64();
    assert_eq!(conflicts(), Some(0));
    // The announcement of another machine that has taken the address.
    lab.program("ip").args(["address", "add", &format!("{ADDRESS}/32"), "dev", INTERFACE]).output().success();
    let _ = lab.program("arping").args(["-U", "-c", "1", "-w", "2", "-I", INTERFACE, ADDRESS]).output();
    lab.program("ip").args(["address", "del", &format!("{ADDRESS}/32"), "dev", INTERFACE]).output().success();
    lab.eventually("the conflict is counted", || conflicts().filter(|count| *count > 0));
    // One conflict is defended (RFC 5227 §2.4), so the address is still tapster's.
    lab.program("ping").args(["-c", "1", "-w", "5", ADDRESS]).output().success();
}

#[test]
fn ping_with_options_is_answered_with_tapsters_part_in_them() {
    let lab = Lab::start();
    let ping = |arguments: &[&str]| {
        lab.program("ping").args(["-n", "-c", "1", "-w", "5"]).args(arguments).arg(ADDRESS).output().success().stdout()
    };
    let told = ping(&["-R"]);
    let route = told.lines().map(str::trim).filter(|line| line.ends_with(ADDRESS) && !line.contains("from")).count();
    assert_eq!(route, 1, "the route holds tapster once\n{told}");
    let told = ping(&["-T", "tsandaddr"]);
    assert!(told.lines().any(|line| line.trim().starts_with(ADDRESS) && line.contains("absolute")), "{told}");
    ping(&["-T", "tsonly"]);
    ping(&["-T", "tsprespec", ADDRESS]);
}

#[test]
fn ping_that_may_not_be_fragmented_is_answered_up_to_the_mtu() {
    let lab = Lab::start();
    let ping = |arguments: &[&str]| {
        lab.program("ping").args(["-n", "-c", "1", "-w", "5"]).args(arguments).arg(ADDRESS).output()
    };
    ping(&["-M", "do", "-s", "1472"]).success();
    assert!(!ping(&["-M", "do", "-s", "1473"]).succeeded());
    ping(&["-M", "dont", "-s", "1473"]).success();
    ping(&["-M", "want", "-s", "20000"]).success();
}

#[test]
fn traceroute_of_every_kind_ends_at_the_first_hop() {
    let lab = Lab::start();
    for kind in [&["-U"][..], &["-I"], &["-T", "-p", "80"], &["-T", "-p", "81"], &["-U", "-p", "53"]] {
        let traceroute = lab.program("traceroute").args(["-n", "-q", "1", "-N", "1", "-w", "2", "-m", "3"]).args(kind);
        let told = traceroute.arg(ADDRESS).output().success().stdout();
        let hops: Vec<&str> = told.lines().skip(1).collect();
        assert!(hops.len() == 1 && hops[0].contains(ADDRESS), "{kind:?}\n{told}");
    }
}

#[test]
fn nmap_finds_exactly_the_open_ports_and_ends() {
    let mut plan = Plan::new();
    plan.services.push_str("\n[services.tftp]\nroot = \"www\"\n[services.smtp]\nmaildir = \"mail\"\n");
    let lab = plan.start();
    let ports = "T:1-1024,U:7,9,19,53,67,68,69,123,137,161,500,514,520,1900,5353";
    let nmap = lab.program("nmap").args(["-n", "-sS", "-sU", "-O", "-T4", "-p", ports, "-oG", "-", ADDRESS]);
    let told = nmap.limit(Duration::from_secs(120)).output().success().stdout();
    let row =
        told.lines().find_map(|line| line.split_once("Ports: ")).unwrap_or_else(|| panic!("no ports in\n{told}")).1;
    let row = row.split('\t').next().unwrap_or_default();
    let mut open: Vec<String> = row
        .split(", ")
        .filter_map(|port| {
            let fields: Vec<&str> = port.split('/').collect();
            // nmap cannot tell an open UDP port that says nothing from one behind a filter.
            fields[1].starts_with("open").then(|| format!("{}/{}", fields[0], fields[2]))
        })
        .collect();
    open.sort();
    assert_eq!(open, ["25/tcp", "53/tcp", "53/udp", "69/udp", "80/tcp"], "{told}");
    lab.curl().args(["--fail", &format!("http://{ADDRESS}/")]).output().success();
}

#[test]
fn scans_that_break_the_rules_find_nothing_and_do_no_harm() {
    let lab = Lab::start();
    for kind in ["-sN", "-sF", "-sX", "-sA", "-sW", "-sM", "-sO"] {
        let nmap = lab.program("nmap").args(["-n", "-Pn", kind, "-T4", "--max-retries", "1"]);
        let nmap = if kind == "-sO" { nmap.args(["-p", "1,2,6,17,47,132"]) } else { nmap.args(["-p", "75-85"]) };
        nmap.arg(ADDRESS).limit(Duration::from_secs(60)).output().success();
    }
    lab.curl().args(["--fail", &format!("http://{ADDRESS}/")]).output().success();
}
