use hickory_proto::rr::RecordType as HickoryType;

use super::*;
use crate::server::testing::{ask, ask_of, ask_query, query, sources};
use crate::sources::About;
use crate::zone::Zones;

/// What is answered, as lines: the code and AA, then each record with its section.
fn dig(name: &str, kind: HickoryType) -> Vec<String> {
    ask(name, kind)
}

use HickoryType::{A, AAAA, ANY, CNAME, DS, MX, NS, PTR, SOA, SRV, TXT};

#[test]
fn the_records_asked_for() {
    assert_eq!(
        dig("www.example.test.", A),
        ["NOERROR aa", "AN www.example.test. 300 IN A 192.0.2.80", "AN www.example.test. 300 IN A 192.0.2.81",]
    );
}

#[test]
fn names_match_in_any_case_and_keep_that_of_the_question() {
    assert_eq!(dig("WwW.eXample.TEST.", AAAA), ["NOERROR aa", "AN WwW.eXample.TEST. 300 IN AAAA 2001:db8::80"]);
}

const NEGATIVE: &str = "NS example.test. 600 IN SOA ns1.example.test. hostmaster.example.test. 1 7200 1800 1209600 600";

#[test]
fn what_does_not_exist() {
    assert_eq!(dig("nothing.example.test.", A), ["NXDOMAIN aa", NEGATIVE]);
    assert_eq!(dig("below.www.example.test.", A), ["NXDOMAIN aa", NEGATIVE]);
    assert_eq!(dig("www.example.test.", MX), ["NOERROR aa", NEGATIVE]);
    // RFC 8020: an empty non-terminal exists.
    assert_eq!(dig("b.c.example.test.", A), ["NOERROR aa", NEGATIVE]);
}

#[test]
fn a_positive_soa_has_its_own_ttl() {
    assert_eq!(
        dig("example.test.", SOA),
        ["NOERROR aa".to_owned(), NEGATIVE.replace("NS example.test. 600", "AN example.test. 3600")]
    );
}

#[test]
fn other_names_are_refused() {
    for name in ["elsewhere.test.", ".", "test.", "notexample.test."] {
        assert_eq!(dig(name, A), ["REFUSED"], "{name}");
    }
    for kind in [HickoryType::AXFR, HickoryType::IXFR] {
        assert_eq!(dig("example.test.", kind), ["REFUSED"]);
    }
}

#[test]
fn aliases_are_followed_within_the_zone() {
    assert_eq!(
        dig("alias2.example.test.", AAAA),
        [
            "NOERROR aa",
            "AN alias2.example.test. 3600 IN CNAME alias.example.test.",
            "AN alias.example.test. 3600 IN CNAME www.example.test.",
            "AN www.example.test. 300 IN AAAA 2001:db8::80",
        ]
    );
    assert_eq!(
        dig("alias.example.test.", CNAME),
        ["NOERROR aa", "AN alias.example.test. 3600 IN CNAME www.example.test."]
    );
    assert_eq!(
        dig("outside.example.test.", A),
        ["NOERROR aa", "AN outside.example.test. 3600 IN CNAME www.elsewhere.test."]
    );
}

#[test]
fn an_alias_to_nothing_is_a_name_error() {
    assert_eq!(
        dig("dangling.example.test.", A),
        ["NXDOMAIN aa", "AN dangling.example.test. 3600 IN CNAME nothing.example.test.", NEGATIVE,]
    );
    assert_eq!(dig("alias.example.test.", TXT).last().unwrap(), NEGATIVE);
}

#[test]
fn a_loop_of_aliases_ends() {
    assert_eq!(
        dig("loop1.example.test.", A),
        [
            "NOERROR aa",
            "AN loop1.example.test. 3600 IN CNAME loop2.example.test.",
            "AN loop2.example.test. 3600 IN CNAME loop1.example.test.",
        ]
    );
}

#[test]
fn a_long_chain_of_aliases_ends() {
    let mut text = "$TTL 1\n@ SOA . . 1 1 1 1 1\n@ NS a.\n".to_owned();
    for index in 0..40 {
        text.push_str(&format!("c{index} CNAME c{}\n", index + 1));
    }
    let lines = ask_of(&sources(&[("t", &text)]), "c0.t.", A);
    assert_eq!(lines.len(), 1 + MAXIMUM_ALIASES);
}

