//! Addresses, by the grammar of RFC 5321 §4.1.2 and §4.1.3 with the characters that RFC 6531 §3.3 adds.
//!
//! Responsible for reading paths and domains. Not for whether an address exists: that is `mailboxes`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest local part, in octets (RFC 5321 §4.5.3.1.1).
const LONGEST_LOCAL_PART: usize = 64;
/// The longest domain, in octets (§4.5.3.1.2).
const LONGEST_DOMAIN: usize = 255;
/// The longest path with its brackets, in octets (§4.5.3.1.3).
const LONGEST_PATH: usize = 256;
/// The longest label of a domain, in octets (RFC 1035 §2.3.4).
const LONGEST_LABEL: usize = 63;

/// What was read is not by the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address by the grammar of RFC 5321")]
pub(crate) struct NotAnAddress;

/// A mailbox's name (RFC 5321 §2.3.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// What stands before the `@`, without quotes.
    pub(crate) local_part: String,
    /// What stands after it.
    pub(crate) domain: Domain,
}

/// Where a mailbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// A name, as the client wrote it.
    Name(String),
    /// An address literal.
    Literal(IpAddr),
}

/// Where a message comes from, and where a notice of its fate would go: nowhere, if `None` (RFC 5321 §4.5.5).
pub(crate) type ReversePath = Option<Address>;

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ForwardPath {
    /// `<Postmaster>`, without a domain (RFC 5321 §4.5.1).
    Postmaster,
    /// A mailbox.
    Mailbox(Address),
}

impl Address {
    pub(crate) fn is_ascii(&self) -> bool {
        self.local_part.is_ascii() && matches!(&self.domain, Domain::Name(name) if name.is_ascii())
            || self.local_part.is_ascii() && matches!(self.domain, Domain::Literal(_))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local_part) {
            f.write_str(&self.local_part)?;
        } else {
            f.write_str("\"")?;
            for character in self.local_part.chars() {
                if matches!(character, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{character}")?;
            }
            f.write_str("\"")?;
        }
        write!(f, "@{}", self.domain)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Literal(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Literal(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("postmaster"),
            Self::Mailbox(address) => address.fmt(f),
        }
    }
}

/// Reads a `Reverse-path` at the start of `text`, and returns what follows it.
pub(crate) fn reverse_path(text: &str) -> Result<(ReversePath, &str), NotAnAddress> {
    if let Some(rest) = text.strip_prefix("<>") {
        return Ok((None, rest));
    }
    let (address, rest) = path(text)?;
    Ok((Some(address), rest))
}

/// Reads a `Forward-path` at the start of `text`, and returns what follows it.
pub(crate) fn forward_path(text: &str) -> Result<(ForwardPath, &str), NotAnAddress> {
    const POSTMASTER: &str = "<postmaster>";
    if let Some((start, rest)) = text.split_at_checked(POSTMASTER.len())
        && start.eq_ignore_ascii_case(POSTMASTER)
    {
        return Ok((ForwardPath::Postmaster, rest));
    }
    let (address, rest) = path(text)?;
    Ok((ForwardPath::Mailbox(address), rest))
}

/// `Path`: a source route is read and ignored (RFC 5321 §4.1.1.3, appendix C).
fn path(text: &str) -> Result<(Address, &str), NotAnAddress> {
    let mut cursor = Cursor(text);
    cursor.expect('<')?;
    if cursor.take('@') {
        cursor.domain()?;
        while cursor.take(',') {
            cursor.expect('@')?;
            cursor.domain()?;
        }
        cursor.expect(':')?;
    }
    let address = cursor.mailbox()?;
    cursor.expect('>')?;
    let length = text.len() - cursor.0.len();
    if length > LONGEST_PATH { Err(NotAnAddress) } else { Ok((address, cursor.0)) }
}

/// Whether all of `text` is a domain name.
pub(crate) fn is_domain(text: &str) -> bool {
    let mut cursor = Cursor(text);
    cursor.domain().is_ok() && cursor.0.is_empty()
}

/// Whether all of `text` can stand as the name that a client gives in HELO or EHLO: a domain, an address literal, or a
/// domain with the underscores and the dot at the end that clients are known to send.
pub(crate) fn is_client_name(text: &str) -> bool {
    let mut cursor = Cursor(text);
    if text.starts_with('[') {
        return cursor.literal().is_ok() && cursor.0.is_empty();
    }
    is_domain(&text.strip_suffix('.').unwrap_or(text).replace('_', "x"))
}

/// `Dot-string` and nothing else.
fn is_dot_string(text: &str) -> bool {
    let mut cursor = Cursor(text);
    cursor.dot_string().is_ok() && cursor.0.is_empty()
}

/// `atext` of RFC 5322 §3.2.3, with RFC 6531's UTF8-non-ascii.
fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character) || is_non_ascii(character)
}

