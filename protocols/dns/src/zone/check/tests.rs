use crate::zone::testing::{EXAMPLE, findings};

fn check(text: &str) -> Vec<String> {
    findings("t", &format!("$TTL 1\n@ SOA a. a. 1 1 1 1 1\n@ NS a.\n{text}"))
}

#[test]
fn the_example_is_without_mistakes() {
    assert_eq!(findings("example.test", EXAMPLE), Vec::<String>::new());
}

#[test]
fn the_apex() {
    assert_eq!(
        findings("t", "a 1 A 192.0.2.1"),
        ["the zone t. has no SOA record", "the zone t. has no NS record at its apex"]
    );
    assert_eq!(check("@ SOA a. a. 2 1 1 1 1"), ["4:3 the zone t. has a SOA record already"]);
    assert_eq!(check("x SOA a. a. 2 1 1 1 1"), ["4:3 a SOA record belongs to the apex, t., alone"]);
}

#[test]
fn out_of_zone() {
    assert_eq!(check("x.y. A 192.0.2.1"), ["4:6 x.y. is not in the zone t."]);
    assert_eq!(check("x.tt. A 192.0.2.1"), ["4:7 x.tt. is not in the zone t."]);
}

#[test]
fn aliases_stand_alone() {
    assert_eq!(check("x CNAME a.\nX A 192.0.2.1"), ["5:3 X.t. has a CNAME record and cannot have A records beside it"]);
    assert_eq!(check("x CNAME a.\nx CNAME b."), ["5:3 x.t. has a CNAME record and cannot have another beside it"]);
    assert_eq!(check("x CNAME a.\nx TYPE47 \\# 5 0161000000"), Vec::<String>::new());
}

#[test]
fn sets() {
    assert_eq!(check("x A 192.0.2.1\nx A 192.0.2.1"), ["?5:3 the same record stands here before"]);
    assert_eq!(
        check("x A 192.0.2.1\nx 2 A 192.0.2.2"),
        ["?5:5 the TTL 2 differs from 1 in the same set; all its records are sent with the lowest"]
    );
}

#[test]
fn delegations() {
    assert_eq!(
        check("s NS ns.s"),
        ["?4:3 glue is missing: no address of this name server, which is below the delegation s.t."]
    );
    assert_eq!(check("s NS ns.s\nns.s A 192.0.2.1"), Vec::<String>::new());
    assert_eq!(
        check("s NS a.\ns TXT x\nx.s MX 1 a."),
        [
            "?5:3 this record is never answered: s.t. is delegated",
            "?6:5 this record is never answered: s.t. is delegated",
        ]
    );
}

#[test]
fn redirections() {
    assert_eq!(check("x DNAME a.\nx DNAME b."), ["5:3 x.t. has a DNAME record already"]);
    assert_eq!(
        check("x DNAME a.\nx TXT y\ny.x TXT z"),
        ["?6:5 this record is never answered: x.t. has a DNAME record"]
    );
}

#[test]
fn targets() {
    assert_eq!(check("x MX 1 y\ny CNAME a."), ["?4:3 this MX record names an alias; it should name a host"]);
    assert_eq!(check("x SRV 1 1 1 y"), ["?4:3 what this SRV record names has no address in the zone"]);
    assert_eq!(check("x MX 1 y\n* A 192.0.2.1"), Vec::<String>::new());
    assert_eq!(check("x MX 0 ."), Vec::<String>::new());
}
