//! The records of one owner and type (RFC 2181 §5), encoded beforehand.
//!
//! Responsible for the form in which they wait to be sent: each record in wire format, its owner a pointer to the
//! name in the question (octet 12 of any response), since that is what nearly every answer needs. Names within the
//! data are not compressed here.

use super::types::RecordType;

/// A compression pointer (RFC 1035 §4.1.4) to the name in the question.
pub(crate) const QUESTION_NAME: [u8; 2] = [0xc0, 12];
/// Class IN (RFC 1035 §3.2.4).
pub(crate) const CLASS_IN: u16 = 1;
/// Class CH, where a server tells about itself (RFC 4892).
pub(crate) const CLASS_CHAOS: u16 = 3;
/// Owner pointer, type, class, TTL, length of data.
const FIXED: usize = 12;

/// All records of one owner and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordSet {
    kind: RecordType,
    count: u16,
    encoded: Box<[u8]>,
    /// The nodes of its zone whose addresses belong into the additional section.
    pub(crate) additional: Box<[usize]>,
}

impl RecordSet {
    /// A set of these data; none may be longer than 65,535 octets.
    pub(crate) fn new<'a>(class: u16, kind: RecordType, ttl: u32, data: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut encoded = Vec::new();
        let mut count: u16 = 0;
        for data in data {
            let Ok(length) = u16::try_from(data.len()) else { continue };
            encoded.extend(QUESTION_NAME);
            encoded.extend(kind.0.to_be_bytes());
            encoded.extend(class.to_be_bytes());
            encoded.extend(ttl.to_be_bytes());
            encoded.extend(length.to_be_bytes());
            encoded.extend_from_slice(data);
            count = count.saturating_add(1);
        }
        Self { kind, count, encoded: encoded.into(), additional: Box::default() }
    }

    /// The type of its records.
    pub(crate) fn kind(&self) -> RecordType {
        self.kind
    }

    /// The TTL of its records, in seconds.
    pub(crate) fn ttl(&self) -> u32 {
        self.encoded.get(6..).and_then(|rest| rest.first_chunk()).map_or(0, |octets| u32::from_be_bytes(*octets))
    }

    /// How many records it has.
    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// All its records in wire format, owned by the name in the question.
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Its records one by one.
    pub(crate) fn records(&self) -> Records<'_> {
        Records(&self.encoded)
    }
}

/// One record in parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodedRecord<'a> {
    /// Type, class and TTL, in wire format.
    pub(crate) head: &'a [u8],
    /// Its data, without compression.
    pub(crate) data: &'a [u8],
}

/// The records of a [`RecordSet`].
#[derive(Clone, Debug)]
pub(crate) struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = EncodedRecord<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (fixed, rest) = self.0.split_first_chunk::<FIXED>()?;
        let [.., high, low] = *fixed;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        let head = self.0.get(2..FIXED - 2)?;
        self.0 = rest;
        Some(EncodedRecord { head, data })
    }
}
