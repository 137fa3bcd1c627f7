//! The plain side of a TLS connection, as the session within sees it.
//!
//! Responsible for the bytes between the two: what has been decrypted and not consumed, and short pieces that wait for a
//! record to be worth it, at most until the session within returns. Not for when anything happens; that is `session`.

use bytes::{Buf, Bytes, BytesMut};
use rustls::Error;
use tapster_service::{ByteStream, Measurements};

use crate::engine::{Engine, plain_length};

/// How many bytes are taken from the connection at once; a record has at most 18,437 (RFC 5246 §6.2.3).
const PIECE: usize = 32 << 10;
/// From how many bytes on a piece is encrypted from where it lies, even if its last record is short.
const WORTHWHILE: usize = 4 << 10;

/// The bytes of one connection.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) engine: Engine,
    /// Decrypted, and not consumed.
    plaintext: BytesMut,
    /// Written, and not encrypted.
    pending: Vec<u8>,
    /// Whether our close_notify has been sent.
    finished: bool,
    /// Whether something could not be encrypted.
    broken: bool,
}

impl Layer {
    pub(crate) const fn new(engine: Engine, plaintext: BytesMut) -> Self {
        Self { engine, plaintext, pending: Vec::new(), finished: false, broken: false }
    }

    /// How many plain bytes wait for the session within.
    pub(crate) fn waiting(&self) -> usize {
        self.plaintext.len()
    }

    /// Whether something could not be encrypted: the connection is of no use any more.
    pub(crate) const fn broken(&self) -> bool {
        self.broken
    }

    /// Decrypts what has come until at least `target` plain bytes wait, and answers what TLS itself has to answer.
    /// Returns how many bytes were taken from the connection.
    pub(crate) fn receive(&mut self, wire: &mut dyn ByteStream, target: usize) -> Result<usize, Error> {
        let mut taken = 0;
        let mut outgoing = Vec::new();
        let mut result = Ok(());
        while result.is_ok() && self.plaintext.len() < target && !self.engine.peer_closed() {
            let input = wire.input();
            let piece = input.get(..PIECE).unwrap_or(input);
            if piece.is_empty() {
                break;
            }
            result = self.engine.receive(piece, &mut self.plaintext, &mut outgoing);
            let length = piece.len();
            taken += length;
            wire.consume(length);
        }
        hand_over(outgoing, wire);
        result.map(|()| taken)
    }

    /// Encrypts what the session within has written.
    pub(crate) fn flush(&mut self, wire: &mut dyn ByteStream) {
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            self.seal(&pending, wire);
        }
    }

    /// Says that no more comes, once.
    pub(crate) fn finish(&mut self, wire: &mut dyn ByteStream) {
        if self.finished {
            return;
        }
        self.flush(wire);
        self.finished = true;
        let mut outgoing = Vec::new();
        self.broken |= self.engine.close(&mut outgoing).is_err();
        hand_over(outgoing, wire);
        wire.finish();
    }

    fn seal(&mut self, plain: &[u8], wire: &mut dyn ByteStream) {
        let mut outgoing = Vec::new();
        self.broken |= self.engine.seal(plain, &mut outgoing).is_err();
        hand_over(outgoing, wire);
    }

    fn write(&mut self, bytes: &[u8], wire: &mut dyn ByteStream) {
        if self.finished {
            return;
        }
        if bytes.len() >= WORTHWHILE {
            self.flush(wire);
            self.seal(bytes, wire);
            return;
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= WORTHWHILE {
            self.flush(wire);
        }
    }
}

fn hand_over(outgoing: Vec<u8>, wire: &mut dyn ByteStream) {
    if !outgoing.is_empty() {
        wire.write(Bytes::from(outgoing));
    }
}

/// The stream that the session within is given.
pub(crate) struct PlainStream<'a> {
    pub(crate) layer: &'a mut Layer,
    pub(crate) wire: &'a mut dyn ByteStream,
}

impl ByteStream for PlainStream<'_> {
    fn input(&mut self) -> &[u8] {
        &self.layer.plaintext
    }

    fn consume(&mut self, count: usize) {
        let plaintext = &mut self.layer.plaintext;
        if count < plaintext.len() {
            plaintext.advance(count);
        } else {
            *plaintext = BytesMut::new();
        }
    }

    /// Only close_notify finishes the input: the mere end of the connection can be anybody's doing (RFC 8446 §6.1).
    fn input_finished(&self) -> bool {
        self.layer.engine.peer_closed()
    }

    fn room(&self) -> usize {
        if self.layer.finished { 0 } else { plain_length(self.wire.room()).saturating_sub(self.layer.pending.len()) }
    }

    fn write(&mut self, bytes: Bytes) {
        self.layer.write(&bytes, self.wire);
    }

    fn write_copy(&mut self, bytes: &[u8]) {
        self.layer.write(bytes, self.wire);
    }

    fn finish(&mut self) {
        self.layer.finish(self.wire);
    }

    fn unacknowledged(&self) -> usize {
        plain_length(self.wire.unacknowledged()).saturating_add(self.layer.pending.len())
    }

    fn measurements(&self) -> Measurements {
        self.wire.measurements()
    }
}
