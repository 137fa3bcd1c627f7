//! The stack under packetdrill.
//!
//! packetdrill (google/packetdrill) plays scripts of system calls and packets. With `--so_filename` it plays them against a
//! shared library instead of the kernel, and this is such a library: `socket` to `poll` over [`Host`](tapster_stack::Host),
//! in a virtual time that only the script moves. No packet leaves the process.
//!
//! ```text
//!   packetdrill ── abi ──► library ──► sockets ──► machine ──► Host
//!                 C types   threads,   system      clock, packets
//!                           the clock  calls       in and out
//! ```
//!
//! Only `abi` has unsafe code. The settings that `--so_flags` takes are in `flags`.

pub mod abi;
mod flags;
pub mod interface;
mod library;
mod machine;
mod options;
mod sockets;
mod tcp_info;

pub use flags::Flags;
