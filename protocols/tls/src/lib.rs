//! TLS between a service and its connections (RFC 8446, RFC 5246), for whichever module asks for it.
//!
//! A [`TlsService`] stands around a [`StreamService`](tapster_service::StreamService) and is one itself: the service
//! within sees the plain bytes and knows of no TLS. A [`TlsSession`] does the same for one session, for protocols that
//! begin in the clear (STARTTLS). What they need, certificates above all, is an [`Acceptor`]: made from a section's
//! `tls` key by [`Acceptor::prepare`], which reads files or lets a lab's own authority make certificates.
//!
//! The way of the bytes: `session` takes records from the connection and hands them to `engine`, the only file that
//! knows how rustls is called; what is decrypted waits in `layer`, where the session within reads it through a stream of
//! its own. What that session writes is encrypted at once and handed to the connection: nothing waits in between, so
//! that the connection's room is the only bound.
//!
//! This crate is responsible for the layer alone. Cryptography, and the protocol's own state machine, are rustls's; its
//! keys come from the system's generator, so a conversation cannot be replayed byte for byte.

#![forbid(unsafe_code)]

mod acceptor;
mod authority;
mod certificates;
mod clock;
mod configuration;
mod engine;
mod layer;
mod metrics;
mod session;

pub use acceptor::{Acceptor, Limits, Protected, TlsService};
pub use configuration::{CertificateConfiguration, TlsConfiguration};
pub use metrics::Metrics;
pub use session::TlsSession;
