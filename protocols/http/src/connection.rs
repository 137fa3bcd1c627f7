//! One server connection: requests in, answers out, in order.
//!
//! Responsible for RFC 9112 as seen from the server: when a head is complete, what becomes of a body, when the
//! connection stays and when it ends, and how long the peer may take for each step. What is answered is the
//! [`Handler`]'s matter.
//!
//! ```text
//!            ┌────────────── body skipped ──────────────┐
//!            ▼                                          │
//!   ─────► Head ──► Collecting ──► Waiting ──► Sending ─┴► Lingering ──► closed
//!            └─── each step is left out where there is nothing to do ───┘
//! ```

mod exchange;
mod sending;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tapster_service::{ByteStream, Closed, Context, FinishedJob, JobId, Measurements, Next, Peer, Session};

use self::exchange::Exchange;
use self::sending::{Progress, Sending};
use crate::date::DateCache;
use crate::framing::{BodyDecoder, Framing, Step};
use crate::lingering::Lingering;
use crate::pace::Pace;
use crate::request::{self, MAX_HEADERS, Refusal};
use crate::scan::Scan;
use crate::{Answer, Limit, Limits, Method, Reply, Request};

/// How many requests are answered in one call, so that a peer which sends thousands in one piece does not hold up
/// the event loop.
const REQUESTS_PER_CALL: u32 = 64;

/// Turns requests into answers. Each connection has one of its own; requests come one after the other.
pub trait Handler {
    /// Says what to do with a request's body. Called when the head has come, and only if there is a body.
    fn intake(&mut self, request: &Request<'_>) -> Intake {
        let _ = request;
        Intake::Discard
    }

    /// Takes the next piece of a body, when [`intake`](Self::intake) said [`Intake::Stream`]. After the last one,
    /// [`respond`](Self::respond) is called. The handler takes the results of its own jobs from `cx`; for this it is
    /// also called with an empty piece, to which [`Received::Later`] is the answer.
    fn receive(&mut self, piece: &[u8], cx: &mut Context<'_>) -> Received {
        let _ = cx;
        Received::Taken(piece.len())
    }

    /// Answers a request.
    fn respond(&mut self, request: &Request<'_>, cx: &mut Context<'_>) -> Answer;

    /// Answers the request for which [`respond`](Self::respond) said [`Answer::Later`]: its job has ended.
    fn resume(&mut self, job: FinishedJob, cx: &mut Context<'_>) -> Answer {
        let _ = (job, cx);
        Reply::text(500).into()
    }

    /// Whether [`Completed::target`] is wanted. It costs a copy for each request.
    fn wants_target(&self) -> bool {
        false
    }

    /// Told once for every request whose answer has been handed to the transport, or will never be.
    fn completed(&mut self, completed: &Completed<'_>) {
        let _ = completed;
    }

    /// Told when a limit was hit.
    fn limit_hit(&mut self, limit: Limit) {
        let _ = limit;
    }
}

/// What to do with a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Answer at once, and throw the body away.
    Discard,
    /// Collect it into [`Request::body`] first. One that is larger than this many bytes is answered by 413.
    Collect(u64),
    /// Hand it to [`Handler::receive`] as it comes. One that is larger than this many bytes is answered by 413.
    Stream(u64),
}

/// What has become of a piece of a body.
#[derive(Debug)]
pub enum Received {
    /// So many bytes were taken, at least one.
    Taken(usize),
    /// Nothing can be taken until a job has ended.
    Later,
    /// The body is not wanted any more. This is the answer; the connection is closed after it.
    Refused(Reply),
}

/// A request that is over, for logs and metrics.
#[derive(Clone, Copy, Debug)]
pub struct Completed<'a> {
    /// Who asked.
    pub peer: Peer,
    /// The method; `None` when the head could not be understood.
    pub method: Option<Method>,
    /// The target as it was sent, if [`Handler::wants_target`]; else empty. Not to be trusted.
    pub target: &'a str,
    /// The status of the answer; 0 when there was none.
    pub status: u16,
    /// How many bytes of the answer's body went to the transport.
    pub body_bytes: u64,
    /// Whether the connection ended before the answer was complete.
    pub aborted: bool,
    /// What the transport knows of the path.
    pub measurements: Measurements,
}

