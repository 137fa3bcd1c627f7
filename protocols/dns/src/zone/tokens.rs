//! The words of a master file (RFC 1035 §5.1).
//!
//! Responsible for blanks, comments, quotes and parentheses, and for where each word stands. Not for what the words
//! mean: escapes are skipped over here and read by whoever knows whether the word is a name or a string.

use std::fmt;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
}

/// One word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// As it stands in the file, with its escapes and without its quotes.
    pub(crate) text: &'a [u8],
    /// Whether it stood in quotes.
    pub(crate) quoted: bool,
    pub(crate) position: Position,
}

impl Token<'_> {
    /// Whether it is this word, in any case of letters, and not in quotes.
    pub(crate) fn is(&self, word: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(word.as_bytes())
    }
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", String::from_utf8_lossy(self.text).escape_debug())
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}@{}:{}", self.position.line, self.position.column)
    }
}

/// Something that cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextError {
    pub(crate) position: Position,
    pub(crate) message: String,
}

impl TextError {
    pub(crate) fn new(position: Position, message: impl Into<String>) -> Self {
        Self { position, message: message.into() }
    }
}

/// One entry: a line, or several that parentheses join.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// Whether it began with a blank: the owner is that of the entry before (RFC 1035 §5.1).
    pub(crate) blank_owner: bool,
    pub(crate) tokens: Vec<Token<'a>>,
}

