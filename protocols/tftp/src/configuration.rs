//! The section `[services.tftp]`.
//!
//! Responsible for the keys, their defaults and their units.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use tapster_service::configuration::ListenAddress;

use crate::block::Rollover;
use crate::fault::FaultRule;
use crate::generated::GeneratedFile;
use crate::rename::RenameRule;

/// `[services.tftp]`: a TFTP server (RFC 1350, RFC 2347, RFC 2348, RFC 2349, RFC 7440).
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// Where to listen. Empty: every own address, port 69.
    pub listen: Vec<ListenAddress>,
    /// The directory that names are relative to, itself relative to the configuration file. With `{mac}` (the client's
    /// hardware address, as `02-54-41-50-53-02`) or `{ip}` in a component, each client has a directory for itself;
    /// where that does not exist, what is written before this component is the client's root.
    pub root: PathBuf,
    /// Whether clients may write files (WRQ). What they write can be read by anyone.
    pub writable: bool,
    /// Whether a file that is written may replace one that exists. Otherwise that is error 6.
    pub overwrite: bool,
    /// Whether a name that does not exist is looked for without regard to the case of ASCII letters.
    pub case_insensitive: bool,
    /// Whether `\` in a name separates directories, as `/` does.
    pub backslashes: bool,
    /// Whether transfers are answered from the listening port, and not from a port of their own (RFC 1350 §4). For
    /// clients behind a firewall or an address translator.
    pub single_port: bool,
    /// Options that are treated as unknown: `blksize`, `tsize`, `timeout`, `windowsize`.
    pub refuse_options: Vec<String>,
    /// The block number that follows 65,535: 0 or 1.
    pub rollover: Rollover,
    /// Names that stand for others.
    pub rename: Vec<RenameRule>,
    /// Files that are made from a text when they are asked for.
    pub generated: Vec<GeneratedFile>,
    /// Faults on purpose, for those who test a client. Off unless there are some.
    pub faults: Vec<FaultRule>,
    /// Time-outs and limits.
    pub limits: Limits,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            root: PathBuf::from("tftp"),
            writable: false,
            overwrite: false,
            case_insensitive: false,
            backslashes: true,
            single_port: false,
            refuse_options: Vec::new(),
            rollover: Rollover::Zero,
            rename: Vec::new(),
            generated: Vec::new(),
            faults: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// `[services.tftp.limits]`: time-outs and limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How many transfers may run at once, at least 1.
    pub transfers: usize,
    /// How many of them one address may have, at least 1.
    pub transfers_per_client: usize,
    /// The longest request that is read, in bytes, 64 to 65,507 (RFC 2347: 512).
    pub request_size: usize,
    /// How many options one request may carry, 1 to 64.
    pub options: usize,
    /// The largest block (`blksize`) that is granted, in bytes, 512 to 65,464. Left out: what goes to the client
    /// without being fragmented.
    pub block_size: Option<u16>,
    /// The largest window (`windowsize`) that is granted, in blocks, 1 to 32,768.
    pub window_size: u16,
    /// The largest file that may be written.
    pub upload_size: ByteSize,
    /// How many files are kept open between transfers, so that many clients share one.
    pub open_files: usize,
    /// How long to wait for the first answer before sending again. Afterwards the measured round trip decides.
    #[serde(with = "humantime_serde")]
    pub initial_timeout: Duration,
    /// The least that a measured time-out can be.
    #[serde(with = "humantime_serde")]
    pub minimum_timeout: Duration,
    /// The most that a time-out can be, however often it was doubled.
    #[serde(with = "humantime_serde")]
    pub maximum_timeout: Duration,
    /// How often in a row a packet is sent again before the transfer is given up, at least 1. Until the client has
    /// answered for the first time it is once, so that nobody can be flooded in another's name.
    pub retransmissions: u32,
    /// How long a transfer may stand still, whatever `timeout` the client asked for.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transfers: 1024,
            transfers_per_client: 16,
            request_size: 512,
            options: 16,
            block_size: None,
            window_size: 64,
            upload_size: ByteSize::gib(1),
            open_files: 64,
            initial_timeout: Duration::from_secs(1),
            minimum_timeout: Duration::from_millis(200),
            maximum_timeout: Duration::from_secs(10),
            retransmissions: 8,
            idle_timeout: Duration::from_secs(300),
        }
    }
}
