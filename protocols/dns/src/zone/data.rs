//! The data of one record: from the words of a master file to wire format.
//!
//! Responsible for each kind of field, and for the generic form of unknown types (RFC 3597 §5). hickory-proto stands
//! at two places: it reads the text of the types whose data are a language of their own (SVCB and HTTPS with their
//! parameters, CERT, CSYNC), and it must be able to read back whatever comes out here for a type that it knows.
//!
//! The other types are read here and not by hickory-proto's text parser, since that knows no columns, takes the digits
//! of `\DDD` for something else, and keeps strings as UTF-8 where the DNS has octets.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use data_encoding::{BASE64, HEXUPPER_PERMISSIVE};
use hickory_proto::rr::{RData, RecordType as HickoryType};
use hickory_proto::serialize::binary::{BinDecoder, BinEncodable, BinEncoder, Restrict};

use super::tokens::{Position, TextError, Token};
use super::types::{Data, Field, RecordType};
use crate::name::{Name, next_octet};

/// The highest TTL (RFC 2181 §8).
const MAXIMUM_TTL: u32 = 0x7fff_ffff;

/// Reads the data of a record of type `kind`. `after` is where the words before them end.
pub(crate) fn read(
    kind: RecordType,
    tokens: &[Token<'_>],
    after: Position,
    origin: &Name,
) -> Result<Vec<u8>, TextError> {
    let place = tokens.first().map_or(after, |token| token.position);
    let data = match (tokens, kind.data()) {
        ([first, rest @ ..], _) if first.is("\\#") => generic(rest, place)?,
        (_, Data::Fields(fields)) => Fields { tokens, last: after, origin, wire: Vec::new() }.read(fields)?,
        (_, Data::Hickory(known)) => by_hickory(known, tokens, place, origin)?,
        (_, Data::Generic) => {
            let message =
                format!("the data of type {} can only be written in the generic form \\# LENGTH HEX", kind.name());
            return Err(TextError::new(place, message));
        }
    };
    if data.len() > usize::from(u16::MAX) {
        return Err(TextError::new(place, "the data are longer than 65535 octets"));
    }
    check_with_hickory(kind, &data).map_err(|message| TextError::new(place, message))?;
    Ok(data)
}

/// A time in seconds, such as `3600`, `1h` or `1h30m`; nothing if it is none.
pub(crate) fn time(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    hickory_proto::serialize::txt::parse_ttl(text).ok()
}

/// A TTL; nothing if it is none or too high.
pub(crate) fn ttl(text: &[u8]) -> Option<u32> {
    time(text).filter(|ttl| *ttl <= MAXIMUM_TTL)
}

/// `LENGTH HEX` (RFC 3597 §5).
fn generic(tokens: &[Token<'_>], place: Position) -> Result<Vec<u8>, TextError> {
    let Some((length, rest)) = tokens.split_first() else {
        return Err(TextError::new(place, "\\# must be followed by the length and the data in base 16"));
    };
    let expected: u16 = number(length)?;
    let data = hexadecimal(rest, length.position)?;
    if data.len() != usize::from(expected) {
        let message = format!("{expected} octets are announced, and {} follow", data.len());
        return Err(TextError::new(length.position, message));
    }
    Ok(data)
}

fn by_hickory(known: HickoryType, tokens: &[Token<'_>], place: Position, origin: &Name) -> Result<Vec<u8>, TextError> {
    let mut text = String::new();
    for (index, token) in tokens.iter().enumerate() {
        let word = std::str::from_utf8(token.text)
            .map_err(|_| TextError::new(token.position, format!("{token} is not UTF-8")))?;
        if index == 1 && matches!(known, HickoryType::SVCB | HickoryType::HTTPS) {
            // The target: hickory would take a relative name for an absolute one.
            text.push_str(&name(token, origin)?.to_string());
        } else {
            let quote = if token.quoted { "\"" } else { "" };
            text.extend([quote, word, quote]);
        }
        text.push(' ');
    }
    let data = RData::try_from_str(known, &text).map_err(|error| TextError::new(place, error.to_string()))?;
    let mut wire = Vec::new();
    let mut encoder = BinEncoder::new(&mut wire);
    encoder.set_canonical_form(true);
    data.emit(&mut encoder).map_err(|error| TextError::new(place, error.to_string()))?;
    Ok(wire)
}

/// Has hickory-proto decode the data, so that no reader of our messages stumbles over them.
fn check_with_hickory(kind: RecordType, data: &[u8]) -> Result<(), String> {
    let known = HickoryType::from(kind.0);
    let Ok(length) = u16::try_from(data.len()) else { return Ok(()) };
    RData::read(&mut BinDecoder::new(data), known, Restrict::new(length))
        .map(|_| ())
        .map_err(|error| format!("these are no data of type {}: {error}", kind.name()))
}

/// Reads one field after the other.
struct Fields<'t, 'a, 'o> {
    tokens: &'t [Token<'a>],
    last: Position,
    origin: &'o Name,
    wire: Vec<u8>,
}

impl<'t, 'a> Fields<'t, 'a, '_> {
    fn read(mut self, fields: &[Field]) -> Result<Vec<u8>, TextError> {
        for field in fields {
            self.field(*field)?;
        }
        match self.tokens.first() {
            Some(token) => Err(TextError::new(token.position, format!("{token} is more than the type's data"))),
            None => Ok(self.wire),
        }
    }

    fn field(&mut self, field: Field) -> Result<(), TextError> {
        match field {
            Field::U8 => {
                let value: u8 = number(self.next(field)?)?;
                self.wire.push(value);
            }
            Field::U16 => {
                let value: u16 = number(self.next(field)?)?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::U32 => {
                let value: u32 = number(self.next(field)?)?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::Time => {
                let token = self.next(field)?;
                let seconds = ttl(token.text).ok_or_else(|| wrong(token, "a time, such as 3600 or 1h30m"))?;
                self.wire.extend(seconds.to_be_bytes());
            }
            Field::Name => {
                let name = name(self.next(field)?, self.origin)?;
                self.wire.extend_from_slice(name.as_wire());
            }
            Field::Ipv4 => {
                let address: Ipv4Addr = parse(self.next(field)?, "an IPv4 address")?;
                self.wire.extend(address.octets());
            }
            Field::Ipv6 => {
                let address: Ipv6Addr = parse(self.next(field)?, "an IPv6 address")?;
                self.wire.extend(address.octets());
            }
            Field::String => {
                let token = self.next(field)?;
                self.string(token)?;
            }
            Field::Strings => {
                let mut token = self.next(field)?;
                self.string(token)?;
                while !self.tokens.is_empty() {
                    token = self.next(field)?;
                    self.string(token)?;
                }
            }
            Field::Octets => {
                let octets = octets(self.next(field)?)?;
                self.wire.extend(octets);
            }
            Field::Tag => {
                let token = self.next(field)?;
                if token.text.is_empty() || !token.text.iter().all(u8::is_ascii_alphanumeric) {
                    return Err(wrong(token, "a property tag of letters and digits"));
                }
                self.string(token)?;
            }
            Field::Hexadecimal => {
                let data = hexadecimal(self.tokens, self.last)?;
                self.tokens = &[];
                self.wire.extend(data);
            }
            Field::Base64 => {
                let text = joined(self.tokens, self.last)?;
                let place = self.tokens.first().map_or(self.last, |token| token.position);
                self.tokens = &[];
                let data = BASE64
                    .decode(&text)
                    .map_err(|error| TextError::new(place, format!("this is not base 64: {error}")))?;
                self.wire.extend(data);
            }
        }
        Ok(())
    }

    fn next(&mut self, field: Field) -> Result<&'t Token<'a>, TextError> {
        let Some((token, rest)) = self.tokens.split_first() else {
            let what = match field {
                Field::U8 | Field::U16 | Field::U32 => "a number",
                Field::Time => "a time",
                Field::Name => "a name",
                Field::Ipv4 => "an IPv4 address",
                Field::Ipv6 => "an IPv6 address",
                Field::String | Field::Strings | Field::Octets => "a string",
                Field::Tag => "a property tag",
                Field::Hexadecimal | Field::Base64 => "data",
            };
            return Err(TextError::new(self.last, format!("{what} is missing after this")));
        };
        self.tokens = rest;
        self.last = token.position;
        Ok(token)
    }

    fn string(&mut self, token: &Token<'_>) -> Result<(), TextError> {
        let octets = octets(token)?;
        let length = u8::try_from(octets.len())
            .map_err(|_| TextError::new(token.position, "a string is longer than 255 octets; write it as several"))?;
        self.wire.push(length);
        self.wire.extend(octets);
        Ok(())
    }
}

fn wrong(token: &Token<'_>, expected: &str) -> TextError {
    TextError::new(token.position, format!("{token} is not {expected}"))
}

fn name(token: &Token<'_>, origin: &Name) -> Result<Name, TextError> {
    Name::from_text(token.text, origin).map_err(|error| TextError::new(token.position, format!("{token}: {error}")))
}

fn parse<T: FromStr>(token: &Token<'_>, expected: &str) -> Result<T, TextError> {
    std::str::from_utf8(token.text).ok().and_then(|text| text.parse().ok()).ok_or_else(|| wrong(token, expected))
}

/// A number, of digits alone.
fn number<T: FromStr>(token: &Token<'_>) -> Result<T, TextError> {
    if !token.text.iter().all(u8::is_ascii_digit) {
        return Err(wrong(token, "a number"));
    }
    parse(token, &format!("a number of {} bits", 8 * size_of::<T>()))
}

/// The octets that a word with escapes stands for.
fn octets(token: &Token<'_>) -> Result<Vec<u8>, TextError> {
    let mut octets = Vec::with_capacity(token.text.len());
    let mut rest = token.text;
    loop {
        match next_octet(rest) {
            Ok(Some((octet, after))) => {
                octets.push(octet);
                rest = after;
            }
            Ok(None) => return Ok(octets),
            Err(error) => return Err(TextError::new(token.position, format!("{token}: {error}"))),
        }
    }
}

/// All the words as one; there must be one at least.
fn joined(tokens: &[Token<'_>], last: Position) -> Result<Vec<u8>, TextError> {
    if tokens.is_empty() {
        return Err(TextError::new(last, "data are missing after this"));
    }
    Ok(tokens.iter().flat_map(|token| token.text).copied().collect())
}

fn hexadecimal(tokens: &[Token<'_>], last: Position) -> Result<Vec<u8>, TextError> {
    let place = tokens.first().map_or(last, |token| token.position);
    let text: Vec<u8> = tokens.iter().flat_map(|token| token.text).copied().collect();
    HEXUPPER_PERMISSIVE.decode(&text).map_err(|error| TextError::new(place, format!("this is not base 16: {error}")))
}

#[cfg(test)]
mod tests;