/// The entries of a file, one after the other. After an error it goes on at the next line.
#[derive(Debug)]
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
    position: Position,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        // A byte order mark is no part of the text.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Self { rest: text, position: Position { line: 1, column: 1 } }
    }

    /// Goes past `count` octets, none of them a newline.
    fn skip(&mut self, count: usize) -> &'a [u8] {
        let (skipped, rest) = self.rest.split_at(count.min(self.rest.len()));
        // Octets 0x80 to 0xBF continue a character of UTF-8.
        self.position.column += skipped.iter().filter(|octet| **octet & 0xc0 != 0x80).count();
        self.rest = rest;
        skipped
    }

    /// Goes past a newline.
    fn newline(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
        self.position = Position { line: self.position.line + 1, column: 1 };
    }

    /// How many octets are left in this line.
    fn line_length(&self) -> usize {
        self.rest.iter().position(|octet| *octet == b'\n').unwrap_or(self.rest.len())
    }

    fn read(&mut self, entry: &mut Entry<'a>) -> Result<(), TextError> {
        let mut open: Vec<Position> = Vec::new();
        loop {
            match self.rest {
                [] => break,
                [b'\n', ..] => {
                    self.newline();
                    if open.is_empty() {
                        break;
                    }
                }
                [b' ' | b'\t' | b'\r', ..] => {
                    if self.position.column == 1 && open.is_empty() {
                        entry.blank_owner = true;
                    }
                    self.skip(1);
                }
                [b';', ..] => {
                    self.skip(self.line_length());
                }
                [b'(', ..] => {
                    // Parentheses only group; more levels than this are a mistake.
                    if open.len() >= 16 {
                        return Err(TextError::new(self.position, "too many parentheses are open"));
                    }
                    open.push(self.position);
                    self.skip(1);
                }
                [b')', ..] => {
                    if open.pop().is_none() {
                        return Err(TextError::new(self.position, "nothing is open that this ) could close"));
                    }
                    self.skip(1);
                }
                [b'"', ..] => entry.tokens.push(self.quoted()?),
                _ => entry.tokens.push(self.word()),
            }
        }
        match open.first() {
            Some(position) => Err(TextError::new(*position, "this ( is never closed")),
            None => Ok(()),
        }
    }

    fn quoted(&mut self) -> Result<Token<'a>, TextError> {
        let position = self.position;
        self.skip(1);
        let mut length = 0;
        loop {
            match self.rest.get(length..) {
                Some([b'"', ..]) => break,
                Some([b'\\', escaped, ..]) if *escaped != b'\n' => length += 2,
                None | Some([] | [b'\n', ..] | [b'\\', b'\n', ..]) => {
                    return Err(TextError::new(position, "this \" is not closed in its line"));
                }
                Some(_) => length += 1,
            }
        }
        let text = self.skip(length);
        self.skip(1);
        Ok(Token { text, quoted: true, position })
    }

    /// A word ends at a blank, a comment, a parenthesis or a quote; but a quoted value belongs to the key before its
    /// equals sign (RFC 9460 §2.1).
    fn word(&mut self) -> Token<'a> {
        let position = self.position;
        let mut length = 0;
        let mut value = false;
        loop {
            match self.rest.get(length..) {
                Some([b'\\', escaped, ..]) if *escaped != b'\n' => length += 2,
                Some([b'=', b'"', ..]) if !value => {
                    value = true;
                    length += 2;
                }
                Some([b'"', ..]) if value => {
                    value = false;
                    length += 1;
                }
                None | Some([] | [b'\n', ..]) => break,
                Some([b' ' | b'\t' | b'\r' | b';' | b'(' | b')' | b'"', ..]) if !value => break,
                Some(_) => length += 1,
            }
        }
        Token { text: self.skip(length), quoted: false, position }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, TextError>;

    /// The next entry that has words, or what forbids reading it.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let mut entry = Entry::default();
            match self.read(&mut entry) {
                Ok(()) if entry.tokens.is_empty() => {}
                Ok(()) => return Some(Ok(entry)),
                Err(error) => {
                    self.skip(self.line_length());
                    self.newline();
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether the owner is blank, and the words; or the line and column of an error.
    type Words = Result<(bool, Vec<String>), (usize, usize)>;

    fn words(text: &str) -> Vec<Words> {
        Entries::new(text.as_bytes())
            .map(|entry| match entry {
                Ok(entry) => Ok((
                    entry.blank_owner,
                    entry.tokens.iter().map(|token| String::from_utf8_lossy(token.text).into_owned()).collect(),
                )),
                Err(error) => Err((error.position.line, error.position.column)),
            })
            .collect()
    }

    fn entry(blank_owner: bool, words: &[&str]) -> Words {
        Ok((blank_owner, words.iter().map(|word| (*word).to_owned()).collect()))
    }

    #[test]
    fn comments_blanks_and_parentheses() {
        let text = "; a comment\n\n  \t\na b;c\r\n d ( e ; f\n g\n) h\n\"i ; ( j\" k\\;\\ l";
        assert_eq!(
            words(text),
            [entry(false, &["a", "b"]), entry(true, &["d", "e", "g", "h"]), entry(false, &["i ; ( j", "k\\;\\ l"])]
        );
    }

    #[test]
    fn a_quoted_value_belongs_to_its_key() {
        assert_eq!(words("a b=\"c d\" e\"f\""), [entry(false, &["a", "b=\"c d\"", "e", "f"])]);
        assert_eq!(words("b=\"c d\ne"), [entry(false, &["b=\"c d"]), entry(false, &["e"])]);
    }

    #[test]
    fn positions_count_characters() {
        let text = "é \"ü\" x";
        let entry = Entries::new(text.as_bytes()).next().unwrap().unwrap();
        let columns: Vec<_> = entry.tokens.iter().map(|token| token.position.column).collect();
        assert_eq!(columns, [1, 3, 7]);
    }

    #[test]
    fn errors_have_a_place_and_reading_goes_on() {
        assert_eq!(words("a )\nb"), [Err((1, 3)), entry(false, &["b"])]);
        assert_eq!(words("a \"b\nc"), [Err((1, 3)), entry(false, &["c"])]);
        assert_eq!(words("a \"b\\\"\nc"), [Err((1, 3)), entry(false, &["c"])]);
        assert_eq!(words("a (b\nc"), [Err((1, 3))]);
    }

    proptest! {
        #[test]
        fn arbitrary_octets_end(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Entries::new(&octets).count() <= octets.len());
        }

        #[test]
        fn arbitrary_syntax_ends(text in "[ab \\t\\n\\\\\"();0-9@$.]{0,80}") {
            prop_assert!(Entries::new(text.as_bytes()).count() <= text.len());
        }
    }
}
