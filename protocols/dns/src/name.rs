//! Domain names in wire format (RFC 1035 §3.1).
//!
//! Responsible for names as text and as octets, and for their limits (63 octets a label, 255 octets a name). Not for
//! compression: that is a matter of a message, see [`crate::response`].
//!
//! A length octet is at most 63 and `A` is 65, so a whole name in wire format can be lower-cased, or compared without
//! regard to case (RFC 4343), octet by octet.

use std::fmt;

/// The longest name in wire format, in octets (RFC 1035 §2.3.4).
pub(crate) const MAXIMUM_NAME: usize = 255;
/// The longest label, in octets (RFC 1035 §2.3.4).
const MAXIMUM_LABEL: usize = 63;
/// The most labels that fit in 255 octets, the root not counted.
const MAXIMUM_LABELS: usize = 127;

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("a name must not be empty")]
    Empty,
    #[error("a label must not be empty")]
    EmptyLabel,
    #[error("a label is longer than 63 octets")]
    LongLabel,
    #[error("the name is longer than 255 octets")]
    LongName,
    #[error("a \\ must be followed by a character or by three digits up to 255")]
    Escape,
    #[error("the name is cut short, or compressed where that is not possible")]
    Wire,
}

/// An absolute name as somebody wrote it: the case of its letters is kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Name(Box<[u8]>);

impl Name {
    /// The root.
    pub(crate) fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Reads a name of a master file (RFC 1035 §5.1): `@` is the origin, a name without a dot at its end is
    /// relative to it.
    pub(crate) fn from_text(text: &[u8], origin: &Self) -> Result<Self, NameError> {
        match text {
            b"" => return Err(NameError::Empty),
            b"@" => return Ok(origin.clone()),
            b"." => return Ok(Self::root()),
            _ => {}
        }
        let mut wire = Vec::with_capacity(text.len() + 1 + origin.0.len());
        let mut length_at = 0;
        let mut absolute = false;
        wire.push(0);
        let mut rest = text;
        while let Some((octet, after)) = next_octet(rest)? {
            let dot = octet == b'.' && !rest.starts_with(b"\\");
            rest = after;
            absolute = dot;
            if !dot {
                wire.push(octet);
                continue;
            }
            close_label(&mut wire, length_at)?;
            if !rest.is_empty() {
                length_at = wire.len();
                wire.push(0);
            }
        }
        if absolute {
            wire.push(0);
        } else {
            close_label(&mut wire, length_at)?;
            wire.extend_from_slice(&origin.0);
        }
        if wire.len() > MAXIMUM_NAME { Err(NameError::LongName) } else { Ok(Self(wire.into())) }
    }

    /// The name in wire format, with the root's octet at its end.
    pub(crate) fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The name made of its last `labels` labels, which must not be more than it has.
    pub(crate) fn suffix(&self, labels: usize) -> Option<Self> {
        let lookup = self.lookup();
        let skipped = lookup.labels().checked_sub(labels)?;
        let start = if labels == 0 { self.0.len() - 1 } else { usize::from(*lookup.starts.get(skipped)?) };
        self.0.get(start..).map(|wire| Self(wire.into()))
    }

    /// The name for looking up.
    pub(crate) fn lookup(&self) -> LookupName {
        LookupName::read(&self.0).unwrap_or_default()
    }
}

/// Ends the label whose length octet is at `length_at`.
fn close_label(wire: &mut [u8], length_at: usize) -> Result<(), NameError> {
    let length = wire.len() - length_at - 1;
    match u8::try_from(length) {
        Ok(0) => Err(NameError::EmptyLabel),
        Ok(octet) if length <= MAXIMUM_LABEL => {
            if let Some(place) = wire.get_mut(length_at) {
                *place = octet;
            }
            Ok(())
        }
        _ => Err(NameError::LongLabel),
    }
}

