//! Two hosts on a simulated link, in virtual time, all from one seed.
//!
//! ```text
//!   application ─ Host ═══ Impairer ═══► Host ─ application
//!                      ◄══ Impairer ═══
//! ```
//!
//! [`link`] joins two whole hosts, frames and ARP included; [`application`] writes and reads; [`segment`] looks at what passes
//! by and sees that the peer's window is respected. A failing seed is printed; `TAPSTER_SIMULATION_SEED=n` plays it alone, and
//! `TAPSTER_SIMULATION_RUNS=n` plays so many.
#![expect(clippy::expect_used, reason = "a test may fail so")]

mod application;
mod conversations;
mod goodput;
mod link;
mod segment;
