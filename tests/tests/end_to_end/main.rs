//! The real daemon, real clients: what a user sees. Each test has a network, a daemon and a directory of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

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
mod operation;
mod probes;
mod smtp;
mod tftp;
