//! What is wrong with a configuration, with its place, written as compilers write it.
//!
//! Responsible for the form of a message. Not for finding what is wrong.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

/// Whether a [`Diagnostic`] forbids running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A line and a column of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// Where something was set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// In a file; without a position it is the file as a whole.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// Where in it.
        position: Option<Position>,
    },
    /// In a variable of the environment.
    Environment(String),
    /// In a `--set` of the command line: the key.
    Assignment(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, position: None } => f.write_str(&shown(&path.to_string_lossy())),
            Self::File { path, position: Some(Position { line, column }) } => {
                write!(f, "{}:{line}:{column}", shown(&path.to_string_lossy()))
            }
            Self::Environment(name) => write!(f, "environment {}", shown(name)),
            Self::Assignment(key) => write!(f, "--set {}", shown(key)),
        }
    }
}

/// The line that a diagnostic is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Excerpt {
    /// The line, without its end.
    pub text: String,
    /// The first character meant, from 1.
    pub column: usize,
    /// How many characters are meant; 0 is a place between two.
    pub length: usize,
}

/// One thing that is wrong with a configuration.
///
/// It is written in the way of compilers:
///
/// ```text
/// /etc/tapster/tapster.toml:12:1: error: unknown key `adresses` in [network]
///    12 | adresses = ["192.0.2.2/24"]
///       | ^^^^^^^^ did you mean `addresses`?
/// ```
///
/// They sort by place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Where it is.
    pub place: Place,
    /// Whether it forbids running.
    pub severity: Severity,
    /// What is wrong, as one sentence without a full stop.
    pub message: String,
    /// What to do about it, if that is known.
    pub help: Option<String>,
    /// The line meant, if it is at hand.
    pub excerpt: Option<Excerpt>,
}

/// The longest part of a line that is shown, in characters.
const EXCERPT_WIDTH: usize = 120;

/// The most of a foreign file that is read to find the line to show, in bytes.
const QUOTED_FILE_SIZE: u64 = 16 << 20;

impl Diagnostic {
    /// A diagnostic at a place, without advice or excerpt.
    pub fn new(place: Place, severity: Severity, message: impl Into<String>) -> Self {
        Self { place, severity, message: message.into(), help: None, excerpt: None }
    }

    /// A diagnostic in a file that the configuration names, such as a zone file. `line` and `column` count from 1,
    /// the column in characters.
    pub fn in_file(
        path: impl Into<PathBuf>,
        line: usize,
        column: usize,
        severity: Severity,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Place::File { path: path.into(), position: Some(Position { line, column }) }, severity, message)
    }

    /// The same, with advice.
    #[must_use]
    pub fn with_help(mut self, help: Option<impl Into<String>>) -> Self {
        self.help = help.map(Into::into);
        self
    }

    /// The same, with the line that it is about read from its file. When that cannot be read, nothing changes. Reads
    /// from the disk: for start and check, not for the event loop.
    #[must_use]
    pub fn quoting_file(mut self) -> Self {
        if let Place::File { path, position: Some(Position { line, column }) } = &self.place
            && let Ok(file) = File::open(path)
            && let Some(Ok(text)) = BufReader::new(file.take(QUOTED_FILE_SIZE)).split(b'\n').nth(line.saturating_sub(1))
        {
            let text = String::from_utf8_lossy(&text).trim_end().to_owned();
            self.excerpt = Some(Excerpt { text, column: *column, length: 1 });
        }
        self
    }

    /// Whether it forbids running.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.severity, shown(&self.message))?;
        let Some(excerpt) = &self.excerpt else {
            return match &self.help {
                Some(help) => write!(f, "\n      = {}", shown(help)),
                None => Ok(()),
            };
        };
        let number = match &self.place {
            Place::File { position: Some(position), .. } => position.line.to_string(),
            Place::File { position: None, .. } | Place::Environment(_) | Place::Assignment(_) => String::new(),
        };
        let (text, indent, carets) = excerpt.window();
        write!(f, "\n{number:>5} | {text}\n      | {indent}{carets}")?;
        match &self.help {
            Some(help) => write!(f, " {}", shown(help)),
            None => Ok(()),
        }
    }
}

