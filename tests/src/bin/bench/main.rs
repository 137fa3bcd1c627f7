//! The benchmark: tapster beside the servers that people run today, on the same machine, in the same minute.
//!
//! Each job alternates between the two, so that a machine that slows down slows both, and reports the median of the
//! paired ratios with its range. The peers (nginx, NSD) serve through the kernel's stack over a veth cable; tapster
//! serves through its own stack over its TAP. Servers have one core and clients another. Nothing leaves the
//! namespaces.

#![forbid(unsafe_code)]

mod bad_network;
mod cpu;
mod job;
mod peer;
mod report;
mod server;

use std::path::PathBuf;

use clap::Parser;

use job::Job;
use report::{Measurement, Report};
use server::Server;

/// From this load on, the servers and clients do not have their cores for themselves.
const BUSY: f64 = 0.5;

/// Measure tapster against nginx and NSD, side by side.
#[derive(Debug, Parser)]
#[command(name = "tests/bench")]
struct Arguments {
    /// The jobs to run, separated by commas; all of them when left out
    #[arg(long, value_delimiter = ',', value_enum)]
    jobs: Vec<Job>,
    /// How many pairs of runs each job has
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// How long one run of a job with a rate lasts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Also write the results to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure the peer against itself: the ratio must come out near 1, which shows what the harness is worth
    #[arg(long)]
    self_check: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let jobs = if arguments.jobs.is_empty() { Job::all() } else { arguments.jobs.clone() };
    let contender = if arguments.self_check { "peer again" } else { "tapster" };
    if let Some(load) = cpu::load().filter(|load| *load > BUSY) {
        println!("The machine is busy (load {load}): rates scatter, and the CPU's share tells more.\n");
    }
    println!("{}", Report::heading(contender));
    let mut reports = Vec::new();
    for job in jobs {
        let mut done = |report: Report| {
            println!("{report}");
            reports.push(report);
        };
        match job {
            Job::BadNetwork => bad_network::run(arguments.pairs, arguments.seconds, done),
            _ => done(run(job, &arguments)),
        }
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&report::document(contender, &reports))?)?;
    }
    Ok(())
}

/// One job: both servers are up all the time, and their clients take turns.
fn run(job: Job, arguments: &Arguments) -> Report {
    let contender: Box<dyn Server> =
        if arguments.self_check { Box::new(peer::start(job)) } else { Box::new(server::tapster(job)) };
    let peer = peer::start(job);
    let measure = |server: &dyn Server| -> Measurement {
        let before = cpu::seconds(server.process());
        let outcome = job.measure(server, arguments.seconds);
        Measurement { rate: outcome.rate, work: outcome.work, cpu_seconds: cpu::seconds(server.process()) - before }
    };
    // The first run of each warms caches and is thrown away.
    measure(contender.as_ref());
    measure(&peer);
    let mut report = Report::new(job.name(), job.peer(), job.units());
    for pair in 0..arguments.pairs {
        // Who goes first changes, so that going first is no advantage.
        let (ours, theirs) = if pair % 2 == 0 {
            let ours = measure(contender.as_ref());
            (ours, measure(&peer))
        } else {
            let theirs = measure(&peer);
            (measure(contender.as_ref()), theirs)
        };
        report.add(ours, theirs);
    }
    report
}
