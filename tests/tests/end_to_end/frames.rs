//! Frames that no kernel would send, brought in over a bridge.

use tapster_tests::lab::{ADDRESS, Lab, MAC, Plan};

const BRIDGE: &str = "br0";

fn lab_on_a_bridge() -> Lab {
    let mut plan = Plan::new();
    plan.bridge = Some(BRIDGE.to_owned());
    plan.start()
}

fn serves(lab: &Lab) {
    lab.program("ping").args(["-c", "3", "-i", "0.05", "-w", "10", ADDRESS]).output().success();
    lab.curl().args(["--fail", &format!("http://{ADDRESS}/")]).output().success();
    let address = lab.dig().args(["+short", "www.example.test", "A"]).output().success().stdout();
    assert_eq!(address, "192.0.2.2\n");
}

#[test]
fn a_segment_of_a_bridge_is_served() {
    serves(&lab_on_a_bridge());
}

#[test]
fn broken_frames_of_every_kind_do_no_harm() {
    let lab = lab_on_a_bridge();
    let mut injector = lab.client(&["inject", "inject0", MAC]);
    assert_eq!(injector.greeting(), "ready");
    lab.program("ip").args(["link", "set", "inject0", "master", BRIDGE, "up"]).output().success();
    let received = || {
        // What the interface transmits is what the daemon receives.
        let links =
            lab.program("ip").args(["-json", "-statistics", "link", "show", "tapster0"]).output().success().json();
        links[0]["stats64"]["tx"]["packets"].as_u64().unwrap_or_else(|| panic!("no count in {links}"))
    };
    let before = received();
    for seed in 1..=10 {
        injector.must(&format!("garbage {seed} 2000"));
        serves(&lab);
    }
    let arrived = received() - before;
    assert!(arrived > 10_000, "only {arrived} frames came to the daemon's interface");
}
