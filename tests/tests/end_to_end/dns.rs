//! Names, asked for by dig.

use std::time::Duration;

use tapster_tests::lab::{ADDRESS, Lab, Program};

/// What dig saw.
struct Answer {
    text: String,
}

impl Answer {
    fn to(dig: Program) -> Self {
        Self { text: dig.output().success().stdout() }
    }

    fn status(&self) -> &str {
        let (_, rest) = self.text.split_once("status: ").unwrap_or_else(|| panic!("no answer\n{}", self.text));
        rest.split(',').next().unwrap_or_default()
    }

    fn has_flag(&self, flag: &str) -> bool {
        let (_, rest) = self.text.split_once("flags: ").unwrap_or_else(|| panic!("no answer\n{}", self.text));
        rest.split(';').next().unwrap_or_default().split(' ').any(|found| found == flag)
    }

    /// The records of a section, with one space between their fields.
    fn section(&self, name: &str) -> Vec<String> {
        let start = format!(";; {name} SECTION:");
        let lines = self.text.lines().skip_while(|line| *line != start).skip(1);
        let records = lines.take_while(|line| !line.is_empty());
        records.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[track_caller]
    fn is(&self, records: &[&str]) {
        assert_eq!(self.status(), "NOERROR", "{}", self.text);
        assert!(self.has_flag("aa"), "the answer is not authoritative\n{}", self.text);
        assert_eq!(self.section("ANSWER"), records, "{}", self.text);
    }

    #[track_caller]
    fn is_nothing(&self, status: &str) {
        assert_eq!(self.status(), status, "{}", self.text);
        assert!(self.section("ANSWER").is_empty(), "{}", self.text);
        let authority = self.section("AUTHORITY");
        // RFC 2308 §3: the negative answer lives as long as the SOA's TTL and MINIMUM allow.
        let soa = "example.test. 60 IN SOA ns.example.test. hostmaster.example.test. 1 3600 600 604800 60";
        assert_eq!(authority, [soa], "{}", self.text);
    }
}

#[test]
fn records_of_each_type_are_answered() {
    let lab = Lab::start();
    let ask = |name: &str, kind: &str| Answer::to(lab.dig().args([name, kind]));
    ask("www.example.test", "A").is(&["www.example.test. 300 IN A 192.0.2.2"]);
    ask("example.test", "MX").is(&["example.test. 300 IN MX 10 mail.example.test."]);
    ask("example.test", "TXT").is(&["example.test. 300 IN TXT \"v=spf1 mx -all\""]);
    ask("_http._tcp.example.test", "SRV").is(&["_http._tcp.example.test. 300 IN SRV 0 5 80 www.example.test."]);
    ask("alias.example.test", "A")
        .is(&["alias.example.test. 300 IN CNAME www.example.test.", "www.example.test. 300 IN A 192.0.2.2"]);
}

#[test]
fn a_name_keeps_the_case_it_was_asked_in() {
    let lab = Lab::start();
    Answer::to(lab.dig().args(["wWw.eXample.teST", "A"])).is(&["wWw.eXample.teST. 300 IN A 192.0.2.2"]);
}

#[test]
fn what_is_not_there_is_said_with_the_soa() {
    let lab = Lab::start();
    Answer::to(lab.dig().args(["www.example.test", "AAAA"])).is_nothing("NOERROR");
    Answer::to(lab.dig().args(["missing.example.test", "A"])).is_nothing("NXDOMAIN");
}

#[test]
fn foreign_names_are_refused() {
    let lab = Lab::start();
    let answer = Answer::to(lab.dig().args(["www.example.com", "A"]));
    assert_eq!(answer.status(), "REFUSED", "{}", answer.text);
    assert!(!answer.has_flag("aa"), "{}", answer.text);
}

#[test]
fn the_same_over_tcp() {
    let lab = Lab::start();
    Answer::to(lab.dig().args(["+tcp", "www.example.test", "A"])).is(&["www.example.test. 300 IN A 192.0.2.2"]);
    Answer::to(lab.dig().args(["+tcp", "missing.example.test", "A"])).is_nothing("NXDOMAIN");
}

#[test]
fn an_answer_too_large_for_a_datagram_is_cut_and_comes_whole_over_tcp() {
    let lab = Lab::start();
    for options in [&["+bufsize=512"][..], &["+noedns"], &["+bufsize=1232"]] {
        let cut = Answer::to(lab.dig().args(options).args(["+ignore", "large.example.test", "TXT"]));
        assert!(cut.has_flag("tc"), "{options:?}\n{}", cut.text);
        let whole = Answer::to(lab.dig().args(options).args(["large.example.test", "TXT"]));
        assert!(!whole.has_flag("tc"), "{options:?}\n{}", whole.text);
        assert_eq!(whole.section("ANSWER").len(), 20, "{options:?}\n{}", whole.text);
    }
}

#[test]
fn edns_is_answered_by_edns_and_its_absence_by_none() {
    let lab = Lab::start();
    let with = Answer::to(lab.dig().args(["www.example.test", "A"]));
    assert!(with.text.contains("; EDNS: version: 0"), "{}", with.text);
    let without = Answer::to(lab.dig().args(["+noedns", "www.example.test", "A"]));
    assert!(!without.text.contains("EDNS"), "{}", without.text);
    // RFC 6891 §6.1.3
    let unknown = Answer::to(lab.dig().args(["+edns=1", "+noednsnegotiation", "www.example.test", "A"]));
    assert_eq!(unknown.status(), "BADVERS", "{}", unknown.text);
}

#[test]
fn queries_in_one_burst_on_one_connection_are_all_answered() {
    let lab = Lab::start();
    let client = lab.client(&["pipelined-queries", &format!("{ADDRESS}:53"), "www.example.test", "500"]);
    assert_eq!(client.greeting(), "500 answered");
}

#[test]
fn a_closed_port_is_told_by_icmp_at_once() {
    let lab = Lab::start();
    // Without the ICMP error (RFC 1122 §3.2.2.1, code 3) dig would say that it timed out.
    let dig = lab.dig().args(["-p", "5353", "+time=20", "www.example.test"]).limit(Duration::from_secs(30)).output();
    let said = dig.transcript();
    assert!(said.contains("connection refused"), "{said}");
}