#[test]
fn wildcards() {
    assert_eq!(dig("a.b.wild.example.test.", TXT), ["NOERROR aa", "AN a.b.wild.example.test. 3600 IN TXT \"wild\""]);
    assert_eq!(dig("x.wild.example.test.", A), ["NOERROR aa", NEGATIVE]);
    assert_eq!(dig("there.wild.example.test.", TXT), ["NOERROR aa", NEGATIVE]);
    assert_eq!(dig("y.there.wild.example.test.", TXT), ["NXDOMAIN aa", NEGATIVE]);
    assert_eq!(dig("ent.wild.example.test.", TXT), ["NOERROR aa", NEGATIVE]);
    assert_eq!(
        dig("walias.example.test.", TXT),
        [
            "NOERROR aa",
            "AN walias.example.test. 3600 IN CNAME some.wild.example.test.",
            "AN some.wild.example.test. 3600 IN TXT \"wild\"",
        ]
    );
    assert_eq!(
        dig("x.cwild.example.test.", AAAA),
        [
            "NOERROR aa",
            "AN x.cwild.example.test. 3600 IN CNAME www.example.test.",
            "AN www.example.test. 300 IN AAAA 2001:db8::80",
        ]
    );
}

#[test]
fn referrals() {
    let referral = [
        "NS sub.example.test. 3600 IN NS ns.sub.example.test.",
        "NS sub.example.test. 3600 IN NS ns1.example.test.",
        "AR ns.sub.example.test. 3600 IN A 192.0.2.100",
        "AR ns.sub.example.test. 3600 IN AAAA 2001:db8::100",
        "AR ns1.example.test. 3600 IN A 192.0.2.53",
        "AR ns1.example.test. 3600 IN AAAA 2001:db8::53",
    ];
    for name in ["sub.example.test.", "host.sub.example.test.", "x.y.sub.example.test.", "ns.sub.example.test."] {
        let lines = dig(name, A);
        assert_eq!(lines.first().unwrap(), "NOERROR", "{name}");
        assert_eq!(lines.get(1..).unwrap(), referral, "{name}");
    }
    assert_eq!(dig("sub.example.test.", DS), ["NOERROR aa", "AN sub.example.test. 3600 IN DS 1 8 2 ABCD"]);
    let lines = dig("into.example.test.", A);
    assert_eq!(lines.get(..2).unwrap(), ["NOERROR aa", "AN into.example.test. 3600 IN CNAME host.sub.example.test."]);
    assert_eq!(lines.get(2..).unwrap(), referral);
}

#[test]
fn addresses_of_what_is_named() {
    assert_eq!(
        dig("example.test.", MX),
        [
            "NOERROR aa",
            "AN example.test. 3600 IN MX 10 mail.example.test.",
            "AN example.test. 3600 IN MX 20 mail2.elsewhere.test.",
            "AR mail.example.test. 3600 IN A 192.0.2.25",
        ]
    );
    assert_eq!(
        dig("_sip._tcp.example.test.", SRV),
        [
            "NOERROR aa",
            "AN _sip._tcp.example.test. 3600 IN SRV 1 2 5060 www.example.test.",
            "AR www.example.test. 300 IN A 192.0.2.80",
            "AR www.example.test. 300 IN A 192.0.2.81",
            "AR www.example.test. 300 IN AAAA 2001:db8::80",
        ]
    );
    assert_eq!(dig("example.test.", NS).len(), 5);
}

#[test]
fn redirections() {
    assert_eq!(
        dig("www.old.example.test.", A),
        [
            "NOERROR aa",
            "AN old.example.test. 3600 IN DNAME new.example.test.",
            "AN www.old.example.test. 3600 IN CNAME www.new.example.test.",
            "AN www.new.example.test. 3600 IN A 192.0.2.6",
        ]
    );
    assert_eq!(dig("old.example.test.", TXT), ["NOERROR aa", "AN old.example.test. 3600 IN TXT \"moved\""]);
    assert_eq!(dig("old.example.test.", A), ["NOERROR aa", NEGATIVE]);
    assert_eq!(dig("x.y.old.example.test.", A).first().unwrap(), "NXDOMAIN aa");
    assert_eq!(
        dig("x.far.example.test.", A),
        [
            "NOERROR aa",
            "AN far.example.test. 3600 IN DNAME elsewhere.than.here.test.",
            "AN x.far.example.test. 3600 IN CNAME x.elsewhere.than.here.test.",
        ]
    );
    let long = format!("{0}.{0}.{0}.{1}.far.example.test.", "a".repeat(60), "b".repeat(53));
    assert_eq!(dig(&long, A), ["YXDOMAIN aa", "AN far.example.test. 3600 IN DNAME elsewhere.than.here.test."]);
}

