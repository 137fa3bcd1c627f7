//! The names of a zone, and the zones that are served: what is looked up for each query.
//!
//! Responsible for RFC 1034 §4.3.2 steps 2 and 3 as far as they find something: the zone, the node, the delegation or
//! the wildcard. Not for what is made of it: that is [`crate::answer`].
//!
//! A zone keeps its nodes in one array and finds them by a hash of the name in lower-case wire format, so that the
//! usual query costs two look-ups: one for the zone, one for the node. Names that only exist because something stands
//! below them (empty non-terminals, RFC 4592 §2.2.2) are nodes too, so the closest encloser is the first node found
//! while labels are taken off. What a node's ancestors mean for it is worked out when the zone is built.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::{CLASS_IN, Record, RecordSet, RecordType};
use crate::name::{LookupName, Name};

/// The names are the operator's, a query only asks for them, so the hash needs no secret.
type Index = HashMap<Box<[u8]>, usize, FixedState>;

/// A name in a zone.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// As it was written first.
    pub(crate) name: Name,
    sets: Vec<RecordSet>,
    /// The node above which hides it: that of a delegation, which may be itself, or of a DNAME record.
    cover: Option<usize>,
    /// The node of the wildcard directly below it.
    wildcard: Option<usize>,
}

impl Node {
    /// Its records of one type.
    pub(crate) fn set(&self, kind: RecordType) -> Option<&RecordSet> {
        self.sets.iter().find(|set| set.kind() == kind)
    }

    /// All its records.
    pub(crate) fn sets(&self) -> &[RecordSet] {
        &self.sets
    }
}

/// What stands for a name in a zone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'z> {
    /// The name's own node, or the wildcard that covers it (RFC 4592 §3.3.1).
    Node(&'z Node),
    /// A delegation: the name is it, or is below it.
    Delegation(&'z Node),
    /// A DNAME record above the name (RFC 6672 §2.3).
    Redirection(&'z Node),
    /// Nothing: the name does not exist.
    NameError,
}

/// A zone.
#[derive(Debug)]
pub(crate) struct Zone {
    apex: LookupName,
    nodes: Vec<Node>,
    index: Index,
    /// The most labels that one of its names has.
    deepest: usize,
    /// The SOA record with the TTL that negative answers have (RFC 2308 §3).
    negative: RecordSet,
    records: usize,
}

impl Zone {
    /// Builds a zone from records that have been checked. Nothing if there is no SOA record at the apex.
    pub(crate) fn build(apex: &Name, records: &[Record]) -> Option<Self> {
        let apex_name = apex.lookup();
        let mut builder = Builder { nodes: Vec::new(), index: Index::default(), apex: apex_name.clone(), deepest: 0 };
        builder.node(apex, &apex_name);
        let soa = records
            .iter()
            .find(|record| record.kind == RecordType::SOA && record.owner.lookup().as_wire() == apex_name.as_wire())?;
        let minimum = soa.data.last_chunk().map_or(0, |octets| u32::from_be_bytes(*octets));
        let negative = RecordSet::new(CLASS_IN, RecordType::SOA, soa.ttl.min(minimum), [soa.data.as_slice()]);
        builder.add(records);
        builder.connect();
        let Builder { nodes, index, deepest, .. } = builder;
        Some(Self { apex: apex_name, nodes, index, deepest, negative, records: records.len() })
    }

    /// Its name.
    pub(crate) fn apex(&self) -> &LookupName {
        &self.apex
    }

    /// The SOA record for negative answers, and the apex, which owns it.
    pub(crate) fn negative(&self) -> (&Name, &RecordSet) {
        // The apex is the first node; the fallback is never taken.
        static ROOT: std::sync::LazyLock<Name> = std::sync::LazyLock::new(Name::root);
        (self.nodes.first().map_or(&ROOT, |node| &node.name), &self.negative)
    }

    /// How many records it has.
    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// A node that a record set's `additional` names.
    pub(crate) fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)
    }

    /// Finds what stands for a name that is within this zone.
    pub(crate) fn find(&self, name: &LookupName, kind: RecordType) -> Found<'_> {
        let labels = name.labels();
        let mut taken = labels.min(self.deepest);
        let encloser = loop {
            match self.index.get(name.suffix(taken)).and_then(|index| self.nodes.get(*index)) {
                Some(node) => break node,
                None if taken == 0 => return Found::NameError,
                None => taken -= 1,
            }
        };
        let exact = taken == labels;
        if let Some(cover) = encloser.cover.and_then(|cover| self.nodes.get(cover)) {
            let itself = std::ptr::eq(cover, encloser);
            if !itself && cover.set(RecordType::DNAME).is_some() {
                return Found::Redirection(cover);
            }
            // The DS record stands on the parent's side of the cut (RFC 4035 §3.1.4.1).
            if exact && kind == RecordType::DS && itself {
                return Found::Node(encloser);
            }
            return Found::Delegation(cover);
        }
        if exact {
            return Found::Node(encloser);
        }
        if encloser.set(RecordType::DNAME).is_some() {
            return Found::Redirection(encloser);
        }
        match encloser.wildcard.and_then(|wildcard| self.nodes.get(wildcard)) {
            Some(wildcard) => Found::Node(wildcard),
            None => Found::NameError,
        }
    }
}

