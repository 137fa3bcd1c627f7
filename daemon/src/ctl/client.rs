//! One question over the control socket.
//!
//! Responsible for one HTTP/1.1 exchange on a Unix socket. The server is our own and closes after the answer, so the
//! answer is what comes until then.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::chunks::Chunks;

/// How long the daemon may take to answer. A reload reads all files first.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest answer that is taken, in bytes.
const ANSWER_LIMIT: u64 = 256 << 20;
/// How much is read from a stream at a time, in bytes.
const PIECE: usize = 64 << 10;
/// How many header fields an answer may have.
const FIELDS: usize = 32;

/// No answer came.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("cannot reach tapster on {}: {source} (does it run? `--socket` names another socket)", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("the conversation with tapster broke off: {0}")]
    Broken(#[from] io::Error),
    #[error("what answers on the control socket does not speak HTTP")]
    NotHttp,
}

impl ClientError {
    /// Whether the socket may not be opened.
    pub(super) fn is_permission(&self) -> bool {
        matches!(self, Self::Connect { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Asks, and waits for the whole answer.
pub(super) fn ask(path: &Path, method: &str, target: &str) -> Result<Reply, ClientError> {
    let mut socket =
        UnixStream::connect(path).map_err(|source| ClientError::Connect { path: path.to_owned(), source })?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let request = format!("{method} {target} HTTP/1.1\r\nHost: tapster\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    socket.take(ANSWER_LIMIT).read_to_end(&mut answer)?;
    parse(&answer)
}

/// An answer that goes on.
#[derive(Debug)]
pub(super) struct Stream {
    socket: UnixStream,
    chunks: Chunks,
    piece: Vec<u8>,
}

/// Asks for an answer that goes on. A refusal comes whole, as the inner error.
pub(super) fn follow(path: &Path, target: &str) -> Result<Result<Stream, Reply>, ClientError> {
    let mut socket =
        UnixStream::connect(path).map_err(|source| ClientError::Connect { path: path.to_owned(), source })?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: tapster\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut begin = Vec::new();
    let mut piece = vec![0; PIECE];
    let head = loop {
        let count = socket.read(&mut piece)?;
        begin.extend_from_slice(&piece[..count]);
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(&begin) {
            Ok(httparse::Status::Complete(head)) if response.code == Some(200) => break head,
            Ok(httparse::Status::Complete(_)) => {
                socket.take(ANSWER_LIMIT).read_to_end(&mut begin)?;
                return parse(&begin).map(Err);
            }
            Ok(httparse::Status::Partial) if count > 0 => {}
            _ => return Err(ClientError::NotHttp),
        }
    };
    // From now on there may be nothing to say for a long time.
    socket.set_read_timeout(None)?;
    let mut chunks = Chunks::default();
    chunks.receive(&begin[head..]);
    Ok(Ok(Stream { socket, chunks, piece }))
}

impl Stream {
    /// Another handle of the socket, with which a signal's thread can end the stream.
    pub(super) fn handle(&self) -> io::Result<UnixStream> {
        self.socket.try_clone()
    }

    /// The next bytes; `None` at the end that the daemon has set.
    ///
    /// # Errors
    /// [`ClientError::Broken`] when the answer ends without its end, as when the daemon dies.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            let data = self.chunks.take().map_err(|_| ClientError::NotHttp)?;
            if !data.is_empty() {
                return Ok(Some(data));
            }
            if self.chunks.is_complete() {
                return Ok(None);
            }
            match self.socket.read(&mut self.piece) {
                Ok(0) => return Err(ClientError::Broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => self.chunks.receive(&self.piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Takes an answer apart.
fn parse(answer: &[u8]) -> Result<Reply, ClientError> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let Ok(httparse::Status::Complete(head)) = response.parse(answer) else { return Err(ClientError::NotHttp) };
    let length = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok());
    let body = &answer[head..];
    match length {
        Some(length) if body.len() < length => Err(ClientError::Broken(io::ErrorKind::UnexpectedEof.into())),
        _ => Ok(Reply { status: response.code.unwrap_or_default(), body: body.to_vec() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart_and_short_ones_refused() {
        let reply = parse(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!(reply, Reply { status: 404, body: b"{}".to_vec() });
        assert!(matches!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}"), Err(ClientError::Broken(_))));
        assert!(matches!(parse(b"SSH-2.0-nonsense\r\n"), Err(ClientError::NotHttp)));
        assert!(matches!(parse(b""), Err(ClientError::NotHttp)));
    }
}
