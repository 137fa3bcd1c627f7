//! A session: one connection's state machine (RFC 5321 §3.1, §4.3).
//!
//! Responsible for the order of things on the connection: greeting, commands, message, delivery, close; for time-outs
//! and for what ends or slows a session. What the verbs do is in `verbs`, how a message is received in `message`.
//!
//! ```text
//!  Greeting ──> Commands <──> Data ──┐
//!      │         │   │ ^ <──> Chunk ─┤
//!      │         │   │ └───────────  Delivering
//!      │         │   └──> Closed                      (QUIT, or the client has gone)
//!      └─────────┴──────> Closing ──> Lingering ──> Closed
//! ```

mod message;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::memchr;
use tapster_service::{ByteStream, Closed, Context, JobId, Next, Peer, Wait};

use crate::chunking::Chunk;
use crate::command::{self, CommandLine};
use crate::data::{EndOfData, Forms};
use crate::dialogue::{Dialogue, Protocol};
use crate::metrics::Limit;
use crate::peers::Place;
use crate::reply::{MAXIMUM_REPLY, Reply};
use crate::rules::Stage;
use crate::server::Server;
use crate::transaction::Transaction;
use crate::verbs::{Step, Verb};

/// How long, and for how many bytes, input is thrown away after the last reply, so that no reset overtakes it.
const LINGERING_TIME: Duration = Duration::from_secs(5);
const LINGERING_BYTES: usize = 4 << 20;

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    dialogue: Dialogue,
    state: State,
    /// Its place among the peer's connections. Without one it is turned away.
    place: Option<Place>,
    /// The replies that have not been written yet, so that those of one group go out together (RFC 2920 §3.2).
    output: Vec<u8>,
    /// When the client has been idle for too long.
    deadline: Instant,
    /// Whether it has been too slow then instead.
    slow: bool,
    /// Until when the replies are held back.
    held_back: Option<Instant>,
    /// When the present message or chunk began.
    message_began: Instant,
    errors: u32,
    junk: u32,
}

/// Where a session is.
#[derive(Debug)]
enum State {
    /// Before the greeting, which goes out at this moment.
    Greeting { at: Instant },
    /// Between commands.
    Commands,
    /// In a command line that was too long.
    SkippingLine,
    /// In a message, after DATA.
    Data(EndOfData),
    /// In a chunk, after BDAT.
    Chunk(Chunk),
    /// The message is on its way to disk.
    Delivering(Box<Delivering>),
    /// The last reply is to be written.
    Closing,
    /// The last reply has been written; input is thrown away until the client closes.
    Lingering { until: Instant, left: usize },
    /// The connection is to be reset, as a rule wants it.
    Resetting,
    /// Nothing more to do.
    Closed,
}

/// A message on its way to disk.
#[derive(Debug)]
struct Delivering {
    job: JobId,
    began: Instant,
    id: u64,
    size: u64,
    transaction: Box<Transaction>,
}

impl Session {
    pub(crate) fn new(server: Arc<Server>, peer: Peer, protocol: Protocol, now: Instant) -> Self {
        server.metrics.session_began();
        let place = server.peers.admit(peer.remote.ip());
        Self {
            state: State::Greeting { at: now + server.limits.banner_delay },
            place,
            output: Vec::new(),
            deadline: now + server.limits.idle_timeout,
            slow: false,
            held_back: None,
            message_began: now,
            errors: 0,
            junk: 0,
            dialogue: Dialogue::new(server, peer, protocol, now),
        }
    }

    /// The only place where the state changes.
    fn enter(&mut self, state: State, now: Instant) {
        self.deadline = now + self.dialogue.server.limits.idle_timeout;
        self.slow = false;
        self.state = state;
    }

