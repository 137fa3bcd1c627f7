//! The message that goes out.
//!
//! Responsible for encoding an answer into a buffer: sections, name compression (RFC 1035 §4.1.4), truncation at the
//! boundary of a record set (RFC 2181 §9) and the OPT record. Nothing is allocated but what the buffer needs to grow.
//!
//! The work that a name costs is bounded: at most 32 places are remembered, so a zone full of names cannot make the
//! encoder slow (CVE-2024-8508).

use crate::answer::{Answer, Owner, Part};
use crate::edns::ResponseEdns;
use crate::query::{Flags, HEADER, Header};
use crate::zone::{QUESTION_NAME, RecordSet};

/// How many places of names are remembered.
const MAXIMUM_PLACES: usize = 32;
/// The highest offset that a pointer can express.
const MAXIMUM_OFFSET: usize = 0x3fff;
/// How many pointers in a row are followed. Ours point backwards to a place that was written, so this is never reached.
const MAXIMUM_POINTERS: usize = 16;
/// What was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) truncated: bool,
}

/// Appends a response of at most `limit` octets to `buffer`. The question is given in wire format.
///
/// The header, question and OPT record are always written: they are at most 12 + 259 + 187 octets, and any limit is 512
/// at least.
pub(crate) fn encode(
    buffer: &mut Vec<u8>,
    limit: usize,
    header: Header,
    question: Option<&[u8]>,
    answer: &Answer<'_>,
    edns: Option<&ResponseEdns<'_>>,
) -> Encoded {
    let limit = limit - edns.map_or(0, ResponseEdns::length).min(limit);
    let mut writer =
        Writer { start: buffer.len(), buffer, limit, places: [Place::default(); MAXIMUM_PLACES], count: 0 };
    writer.buffer.extend(header.id.to_be_bytes());
    writer.buffer.extend([0; HEADER - 2]);
    if let Some(question) = question {
        writer.buffer.extend_from_slice(question);
        writer.remember_question(question);
    }
    let mut truncated = false;
    let answers = writer.section(&answer.answers, &mut truncated);
    let authorities = writer.section(answer.authority.as_slice(), &mut truncated);
    let (glue, additional) = answer.additional.split_at(answer.glue.min(answer.additional.len()));
    let mut additionals = writer.section(glue, &mut truncated);
    // Anything else in this section may be left out silently (RFC 2181 §9).
    let mut left_out = truncated;
    additionals = additionals.saturating_add(writer.section(additional, &mut left_out));
    // The extended code's upper bits stand in the OPT record (RFC 6891 §6.1.3).
    let code = u16::from(answer.code);
    if let Some(edns) = edns {
        edns.write(writer.buffer, code);
        additionals = additionals.saturating_add(1);
    }
    let mut flags = header.flags.response() | code & 0xf;
    if answer.authoritative {
        flags |= Flags::AUTHORITATIVE;
    }
    if truncated {
        flags |= Flags::TRUNCATED;
    }
    let questions = u16::from(question.is_some());
    writer.header([flags, questions, answers, authorities, additionals]);
    Encoded { truncated }
}

struct Writer<'b> {
    buffer: &'b mut Vec<u8>,
    /// Where the message starts in the buffer.
    start: usize,
    /// How long the message may become.
    limit: usize,
    places: [Place; MAXIMUM_PLACES],
    count: usize,
}

/// Where a name starts in the message.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    offset: u16,
    /// Of the name that starts here, see [`tag`].
    tag: u16,
}

/// The length of a name's first label and its first letter in lower case: enough to tell most names apart, without
/// going to where they stand.
fn tag(name: &[u8]) -> u16 {
    name.first_chunk().map_or(0, |[length, letter]| u16::from_be_bytes([*length, letter.to_ascii_lowercase()]))
}

