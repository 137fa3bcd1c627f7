//! The grid: goodput over a bad cable, tapster's stack beside the kernel's, with the same conditions and the same seed.
//!
//! Both have the same congestion control (CUBIC) and the same cable: a rate of 500 Mbit/s with a queue of 512 KiB, and
//! beyond that what the cell says. What the chance of a seed hits differs, since the segments do. A cell that takes too
//! long is cut off, and its goodput is that of the time that it had; of an upload that is cut off, what the client's
//! kernel has taken counts, which is up to 4 MB more than has arrived. The processor time of nginx says little here: the
//! kernel does its TCP in interrupts, which are nobody's.

use std::path::Path;

use tapster_tests::lab::{ADDRESS, FAR, Far, Finished, HOST, Lab, NEAR, Namespace, Plan, Program, Running, Signal};

use crate::cpu;
use crate::job::{Units, number};
use crate::peer::nginx;
use crate::report::{Measurement, Report};
use crate::server::CORE;

const LOSSES: [f64; 4] = [0.0, 0.01, 0.03, 0.1];

/// Milliseconds each way.
const DELAYS: [u32; 3] = [0, 10, 50];

/// The length of the file, in bytes.
const LENGTH: u64 = 20_000_000;

const RATE: &str = "500000000";

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Down,
    Up,
}

/// Runs the grid and hands out each cell when it is there.
pub(crate) fn run(pairs: u32, seconds: u32, mut cell_done: impl FnMut(Report)) {
    let tapster = tapster();
    let linux = Linux::start();
    for direction in [Direction::Down, Direction::Up] {
        for delay in DELAYS {
            for loss in LOSSES {
                let word = if direction == Direction::Down { "down" } else { "up" };
                let name = format!("{word} {delay} ms {:.0} %", loss * 100.0);
                let units = Units { rate: "MB/s", scale: 1e6, cpu: "s/GB", cpu_scale: 1e3 };
                let mut report = Report::new(name, "nginx", units);
                for pair in 0..pairs {
                    let (loss, delay, seed) = (loss.to_string(), delay.to_string(), (pair + 1).to_string());
                    let conditions = ["--loss", &loss, "--delay", &delay, "--seed", &seed, "--rate", RATE];
                    let far = tapster.far(&conditions);
                    let ours = measure(direction, &far, tapster.daemon().id(), &tapster.path("www/large"), seconds);
                    drop(far);
                    let far = linux.far(&conditions);
                    let theirs = measure(direction, &far, linux.process(), &tapster.path("www/large"), seconds);
                    report.add(ours, theirs);
                }
                cell_done(report);
            }
        }
    }
}

fn measure(direction: Direction, far: &Far, process: u32, original: &Path, seconds: u32) -> Measurement {
    // For uploads.
    cubic(far.program("ip"), FAR);
    let seconds = seconds.to_string();
    let format = "%{size_download} %{size_upload} %{time_total} %{http_code}";
    let curl = far.program("curl").args(["--silent", "--max-time", &seconds, "--output", "/dev/null"]);
    let curl = curl.args(["--write-out", format]);
    let curl = match direction {
        Direction::Down => curl.arg(format!("http://{ADDRESS}/large")),
        Direction::Up => curl.arg("--upload-file").arg(original).arg(format!("http://{ADDRESS}/put/uploaded")),
    };
    let before = cpu::seconds(process);
    let (rate, work) = goodput(direction, &curl.output());
    Measurement { rate, work, cpu_seconds: cpu::seconds(process) - before }
}

/// Bytes a second, and bytes in all.
fn goodput(direction: Direction, finished: &Finished) -> (f64, f64) {
    let output = finished.stdout();
    let fields: Vec<&str> = output.split_whitespace().collect();
    let [down, up, time, status] = fields[..] else { panic!("curl printed {output:?}") };
    // Cut off (28), there may not have been a status yet.
    let well = finished.succeeded() && status.starts_with('2')
        || !finished.succeeded() && ["000", "200", "100"].contains(&status);
    assert!(well, "the transfer failed\n{}", finished.transcript());
    let work = number(if direction == Direction::Down { down } else { up });
    // A cell in which not even the handshake came about is no division by zero.
    (work.max(1.0) / number(time), work.max(1.0))
}

fn tapster() -> Lab {
    let mut plan = Plan::new();
    plan.bridge = Some("br0".to_owned());
    plan.services =
        "[services.http]\n[[services.http.sites]]\nhosts = [\"*\"]\nroot = \"www\"\nwritable = true\n".to_owned();
    write_files(&plan);
    plan.start()
}

fn write_files(plan: &Plan) {
    plan.large_file("www/large", LENGTH);
    plan.file("www/put/.keep", "");
}

/// nginx on the kernel's stack, whose cable is plugged in anew for each cell.
struct Linux {
    server: Option<Running>,
    namespace: Namespace,
    _plan: Plan,
}

impl Linux {
    fn start() -> Self {
        let plan = Plan::new();
        write_files(&plan);
        let namespace = Namespace::new();
        namespace.program("ip").args(["address", "add", &format!("{ADDRESS}/32"), "dev", "lo"]).output().success();
        let server = namespace.program("taskset").args(["-c", CORE]).limit(crate::peer::LIMIT);
        let server = nginx(server, &plan).start();
        Self { server: Some(server), namespace, _plan: plan }
    }

    fn far(&self, conditions: &[&str]) -> Far {
        let far = Far::beyond(&self.namespace, conditions);
        cubic(self.namespace.program("ip"), NEAR);
        far
    }

    fn process(&self) -> u32 {
        self.server.as_ref().map_or(0, Running::id)
    }
}

impl Drop for Linux {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.end(Signal::TERM);
        }
    }
}

/// The kernel's congestion control may be another one by default, and its setting is not for a namespace to change. That
/// of a route is.
fn cubic(ip: Program, interface: &str) {
    let source = if interface == NEAR { ADDRESS } else { HOST };
    let route = ["route", "replace", "192.0.2.0/24", "dev", interface, "src", source, "congctl", "cubic"];
    ip.args(route).output().success();
}