/// UTF8-non-ascii but for the controls among it, which nobody has in an address and which would upset a terminal.
fn is_non_ascii(character: char) -> bool {
    !character.is_ascii() && !character.is_control()
}

/// What has not been read yet.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn take(&mut self, character: char) -> bool {
        self.0.strip_prefix(character).map(|rest| self.0 = rest).is_some()
    }

    fn expect(&mut self, character: char) -> Result<(), NotAnAddress> {
        if self.take(character) { Ok(()) } else { Err(NotAnAddress) }
    }

    /// As many characters as there are of a kind, at least one.
    fn run(&mut self, kind: impl Fn(char) -> bool) -> Result<&'a str, NotAnAddress> {
        let end = self.0.find(|character| !kind(character)).unwrap_or(self.0.len());
        let (run, rest) = self.0.split_at(end);
        self.0 = rest;
        if run.is_empty() { Err(NotAnAddress) } else { Ok(run) }
    }

    fn mailbox(&mut self) -> Result<Address, NotAnAddress> {
        let local_part = if self.0.starts_with('"') { self.quoted_string()? } else { self.dot_string()?.to_owned() };
        if local_part.len() > LONGEST_LOCAL_PART {
            return Err(NotAnAddress);
        }
        self.expect('@')?;
        let domain = if self.0.starts_with('[') {
            Domain::Literal(self.literal()?)
        } else {
            Domain::Name(self.domain()?.to_owned())
        };
        Ok(Address { local_part, domain })
    }

    fn dot_string(&mut self) -> Result<&'a str, NotAnAddress> {
        let start = self.0;
        self.run(is_atext)?;
        while self.take('.') {
            self.run(is_atext)?;
        }
        Ok(start.strip_suffix(self.0).unwrap_or(start))
    }

    fn quoted_string(&mut self) -> Result<String, NotAnAddress> {
        self.expect('"')?;
        let mut text = String::new();
        let mut characters = self.0.char_indices();
        while let Some((place, character)) = characters.next() {
            match character {
                '"' => {
                    self.0 = self.0.get(place + 1..).unwrap_or_default();
                    return Ok(text);
                }
                '\\' => match characters.next() {
                    Some((_, quoted @ ' '..='~')) => text.push(quoted),
                    _ => return Err(NotAnAddress),
                },
                ' '..='~' => text.push(character),
                other if is_non_ascii(other) => text.push(other),
                _ => return Err(NotAnAddress),
            }
        }
        Err(NotAnAddress)
    }

    fn domain(&mut self) -> Result<&'a str, NotAnAddress> {
        let start = self.0;
        self.label()?;
        while self.take('.') {
            self.label()?;
        }
        let domain = start.strip_suffix(self.0).unwrap_or(start);
        if domain.len() > LONGEST_DOMAIN { Err(NotAnAddress) } else { Ok(domain) }
    }

    /// `sub-domain`: letters, digits and hyphens, none of these at either end.
    fn label(&mut self) -> Result<(), NotAnAddress> {
        let letter = |character: char| character.is_ascii_alphanumeric() || is_non_ascii(character);
        let label = self.run(|character| letter(character) || character == '-')?;
        let sound = label.len() <= LONGEST_LABEL && !label.starts_with('-') && !label.ends_with('-');
        if sound { Ok(()) } else { Err(NotAnAddress) }
    }

    /// `address-literal`. A tag other than IPv6 has never been registered (RFC 5321 §4.1.3).
    fn literal(&mut self) -> Result<IpAddr, NotAnAddress> {
        self.expect('[')?;
        let inside = self.run(|character| character != ']')?;
        self.expect(']')?;
        let tagged = inside.split_at_checked(5).filter(|(tag, _)| tag.eq_ignore_ascii_case("IPv6:"));
        match tagged {
            Some((_, address)) => address.parse::<Ipv6Addr>().map(IpAddr::V6),
            None => inside.parse::<Ipv4Addr>().map(IpAddr::V4),
        }
        .map_err(|_| NotAnAddress)
    }
}

#[cfg(test)]
mod tests;
