//! The real daemon, real clients: what a user sees. Each test has a network, a daemon and a directory of its own.

mod connections;
mod control;
mod crowds;
mod demo;
mod dns;
mod frames;
mod http;
mod icmp;
mod operation;
mod tls;