#[test]
fn a_redirection_to_itself_ends() {
    let sources = sources(&[("t", "$TTL 1\n@ SOA . . 1 1 1 1 1\n@ NS a.\nd DNAME x.d\n")]);
    assert_eq!(
        ask_of(&sources, "y.d.t.", A),
        ["NOERROR aa", "AN d.t. 1 IN DNAME x.d.t.", "AN y.d.t. 1 IN CNAME y.x.d.t."]
    );
    let apex = zone_of_all();
    assert_eq!(ask_of(&apex, "y.t.", A).get(1..).unwrap(), ["AN t. 1 IN DNAME u.", "AN y.t. 1 IN CNAME y.u."]);
    assert_eq!(ask_of(&apex, "t.", NS).get(1..).unwrap(), ["AN t. 1 IN NS a."]);
}

/// A zone that is redirected as a whole.
fn zone_of_all() -> Sources {
    sources(&[("t", "$TTL 1\n@ SOA . . 1 1 1 1 1\n@ NS a.\n@ DNAME u.\n")])
}

#[test]
fn any_is_answered_with_one_set() {
    assert_eq!(dig("www.example.test.", ANY).len(), 3);
    assert_eq!(
        dig("alias.example.test.", ANY),
        ["NOERROR aa", "AN alias.example.test. 3600 IN CNAME www.example.test."]
    );
    assert_eq!(dig("b.c.example.test.", ANY), ["NOERROR aa", NEGATIVE]);
}

#[test]
fn the_root_can_be_served() {
    let sources = sources(&[(
        ".",
        "$TTL 1\n. SOA . . 1 1 1 1 1\n. NS a.\na. A 192.0.2.1\ntest. NS ns.test.\nns.test. A 192.0.2.2",
    )]);
    assert_eq!(ask_of(&sources, "a.", A), ["NOERROR aa", "AN a. 1 IN A 192.0.2.1"]);
    assert_eq!(ask_of(&sources, "b.", A).first().unwrap(), "NXDOMAIN aa");
    assert_eq!(ask_of(&sources, "x.test.", A).len(), 3);
    assert_eq!(ask_of(&sources, ".", PTR).first().unwrap(), "NOERROR aa");
}

#[test]
fn what_the_server_tells_about_itself() {
    let chaos = |sources: &Sources, name: &str, kind| {
        let mut query = query(name, kind);
        query.queries[0].set_query_class(hickory_proto::rr::DNSClass::CH);
        ask_query(sources, &query)
    };
    let open = Sources::new(Zones::default(), About::new(Some("tapster"), Some("lab 1")), &[]);
    assert_eq!(chaos(&open, "VERSION.bind.", TXT), ["NOERROR aa", "AN VERSION.bind. 0 CH TXT \"tapster\""]);
    assert_eq!(chaos(&open, "id.server.", TXT), ["NOERROR aa", "AN id.server. 0 CH TXT \"lab 1\""]);
    assert_eq!(chaos(&open, "id.server.", A), ["NOERROR aa"]);
    assert_eq!(chaos(&open, "authors.bind.", TXT), ["REFUSED"]);
    assert_eq!(chaos(&Sources::default(), "version.bind.", TXT), ["REFUSED"]);
    assert_eq!(ask_of(&open, "version.bind.", TXT), ["REFUSED"]);
}

#[test]
fn every_other_name_can_be_caught() {
    let zones = crate::zone::testing::zones(&[("t", "$TTL 1\n@ SOA . . 1 1 1 1 1\n@ NS a.\n")]);
    let addresses = ["192.0.2.9", "192.0.2.10"].map(|address| address.parse().unwrap());
    let sources = Sources::new(zones, About::default(), &addresses);
    assert_eq!(
        ask_of(&sources, "any.where.", A),
        ["NOERROR aa", "AN any.where. 60 IN A 192.0.2.9", "AN any.where. 60 IN A 192.0.2.10"]
    );
    assert_eq!(ask_of(&sources, "any.where.", AAAA), ["NOERROR aa"]);
    assert_eq!(ask_of(&sources, ".", MX), ["NOERROR aa"]);
    assert_eq!(ask_of(&sources, "any.where.", ANY).len(), 3);
    assert_eq!(ask_of(&sources, "x.t.", A).first().unwrap(), "NXDOMAIN aa");
}
