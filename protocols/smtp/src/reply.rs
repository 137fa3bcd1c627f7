//! Replies: three digits, an enhanced status code (RFC 3463), and words.
//!
//! Responsible for how a reply is written (RFC 5321 §4.2), and for the replies that several verbs share.

use std::borrow::Cow;

/// The most bytes that one reply takes; room for so many is there before a command is looked at.
pub(crate) const MAXIMUM_REPLY: usize = 1024;

/// A reply. Its text begins with the enhanced status code, where one belongs (RFC 2034 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The three digits.
    pub(crate) code: u16,
    /// The text; its lines are divided by LF.
    pub(crate) text: Cow<'static, str>,
}

impl Reply {
    pub(crate) const OK: Self = Self::new(250, "2.0.0 OK");
    pub(crate) const GREETING_FIRST: Self = Self::new(503, "5.5.1 Say HELO or EHLO first");
    pub(crate) const NO_TRANSACTION: Self = Self::new(503, "5.5.1 Say MAIL first");
    pub(crate) const NO_RECIPIENTS: Self = Self::new(554, "5.5.1 No valid recipients");
    pub(crate) const PARAMETER_SYNTAX: Self = Self::new(501, "5.5.4 Syntax error in parameters");
    pub(crate) const PARAMETER_UNKNOWN: Self = Self::new(555, "5.5.4 Parameter not recognized or not implemented");
    pub(crate) const NOT_ASCII: Self = Self::new(553, "5.6.7 Address is not ASCII and SMTPUTF8 was not asked for");
    pub(crate) const NO_MEMORY: Self = Self::new(452, "4.3.1 Too many messages at once, try again later");
    pub(crate) const TOO_LARGE: Self = Self::new(552, "5.3.4 Message is larger than this server takes");
    pub(crate) const SYNCHRONIZATION: Self = Self::new(554, "5.5.0 Protocol synchronization error");

    pub(crate) const fn new(code: u16, text: &'static str) -> Self {
        Self { code, text: Cow::Borrowed(text) }
    }

    pub(crate) fn owned(code: u16, text: String) -> Self {
        Self { code, text: Cow::Owned(text) }
    }

    /// Whether the client would get the same reply again. A 4xx is none of its fault.
    pub(crate) const fn is_permanent_error(&self) -> bool {
        self.code >= 500
    }

    /// Appends it as it goes over the wire.
    pub(crate) fn write(&self, output: &mut Vec<u8>) {
        let code = self.code.to_string();
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            output.extend_from_slice(code.as_bytes());
            output.push(if lines.peek().is_some() { b'-' } else { b' ' });
            output.extend_from_slice(line.as_bytes());
            output.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_a_space_and_the_others_a_hyphen() {
        let mut output = Vec::new();
        Reply::new(250, "one\ntwo\nthree").write(&mut output);
        Reply::OK.write(&mut output);
        assert_eq!(output, b"250-one\r\n250-two\r\n250 three\r\n250 2.0.0 OK\r\n");
    }
}
