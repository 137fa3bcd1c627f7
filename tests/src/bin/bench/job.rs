//! The jobs: which client works on the server, and what its output says.

use std::time::Duration;

use tapster_tests::lab::{Finished, Program};

use crate::server::Server;

/// How long one run may take at most.
const LIMIT: Duration = Duration::from_secs(120);

/// The core that the clients have for themselves.
const CLIENT_CORE: &str = "1";

/// The length of the large file, in bytes: 1 GiB.
pub(crate) const LARGE: u64 = 1 << 30;

/// The length of the small file, in bytes.
pub(crate) const SMALL: usize = 1024;

/// The length of the file that is put, in bytes.
pub(crate) const UPLOAD: u64 = 256 << 20;

/// The length of the boot file, in bytes.
pub(crate) const BOOT: u64 = 32 << 20;

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
    /// A 1 KiB file over a new connection each, by wrk with `Connection: close`, against nginx
    HttpNewConnections,
    /// One large file put by curl, against nginx with its DAV module; set TMPDIR to a tmpfs to leave out the disk
    Upload,
    /// Queries over UDP by dnsperf, 100 outstanding, against NSD
    DnsUdp,
    /// Queries over 20 TCP connections by dnsperf, 200 outstanding, against NSD
    DnsTcp,
    /// A file by atftp in blocks of 512 octets, one at a time, against atftpd
    #[value(name = "tftp-512")]
    Tftp512,
    /// The same in blocks of 1428 octets
    #[value(name = "tftp-1428")]
    Tftp1428,
    /// The same in blocks of 8192 octets
    #[value(name = "tftp-8192")]
    Tftp8192,
    /// Blocks of 1428 octets, 16 at a time (RFC 7440)
    #[value(name = "tftp-1428-16")]
    Tftp1428Window16,
    /// Blocks of 1428 octets, 64 at a time
    #[value(name = "tftp-1428-64")]
    Tftp1428Window64,
    /// Blocks of 8192 octets, 16 at a time
    #[value(name = "tftp-8192-16")]
    Tftp8192Window16,
    /// 20 MB over a cable that loses and delays, both ways: a grid, against nginx on the kernel's stack
    BadNetwork,
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
            Self::HttpNewConnections => "http-new-connections",
            Self::Upload => "upload",
            Self::DnsUdp => "dns-udp",
            Self::DnsTcp => "dns-tcp",
            Self::Tftp512 => "tftp-512",
            Self::Tftp1428 => "tftp-1428",
            Self::Tftp8192 => "tftp-8192",
            Self::Tftp1428Window16 => "tftp-1428-16",
            Self::Tftp1428Window64 => "tftp-1428-64",
            Self::Tftp8192Window16 => "tftp-8192-16",
            Self::BadNetwork => "bad-network",
        }
    }

    /// The peer's name.
    pub(crate) fn peer(self) -> &'static str {
        match self.service() {
            Service::Http => "nginx",
            Service::Dns => "NSD",
            Service::Tftp { .. } => "atftpd",
        }
    }

    /// What a rate counts, how large one such unit is, and what the processor time is told for.
    pub(crate) fn units(self) -> Units {
        match self {
            Self::HttpDownload | Self::Upload => Units { rate: "GB/s", scale: 1e9, cpu: "s/GB", cpu_scale: 1.0 },
            _ if self.service() == Service::Http || self.service() == Service::Dns => {
                Units { rate: "k/s", scale: 1e3, cpu: "us each", cpu_scale: 1e3 }
            }
            _ => Units { rate: "MB/s", scale: 1e6, cpu: "s/GB", cpu_scale: 1e3 },
        }
    }

    /// What is served.
    pub(crate) fn service(self) -> Service {
        let tftp = |block, window| Service::Tftp { block, window };
        match self {
            Self::DnsUdp | Self::DnsTcp => Service::Dns,
            Self::Tftp512 => tftp(512, 1),
            Self::Tftp1428 => tftp(1428, 1),
            Self::Tftp8192 => tftp(8192, 1),
            Self::Tftp1428Window16 => tftp(1428, 16),
            Self::Tftp1428Window64 => tftp(1428, 64),
            Self::Tftp8192Window16 => tftp(8192, 16),
            _ => Service::Http,
        }
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
            Self::HttpNewConnections => {
                let wrk = client.args(wrk).args(["-H", "Connection: close"]);
                requests(&wrk.arg(format!("http://{address}/small")).output().success())
            }
            Self::Upload => {
                let format = "%{http_code} %{size_upload} %{speed_upload}";
                let curl = ["curl", "--silent", "--show-error", "--output", "/dev/null", "--write-out", format, "-T"];
                let curl = client.args(curl).arg(server.directory().join("upload"));
                upload(&curl.arg(format!("http://{address}/put/upload")).output().success())
            }
            Self::DnsTcp => {
                let dnsperf = ["dnsperf", "-m", "tcp", "-c", "20", "-q", "200", "-l", &seconds, "-s", address, "-d"];
                queries(&client.args(dnsperf).arg(server.directory().join("queries")).output().success())
            }
            Self::DnsUdp => {
                let dnsperf = ["dnsperf", "-c", "1", "-q", "100", "-l", &seconds, "-s", address, "-d"];
                queries(&client.args(dnsperf).arg(server.directory().join("queries")).output().success())
            }
            Self::BadNetwork => panic!("the grid has conditions of its own"),
            _ => {
                let Service::Tftp { block, window } = self.service() else { panic!("{} has no client", self.name()) };
                boot(client, server, block, window)
            }
        }
    }
}

/// What a job's servers serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Http,
    Dns,
    /// With the options blksize and windowsize that the client asks for.
    Tftp {
        block: u16,
        window: u16,
    },
}

/// How a job's figures are told.
#[derive(Clone, Copy, Debug)]
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

fn upload(finished: &Finished) -> Outcome {
    let output = finished.stdout();
    let fields: Vec<&str> = output.split_whitespace().collect();
    let [status, size, speed] = fields[..] else { panic!("curl printed {output:?}") };
    assert!(status.starts_with('2') && size == UPLOAD.to_string(), "the upload failed: status {status}, {size} bytes");
    Outcome { rate: number(speed), work: UPLOAD as f64 }
}

/// atftp says nothing of its speed, so its whole run is taken, in which the transfer is all but a millisecond or two.
fn boot(client: Program, server: &dyn Server, block: u16, window: u16) -> Outcome {
    let copy = server.directory().join("copy");
    let options = [format!("blksize {block}"), format!("windowsize {window}")];
    let atftp = client.args(["atftp", "--option", &options[0], "--option", &options[1], "--get", "-r", "boot", "-l"]);
    let finished = atftp.arg(&copy).arg(server.address()).output().success();
    let length = std::fs::metadata(&copy).map_or(0, |copy| copy.len());
    assert!(length == BOOT, "{length} bytes came\n{}", finished.transcript());
    // atftp refuses to write over a file.
    std::fs::remove_file(&copy).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
    Outcome { rate: BOOT as f64 / finished.duration.as_secs_f64(), work: BOOT as f64 }
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

pub(crate) fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}
