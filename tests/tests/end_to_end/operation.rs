//! Running it: configurations that are wrong, reloads, signals.

use std::time::Duration;

use tapster_tests::content;
use tapster_tests::lab::{ADDRESS, Lab, Namespace, Plan, Program, Signal, ZONE, tapster_binary};

/// A configuration with four mistakes, in four places.
fn plan_with_mistakes() -> Plan {
    let mut plan = Plan::new();
    plan.services = r#"
[links]
mtu = 1500

[services.dns]
lisen = ["192.0.2.2:53"]
[[services.dns.zones]]
name = "example.test"
file = "broken.zone"

[services.http]
[[services.http.sites]]
hosts = ["*"]
root = "missing"
"#
    .to_owned();
    plan.file("broken.zone", format!("{ZONE}bad IN A 192.0.2.256\n"));
    plan
}

/// Which line of the configuration starts so, from 1.
fn line_of(text: &str, start: &str) -> usize {
    1 + text.lines().position(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no line {start}\n{text}"))
}

#[test]
fn check_reports_every_mistake_with_file_line_and_column() {
    let plan = plan_with_mistakes();
    let path = plan.write_configuration();
    let text = std::fs::read_to_string(&path).unwrap();
    let program = Program::outside(&tapster_binary().to_string_lossy());
    let finished = program.arg("check").arg("--config").arg(&path).output().code(6);
    let said = finished.transcript();
    for (file, line) in [
        ("tapster.toml", line_of(&text, "[links]")),
        ("tapster.toml", line_of(&text, "lisen")),
        ("broken.zone", ZONE.lines().count() + 1),
        ("tapster.toml", line_of(&text, "root = \"missing\"")),
    ] {
        let place = format!("{file}:{line}:");
        let (_, rest) = said.split_once(&place).unwrap_or_else(|| panic!("nothing about {place}\n{said}"));
        assert!(rest.starts_with(|first: char| first.is_ascii_digit()), "no column after {place}\n{said}");
    }
    for nearest in ["link", "listen"] {
        let quoted = [format!("`{nearest}`"), format!("\"{nearest}\""), format!("'{nearest}'")];
        assert!(quoted.iter().any(|word| said.contains(word)), "the nearest key {nearest} is not named\n{said}");
    }
}

#[test]
fn run_refuses_a_wrong_configuration_as_check_does() {
    let plan = plan_with_mistakes();
    let configuration = plan.write_configuration();
    let namespace = Namespace::new();
    let program = namespace.program(&tapster_binary().to_string_lossy());
    let finished = program.arg("run").arg("--config").arg(configuration).output().code(6);
    assert!(finished.stderr().contains("broken.zone:"), "{}", finished.transcript());
    let links = namespace.program("ip").args(["-brief", "link"]).output().success().stdout();
    assert!(!links.contains("tapster0"), "a refused configuration made an interface\n{links}");
}

#[test]
fn check_accepts_what_run_runs() {
    let plan = Plan::new();
    let path = plan.write_configuration();
    let program = Program::outside(&tapster_binary().to_string_lossy());
    let finished = program.arg("check").arg("--config").arg(path).output().success();
    assert!(finished.stdout().contains("example.test"), "{}", finished.transcript());
}

#[test]
fn a_second_daemon_on_the_same_interface_says_so_and_ends() {
    let lab = Lab::start();
    let text = std::fs::read_to_string(lab.path("tapster.toml")).unwrap();
    let second = lab.plan().file("second.toml", text.replace("control.sock", "second.sock"));
    let finished = lab.tapster().arg("run").arg("--config").arg(second).output();
    assert!(!finished.succeeded(), "{}", finished.transcript());
    let said = finished.stderr();
    assert_eq!(said.lines().filter(|line| line.contains("tapster0")).count(), 1, "{said}");
    // The first goes on.
    lab.curl().args(["--fail", &format!("http://{ADDRESS}/")]).output().success();
}

#[test]
fn a_set_on_the_command_line_wins_over_the_file() {
    let plan = Plan::new();
    let path = plan.write_configuration();
    let program = Program::outside(&tapster_binary().to_string_lossy());
    // An MTU below what IPv4 needs of every link cannot be right.
    program.args(["check", "--set", "link.mtu=10", "--config"]).arg(path).output().code(6);
}

#[test]
fn terminate_lets_a_download_finish_and_ends_with_success() {
    let mut plan = Plan::new();
    // Longer than the download takes, on however slow a machine.
    plan.services.push_str("\n[event_loop]\ndrain_timeout = \"60s\"\n");
    let original = content::bytes(32 << 20);
    plan.file("www/file", &original);
    let mut lab = plan.start();
    let url = format!("http://{ADDRESS}/file");
    let curl = lab.curl().args(["--fail", "--limit-rate", "16M", "--output", "copy", &url]).start();
    lab.eventually("the download is under way", || {
        lab.connections().iter().any(|row| row["bytes_sent"].as_u64() > Some(1 << 20)).then_some(())
    });
    lab.daemon().signal(Signal::TERM);
    assert_eq!(lab.wait_for_end(Duration::from_secs(70)), Some(0));
    curl.wait().success();
    assert!(std::fs::read(lab.path("copy")).unwrap() == original, "the copy differs");
}

#[test]
fn hang_up_reloads_and_a_broken_file_leaves_the_old_one_in_force() {
    let lab = Lab::start();
    let address = |name: &str| lab.dig().args(["+short", name, "A"]).output().success().stdout();
    let serve = |record: &str, serial: u32| {
        lab.plan()
            .file("example.test.zone", format!("{}{record}\n", ZONE.replace(" 1 3600", &format!(" {serial} 3600"))));
    };
    assert_eq!(address("new.example.test"), "");

    serve("new IN A 192.0.2.77", 2);
    lab.daemon().signal(Signal::HUP);
    lab.eventually("the new record", || (address("new.example.test") == "192.0.2.77\n").then_some(()));

    serve("new IN A 192.0.2.256", 3);
    let refused = lab.ctl().arg("reload").output().code(6);
    assert!(refused.transcript().contains("example.test.zone:"), "{}", refused.transcript());
    assert_eq!(address("new.example.test"), "192.0.2.77\n");

    serve("new IN A 192.0.2.78", 4);
    lab.ctl().arg("reload").output().success();
    assert_eq!(address("new.example.test"), "192.0.2.78\n");
}

#[test]
fn a_reload_leaves_connections_alone() {
    let lab = Lab::start();
    let mut session = lab.session(80);
    lab.ctl().arg("reload").output().success();
    session.must(r"send GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    session.must("save answer");
    assert!(std::fs::read(lab.path("answer")).unwrap().ends_with(b"<h1>The lab</h1>\n"));
}
