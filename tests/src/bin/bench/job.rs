//! The jobs: which client works on the server, and what its output says.

use std::time::Duration;

use tapster_tests::lab::Finished;

use crate::server::Server;

/// How long one run may take at most.
const LIMIT: Duration = Duration::from_secs(120);

/// The core that the clients have for themselves.
const CLIENT_CORE: &str = "1";

/// The length of the large file, in bytes: 1 GiB.
pub(crate) const LARGE: u64 = 1 << 30;

/// The length of the small file, in bytes.
pub(crate) const SMALL: usize = 1024;

/// How many names the zone has.
pub(crate) const NAMES: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Job {
    /// One large file by curl, against nginx with sendfile
    HttpDownload,
    /// 1 KiB files over 64 kept connections by wrk, against nginx as it is delivered
    HttpSmall,
    /// The same, against nginx tuned for small files: open_file_cache on, sendfile off
    HttpSmallTuned,
    /// Queries over UDP by dnsperf, 100 outstanding, against NSD
    DnsUdp,
}

/// What one run came to.
pub(crate) struct Outcome {
    /// Units a second.
    pub(crate) rate: f64,
    /// Units in all.
    pub(crate) work: f64,
}

impl Job {
    pub(crate) fn all() -> Vec<Self> {
        <Self as clap::ValueEnum>::value_variants().to_vec()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HttpDownload => "http-download",
            Self::HttpSmall => "http-small",
            Self::HttpSmallTuned => "http-small-tuned",
            Self::DnsUdp => "dns-udp",
        }
    }

    /// The peer's name.
    pub(crate) fn peer(self) -> &'static str {
        if self.is_http() { "nginx" } else { "NSD" }
    }

    /// What a rate counts, how large one such unit is, and what the processor time is told for.
    pub(crate) fn units(self) -> Units {
        match self {
            Self::HttpDownload => Units { rate: "GB/s", scale: 1e9, cpu: "s/GB", cpu_scale: 1.0 },
            Self::HttpSmall | Self::HttpSmallTuned | Self::DnsUdp => {
                Units { rate: "k/s", scale: 1e3, cpu: "us each", cpu_scale: 1e3 }
            }
        }
    }

    pub(crate) fn is_http(self) -> bool {
        self != Self::DnsUdp
    }

    /// Lets the client work once.
    pub(crate) fn measure(self, server: &dyn Server, seconds: u32) -> Outcome {
        let address = server.address();
        let client = server.client("taskset").args(["-c", CLIENT_CORE]).limit(LIMIT);
        let seconds = seconds.to_string();
        let wrk = ["wrk", "-t1", "-c64", "-d", &seconds];
        match self {
            Self::HttpDownload => {
                let format = "%{http_code} %{size_download} %{speed_download}";
                let curl = ["curl", "--silent", "--show-error", "--output", "/dev/null", "--write-out", format];
                download(&client.args(curl).arg(format!("http://{address}/large")).output().success())
            }
            Self::HttpSmall => requests(&client.args(wrk).arg(format!("http://{address}/small")).output().success()),
            Self::HttpSmallTuned => {
                requests(&client.args(wrk).arg(format!("http://{address}/tuned/small")).output().success())
            }
            Self::DnsUdp => {
                let dnsperf = ["dnsperf", "-c", "1", "-q", "100", "-l", &seconds, "-s", address, "-d"];
                queries(&client.args(dnsperf).arg(server.directory().join("queries")).output().success())
            }
        }
    }
}

/// How a job's figures are told.
pub(crate) struct Units {
    pub(crate) rate: &'static str,
    pub(crate) scale: f64,
    pub(crate) cpu: &'static str,
    pub(crate) cpu_scale: f64,
}

fn download(finished: &Finished) -> Outcome {
    let output = finished.stdout();
    let fields: Vec<&str> = output.split_whitespace().collect();
    let [status, size, speed] = fields[..] else { panic!("curl printed {output:?}") };
    assert!(status == "200" && size == LARGE.to_string(), "the download failed: status {status}, {size} bytes");
    Outcome { rate: number(speed), work: LARGE as f64 }
}

fn requests(finished: &Finished) -> Outcome {
    let output = finished.stdout();
    for trouble in ["Non-2xx", "Socket errors"] {
        assert!(!output.contains(trouble), "wrk met errors\n{output}");
    }
    let total = output.lines().find_map(|line| line.trim().split_once(" requests in "));
    let (total, _) = total.unwrap_or_else(|| panic!("wrk printed no total\n{output}"));
    Outcome { rate: number(after(&output, "Requests/sec:")), work: number(total) }
}

fn queries(finished: &Finished) -> Outcome {
    let output = finished.stdout();
    let completed = after(&output, "Queries completed:");
    // Everything that was answered must have been answered well.
    let codes = after(&output, "Response codes:");
    assert!(codes.starts_with("NOERROR") && codes.contains("(100.00%)"), "dnsperf met errors\n{output}");
    Outcome {
        rate: number(after(&output, "Queries per second:")),
        work: number(completed.split_whitespace().next().unwrap_or_default()),
    }
}

/// What stands after a label.
fn after<'a>(output: &'a str, label: &str) -> &'a str {
    let line = output.lines().find_map(|line| line.trim().strip_prefix(label));
    line.unwrap_or_else(|| panic!("there is no {label:?} in\n{output}")).trim()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}