impl Writer<'_> {
    fn length(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Fills in the header behind the identifier.
    fn header(&mut self, words: [u16; 5]) {
        let header = self.buffer.get_mut(self.start + 2..self.start + HEADER).unwrap_or_default();
        for (place, word) in header.chunks_exact_mut(2).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
    }

    /// Writes record sets until one does not fit, and counts the records.
    fn section(&mut self, parts: &[Part<'_>], full: &mut bool) -> u16 {
        let mut records: u16 = 0;
        for part in parts {
            if *full {
                break;
            }
            let (length, count) = (self.buffer.len(), self.count);
            if self.record_set(part) {
                records = records.saturating_add(part.set.count());
            } else {
                self.buffer.truncate(length);
                self.count = count;
                *full = true;
            }
        }
        records
    }

    /// Writes a record set, and tells whether it fits. What does not fit is left for the caller to take back.
    fn record_set(&mut self, part: &Part<'_>) -> bool {
        let (before, names) = part.set.kind().compressible();
        match &part.owner {
            Owner::Question if names == 0 => {
                self.buffer.extend_from_slice(part.set.encoded());
                self.length() <= self.limit
            }
            Owner::Question => self.records(&part.set, QUESTION_NAME, before, names),
            Owner::Name(name) => {
                // The name is written once; every further record points to it.
                let offset = self.length();
                let mut records = part.set.records();
                let Some(first) = records.next() else { return true };
                let written = self.name(name);
                self.record(first.head, first.data, before, names);
                let pointer = match written {
                    Some(pointer) => pointer,
                    None if offset <= MAXIMUM_OFFSET => pointer_to(offset),
                    // Too far on for a pointer: the name stands in full with each record.
                    None => {
                        return records.all(|record| {
                            self.buffer.extend_from_slice(name);
                            self.record(record.head, record.data, before, names);
                            self.length() <= self.limit
                        }) && self.length() <= self.limit;
                    }
                };
                self.length() <= self.limit
                    && records.all(|record| {
                        self.buffer.extend(pointer);
                        self.record(record.head, record.data, before, names);
                        self.length() <= self.limit
                    })
            }
        }
    }

    fn records(&mut self, set: &RecordSet, owner: [u8; 2], before: usize, names: usize) -> bool {
        set.records().all(|record| {
            self.buffer.extend(owner);
            self.record(record.head, record.data, before, names);
            self.length() <= self.limit
        })
    }

    /// Writes what follows the owner. `before` octets of the data precede `names` names that may be compressed.
    fn record(&mut self, head: &[u8], data: &[u8], before: usize, names: usize) {
        self.buffer.extend_from_slice(head);
        let length_at = self.buffer.len();
        self.buffer.extend([0; 2]);
        let (start, mut rest) = data.split_at(before.min(data.len()));
        self.buffer.extend_from_slice(start);
        for _ in 0..names {
            let (name, after) = rest.split_at(name_length(rest));
            self.name(name);
            rest = after;
        }
        self.buffer.extend_from_slice(rest);
        let length = self.buffer.len() - length_at - 2;
        // The data were at most 65,535 octets before compression.
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        if let Some(place) = self.buffer.get_mut(length_at..length_at + 2) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Writes a name, its end as a pointer where that end stands in the message already. Gives the pointer if it is
    /// one as a whole.
    fn name(&mut self, name: &[u8]) -> Option<[u8; 2]> {
        let offset = self.length();
        let mut rest = name;
        while let [length @ 1..=63, after @ ..] = rest {
            if let Some(place) = self.find(rest) {
                let pointer = pointer_to(place);
                self.buffer.extend(pointer);
                return (rest.len() == name.len()).then_some(pointer);
            }
            self.remember(offset + name.len() - rest.len(), rest);
            let label = usize::from(*length).min(after.len());
            self.buffer.extend_from_slice(rest.get(..=label).unwrap_or(rest));
            rest = after.get(label..).unwrap_or_default();
        }
        self.buffer.push(0);
        None
    }

    /// Remembers that `name` starts at an offset in the message.
    fn remember(&mut self, offset: usize, name: &[u8]) {
        if let (Ok(offset @ 0..=0x3fff), Some(place)) = (u16::try_from(offset), self.places.get_mut(self.count)) {
            *place = Place { offset, tag: tag(name) };
            self.count += 1;
        }
    }

    fn remember_question(&mut self, question: &[u8]) {
        let mut offset = HEADER;
        let mut rest = question;
        while let [length @ 1..=63, after @ ..] = rest {
            self.remember(offset, rest);
            offset += 1 + usize::from(*length);
            rest = after.get(usize::from(*length)..).unwrap_or_default();
        }
    }

    /// The place of a name in the message, if it is remembered.
    fn find(&self, name: &[u8]) -> Option<usize> {
        let message = self.buffer.get(self.start..)?;
        let tag = tag(name);
        let places = self.places.get(..self.count)?.iter().filter(|place| place.tag == tag);
        places.map(|place| usize::from(place.offset)).find(|offset| stands_at(message, *offset, name))
    }
}

/// A pointer to an offset, which must be at most [`MAXIMUM_OFFSET`].
fn pointer_to(offset: usize) -> [u8; 2] {
    (0xc000 | u16::try_from(offset).unwrap_or(0)).to_be_bytes()
}

/// How many octets the uncompressed name at the start of `octets` has.
fn name_length(octets: &[u8]) -> usize {
    let mut position = 0;
    while let Some(length @ 1..=63) = octets.get(position) {
        position += 1 + usize::from(*length);
    }
    (position + 1).min(octets.len())
}

/// Whether the name that starts at `place` in `message` is `name`, but for the case of letters (RFC 4343).
fn stands_at(message: &[u8], place: usize, name: &[u8]) -> bool {
    let (mut place, mut rest, mut pointers) = (place, name, 0);
    loop {
        match message.get(place..) {
            Some([0, ..]) => return rest == [0],
            Some([high @ 0xc0..=0xff, low, ..]) if pointers < MAXIMUM_POINTERS => {
                place = usize::from(u16::from_be_bytes([high & 0x3f, *low]));
                pointers += 1;
            }
            Some([length @ 1..=63, ..]) => {
                let label = 1 + usize::from(*length);
                let (Some(here), Some((there, after))) =
                    (message.get(place..place + label), rest.split_at_checked(label))
                else {
                    return false;
                };
                // The length octet is no letter, so it is compared with the rest.
                // Nearly always even the case is the same, which is told faster.
                if here != there && !here.eq_ignore_ascii_case(there) {
                    return false;
                }
                place += label;
                rest = after;
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests;
