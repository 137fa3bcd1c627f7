//! What a session and its client have said so far: who the client is, and the transaction under way.
//!
//! Responsible for this knowledge, which the verbs check and change. Not for bytes, time and limits of the session:
//! that is `session`.

use std::sync::Arc;

use tapster_service::Peer;

use crate::metrics::MessageResult;
use crate::server::Server;
use crate::transaction::Transaction;

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
    /// Who the client says it is, once it has.
    pub(crate) client: Option<Client>,
    /// The transaction under way.
    pub(crate) transaction: Option<Box<Transaction>>,
    /// How many transactions there have been.
    pub(crate) transactions: u32,
}

impl Dialogue {
    pub(crate) const fn new(server: Arc<Server>, peer: Peer) -> Self {
        Self { server, peer, client: None, transaction: None, transactions: 0 }
    }

    /// Ends the transaction under way, if there is one.
    pub(crate) fn reset(&mut self) {
        if let Some(transaction) = self.transaction.take()
            && transaction.message.is_some()
        {
            self.server.metrics.message(MessageResult::Aborted);
        }
    }

    /// Whether the client may use the extensions.
    pub(crate) fn is_extended(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.extended)
    }
}
