//! Delivery: from a message in memory to files that are durable.
//!
//! Responsible for the message as it is handed to a job, and for what can become of it. How messages are made durable
//! together is in `queue`, how a Maildir is written in `maildir`, what is put before a message in `trace_headers`.

mod maildir;
mod queue;
pub(crate) mod trace_headers;

pub(crate) use maildir::Maildir;
pub(crate) use queue::{Queue, Ticket};

use crate::content::Content;
use crate::mailboxes::MailboxName;

/// A message and where it goes.
#[derive(Debug)]
pub(crate) struct Message {
    /// The name of its file. Nothing in it comes from the client.
    pub(crate) file_name: String,
    /// The mailboxes, each once, at least one.
    pub(crate) mailboxes: Vec<MailboxName>,
    /// Trace fields and message.
    pub(crate) content: Content,
}

/// Why a message was not delivered. Nothing of it is left on disk then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The disk or a quota is full.
    #[error("the disk or a quota is full")]
    Full,
    /// It would take one more mailbox than the limit.
    #[error("there are too many mailboxes")]
    TooManyMailboxes,
    /// It has been through too many servers.
    #[error("the message goes round in circles")]
    Loop,
    /// Anything else; it has been logged.
    #[error("the message could not be written")]
    Failed,
}
