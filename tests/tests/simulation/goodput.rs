//! How fast a transfer is, by loss and delay, for each congestion control: a table that is compared with the last one.
//!
//! It guards against regressions and praises nothing: the numbers are virtual time. `TAPSTER_UPDATE_SNAPSHOT=1` writes it anew.

use std::fmt::Write as _;
use std::time::Duration;

use tapster_stack::Impairment;
use tapster_stack::tcp::{Configuration, CongestionControl};

use crate::link::Link;

const OCTETS: u64 = 1_000_000;
/// Mean of so many seeds, since one loss more or less at the beginning counts for much.
const SEEDS: u64 = 3;
const LOSSES: [f64; 4] = [0.0, 0.01, 0.03, 0.1];
/// Of a round trip, in milliseconds.
const ROUND_TRIPS: [u64; 3] = [1, 10, 50];
/// A cell may differ by so much, in hundredths of what it was.
const TOLERANCE: f64 = 20.0;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/goodput.txt");

/// Mbit/s of a download over a wire of 200 Mbit/s with a queue of 500 kB.
fn goodput(control: CongestionControl, loss: f64, round_trip: Duration) -> f64 {
    let one_way =
        Impairment { delay: round_trip / 2, rate: Some(200_000_000), queue: 500_000, ..Impairment::default() };
    let configuration = Configuration { congestion_control: control, ..Configuration::default() };
    let mut seconds = 0.0;
    for seed in 0..SEEDS {
        // To the client go the data; what it acknowledges is not lost.
        let impairments = [Impairment { loss, ..one_way }, one_way];
        let mut link = Link::new(seed, &configuration, impairments, [0, OCTETS], 0);
        let took = link.run_to_the_close(Duration::from_secs(3600)).expect("an hour is enough");
        seconds += took.as_secs_f64();
    }
    (OCTETS * SEEDS * 8) as f64 / seconds / 1e6
}

fn table() -> Vec<(String, Vec<f64>)> {
    let mut table = Vec::new();
    for control in [CongestionControl::NewReno, CongestionControl::Cubic] {
        for loss in LOSSES {
            let cells = ROUND_TRIPS.map(|milliseconds| goodput(control, loss, Duration::from_millis(milliseconds)));
            table.push((format!("{control:?} {}%", loss * 100.0), cells.to_vec()));
        }
    }
    table
}

fn write(table: &[(String, Vec<f64>)]) -> String {
    let mut text = String::from("# Mbit/s by loss and round trip (ms); made by goodput.rs\n");
    let _ = writeln!(text, "{:<14}{:>8}{:>8}{:>8}", "", ROUND_TRIPS[0], ROUND_TRIPS[1], ROUND_TRIPS[2]);
    for (name, cells) in table {
        let _ = write!(text, "{name:<14}");
        for cell in cells {
            let _ = write!(text, "{cell:>8.1}");
        }
        text.push('\n');
    }
    text
}

#[test]
fn goodput_is_as_it_was() {
    let table = table();
    let text = write(&table);
    if std::env::var_os("TAPSTER_UPDATE_SNAPSHOT").is_some() {
        std::fs::write(SNAPSHOT, &text).unwrap();
    }
    let snapshot = std::fs::read_to_string(SNAPSHOT).unwrap();
    let known: Vec<f64> = snapshot
        .lines()
        .skip(2)
        .flat_map(|line| line[14..].split_whitespace())
        .map(|cell| cell.parse().unwrap())
        .collect();
    let now: Vec<f64> = table.iter().flat_map(|(_, cells)| cells.clone()).collect();
    assert_eq!(known.len(), now.len(), "the table has changed its shape:\n{text}");
    let is_near = |(known, now): (&f64, &f64)| (known - now).abs() <= known * TOLERANCE / 100.0;
    assert!(known.iter().zip(&now).all(is_near), "was:\n{snapshot}\nis now:\n{text}");
}
