//! What a session and its client have said so far: who the client is, and the transaction under way.
//!
//! Responsible for this knowledge, which the verbs check and change. Not for bytes, time and limits of the session:
//! that is `session`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tapster_service::Peer;

use crate::metrics::MessageResult;
use crate::reply::Reply;
use crate::rules::{self, Stage, Verdict};
use crate::server::Server;
use crate::transaction::Transaction;

/// What is spoken. Both are the same but for the greeting, and for the replies to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Smtp,
    /// RFC 2033: LHLO instead of HELO and EHLO, and a reply for each recipient.
    Lmtp,
}

/// The client, as it introduced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// The name that it gave, by the grammar of a domain or an address literal.
    pub(crate) name: String,
    /// Whether it said EHLO, so that it may use the extensions.
    pub(crate) extended: bool,
}

/// The state of the conversation.
#[derive(Debug)]
pub(crate) struct Dialogue {
    /// What all sessions share.
    pub(crate) server: Arc<Server>,
    /// Who is at the two ends.
    pub(crate) peer: Peer,
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// Who the client says it is, once it has.
    pub(crate) client: Option<Client>,
    /// The transaction under way.
    pub(crate) transaction: Option<Box<Transaction>>,
    /// How many transactions there have been.
    pub(crate) transactions: u32,
    /// The time, and a random number for the rules; the session sets both before anything is said.
    pub(crate) now: Instant,
    pub(crate) dice: u64,
    /// How long a rule holds the reply back.
    pub(crate) delay: Duration,
}

impl Dialogue {
    pub(crate) const fn new(server: Arc<Server>, peer: Peer, protocol: Protocol, now: Instant) -> Self {
        Self {
            server,
            peer,
            protocol,
            client: None,
            transaction: None,
            transactions: 0,
            now,
            dice: 0,
            delay: Duration::ZERO,
        }
    }

    /// Ends the transaction under way, if there is one.
    pub(crate) fn reset(&mut self) {
        if let Some(transaction) = self.transaction.take()
            && transaction.message.is_some()
        {
            self.server.metrics.message(MessageResult::Aborted);
        }
    }

    /// What the rules want at a stage; a delay is noted.
    pub(crate) fn rule(&mut self, stage: Stage, subject: &str) -> Verdict {
        let Some(rule) = rules::find(&self.server.rules, stage, subject, self.now, self.dice) else {
            return Verdict::default();
        };
        self.server.metrics.rule(stage);
        self.delay = rule.verdict.delay;
        rule.verdict.clone()
    }

    /// The same for a message, whose sender is asked for: at its begin or its end.
    pub(crate) fn message_rule(&mut self, stage: Stage) -> Option<Reply> {
        let sender = self.transaction.as_ref().and_then(|transaction| transaction.reverse_path.as_ref());
        let verdict = self.rule(stage, &sender.map(ToString::to_string).unwrap_or_default());
        if let Some(transaction) = &mut self.transaction {
            transaction.reset_after = transaction.reset_after.or(verdict.reset_after);
        }
        verdict.reply
    }

    /// Whether the client may use the extensions.
    pub(crate) fn is_extended(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.extended)
    }
}