/// What all connections of a server share.
#[derive(Debug, Default)]
pub struct Server {
    limits: Limits,
    date: DateCache,
}

impl Server {
    /// A server with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, date: DateCache::default() }
    }

    pub(crate) fn date(&self, time: std::time::SystemTime) -> crate::date::Date {
        self.date.get(time)
    }
}

/// One connection: a [`Session`] around a [`Handler`].
#[derive(Debug)]
pub struct Connection<H: Handler> {
    server: Arc<Server>,
    handler: H,
    peer: Peer,
    phase: Phase,
    scan: Scan,
    /// When the connection began, or its last answer ended.
    idle_since: Instant,
    /// When the head that is coming was first seen.
    head_since: Option<Instant>,
    requests: u64,
    /// Bytes handed to the transport.
    written: u64,
}

#[derive(Debug)]
enum Phase {
    /// Waiting for a head, or for the rest of one.
    Head,
    /// Throwing away the body of a request that has been answered.
    Skipping { decoder: BodyDecoder, skipped: u64, pace: Pace },
    /// Collecting a body before the handler is asked.
    Collecting(Box<Collecting>),
    /// The answer depends on a job.
    Waiting(JobId, Box<Exchange>),
    /// The answer's body is being made and sent.
    Sending(Box<Sending>),
    /// The last answer has been given.
    Lingering(Lingering),
}

#[derive(Debug)]
struct Collecting {
    method: Method,
    head: Vec<u8>,
    /// The body, unless it is streamed.
    body: Vec<u8>,
    streamed: bool,
    decoder: BodyDecoder,
    /// How many bytes of the input the decoder has named as body and nobody has taken yet.
    named: usize,
    received: u64,
    limit: u64,
    pace: Pace,
}

/// What comes of a head.
enum Begun {
    Refused(Refusal),
    Collect { method: Method, limit: u64, streamed: bool, framing: Framing, expects_continue: bool },
    Answered(Exchange, Answer),
}

/// Whether the next phase can be entered at once.
enum Turn {
    Again,
    Return(Next),
}

impl<H: Handler> Connection<H> {
    /// A connection that has just been established.
    pub fn new(server: Arc<Server>, handler: H, peer: Peer, cx: &Context<'_>) -> Self {
        Self {
            server,
            handler,
            peer,
            phase: Phase::Head,
            scan: Scan::default(),
            idle_since: cx.now,
            head_since: None,
            requests: 0,
            written: 0,
        }
    }

