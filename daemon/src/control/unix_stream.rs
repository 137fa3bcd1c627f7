//! A Unix socket's connection as a [`ByteStream`].
//!
//! Responsible for two bounded buffers between the socket and the HTTP session that serves it. A reader that is slow or
//! gone costs the output buffer and no more.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};

use bytes::{Buf, Bytes, BytesMut};
use mio::net::UnixStream;
use tapster_service::ByteStream;

/// How much input is taken from the socket before the session has consumed some, in bytes.
const INPUT_LIMIT: usize = 64 << 10;
/// How much output waits for the socket, in bytes.
const OUTPUT_LIMIT: usize = 256 << 10;
/// How many pieces go into one system call.
const SLICES: usize = 16;

/// A connection of the control socket.
#[derive(Debug)]
pub(super) struct UnixByteStream {
    socket: UnixStream,
    input: BytesMut,
    input_finished: bool,
    output: VecDeque<Bytes>,
    output_length: usize,
    finished: bool,
    shut_down: bool,
}

impl UnixByteStream {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            input: BytesMut::new(),
            input_finished: false,
            output: VecDeque::new(),
            output_length: 0,
            finished: false,
            shut_down: false,
        }
    }

    /// The socket, for registering it.
    pub(super) const fn socket(&mut self) -> &mut UnixStream {
        &mut self.socket
    }

    /// Reads what there is, up to the limit. Returns whether there is anything new.
    ///
    /// # Errors
    /// What the socket says: the connection is lost.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        let mut new = false;
        let mut piece = [0; 4096];
        while !self.input_finished && self.input.len() < INPUT_LIMIT {
            match self.socket.read(&mut piece) {
                Ok(0) => self.input_finished = true,
                Ok(count) => self.input.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            new = true;
        }
        Ok(new)
    }

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// What the socket says: the connection is lost.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.output_length > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut used = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.output) {
                *slice = IoSlice::new(piece);
                used += 1;
            }
            match self.socket.write_vectored(&slices[..used]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.forget_output(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.finished && !self.shut_down {
            self.shut_down = true;
            self.socket.shutdown(std::net::Shutdown::Write)?;
        }
        Ok(())
    }

    fn forget_output(&mut self, mut count: usize) {
        self.output_length -= count;
        while count > 0
            && let Some(piece) = self.output.front_mut()
        {
            let part = count.min(piece.len());
            piece.advance(part);
            count -= part;
            if piece.is_empty() {
                self.output.pop_front();
            }
        }
    }

    /// Whether there is nothing left to write.
    pub(super) const fn is_flushed(&self) -> bool {
        self.output_length == 0
    }
}

impl ByteStream for UnixByteStream {
    fn input(&mut self) -> &[u8] {
        &self.input
    }

    fn consume(&mut self, count: usize) {
        self.input.advance(count.min(self.input.len()));
    }

    fn input_finished(&self) -> bool {
        self.input_finished
    }

    fn room(&self) -> usize {
        if self.finished { 0 } else { OUTPUT_LIMIT.saturating_sub(self.output_length) }
    }

    fn write(&mut self, bytes: Bytes) {
        if !self.finished && !bytes.is_empty() {
            self.output_length += bytes.len();
            self.output.push_back(bytes);
        }
    }

    fn write_copy(&mut self, bytes: &[u8]) {
        self.write(Bytes::copy_from_slice(bytes));
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn unacknowledged(&self) -> usize {
        self.output_length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_arrives_and_the_end_after_it() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = UnixByteStream::new(ours);
        stream.write_copy(b"one ");
        stream.write(Bytes::from_static(b"two"));
        stream.finish();
        stream.write_copy(b"too late");
        assert!(!stream.is_flushed());
        stream.flush().unwrap();
        assert!(stream.is_flushed());
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"one two");
    }

    #[test]
    fn output_that_nobody_reads_is_bounded_by_room_and_none_is_lost() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = UnixByteStream::new(ours);
        let mut written = 0;
        for _ in 0..100 {
            let room = stream.room().min(100_000);
            stream.write(vec![7; room].into());
            written += room;
            stream.flush().unwrap();
            assert!(stream.unacknowledged() <= OUTPUT_LIMIT);
        }
        assert_eq!(stream.room(), 0);
        let mut read = 0;
        let mut piece = vec![0; 1 << 20];
        while read < written {
            match theirs.read(&mut piece) {
                Ok(count) => read += count,
                Err(_) => stream.flush().unwrap(),
            }
        }
        assert_eq!((read, stream.is_flushed()), (written, true));
    }

    #[test]
    fn input_stops_at_its_limit_and_goes_on_when_consumed() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = UnixByteStream::new(ours);
        let sent = theirs.write(&vec![1; 200 << 10]).unwrap();
        assert!(stream.fill().unwrap());
        assert!(stream.input().len() < INPUT_LIMIT + 4096);
        let mut seen = 0;
        while seen < sent {
            let count = stream.input().len();
            seen += count;
            stream.consume(count);
            stream.fill().unwrap();
        }
        drop(theirs);
        stream.fill().unwrap();
        assert!(stream.input_finished());
    }
}