impl Excerpt {
    /// The part of the line that is shown, the space up to what is meant, and the marks below it.
    fn window(&self) -> (String, String, String) {
        let characters: Vec<char> = self.text.chars().collect();
        let start = (self.column.saturating_sub(1)).min(characters.len());
        let first = if characters.len() <= EXCERPT_WIDTH { 0 } else { start.saturating_sub(EXCERPT_WIDTH / 3) };
        let last = characters.len().min(first + EXCERPT_WIDTH);
        let length = self.length.min(last - start).max(1);
        let cut_before = if first > 0 { "…" } else { "" };
        let cut_after = if last < characters.len() { "…" } else { "" };
        let text: String = characters[first..last].iter().copied().map(printable).collect();
        // A tab stays a tab, so that the marks stand below what they mean however wide it is shown.
        let indent: String =
            characters[first..start].iter().map(|&character| if character == '\t' { '\t' } else { ' ' }).collect();
        (
            format!("{cut_before}{text}{cut_after}"),
            format!("{}{indent}", if cut_before.is_empty() { "" } else { " " }),
            "^".repeat(length),
        )
    }
}

/// A text that may hold what a user wrote, safe for a terminal.
fn shown(text: &str) -> String {
    text.chars().map(printable).collect()
}

/// The character, or a stand-in for one that would drive the terminal. A tab is harmless.
fn printable(character: char) -> char {
    if character.is_control() && character != '\t' { '\u{fffd}' } else { character }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn at(text: &str, column: usize, length: usize) -> Diagnostic {
        let mut diagnostic = Diagnostic::in_file("a.toml", 12, column, Severity::Error, "it is wrong");
        diagnostic.excerpt = Some(Excerpt { text: text.to_owned(), column, length });
        diagnostic
    }

    #[test]
    fn with_and_without_help() {
        assert_eq!(
            at("mtu = 60", 7, 2).to_string(),
            "a.toml:12:7: error: it is wrong\n   12 | mtu = 60\n      |       ^^"
        );
        assert_eq!(
            at("mtu = 60", 7, 2).with_help(Some("more")).to_string(),
            "a.toml:12:7: error: it is wrong\n   12 | mtu = 60\n      |       ^^ more"
        );
    }

    #[test]
    fn without_a_line() {
        let place = Place::File { path: "a.toml".into(), position: None };
        let diagnostic = Diagnostic::new(place, Severity::Warning, "it is odd");
        assert_eq!(diagnostic.to_string(), "a.toml: warning: it is odd");
        assert_eq!(diagnostic.with_help(Some("so what")).to_string(), "a.toml: warning: it is odd\n      = so what");
    }

    #[test]
    fn an_empty_span_and_one_beyond_the_line() {
        assert!(at("x =", 4, 0).to_string().ends_with("\n   12 | x =\n      |    ^"));
        assert!(at("x =", 99, 99).to_string().ends_with("\n   12 | x =\n      |    ^"));
        assert!(at("", 0, 0).to_string().ends_with("\n   12 | \n      | ^"));
    }

    #[test]
    fn tabs_keep_the_marks_in_place_and_controls_are_not_passed_on() {
        assert!(at("\tx\u{1b}[1m = 1", 2, 1).to_string().ends_with("| \tx\u{fffd}[1m = 1\n      | \t^"));
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let line = format!("{}WRONG{}", "a".repeat(500), "b".repeat(500));
        let text = at(&line, 501, 5).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1].chars().count(), "   12 | ".len() + EXCERPT_WIDTH + 2);
        let column = lines[2].find('^').unwrap();
        assert_eq!(lines[1].chars().skip(column).take(5).collect::<String>(), "WRONG");
    }

    #[test]
    fn a_line_of_another_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "$TTL 60\nwww A 192.0.2.256\n").unwrap();
        let path = file.path().display().to_string();
        let diagnostic = Diagnostic::in_file(file.path(), 2, 7, Severity::Error, "not an address").quoting_file();
        assert_eq!(
            diagnostic.to_string(),
            format!("{path}:2:7: error: not an address\n    2 | www A 192.0.2.256\n      |       ^")
        );
        let beyond = Diagnostic::in_file(file.path(), 9, 7, Severity::Error, "not an address");
        assert_eq!(beyond.clone().quoting_file(), beyond);
    }
}
