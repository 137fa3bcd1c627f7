//! What answers are made from.
//!
//! Responsible for holding the zones, and for the two sources beside them that a configuration can switch on: what the
//! server tells about itself, and addresses for every other name. Not for which of them answers: that is
//! [`crate::answer`].

use std::net::IpAddr;

use crate::name::{LookupName, Name};
use crate::zone::{CLASS_CHAOS, CLASS_IN, RecordSet, RecordType, Zones};

/// The TTL of the addresses for every other name, in seconds. Short, since they stand for nothing.
const CATCH_ALL_TTL: u32 = 60;

/// Everything that is answered from.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) zones: Zones,
    about: About,
    catch_all: Vec<RecordSet>,
}

impl Sources {
    /// These zones, and what the configuration adds to them.
    pub(crate) fn new(zones: Zones, about: About, catch_all: &[IpAddr]) -> Self {
        let v4 = catch_all.iter().filter_map(|address| match address {
            IpAddr::V4(address) => Some(address.octets().to_vec()),
            IpAddr::V6(_) => None,
        });
        let v6 = catch_all.iter().filter_map(|address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address.octets().to_vec()),
        });
        let sets = [(RecordType::A, v4.collect::<Vec<_>>()), (RecordType::AAAA, v6.collect())];
        let set = |(kind, data): (RecordType, Vec<Vec<u8>>)| {
            RecordSet::new(CLASS_IN, kind, CATCH_ALL_TTL, data.iter().map(Vec::as_slice))
        };
        Self { zones, about, catch_all: sets.into_iter().filter(|(_, data)| !data.is_empty()).map(set).collect() }
    }

    /// What the server tells about itself under this name, in class CH.
    pub(crate) fn about(&self, name: &LookupName) -> Option<&RecordSet> {
        self.about.0.iter().find(|(known, _)| known.as_wire() == name.as_wire()).map(|(_, set)| set)
    }

    /// The addresses for every name that is in no zone; empty when there are none.
    pub(crate) fn catch_all(&self) -> &[RecordSet] {
        &self.catch_all
    }
}

/// What the server tells about itself (RFC 4892 §2).
#[derive(Debug, Default)]
pub(crate) struct About(Vec<(LookupName, RecordSet)>);

impl About {
    /// Of each only what is given. Both are at most 255 octets long.
    pub(crate) fn new(version: Option<&str>, identity: Option<&str>) -> Self {
        let named = [
            ("version.bind", version),
            ("version.server", version),
            ("id.server", identity),
            ("hostname.bind", identity),
        ];
        let record = |(name, text): (&str, Option<&str>)| {
            let text = text?;
            let data = [&[u8::try_from(text.len()).ok()?], text.as_bytes()].concat();
            let name = Name::from_text(name.as_bytes(), &Name::root()).ok()?;
            Some((name.lookup(), RecordSet::new(CLASS_CHAOS, RecordType::TXT, 0, [data.as_slice()])))
        };
        Self(named.into_iter().filter_map(record).collect())
    }
}
