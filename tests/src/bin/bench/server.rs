//! What a client needs to know of a server, and tapster as one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tapster_tests::lab::{ADDRESS, Lab, Plan, Program};

use crate::job::{BOOT, Job, LARGE, NAMES, SMALL, Service, UPLOAD};

/// The core that the servers have.
pub(crate) const CORE: &str = "0";

/// A server that runs, and the network that its clients are in.
pub(crate) trait Server {
    /// A program in the clients' network.
    fn client(&self, name: &str) -> Program;

    /// The server's main process.
    fn process(&self) -> u32;

    /// Where the files that it serves lie.
    fn directory(&self) -> &Path;

    /// The server's address.
    fn address(&self) -> &str {
        ADDRESS
    }
}

/// Tapster with the files of a job, on its core.
pub(crate) fn tapster(job: Job) -> Tapster {
    let mut plan = Plan::new();
    let directory = plan.path("");
    let services = match job.service() {
        Service::Http => {
            "[services.http]\n[[services.http.sites]]\nhosts = [\"*\"]\nroot = \"www\"\nwritable = true\n\
             [services.http.limits]\nmax_requests = 0\n"
        }
        Service::Dns => {
            "[services.dns]\n[[services.dns.zones]]\nname = \"example.test\"\nfile = \"example.test.zone\"\n"
        }
        Service::Tftp { .. } => "[services.tftp]\nroot = \"tftp\"\n[services.tftp.limits]\nblock_size = 8192\n",
    };
    services.clone_into(&mut plan.services);
    write_files(job, &plan);
    let lab = plan.start();
    let process = lab.daemon().id().to_string();
    Program::outside("taskset").args(["--all-tasks", "--cpu-list", "--pid", CORE, &process]).output().success();
    Tapster { lab, directory }
}

/// Tapster as a server.
pub(crate) struct Tapster {
    lab: Lab,
    directory: PathBuf,
}

impl Server for Tapster {
    fn client(&self, name: &str) -> Program {
        self.lab.program(name)
    }

    fn process(&self) -> u32 {
        self.lab.daemon().id()
    }

    fn directory(&self) -> &Path {
        &self.directory
    }
}

/// What a job serves: files, or a zone and the queries for it.
pub(crate) fn write_files(job: Job, plan: &Plan) {
    match job {
        Job::HttpDownload => {
            plan.large_file("www/large", LARGE);
        }
        Job::HttpSmall | Job::HttpNewConnections => {
            plan.file("www/small", tapster_tests::content::bytes(SMALL));
        }
        Job::HttpSmallTuned => {
            plan.file("www/tuned/small", tapster_tests::content::bytes(SMALL));
        }
        Job::Upload => {
            plan.large_file("upload", UPLOAD);
            plan.file("www/put/.keep", "");
        }
        Job::DnsUdp | Job::DnsTcp => {
            let mut zone = "$ORIGIN example.test.\n$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 604800 60\n\
                            @ IN NS ns\nns IN A 192.0.2.2\n"
                .to_owned();
            let mut queries = String::new();
            for number in 0..NAMES {
                // Writing to a string cannot fail.
                let _ = writeln!(zone, "host{number} IN A 198.51.100.{}", number % 256);
                let _ = writeln!(queries, "host{number}.example.test A");
            }
            plan.file("example.test.zone", zone);
            plan.file("queries", queries);
        }
        _ => {
            plan.large_file("tftp/boot", BOOT);
        }
    }
}
