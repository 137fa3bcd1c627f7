//! Whole conversations over bad networks: what is read is what was written, and afterwards nothing is left.

use std::time::Duration;

use super::super::{Configuration, CongestionControl};
use super::harness::{CLIENT, Pair, SERVER, Weather};
use super::wire::Dice;

const GOOD: Weather = Weather {
    delay: Duration::from_millis(5),
    jitter: Duration::ZERO,
    loss: 0,
    duplication: 0,
    refusals: 0,
    cuts: false,
};

fn configuration(dice: &mut Dice) -> Configuration {
    let mut configuration = Configuration::default();
    if dice.chance(500) {
        configuration.congestion_control = CongestionControl::NewReno;
    }
    if dice.chance(300) {
        // Small enough for the window to close.
        configuration.receive_buffer = 4_000 + dice.below(60_000) as usize;
    }
    if dice.chance(300) {
        configuration.send_buffer = 1 + dice.below(30_000) as usize;
    }
    configuration.nagle = dice.chance(500);
    configuration
}

/// Runs a conversation to its end and looks at what is left.
fn converse(seed: u64, weather: Weather, octets: [u64; 2]) -> Pair {
    let mut dice = Dice::new(seed ^ 0x5eed);
    let configuration = configuration(&mut dice);
    let mut pair = Pair::new(seed, &configuration, weather, octets);
    pair.connect();
    let ended = pair.run(Duration::from_secs(3 * 3600));
    for end in [CLIENT, SERVER] {
        let application = &pair.applications[end];
        let tcp = &pair.tcp[end];
        let details: Vec<_> = tcp.connections().filter_map(|row| tcp.detail(row.id)).collect();
        let context = format!("seed {seed}, end {end}, {weather:?}\n{application:?}\n{details:#?}");
        assert_eq!(application.ended, None, "{context}");
        assert!(application.closed, "{context}");
        assert_eq!(application.read, octets[1 - end], "{context}");
        assert!(ended, "a timer is left: {context}");
        assert_eq!(tcp.connections().count(), 0, "{context}");
        let counters = tcp.counters();
        assert_eq!(counters.memory_in_use, 0, "{context}");
        assert!(tcp.time_wait.is_empty() && tcp.events.is_empty(), "{context}");
        assert_eq!((counters.connections, counters.half_open, counters.time_wait), (0, 0, 0), "{context}");
        assert!(tcp.listeners().all(|row| row.half_open == 0 && row.connections == 0), "{context}");
        assert!(tcp.wheel.len() == 0 && tcp.ready.is_empty() && tcp.replies.is_empty(), "{context}");
    }
    pair
}

#[test]
fn a_good_network_needs_no_retransmission() {
    for seed in 0..20 {
        let pair = converse(seed, GOOD, [200_000, 300_000]);
        for tcp in &pair.tcp {
            let counters = tcp.counters();
            // A reader who pauses closes the window, and its probes may have to be sent again.
            let probes = counters.window_probes_sent + counters.retransmission_timeouts;
            assert!(counters.segments_retransmitted <= probes, "seed {seed}: {counters:?}");
            assert_eq!(counters.fast_retransmits, 0, "seed {seed}: {counters:?}");
        }
    }
}

#[test]
fn a_bad_network_changes_nothing_but_the_time() {
    for seed in 100..400 {
        let mut dice = Dice::new(seed);
        let weather = Weather {
            delay: Duration::from_micros(50 << dice.below(11)),
            jitter: Duration::from_micros(dice.below(10_000)),
            loss: dice.below(100),
            duplication: dice.below(50),
            refusals: dice.below(2) * 300,
            cuts: dice.chance(700),
        };
        let octets = [dice.below(150_000), dice.below(150_000)];
        converse(seed, weather, octets);
    }
}

#[test]
fn very_heavy_loss() {
    for seed in 1000..1030 {
        let weather = Weather { loss: 300, cuts: true, ..GOOD };
        converse(seed, weather, [20_000, 20_000]);
    }
}
