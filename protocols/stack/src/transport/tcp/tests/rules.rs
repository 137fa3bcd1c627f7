//! The rules, one by one, on segments written by hand.

mod closing;
mod congestion_marks;
mod hostile;
mod loss;
mod opening;
mod receiving;
mod requirements;
mod sending;