/// A zone that is being built.
struct Builder {
    nodes: Vec<Node>,
    index: Index,
    apex: LookupName,
    deepest: usize,
}

impl Builder {
    /// The node of a name, made if there is none.
    fn node(&mut self, name: &Name, lookup: &LookupName) -> usize {
        if let Some(index) = self.index.get(lookup.as_wire()) {
            return *index;
        }
        let index = self.nodes.len();
        self.nodes.push(Node { name: name.clone(), sets: Vec::new(), cover: None, wildcard: None });
        self.index.insert(lookup.as_wire().into(), index);
        self.deepest = self.deepest.max(lookup.labels());
        index
    }

    fn add(&mut self, records: &[Record]) {
        let mut groups: HashMap<(usize, RecordType), Vec<&Record>, FixedState> = HashMap::default();
        let mut order = Vec::new();
        for record in records {
            let lookup = record.owner.lookup();
            if !lookup.is_within(&self.apex) {
                continue;
            }
            for labels in self.apex.labels() + 1..lookup.labels() {
                if let Some(ancestor) = record.owner.suffix(labels) {
                    let lookup = ancestor.lookup();
                    self.node(&ancestor, &lookup);
                }
            }
            let key = (self.node(&record.owner, &lookup), record.kind);
            let group = groups.entry(key).or_default();
            if group.is_empty() {
                order.push(key);
            }
            // RFC 2181 §5: a set has no duplicates.
            if !group.iter().any(|other| other.data == record.data) {
                group.push(record);
            }
        }
        for key in order {
            let group = groups.remove(&key).unwrap_or_default();
            // RFC 2181 §5.2: all records of a set have one TTL; the shortest harms nobody.
            let ttl = group.iter().map(|record| record.ttl).min().unwrap_or(0);
            let set = RecordSet::new(CLASS_IN, key.1, ttl, group.iter().map(|record| record.data.as_slice()));
            if let Some(node) = self.nodes.get_mut(key.0) {
                node.sets.push(set);
            }
        }
    }

    /// Works out what the nodes mean for each other.
    fn connect(&mut self) {
        for index in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(index) else { continue };
            let name = node.name.lookup();
            let apex = self.apex.labels();
            let cover = (apex..=name.labels())
                .filter_map(|labels| self.index.get(name.suffix(labels)).map(|above| (labels, *above)))
                .find(|(labels, above)| {
                    let has = |kind| self.nodes.get(*above).is_some_and(|node| node.set(kind).is_some());
                    *labels > apex && has(RecordType::NS) || *above != index && has(RecordType::DNAME)
                })
                .map(|(_, above)| above);
            let mut wildcard_wire = b"\x01*".to_vec();
            wildcard_wire.extend_from_slice(name.as_wire());
            let wildcard = self.index.get(wildcard_wire.as_slice()).copied();
            let additional: Vec<Box<[usize]>> = node.sets.iter().map(|set| self.additional(set)).collect();
            if let Some(node) = self.nodes.get_mut(index) {
                node.cover = cover;
                node.wildcard = wildcard;
                for (set, additional) in node.sets.iter_mut().zip(additional) {
                    set.additional = additional;
                }
            }
        }
    }

    /// The nodes with addresses that the data of a set name.
    fn additional(&self, set: &RecordSet) -> Box<[usize]> {
        let Some(before) = set.kind().additional() else { return Box::default() };
        set.records()
            .filter_map(|record| LookupName::read(record.data.get(before..)?).ok())
            .filter_map(|target| self.index.get(target.as_wire()).copied())
            .filter(|target| self.nodes.get(*target).is_some_and(has_addresses))
            .collect()
    }
}

fn has_addresses(node: &Node) -> bool {
    node.set(RecordType::A).is_some() || node.set(RecordType::AAAA).is_some()
}

/// The zones that are served.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    zones: HashMap<Box<[u8]>, Zone, FixedState>,
    /// The most labels that one of their apexes has.
    deepest: usize,
}

impl Zones {
    /// Adds a zone.
    pub(crate) fn insert(&mut self, zone: Zone) {
        self.deepest = self.deepest.max(zone.apex.labels());
        self.zones.insert(zone.apex.as_wire().into(), zone);
    }

    /// The nearest zone to a name (RFC 1034 §4.3.2 step 2); for a DS record, that of the parent (RFC 4035 §3.1.4.1),
    /// if it is served too.
    pub(crate) fn find(&self, name: &LookupName, kind: RecordType) -> Option<&Zone> {
        let mut child = None;
        for labels in (0..=name.labels().min(self.deepest)).rev() {
            let Some(zone) = self.zones.get(name.suffix(labels)) else { continue };
            if kind != RecordType::DS || labels < name.labels() {
                return Some(zone);
            }
            child = Some(zone);
        }
        child
    }
}

#[cfg(test)]
mod tests;
