//! What has arrived in order and our user has not consumed.
//!
//! Responsible for one contiguous slice of it, and for giving the memory back once it is empty. Octets that are consumed
//! straight from the frame that brought them never come here.

use bytes::{Buf, BytesMut};

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct ReceiveQueue(BytesMut);

impl ReceiveQueue {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Octets of memory that it holds.
    pub(crate) fn memory(&self) -> usize {
        self.0.capacity()
    }

    pub(crate) fn push(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Drops the first `count` octets, or all.
    pub(crate) fn consume(&mut self, count: usize) {
        if count >= self.0.len() {
            self.clear();
        } else {
            self.0.advance(count);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0 = BytesMut::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_queue_holds_no_memory() {
        let mut queue = ReceiveQueue::default();
        queue.push(&[1; 5000]);
        queue.consume(4999);
        assert_eq!(queue.as_slice(), [1]);
        queue.consume(7);
        assert_eq!((queue.len(), queue.memory()), (0, 0));
    }
}
