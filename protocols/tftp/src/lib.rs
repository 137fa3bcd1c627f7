//! A TFTP server (RFC 1350) as a tapster module: boot files out, configurations in.
//!
//! With options (RFC 2347), block size (RFC 2348), time-out and transfer size (RFC 2349) and windows (RFC 7440).
//! [`Tftp`] is the module; [`Configuration`] is its section `[services.tftp]`. Everything is a state machine that takes
//! packets, time and randomness, and gives packets and deadlines. Files are read from the page cache where they are in
//! it, and by jobs where they are not; they are written by jobs.
//!
//! One file has one reason to change:
//!
//! | file | what it knows |
//! | --- | --- |
//! | `packet`, `options`, `name`, `netascii`, `block` | what is on the wire |
//! | `read`, `write`, `round_trip` | the protocol: which block when; pure, without data or packets |
//! | `files`, `upload`, `rename`, `generated`, `client` | what a name stands for: on the disk, or made for a client |
//! | `fault` | what goes wrong on purpose |
//! | `transfer`, `deadlines` | all transfers, and when each wants attention |
//! | `service` | how these work together |
//! | `module`, `configuration`, `metrics`, `log_rate` | what an operator sees |

#![forbid(unsafe_code)]

mod block;
mod client;
mod configuration;
mod deadlines;
mod fault;
mod files;
mod generated;
mod log_rate;
mod metrics;
mod module;
mod name;
mod netascii;
mod options;
mod packet;
mod read;
mod rename;
mod round_trip;
mod service;
mod transfer;
mod upload;
mod write;

pub use block::Rollover;
pub use configuration::{Configuration, Limits};
pub use fault::{FaultAction, FaultDirection, FaultRule};
pub use generated::GeneratedFile;
pub use metrics::Metrics;
pub use module::Tftp;
pub use rename::RenameRule;
