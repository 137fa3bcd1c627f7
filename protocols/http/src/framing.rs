//! Where a request's body ends (RFC 9112 §6-7).
//!
//! Responsible for the choice between the two framings, for refusing every message about which two readers could
//! disagree (request smuggling), and for taking chunks apart. Line ends are strict: CRLF and nothing else.

use crate::request::{Refusal, Version};

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// The framing fields of one head, as far as they have been seen.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    length: Option<u64>,
    chunked: bool,
}

impl Fields {
    /// Takes a Content-Length. A second one is refused even when it says the same: no client sends two, and an
    /// intermediary may take either.
    pub(crate) fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::BadRequest);
        }
        let length =
            value.iter().try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        let length = length.ok_or(Refusal::ContentTooLarge)?;
        if self.length.replace(length).is_some() { Err(Refusal::BadRequest) } else { Ok(()) }
    }

    /// Takes a Transfer-Encoding, of which only exactly `chunked` is known.
    pub(crate) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.chunked {
            return Err(Refusal::BadRequest);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::NotImplemented);
        }
        self.chunked = true;
        Ok(())
    }

    /// RFC 9112 §6.1 and §6.3.
    pub(crate) fn framing(&self, version: Version) -> Result<Framing, Refusal> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Refusal::BadRequest),
            (true, None) if version == Version::Http10 => Err(Refusal::BadRequest),
            (true, None) => Ok(Framing::Chunked),
            (false, None | Some(0)) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }
}

/// The longest chunk-size line with its extensions, and the longest trailer field, in bytes.
const MAX_LINE: usize = 1024;
/// The most bytes of trailer fields.
const MAX_TRAILERS: usize = 8192;

/// Takes a body apart, piece by piece, as it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyDecoder(State);

#[derive(Clone, Copy, Debug)]
enum State {
    /// So many bytes with no framing between them.
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers {
        read: usize,
    },
    Done,
}

/// One step of a [`BodyDecoder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next so many bytes are body.
    Data(usize),
    /// The next so many bytes are framing.
    Framing(usize),
    /// More input is needed.
    More,
    /// The body has ended.
    Done,
}

impl BodyDecoder {
    pub(crate) fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
        })
    }

    /// Looks at the input that follows what the steps before have named.
    pub(crate) fn step(&mut self, input: &[u8]) -> Result<Step, Refusal> {
        if let State::Done = self.0 {
            return Ok(Step::Done);
        }
        if input.is_empty() {
            return Ok(Step::More);
        }
        match self.0 {
            State::Done => Ok(Step::Done),
            State::Length(left) => {
                let count = take(left, input);
                let left = left - count as u64;
                self.0 = if left == 0 { State::Done } else { State::Length(left) };
                Ok(Step::Data(count))
            }
            State::ChunkData(left) => {
                let count = take(left, input);
                let left = left - count as u64;
                self.0 = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
                Ok(Step::Data(count))
            }
            State::ChunkSize => {
                let Some(line) = line(input)? else { return Ok(Step::More) };
                self.0 = match chunk_size(line)? {
                    0 => State::Trailers { read: 0 },
                    size => State::ChunkData(size),
                };
                Ok(Step::Framing(line.len() + 2))
            }
            State::ChunkEnd => match input {
                [b'\r', b'\n', ..] => {
                    self.0 = State::ChunkSize;
                    Ok(Step::Framing(2))
                }
                [b'\r'] => Ok(Step::More),
                _ => Err(Refusal::BadRequest),
            },
            State::Trailers { read } => {
                let Some(line) = line(input)? else { return Ok(Step::More) };
                let read = read + line.len() + 2;
                if read > MAX_TRAILERS {
                    return Err(Refusal::HeaderFieldsTooLarge);
                }
                self.0 = if line.is_empty() { State::Done } else { State::Trailers { read } };
                Ok(Step::Framing(line.len() + 2))
            }
        }
    }
}

fn take(left: u64, input: &[u8]) -> usize {
    usize::try_from(left).map_or(input.len(), |left| left.min(input.len()))
}

/// The first line of the input without its CRLF, once it has all come. Controls other than tab are refused.
fn line(input: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    let window = input.get(..MAX_LINE).unwrap_or(input);
    let Some(end) = window.iter().position(|byte| *byte < b' ' && *byte != b'\t' || *byte == 0x7f) else {
        return if window.len() < MAX_LINE { Ok(None) } else { Err(Refusal::BadRequest) };
    };
    match window.get(end..) {
        Some([b'\r', b'\n', ..]) => Ok(window.get(..end)),
        Some([b'\r']) if window.len() < MAX_LINE => Ok(None),
        _ => Err(Refusal::BadRequest),
    }
}

/// `chunk-size [ chunk-ext ]` (RFC 9112 §7.1). Extensions are skipped (§7.1.1).
fn chunk_size(line: &[u8]) -> Result<u64, Refusal> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extension) = line.split_at(digits);
    if digits == 0 || digits > 16 || !matches!(extension.trim_ascii_start().first(), None | Some(b';')) {
        return Err(Refusal::BadRequest);
    }
    // Space after the size is allowed before an extension alone ("bad" white space); nothing may hide in it.
    if extension.first().is_some_and(|byte| *byte != b';') && extension.trim_ascii_start().is_empty() {
        return Err(Refusal::BadRequest);
    }
    let text = std::str::from_utf8(size).map_err(|_| Refusal::BadRequest)?;
    u64::from_str_radix(text, 16).map_err(|_| Refusal::BadRequest)
}

#[cfg(test)]
mod tests;
