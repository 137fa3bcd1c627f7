//! Buffers for file content on its way.
//!
//! Responsible for using the same few buffers again and again: one that was just sent is still in the processor's
//! cache, and need not be cleared for the next read.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The size of a pooled buffer, in bytes: about one large segment. Larger ones are filled in part only once the peer's
/// acknowledgements set the pace, and were slower for it (4.4 against 6 GB/s with 256 KiB).
pub(crate) const BUFFER_SIZE: usize = 64 << 10;
/// Below this, a buffer of its own size is taken: a small piece would hold a large buffer.
const POOLED_FROM: usize = BUFFER_SIZE / 4;
/// How many buffers are kept while they are not in use.
const KEPT: usize = 64;

/// Buffers that are not in use, the last one used on top.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Fills a buffer of at most `size` bytes by `read`, which says how many it has filled.
    pub(crate) fn fill<E>(
        self: &Arc<Self>,
        size: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Bytes, E> {
        if size < POOLED_FROM {
            let mut buffer = vec![0; size];
            let filled = read(&mut buffer)?;
            buffer.truncate(filled);
            return Ok(buffer.into());
        }
        let buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffer = buffer.unwrap_or_else(|| vec![0; BUFFER_SIZE]);
        let mut pooled = Pooled { buffer, filled: 0, home: Arc::clone(self) };
        let size = size.min(pooled.buffer.len());
        pooled.filled = read(pooled.buffer.get_mut(..size).unwrap_or_default())?.min(size);
        Ok(Bytes::from_owner(pooled))
    }
}

/// A buffer that goes home when its last user is done.
struct Pooled {
    buffer: Vec<u8>,
    filled: usize,
    home: Arc<Buffers>,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut free = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_when_all_its_users_are_done() {
        let buffers = Arc::new(Buffers::default());
        let fill = |byte: u8| {
            let read = |buffer: &mut [u8]| -> Result<usize, ()> {
                buffer.fill(byte);
                Ok(buffer.len())
            };
            buffers.fill(BUFFER_SIZE, read).unwrap()
        };
        let first = fill(1);
        let part = first.slice(10..20);
        let address = first.as_ptr();
        drop(first);
        let second = fill(2);
        assert_ne!(second.as_ptr(), address, "a part of it is still in use");
        assert_eq!(*part, [1; 10]);
        drop(part);
        assert_eq!(fill(3).as_ptr(), address);
    }

    #[test]
    fn only_what_was_filled_is_seen() {
        let buffers = Arc::new(Buffers::default());
        for size in [100, BUFFER_SIZE] {
            assert_eq!(buffers.fill(size, |_| Ok::<_, ()>(3)).unwrap().len(), 3);
            assert!(buffers.fill(size, |_| Err::<usize, _>(())).is_err());
        }
    }
}
