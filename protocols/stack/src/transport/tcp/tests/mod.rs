//! TCP against itself, and against segments written by hand.

mod conversation;
mod harness;
mod lab;
mod rules;
mod wire;
