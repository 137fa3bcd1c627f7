//! A client that is driven line by line: each command has one line for an answer.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use super::program::Program;

/// How long an answer may take. The client's own time-outs are shorter, so that it can say what it waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A running `lab-client`.
#[derive(Debug)]
pub struct Client {
    child: Child,
    answers: Receiver<String>,
    greeting: String,
}

impl Client {
    /// Starts it and waits for its first line.
    ///
    /// # Panics
    /// When it does not start.
    pub(super) fn start(program: Program) -> Self {
        let mut child = program
            .into_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run lab-client: {error}"));
        let (sender, answers) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let mut client = Self { child, answers, greeting: String::new() };
        client.greeting = client.line();
        client
    }

    /// Its first line.
    #[must_use]
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// The local port of a session.
    ///
    /// # Panics
    /// When it could not connect.
    #[must_use]
    #[track_caller]
    pub fn port(&self) -> u16 {
        let port = self.greeting.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.unwrap_or_else(|| panic!("the session said {:?}", self.greeting))
    }

    /// Gives it a command and returns its answer.
    ///
    /// # Panics
    /// When it has ended, or does not answer within 60 s.
    #[track_caller]
    pub fn command(&mut self, command: &str) -> String {
        if let Some(input) = self.child.stdin.as_mut() {
            // A client that has gone shows in the missing answer.
            let _ = writeln!(input, "{command}");
        }
        self.line()
    }

    /// Gives it a command that must be done.
    ///
    /// # Panics
    /// When the answer is anything but `done`.
    #[track_caller]
    pub fn must(&mut self, command: &str) {
        let answer = self.command(command);
        assert!(answer == "done", "{command:?} was answered by {answer:?}");
    }

    /// Its next line.
    ///
    /// # Panics
    /// When it has ended, or says nothing for 60 s.
    #[track_caller]
    pub fn line(&mut self) -> String {
        self.answers.recv_timeout(ANSWER_LIMIT).unwrap_or_else(|error| panic!("lab-client gives no answer: {error}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
