//! The peers: nginx and NSD on the kernel's stack, in a network of their own at the other end of a cable.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tapster_tests::lab::{ADDRESS, HOST, Namespace, Plan, Program, Running, Signal};

use crate::job::{Job, Service};
use crate::server::{CORE, Server, write_files};

/// How long a peer may take to answer for the first time.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How long a peer may run in all.
pub(crate) const LIMIT: Duration = Duration::from_secs(3600);

/// A peer with the files of a job, on its core.
pub(crate) fn start(job: Job) -> Peer {
    let plan = Plan::new();
    let directory = plan.path("");
    write_files(job, &plan);
    let client = Namespace::new();
    let far = client.neighbor();
    client.connect(&format!("{HOST}/24"), &far, &format!("{ADDRESS}/24"));
    let server = far.program("taskset").args(["-c", CORE]).limit(LIMIT);
    let server = match job.service() {
        Service::Http => nginx(server, &plan),
        Service::Dns => nsd(server, &plan),
        Service::Tftp { .. } => atftpd(server, &plan),
    };
    let peer = Peer { server: Some(server.start()), client, _far: far, directory, _plan: plan };
    peer.wait_until_it_answers(job);
    peer
}

/// A running peer.
pub(crate) struct Peer {
    server: Option<Running>,
    client: Namespace,
    _far: Namespace,
    directory: PathBuf,
    _plan: Plan,
}

impl Peer {
    fn wait_until_it_answers(&self, job: Job) {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let curl = self.client.program("curl").args(["--silent", "--max-time", "1", "--output", "/dev/null"]);
            let (asked, answer) = match job.service() {
                Service::Http => (curl.arg(format!("http://{ADDRESS}/")).output(), 0),
                Service::Dns => {
                    let dig = self.client.program("dig").args(["+tries=1", "+time=1"]);
                    (dig.args([&format!("@{ADDRESS}"), "example.test", "SOA"]).output(), 0)
                }
                // That there is no such file is an answer, too.
                Service::Tftp { .. } => (curl.arg(format!("tftp://{ADDRESS}/nothing")).output(), 68),
            };
            if asked.has_code(answer) {
                return;
            }
            assert!(Instant::now() < deadline, "{} does not answer\n{}", job.peer(), asked.transcript());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Server for Peer {
    fn client(&self, name: &str) -> Program {
        self.client.program(name)
    }

    fn process(&self) -> u32 {
        self.server.as_ref().map_or(0, Running::id)
    }

    fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Asked to end, it also ends its workers.
        if let Some(server) = self.server.take() {
            server.end(Signal::TERM);
        }
    }
}

/// nginx as it is delivered, with sendfile and one worker. Files can be put below `/put/`. `/tuned/` is set up as its manual advises for small files.
/// A connection is never closed for its number of requests, which would be measured, too.
pub(crate) fn nginx(server: Program, plan: &Plan) -> Program {
    let here = plan.path("");
    let here = here.display();
    let configuration = plan.file(
        "nginx.conf",
        format!(
            "daemon off;\nuser root;\nworker_processes 1;\npid {here}/nginx.pid;\nerror_log {here}/nginx.log warn;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n  access_log off;\n  sendfile on;\n  tcp_nopush on;\n  keepalive_requests 1000000000;\n\
             \x20 client_body_temp_path {here}/nginx-body;\n  proxy_temp_path {here}/nginx-proxy;\n\
             \x20 fastcgi_temp_path {here}/nginx-fastcgi;\n  uwsgi_temp_path {here}/nginx-uwsgi;\n\
             \x20 scgi_temp_path {here}/nginx-scgi;\n  types {{ text/html html; }}\n\
             \x20 client_max_body_size 0;\n\
             \x20 server {{\n    listen {ADDRESS}:80;\n    root {here}/www;\n\
             \x20   location /tuned/ {{ sendfile off; open_file_cache max=1000; open_file_cache_valid 60s; }}\n\
             \x20   location /put/ {{ dav_methods PUT; }}\n  }}\n}}\n"
        ),
    );
    server.arg("nginx").arg("-c").arg(configuration)
}

/// atftpd as it is delivered, but for its log.
fn atftpd(server: Program, plan: &Plan) -> Program {
    let server = server.args(["atftpd", "--daemon", "--no-fork", "--bind-address", ADDRESS, "--user", "root.root"]);
    server.args(["--verbose=1", "--logfile", "-"]).arg(plan.path("tftp"))
}

/// NSD with one server process, and without its limit on equal answers, which every benchmark runs into.
fn nsd(server: Program, plan: &Plan) -> Program {
    let here = plan.path("");
    let here = here.display();
    let configuration = plan.file(
        "nsd.conf",
        format!(
            "server:\n  ip-address: {ADDRESS}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n\
             \x20 zonesdir: \"{here}\"\n  database: \"\"\n  pidfile: \"{here}/nsd.pid\"\n\
             \x20 logfile: \"{here}/nsd.log\"\n  xfrdfile: \"{here}/xfrd.state\"\n  xfrdir: \"{here}\"\n\
             \x20 zonelistfile: \"{here}/zone.list\"\n  rrl-ratelimit: 0\n\
             remote-control:\n  control-enable: no\n\
             zone:\n  name: example.test\n  zonefile: example.test.zone\n"
        ),
    );
    server.args(["nsd", "-d", "-c"]).arg(configuration)
}
