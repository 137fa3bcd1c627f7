//! What a tapster plug-in is, and what it is given.
//!
//! A plug-in is a [`Module`]: a value with a name, a configuration type, default ports and metrics, which turns
//! a configuration section into a [`Service`]. The service holds what listens: a [`StreamService`] makes one
//! [`Session`] for each connection, a [`DatagramService`] answers datagrams.
//!
//! Everything here is sans-I/O. A session is a state machine: it is called when something happened (input
//! came, room appeared, a job ended, a deadline passed), reads and writes its [`ByteStream`], and says in its
//! [`Next`] what it waits for. Time, randomness and blocking work come from the [`Context`]. So a module
//! compiles and is tested without any network stack: its module `testing`, behind the feature of that name, stands in for one.
//!
//! This crate is responsible for the interface alone. It knows nothing of the TCP/IP stack, of the event loop,
//! or of how a configuration file is read.

#![forbid(unsafe_code)]

pub mod configuration;
mod context;
mod datagram;
mod job;
mod module;
mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use context::{ConnectError, Context, Environment};
pub use datagram::{Datagram, DatagramService, DatagramSocket, SendError, Unreachable};
pub use job::{Busy, FinishedJob, Job, JobId, JobPanicked, Output};
pub use module::{
    DatagramBinding, Endpoint, Module, PathElement, Port, Preparation, Problem, Service, Severity, Source,
    StreamBinding, Transport,
};
pub use stream::{ByteStream, Closed, Measurements, Next, Peer, Session, StreamService, Wait};
