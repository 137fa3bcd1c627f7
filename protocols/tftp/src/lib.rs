//! A TFTP server (RFC 1350) as a tapster module.
#![forbid(unsafe_code)]
mod block;
mod configuration;
mod deadlines;
mod files;
mod metrics;
mod name;
mod netascii;
mod options;
mod packet;
mod read;
mod round_trip;
mod upload;
mod write;
