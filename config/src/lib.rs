//! The configuration of tapster: one TOML document made of layers.
//!
//! Responsible for the document's frame (all sections but those of the services), for laying the layers over each
//! other, and for errors that name file, line and column and are reported all at once. Not for what the services'
//! sections say: each module has a type of its own, which [`Section::deserialize`] makes.
//!
//! ```
//! use tapster_config::{Document, Frame, Sources};
//!
//! # fn main() -> Result<(), Vec<tapster_config::Diagnostic>> {
//! # let sources = Sources { system_file: "/nonexistent".into(), ..Sources::default() };
//! let document = Document::load(&sources)?;
//! let (frame, diagnostics) = Frame::read(&document, &["dns", "http"]);
//! for diagnostic in &diagnostics {
//!     eprintln!("{diagnostic}");
//! }
//! assert_eq!(frame.map(|frame| frame.link.mtu), Some(1500));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod check;
mod diagnostic;
mod document;
mod embedded;
mod explanation;
mod frame;
mod layer;
mod path;
mod sources;
mod tree;

pub use diagnostic::{Diagnostic, Excerpt, Place, Position, Severity};
pub use document::{Document, Section};
pub use embedded::{DOCUMENT as EMBEDDED_DOCUMENT, embedded_files};
pub use frame::arp::Arp;
pub use frame::control::{Control, default_control_socket};
pub use frame::event_loop::EventLoop;
pub use frame::impair::{Impair, Impairment, Probability, Rate};
pub use frame::link::{HostEnd, Link, MacAddress};
pub use frame::log::{Log, LogFormat, LogLevel};
pub use frame::network::{InterfaceAddress, Network, Route};
pub use frame::tcp::{CongestionControl, Tcp};
pub use frame::{Frame, Metrics};
pub use path::{KeyPath, PathElement};
pub use sources::{SYSTEM_FILE, Sources};
