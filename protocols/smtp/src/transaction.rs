//! One mail transaction (RFC 5321 §3.3): from MAIL to the end of the message, or to what resets it.
//!
//! Responsible for the envelope and for what has come of the message. Not for what the client may say when: that is
//! `verbs`.

use crate::address::{ForwardPath, ReversePath};
use crate::content::Content;
use crate::mailboxes::MailboxName;
use crate::memory::{Exhausted, Reservation};
use crate::parameters::{Body, MailParameters, RecipientParameters};

/// A transaction.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// Where the message comes from.
    pub(crate) reverse_path: ReversePath,
    /// What MAIL said besides.
    pub(crate) parameters: MailParameters,
    /// Where it goes.
    pub(crate) recipients: Vec<Recipient>,
    /// How many recipients were refused since there were too many.
    pub(crate) refused: u32,
    /// After how many bytes of message a rule wants the connection reset.
    pub(crate) reset_after: Option<u64>,
    /// The message so far, once its first part has been announced.
    pub(crate) message: Option<Incoming>,
    /// The memory that the recipients take.
    reservation: Reservation,
}

/// One recipient that was accepted.
#[derive(Debug)]
pub(crate) struct Recipient {
    /// The address, as the client gave it.
    pub(crate) path: ForwardPath,
    /// What RCPT said besides.
    pub(crate) parameters: RecipientParameters,
    /// The mailboxes that it leads to.
    pub(crate) mailboxes: Vec<MailboxName>,
}

impl Transaction {
    pub(crate) const fn new(reverse_path: ReversePath, parameters: MailParameters, reservation: Reservation) -> Self {
        Self {
            reverse_path,
            parameters,
            recipients: Vec::new(),
            refused: 0,
            reset_after: None,
            message: None,
            reservation,
        }
    }

    /// Adds a recipient, whose command line was `length` bytes.
    pub(crate) fn add(&mut self, recipient: Recipient, length: usize) -> Result<(), Exhausted> {
        let names: usize = recipient.mailboxes.iter().map(MailboxName::memory).sum();
        self.reservation.grow(length + size_of::<Recipient>() + names)?;
        self.recipients.push(recipient);
        Ok(())
    }

    /// What kind of message MAIL announced.
    pub(crate) fn body(&self) -> Body {
        self.parameters.body.unwrap_or_default()
    }

    /// The mailboxes, each once.
    pub(crate) fn mailboxes(&self) -> Vec<MailboxName> {
        let mut mailboxes: Vec<_> =
            self.recipients.iter().flat_map(|recipient| recipient.mailboxes.iter().cloned()).collect();
        mailboxes.sort_unstable();
        mailboxes.dedup();
        mailboxes
    }
}

/// Why a message that is still coming will not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoilt {
    /// It has a CR or LF that stands alone.
    BareNewline,
    /// It is larger than the limit.
    TooLarge,
    /// The memory for messages is used up.
    NoMemory,
}

/// A message that is coming.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Names the message in its `Received` field, in the log, and in its file's name.
    pub(crate) id: u64,
    /// Trace fields and message.
    pub(crate) content: Content,
    /// How many bytes of message have come, with those that were not kept.
    pub(crate) received: u64,
    /// Why the rest is only counted.
    pub(crate) spoilt: Option<Spoilt>,
}

impl Incoming {
    /// Begins a message with its trace fields.
    pub(crate) fn new(id: u64, trace_fields: &[u8], mut content: Content) -> Self {
        let spoilt = content.append(trace_fields).err().map(|Exhausted| Spoilt::NoMemory);
        Self { id, content, received: 0, spoilt }
    }

    /// Takes a part, and spoils the message when it cannot be kept.
    pub(crate) fn append(&mut self, bytes: &[u8], maximum: u64) {
        self.received = self.received.saturating_add(bytes.len() as u64);
        if self.spoilt.is_some() {
            return;
        }
        if self.received > maximum {
            self.spoil(Spoilt::TooLarge);
        } else if let Err(Exhausted) = self.content.append(bytes) {
            self.spoil(Spoilt::NoMemory);
        }
    }

    /// Gives the message up. What comes of it from now on is only counted.
    pub(crate) fn spoil(&mut self, why: Spoilt) {
        if self.spoilt.is_none() {
            self.spoilt = Some(why);
            self.content.clear();
        }
    }
}
