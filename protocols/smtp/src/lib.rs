//! A receiving SMTP server (RFC 5321) that delivers to Maildir, as a state machine.
//!
//! It takes mail for its own domains and for nobody else: it never relays, and it never sends a message of its own, so
//! no bounce either. Whatever cannot be delivered is refused while the client is still there. A message is answered
//! 250 only when it is durable in the mailboxes of all its recipients.
//!
//! A session (`session`) reads commands, looks them up in the table of `verbs` and keeps one
//! `transaction` at a time. The message comes in by DATA (`data`) or by BDAT (`chunking`), is held in
//! memory within a bound for all sessions together (`content`), and goes to disk in a job that commits everything that
//! waits at once (`delivery`).
//!
//! Not here: sending mail, TLS, authentication, reading mail.

#![forbid(unsafe_code)]

mod address;
mod chunking;
mod command;
mod configuration;
mod content;
mod data;
mod delivery;
mod dialogue;
mod mailboxes;
mod memory;
mod metrics;
mod module;
mod parameters;
mod peers;
mod reply;
mod rules;
mod server;
mod session;
#[cfg(test)]
mod test_server;
mod transaction;
mod verbs;

pub use configuration::{BareNewlines, Configuration, LimitsConfiguration, RuleConfiguration};
pub use metrics::Metrics;
pub use module::Smtp;
pub use rules::Stage;
