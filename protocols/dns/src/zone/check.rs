//! Whether records make a zone together.
//!
//! Responsible for the rules that no single record can break: one SOA record, name servers at the apex, CNAME records
//! alone, nothing out of the zone, glue where a delegation needs it.

use std::collections::BTreeMap;

use super::tree::{Found, Zone};
use super::{Finding, Record, RecordType};
use crate::name::{LookupName, Name};

/// Types that may stand beside a CNAME record (RFC 4035 §2.5): RRSIG, NSEC.
const BESIDE_CNAME: [RecordType; 2] = [RecordType(46), RecordType(47)];

/// The records of each owner, by its name in lower-case wire format.
type Owners<'r> = BTreeMap<Box<[u8]>, Vec<&'r Record>>;

/// Everything that is wrong, or doubtful, with a zone.
pub(crate) fn check(apex: &Name, records: &[Record], zone: Option<&Zone>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut owners = Owners::new();
    let apex_name = apex.lookup();
    for record in records {
        let name = record.owner.lookup();
        if name.is_within(&apex_name) {
            owners.entry(name.as_wire().into()).or_default().push(record);
        } else {
            findings.push(Finding::error(record.place, format!("{} is not in the zone {apex}", record.owner)));
        }
        if record.kind == RecordType::SOA && name.as_wire() != apex_name.as_wire() {
            findings.push(Finding::error(record.place, format!("a SOA record belongs to the apex, {apex}, alone")));
        }
    }
    check_apex(apex, owners.get(apex_name.as_wire()).map_or(&[], Vec::as_slice), &mut findings);
    for records in owners.values() {
        check_owner(records, &mut findings);
    }
    if let Some(zone) = zone {
        for record in records.iter().filter(|record| record.owner.lookup().is_within(&apex_name)) {
            check_occlusion(record, zone, &mut findings);
            check_target(record, zone, &owners, &mut findings);
        }
    }
    findings.sort_by_key(|finding| finding.place);
    findings
}

/// RFC 1035 §5.2: exactly one SOA record; RFC 1034 §4.2.1: the zone's own name servers.
fn check_apex(apex: &Name, records: &[&Record], findings: &mut Vec<Finding>) {
    let mut soas = records.iter().filter(|record| record.kind == RecordType::SOA);
    if soas.next().is_none() {
        findings.push(Finding::error(None, format!("the zone {apex} has no SOA record")));
    }
    for soa in soas {
        findings.push(Finding::error(soa.place, format!("the zone {apex} has a SOA record already")));
    }
    if !records.iter().any(|record| record.kind == RecordType::NS) {
        findings.push(Finding::error(None, format!("the zone {apex} has no NS record at its apex")));
    }
}

/// The rules for records of one owner.
fn check_owner(records: &[&Record], findings: &mut Vec<Finding>) {
    if let Some(cname) = records.iter().find(|record| record.kind == RecordType::CNAME) {
        for record in records {
            // RFC 1034 §3.6.2; RFC 2181 §10.1 for several CNAME records.
            let another = record.kind == RecordType::CNAME && record.data != cname.data;
            if another || (record.kind != RecordType::CNAME && !BESIDE_CNAME.contains(&record.kind)) {
                let message = format!(
                    "{} has a CNAME record and cannot have {} beside it",
                    record.owner,
                    if another { "another".to_owned() } else { format!("{} records", record.kind.name()) }
                );
                findings.push(Finding::error(record.place, message));
            }
        }
    }
    if let Some(dname) = records.iter().find(|record| record.kind == RecordType::DNAME) {
        for record in records {
            // RFC 6672 §2.4.
            if record.kind == RecordType::DNAME && record.data != dname.data {
                findings.push(Finding::error(record.place, format!("{} has a DNAME record already", record.owner)));
            }
        }
    }
    let mut firsts: BTreeMap<RecordType, &Record> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for record in records {
        if !seen.insert((record.kind, &record.data)) {
            findings.push(Finding::warning(record.place, "the same record stands here before"));
        }
        let first = firsts.entry(record.kind).or_insert(record);
        if first.ttl != record.ttl {
            let message = format!(
                "the TTL {} differs from {} in the same set; all its records are sent with the lowest",
                record.ttl, first.ttl
            );
            findings.push(Finding::warning(record.place, message));
        }
    }
}

/// What stands below a delegation is not the zone's any more, but for glue (RFC 1034 §4.2.1).
fn check_occlusion(record: &Record, zone: &Zone, findings: &mut Vec<Finding>) {
    let name = record.owner.lookup();
    // Any type but DS, which would be looked for above the cut.
    let cut = match zone.find(&name, RecordType::NS) {
        Found::Delegation(cut) => cut,
        Found::Redirection(above) => {
            let message = format!("this record is never answered: {} has a DNAME record", above.name);
            return findings.push(Finding::warning(record.place, message));
        }
        Found::Node(_) | Found::NameError => return,
    };
    let at_cut = cut.name.lookup().as_wire() == name.as_wire();
    let belongs = match record.kind {
        RecordType::A | RecordType::AAAA => true,
        RecordType::NS | RecordType::DS => at_cut,
        _ => false,
    };
    if !belongs {
        let message = format!("this record is never answered: {} is delegated", cut.name);
        findings.push(Finding::warning(record.place, message));
    }
}

/// What NS, MX and SRV records name must have addresses, and not by an alias (RFC 2181 §10.3, RFC 2782).
fn check_target(record: &Record, zone: &Zone, owners: &Owners<'_>, findings: &mut Vec<Finding>) {
    if !matches!(record.kind, RecordType::NS | RecordType::MX | RecordType::SRV) {
        return;
    }
    let Some(data) = record.kind.additional().and_then(|before| record.data.get(before..)) else { return };
    // The root stands for "no such service" (RFC 7505, RFC 2782).
    let Ok(target) = LookupName::read(data) else { return };
    if target.labels() == 0 || !target.is_within(zone.apex()) {
        return;
    }
    let is_address = |kind| kind == RecordType::A || kind == RecordType::AAAA;
    let kind = record.kind.name();
    let message = match zone.find(&target, RecordType::A) {
        Found::Node(node) if node.set(RecordType::CNAME).is_some() => {
            format!("this {kind} record names an alias; it should name a host")
        }
        Found::Node(node) if node.sets().iter().any(|set| is_address(set.kind())) => return,
        Found::Redirection(_) => format!("this {kind} record names an alias; it should name a host"),
        Found::Node(_) | Found::NameError => format!("what this {kind} record names has no address in the zone"),
        Found::Delegation(cut) => {
            let glue = owners.get(target.as_wire()).is_some_and(|set| set.iter().any(|other| is_address(other.kind)));
            // RFC 9471: only a delegation to a name below itself cannot be followed without glue.
            if glue || record.kind != RecordType::NS {
                return;
            }
            format!("glue is missing: no address of this name server, which is below the delegation {}", cut.name)
        }
    };
    findings.push(Finding::warning(record.place, message));
}

#[cfg(test)]
mod tests;
