//! HTTP/1.1 (RFC 9110, RFC 9112), as a state machine.
//!
//! Two layers. [`Connection`] is one server connection: it parses requests, frames bodies, keeps the connection
//! alive, answers pipelined requests in order, and closes so that the peer always gets the answer. It knows nothing
//! of what it serves: a [`Handler`] turns each [`Request`] into an [`Answer`]. The daemon uses this layer for its
//! control socket. On top of it, [`Http`] is the module that serves sites of files.
//!
//! ```
//! use std::sync::Arc;
//! use tapster_http::{Answer, Body, Connection, Handler, Reply, Request, Server};
//! use tapster_service::{Context, Peer, Session};
//!
//! struct Hello;
//!
//! impl Handler for Hello {
//!     fn respond(&mut self, request: &Request<'_>, _cx: &mut Context<'_>) -> Answer {
//!         match request.path {
//!             "/v1/hello" => Reply::new(200)
//!                 .field("Content-Type", "application/json")
//!                 .body(Body::Bytes("{\"hello\":\"world\"}\n".into()))
//!                 .into(),
//!             _ => Reply::text(404).into(),
//!         }
//!     }
//! }
//!
//! fn accept(server: &Arc<Server>, peer: Peer, cx: &mut Context<'_>) -> Box<dyn Session> {
//!     Box::new(Connection::new(Arc::clone(server), Hello, peer, cx))
//! }
//! ```
//!
//! Not here: TLS, HTTP/2, and anything that blocks. Files are opened and read in jobs; the event loop itself reads
//! only what the page cache already holds.

#![forbid(unsafe_code)]

mod configuration;
mod connection;
mod date;
mod files;
mod framing;
mod limits;
mod lingering;
mod metrics;
mod module;
mod pace;
mod request;
mod response;
mod scan;

pub use configuration::{Configuration, LimitsConfiguration, ResponseConfiguration, SiteConfiguration};
pub use connection::{Completed, Connection, Handler, Intake, Received, Server};
pub use limits::{Limit, Limits};
pub use metrics::Metrics;
pub use module::Http;
pub use request::{Headers, Method, Request, Version};
pub use response::{Answer, Body, Prepared, Produced, Producer, Reply};
