//! The real daemon, real clients: what a user sees. Each test has a network, a daemon and a directory of its own.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may unwrap: a panic there is how it fails")]

mod bad_network;
mod connections;
mod control;
mod crowds;
mod demo;
mod dns;
mod floods;
mod frames;
mod http;
mod icmp;
mod ipv6;
mod operation;
mod orders;
mod probes;
mod smtp;
mod streams;
mod tftp;
mod tls;
