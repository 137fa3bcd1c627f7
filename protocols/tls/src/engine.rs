//! The adapter around rustls: records in, plain bytes and records out.
//!
//! Responsible for driving rustls's unbuffered connection, in which we own all buffers, so that an idle connection holds
//! none. The one place to change when rustls's interface does.

use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus};
use rustls::{Error, HandshakeKind, ProtocolVersion, ServerConfig};

/// The most plain bytes of a record (RFC 8446 §5.1).
const FRAGMENT: usize = 1 << 14;
/// The most that a record is longer than what it carries: header, explicit nonce and tag of TLS 1.2's AES-GCM
/// (RFC 5288 §3). TLS 1.3 takes 22 bytes.
const OVERHEAD: usize = 5 + 8 + 16;

/// How many bytes `plain` bytes take at most, once encrypted.
pub(crate) const fn sealed_length(plain: usize) -> usize {
    plain.saturating_add(plain.div_ceil(FRAGMENT).saturating_mul(OVERHEAD))
}

/// How many plain bytes go into `sealed` bytes of records.
pub(crate) const fn plain_length(sealed: usize) -> usize {
    let whole = sealed / (FRAGMENT + OVERHEAD);
    whole * FRAGMENT + (sealed % (FRAGMENT + OVERHEAD)).saturating_sub(OVERHEAD)
}

/// What is asked for once rustls has nothing else to say.
enum Request<'a> {
    Nothing,
    Seal(&'a [u8]),
    CloseNotify,
}

/// One connection's TLS state.
pub(crate) struct Engine {
    connection: UnbufferedServerConnection,
    /// What has come and is no whole record or handshake message yet.
    incoming: Vec<u8>,
    peer_closed: bool,
}

impl Engine {
    pub(crate) fn new(configuration: &Arc<ServerConfig>) -> Result<Self, Error> {
        let connection = UnbufferedServerConnection::new(Arc::clone(configuration))?;
        Ok(Self { connection, incoming: Vec::new(), peer_closed: false })
    }

    /// Whether the handshake is over.
    pub(crate) fn established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Whether the peer has said that nothing more comes (close_notify).
    pub(crate) const fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// The version agreed upon.
    pub(crate) fn version(&self) -> Option<ProtocolVersion> {
        self.connection.protocol_version()
    }

    /// Whether the handshake resumed an earlier session.
    pub(crate) fn resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Takes bytes from the peer. What they carry is appended to `plaintext`, what is to be answered to `outgoing`; in
    /// case of an error that is the alert. Of whole records, nothing is left for later.
    ///
    /// # Errors
    /// What is wrong with the bytes. The connection can only be ended then.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        plaintext: &mut BytesMut,
        outgoing: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.peer_closed {
            return Ok(());
        }
        self.incoming.extend_from_slice(bytes);
        self.run(&Request::Nothing, plaintext, outgoing)
    }

    /// Encrypts `plain` and appends the records to `outgoing`.
    ///
    /// # Errors
    /// When the keys may not be used any more; the connection can only be ended then.
    pub(crate) fn seal(&mut self, plain: &[u8], outgoing: &mut Vec<u8>) -> Result<(), Error> {
        self.run(&Request::Seal(plain), &mut BytesMut::new(), outgoing)
    }

    /// Appends the alert that says that no more comes (RFC 8446 §6.1).
    ///
    /// # Errors
    /// When the connection is in a state in which nothing can be said.
    pub(crate) fn close(&mut self, outgoing: &mut Vec<u8>) -> Result<(), Error> {
        self.run(&Request::CloseNotify, &mut BytesMut::new(), outgoing)
    }

    fn run(&mut self, request: &Request<'_>, plaintext: &mut BytesMut, outgoing: &mut Vec<u8>) -> Result<(), Error> {
        let mut start = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(self.incoming.get_mut(start..).unwrap_or_default());
            let mut idle = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        plaintext.extend_from_slice(record.payload);
                        discard += record.discard;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => append(outgoing, 0, |room| data.encode(room))?,
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    idle = true;
                    match request {
                        Request::Nothing => {}
                        Request::Seal(plain) => {
                            append(outgoing, sealed_length(plain.len()), |room| traffic.encrypt(plain, room))?;
                        }
                        Request::CloseNotify => append(outgoing, 0, |room| traffic.queue_close_notify(room))?,
                    }
                }
                // Early data is never offered, so that the only other states are those with nothing to do.
                Ok(_) => idle = true,
                Err(error) => {
                    self.take_alert(start + discard, outgoing)?;
                    return Err(error);
                }
            }
            start += discard;
            if idle {
                break;
            }
        }
        if self.peer_closed || start >= self.incoming.len() {
            // The memory is given back, too.
            self.incoming = Vec::new();
        } else {
            self.incoming.drain(..start);
        }
        Ok(())
    }

    /// Appends what is still to be said, last of all the alert that goes with an error. rustls must not be asked for more
    /// than that, since it would read the wrong record once more.
    fn take_alert(&mut self, start: usize, outgoing: &mut Vec<u8>) -> Result<(), Error> {
        while self.connection.wants_write() {
            let input = self.incoming.get_mut(start..).unwrap_or_default();
            let Ok(ConnectionState::EncodeTlsData(mut data)) = self.connection.process_tls_records(input).state else {
                break;
            };
            append(outgoing, 0, |room| data.encode(room))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("peer_closed", &self.peer_closed).finish_non_exhaustive()
    }
}

/// What a buffer that is too small is told.
trait Refusal {
    fn required_size(&self) -> Option<usize>;
}

impl Refusal for EncodeError {
    fn required_size(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            Self::AlreadyEncoded => None,
        }
    }
}

impl Refusal for EncryptError {
    fn required_size(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            Self::EncryptExhausted => None,
        }
    }
}

/// Appends what `write` writes, which says how much room it needs when it has too little.
fn append<E: Refusal>(
    outgoing: &mut Vec<u8>,
    expected: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), Error> {
    let before = outgoing.len();
    let mut room = expected;
    loop {
        outgoing.resize(before + room, 0);
        match write(outgoing.get_mut(before..).unwrap_or_default()) {
            Ok(written) => {
                outgoing.truncate(before + written);
                return Ok(());
            }
            Err(refusal) => match refusal.required_size().filter(|required| *required > room) {
                Some(required) => room = required,
                None => {
                    outgoing.truncate(before);
                    return Err(Error::EncryptError);
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_sealed_fits_into_the_room_that_was_asked_for(plain in 0_usize..1 << 24) {
            prop_assert_eq!(plain_length(sealed_length(plain)), plain);
        }

        #[test]
        fn room_is_never_promised_twice(room in 0_usize..1 << 24) {
            prop_assert!(sealed_length(plain_length(room)) <= room);
        }
    }

    #[test]
    fn no_room_is_too_large() {
        assert!(plain_length(usize::MAX) > usize::MAX / 2);
        assert_eq!(sealed_length(usize::MAX), usize::MAX);
    }
}
