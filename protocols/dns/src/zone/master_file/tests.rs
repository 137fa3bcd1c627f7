use proptest::prelude::*;

use crate::zone::testing::{findings, read};
use crate::zone::{Record, RecordType};

fn records(text: &str) -> Vec<String> {
    let (records, findings) = read("t", text.as_bytes());
    assert_eq!(findings, []);
    records.iter().map(|record| format!("{} {} {}", record.owner, record.ttl, record.kind.name())).collect()
}

fn errors(text: &str) -> Vec<String> {
    let zone = "@ 1 SOA . . 1 1 1 1 1\n@ 1 NS a.\n";
    findings("t", &format!("{zone}{text}"))
}

#[test]
fn ttl_and_class_in_either_order() {
    let text = "a 60 IN A 192.0.2.1\na IN 60 A 192.0.2.1\na 1m A 192.0.2.1\na 60 class1 a 192.0.2.1";
    assert_eq!(records(text), ["a.t. 60 A"; 4]);
}

#[test]
fn what_an_entry_leaves_out() {
    assert_eq!(
        records("a 5 A 192.0.2.1\n  AAAA ::1\n\n ; nothing\n\t7 IN TXT x\n TXT y"),
        ["a.t. 5 A", "a.t. 5 AAAA", "a.t. 7 TXT", "a.t. 7 TXT"]
    );
    assert_eq!(
        records("$TTL 1h\na A 192.0.2.1\na 5 A 192.0.2.1\na A 192.0.2.1"),
        ["a.t. 3600 A", "a.t. 5 A", "a.t. 3600 A"]
    );
    assert_eq!(records("@ SOA . . 1 2 3 4 9"), ["t. 9 SOA"]);
}

#[test]
fn origins() {
    let text = "$TTL 1\n$ORIGIN x\na TXT x\n$ORIGIN y.\na TXT x\n@ TXT x\nb. TXT x";
    assert_eq!(records(text), ["a.x.t. 1 TXT", "a.y. 1 TXT", "y. 1 TXT", "b. 1 TXT"]);
}

#[test]
fn an_owner_that_looks_like_something_else() {
    assert_eq!(
        records("$TTL 1\nIN TXT x\nA A 192.0.2.1\n60 TXT x\n\\$ TXT x"),
        ["IN.t. 1 TXT", "A.t. 1 A", "60.t. 1 TXT", "\\$.t. 1 TXT"]
    );
}

#[test]
fn includes_leave_origin_and_owner_alone() {
    let text = "a 1 TXT x\n$INCLUDE hosts in.t.\n TXT y\nb TXT z";
    assert_eq!(records(text), ["a.t. 1 TXT", "host.deeper.in.t. 60 A", "a.t. 60 TXT", "b.t. 60 TXT"]);
    assert_eq!(errors("$INCLUDE loop"), ["1:10 $INCLUDE goes deeper than 8 files"]);
    assert_eq!(errors("$INCLUDE /etc/passwd"), ["3:10 /etc/passwd cannot be read"]);
}

#[test]
fn generated_entries() {
    let text = "$TTL 1\n$GENERATE 1-3/2 h${0,2} 60 A 192.0.2.$\n$GENERATE 9-9 $ IN PTR h$";
    assert_eq!(records(text), ["h01.t. 60 A", "h03.t. 60 A", "9.t. 1 PTR"]);
    assert_eq!(errors("$GENERATE 250-300 h$ A 192.0.2.$"), ["3:24 \"192.0.2.256\" is not an IPv4 address"]);
    assert_eq!(errors("$GENERATE 3-1 h$ A 192.0.2.$"), ["3:11 a range goes upwards"]);
    assert_eq!(errors("$GENERATE 1-3 h$ A"), ["3:1 this is written $GENERATE RANGE OWNER [TTL] [CLASS] TYPE DATA"]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "\
x 1 A 192.0.2.300
 1 HS A 192.0.2.1
y 1 MXX 10 a
z 1
$TTL x
$FOO
\"$q\" 1 A 192.0.2.1 )
w 9999999999 A 192.0.2.1
$ORIGIN
v 1 ANY x
u 1 TYPE41 \\# 0
..t 1 A 192.0.2.1
 1 A 192.0.2.1
good 1 A 192.0.2.1";
    assert_eq!(
        errors(text),
        [
            "3:7 \"192.0.2.300\" is not an IPv4 address",
            "4:4 class \"HS\" is not served, only IN is",
            "5:5 \"MXX\" is not a record type",
            "6:3 the type is missing after this",
            "7:6 \"x\" is not a TTL, such as 3600 or 1h30m, up to 2147483647 seconds",
            "8:1 \"$FOO\" is no directive; $ORIGIN, $TTL, $INCLUDE and $GENERATE are known",
            "9:20 nothing is open that this ) could close",
            "10:3 \"9999999999\" is not a TTL, such as 3600 or 1h30m, up to 2147483647 seconds",
            "11:1 this is written $ORIGIN NAME",
            "12:5 \"ANY\" cannot stand in a zone",
            "13:5 \"TYPE41\" cannot stand in a zone",
            "14:1 \"..t\": a label must not be empty",
            "15:2 no owner stands before this entry",
        ]
    );
}

#[test]
fn a_missing_ttl_is_told() {
    assert_eq!(
        findings("t", "a A 192.0.2.1").first().unwrap(),
        "1:3 no TTL stands here, and no $TTL or earlier TTL before it"
    );
}

#[test]
fn mistakes_are_bounded() {
    assert_eq!(read("t", "x\n".repeat(1000).as_bytes()).1.len(), 51);
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read("t", &text);
    }

    #[test]
    fn arbitrary_words_never_panic(words in prop::collection::vec(
        prop::sample::select(vec![
            "a", "@", ".", "1", "3600", "1h", "IN", "A", "MX", "SOA", "TXT", "HTTPS", "CERT", "CSYNC", "NAPTR", "CAA",
            "\\#", "\\", "\"", "(", ")", ";", "\n", " ", "\n ", "$TTL", "$ORIGIN", "$INCLUDE", "$GENERATE", "1-3", "${0,3,d}",
            "hosts", "loop", "192.0.2.1", "::", "\\300", "alpn=h2", "4", "c0000201", "TYPE1", "TYPE64",
        ]), 0..60)) {
        let (records, _): (Vec<Record>, _) = read("t", words.join(" ").as_bytes());
        prop_assert!(records.iter().all(|record| record.kind != RecordType::OPT));
    }
}
