//! The end of the mail data, and the dots at the starts of its lines (RFC 5321 §4.1.1.4, §4.5.2).
//!
//! Responsible for one thing that must not go wrong: only CRLF, dot, CRLF ends a message. Whoever lets anything else
//! end it can be made to take one message for two ("SMTP smuggling", CVE-2023-51764). What others have been tricked
//! with is recognized and counted, but it stays part of the message.

use memchr::memchr2;

use crate::configuration::BareNewlines;

/// A way to write line ends that RFC 5321 §2.3.8 forbids. Those with `Dot` look like an end of data to some servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    BareLf,
    BareCr,
    LfDotLf,
    LfDotCrlf,
    LfDotCr,
    CrDotLf,
    CrDotCrlf,
    CrDotCr,
    CrlfDotLf,
    CrlfDotCr,
    /// Any line end, dot, CR, CR, LF.
    DotCrcrlf,
    /// A NUL before or after the dot that stands alone.
    NulDot,
    /// A command that ends with LF alone.
    CommandBareLf,
    /// A command with a CR in it.
    CommandBareCr,
}

impl Form {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 14] = [
        Self::BareLf,
        Self::BareCr,
        Self::LfDotLf,
        Self::LfDotCrlf,
        Self::LfDotCr,
        Self::CrDotLf,
        Self::CrDotCrlf,
        Self::CrDotCr,
        Self::CrlfDotLf,
        Self::CrlfDotCr,
        Self::DotCrcrlf,
        Self::NulDot,
        Self::CommandBareLf,
        Self::CommandBareCr,
    ];

    /// Its name, as in the metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BareLf => "bare_lf",
            Self::BareCr => "bare_cr",
            Self::LfDotLf => "lf_dot_lf",
            Self::LfDotCrlf => "lf_dot_crlf",
            Self::LfDotCr => "lf_dot_cr",
            Self::CrDotLf => "cr_dot_lf",
            Self::CrDotCrlf => "cr_dot_crlf",
            Self::CrDotCr => "cr_dot_cr",
            Self::CrlfDotLf => "crlf_dot_lf",
            Self::CrlfDotCr => "crlf_dot_cr",
            Self::DotCrcrlf => "dot_crcrlf",
            Self::NulDot => "nul_dot",
            Self::CommandBareLf => "command_bare_lf",
            Self::CommandBareCr => "command_bare_cr",
        }
    }

    /// What it is called when a dot stands alone between two line ends; `None` is the end of data.
    const fn of_dot(after: LineEnd, before: LineEnd, nul: bool) -> Option<Self> {
        Some(match (after, before) {
            (LineEnd::Crlf, LineEnd::Crlf) if !nul => return None,
            _ if nul => Self::NulDot,
            (LineEnd::Lf, LineEnd::Lf) => Self::LfDotLf,
            (LineEnd::Lf, LineEnd::Crlf) => Self::LfDotCrlf,
            (LineEnd::Lf, LineEnd::Cr) => Self::LfDotCr,
            (LineEnd::Cr, LineEnd::Lf) => Self::CrDotLf,
            (LineEnd::Cr, LineEnd::Crlf) => Self::CrDotCrlf,
            (LineEnd::Cr, LineEnd::Cr) => Self::CrDotCr,
            (LineEnd::Crlf, LineEnd::Lf) => Self::CrlfDotLf,
            (LineEnd::Crlf, _) => Self::CrlfDotCr,
        })
    }
}

/// How many of each form were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forms([u32; Form::ALL.len()]);

impl Forms {
    pub(crate) fn count(&mut self, form: Form) {
        if let Some(count) = self.0.get_mut(form as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// Those that were seen at all.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Form, u32)> {
        Form::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

/// What ends a line, to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Crlf,
    Lf,
    Cr,
}

/// What has come of the present line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Nothing, or only NULs.
    Start { after: LineEnd, nul: bool },
    /// A dot, and NULs about it.
    Dot { after: LineEnd, nul: bool },
    /// Anything else.
    Text,
}

/// What came of some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// How many bytes were used up. All of them, unless the data ended before.
    pub(crate) consumed: usize,
    /// Whether the data has ended.
    pub(crate) ended: bool,
}

/// Looks for the end of data, over any number of inputs.
#[derive(Debug)]
pub(crate) struct EndOfData {
    line: Line,
    /// CRs that have come last and have not been passed on, since it takes the next byte to tell what they are: 0 to 2.
    carriage_returns: u8,
    newlines: BareNewlines,
    seen: Forms,
    offended: bool,
}

