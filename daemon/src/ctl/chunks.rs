//! Chunked transfer coding (RFC 9112 §7.1), as a reader meets it.
//!
//! Responsible for telling data from framing, however the bytes come in pieces. A stream that ends before its last chunk
//! has broken off.

use httparse::{InvalidChunkSize, Status, parse_chunk_size};

/// What has come and was not taken.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    raw: Vec<u8>,
    /// How many bytes of the chunk that has begun are missing, its line end included.
    missing: usize,
    complete: bool,
}

/// The end of a chunk's data.
const LINE_END: usize = 2;

impl Chunks {
    /// Bytes have come.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
    }

    /// Whether the last chunk has been seen.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// The data that is there.
    pub(super) fn take(&mut self) -> Result<Vec<u8>, InvalidChunkSize> {
        let mut data = Vec::new();
        let mut used = 0;
        while !self.complete {
            let rest = &self.raw[used..];
            if self.missing > 0 {
                let here = rest.len().min(self.missing);
                data.extend_from_slice(&rest[..here.min(self.missing.saturating_sub(LINE_END))]);
                self.missing -= here;
                used += here;
                if self.missing > 0 {
                    break;
                }
                continue;
            }
            let Status::Complete((line, size)) = parse_chunk_size(rest)? else { break };
            used += line;
            self.complete = size == 0;
            self.missing = usize::try_from(size).unwrap_or(usize::MAX - LINE_END) + LINE_END;
        }
        self.raw.drain(..used);
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coded(pieces: &[Vec<u8>]) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            all.extend(format!("{:x}\r\n", piece.len()).into_bytes());
            all.extend_from_slice(piece);
            all.extend(b"\r\n");
        }
        all.extend(b"0\r\n\r\n");
        all
    }

    proptest! {
        #[test]
        fn what_was_coded_comes_out_however_it_is_cut(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            step in 1..50_usize,
        ) {
            let mut chunks = Chunks::default();
            let mut data = Vec::new();
            for part in coded(&pieces).chunks(step) {
                prop_assert!(!chunks.is_complete() || part.len() <= LINE_END);
                chunks.receive(part);
                data.extend(chunks.take().unwrap());
            }
            prop_assert!(chunks.is_complete());
            prop_assert_eq!(data, pieces.concat());
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut chunks = Chunks::default();
            chunks.receive(&bytes);
            let _ = chunks.take();
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_not_complete() {
        let mut chunks = Chunks::default();
        chunks.receive(b"5\r\nhel");
        assert_eq!(chunks.take().unwrap(), b"hel");
        assert!(!chunks.is_complete());
    }
}
