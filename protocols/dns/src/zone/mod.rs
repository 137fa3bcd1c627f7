//! Zones: read from master files, checked, and kept in a form that answers fast.

mod check;
mod data;
mod generate;
mod load;
mod master_file;
mod record_set;
#[cfg(test)]
pub(crate) mod testing;
mod tokens;
mod tree;
mod types;

pub(crate) use load::load;
pub(crate) use record_set::{CLASS_CHAOS, CLASS_IN, QUESTION_NAME, RecordSet};
pub(crate) use tree::{Found, Node, Zone, Zones};
pub(crate) use types::RecordType;

use crate::name::Name;
use tokens::Position;

/// A place in one of the texts that a zone was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Which text: its index in [`master_file::Reader::texts`].
    text: usize,
    position: Position,
}

/// One record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    owner: Name,
    kind: RecordType,
    /// In seconds.
    ttl: u32,
    /// In wire format, without compression.
    data: Vec<u8>,
    place: Place,
}

/// Something to say about a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where; nothing when it is about the zone as a whole.
    place: Option<Place>,
    /// Whether the zone can be served all the same.
    warning: bool,
    message: String,
}

impl Finding {
    fn error(place: impl Into<Option<Place>>, message: impl Into<String>) -> Self {
        Self { place: place.into(), warning: false, message: message.into() }
    }

    fn warning(place: impl Into<Option<Place>>, message: impl Into<String>) -> Self {
        Self { place: place.into(), warning: true, message: message.into() }
    }
}
