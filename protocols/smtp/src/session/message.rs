//! A session while it receives and delivers a message.
//!
//! Responsible for the way of the bytes from the connection into memory, and for the reply to a message: 250 only when
//! its delivery job says that it is durable (RFC 5321 §4.2.5, §6.1).

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tapster_service::{ByteStream, Context, FinishedJob, Job, Next};

use super::{Delivering, Session, State};
use crate::chunking::overshoot;
use crate::configuration::BareNewlines;
use crate::content::Content;
use crate::delivery::trace_headers::trace_headers;
use crate::delivery::{Failure, Message, Ticket};
use crate::dialogue::Protocol;
use crate::metrics::{Limit, MessageResult};
use crate::reply::Reply;
use crate::rules::Stage;
use crate::transaction::{Incoming, Spoilt, Transaction};

impl Session {
    /// Begins the message of the transaction, unless an earlier chunk has.
    pub(super) fn begin_message(&mut self, cx: &mut Context<'_>) {
        let Some(mut transaction) = self.dialogue.transaction.take() else { return };
        if transaction.message.is_none() {
            let id = cx.random().next_u64();
            let fields = trace_headers(&self.dialogue, &transaction, id, cx.wall_clock);
            let content = Content::new(self.dialogue.server.budget.reservation());
            transaction.message = Some(Incoming::new(id, fields.as_bytes(), content));
        }
        self.dialogue.transaction = Some(transaction);
    }

