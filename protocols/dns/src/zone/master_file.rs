//! Master files (RFC 1035 §5): from text to records.
//!
//! Responsible for entries and directives (`$ORIGIN`, `$TTL` of RFC 2308, `$INCLUDE`, `$GENERATE`), for what an entry may leave out,
//! and for finding every mistake, not only the first. Not for whether the records make a zone together: that is
//! [`super::check`]; nor for opening files: that is whoever implements [`Files`].

use std::path::PathBuf;

use super::data;
use super::tokens::{Entries, Entry, Position, TextError, Token};
use super::types::RecordType;
use super::{Finding, Place, Record, generate};
use crate::name::Name;

/// How deep `$INCLUDE` may go.
const MAXIMUM_DEPTH: usize = 8;
/// How many mistakes are told before reading stops.
const MAXIMUM_FINDINGS: usize = 50;

/// Opens the files that `$INCLUDE` names.
pub(crate) trait Files {
    /// Reads the file that `name` means in the file `from`, and tells its path.
    fn read(&mut self, from: Option<&PathBuf>, name: &str) -> Result<(PathBuf, Vec<u8>), String>;
}

/// What a zone's records are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// A master file.
    File(PathBuf),
    /// The configuration's `records`, at this place in the array, from 0.
    Configuration(usize),
}

/// Reads one zone.
pub(crate) struct Reader<'f> {
    files: &'f mut dyn Files,
    /// What has been read so far; a [`Place`] tells which of them.
    pub(crate) texts: Vec<Text>,
    pub(crate) records: Vec<Record>,
    pub(crate) findings: Vec<Finding>,
    origin: Name,
    owner: Option<Name>,
    /// From `$TTL`.
    default_ttl: Option<u32>,
    /// Of the entry before (RFC 1035 §5.1).
    last_ttl: Option<u32>,
}

impl<'f> Reader<'f> {
    /// A reader of the zone named `origin`.
    pub(crate) fn new(origin: Name, files: &'f mut dyn Files) -> Self {
        Self {
            files,
            texts: Vec::new(),
            records: Vec::new(),
            findings: Vec::new(),
            origin,
            owner: None,
            default_ttl: None,
            last_ttl: None,
        }
    }

    /// Reads one text, and those that it includes.
    pub(crate) fn read(&mut self, source: Text, text: &[u8]) {
        self.read_at_depth(source, text, 0);
    }

    fn read_at_depth(&mut self, source: Text, text: &[u8], depth: usize) {
        let file = self.texts.len();
        self.texts.push(source);
        for entry in Entries::new(text) {
            if self.findings.len() >= MAXIMUM_FINDINGS {
                return;
            }
            if let Err(error) = entry.and_then(|entry| self.entry(&entry, file, depth)) {
                let place = Place { text: file, position: error.position };
                self.findings.push(Finding::error(place, error.message));
                if self.findings.len() == MAXIMUM_FINDINGS {
                    self.findings.push(Finding::error(place, "too many mistakes: reading stopped here"));
                }
            }
        }
    }

    fn entry(&mut self, entry: &Entry<'_>, file: usize, depth: usize) -> Result<(), TextError> {
        match entry.tokens.as_slice() {
            [first, arguments @ ..] if !entry.blank_owner && !first.quoted && first.text.starts_with(b"$") => {
                self.directive(first, arguments, file, depth)
            }
            tokens => self.record(entry.blank_owner, tokens, file),
        }
    }

    fn directive(
        &mut self,
        directive: &Token<'_>,
        arguments: &[Token<'_>],
        file: usize,
        depth: usize,
    ) -> Result<(), TextError> {
        let (accepted, usage) = if directive.is("$ORIGIN") {
            (arguments.len() == 1, "$ORIGIN NAME")
        } else if directive.is("$TTL") {
            (arguments.len() == 1, "$TTL TIME")
        } else if directive.is("$INCLUDE") {
            (matches!(arguments.len(), 1 | 2), "$INCLUDE FILE [ORIGIN]")
        } else if directive.is("$GENERATE") {
            (arguments.len() >= 4, "$GENERATE RANGE OWNER [TTL] [CLASS] TYPE DATA")
        } else {
            let message = format!("{directive} is no directive; $ORIGIN, $TTL, $INCLUDE and $GENERATE are known");
            return Err(TextError::new(directive.position, message));
        };
        let (true, Some((argument, further))) = (accepted, arguments.split_first()) else {
            return Err(TextError::new(directive.position, format!("this is written {usage}")));
        };
        if directive.is("$ORIGIN") {
            self.origin = self.name(argument)?;
        } else if directive.is("$TTL") {
            self.default_ttl = Some(ttl(argument)?);
        } else if directive.is("$INCLUDE") {
            self.include(argument, further.first(), file, depth)?;
        } else {
            self.generate(argument, further, file)?;
        }
        Ok(())
    }

    /// Reads the entries that a line stands for, up to the first mistake.
    fn generate(&mut self, range: &Token<'_>, template: &[Token<'_>], file: usize) -> Result<(), TextError> {
        let numbers = generate::range(range.text).map_err(|message| TextError::new(range.position, message))?;
        for number in numbers {
            let mut words = Vec::with_capacity(template.len());
            for token in template {
                let text = generate::substitute(token.text, number);
                words.push(text.map_err(|message| TextError::new(token.position, message))?);
            }
            let tokens: Vec<Token<'_>> =
                template.iter().zip(&words).map(|(token, text)| Token { text, ..*token }).collect();
            self.record(false, &tokens, file)?;
        }
        Ok(())
    }

