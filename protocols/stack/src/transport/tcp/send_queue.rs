//! What our user has written and the peer has not acknowledged.
//!
//! Responsible for holding it without copying it, and for lending any stretch of it as slices. It knows offsets in the
//! stream, counted from the first octet ever written; what they are as sequence numbers is the control block's business.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use smallvec::SmallVec;

/// Shared octets up to this many are copied into the chunk before them: cheaper than a slice of its own in each segment.
const COPY_LIMIT: usize = 256;
/// Copied pieces share a chunk up to this size.
const CHUNK_SIZE: usize = 16 * 1024;
/// An empty queue keeps room for so many chunks, since it will be used again.
const KEPT_CHUNKS: usize = 4;

/// A stretch of the queue, as slices.
pub(crate) type Slices<'a> = SmallVec<[&'a [u8]; 16]>;

#[derive(Debug)]
enum Octets {
    Shared(Bytes),
    Copied(Vec<u8>),
}

#[derive(Debug)]
struct Chunk {
    /// The offset of its first octet.
    start: u64,
    octets: Octets,
}

impl Chunk {
    fn as_slice(&self) -> &[u8] {
        match &self.octets {
            Octets::Shared(octets) => octets,
            Octets::Copied(octets) => octets,
        }
    }

    fn end(&self) -> u64 {
        self.start + self.as_slice().len() as u64
    }
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    chunks: VecDeque<Chunk>,
    /// The offset of the first octet that is kept.
    start: u64,
    /// The offset after the last.
    end: u64,
}

impl SendQueue {
    /// Octets that are kept.
    pub(crate) const fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// The offset of the first octet that is kept.
    pub(crate) const fn start(&self) -> u64 {
        self.start
    }

    /// Adds shared octets.
    pub(crate) fn push(&mut self, octets: Bytes) {
        if octets.len() <= COPY_LIMIT {
            self.push_copy(&octets);
            return;
        }
        let start = self.end;
        self.end += octets.len() as u64;
        self.chunks.push_back(Chunk { start, octets: Octets::Shared(octets) });
    }

    /// Adds a copy of octets.
    pub(crate) fn push_copy(&mut self, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        let start = self.end;
        self.end += octets.len() as u64;
        if let Some(Chunk { octets: Octets::Copied(last), .. }) = self.chunks.back_mut()
            && last.len() + octets.len() <= CHUNK_SIZE
        {
            last.extend_from_slice(octets);
            return;
        }
        self.chunks.push_back(Chunk { start, octets: Octets::Copied(octets.to_vec()) });
    }

    /// Gives back what lies before `offset`: it has been acknowledged.
    pub(crate) fn release(&mut self, offset: u64) {
        self.start = offset.clamp(self.start, self.end);
        while let Some(chunk) = self.chunks.front_mut() {
            if chunk.end() <= self.start {
                self.chunks.pop_front();
                continue;
            }
            // A shared chunk lets go of its source no earlier, but its slice gets shorter.
            if let Octets::Shared(octets) = &mut chunk.octets {
                octets.advance((self.start - chunk.start) as usize);
                chunk.start = self.start;
            }
            break;
        }
        if self.chunks.is_empty() && self.chunks.capacity() > KEPT_CHUNKS {
            self.chunks = VecDeque::new();
        }
    }

    /// Gives back everything.
    pub(crate) fn clear(&mut self) {
        *self = Self { chunks: VecDeque::new(), start: self.end, end: self.end };
    }

    /// The octets from `offset` on, at most `length` of them, as slices without a gap.
    pub(crate) fn slices(&self, offset: u64, length: usize) -> Slices<'_> {
        let mut slices = Slices::new();
        if length == 0 {
            return slices;
        }
        let end = offset + length as u64;
        let first = self.chunks.partition_point(|chunk| chunk.end() <= offset);
        for chunk in self.chunks.range(first..) {
            if chunk.start >= end {
                break;
            }
            let octets = chunk.as_slice();
            let from = offset.saturating_sub(chunk.start) as usize;
            let to = ((end - chunk.start) as usize).min(octets.len());
            slices.extend(octets.get(from..to));
        }
        slices
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_pieces_share_a_chunk_and_long_ones_are_not_copied() {
        let mut queue = SendQueue::default();
        queue.push_copy(b"HTTP/1.1 200 OK\r\n");
        queue.push(Bytes::from_static(b"\r\n"));
        let body = Bytes::from(vec![b'x'; 1000]);
        queue.push(body.clone());
        let slices = queue.slices(0, usize::MAX >> 1);
        assert_eq!(slices.len(), 2);
        assert_eq!(slices[1].as_ptr(), body.as_ptr());
    }

    #[test]
    fn what_is_acknowledged_is_given_back() {
        let mut queue = SendQueue::default();
        let body = Bytes::from(vec![b'x'; 1000]);
        for _ in 0..100 {
            queue.push(body.clone());
        }
        queue.release(100_000);
        assert!(queue.len() == 0 && queue.chunks.capacity() <= KEPT_CHUNKS);
        assert!(body.is_unique(), "nobody else holds it");
    }

    proptest! {
        #[test]
        fn any_stretch_is_what_was_written(
            writes in proptest::collection::vec((any::<bool>(), 0_usize..700), 0..30),
            stretches in proptest::collection::vec((0_u64..8_000, 0_usize..3_000, 0_u64..300), 0..20),
        ) {
            let mut queue = SendQueue::default();
            let mut model = Vec::new();
            for (shared, length) in writes {
                let octets: Vec<u8> = (model.len()..model.len() + length).map(|at| (at % 251) as u8).collect();
                model.extend(&octets);
                if shared { queue.push(octets.into()) } else { queue.push_copy(&octets) }
            }
            let mut released = 0;
            for (offset, length, release) in stretches {
                released = (released + release).min(model.len() as u64);
                queue.release(released);
                prop_assert_eq!(queue.len(), model.len() - released as usize);
                let offset = offset.max(released).min(model.len() as u64);
                let found = queue.slices(offset, length).concat();
                let end = (offset as usize + length).min(model.len());
                prop_assert_eq!(&found[..], &model[offset as usize..end]);
            }
        }
    }
}
