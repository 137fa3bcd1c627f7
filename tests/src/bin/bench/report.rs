//! The figures: medians, ranges, a line for people and a document for programs.

use std::fmt;

use serde_json::{Value, json};

use crate::job::Units;

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measurement {
    /// Units a second.
    pub(crate) rate: f64,
    /// Units in all.
    pub(crate) work: f64,
    /// The server's processor time.
    pub(crate) cpu_seconds: f64,
}

/// All pairs of a job, or of one cell of a grid.
#[derive(Debug)]
pub(crate) struct Report {
    name: String,
    peer: &'static str,
    units: Units,
    pairs: Vec<(Measurement, Measurement)>,
}

impl Report {
    pub(crate) fn new(name: impl Into<String>, peer: &'static str, units: Units) -> Self {
        Self { name: name.into(), peer, units, pairs: Vec::new() }
    }

    pub(crate) fn add(&mut self, ours: Measurement, theirs: Measurement) {
        self.pairs.push((ours, theirs));
    }

    /// The line above the lines.
    pub(crate) fn heading(contender: &str) -> String {
        format!("{:<17} {contender:>14} {:>14}  {:<22} {:<28} CPU seconds a run", "job", "peer", "ratio", "CPU")
    }

    fn ours(&self, figure: impl Fn(&Measurement) -> f64) -> f64 {
        median(self.pairs.iter().map(|(ours, _)| figure(ours)))
    }

    fn theirs(&self, figure: impl Fn(&Measurement) -> f64) -> f64 {
        median(self.pairs.iter().map(|(_, theirs)| figure(theirs)))
    }

    fn ratios(&self) -> impl Iterator<Item = f64> + '_ {
        self.pairs.iter().map(|(ours, theirs)| ours.rate / theirs.rate)
    }

    fn json(&self) -> Value {
        let side = |measurements: Vec<Measurement>| -> Value {
            let run = |run: Measurement| json!({"rate": run.rate, "work": run.work, "cpu_seconds": run.cpu_seconds});
            measurements.into_iter().map(run).collect()
        };
        json!({
            "job": self.name,
            "peer": self.peer,
            "unit": if self.units.rate.ends_with("B/s") { "bytes" } else { "requests" },
            "contender_runs": side(self.pairs.iter().map(|(ours, _)| *ours).collect()),
            "peer_runs": side(self.pairs.iter().map(|(_, theirs)| *theirs).collect()),
            "ratio": {
                "median": median(self.ratios()),
                "minimum": self.ratios().fold(f64::INFINITY, f64::min),
                "maximum": self.ratios().fold(0.0, f64::max),
            },
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.units;
        let rate = |value: f64| format!("{:.2} {}", value / units.scale, units.rate);
        let cpu = |run: &Measurement| run.cpu_seconds / run.work * units.scale * units.cpu_scale;
        let minimum = self.ratios().fold(f64::INFINITY, f64::min);
        let maximum = self.ratios().fold(0.0, f64::max);
        let ratio = format!("{:.2} [{minimum:.2}..{maximum:.2}]", median(self.ratios()));
        let cpu = format!("{:.2} against {:.2} {}", self.ours(cpu), self.theirs(cpu), units.cpu);
        write!(
            f,
            "{:<17} {:>14} {:>14}  {ratio:<22} {cpu:<28} {:.2} against {:.2} ({})",
            self.name,
            rate(self.ours(|run| run.rate)),
            rate(self.theirs(|run| run.rate)),
            self.ours(|run| run.cpu_seconds),
            self.theirs(|run| run.cpu_seconds),
            self.peer
        )
    }
}

/// The whole run as one document.
pub(crate) fn document(contender: &str, reports: &[Report]) -> Value {
    json!({ "contender": contender, "jobs": reports.iter().map(Report::json).collect::<Value>() })
}

/// The middle one, or the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_odd_and_even_counts() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0].into_iter()) - 2.5).abs() < 1e-9);
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let run = |rate| Measurement { rate, work: 1.0, cpu_seconds: 1.0 };
        let mut report = Report::new("job", "peer", Units { rate: "k/s", scale: 1e3, cpu: "us each", cpu_scale: 1e3 });
        for (ours, theirs) in [(10.0, 5.0), (4.0, 1.0), (3.0, 3.0)] {
            report.add(run(ours), run(theirs));
        }
        let ratio = &report.json()["ratio"];
        assert_eq!((&ratio["median"], &ratio["minimum"], &ratio["maximum"]), (&json!(2.0), &json!(1.0), &json!(4.0)));
    }
}