/// Takes one octet of a text with `\DDD` and `\X` escapes (RFC 1035 §5.1), and gives the rest.
pub(crate) fn next_octet(text: &[u8]) -> Result<Option<(u8, &[u8])>, NameError> {
    let digit = |octet: &u8| octet.is_ascii_digit().then(|| u16::from(octet - b'0'));
    match text {
        [] => Ok(None),
        [b'\\', a, rest @ ..] => match digit(a) {
            None => Ok(Some((*a, rest))),
            Some(a) => {
                let [b, c, rest @ ..] = rest else { return Err(NameError::Escape) };
                let (Some(b), Some(c)) = (digit(b), digit(c)) else { return Err(NameError::Escape) };
                let octet = u8::try_from(a * 100 + b * 10 + c).map_err(|_| NameError::Escape)?;
                Ok(Some((octet, rest)))
            }
        },
        [b'\\'] => Err(NameError::Escape),
        [octet, rest @ ..] => Ok(Some((*octet, rest))),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = &*self.0;
        if rest == [0] {
            return f.write_str(".");
        }
        while let [length, after @ ..] = rest
            && *length > 0
        {
            let (label, after) = after.split_at(usize::from(*length).min(after.len()));
            for octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => write!(f, "\\{}", char::from(*octet))?,
                    b'!'..=b'~' => write!(f, "{}", char::from(*octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_str(".")?;
            rest = after;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// A name in lower case, with the places of its labels: what is looked up. Lives on the stack.
#[derive(Clone)]
pub(crate) struct LookupName {
    wire: [u8; MAXIMUM_NAME],
    length: u8,
    starts: [u8; MAXIMUM_LABELS],
    labels: u8,
}

impl Default for LookupName {
    /// The root.
    fn default() -> Self {
        Self { wire: [0; MAXIMUM_NAME], length: 1, starts: [0; MAXIMUM_LABELS], labels: 0 }
    }
}

impl fmt::Debug for LookupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Name(self.as_wire().into()), f)
    }
}

impl LookupName {
    /// Reads the uncompressed name at the start of `octets`. What follows it is not looked at.
    #[inline]
    pub(crate) fn read(octets: &[u8]) -> Result<Self, NameError> {
        let mut name = Self::default();
        let mut position = 0;
        loop {
            let length = usize::from(*octets.get(position).ok_or(NameError::Wire)?);
            if length == 0 {
                break;
            }
            if length > MAXIMUM_LABEL {
                return Err(NameError::Wire);
            }
            let start = name.starts.get_mut(usize::from(name.labels)).ok_or(NameError::LongName)?;
            *start = u8::try_from(position).map_err(|_| NameError::LongName)?;
            name.labels += 1;
            position += 1 + length;
        }
        let length = position + 1;
        let (Some(target), Some(source)) = (name.wire.get_mut(..length), octets.get(..length)) else {
            return Err(NameError::LongName);
        };
        target.copy_from_slice(source);
        target.make_ascii_lowercase();
        name.length = u8::try_from(length).map_err(|_| NameError::LongName)?;
        Ok(name)
    }

    /// The name in wire format and lower case.
    pub(crate) fn as_wire(&self) -> &[u8] {
        self.wire.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// How many labels it has, the root not counted.
    pub(crate) fn labels(&self) -> usize {
        usize::from(self.labels)
    }

    /// The name made of its last `labels` labels; the whole name if it has no more than that.
    pub(crate) fn suffix(&self, labels: usize) -> &[u8] {
        let wire = self.as_wire();
        if labels == 0 {
            return wire.get(wire.len() - 1..).unwrap_or_default();
        }
        let start = self.labels().checked_sub(labels).and_then(|skipped| self.starts.get(skipped)).map_or(0, |at| *at);
        wire.get(usize::from(start)..).unwrap_or_default()
    }

    /// Whether it is `other` or below it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        other.labels <= self.labels && self.suffix(other.labels()) == other.as_wire()
    }
}

#[cfg(test)]
mod tests;
