use super::*;
use crate::zone::testing::{EXAMPLE, apex, zone, zones};

fn find(name: &str, kind: RecordType) -> String {
    let zone = zone("example.test", EXAMPLE);
    match zone.find(&apex(name).lookup(), kind) {
        Found::Node(node) => format!("node {}", node.name),
        Found::Delegation(cut) => format!("cut {}", cut.name),
        Found::Redirection(above) => format!("dname {}", above.name),
        Found::NameError => "no such name".to_owned(),
    }
}

#[test]
fn nodes_and_wildcards() {
    assert_eq!(find("example.test.", RecordType::A), "node example.test.");
    assert_eq!(find("WWW.example.test.", RecordType::A), "node www.example.test.");
    assert_eq!(find("nothing.example.test.", RecordType::A), "no such name");
    assert_eq!(find("x.www.example.test.", RecordType::A), "no such name");
    assert_eq!(find("b.c.example.test.", RecordType::A), "node b.c.example.test.");
    assert_eq!(find("any.wild.example.test.", RecordType::A), "node *.wild.example.test.");
    assert_eq!(find("any.other.wild.example.test.", RecordType::A), "node *.wild.example.test.");
    // RFC 4592 §2.2.1: a name that exists, if only as an empty non-terminal, is not covered.
    assert_eq!(find("ent.wild.example.test.", RecordType::A), "node ent.wild.example.test.");
    assert_eq!(find("y.ent.wild.example.test.", RecordType::A), "no such name");
    assert_eq!(find("y.there.wild.example.test.", RecordType::A), "no such name");
    assert_eq!(find("*.wild.example.test.", RecordType::A), "node *.wild.example.test.");
}

#[test]
fn delegations() {
    for name in ["sub.example.test.", "host.sub.example.test.", "a.b.sub.example.test."] {
        assert_eq!(find(name, RecordType::A), "cut sub.example.test.", "{name}");
    }
    assert_eq!(find("sub.example.test.", RecordType::DS), "node sub.example.test.");
    assert_eq!(find("host.sub.example.test.", RecordType::DS), "cut sub.example.test.");
}

#[test]
fn the_nearest_zone() {
    let minimal = "@ 1 SOA . . 1 1 1 1 1\n@ 1 NS a.\n";
    let zones = zones(&[("test", minimal), ("example.test", minimal)]);
    let find = |name: &str, kind| zones.find(&apex(name).lookup(), kind).map(|zone| format!("{:?}", zone.apex()));
    let (parent, child) = (Some("Name(test.)".to_owned()), Some("Name(example.test.)".to_owned()));
    assert_eq!(find("a.example.test.", RecordType::A), child);
    assert_eq!(find("example.test.", RecordType::A), child);
    assert_eq!(find("example.test.", RecordType::DS), parent);
    assert_eq!(find("a.example.test.", RecordType::DS), child);
    assert_eq!(find("test.", RecordType::DS), parent);
    assert_eq!(find("anexample.test.", RecordType::A), parent);
    assert_eq!(find("example.", RecordType::A), None);
    assert_eq!(find(".", RecordType::A), None);
}

#[test]
fn a_set_has_no_duplicates_and_one_ttl() {
    let zone = zone("t", "@ 1 SOA . . 1 1 1 1 1\n@ 1 NS a.\nb 7 A 192.0.2.1\nB 5 A 192.0.2.2\nb 9 A 192.0.2.1");
    let Found::Node(node) = zone.find(&apex("b.t.").lookup(), RecordType::A) else { panic!("no node") };
    let set = node.set(RecordType::A).unwrap();
    assert_eq!(set.count(), 2);
    assert!(set.records().all(|record| record.head.ends_with(&[0, 0, 0, 5])));
}
