//! A whole server in a test: built by the module from TOML, with a Maildir in a temporary directory.
//!
//! Responsible for playing a client: by single pieces of input, or by a transcript as RFC 5321 writes them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use prometheus::Registry;
use tapster_service::testing::{TestEnvironment, TestStream};
use tapster_service::{Module, Next, Peer, Preparation, Service, Session};
use tempfile::TempDir;

use crate::{Metrics, Smtp};

pub(crate) struct TestServer {
    pub(crate) directory: TempDir,
    pub(crate) metrics: Metrics,
    pub(crate) environment: TestEnvironment,
    service: Service,
}

pub(crate) struct TestClient {
    pub(crate) session: Box<dyn Session>,
    pub(crate) stream: TestStream,
    pub(crate) next: Next,
}

impl TestServer {
    /// A server for `foo.com` with the mailboxes of RFC 5321's scenarios, and what `configuration` says besides.
    pub(crate) fn new(configuration: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let defaults = [
            ("hostname", "'foo.com'"),
            ("domains", "['foo.com', 'xyz.com']"),
            ("mailboxes", "['Jones', 'Brown', 'Admin.MRC']"),
        ];
        let given = configuration.split("[limits]").next().unwrap_or_default();
        let defaults = defaults.iter().filter(|(key, _)| !given.contains(&format!("{key} =")));
        let mut text: String = defaults.map(|(key, value)| format!("{key} = {value}\n")).collect();
        text.push_str(configuration);
        let metrics = Smtp.metrics(&Registry::new()).unwrap();
        let addresses = ["192.0.2.2".parse().unwrap()];
        let mut preparation = Preparation::new(directory.path(), &addresses, "tapster");
        let service = Smtp.prepare(toml::from_str(&text).unwrap(), &metrics, &mut preparation);
        let service = service.unwrap_or_else(|| panic!("{:?}", preparation.into_problems()));
        Self { directory, metrics, environment: TestEnvironment::default(), service }
    }

    /// A connection whose session has not been advanced yet.
    pub(crate) fn accept(&mut self) -> TestClient {
        self.accept_at(0)
    }

    /// The same, on one of the server's listeners.
    pub(crate) fn accept_at(&mut self, listener: usize) -> TestClient {
        let peer = Peer {
            local: "192.0.2.2:25".parse().unwrap(),
            remote: "192.0.2.1:40000".parse().unwrap(),
            link_address: Some([2, 0, 0, 0, 0, 1]),
            connection: 7,
        };
        let listener = &mut self.service.streams[listener].service;
        let session = self.environment.with_context(|cx| listener.accept(peer, cx));
        TestClient { session, stream: TestStream::default(), next: Next::input() }
    }

    /// A connection that has been greeted.
    pub(crate) fn connect(&mut self) -> TestClient {
        let mut client = self.accept();
        assert_eq!(self.say(&mut client, b""), "220 foo.com ESMTP tapster\r\n");
        client
    }

    /// Sends input, and returns the replies that it brings.
    pub(crate) fn say(&mut self, client: &mut TestClient, input: &[u8]) -> String {
        client.stream.input.extend_from_slice(input);
        client.next = self.environment.advance(client.session.as_mut(), &mut client.stream);
        String::from_utf8(client.stream.take_output()).unwrap()
    }

    /// Lets time pass, and returns what the server says then.
    pub(crate) fn pass(&mut self, client: &mut TestClient, time: Duration) -> String {
        self.environment.pass(time);
        self.say(client, b"")
    }

    /// Plays a transcript on a new connection: the lines `C: …` of a group are sent at once, the lines `S: …` after
    /// them must be all that the server answers.
    pub(crate) fn transcript(&mut self, text: &str) -> TestClient {
        let mut client = self.accept();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
        while lines.peek().is_some() {
            let mut input = String::new();
            while let Some(line) = lines.next_if(|line| line.starts_with("C:")) {
                input.push_str(line[2..].strip_prefix(' ').unwrap_or(&line[2..]));
                input.push_str("\r\n");
            }
            let mut expected = String::new();
            while let Some(line) = lines.next_if(|line| line.starts_with("S:")) {
                expected.push_str(&line[3..]);
                expected.push_str("\r\n");
            }
            assert!(!input.is_empty() || !expected.is_empty(), "neither C: nor S: in {:?}", lines.peek());
            assert_eq!(self.say(&mut client, input.as_bytes()), expected, "after {input:?}");
        }
        client
    }

    /// The messages in a mailbox, such as `foo.com/jones`, by name.
    pub(crate) fn mail(&self, mailbox: &str) -> Vec<Vec<u8>> {
        let new = self.directory.path().join("mail").join(mailbox).join("new");
        files(&new).iter().map(|path| std::fs::read(path).unwrap()).collect()
    }

    /// Every file below the Maildir's root, in `tmp` too.
    pub(crate) fn all_files(&self) -> Vec<PathBuf> {
        files(&self.directory.path().join("mail"))
    }
}

/// All files below a directory, sorted.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
