//! Echoes, from the smallest to those that take many fragments.

use tapster_tests::lab::{ADDRESS, Lab, Plan};

fn all_come_back(lab: &Lab, arguments: &[&str], count: u32) {
    let count_text = count.to_string();
    let ping = lab.program("ping").args(["-n", "-w", "20", "-c", &count_text]).args(arguments).arg(ADDRESS);
    let output = ping.output().success().stdout();
    assert!(output.contains(&format!("{count} packets transmitted, {count} received")), "{output}");
    for trouble in ["wrong data byte", "DUP!", "truncated"] {
        assert!(!output.contains(trouble), "{output}");
    }
}

#[test]
fn echoes_of_every_size_come_back() {
    let lab = Lab::start();
    for size in ["0", "56", "1472", "1473", "8000", "65000", "65507"] {
        all_come_back(&lab, &["-i", "0.05", "-s", size], 3);
    }
}

#[test]
fn without_offload_large_echoes_come_back_too() {
    let mut plan = Plan::new();
    plan.offload = false;
    let lab = plan.start();
    for size in ["56", "8000", "65507"] {
        all_come_back(&lab, &["-i", "0.05", "-s", size], 3);
    }
}

#[test]
fn a_flood_of_echoes_loses_none() {
    // Ping sends the next one as soon as the last has come back.
    all_come_back(&Lab::start(), &["-f"], 5000);
}
