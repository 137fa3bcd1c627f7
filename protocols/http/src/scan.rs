//! Finding where a request's head ends.
//!
//! Responsible for that alone, and for the rules on line ends: every LF follows a CR. It remembers how far it has
//! looked, so that a head which comes one byte at a time is still scanned once.

use crate::request::Refusal;

/// How many empty lines before a request line are forgiven (RFC 9112 §2.2 asks for one).
const EMPTY_LINES: usize = 4;

/// Where a head is being looked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// Bytes that have been looked at.
    searched: usize,
    /// Where the line begins that has not ended yet.
    line: usize,
    /// Where the request line begins: after the empty lines that are skipped.
    start: usize,
}

impl Scan {
    /// The head's range in `input`, its last empty line included; `None` when it has not all come.
    ///
    /// `input` must begin at the same byte as in the call before.
    pub(crate) fn find(&mut self, input: &[u8], max_size: usize) -> Result<Option<(usize, usize)>, Refusal> {
        while let Some(offset) = input.get(self.searched..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let at = self.searched + offset;
            if at == 0 || input.get(at - 1) != Some(&b'\r') {
                return Err(Refusal::BadRequest);
            }
            self.searched = at + 1;
            let empty = at - 1 == self.line;
            if empty && self.line == self.start {
                self.start = at + 1;
                if self.start > 2 * EMPTY_LINES {
                    return Err(Refusal::BadRequest);
                }
            } else if empty {
                let (start, end) = (self.start, at + 1);
                return if end - start > max_size {
                    Err(Refusal::HeaderFieldsTooLarge)
                } else {
                    Ok(Some((start, end)))
                };
            }
            self.line = at + 1;
            if self.too_large(max_size) {
                return Err(self.refusal());
            }
        }
        self.searched = input.len();
        if self.too_large(max_size) { Err(self.refusal()) } else { Ok(None) }
    }

    /// Whether a head has begun.
    pub(crate) fn begun(&self) -> bool {
        self.searched > self.start
    }

    fn too_large(&self, max_size: usize) -> bool {
        self.searched.saturating_sub(self.start) > max_size
    }

    /// The request line is what is too long while no line has ended.
    fn refusal(&self) -> Refusal {
        if self.line == self.start { Refusal::UriTooLong } else { Refusal::HeaderFieldsTooLarge }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(input: &[u8]) -> Result<Option<(usize, usize)>, Refusal> {
        let whole = Scan::default().find(input, 100);
        let mut bytewise = Scan::default();
        let mut last = Ok(None);
        for length in 0..=input.len() {
            last = bytewise.find(&input[..length], 100);
            if last != Ok(None) {
                break;
            }
        }
        assert_eq!(whole, last, "one byte at a time: {input:?}");
        whole
    }

    #[test]
    fn the_head_ends_at_the_empty_line() {
        assert_eq!(scan(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nnext"), Ok(Some((0, 27))));
        assert_eq!(scan(b"\r\nGET / HTTP/1.0\r\n\r\n"), Ok(Some((2, 20))));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nHost: a\r\n"), Ok(None));
        assert_eq!(scan(b""), Ok(None));
    }

    #[test]
    fn bare_line_feeds_are_refused() {
        assert_eq!(scan(b"GET / HTTP/1.1\nHost: a\r\n\r\n"), Err(Refusal::BadRequest));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nHost: a\r\n\n"), Err(Refusal::BadRequest));
        assert_eq!(scan(b"\nGET / HTTP/1.1\r\n\r\n"), Err(Refusal::BadRequest));
    }

    #[test]
    fn empty_lines_without_end_are_refused() {
        assert_eq!(scan(&b"\r\n".repeat(4)), Ok(None));
        assert_eq!(scan(&b"\r\n".repeat(5)), Err(Refusal::BadRequest));
    }

    #[test]
    fn what_is_too_large_has_a_name() {
        assert_eq!(scan(&[b'a'; 101]), Err(Refusal::UriTooLong));
        let mut head = b"GET / HTTP/1.1\r\nA: ".to_vec();
        head.extend([b'a'; 200]);
        assert_eq!(scan(&head), Err(Refusal::HeaderFieldsTooLarge));
    }
}