    /// RFC 1035 §5.1: neither the origin nor the last owner of this file changes by it.
    fn include(
        &mut self,
        argument: &Token<'_>,
        origin: Option<&Token<'_>>,
        file: usize,
        depth: usize,
    ) -> Result<(), TextError> {
        if depth >= MAXIMUM_DEPTH {
            let message = format!("$INCLUDE goes deeper than {MAXIMUM_DEPTH} files");
            return Err(TextError::new(argument.position, message));
        }
        let origin = match origin {
            Some(origin) => self.name(origin)?,
            None => self.origin.clone(),
        };
        let name = String::from_utf8_lossy(argument.text).into_owned();
        let from = match self.texts.get(file) {
            Some(Text::File(path)) => Some(path),
            Some(Text::Configuration(_)) | None => None,
        };
        let (path, text) =
            self.files.read(from, &name).map_err(|message| TextError::new(argument.position, message))?;
        let origin = std::mem::replace(&mut self.origin, origin);
        let owner = self.owner.clone();
        self.read_at_depth(Text::File(path), &text, depth + 1);
        self.origin = origin;
        self.owner = owner;
        Ok(())
    }

    /// `[owner] [TTL] [class] type data`, TTL and class in either order.
    fn record(&mut self, blank_owner: bool, tokens: &[Token<'_>], file: usize) -> Result<(), TextError> {
        let mut rest = tokens;
        let mut last = tokens.first().map_or(Position { line: 1, column: 1 }, |token| token.position);
        let owner = match (blank_owner, rest.split_first()) {
            (false, Some((first, after))) => {
                last = first.position;
                rest = after;
                let name = self.name(first);
                // Even a name that cannot be read is not to be taken for the one before it.
                self.owner = name.clone().ok();
                name?
            }
            _ => self.owner.clone().ok_or_else(|| TextError::new(last, "no owner stands before this entry"))?,
        };
        let (mut ttl_token, mut class_token) = (None, None);
        while let Some((token, after)) = rest.split_first() {
            if ttl_token.is_none() && !token.quoted && token.text.first().is_some_and(u8::is_ascii_digit) {
                ttl_token = Some(token);
            } else if class_token.is_none() && is_class(token) {
                class_token = Some(token);
            } else {
                break;
            }
            last = token.position;
            rest = after;
        }
        if let Some(class) = class_token
            && !class.is("IN")
            && !class.is("CLASS1")
        {
            return Err(TextError::new(class.position, format!("class {class} is not served, only IN is")));
        }
        let Some((kind_token, fields)) = rest.split_first() else {
            return Err(TextError::new(last, "the type is missing after this"));
        };
        let kind = self.kind(kind_token)?;
        let data = data::read(kind, fields, kind_token.position, &self.origin)?;
        let ttl = match ttl_token {
            Some(token) => {
                let ttl = ttl(token)?;
                self.last_ttl = Some(ttl);
                ttl
            }
            None => self.implied_ttl(kind, &data, kind_token)?,
        };
        self.records.push(Record {
            owner,
            kind,
            ttl,
            data,
            place: Place { text: file, position: kind_token.position },
        });
        Ok(())
    }

    fn kind(&self, token: &Token<'_>) -> Result<RecordType, TextError> {
        match RecordType::from_text(token.text).filter(|_| !token.quoted) {
            Some(kind) if kind.is_data() => Ok(kind),
            Some(_) => Err(TextError::new(token.position, format!("{token} cannot stand in a zone"))),
            None => Err(TextError::new(token.position, format!("{token} is not a record type"))),
        }
    }

    /// The TTL of an entry that has none: `$TTL` (RFC 2308 §4), else that of the entry before (RFC 1035 §5.1), else
    /// the minimum in the SOA record that this is.
    fn implied_ttl(&self, kind: RecordType, data: &[u8], token: &Token<'_>) -> Result<u32, TextError> {
        let minimum =
            || data.last_chunk().filter(|_| kind == RecordType::SOA).map(|octets| u32::from_be_bytes(*octets));
        self.default_ttl
            .or(self.last_ttl)
            .or_else(minimum)
            .ok_or_else(|| TextError::new(token.position, "no TTL stands here, and no $TTL or earlier TTL before it"))
    }

    fn name(&self, token: &Token<'_>) -> Result<Name, TextError> {
        Name::from_text(token.text, &self.origin)
            .map_err(|error| TextError::new(token.position, format!("{token}: {error}")))
    }
}

fn ttl(token: &Token<'_>) -> Result<u32, TextError> {
    let message = || format!("{token} is not a TTL, such as 3600 or 1h30m, up to 2147483647 seconds");
    data::ttl(token.text).ok_or_else(|| TextError::new(token.position, message()))
}

fn is_class(token: &Token<'_>) -> bool {
    let numbered = || token.text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"CLASS"));
    !token.quoted && (["IN", "CH", "HS", "CS"].iter().any(|class| token.is(class)) || numbered())
}

#[cfg(test)]
mod tests;