    /// Goes one step, or says what to wait for.
    fn turn(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> ControlFlow<Next> {
        match &mut self.state {
            State::Greeting { at } => {
                let at = *at;
                return self.greet(at, stream, cx);
            }
            State::Commands => return self.read_command(stream, cx),
            State::SkippingLine => return self.skip_line(stream, cx),
            State::Data(_) => return self.receive_data(stream, cx),
            State::Chunk(_) => return self.receive_chunk(stream, cx),
            State::Delivering(_) => return ControlFlow::Break(Next::job()),
            State::Closing => {
                self.flush(stream);
                stream.finish();
                self.enter(State::Lingering { until: cx.now + LINGERING_TIME, left: LINGERING_BYTES }, cx.now);
            }
            State::Lingering { until, left } => {
                let count = stream.input().len();
                stream.consume(count);
                *left = left.saturating_sub(count);
                if !stream.input_finished() && cx.now < *until && *left > 0 {
                    return ControlFlow::Break(Next::input().until(*until));
                }
                self.enter(State::Closed, cx.now);
            }
            State::Resetting => return ControlFlow::Break(Next::Abort),
            State::Closed => {
                let count = stream.input().len();
                stream.consume(count);
                return ControlFlow::Break(Next::Close);
            }
        }
        ControlFlow::Continue(())
    }

    /// §3.1, and who talks before it is greeted is no mail server.
    fn greet(&mut self, at: Instant, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> ControlFlow<Next> {
        let server = Arc::clone(&self.dialogue.server);
        if self.place.is_none() {
            server.metrics.limit(Limit::ConnectionsPerPeer);
            self.close(&Reply::new(421, "4.7.0 Too many connections from your address"), cx.now);
        } else if server.forbid_unauthorized_pipelining && !stream.input().is_empty() {
            self.unauthorized_pipelining("the greeting");
            self.close(&Reply::SYNCHRONIZATION, cx.now);
        } else if cx.now >= at {
            self.prepare_rules(cx);
            let peer = self.dialogue.peer.remote.ip().to_canonical().to_string();
            if let Some(reply) = self.dialogue.rule(Stage::Connect, &peer).reply {
                self.close(&reply, cx.now);
            } else {
                let protocol = if self.dialogue.protocol == Protocol::Lmtp { "LMTP" } else { "ESMTP" };
                self.write(&Reply::owned(220, format!("{} {protocol} tapster", server.hostname)));
                self.enter(State::Commands, cx.now);
            }
            self.hold_back(cx.now);
        } else if stream.input_finished() {
            self.enter(State::Closed, cx.now);
        } else {
            return ControlFlow::Break(Next::input().until(at));
        }
        ControlFlow::Continue(())
    }

    fn read_command(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> ControlFlow<Next> {
        let limit = self.dialogue.server.limits.command_line;
        let input = stream.input();
        let searched = input.get(..limit).unwrap_or(input);
        let Some(end) = memchr(b'\n', searched) else {
            if searched.len() == limit {
                self.dialogue.server.metrics.limit(Limit::CommandLine);
                self.enter(State::SkippingLine, cx.now);
                self.answer(&Reply::new(500, "5.5.2 Line too long"), cx.now);
                return ControlFlow::Continue(());
            }
            return self.wait_for_input(stream, cx.now);
        };
        let (line, rest) = input.split_at_checked(end + 1).unwrap_or((input, &[]));
        self.prepare_rules(cx);
        let step = self.command(line, !rest.is_empty());
        stream.consume(end + 1);
        self.take(step, cx);
        self.hold_back(cx.now);
        ControlFlow::Continue(())
    }

    /// Finds out what a command line says, and says it. `more` is whether input follows it.
    fn command(&mut self, line: &[u8], more: bool) -> Step {
        let server = &self.dialogue.server;
        let CommandLine { text, form } = CommandLine::read(line, server.bare_newlines);
        if let Some(form) = form {
            let mut forms = Forms::default();
            forms.count(form);
            server.metrics.smuggling(forms);
        }
        let text = match text {
            Ok(text) => text,
            Err(error) => return Step::Reply(error.reply()),
        };
        let (word, argument) = command::split(text);
        let Some(verb) = Verb::find(word) else {
            if command::is_http(word) {
                return Step::Close(Reply::new(554, "5.5.1 This is a mail server"));
            }
            return Step::Reply(Reply::new(500, "5.5.1 Command not recognized"));
        };
        // RFC 2920 §3.1. Without EHLO, nothing has allowed the client to pipeline at all.
        let last = verb.ends_group || (!self.dialogue.is_extended() && verb.name != "QUIT");
        if more && last && server.forbid_unauthorized_pipelining {
            self.unauthorized_pipelining(verb.name);
            return Step::Close(Reply::SYNCHRONIZATION);
        }
        if verb.junk {
            self.junk += 1;
            if self.junk > self.dialogue.server.limits.junk_commands {
                self.errors += 1;
            }
        }
        verb.say(&mut self.dialogue, argument)
    }

    fn take(&mut self, step: Step, cx: &mut Context<'_>) {
        match step {
            Step::Reply(reply) => {
                self.enter(State::Commands, cx.now);
                self.answer(&reply, cx.now);
            }
            Step::Data => {
                self.message_began = cx.now;
                self.begin_message(cx);
                self.write(&Reply::new(354, "Start mail input; end with <CRLF>.<CRLF>"));
                self.enter(State::Data(EndOfData::new(self.dialogue.server.bare_newlines)), cx.now);
            }
            Step::Chunk(chunk) => {
                self.message_began = cx.now;
                if chunk.refused.is_none() {
                    self.begin_message(cx);
                }
                self.enter(State::Chunk(chunk), cx.now);
            }
            Step::Close(reply) if reply.code == 221 => {
                self.write(&reply);
                self.enter(State::Closed, cx.now);
            }
            Step::Close(reply) => self.close(&reply, cx.now),
        }
    }

    fn skip_line(&mut self, stream: &mut dyn ByteStream, cx: &Context<'_>) -> ControlFlow<Next> {
        let input = stream.input();
        match memchr(b'\n', input) {
            Some(end) => {
                stream.consume(end + 1);
                self.enter(State::Commands, cx.now);
                ControlFlow::Continue(())
            }
            None => {
                let count = input.len();
                stream.consume(count);
                self.wait_for_input(stream, cx.now)
            }
        }
    }

    /// There is nothing to go on with: waits, unless nothing will come or it has been too long.
    fn wait_for_input(&mut self, stream: &dyn ByteStream, now: Instant) -> ControlFlow<Next> {
        if stream.input_finished() {
            self.enter(State::Closed, now);
        } else if now >= self.deadline {
            self.dialogue.server.metrics.limit(if self.slow { Limit::DataRate } else { Limit::Idle });
            self.close(&Reply::new(421, "4.4.2 Idle for too long, closing the connection"), now);
        } else {
            return ControlFlow::Break(Next::input().until(self.deadline));
        }
        ControlFlow::Continue(())
    }

    /// A reply to something that the client said. Errors add up: first they make replies late, then they end the
    /// session.
    fn answer(&mut self, reply: &Reply, now: Instant) {
        if reply.code == 421 {
            // Of a rule; the meaning of 421 is that the connection closes (§4.2.2).
            return self.close(reply, now);
        }
        let limits = &self.dialogue.server.limits;
        self.errors += u32::from(reply.is_permanent_error());
        if self.errors >= limits.errors {
            self.dialogue.server.metrics.limit(Limit::Errors);
            return self.close(&Reply::new(421, "4.7.0 Too many errors"), now);
        }
        if reply.is_permanent_error() && self.errors > limits.errors_before_delay && !limits.error_delay.is_zero() {
            self.dialogue.server.metrics.limit(Limit::ErrorDelay);
            self.held_back = Some(now + limits.error_delay);
        }
        self.write(reply);
    }

    /// Rules need to know the time, and chance, before anything is said.
    fn prepare_rules(&mut self, cx: &mut Context<'_>) {
        if !self.dialogue.server.rules.is_empty() {
            (self.dialogue.now, self.dialogue.dice) = (cx.now, cx.random().next_u64());
        }
    }

    /// Holds the reply back for as long as a rule wants.
    fn hold_back(&mut self, now: Instant) {
        let delay = std::mem::take(&mut self.dialogue.delay);
        if !delay.is_zero() {
            self.held_back = Some(now + delay).max(self.held_back);
            // The client's time begins when it has the reply.
            self.deadline += delay;
        }
    }

    fn close(&mut self, reply: &Reply, now: Instant) {
        self.dialogue.reset();
        self.write(reply);
        self.enter(State::Closing, now);
    }

    fn write(&mut self, reply: &Reply) {
        self.dialogue.server.metrics.reply(reply.code);
        reply.write(&mut self.output);
    }

    fn flush(&mut self, stream: &mut dyn ByteStream) {
        if !self.output.is_empty() {
            stream.write_copy(&self.output);
            self.output = Vec::new();
        }
    }

    fn unauthorized_pipelining(&self, place: &str) {
        self.dialogue.server.metrics.limit(Limit::Pipelining);
        tracing::debug!(peer = %self.dialogue.peer.remote, place, "a client sent what it may not send yet");
    }
}

impl tapster_service::Session for Session {
    fn advance(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Next {
        if let Some(finished) = cx.take_finished() {
            self.job_finished(finished, cx.now);
        }
        loop {
            if let Some(until) = self.held_back {
                if cx.now < until {
                    return Next::Wait(Wait { input: false, room: 0, deadline: Some(until) });
                }
                self.held_back = None;
            }
            // Nothing is done whose reply would find no room.
            let replies = !matches!(self.state, State::Closing | State::Lingering { .. } | State::Closed);
            if replies && stream.room() < self.output.len() + MAXIMUM_REPLY {
                self.flush(stream);
                if stream.room() < MAXIMUM_REPLY {
                    if cx.now >= self.deadline {
                        self.dialogue.server.metrics.limit(Limit::Idle);
                        return Next::Abort;
                    }
                    return Next::room(MAXIMUM_REPLY).until(self.deadline);
                }
            }
            if let ControlFlow::Break(next) = self.turn(stream, cx) {
                self.flush(stream);
                return next;
            }
        }
    }

    fn closed(&mut self, reason: Closed, _: &mut Context<'_>) {
        tracing::debug!(peer = %self.dialogue.peer.remote, ?reason, "a session ended without QUIT");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.dialogue.reset();
        self.dialogue.server.metrics.session_ended();
    }
}

#[cfg(test)]
mod tests;
