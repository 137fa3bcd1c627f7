//! Tapster seen from outside: a lab of network namespaces in which the real daemon meets real clients.
//!
//! Responsible for what the end-to-end tests (`tests/tests`) and the benchmark (`tests/src/bin/bench`) share. The stack's
//! conversations under loss and reordering are not tested here but in simulation, beside the stack.
//!
//! A test fails by a panic, so almost everything here panics with a sentence that says what went wrong. Nothing here
//! waits without a bound, and everything that a [`Lab`](lab::Lab) starts ends with it.

#![forbid(unsafe_code)]

pub mod content;
pub mod lab;