impl EndOfData {
    /// Begins after the CRLF of the command DATA, which counts as the CRLF before the dot of an empty message.
    pub(crate) fn new(newlines: BareNewlines) -> Self {
        Self {
            line: Line::Start { after: LineEnd::Crlf, nul: false },
            carriage_returns: 0,
            newlines,
            seen: Forms::default(),
            offended: false,
        }
    }

    /// Whether the message has a CR or LF that stands alone.
    pub(crate) const fn offended(&self) -> bool {
        self.offended
    }

    /// The forms seen since this was last asked.
    pub(crate) fn take_seen(&mut self) -> Forms {
        std::mem::take(&mut self.seen)
    }

    /// Takes input, and passes what belongs to the message on to `sink`.
    pub(crate) fn receive(&mut self, input: &[u8], sink: &mut impl FnMut(&[u8])) -> Received {
        let mut consumed = 0;
        while let Some(byte) = input.get(consumed) {
            if self.line == Line::Text && self.carriage_returns == 0 {
                let rest = input.get(consumed..).unwrap_or_default();
                let run = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                if run > 0 {
                    sink(rest.get(..run).unwrap_or_default());
                    consumed += run;
                    continue;
                }
            }
            consumed += 1;
            if self.step(*byte, sink) {
                return Received { consumed, ended: true };
            }
        }
        Received { consumed, ended: false }
    }

    /// Takes one byte; true at the end of data.
    fn step(&mut self, byte: u8, sink: &mut impl FnMut(&[u8])) -> bool {
        match (self.carriage_returns, byte) {
            (held @ (0 | 1), b'\r') => self.carriage_returns = held + 1,
            (_, b'\r') => {
                self.end_line(LineEnd::Cr, sink);
            }
            (0, b'\n') => return self.end_line(LineEnd::Lf, sink),
            (1, b'\n') => {
                self.carriage_returns = 0;
                return self.end_line(LineEnd::Crlf, sink);
            }
            (_, b'\n') => {
                self.carriage_returns = 0;
                if matches!(self.line, Line::Dot { .. }) {
                    self.seen.count(Form::DotCrcrlf);
                    self.line = Line::Text;
                }
                self.end_line(LineEnd::Cr, sink);
                return self.end_line(LineEnd::Crlf, sink);
            }
            (held, byte) => {
                self.carriage_returns = 0;
                for _ in 0..held {
                    self.end_line(LineEnd::Cr, sink);
                }
                self.text(byte, sink);
            }
        }
        false
    }

    /// A line has ended, to somebody; true at the end of data.
    fn end_line(&mut self, end: LineEnd, sink: &mut impl FnMut(&[u8])) -> bool {
        let line = std::mem::replace(&mut self.line, Line::Start { after: end, nul: false });
        if let Line::Dot { after, nul } = line {
            match Form::of_dot(after, end, nul) {
                Some(form) => self.seen.count(form),
                None => return true,
            }
        }
        match end {
            LineEnd::Crlf => return self.pass(b"\r\n", sink),
            LineEnd::Lf => self.seen.count(Form::BareLf),
            LineEnd::Cr => self.seen.count(Form::BareCr),
        }
        self.offended = true;
        match (self.newlines, end) {
            (BareNewlines::Normalize, _) => self.pass(b"\r\n", sink),
            (_, LineEnd::Lf) => self.pass(b"\n", sink),
            (_, _) => self.pass(b"\r", sink),
        }
    }

    fn text(&mut self, byte: u8, sink: &mut impl FnMut(&[u8])) {
        self.line = match (self.line, byte) {
            // Transparency (§4.5.2): this dot is not of the message, whatever follows it.
            (Line::Start { after: LineEnd::Crlf, nul: false }, b'.') => {
                self.line = Line::Dot { after: LineEnd::Crlf, nul: false };
                return;
            }
            (Line::Start { after, nul }, b'.') => Line::Dot { after, nul },
            (Line::Start { after, .. }, 0) => Line::Start { after, nul: true },
            (Line::Dot { after, .. }, 0) => Line::Dot { after, nul: true },
            _ => Line::Text,
        };
        self.pass(&[byte], sink);
    }

    fn pass(&self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) -> bool {
        sink(bytes);
        false
    }
}

#[cfg(test)]
mod tests;