    fn read_head(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        if stream.room() == 0 {
            // The peer does not read its answers: no more of them until it does.
            let deadline = self.idle_since + self.server.limits.send_timeout;
            if cx.now < deadline {
                return Turn::Return(Next::room(1).until(deadline));
            }
            self.handler.limit_hit(Limit::SendTimeout);
            return Turn::Return(Next::Abort);
        }
        let input = stream.input();
        let (start, end) = match self.scan.find(input, self.server.limits.max_header_size) {
            Ok(Some(range)) => range,
            Ok(None) => return self.await_head(stream, cx),
            Err(refusal) => return self.refuse(refusal, stream, cx),
        };
        let head = input.get(start..end).unwrap_or_default();
        let begun = self.begin(head, None, cx);
        let collecting = match begun {
            Begun::Collect { .. } => head.to_vec(),
            _ => Vec::new(),
        };
        stream.consume(end);
        self.scan = Scan::default();
        self.head_since = None;
        match begun {
            Begun::Refused(refusal) => self.refuse(refusal, stream, cx),
            Begun::Answered(exchange, answer) => self.answer(exchange, answer, stream, cx),
            Begun::Collect { method, limit, streamed, framing, expects_continue } => {
                if expects_continue && stream.input().is_empty() {
                    self.write(stream, Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n"));
                }
                let limits = &self.server.limits;
                self.phase = Phase::Collecting(Box::new(Collecting {
                    method,
                    head: collecting,
                    body: Vec::new(),
                    streamed,
                    decoder: BodyDecoder::new(framing),
                    named: 0,
                    received: 0,
                    limit,
                    pace: Pace::new(limits.body_timeout, limits.min_rate, cx.now, 0),
                }));
                Turn::Again
            }
        }
    }

    /// Nothing, or not all of a head, has come.
    fn await_head(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        let begun = self.scan.begun();
        if stream.input_finished() {
            return if begun { self.refuse(Refusal::BadRequest, stream, cx) } else { Turn::Return(Next::Close) };
        }
        let limits = &self.server.limits;
        let deadline = if begun {
            *self.head_since.get_or_insert(cx.now) + limits.header_timeout
        } else if self.requests == 0 {
            self.idle_since + limits.header_timeout
        } else {
            self.idle_since + limits.keepalive_timeout
        };
        if cx.now < deadline {
            return Turn::Return(Next::input().until(deadline));
        }
        if !begun {
            return Turn::Return(Next::Close);
        }
        self.refuse(Refusal::RequestTimeout, stream, cx)
    }

    /// Parses a head and decides. With `body`, that has been collected.
    fn begin(&mut self, head: &[u8], body: Option<&[u8]>, cx: &mut Context<'_>) -> Begun {
        let limits = &self.server.limits;
        let mut storage = [const { std::mem::MaybeUninit::uninit() }; MAX_HEADERS];
        let parsed = request::parse(head, &mut storage, limits.max_headers, self.peer);
        let (mut request, properties) = match parsed {
            Ok(parsed) => parsed,
            Err(refusal) => return Begun::Refused(refusal),
        };
        let mut framing = properties.framing;
        let mut persistent = properties.persistent;
        if let Some(body) = body {
            request.body = body;
            framing = Framing::None;
        } else if framing != Framing::None {
            let length = if let Framing::Length(length) = framing { length } else { 0 };
            let intake = self.handler.intake(&request);
            match intake {
                Intake::Collect(limit) | Intake::Stream(limit) if length > limit => {
                    return Begun::Refused(Refusal::ContentTooLarge);
                }
                Intake::Collect(limit) | Intake::Stream(limit) => {
                    let streamed = matches!(intake, Intake::Stream(_));
                    let expects_continue = properties.expects_continue;
                    return Begun::Collect { method: request.method, limit, streamed, framing, expects_continue };
                }
                // A peer that waits for 100 does not know whether to send the body after another answer
                // (RFC 9110 §10.1.1); and a body too long to skip is not worth the connection.
                Intake::Discard => persistent &= !properties.expects_continue && length <= limits.max_body_size,
            }
        }
        self.requests += 1;
        if limits.max_requests != 0 && self.requests >= limits.max_requests && persistent {
            persistent = false;
            self.handler.limit_hit(Limit::Requests);
        }
        let target = if self.handler.wants_target() { Some(request.target.into()) } else { None };
        let exchange = Exchange::new(&request, persistent, framing, target);
        let answer = self.handler.respond(&request, cx);
        Begun::Answered(exchange, answer)
    }

    fn collect(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        let Phase::Collecting(collecting) = &mut self.phase else { return Turn::Again };
        if collecting.streamed
            && let Received::Refused(reply) = self.handler.receive(&[], cx)
        {
            let exchange = Exchange::refused(Some(collecting.method));
            return self.answer(exchange, reply.close().into(), stream, cx);
        }
        loop {
            if collecting.named > 0 {
                let input = stream.input();
                let piece = input.get(..collecting.named).unwrap_or(input);
                let taken = if collecting.streamed {
                    match self.handler.receive(piece, cx) {
                        Received::Taken(count) => count.min(piece.len()),
                        Received::Later => return Turn::Return(Next::job()),
                        Received::Refused(reply) => {
                            let exchange = Exchange::refused(Some(collecting.method));
                            return self.answer(exchange, reply.close().into(), stream, cx);
                        }
                    }
                } else {
                    collecting.body.extend_from_slice(piece);
                    piece.len()
                };
                if taken == 0 {
                    return Turn::Return(Next::job());
                }
                stream.consume(taken);
                collecting.named -= taken;
                collecting.received += taken as u64;
                collecting.pace.progress(cx.now, collecting.received);
                continue;
            }
            match collecting.decoder.step(stream.input()) {
                Ok(Step::Data(count)) if collecting.received + count as u64 > collecting.limit => {
                    return self.refuse(Refusal::ContentTooLarge, stream, cx);
                }
                Ok(Step::Data(count)) => collecting.named = count,
                Ok(Step::Framing(count)) => stream.consume(count),
                Ok(Step::Done) => break,
                Ok(Step::More) => {
                    if stream.input_finished() {
                        return self.refuse(Refusal::BadRequest, stream, cx);
                    }
                    if collecting.pace.expired(cx.now) {
                        self.handler.limit_hit(Limit::BodyTimeout);
                        return self.refuse(Refusal::RequestTimeout, stream, cx);
                    }
                    return Turn::Return(Next::input().until(collecting.pace.deadline()));
                }
                Err(refusal) => return self.refuse(refusal, stream, cx),
            }
        }
        let Phase::Collecting(collecting) = std::mem::replace(&mut self.phase, Phase::Head) else { return Turn::Again };
        match self.begin(&collecting.head, Some(&collecting.body), cx) {
            Begun::Answered(exchange, answer) => self.answer(exchange, answer, stream, cx),
            Begun::Refused(refusal) => self.refuse(refusal, stream, cx),
            Begun::Collect { .. } => self.refuse(Refusal::BadRequest, stream, cx),
        }
    }

    fn skip(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        let Phase::Skipping { decoder, skipped, pace } = &mut self.phase else { return Turn::Again };
        loop {
            match decoder.step(stream.input()) {
                Ok(Step::Data(count)) => {
                    stream.consume(count);
                    *skipped += count as u64;
                    if *skipped > self.server.limits.max_body_size {
                        self.handler.limit_hit(Limit::BodySize);
                        return self.linger(stream, cx);
                    }
                }
                Ok(Step::Framing(count)) => stream.consume(count),
                Ok(Step::Done) => {
                    self.phase = Phase::Head;
                    self.idle_since = cx.now;
                    return Turn::Again;
                }
                Ok(Step::More) => {
                    pace.progress(cx.now, *skipped);
                    if pace.expired(cx.now) {
                        self.handler.limit_hit(Limit::BodyTimeout);
                    } else if !stream.input_finished() {
                        return Turn::Return(Next::input().until(pace.deadline()));
                    }
                    return self.linger(stream, cx);
                }
                Err(_) => return self.linger(stream, cx),
            }
        }
    }

    /// Answers a request that the handler will not see, and ends the connection.
    fn refuse(&mut self, refusal: Refusal, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        match refusal {
            Refusal::RequestTimeout if self.head_since.is_some() => self.handler.limit_hit(Limit::HeaderTimeout),
            Refusal::ContentTooLarge => self.handler.limit_hit(Limit::BodySize),
            Refusal::UriTooLong => self.handler.limit_hit(Limit::RequestLine),
            Refusal::HeaderFieldsTooLarge => self.handler.limit_hit(Limit::HeaderSize),
            _ => {}
        }
        self.answer(Exchange::refused(None), Reply::text(refusal.status()).close().into(), stream, cx)
    }

    fn answer(
        &mut self,
        mut exchange: Exchange,
        answer: Answer,
        stream: &mut dyn ByteStream,
        cx: &mut Context<'_>,
    ) -> Turn {
        match answer {
            Answer::Later(job) => {
                self.phase = Phase::Waiting(job, Box::new(exchange));
                Turn::Again
            }
            Answer::Prepared(prepared) => {
                self.written += exchange.write_prepared(prepared, stream);
                self.complete(&exchange, stream, cx)
            }
            Answer::Reply(reply) => {
                let date = self.server.date.get(cx.wall_clock);
                let (written, rest) = exchange.write_reply(reply, &date, stream);
                self.written += written;
                match rest {
                    None => self.complete(&exchange, stream, cx),
                    Some(rest) => {
                        let limits = &self.server.limits;
                        let acknowledged = self.written.saturating_sub(stream.unacknowledged() as u64);
                        let pace = Pace::new(limits.send_timeout, limits.min_rate, cx.now, acknowledged);
                        self.phase = Phase::Sending(Box::new(Sending::new(exchange, rest, pace)));
                        Turn::Again
                    }
                }
            }
        }
    }

    fn send(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        let Phase::Sending(sending) = &mut self.phase else { return Turn::Again };
        match sending.advance(&mut self.written, stream, cx) {
            Progress::Wait(wait) => Turn::Return(Next::Wait(wait)),
            Progress::TooSlow => {
                self.handler.limit_hit(Limit::SendTimeout);
                self.abort(stream)
            }
            Progress::Failed => self.abort(stream),
            Progress::Done => {
                let Phase::Sending(sending) = std::mem::replace(&mut self.phase, Phase::Head) else {
                    return Turn::Again;
                };
                self.complete(&sending.exchange, stream, cx)
            }
        }
    }

    /// The answer has been handed over: on to the next request, or to the end.
    fn complete(&mut self, exchange: &Exchange, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        self.handler.completed(&exchange.completed(self.peer, false, stream.measurements()));
        if !exchange.persistent {
            return self.linger(stream, cx);
        }
        if exchange.unread == Framing::None {
            self.phase = Phase::Head;
            self.idle_since = cx.now;
        } else {
            let limits = &self.server.limits;
            let pace = Pace::new(limits.body_timeout, limits.min_rate, cx.now, 0);
            self.phase = Phase::Skipping { decoder: BodyDecoder::new(exchange.unread), skipped: 0, pace };
        }
        Turn::Again
    }

    fn linger(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Turn {
        self.phase = Phase::Lingering(Lingering::begin(stream, &self.server.limits, cx.now));
        Turn::Again
    }

    fn abort(&mut self, stream: &mut dyn ByteStream) -> Turn {
        self.give_up(stream.measurements());
        Turn::Return(Next::Abort)
    }

    /// Tells the handler of a request whose answer will never be complete.
    fn give_up(&mut self, measurements: Measurements) {
        let exchange = match &self.phase {
            Phase::Waiting(_, exchange) => exchange,
            Phase::Sending(sending) => &sending.exchange,
            _ => return,
        };
        self.handler.completed(&exchange.completed(self.peer, true, measurements));
        self.phase = Phase::Head;
    }

    fn write(&mut self, stream: &mut dyn ByteStream, bytes: Bytes) {
        self.written += bytes.len() as u64;
        stream.write(bytes);
    }
}

impl<H: Handler> Session for Connection<H> {
    fn advance(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Next {
        let mut requests = 0;
        loop {
            let turn = match &mut self.phase {
                Phase::Head if requests == REQUESTS_PER_CALL => return Next::input().until(cx.now),
                Phase::Head => {
                    requests += 1;
                    self.read_head(stream, cx)
                }
                Phase::Skipping { .. } => self.skip(stream, cx),
                Phase::Collecting(_) => self.collect(stream, cx),
                Phase::Waiting(job, _) => {
                    let job = *job;
                    let Some(finished) = cx.take_finished().filter(|finished| finished.id == job) else {
                        return Next::job();
                    };
                    let Phase::Waiting(_, exchange) = std::mem::replace(&mut self.phase, Phase::Head) else {
                        return Next::Abort;
                    };
                    let answer = self.handler.resume(finished, cx);
                    self.answer(*exchange, answer, stream, cx)
                }
                Phase::Sending(_) => self.send(stream, cx),
                Phase::Lingering(lingering) => return lingering.advance(stream, cx.now),
            };
            if let Turn::Return(next) = turn {
                return next;
            }
        }
    }

    fn closed(&mut self, _reason: Closed, _cx: &mut Context<'_>) {
        self.give_up(Measurements::default());
    }
}

#[cfg(test)]
mod tests;
