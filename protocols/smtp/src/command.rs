//! Command lines: where one ends, what may be in it, and which verb it has (RFC 5321 §2.4, §4.1.1).
//!
//! Responsible for a line up to its verb and argument. What an argument means is the verb's own business.

use crate::configuration::BareNewlines;
use crate::data::Form;
use crate::reply::Reply;

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotACommand {
    /// It ends with LF alone, which the configuration refuses.
    #[error("a line must end with CRLF")]
    BareLf,
    /// It has a CR that no LF follows.
    #[error("a CR stands alone")]
    BareCr,
    /// It has a character that no command has: a control, or what is not UTF-8.
    #[error("a character is not allowed")]
    Character,
}

impl NotACommand {
    pub(crate) const fn reply(self) -> Reply {
        match self {
            Self::BareLf => Reply::new(500, "5.5.2 Bare LF received, a line ends with CRLF"),
            Self::BareCr => Reply::new(500, "5.5.2 Bare CR received"),
            Self::Character => Reply::new(500, "5.5.2 Invalid character in command"),
        }
    }
}

/// A command line, with the way it was written if that is one of the forbidden ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine<'a> {
    /// The line, or why it is none.
    pub(crate) text: Result<&'a str, NotACommand>,
    /// The forbidden form that it has.
    pub(crate) form: Option<Form>,
}

impl<'a> CommandLine<'a> {
    /// Reads a line that ends with the LF at its end.
    pub(crate) fn read(line: &'a [u8], newlines: BareNewlines) -> Self {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (line, bare_lf) = line.strip_suffix(b"\r").map_or((line, true), |line| (line, false));
        if bare_lf && newlines == BareNewlines::Refuse {
            return Self { text: Err(NotACommand::BareLf), form: Some(Form::CommandBareLf) };
        }
        if line.contains(&b'\r') {
            return Self { text: Err(NotACommand::BareCr), form: Some(Form::CommandBareCr) };
        }
        let text = std::str::from_utf8(line).ok().filter(|text| !text.contains(char::is_control));
        Self { text: text.ok_or(NotACommand::Character), form: bare_lf.then_some(Form::CommandBareLf) }
    }
}

/// A line as verb and argument. The argument has no space at either end (§4.1.1: trailing spaces are to be taken).
pub(crate) fn split(line: &str) -> (&str, &str) {
    let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
    (verb, argument.trim_matches(' '))
}

/// What follows `FROM:` or `TO:` in an argument. Spaces after the colon are forbidden, and sent all the same.
pub(crate) fn after_keyword<'a>(argument: &'a str, keyword: &str) -> Option<&'a str> {
    let (start, rest) = argument.split_at_checked(keyword.len())?;
    start.eq_ignore_ascii_case(keyword).then(|| rest.trim_start_matches(' '))
}

/// Whether a line is of HTTP: somebody makes a web browser talk to us (as Postfix's smtpd_forbidden_commands).
pub(crate) fn is_http(verb: &str) -> bool {
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "HOST:"]
        .iter()
        .any(|http| verb.eq_ignore_ascii_case(http))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_crlf_and_an_lf_alone_does_where_it_is_let() {
        let read = |line: &'static [u8], newlines| CommandLine::read(line, newlines);
        let fine = CommandLine { text: Ok("NOOP"), form: None };
        assert_eq!(read(b"NOOP\r\n", BareNewlines::Refuse), fine);
        let refused = CommandLine { text: Err(NotACommand::BareLf), form: Some(Form::CommandBareLf) };
        assert_eq!(read(b"NOOP\n", BareNewlines::Refuse), refused);
        let taken = CommandLine { text: Ok("NOOP"), form: Some(Form::CommandBareLf) };
        assert_eq!(read(b"NOOP\n", BareNewlines::Normalize), taken);
        let bare_cr = CommandLine { text: Err(NotACommand::BareCr), form: Some(Form::CommandBareCr) };
        assert_eq!(read(b"NO\rOP\r\n", BareNewlines::Record), bare_cr);
        assert_eq!(read(b"NOOP\r\r\n", BareNewlines::Refuse), bare_cr);
    }

    #[test]
    fn controls_and_broken_utf_8_are_refused() {
        for line in [&b"NO\0OP\r\n"[..], b"NOOP\t\r\n", b"NOOP \x7f\r\n", b"NOOP \xff\r\n", b"NOOP \xc2\x85\r\n"] {
            assert_eq!(CommandLine::read(line, BareNewlines::Record).text, Err(NotACommand::Character));
        }
        assert_eq!(CommandLine::read("NOOP ü\r\n".as_bytes(), BareNewlines::Refuse).text, Ok("NOOP ü"));
    }

    #[test]
    fn verbs_and_arguments() {
        assert_eq!(split("QUIT"), ("QUIT", ""));
        assert_eq!(split("MAIL FROM:<a@b> SIZE=1  "), ("MAIL", "FROM:<a@b> SIZE=1"));
        assert_eq!(split(""), ("", ""));
        assert_eq!(after_keyword("from:<a@b>", "FROM:"), Some("<a@b>"));
        assert_eq!(after_keyword("FROM: <a@b>", "FROM:"), Some("<a@b>"));
        assert_eq!(after_keyword("FROM", "FROM:"), None);
        assert_eq!(after_keyword("fröm:", "FROM:"), None);
    }
}