    pub(super) fn receive_data(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> ControlFlow<Next> {
        let input = stream.input();
        if input.is_empty() {
            return self.wait_for_input(stream, cx.now);
        }
        let server = &self.dialogue.server;
        let maximum = server.max_message_size;
        let message = self.dialogue.transaction.as_mut().and_then(|transaction| transaction.message.as_mut());
        let (State::Data(end_of_data), Some(message)) = (&mut self.state, message) else {
            self.enter(State::Closed, cx.now);
            return ControlFlow::Continue(());
        };
        let received = end_of_data.receive(input, &mut |bytes| message.append(bytes, maximum));
        server.metrics.message_bytes(received.consumed);
        server.metrics.smuggling(end_of_data.take_seen());
        if end_of_data.offended() && server.bare_newlines == BareNewlines::Refuse {
            message.spoil(Spoilt::BareNewline);
        }
        let size = message.received;
        stream.consume(received.consumed);
        if self.must_reset(size) {
            self.enter(State::Resetting, cx.now);
        } else if received.ended {
            self.end_message(cx);
        } else if size > overshoot(maximum) {
            server.metrics.limit(Limit::Overshoot);
            self.close(&Reply::TOO_LARGE, cx.now);
        } else {
            self.progress(size, cx.now);
        }
        ControlFlow::Continue(())
    }

    pub(super) fn receive_chunk(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> ControlFlow<Next> {
        let State::Chunk(chunk) = &mut self.state else { return ControlFlow::Continue(()) };
        if chunk.remaining == 0 {
            self.end_chunk(cx);
            return ControlFlow::Continue(());
        }
        let input = stream.input();
        if input.is_empty() {
            return self.wait_for_input(stream, cx.now);
        }
        let count = chunk.take(input.len());
        let received = chunk.size - chunk.remaining;
        let server = &self.dialogue.server;
        server.metrics.message_bytes(count);
        let message = self.dialogue.transaction.as_mut().and_then(|transaction| transaction.message.as_mut());
        let mut size = 0;
        if let Some(message) = message.filter(|_| chunk.refused.is_none()) {
            message.append(input.get(..count).unwrap_or(input), server.max_message_size);
            size = message.received;
        }
        stream.consume(count);
        self.progress(received, cx.now);
        if self.must_reset(size) {
            self.enter(State::Resetting, cx.now);
        }
        ControlFlow::Continue(())
    }

    /// Whether a rule wants the connection reset by now.
    fn must_reset(&self, size: u64) -> bool {
        let after = self.dialogue.transaction.as_ref().and_then(|transaction| transaction.reset_after);
        after.is_some_and(|after| size >= after)
    }

    fn end_chunk(&mut self, cx: &mut Context<'_>) {
        let State::Chunk(chunk) = &self.state else { return };
        let message = self.dialogue.transaction.as_ref().and_then(|transaction| transaction.message.as_ref());
        let spoilt = message.is_some_and(|message| message.spoilt.is_some());
        let reply = match &chunk.refused {
            Some(refused) => refused.clone(),
            None if chunk.last || spoilt => return self.end_message(cx),
            None => Reply::owned(250, format!("2.0.0 {} octets received", chunk.size)),
        };
        self.enter(State::Commands, cx.now);
        self.answer(&reply, cx.now);
    }

    /// The client has sent something: it may go on for `idle_timeout`, but not below the least average rate.
    fn progress(&mut self, received: u64, now: Instant) {
        let limits = &self.dialogue.server.limits;
        let idle = now + limits.idle_timeout;
        let granted = received.checked_div(limits.min_data_rate).map(Duration::from_secs);
        let slowest = granted.and_then(|granted| self.message_began.checked_add(limits.idle_timeout + granted));
        self.slow = slowest.is_some_and(|slowest| slowest < idle);
        self.deadline = slowest.map_or(idle, |slowest| slowest.min(idle));
    }

    /// The message is complete, or has been given up: the transaction ends (§4.1.1.4).
    fn end_message(&mut self, cx: &mut Context<'_>) {
        self.enter(State::Commands, cx.now);
        self.prepare_rules(cx);
        let rule = self.dialogue.message_rule(Stage::Message);
        self.hold_back(cx.now);
        let Some(mut transaction) = self.dialogue.transaction.take() else { return };
        let Some(message) = transaction.message.take() else { return };
        let size = message.received;
        let refused = match message.spoilt {
            Some(Spoilt::BareNewline) => {
                Some((MessageResult::BareNewline, Reply::new(550, "5.5.2 Bare CR or LF received, message refused")))
            }
            Some(Spoilt::TooLarge) => Some((MessageResult::TooLarge, Reply::TOO_LARGE)),
            Some(Spoilt::NoMemory) => {
                self.dialogue.server.metrics.limit(Limit::Memory);
                Some((MessageResult::NoMemory, Reply::NO_MEMORY))
            }
            None => rule.map(|reply| (MessageResult::Rule, reply)),
        };
        let (result, reply) = match refused {
            Some(refused) => refused,
            None => match self.deliver(transaction, message, cx) {
                Ok(delivering) => return self.enter(State::Delivering(Box::new(delivering)), cx.now),
                Err(back) => {
                    transaction = back;
                    (MessageResult::Busy, Reply::new(451, "4.3.2 The server is busy, try again later"))
                }
            },
        };
        self.log(&transaction, None, size, result);
        self.answer_message(&reply, transaction.recipients.len(), cx.now);
    }

    /// Hands the message to the queue. The transaction comes back when the worker pool is full.
    fn deliver(
        &self,
        transaction: Box<Transaction>,
        message: Incoming,
        cx: &mut Context<'_>,
    ) -> Result<Delivering, Box<Transaction>> {
        let server = &self.dialogue.server;
        let (id, size) = (message.id, message.received);
        let ticket = Ticket::new(Message {
            file_name: file_name(cx.wall_clock, id, &server.hostname),
            mailboxes: transaction.mailboxes(),
            content: message.content,
        });
        let queue = Arc::clone(&server.queue);
        let own = Arc::clone(&ticket);
        match cx.spawn(Job::new(move || queue.deliver(&own))) {
            Ok(job) => {
                server.queue.offer(ticket);
                Ok(Delivering { job, began: cx.now, id, size, transaction })
            }
            Err(_) => Err(transaction),
        }
    }

    pub(super) fn job_finished(&mut self, finished: FinishedJob, now: Instant) {
        let State::Delivering(delivering) = &self.state else { return };
        if delivering.job != finished.id {
            return;
        }
        let outcome = finished.downcast::<Result<(), Failure>>().unwrap_or(Err(Failure::Failed));
        let server = &self.dialogue.server;
        server.metrics.delivery(now.saturating_duration_since(delivering.began));
        let (result, reply) = match outcome {
            Ok(()) => {
                (MessageResult::Delivered, Reply::owned(250, format!("2.0.0 Delivered as {:016x}", delivering.id)))
            }
            Err(Failure::Full) => (MessageResult::Full, Reply::new(452, "4.3.1 Insufficient system storage")),
            Err(Failure::TooManyMailboxes) => (MessageResult::Full, Reply::new(452, "4.3.1 Too many mailboxes")),
            Err(Failure::Loop) => (MessageResult::Loop, Reply::new(554, "5.4.6 Too many hops, this is a mail loop")),
            Err(Failure::Failed) => (MessageResult::Failed, Reply::new(451, "4.3.0 Local error, try again later")),
        };
        self.log(&delivering.transaction, Some(delivering.id), delivering.size, result);
        let recipients = delivering.transaction.recipients.len();
        if result == MessageResult::Delivered {
            (self.errors, self.junk) = (0, 0);
        }
        self.enter(State::Commands, now);
        self.answer_message(&reply, recipients, now);
    }

    /// The reply to a message: in LMTP it is given for each recipient (RFC 2033 §4.2). It is the same for all of them,
    /// since a message is delivered to all or to none.
    fn answer_message(&mut self, reply: &Reply, recipients: usize, now: Instant) {
        if self.dialogue.protocol == Protocol::Lmtp {
            for _ in 1..recipients {
                self.write(reply);
            }
        }
        self.answer(reply, now);
    }

    /// Counts a message and tells of it.
    fn log(&self, transaction: &Transaction, id: Option<u64>, size: u64, result: MessageResult) {
        self.dialogue.server.metrics.message(result);
        tracing::info!(
            peer = %self.dialogue.peer.remote.ip(),
            connection = self.dialogue.peer.connection,
            from = %transaction.reverse_path.as_ref().map(ToString::to_string).unwrap_or_default(),
            recipients = transaction.recipients.len(),
            size,
            id = id.map(|id| format!("{id:016x}")),
            result = result.name(),
            "message"
        );
    }
}

/// A name that no other file has: the time, a random number, and our own name, as <https://cr.yp.to/proto/maildir.html>
/// advises.
fn file_name(now: SystemTime, id: u64, hostname: &str) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.M{}R{id:016x}.{hostname}", since.as_secs(), since.subsec_micros())
}
