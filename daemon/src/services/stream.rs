//! A TCP connection of the stack as a module sees it.
//!
//! Responsible for translating [`ByteStream`]'s calls into the stack's. Nothing is kept or copied here.

use bytes::Bytes;
use tapster_service::{ByteStream, Measurements};
use tapster_stack::tcp;

/// A connection's queues, for one call of its session.
pub(super) struct Connection<'a, 'f>(pub(super) tcp::Stream<'a, 'f>);

impl ByteStream for Connection<'_, '_> {
    fn input(&mut self) -> &[u8] {
        self.0.input()
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }

    fn input_finished(&self) -> bool {
        self.0.input_finished()
    }

    fn room(&self) -> usize {
        self.0.room()
    }

    fn write(&mut self, bytes: Bytes) {
        self.0.write(bytes);
    }

    fn write_copy(&mut self, bytes: &[u8]) {
        self.0.write_copy(bytes);
    }

    fn finish(&mut self) {
        self.0.finish();
    }

    fn unacknowledged(&self) -> usize {
        self.0.unacknowledged()
    }

    fn measurements(&self) -> Measurements {
        let measured = self.0.measurements();
        Measurements { round_trip_time: measured.smoothed_round_trip, retransmissions: measured.retransmissions }
    }
}
