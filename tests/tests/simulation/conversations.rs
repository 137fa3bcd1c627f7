//! Conversations over networks of every kind: what is read is what was written, both sides end closed, and nothing is left.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use tapster_stack::tcp::{Configuration, CongestionControl};
use tapster_stack::{Burst, Impairment};

use crate::link::{CLIENT, Dice, Link, SERVER};

/// Runs by default. More with `TAPSTER_SIMULATION_RUNS`.
const RUNS: u64 = 200;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Plays many seeds, and says which one has failed.
fn play(name: &str, experiment: impl Fn(u64)) {
    let seeds = match number("TAPSTER_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TAPSTER_SIMULATION_RUNS").unwrap_or(RUNS),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| experiment(seed))) {
            eprintln!("{name} has failed: TAPSTER_SIMULATION_SEED={seed} plays it again");
            resume_unwind(panic);
        }
    }
}

/// What is set by chance on both hosts.
fn configuration(dice: &mut Dice) -> Configuration {
    // Where two thirds of all round trips fail, eleven in a row do so now and then: giving up after R2 would be right.
    let mut configuration = Configuration { user_timeout: Duration::from_secs(3 * 3600), ..Configuration::default() };
    let mut chance = |percent: u64| dice.below(100) < percent;
    if chance(50) {
        configuration.congestion_control = CongestionControl::NewReno;
    }
    configuration.nagle = chance(50);
    configuration.timestamps = chance(70);
    configuration.ecn = chance(50);
    let (small_receiver, small_sender) = (chance(30), chance(30));
    if small_receiver {
        // Small enough for the window to close.
        configuration.receive_buffer = 4_000 + dice.below(60_000) as usize;
    }
    if small_sender {
        configuration.send_buffer = 1 + dice.below(30_000) as usize;
    }
    configuration
}

/// A network of some kind. `badness` is the most of a hundred that each misfortune happens to.
fn impairment(dice: &mut Dice, badness: f64) -> Impairment {
    let mut share = || dice.below(1000) as f64 / 1000.0 * badness / 100.0;
    let impairment =
        Impairment { loss: share(), duplicate: share(), corrupt: share(), reorder: share(), ..Impairment::default() };
    Impairment {
        burst: (dice.below(4) == 0).then_some(Burst { begin: 0.002, end: 0.3 }),
        delay: Duration::from_micros(50 << dice.below(12)),
        jitter: Duration::from_micros(dice.below(5_000)),
        reorder_by: Duration::from_micros(dice.below(20_000)),
        rate: (dice.below(2) == 0).then(|| 1_000_000 << dice.below(8)),
        queue: 10_000 + dice.below(200_000) as usize,
        ..impairment
    }
}

/// A conversation to its end, and a look at what is left.
fn converse(seed: u64, badness: f64, most: u64) {
    let mut dice = Dice::new(seed ^ 0x5eed);
    let configuration = configuration(&mut dice);
    let impairments = [impairment(&mut dice, badness), impairment(&mut dice, badness)];
    let octets = [dice.below(most), dice.below(most)];
    let slowness = dice.below(3) as u32 * 150;
    let mut link = Link::new(seed, &configuration, impairments, octets, slowness);
    let ended = link.run(Duration::from_secs(6 * 3600));
    for end in [CLIENT, SERVER] {
        let (application, host) = (&link.applications[end], &link.hosts[end]);
        let rows: Vec<_> = host.connections().map(|row| (row.state, host.connection(row.id))).collect();
        let context = format!("end {end}: {application:?} {rows:#?}");
        assert_eq!(application.ended, None, "{context}");
        assert!(application.closed, "{context}");
        assert_eq!(application.read, octets[1 - end], "{context}");
        assert!(rows.is_empty(), "a connection is left: {context}");
        let counters = host.tcp_counters();
        let left = (counters.connections, counters.half_open, counters.time_wait, counters.memory_in_use);
        assert_eq!(left, (0, 0, 0, 0), "{context}");
        assert!(host.listeners().all(|row| row.half_open == 0 && row.connections == 0), "{context}");
        assert!(ended && host.next_deadline().is_none(), "a timer is left: {:?} {context}", host.next_deadline());
    }
}

#[test]
fn good_networks() {
    play("good_networks", |seed| converse(seed, 0.0, 300_000));
}

#[test]
fn bad_networks() {
    play("bad_networks", |seed| converse(seed, 5.0, 150_000));
}

#[test]
fn very_bad_networks() {
    play("very_bad_networks", |seed| converse(seed, 30.0, 20_000));
}
